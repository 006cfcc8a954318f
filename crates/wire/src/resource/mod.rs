//! Records of the state, shown as public resources.

mod directory;
mod key;
mod rotation;
mod rotation_policy;

pub use rotation_policy::{rotation_delivery, rotation_policy, rotation_terms};

use crate::pb::v1;
use latchkey_domain::{Revision, TenantName, TenantNumber, UnixMillis};
use latchkey_state::State;
use std::fmt::Display;

impl From<Revision> for v1::Revision {
    fn from(revision: Revision) -> Self {
        Self { epoch: revision.epoch, index: revision.index }
    }
}

impl From<v1::Revision> for Revision {
    fn from(revision: v1::Revision) -> Self {
        Self { epoch: revision.epoch, index: revision.index }
    }
}

impl From<&latchkey_domain::Grant> for v1::Grant {
    fn from(grant: &latchkey_domain::Grant) -> Self {
        Self { duty: v1::Duty::from(grant.duty).into(), scope: grant.scope.to_string() }
    }
}

/// The state at one time: what a record is worth depends on both.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The state that records refer to.
    pub state: &'a State,
    /// The time of the cluster.
    pub now: UnixMillis,
    /// The revision that is shown: that of the answer, or of the state.
    pub revision: Revision,
}

impl<'a> View<'a> {
    /// A state as it is at `now`.
    #[must_use]
    pub fn new(state: &'a State, now: UnixMillis) -> Self {
        Self { state, now, revision: state.revision() }
    }

    fn tenant_name(&self, number: TenantNumber) -> Option<TenantName> {
        self.state.tenants().by_number(number).map(|tenant| TenantName::new(tenant.id.clone()))
    }
}

pub(crate) fn texts<T: Display>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}
