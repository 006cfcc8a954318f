//! What few keys have.

use super::Revocation;
use alloc::boxed::Box;
use latchkey_domain::{Metadata, Purpose, Revision, UnixMillis};

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
}

/// That a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision that changed it.
    pub revision: Revision,
    /// When that was.
    pub at: UnixMillis,
}
