//! The trait that a place of delivery is used through.

use crate::{DeliveryError, Item};
use latchkey_domain::{RotationName, VersionName};
use std::fmt;
use std::pin::Pin;

/// A future that a `dyn Store` can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Puts secrets where their consumers read them.
///
/// Every call ends within a time that the implementer bounds. What is dropped half way leaves the place as it was or as it
/// was to be, never something in between. `testing::conformance` is what every implementer must pass.
pub trait Store: Send + Sync + fmt::Debug {
    /// Where this delivers to, for logs and alarms, such as `file:/run/keys/{key}`. Never a secret.
    fn place(&self) -> &str;

    /// Lays the text of `item` beside the place that its consumers read, which stays as it is.
    ///
    /// Idempotent by the rotation: the same item again changes nothing, another version under the same rotation takes the
    /// place of the one before, and what other rotations left beside is destroyed.
    ///
    /// # Errors
    /// [`DeliveryError`]. Consumers find what they found before, whole.
    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>>;

    /// Puts what was staged where consumers read it, and keeps what was there.
    ///
    /// Called when every replica accepts the new version, so that nobody who reads it is refused. Idempotent: fine where
    /// `version` is there already.
    ///
    /// # Errors
    /// [`DeliveryError`], [`DeliveryError::NotStaged`] among them. Consumers find what they found before, whole.
    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>>;

    /// Ends what [`Self::stage`] began: destroys what was kept, or gives it back.
    ///
    /// Idempotent: nothing is left to do for a rotation that has ended, or whose place another has taken.
    ///
    /// # Errors
    /// [`DeliveryError`]. Consumers find what they found before, whole.
    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>>;

    /// What a consumer's check is told of where the staged text lies, such as `LATCHKEY_STAGED` and a path. Never a secret.
    fn staged_at(&self, _rotation: &RotationName) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The new secret stays: what was kept of the old one is destroyed.
    Completed,
    /// Rolled back, cancelled or failed: the old secret is put back.
    Undone,
}

impl Ending {
    /// Its word, as a hook is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Undone => "undone",
        }
    }
}
