//! How the cluster's own processes prove to each other that they are.

use latchkey_domain::{NodeId, Workload};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Extensions, Request, Status};

use crate::caller::Caller;
use crate::cluster_guard::{AttachClusterSecret, RequireClusterSecret};
use crate::cluster_secret::ClusterSecret;
use crate::status::Rejection;

/// What stands behind a call between two of the cluster's processes.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The secret that they share, over plain text on loopback.
    Secret(ClusterSecret),
    /// The certificates that they have shown: the calls themselves carry nothing.
    Certificate,
}

/// A service that only the cluster's own processes may call.
pub type Proven<S> = InterceptedService<S, RequireProof>;

impl Proof {
    /// Puts the guard before an internal service. What does not carry the proof gets `UNAUTHENTICATED`, and the service is
    /// not called.
    #[must_use]
    pub fn guard<S>(&self, service: S) -> Proven<S> {
        let proof = match self {
            Self::Secret(secret) => RequireProof::Secret(secret.require()),
            Self::Certificate => RequireProof::Certificate,
        };
        InterceptedService::new(service, proof)
    }

    /// The other end: give it to `with_interceptor` of a generated client.
    #[must_use]
    pub fn attach(&self) -> AttachProof {
        match self {
            Self::Secret(secret) => AttachProof { secret: Some(secret.attach()) },
            Self::Certificate => AttachProof { secret: None },
        }
    }

    /// Whether a call comes from the replica that its message names. A secret is the same for all, and says nothing.
    #[must_use]
    pub fn bears(&self, extensions: &Extensions, node: NodeId) -> bool {
        self.bears_where(extensions, |workload| *workload == Workload::Replica(node))
    }

    /// Whether a call comes from one of those who may make it, where certificates tell who it comes from.
    #[must_use]
    pub fn bears_where(&self, extensions: &Extensions, may: impl FnOnce(&Workload) -> bool) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Certificate => {
                let workload = extensions.get::<Caller>().and_then(|caller| caller.workload.as_deref());
                workload.is_some_and(may)
            }
        }
    }
}

impl From<ClusterSecret> for Proof {
    fn from(secret: ClusterSecret) -> Self {
        Self::Secret(secret)
    }
}

/// Lets a call pass that carries the proof.
#[derive(Debug, Clone)]
pub enum RequireProof {
    /// The secret.
    Secret(RequireClusterSecret),
    /// A certificate of one of the cluster's own processes.
    Certificate,
}

impl Interceptor for RequireProof {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match self {
            Self::Secret(secret) => secret.call(request),
            Self::Certificate => {
                let workload = request.extensions().get::<Caller>().and_then(|caller| caller.workload.as_deref());
                match workload {
                    Some(workload) if workload.is_internal() => Ok(request),
                    Some(workload) => {
                        tracing::warn!(%workload, "a call of an internal service was refused: its caller is none of ours");
                        Err(Rejection::IdentityUnknown.into())
                    }
                    None => Err(Rejection::IdentityMissing.into()),
                }
            }
        }
    }
}

/// Adds the proof to each call of a client.
#[derive(Debug, Clone)]
pub struct AttachProof {
    secret: Option<AttachClusterSecret>,
}

impl Interceptor for AttachProof {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match &mut self.secret {
            Some(secret) => secret.call(request),
            None => Ok(request),
        }
    }
}
