//! How the cluster's own processes prove to each other that they are.

use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

use crate::cluster_guard::{AttachClusterSecret, RequireClusterSecret};
use crate::cluster_secret::ClusterSecret;

/// What stands behind a call between two of the cluster's processes.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The secret that they share, over plain text on loopback.
    Secret(ClusterSecret),
}

/// A service that only the cluster's own processes may call.
pub type Proven<S> = InterceptedService<S, RequireProof>;

impl Proof {
    /// Puts the guard before an internal service. What does not carry the proof gets `UNAUTHENTICATED`, and the service is
    /// not called.
    #[must_use]
    pub fn guard<S>(&self, service: S) -> Proven<S> {
        let Self::Secret(secret) = self;
        InterceptedService::new(service, RequireProof { secret: secret.require() })
    }

    /// The other end: give it to `with_interceptor` of a generated client.
    #[must_use]
    pub fn attach(&self) -> AttachProof {
        let Self::Secret(secret) = self;
        AttachProof { secret: secret.attach() }
    }
}

impl From<ClusterSecret> for Proof {
    fn from(secret: ClusterSecret) -> Self {
        Self::Secret(secret)
    }
}

/// Lets a call pass that carries the proof.
#[derive(Debug, Clone)]
pub struct RequireProof {
    secret: RequireClusterSecret,
}

impl Interceptor for RequireProof {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.secret.call(request)
    }
}

/// Adds the proof to each call of a client.
#[derive(Debug, Clone)]
pub struct AttachProof {
    secret: AttachClusterSecret,
}

impl Interceptor for AttachProof {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.secret.call(request)
    }
}
