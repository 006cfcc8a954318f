//! Clients of the cluster, with what proves who calls.

use latchkey_transport::{AttachClusterSecret, ClusterSecret};
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use latchkey_wire::pb::v1::audit_service_client::AuditServiceClient;
use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::rotation_service_client::RotationServiceClient;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// How long connecting may take. A process that stands still accepts nothing, but its kernel does.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// One process, called as one identity.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    channel: Channel,
    bearer: MetadataValue<Ascii>,
    secret: ClusterSecret,
}

impl Caller {
    /// Connects with the first call, and again after each loss. Without keep-alive: a call to a process that stands
    /// still has to be there when it goes on.
    pub(crate) fn new(address: SocketAddr, key_text: &str, secret: &ClusterSecret) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URI");
        let channel = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true).connect_lazy();
        let bearer = format!("Bearer {key_text}").parse().expect("a key text is visible ASCII");
        Self { channel, bearer, secret: secret.clone() }
    }

    /// A call of this identity that has to be answered `within` a time.
    pub(crate) fn ask<T>(&self, message: T, within: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request.set_timeout(within);
        request
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn issuance(&self) -> IssuanceServiceClient<Channel> {
        IssuanceServiceClient::new(self.channel())
    }

    pub(crate) fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel())
    }

    pub(crate) fn rotation(&self) -> RotationServiceClient<Channel> {
        RotationServiceClient::new(self.channel())
    }

    pub(crate) fn validation(&self) -> ValidationServiceClient<Channel> {
        ValidationServiceClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel())
    }

    pub(crate) fn registry(&self) -> RegistryServiceClient<InterceptedService<Channel, AttachClusterSecret>> {
        RegistryServiceClient::with_interceptor(self.channel(), self.secret.attach())
    }
}

/// The reason of an error, or what the way between us said.
pub(crate) fn reason(status: &Status) -> String {
    let told = status.get_details_error_info().map(|info| info.reason);
    told.unwrap_or_else(|| format!("{:?} on the way", status.code()))
}
