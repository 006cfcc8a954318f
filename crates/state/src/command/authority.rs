//! Where a command takes place for its authority: said once, for apply and for whoever refuses early.

use super::{CutScope, UpdateKeyspace, UpdateTenant};
use latchkey_domain::{Scope, TenantName};

impl CutScope {
    /// Where a grant has to lie. The management keyspace holds keys of all tenants' identities, so no grant within the
    /// system tenant is enough.
    #[must_use]
    pub fn authority(&self) -> Scope {
        match self {
            Self::Tenant(name) if *name == TenantName::system() => Scope::System,
            Self::Tenant(name) => Scope::Tenant(name.clone()),
            Self::Keyspace(name) if name.is_management() => Scope::System,
            Self::Keyspace(name) => Scope::Keyspace(name.clone()),
            Self::Owner(name) => Scope::Tenant(name.parent()),
            // Management keys may have its roles, whosever they are.
            Self::Role(name) if name.parent() == TenantName::system() => Scope::System,
            Self::Role(name) => Scope::Tenant(name.parent()),
        }
    }
}

impl UpdateTenant {
    /// Where a grant has to lie. A tenant does not lift its own bounds.
    #[must_use]
    pub fn authority(&self) -> Scope {
        match self.changes.quotas {
            Some(_) => Scope::System,
            None => Scope::Tenant(self.name.clone()),
        }
    }
}

impl UpdateKeyspace {
    /// Where a grant has to lie. An `admin` of a keyspace does not lift the bounds that the tenant set, and one of the
    /// system tenant does not change the keyspace of all management keys.
    #[must_use]
    pub fn authority(&self) -> Scope {
        if self.name.is_management() {
            return Scope::System;
        }
        let changes = &self.changes;
        let bounds =
            changes.keys_max.is_some() || changes.versions_max.is_some() || changes.metadata_bytes_max.is_some();
        match bounds {
            true => Scope::Tenant(self.name.parent()),
            false => Scope::Keyspace(self.name.clone()),
        }
    }
}
