//! What is delivered.

use latchkey_crypto::KeyText;
use latchkey_domain::{RotationName, VersionId, VersionName};

/// A new secret on its way to a store. `Debug` shows no text.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The rotation that it belongs to: the same one delivers the same thing.
    pub rotation: &'a RotationName,
    /// Which version of the key it is.
    pub version: VersionId,
    /// What the holder sends.
    pub text: &'a KeyText,
}

impl Item<'_> {
    /// The full name of the version.
    #[must_use]
    pub fn version_name(&self) -> VersionName {
        VersionName { key: self.rotation.key.clone(), version: self.version }
    }
}
