//! Clients of every public service, in the name of one identity.

use latchkey_wire::pb::v1::audit_service_client::AuditServiceClient;
use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::rotation_service_client::RotationServiceClient;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A connection that shows a management key with each call.
pub type Connection = InterceptedService<Channel, Bearer>;

/// How long a call may take. Long, since a slow machine is no wrong result; without it a call has 2 s.
pub const CALL_WITHIN: Duration = Duration::from_secs(60);

/// Shows a management key with each call, or none.
#[derive(Clone)]
pub struct Bearer(Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(CALL_WITHIN);
        if let Some(text) = &self.0 {
            let value: MetadataValue<_> = format!("Bearer {text}").parse().expect("a key text is ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// The clients of one identity.
#[derive(Clone)]
pub struct Clients {
    /// Keys, at issuance.
    pub keys: IssuanceServiceClient<Connection>,
    /// The directory, at issuance.
    pub directory: DirectoryServiceClient<Connection>,
    /// Validations, at validation.
    pub validation: ValidationServiceClient<Connection>,
    /// The cluster, at validation.
    pub cluster: ClusterServiceClient<Connection>,
    /// What validation serves of the life of keys, which needs no issuance.
    pub revocation: IssuanceServiceClient<Connection>,
    /// Rotations, at rotation.
    pub rotation: RotationServiceClient<Connection>,
    /// Entries, at audit.
    pub audit: AuditServiceClient<Connection>,
}

impl Clients {
    /// Over channels to issuance, validation, rotation and audit; `text` is the management key to show.
    #[must_use]
    pub fn new(channels: [Channel; 4], text: Option<&str>) -> Self {
        let bearer = Bearer(text.map(str::to_owned));
        let [issuance, validation, rotation, audit] =
            channels.map(|channel| InterceptedService::new(channel, bearer.clone()));
        Self {
            keys: IssuanceServiceClient::new(issuance.clone()),
            directory: DirectoryServiceClient::new(issuance),
            validation: ValidationServiceClient::new(validation.clone()),
            cluster: ClusterServiceClient::new(validation.clone()),
            revocation: IssuanceServiceClient::new(validation),
            rotation: RotationServiceClient::new(rotation),
            audit: AuditServiceClient::new(audit),
        }
    }
}
