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
    /// From when on it is not accepted, whatever becomes of its rotation: nothing ever moves it.
    pub expires_at: Option<UnixMillis>,
    /// Since when it is accepted, where it was pending before; absent: since it was made.
    pub activated_at: Option<UnixMillis>,
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

    /// From when on it is not accepted, whatever becomes of its rotation.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.details.as_ref()?.expires_at
    }

    /// From when on it is not accepted by time: the earlier of both ends.
    #[must_use]
    pub fn ends_at(&self) -> Option<UnixMillis> {
        let details = self.details.as_ref()?;
        [details.retires_at, details.expires_at].into_iter().flatten().min()
    }

    /// Since when it is accepted, or made where it is pending.
    #[must_use]
    pub fn active_since(&self) -> UnixMillis {
        let activated_at = self.details.as_ref().and_then(|details| details.activated_at);
        activated_at.unwrap_or(self.created_at)
    }

    /// Set once it is revoked.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revocation> {
        self.details.as_ref()?.revocation.as_deref()
    }
}
