//! What all handlers share.

use latchkey_domain::{DurationMillis, Revision};
use latchkey_link::answers::{self, told};
use latchkey_link::{Entrance, Material, ProvenIdentity, Registry, wait_for};
use latchkey_state::{Operation, RequestMark};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::internal::v1::ReplicaConfirmation;
use latchkey_wire::request::Wait;
use std::sync::Arc;
use tokio::time::Instant;
use tonic::Status;

/// The RPCs of issuance over any registry. Cheap to clone.
#[derive(Debug)]
pub struct Handlers<R> {
    pub(crate) registry: Arc<R>,
    pub(crate) material: Arc<Material>,
    pub(crate) entrance: Entrance<R>,
}

impl<R> Clone for Handlers<R> {
    fn clone(&self) -> Self {
        Self { registry: self.registry.clone(), material: self.material.clone(), entrance: self.entrance.clone() }
    }
}

/// Whether a change is made, or only rehearsed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// It is made; with a mark, once.
    Real(Option<RequestMark>),
    /// It is told what would be, and nothing changes.
    Rehearsal,
}

impl Manner {
    pub(crate) const fn of(request: Option<RequestMark>, validate_only: bool) -> Self {
        if validate_only { Self::Rehearsal } else { Self::Real(request) }
    }

    pub(crate) const fn is_rehearsal(self) -> bool {
        matches!(self, Self::Rehearsal)
    }
}

impl<R: Registry> Handlers<R> {
    /// Behind this entrance, minting with this access to the KEK.
    #[must_use]
    pub fn new(entrance: Entrance<R>, material: Arc<Material>) -> Self {
        Self { registry: entrance.registry().clone(), material, entrance }
    }

    /// Makes a change, or tells what would be; of which revision the answer is, and whether it was given before.
    pub(crate) async fn change(
        &self,
        identity: &ProvenIdentity,
        manner: Manner,
        operation: Operation,
        by: Instant,
    ) -> Result<(Told, Revision, bool), Status> {
        match manner {
            Manner::Real(mark) => told(self.registry.propose(&identity.command(mark, operation), by).await?),
            Manner::Rehearsal => {
                let command = identity.command(None, operation);
                let (told, revision) = answers::rehearse(&*self.registry, &command, by).await?;
                Ok((told, revision, false))
            }
        }
    }

    /// Waits for a change as the caller asked; for a rehearsal there is nothing to wait for.
    pub(crate) async fn wait(
        &self,
        manner: Manner,
        wait: Wait,
        revision: Revision,
        bound: DurationMillis,
        by: Instant,
    ) -> Vec<ReplicaConfirmation> {
        match manner {
            Manner::Real(_) => wait_for(&*self.registry, wait, revision, bound, by).await,
            Manner::Rehearsal => Vec::new(),
        }
    }
}
