//! What numbers are called, as replicas said while they were in use.

use crate::collect::{Observed, ObservedError, Tier};
use crate::run::CLUSTER;
use latchkey_domain::TenantNumber;
use latchkey_wire::pb::internal::v1 as pb;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Tenant = 1,
    Keyspace = 2,
    Owner = 3,
}

/// The items of a name: found by its number, and by itself. Identities are not kept.
pub(crate) fn items(name: &pb::ObservedName) -> Vec<(Vec<u8>, Vec<u8>)> {
    use pb::observed_name::Kind as Named;
    let kind = match name.kind() {
        Named::Tenant => Kind::Tenant,
        Named::Keyspace => Kind::Keyspace,
        Named::Owner => Kind::Owner,
        Named::Identity | Named::Unspecified => return Vec::new(),
    };
    let number = name.number.to_be_bytes();
    vec![(by_number(kind, name.number), name.name.clone().into_bytes()), (by_name(kind, &name.name), number.to_vec())]
}

impl Observed {
    /// What a number of a tenant is called; `None`: nobody said.
    pub(crate) fn name(&self, tenant: TenantNumber, kind: Kind, number: u32) -> Result<Option<String>, ObservedError> {
        let value = self.named(tenant, &by_number(kind, number))?;
        Ok(value.and_then(|name| String::from_utf8(name).ok()))
    }

    /// The newest number that was called so.
    pub(crate) fn numbered(&self, tenant: TenantNumber, kind: Kind, name: &str) -> Result<Option<u32>, ObservedError> {
        let value = self.named(tenant, &by_name(kind, name))?;
        Ok(value.and_then(|number| Some(u32::from_be_bytes(number.try_into().ok()?))))
    }

    fn named(&self, tenant: TenantNumber, key: &[u8]) -> Result<Option<Vec<u8>>, ObservedError> {
        debug_assert_ne!(tenant, CLUSTER, "what belongs to the cluster has no number");
        let row = (tenant, key.to_vec());
        let mut best: Option<Vec<u8>> = None;
        let shelf = self.look(|memory| best = best.take().max(memory.names.get(&row).cloned()));
        for (_, runs) in shelf.within(Tier::Names, 0..1) {
            for run in runs {
                best = best.max(run.reader.get(tenant, key)?);
            }
        }
        Ok(best)
    }
}

fn by_number(kind: Kind, number: u32) -> Vec<u8> {
    [&[b'n', kind as u8][..], &number.to_be_bytes()].concat()
}

fn by_name(kind: Kind, name: &str) -> Vec<u8> {
    [&[b'm', kind as u8][..], name.as_bytes()].concat()
}
