//! Commands of whoever holds the rotation claim. Each is idempotent, and each but the claim itself carries the fence.

use super::NewVersion;
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    DisplayName, DurationMillis, HoldCause, KeyName, Network, ReasonText, RotationId, RotationName, UnixMillis,
    VersionId,
};

/// Keys that one [`super::Operation::PlanRotations`], [`super::Operation::GiveNotices`] or
/// [`super::Operation::GiveExpiryNotices`] may name.
pub const PLANS_PER_COMMAND_MAX: usize = 250;

/// Callers that one [`Evidence`] names.
pub const CALLERS_MAX: usize = 16;

/// The longest life of a rotation claim: 1 minute.
pub const CLAIM_LIFE_MAX: DurationMillis = DurationMillis::from_secs(60);

/// Takes the rotation claim, or renews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRotations {
    /// 16 random bytes of the process.
    pub holder: [u8; 16],
    /// For how long; at most [`CLAIM_LIFE_MAX`].
    pub life: DurationMillis,
}

/// Plans rotations of keys that are due. Those that are not due any more, have a rotation already or exceed what their
/// keyspace may have at once are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRotations {
    /// The fence of the claim.
    pub fence: u64,
    /// At most [`PLANS_PER_COMMAND_MAX`].
    pub plans: Vec<PlannedRotation>,
}

/// A rotation to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRotation {
    /// Which key.
    pub key: KeyName,
    /// The id of the rotation.
    pub rotation: RotationId,
    /// The phase of the policy that the key is in; 0 where there are none.
    pub phase: u8,
    /// From when on it may start; absent: at once.
    pub starts_at: Option<UnixMillis>,
}

/// Makes the new version of a planned rotation, or of one whose text was lost before it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareRotation {
    /// The fence of the claim.
    pub fence: u64,
    /// Which rotation.
    pub rotation: RotationName,
    /// The version to be made.
    pub new: NewVersion,
    /// The version whose text was lost: it is revoked, and the new one takes its place; absent: the rotation is planned.
    pub replaces: Option<VersionId>,
    /// The key text, sealed under a replay key.
    pub replay: Box<[u8]>,
}

/// Takes a rotation one step on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvanceRotation {
    /// The fence of the claim.
    pub fence: u64,
    /// Which rotation.
    pub rotation: RotationName,
    /// Its new version, as whoever asks knows it; absent: it is planned, and has none.
    pub version: Option<VersionId>,
    /// Which step.
    pub step: DriverStep,
}

/// A step of a rotation, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverStep {
    /// `PREPARED` to `DELIVERED`: the new secret lies where its consumer reads it.
    Deliver {
        /// The key text, sealed to the recipient; absent: it lies in a store.
        sealed: Option<Box<[u8]>>,
    },
    /// The new version is accepted from now on, where it was to be from a time on.
    Activate,
    /// `DELIVERED` to `VERIFIED`: the new version is known in every region, and the consumer's own check passed.
    Verify,
    /// `VERIFIED` to `OVERLAP`: the end of the old version is set. Also of what was held as never used, or for too long without
    /// an old version.
    BeginOverlap,
    /// To `COMPLETED`: by evidence nobody uses the old version any more.
    Retire(Evidence),
    /// To `HELD`.
    Hold {
        /// Why, as a word; never [`HoldCause::Asked`].
        cause: HoldCause,
        /// Why, as text; may be empty.
        text: ReasonText,
        /// What was seen, where that is why.
        evidence: Option<Evidence>,
    },
    /// It stays where it is: the old version soon ends by the clock, and is still used. Once for each end.
    Warn(Evidence),
    /// To `FAILED`: it cannot go on, and nothing is retired yet. To `CANCELLED` where its policy wants it no more.
    Fail {
        /// Why.
        text: ReasonText,
    },
}

/// What all replicas together saw of both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When the old version was last used; absent: not since the watch began.
    pub old_last_used: Option<UnixMillis>,
    /// When the new version was used by its consumers, the first time that is known; absent: not since the watch began.
    pub new_first_used: Option<UnixMillis>,
    /// Since when every replica has watched both.
    pub watched_since: UnixMillis,
    /// Who used the old version last, the latest first; at most [`CALLERS_MAX`].
    pub callers: Vec<Caller>,
}

/// Who used a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The network of its address; absent: whoever asked did not name it.
    pub network: Option<Network>,
    /// What it calls itself; may be empty.
    pub user_agent: DisplayName,
    /// When it last did.
    pub last_used: UnixMillis,
    /// How often it did.
    pub count: u64,
}

/// Writes down that notice was given for keys that are due, or end, soon. Those of which none is owed are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveNotices {
    /// The fence of the claim.
    pub fence: u64,
    /// At most [`PLANS_PER_COMMAND_MAX`].
    pub keys: Vec<KeyName>,
}
