//! Commands on rotations.

use crate::key::{Rare, SealedInner, Version};
use alloc::boxed::Box;
use latchkey_crypto::Digest;
use latchkey_domain::{
    Delivery, DurationMillis, KeyName, ReasonText, RingNumber, RotationId, RotationName, RotationTerms, UnixMillis,
    VersionId,
};

/// How long the old version is accepted where nobody says: 24 hours.
pub const OVERLAP_DEFAULT: DurationMillis = DurationMillis::from_secs(24 * 3_600);

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
    /// How long the old version is accepted still; at most [`latchkey_domain::OVERLAP_MAX`].
    pub overlap: DurationMillis,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the key.
    pub etag: Option<Box<str>>,
    /// The key text, sealed under a replay key, where the request can be repeated.
    pub replay: Option<Box<[u8]>>,
    /// Whether every other version dies at once, whatever is in progress: the overlap counts for nothing.
    pub emergency: bool,
    /// How it goes on; absent: the clock alone ends the old version.
    pub course: Option<Box<NewCourse>>,
}

impl RotateKey {
    pub(super) const fn is_of_level_5(&self) -> bool {
        self.emergency || self.course.is_some()
    }

    /// Whether its text goes somewhere else than to whoever asks.
    pub(crate) fn is_delivered(&self) -> bool {
        self.course.as_ref().is_some_and(|course| course.delivery.is_some())
    }
}

/// How a rotation that somebody asks for is to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCourse {
    /// How its old version ends; its overlap counts, not the command's.
    pub terms: RotationTerms,
    /// Where the new secret goes; absent: whoever asks gets it.
    pub delivery: Option<Delivery>,
    /// From when on the new version is accepted; absent: at once, or once it is delivered.
    pub activate_at: Option<UnixMillis>,
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
    /// It waits until it is resumed.
    Hold,
    /// It goes on from where it was held.
    Resume,
    /// The old version stays.
    RollBack {
        /// How long the new version is accepted still; absent: as long as the overlap was to be.
        overlap: Option<DurationMillis>,
    },
}

/// Completes, cancels, holds, resumes or rolls back a rotation. Idempotent.
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
