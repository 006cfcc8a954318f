//! What few keys have.

use super::{Imported, Revocation};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use latchkey_domain::{
    KeyId, Metadata, NetworkSet, PermissionSet, Purpose, ReasonText, Revision, RotationId, RotationPolicy, UnixMillis,
};

/// What few keys have: together they would make each key a third larger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// What the key is for; may be empty.
    pub purpose: Purpose,
    /// The tenant's own words about it.
    pub metadata: Metadata,
    /// From when on it is accepted; absent: at once.
    pub not_before: Option<UnixMillis>,
    /// Its last change, its versions aside; absent: none since it was made.
    pub changed: Option<Change>,
    /// Set once it is revoked.
    pub revocation: Option<Box<Revocation>>,
    /// Set while it is suspended.
    pub suspension: Option<Box<Suspension>>,
    /// Set while it may do less; its end may have passed.
    pub restriction: Option<Box<Restriction>>,
    /// The key whose child it is, of the same keyspace.
    pub parent: Option<KeyId>,
    /// When it last came to its owner and roles; absent: when it was made. What a cut of these compares.
    pub placed: Option<Revision>,
    /// Its rotation in progress.
    pub rotation: Option<RotationId>,
    /// Where it came from; absent: it was made here.
    pub imported: Option<Box<Imported>>,
    /// When its secret is to be replaced, and how: takes the place of the keyspace's policy as a whole.
    pub rotation_policy: Option<Box<RotationPolicy>>,
    /// Notices that were owed up to here were given.
    pub noticed_through: Option<UnixMillis>,
    /// Notices of its expiry that were owed up to here were given, or came before that expiry was set; absent: up to when it
    /// was made.
    pub expiry_told_through: Option<UnixMillis>,
}

/// That a key is suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Since when.
    pub at: UnixMillis,
    /// Why; may be empty.
    pub text: ReasonText,
}

/// That a key may do less until a time. It was within the terms of the key when it was made; since these may have
/// shrunk, both are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// What it may do at most; absent: permissions are not restricted.
    pub permissions: Option<PermissionSet>,
    /// From where at most; empty: networks are not restricted.
    pub networks: NetworkSet,
    /// Until when.
    pub ends_at: UnixMillis,
    /// Since when.
    pub at: UnixMillis,
    /// Why; may be empty.
    pub text: ReasonText,
}

/// That a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision that changed it.
    pub revision: Revision,
    /// When that was.
    pub at: UnixMillis,
}

impl Change {
    /// The etag of a record that last changed here.
    #[must_use]
    pub(crate) fn etag(self) -> String {
        let Revision { epoch, index } = self.revision;
        format!("{epoch}-{index}")
    }
}
