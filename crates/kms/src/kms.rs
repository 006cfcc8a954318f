//! The trait that a KEK is used through.
use latchkey_crypto::DataKey;
use latchkey_domain::KekId;
use std::fmt;
use std::future::ready;
use std::pin::Pin;

/// A future that a `dyn Kms` can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wraps and unwraps keys under KEKs that it does not give out: usually one, and two or more while one takes the place of
/// another.
///
/// A call has no deadline of its own: whoever awaits it sets one, and what it drops leaves nothing half done.
/// `testing::conformance` is what every implementer must pass.
pub trait Kms: Send + Sync + fmt::Debug {
    /// Where the KEKs are, for logs and alarms, such as `file:/etc/latchkey/kek`. Never a secret.
    fn name(&self) -> &str;

    /// The KEKs at hand, each once. The first is the one that [`Self::wrap`] uses and that a keyring is to move to; the
    /// others unwrap what they wrapped before. Empty while none is to be had.
    fn keks(&self) -> Vec<KekId>;

    /// Wraps `key` under the KEK `under`, so that it unwraps only under the same one and with the same `context`.
    ///
    /// `context` says what the key is for: the cluster, its purpose, its number in the keyring. It is authenticated
    /// and not stored.
    ///
    /// # Errors
    /// [`KmsError::Unavailable`]; [`KmsError::WrongKey`] where `under` is none of [`Self::keks`].
    fn wrap_under<'a>(
        &'a self,
        under: KekId,
        context: &'a [u8],
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Wrapped, KmsError>>;

    /// Unwraps what was wrapped under any of [`Self::keks`].
    ///
    /// # Errors
    /// All of [`KmsError`].
    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>>;

    /// Tells which of [`Self::keks`] wrapped something, where nothing beside it says so.
    ///
    /// # Errors
    /// All of [`KmsError`].
    fn identify<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<KekId, KmsError>>;

    /// Wraps `key` under the first of [`Self::keks`].
    ///
    /// # Errors
    /// [`KmsError::Unavailable`].
    fn wrap<'a>(&'a self, context: &'a [u8], key: &'a DataKey) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        match self.keks().first() {
            Some(first) => self.wrap_under(*first, context, key),
            None => Box::pin(ready(Err(KmsError::Unavailable))),
        }
    }
}

/// A key, wrapped: safe to store and to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped {
    kek: KekId,
    bytes: Vec<u8>,
}

impl Wrapped {
    /// The bytes that an implementer made, under this KEK.
    #[must_use]
    pub const fn new(kek: KekId, bytes: Vec<u8>) -> Self {
        Self { kek, bytes }
    }

    /// The KEK that wrapped it.
    #[must_use]
    pub const fn kek(&self) -> KekId {
        self.kek
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes under {})", self.bytes.len(), self.kek)
    }
}

/// Why a key was not wrapped or unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The KMS did not answer. Trying again may help; nothing is known about the key.
    #[error("the key-encryption key cannot be reached now")]
    Unavailable,
    /// None of the KEKs at hand wrapped it, or the context is another: stay locked and raise the alarm.
    #[error("no key-encryption key at hand wrapped this key, or it is not for this purpose")]
    WrongKey,
    /// The wrapped key itself is damaged, or was made by a newer build.
    #[error("the wrapped key is damaged or of a newer format")]
    Malformed,
}

impl KmsError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Unavailable => true,
            Self::WrongKey | Self::Malformed => false,
        }
    }
}
