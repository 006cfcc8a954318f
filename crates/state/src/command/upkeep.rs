//! Commands that nobody calls for: what replicas and services ask on their own account.

use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::{
    IdentityName, KeyId, KeyName, KeyspaceName, KeyspaceNumber, Outcome, OwnerNumber, ReasonText, RoleNumber,
    TenantNumber,
};

/// Refusals that one [`super::Operation::RecordRefusals`] may carry.
pub const REFUSALS_PER_COMMAND_MAX: usize = 256;

/// Longest subject of a refusal. Bytes.
pub const SUBJECT_BYTES_MAX: usize = 256;

/// What a cut reached, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RevokedScope {
    /// A tenant.
    Tenant(TenantNumber),
    /// A keyspace.
    Keyspace(KeyspaceNumber),
    /// An owner.
    Owner(OwnerNumber),
    /// A role.
    Role(RoleNumber),
}

/// Marks keys that a cut reached as revoked. All are dead since the cut: this writes it down, key by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRevoked {
    /// What the cut reached.
    pub scope: RevokedScope,
    /// At most [`super::KEYS_PER_COMMAND_MAX`]. Those that the cut does not reach are passed over.
    pub keys: Vec<(KeyspaceNumber, KeyId)>,
    /// Whether these are the last.
    pub done: bool,
}

/// Refusals of one identity of one kind, within about a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatheredRefusal {
    /// Who was refused.
    pub identity: IdentityName,
    /// The method, such as `IssuanceService/CreateKey`.
    pub method: String,
    /// The reason, such as `PERMISSION_DENIED`.
    pub reason: String,
    /// The scope or resource that it was about, at most [`SUBJECT_BYTES_MAX`]; empty: unknown.
    pub subject: String,
    /// How often; more than one where they were counted.
    pub count: u32,
}

/// That somebody had a validation explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The key that was found; absent: none.
    pub key: Option<KeyName>,
    /// The keyspace that was asked for, where no key was found.
    pub keyspace: Option<KeyspaceName>,
    /// The outcome that was explained.
    pub outcome: Outcome,
    /// Why.
    pub text: ReasonText,
}
