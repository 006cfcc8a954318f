//! What the numbers of a batch are called: whoever takes it holds no state.

use latchkey_domain::{IdentityNumber, KeyspaceNumber, OwnerNumber, TenantNumber};
use latchkey_state::State;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::observed_name::Kind;
use prost::Message as _;
use std::collections::HashSet;

/// The names of one batch.
pub(super) struct Names<'a> {
    state: &'a State,
    known: HashSet<(Kind, u32)>,
    names: Vec<pb::ObservedName>,
    bytes: usize,
}

impl<'a> Names<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        Self { state, known: HashSet::new(), names: Vec::new(), bytes: 0 }
    }

    /// Names what a cell tells of.
    pub(super) fn add_cell(&mut self, cell: &pb::UsageCell) {
        self.add_place(Some(cell.tenant), cell.keyspace);
        if let Some(owner) = cell.owner {
            self.add(Kind::Owner, owner);
        }
        if let Some(identity) = cell.identity {
            self.add(Kind::Identity, identity);
        }
    }

    /// Names what a line tells of.
    pub(super) fn add_place(&mut self, tenant: Option<u32>, keyspace: Option<u32>) {
        if let Some(tenant) = tenant {
            self.add(Kind::Tenant, tenant);
        }
        if let Some(keyspace) = keyspace {
            self.add(Kind::Keyspace, keyspace);
        }
    }

    /// What the names take on the way.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn finish(self) -> Vec<pb::ObservedName> {
        self.names
    }

    fn add(&mut self, kind: Kind, number: u32) {
        if !self.known.insert((kind, number)) {
            return;
        }
        // What is gone has no name any more; whoever keeps names may know it from before.
        let Some((tenant, name)) = self.look_up(kind, number) else { return };
        let named = pb::ObservedName { kind: kind.into(), number, tenant: tenant.0, name };
        self.bytes += named.encoded_len() + 4;
        self.names.push(named);
    }

    fn look_up(&self, kind: Kind, number: u32) -> Option<(TenantNumber, String)> {
        let state = self.state;
        let of_tenant = |tenant: TenantNumber, collection: &str, id: &str| {
            let name = state.tenants().by_number(tenant)?.id.as_str();
            Some((tenant, ["tenants/", name, "/", collection, "/", id].concat()))
        };
        match kind {
            Kind::Unspecified => None,
            Kind::Tenant => {
                let tenant = state.tenants().by_number(TenantNumber(number))?;
                Some((tenant.number, ["tenants/", tenant.id.as_str()].concat()))
            }
            Kind::Keyspace => {
                let keyspace = state.keyspaces().by_number(KeyspaceNumber(number))?;
                of_tenant(keyspace.tenant, "keyspaces", keyspace.id.as_str())
            }
            Kind::Owner => {
                let owner = state.owners().by_number(OwnerNumber(number))?;
                of_tenant(owner.tenant, "owners", owner.id.as_str())
            }
            Kind::Identity => {
                let identity = state.identities().by_number(IdentityNumber(number))?;
                of_tenant(identity.tenant, "identities", identity.id.as_str())
            }
        }
    }
}
