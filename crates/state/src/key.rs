//! The key record and its versions.

use alloc::boxed::Box;
use alloc::sync::Arc;
use latchkey_crypto::Digest;
use latchkey_domain::{
    DisplayName, IdentityNumber, KeyId, KeyspaceNumber, Metadata, OwnerNumber, Purpose, ReasonText, Revision,
    RevocationReason, RingNumber, Terms, UnixMillis, VersionId,
};

/// Whom a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Nobody was named.
    None,
    /// An owner: the usual case.
    Owner(OwnerNumber),
    /// An identity: a management key.
    Identity(IdentityNumber),
}

/// That, when and why a key or version stops being accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// From when on it is not accepted. Later than the revision's time where a grace was given.
    pub effective_at: UnixMillis,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text; may be empty.
    pub text: ReasonText,
}

/// A key. One row at rest, its versions embedded. A million of these live in memory, so what is seldom set is boxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id, unique in its keyspace; drawn at random, so in practice in the cluster.
    pub id: KeyId,
    /// The keyspace it is in.
    pub keyspace: KeyspaceNumber,
    /// Whom it belongs to.
    pub holder: Holder,
    /// What people call it; may be empty.
    pub display_name: DisplayName,
    /// What it is for; may be empty.
    pub purpose: Purpose,
    /// What it may do and from where. Shared by the keys of one batch that say the same.
    pub terms: Arc<Terms>,
    /// The tenant's own words about it.
    pub metadata: Metadata,
    /// The revision that made it: what a cut compares.
    pub created: Revision,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The revision that last changed it, its versions aside: its etag.
    pub changed: Revision,
    /// When that was.
    pub changed_at: UnixMillis,
    /// From when on it is accepted; absent: at once.
    pub not_before: Option<UnixMillis>,
    /// From when on it is not accepted any more; absent: never by time.
    pub expires_at: Option<UnixMillis>,
    /// Set once it is revoked.
    pub revocation: Option<Box<Revocation>>,
    /// Its versions, oldest first; at least one.
    pub versions: Box<[Version]>,
}

/// One secret of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id: the public part of the key text.
    pub id: VersionId,
    /// The pepper that its digest was made with.
    pub pepper: RingNumber,
    /// HMAC of the inner digest under the pepper.
    pub digest: Digest,
    /// The inner digest, sealed under the keyspace's data key, so that the pepper can rotate without traffic.
    pub inner: Box<[u8]>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Set once it is revoked.
    pub revocation: Option<Box<Revocation>>,
}

impl Key {
    /// The version with this id.
    #[must_use]
    pub fn version(&self, id: VersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }
}
