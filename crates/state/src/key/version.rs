//! One secret of a key, as it is kept.

use super::Revocation;
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
    /// Set once it is revoked.
    pub revocation: Option<Box<Revocation>>,
}
