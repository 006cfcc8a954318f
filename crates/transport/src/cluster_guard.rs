//! The cluster secret on both ends of a call.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

use crate::cluster_secret::ClusterSecret;
use crate::status::Rejection;

/// The metadata key that carries the cluster secret. Apart from `authorization`, which carries whose call it is.
pub const CLUSTER_SECRET_KEY: &str = "latchkey-cluster-secret";

/// A service that only the cluster's own processes may call.
pub type Guarded<S> = InterceptedService<S, RequireClusterSecret>;

impl ClusterSecret {
    /// Puts the guard before an internal service. What does not carry the secret gets `UNAUTHENTICATED`, and the
    /// service is not called.
    #[must_use]
    pub fn guard<S>(&self, service: S) -> Guarded<S> {
        InterceptedService::new(service, self.require())
    }

    /// The guard by itself.
    pub(crate) fn require(&self) -> RequireClusterSecret {
        RequireClusterSecret { secret: self.clone() }
    }

    /// The other end: give it to `with_interceptor` of a generated client.
    #[must_use]
    pub fn attach(&self) -> AttachClusterSecret {
        let mut value: MetadataValue<Ascii> = self.reveal().parse().expect("a cluster secret is visible ASCII");
        // Neither printed by `Debug` nor put into the header compression's table.
        value.set_sensitive(true);
        AttachClusterSecret { value }
    }
}

/// Lets a call pass that carries the secret.
#[derive(Debug, Clone)]
pub struct RequireClusterSecret {
    secret: ClusterSecret,
}

impl Interceptor for RequireClusterSecret {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // Taken out, so that nothing that prints the metadata can show it.
        let Some(shown) = request.metadata_mut().remove(CLUSTER_SECRET_KEY) else {
            return Err(Rejection::IdentityMissing.into());
        };
        if !self.secret.matches(shown.as_bytes()) {
            return Err(Rejection::IdentityUnknown.into());
        }
        Ok(request)
    }
}

/// Adds the secret to each call of a client.
#[derive(Debug, Clone)]
pub struct AttachClusterSecret {
    value: MetadataValue<Ascii>,
}

impl Interceptor for AttachClusterSecret {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(CLUSTER_SECRET_KEY, self.value.clone());
        Ok(request)
    }
}
