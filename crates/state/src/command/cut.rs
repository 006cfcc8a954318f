//! Revoking all keys of a scope at once.

use latchkey_domain::{KeyspaceName, OwnerName, ReasonText, RevocationReason, RoleName, TenantName};

/// What a cut reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutScope {
    /// All keys of a tenant.
    Tenant(TenantName),
    /// All keys of a keyspace.
    Keyspace(KeyspaceName),
    /// All keys of an owner.
    Owner(OwnerName),
    /// All keys that have a role.
    Role(RoleName),
}

/// Revokes all keys of a scope at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What it reaches.
    pub scope: CutScope,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
}
