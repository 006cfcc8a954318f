//! One secret of a key, as it is kept.

use super::{Rare, Revocation};
use alloc::boxed::Box;
use latchkey_crypto::{Digest, Inner, envelope};
use latchkey_domain::{RingNumber, UnixMillis, VersionId};

/// Bytes of an inner digest, sealed.
pub const SEALED_INNER_BYTES: usize = envelope::OVERHEAD_BYTES + size_of::<Inner>();

/// The inner digest, sealed under the keyspace's data key, so that the pepper can rotate without traffic.
pub type SealedInner = [u8; SEALED_INNER_BYTES];

/// One secret of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id: the public part of the key text.
    pub id: VersionId,
    /// The pepper that its digest was made with.
    pub pepper: RingNumber,
    /// HMAC of the inner digest under the pepper.
    pub digest: Digest,
    /// What a new digest is made from when the pepper rotates.
    pub inner: SealedInner,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What few versions have.
    pub details: Rare<VersionDetails>,
}

/// What few versions have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionDetails {
    /// Whether it is a standby: made, not yet accepted.
    pub pending: bool,
    /// From when on it is not accepted, because another took its place.
    pub retires_at: Option<UnixMillis>,
    /// Set once it is revoked.
    pub revocation: Option<Box<Revocation>>,
}

impl Version {
    /// Whether it is a standby: made, not yet accepted.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.pending)
    }

    /// From when on it is not accepted, because another took its place.
    #[must_use]
    pub fn retires_at(&self) -> Option<UnixMillis> {
        self.details.as_ref()?.retires_at
    }

    /// Set once it is revoked.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revocation> {
        self.details.as_ref()?.revocation.as_deref()
    }
}
