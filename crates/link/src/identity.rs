//! Who calls, proved.

use crate::{Registry, answers};
use latchkey_domain::{Grant, IdentityName, KeyName, Revision};
use latchkey_state::Actor;
use latchkey_telemetry::trace;
use latchkey_transport::{Caller, Rejection};
use latchkey_wire::pb::internal::v1 as pb;
use tokio::time::Instant;
use tonic::{Extensions, Status};

/// An identity that proved itself with a management key, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenIdentity {
    /// Who it is.
    pub identity: IdentityName,
    /// What it may do, and where.
    pub grants: Vec<Grant>,
    /// The key with which it proved itself.
    pub key: KeyName,
    /// The revision of the state that says so.
    pub revision: Revision,
}

impl ProvenIdentity {
    /// As the actor of a command.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Identity(self.identity.clone())
    }

    /// Reads what a replica answered.
    ///
    /// # Errors
    /// What is wrong with it, which is a bug of one of us.
    pub fn read(answer: &pb::AuthenticateResponse) -> Result<Self, &'static str> {
        let revision = answer.revision.ok_or("an authentication is of no revision")?;
        Ok(Self {
            identity: IdentityName::parse(&answer.identity).map_err(|_| "an identity has no name")?,
            grants: answers::grants(&answer.grants)?,
            key: KeyName::parse(&answer.key).map_err(|_| "an identity was proved by no key")?,
            revision: Revision::new(revision.epoch, revision.index),
        })
    }
}

/// Finds out who calls, from what the transport left in the extensions of the request.
///
/// # Errors
/// `UNAUTHENTICATED` with reason `IDENTITY_MISSING` or `IDENTITY_UNKNOWN`; `UNAVAILABLE`.
pub async fn identify(
    registry: &impl Registry,
    extensions: &Extensions,
    by: Instant,
) -> Result<ProvenIdentity, Status> {
    let caller = extensions.get::<Caller>().ok_or(Rejection::IdentityMissing)?;
    let bearer = caller.bearer.as_ref().ok_or(Rejection::IdentityMissing)?;
    let identity = registry.authenticate(bearer.reveal(), caller.peer.map(|peer| peer.ip()), by).await?;
    trace::note("latchkey.tenant", || identity.key.keyspace.tenant.to_string());
    trace::note("latchkey.key", || identity.key.key.to_string());
    Ok(identity)
}
