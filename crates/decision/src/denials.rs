//! Keys that this replica does not accept since an operator told it so, whatever the state says of them.

use alloc::collections::BTreeSet;
use latchkey_domain::{KeyId, VersionId};
use latchkey_state::{By, Found, Key};

/// Keys and versions that one replica denies. They are few, and most replicas have none for years: where there are
/// none, none are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denials {
    keys: BTreeSet<KeyId>,
    versions: BTreeSet<VersionId>,
}

impl Denials {
    /// Denies a key, or one version of it.
    pub fn deny(&mut self, key: KeyId, version: Option<VersionId>) {
        match version {
            Some(version) => _ = self.versions.insert(version),
            None => _ = self.keys.insert(key),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.versions.is_empty()
    }

    /// Whether this version is denied: itself, its key, or the parent key.
    pub(crate) fn of(&self, found: &Found<'_>) -> Option<By> {
        if self.versions.contains(&found.version.id) {
            return Some(By::Version);
        }
        if self.keys.contains(&found.key.id) {
            return Some(By::Key);
        }
        let parent = Key::parent(found.key).filter(|parent| self.keys.contains(parent));
        parent.map(|_| By::Parent)
    }
}
