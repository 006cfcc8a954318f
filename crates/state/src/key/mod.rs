//! The key record and its versions. A million lie in memory, so a plain key is one allocation: its only version lies in
//! it, and what few keys have costs it one pointer. `tests/state/measure.rs` tells what a key costs.

mod details;
mod imported;
mod layers;
mod life;
mod rare;
mod revocation;
mod version;
mod versions;

pub use details::{Change, Details, Restriction, Suspension};
pub use imported::Imported;
pub use layers::{Layers, Methods};
pub use life::{By, Worth};
pub use rare::Rare;
pub use revocation::Revocation;
pub use version::{SEALED_INNER_BYTES, SealedInner, Version, VersionDetails};
pub use versions::Versions;

use alloc::string::String;
use alloc::sync::Arc;
use latchkey_domain::{
    DisplayName, IdentityNumber, KeyId, KeyspaceNumber, OwnerNumber, Revision, RotationId, RotationPolicy, Terms,
    UnixMillis, VersionId,
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

/// A key. One row at rest, its versions embedded.
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
    /// What it may do and from where. Shared by the keys of one batch that say the same.
    pub terms: Arc<Terms>,
    /// The revision that made it: what a cut compares.
    pub created: Revision,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is not accepted any more; absent: never by time.
    pub expires_at: Option<UnixMillis>,
    /// What few keys have.
    pub details: Rare<Details>,
    /// Its versions, oldest first; at least one.
    pub versions: Versions,
}

// A field more is 8 MB a million keys: whoever adds one decides that here, or puts it among the details.
const _: () = assert!(size_of::<Key>() <= 256, "a key grew");

impl Key {
    /// What it is for; may be empty.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.details.as_ref().map_or("", |details| details.purpose.as_str())
    }

    /// The tenant's own words about it.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.details.as_ref().into_iter().flat_map(|details| details.metadata.iter())
    }

    /// From when on it is accepted; absent: at once.
    #[must_use]
    pub fn not_before(&self) -> Option<UnixMillis> {
        self.details.as_ref()?.not_before
    }

    /// Its last change, its versions aside: its etag. At first that is its making.
    #[must_use]
    pub fn changed(&self) -> Change {
        let changed = self.details.as_ref().and_then(|details| details.changed);
        changed.unwrap_or(Change { revision: self.created, at: self.created_at })
    }

    /// Changes whenever the key does, its versions aside.
    #[must_use]
    pub fn etag(&self) -> String {
        self.changed().etag()
    }

    /// Set once it is revoked.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revocation> {
        self.details.as_ref()?.revocation.as_deref()
    }

    /// Set while it is suspended.
    #[must_use]
    pub fn suspension(&self) -> Option<&Suspension> {
        self.details.as_ref()?.suspension.as_deref()
    }

    /// Its restriction, where that has not ended at `now`.
    #[must_use]
    pub fn restriction(&self, now: UnixMillis) -> Option<&Restriction> {
        self.details.as_ref()?.restriction.as_deref().filter(|restriction| now < restriction.ends_at)
    }

    /// The key whose child it is, of the same keyspace.
    #[must_use]
    pub fn parent(&self) -> Option<KeyId> {
        self.details.as_ref()?.parent
    }

    /// When it last came to its owner and roles.
    #[must_use]
    pub fn placed(&self) -> Revision {
        self.details.as_ref().and_then(|details| details.placed).unwrap_or(self.created)
    }

    /// Its rotation in progress.
    #[must_use]
    pub fn rotation(&self) -> Option<RotationId> {
        self.details.as_ref()?.rotation
    }

    /// When its secret is to be replaced, and how, where that was said of this key alone.
    #[must_use]
    pub fn rotation_policy(&self) -> Option<&RotationPolicy> {
        self.details.as_ref()?.rotation_policy.as_deref()
    }

    /// Where it came from; absent: it was made here.
    #[must_use]
    pub fn imported(&self) -> Option<&Imported> {
        self.details.as_ref()?.imported.as_deref()
    }

    /// The version that an imported text proves, while it is there.
    #[must_use]
    pub fn imported_version(&self) -> Option<&Version> {
        self.version(self.imported()?.version)
    }

    /// The version with this id.
    #[must_use]
    pub fn version(&self, id: VersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }
}
