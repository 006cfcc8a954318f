//! What changes of directory records have in common: etags, and what the audit trail is told.

use super::key_facts::{of_sets, texts};
use super::transaction::Transaction;
use crate::key::Change;
use crate::records::{Identity, Keyspace, Owner, Role, Tenant};
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use latchkey_domain::{Grant, IdentityName, Refusal, ResourceKind, SYSTEM_TENANT, TenantName, TenantNumber};

/// The id of the first identity, in the system tenant.
pub(super) const ROOT: &str = "root";

pub(super) fn not_found(kind: ResourceKind, name: &impl ToString) -> Refusal {
    Refusal::NotFound { kind, name: name.to_string() }
}

pub(super) fn check_etag(asked: Option<&str>, current: String) -> Result<(), Refusal> {
    match asked {
        Some(etag) if etag != current => Err(Refusal::EtagMismatch { current }),
        Some(_) | None => Ok(()),
    }
}

/// That a record changes by this command.
pub(super) fn now(transaction: &Transaction<'_>) -> Change {
    Change { revision: transaction.revision(), at: transaction.now() }
}

/// Whoever made the cluster: without him nobody could ever act on the whole again.
pub(super) fn is_root(name: &IdentityName) -> bool {
    name.tenant.as_str() == SYSTEM_TENANT && name.identity.as_str() == ROOT
}

pub(super) fn identity_name(state: &State, identity: &Identity) -> IdentityName {
    IdentityName::new(tenant_name(state, identity.tenant).tenant, identity.id.clone())
}

fn tenant_name(state: &State, number: TenantNumber) -> TenantName {
    let tenant = state.tenants().by_number(number).expect("a record's tenant is checked on every way in");
    TenantName::new(tenant.id.clone())
}

/// Those of the changes that there were; they come sorted by name.
pub(super) fn facts<const N: usize>(changes: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    changes.into_iter().filter_map(|(name, change)| Some((name, change?))).collect()
}

pub(super) fn facts_of_grants(old: &[Grant], new: &[Grant]) -> Vec<(&'static str, String)> {
    facts([("grants", of_grants(old, new))])
}

pub(super) fn of_grants(old: &[Grant], new: &[Grant]) -> Option<String> {
    let texts_of = |grants: &[Grant]| texts(&grants.iter().map(grant_text).collect::<Vec<_>>());
    of_sets(&texts_of(old), &texts_of(new))
}

pub(super) fn grant_text(grant: &Grant) -> String {
    format!("{}@{}", grant.duty, grant.scope)
}

macro_rules! etag {
    ($record:ty) => {
        impl $record {
            /// Changes whenever it does.
            #[must_use]
            pub fn etag(&self) -> String {
                match self.changed {
                    Some(change) => change.etag(),
                    None => format!("n{}", self.number.0),
                }
            }
        }
    };
}
etag!(Tenant);
etag!(Keyspace);
etag!(Owner);
etag!(Role);
etag!(Identity);
