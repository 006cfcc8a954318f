//! Keys of notes: those that sign, and those that verify.
use super::{KeyTextError, Signature};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The latest time of a cosignature: more does not fit a signed number. Source: c2sp.org/tlog-cosignature.
const SECONDS_MAX: u64 = i64::MAX as u64;

/// How a key signs a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 over the text: the log's own signature.
    Ed25519,
    /// Ed25519 over a time and the text: a cosigner's, `cosignature/v1`.
    CosignatureV1,
}

impl Algorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// What verifies signatures: a name, an algorithm and a public key. Its text is `name+id+base64(algorithm || key)`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    algorithm: Algorithm,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key of that name.
    ///
    /// # Errors
    /// [`KeyTextError::Name`], [`KeyTextError::Key`].
    pub fn new(name: &str, algorithm: Algorithm, public: &[u8; 32]) -> Result<Self, KeyTextError> {
        if !is_name(name) {
            return Err(KeyTextError::Name);
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyTextError::Key)?;
        Ok(Self { name: name.to_string(), id: id_of(name, algorithm, public), algorithm, key })
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    /// [`KeyTextError`].
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyTextError::Shape);
        };
        let hexadecimal = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u32::from_str_radix(id, 16).ok().filter(|_| hexadecimal).ok_or(KeyTextError::Shape)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyTextError::Shape)?;
        let (kind, public) = bytes.split_first().ok_or(KeyTextError::Shape)?;
        let algorithm = [Algorithm::Ed25519, Algorithm::CosignatureV1].into_iter().find(|known| known.byte() == *kind);
        let algorithm = algorithm.ok_or(KeyTextError::Algorithm { found: *kind })?;
        let found = Self::new(name, algorithm, public.try_into().map_err(|_| KeyTextError::Key)?)?;
        if found.id == id { Ok(found) } else { Err(KeyTextError::Id) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The short id that stands in signatures: it finds a key and proves nothing.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Whether this key made the signature over `text`: `None` where not, else for a cosignature its time in seconds.
    pub(super) fn verify(&self, text: &str, signature: &Signature) -> Option<Option<u64>> {
        let (unix_seconds, message, bytes) = match self.algorithm {
            Algorithm::Ed25519 => (None, text.to_string(), signature.bytes()),
            Algorithm::CosignatureV1 => {
                let (seconds, bytes) = signature.bytes().split_first_chunk()?;
                let seconds = u64::from_be_bytes(*seconds);
                (Some(seconds), cosigned(seconds, text)?, bytes)
            }
        };
        let signature = ed25519_dalek::Signature::from_slice(bytes).ok()?;
        self.key.verify_strict(message.as_bytes(), &signature).ok()?;
        Some(unix_seconds)
    }

    /// Whether this key of [`Algorithm::CosignatureV1`] made the line over `text`, and when, in seconds since 1970.
    #[must_use]
    pub fn verify_cosignature(&self, text: &str, signature: &Signature) -> Option<u64> {
        if signature.is_of(self) { self.verify(text, signature)? } else { None }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm.byte()][..], self.key.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// What signs. Leaves memory with its value.
pub struct SignerKey {
    verifier: VerifierKey,
    key: SigningKey,
}

impl SignerKey {
    /// The key of that name that grows from `seed`.
    ///
    /// # Errors
    /// [`KeyTextError::Name`].
    pub fn new(name: &str, algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self, KeyTextError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, algorithm, key.verifying_key().as_bytes())?;
        Ok(Self { verifier, key })
    }

    /// What verifies what this signs.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text as the log does.
    pub(super) fn sign(&self, text: &str) -> Signature {
        self.line(self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }

    /// Cosigns the text of a checkpoint at `unix_seconds` (at most 2^63 - 1): `cosignature/v1`.
    #[must_use]
    pub fn cosign(&self, unix_seconds: u64, text: &str) -> Signature {
        let seconds = unix_seconds.min(SECONDS_MAX);
        let message = cosigned(seconds, text).expect("the time was bounded");
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        self.line([&seconds.to_be_bytes()[..], &signature].concat())
    }

    fn line(&self, bytes: Vec<u8>) -> Signature {
        Signature::new(self.verifier.name.clone(), self.verifier.id, bytes)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.verifier)
    }
}

/// What a cosigner signs; `None` beyond the latest time.
fn cosigned(unix_seconds: u64, text: &str) -> Option<String> {
    (unix_seconds <= SECONDS_MAX).then(|| format!("cosignature/v1\ntime {unix_seconds}\n{text}"))
}

/// The first four bytes of `SHA-256(name || 0x0A || algorithm || key)`.
fn id_of(name: &str, algorithm: Algorithm, public: &[u8; 32]) -> u32 {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', algorithm.byte()]).chain_update(public).finalize();
    let (first, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    u32::from_be_bytes(*first)
}

/// Whether a key may be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|char| char.is_whitespace() || char.is_control() || char == '+')
}
