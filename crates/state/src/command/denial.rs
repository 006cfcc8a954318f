//! What operators did on one replica while no leader could be asked: told to the audit log when the cluster is whole.

use alloc::vec::Vec;
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

/// What is to become of a denied key when the replica hears of a leader again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// Nothing: the denial stays until somebody takes it back.
    Nothing,
    /// It is suspended everywhere.
    Suspend,
    /// It is revoked everywhere.
    Revoke,
}

/// A denial as the replica keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDenial {
    /// Random: a follow-up that is asked for twice under it is carried out once.
    pub id: [u8; 16],
    /// The key.
    pub key: KeyName,
    /// Only this version of it.
    pub version: Option<VersionId>,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// What is to become of it.
    pub then: FollowUp,
    /// Who denied it.
    pub by: IdentityName,
    /// When, by the time that the replica knew.
    pub at: UnixMillis,
    /// Whether the audit log has it.
    pub told: bool,
    /// Who took it back, and when; such a one is kept only until the audit log has that.
    pub lifted: Option<(IdentityName, UnixMillis)>,
}

impl LocalDenial {
    /// Whether the replica denies by it.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.lifted.is_none()
    }

    /// Whether it is of this key or version.
    #[must_use]
    pub fn is_of(&self, key: &KeyName, version: Option<VersionId>) -> bool {
        self.key == *key && self.version == version
    }

    /// What the audit log has yet to learn of it, in its order.
    #[must_use]
    pub fn untold(&self, replica: NodeId) -> Vec<RecordedDenial> {
        let of = |step, by: &IdentityName, at| RecordedDenial {
            replica,
            key: self.key.clone(),
            version: self.version,
            step,
            reason: self.reason,
            text: self.text.clone(),
            by: by.clone(),
            at,
        };
        let denied = (!self.told).then(|| of(DenialStep::Denied, &self.by, self.at));
        let allowed = self.lifted.as_ref().map(|(by, at)| of(DenialStep::Allowed, by, *at));
        denied.into_iter().chain(allowed).collect()
    }
}
