//! Commands on rotations.

use crate::key::{Rare, SealedInner, Version};
use alloc::boxed::Box;
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, KeyName, ReasonText, RingNumber, RotationId, RotationName, UnixMillis, VersionId,
};

/// How long the old version is accepted where nobody says: 24 hours.
pub const OVERLAP_DEFAULT: DurationMillis = DurationMillis::from_secs(24 * 3_600);

/// The longest overlap: 90 days.
pub const OVERLAP_MAX: DurationMillis = DurationMillis::from_secs(90 * 24 * 3_600);

/// A version to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// Its id.
    pub id: VersionId,
    /// The pepper that the digest was made with.
    pub pepper: RingNumber,
    /// See [`Version::digest`].
    pub digest: Digest,
    /// See [`Version::inner`].
    pub inner: SealedInner,
}

impl NewVersion {
    /// The version, made at `at` and accepted from then on.
    #[must_use]
    pub fn version(&self, at: UnixMillis) -> Version {
        Version {
            id: self.id,
            pepper: self.pepper,
            digest: self.digest,
            inner: self.inner,
            created_at: at,
            details: Rare::default(),
        }
    }
}

/// Gives a key a new version. Where a standby is there it takes the place, and what was minted is dropped: whether
/// there is one is only known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateKey {
    /// Which key.
    pub key: KeyName,
    /// The id of the rotation, where none is prepared.
    pub rotation: RotationId,
    /// The version to be made, where no standby is there.
    pub new: NewVersion,
    /// How long the old version is accepted still; at most [`OVERLAP_MAX`].
    pub overlap: DurationMillis,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the key.
    pub etag: Option<Box<str>>,
    /// The key text, sealed under a replay key, where the request can be repeated.
    pub replay: Option<Box<[u8]>>,
}

/// Makes a version that is kept ready and not yet accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareStandby {
    /// Which key.
    pub key: KeyName,
    /// The id of the rotation.
    pub rotation: RotationId,
    /// The version to be made.
    pub new: NewVersion,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the key.
    pub etag: Option<Box<str>>,
    /// The key text, sealed under a replay key, where the request can be repeated.
    pub replay: Option<Box<[u8]>>,
}

/// What is to become of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// The overlap ends now.
    Complete,
    /// The standby is given up.
    Cancel,
    /// The old version stays.
    RollBack {
        /// How long the new version is accepted still; absent: as long as the overlap was to be.
        overlap: Option<DurationMillis>,
    },
}

/// Completes, cancels or rolls back a rotation. Idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRotation {
    /// Which rotation.
    pub rotation: RotationName,
    /// What is to become of it.
    pub step: RotationStep,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the rotation.
    pub etag: Option<Box<str>>,
}
