//! Commands on the keyring: what the leader asks for, and `RotateRingKey`, which operators ask for.

use crate::key::SealedInner;
use crate::records::RingPurpose;
use crate::upkeep::KeyAt;
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_crypto::Digest;
use latchkey_domain::{KekId, RingNumber, VersionId};

/// Wrapped keys, or versions, that one command may make anew. Keeps one apply at a few milliseconds.
pub const REKEYED_PER_COMMAND_MAX: usize = 250;

/// Keys of one purpose at once: more rotations of it than these under way at one moment are refused.
pub const RING_KEYS_OF_PURPOSE_MAX: usize = 8;

/// A key for the keyring, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRingKey {
    /// The random bytes that it was wrapped under.
    pub id: [u8; 16],
    /// What it is for.
    pub purpose: RingPurpose,
    /// The key that wraps it; 0 is the KEK.
    pub wrapped_by: RingNumber,
    /// Which KEK, where one wraps it and that is known.
    pub kek: Option<KekId>,
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
}

/// A wrapped key whose purpose follows from where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The random bytes that it was wrapped under.
    pub id: [u8; 16],
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
}

/// A key of the keyring, wrapped by another than before. It is the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrappedKey {
    /// Which key.
    pub number: RingNumber,
    /// The key that wraps it now; 0 is the KEK.
    pub wrapped_by: RingNumber,
    /// Which KEK, where one wraps it and that is known.
    pub kek: Option<KekId>,
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
}

/// Digests of secrets under another pepper than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedigestVersions {
    /// The pepper: the newest.
    pub pepper: RingNumber,
    /// At most [`REKEYED_PER_COMMAND_MAX`].
    pub versions: Vec<(KeyAt, VersionId, Digest)>,
}

/// Inner digests sealed under another data key than before: the one that their keyspace has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResealInners {
    /// The data key: versions of a keyspace that has another by now are passed over.
    pub data_key: RingNumber,
    /// At most [`REKEYED_PER_COMMAND_MAX`].
    pub versions: Vec<(KeyAt, VersionId, SealedInner)>,
}

/// The numbers that [`super::Bootstrap`] gives its ring keys, in the order of its fields, so that it can use them itself.
pub mod bootstrap_ring {
    use latchkey_domain::RingNumber;

    /// The log key.
    pub const LOG: RingNumber = RingNumber(1);
    /// The pepper.
    pub const PEPPER: RingNumber = RingNumber(2);
    /// The first replay key.
    pub const REPLAY: RingNumber = RingNumber(3);
    /// The system tenant's key.
    pub const TENANT: RingNumber = RingNumber(4);
    /// The system tenant's audit key.
    pub const AUDIT: RingNumber = RingNumber(5);
    /// The management keyspace's data key.
    pub const KEYSPACE: RingNumber = RingNumber(6);
}
