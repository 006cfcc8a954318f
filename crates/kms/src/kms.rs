//! The trait that a KEK is used through.
use latchkey_crypto::DataKey;
use std::fmt;
use std::pin::Pin;

/// A future that a `dyn Kms` can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wraps and unwraps keys under a KEK that it does not give out.
///
/// A call has no deadline of its own: whoever awaits it sets one, and what it drops leaves nothing half done.
/// `testing::conformance` is what every implementer must pass.
pub trait Kms: Send + Sync + fmt::Debug {
    /// Which KEK this is, for logs and alarms, such as `file:/etc/latchkey/kek`. Never a secret.
    fn name(&self) -> &str;

    /// Wraps `key` so that it unwraps only under the same KEK and with the same `context`.
    ///
    /// `context` says what the key is for: the cluster, its purpose, its number in the keyring. It is authenticated
    /// and not stored.
    ///
    /// # Errors
    /// [`KmsError::Unavailable`].
    fn wrap<'a>(&'a self, context: &'a [u8], key: &'a DataKey) -> BoxFuture<'a, Result<Wrapped, KmsError>>;

    /// Unwraps what [`Self::wrap`] gave.
    ///
    /// # Errors
    /// All of [`KmsError`].
    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>>;
}

/// A key, wrapped: safe to store and to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl Wrapped {
    /// The bytes that an implementer made.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

/// Why a key was not wrapped or unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The KMS did not answer. Trying again may help; nothing is known about the key.
    #[error("the key-encryption key cannot be reached now")]
    Unavailable,
    /// The KMS answered with another KEK, or the context is another: stay locked and raise the alarm.
    #[error("the key-encryption key is not the one that wrapped this key, or not for this purpose")]
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
