//! What operators did on one replica while no leader could be asked: told to the audit log when the cluster is whole.

use latchkey_domain::{IdentityName, KeyName, NodeId, ReasonText, RevocationReason, UnixMillis, VersionId};

/// Denials that one [`super::Operation::RecordDenials`] may carry.
pub const DENIALS_PER_COMMAND_MAX: usize = 64;

/// What was done on the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialStep {
    /// It stopped accepting the key.
    Denied,
    /// It accepts the key again, as far as the state does.
    Allowed,
}

/// That an operator denied a key on one replica, or took that back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDenial {
    /// Where.
    pub replica: NodeId,
    /// The key.
    pub key: KeyName,
    /// Only this version of it.
    pub version: Option<VersionId>,
    /// What was done.
    pub step: DenialStep,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// Who.
    pub by: IdentityName,
    /// When, by the time that the replica knew.
    pub at: UnixMillis,
}
