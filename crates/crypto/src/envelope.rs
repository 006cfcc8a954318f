//! The envelope around whatever lies at rest.
//!
//! ```text
//! sealed = suite (1) || ring number u32 BE (4) || salt (16) || commitment (32) || ciphertext || tag (16)
//! record key (32) || commitment (32) = HKDF-Expand-SHA-256(data key, context || salt)
//! ciphertext || tag = AES-256-GCM(record key, nonce = 0, associated data = context)
//! ```
//! Each record has a key of its own, used once, so the nonce may be fixed and no counter has to survive a restart.
//! The commitment is checked first: GCM alone lets one ciphertext open under two keys, and says "altered" where the
//! truth is "wrong key". Sources: RFC 5869, section 2.3; NIST SP 800-38D, section 8.2.
mod context;
mod data_key;
mod error;

pub use context::{Context, Field};
pub use data_key::DataKey;
pub use error::OpenError;

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _, Nonce};
use alloc::vec::Vec;
use core::ops::Range;
use hkdf::Hkdf;
use latchkey_domain::RingNumber;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// HKDF-SHA-256 with AES-256-GCM, key-committing: the only suite so far.
pub const SUITE: u8 = 1;
/// Bytes of a salt. 2^64 records under one data key, and still no two alike are expected.
pub const SALT_BYTES: usize = 16;
/// By how much a sealed record is longer than what is in it. Bytes.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;
/// Longest plaintext. Bytes. Far above any record or frame, far below the 64 GiB at which GCM ends.
pub const PLAINTEXT_BYTES_MAX: usize = 64 << 20;

const COMMITMENT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const NUMBER: Range<usize> = 1..5;
const SALT: Range<usize> = NUMBER.end..NUMBER.end + SALT_BYTES;
const COMMITMENT: Range<usize> = SALT.end..SALT.end + COMMITMENT_BYTES;
const HEAD_BYTES: usize = COMMITMENT.end;
/// The record key is used for one message, so the nonce need not differ.
const NONCE: [u8; 12] = [0; 12];

const _: () = assert!(OVERHEAD_BYTES == 69, "the layout above is a contract");
const _: () = assert!((PLAINTEXT_BYTES_MAX as u64) < (1 << 36) - 32, "SP 800-38D, section 5.2.1.1");

/// Seals `plaintext` under a record key made from `key`, `context` and `salt`.
///
/// `number` is the row of the keyring that holds `key`; it stands in clear, authenticated, so that whoever opens
/// finds the key. `context` is authenticated and not stored. `salt` must be fresh randomness
/// (`draw::<SALT_BYTES>(entropy)`): a second plaintext under the same key, context and salt would show both.
///
/// # Panics
/// Above [`PLAINTEXT_BYTES_MAX`]: requests, records and frames are bounded far below, so that is a bug of the caller.
#[must_use]
pub fn seal(
    key: &DataKey,
    number: RingNumber,
    context: &Context<'_>,
    salt: [u8; SALT_BYTES],
    plaintext: &[u8],
) -> Vec<u8> {
    assert!(plaintext.len() <= PLAINTEXT_BYTES_MAX, "records are bounded below PLAINTEXT_BYTES_MAX");
    let record = RecordKey::derive(key, SUITE, number, context, &salt);
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    sealed.push(SUITE);
    sealed.extend_from_slice(&number.0.to_be_bytes());
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(record.commitment());
    sealed.extend_from_slice(plaintext);
    let tag = record
        .cipher()
        .encrypt_inout_detached(&Nonce::from(NONCE), record.associated(), (&mut sealed[HEAD_BYTES..]).into())
        .expect("PLAINTEXT_BYTES_MAX is below the bound of GCM");
    sealed.extend_from_slice(&tag);
    sealed
}

/// The number of the key that opens `sealed`, as its header says; it proves nothing until [`open`] succeeds.
///
/// # Errors
/// [`OpenError::TooShort`] and [`OpenError::Suite`].
pub fn ring_number(sealed: &[u8]) -> Result<RingNumber, OpenError> {
    Parts::split(sealed).map(|parts| parts.number)
}

/// Opens what [`seal`] made. `key` is the one that [`ring_number`] names.
///
/// # Errors
/// [`OpenError::WrongKey`] where key or context differ or the header was altered, [`OpenError::Altered`] where the
/// ciphertext was, and [`OpenError::TooShort`] and [`OpenError::Suite`] for what this build did not seal.
pub fn open(key: &DataKey, context: &Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let parts = Parts::split(sealed)?;
    let record = RecordKey::derive(key, SUITE, parts.number, context, parts.salt);
    if !bool::from(record.commitment().ct_eq(parts.commitment)) {
        return Err(OpenError::WrongKey { number: parts.number });
    }
    let mut plaintext = Zeroizing::new(parts.ciphertext.to_vec());
    record
        .cipher()
        .decrypt_inout_detached(
            &Nonce::from(NONCE),
            record.associated(),
            plaintext.as_mut_slice().into(),
            &(*parts.tag).into(),
        )
        .map_err(|_| OpenError::Altered { number: parts.number })?;
    Ok(plaintext)
}

/// A sealed record, cut where the layout says.
struct Parts<'a> {
    number: RingNumber,
    salt: &'a [u8; SALT_BYTES],
    commitment: &'a [u8; COMMITMENT_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn split(sealed: &'a [u8]) -> Result<Self, OpenError> {
        let too_short = OpenError::TooShort { found: sealed.len() };
        let (suite, rest) = sealed.split_first().ok_or(too_short)?;
        let (number, rest) = rest.split_first_chunk().ok_or(too_short)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(too_short)?;
        let (commitment, rest) = rest.split_first_chunk().ok_or(too_short)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(too_short)?;
        if *suite != SUITE {
            return Err(OpenError::Suite { found: *suite });
        }
        Ok(Self { number: RingNumber(u32::from_be_bytes(*number)), salt, commitment, ciphertext, tag })
    }
}

/// The key of one record, its commitment, and the bytes that both are bound to. Zeroed on drop.
struct RecordKey {
    okm: Zeroizing<[u8; 32 + COMMITMENT_BYTES]>,
    /// `context || salt`, in one allocation; the associated data is all but the salt.
    info: Vec<u8>,
}

impl RecordKey {
    fn derive(key: &DataKey, suite: u8, number: RingNumber, context: &Context<'_>, salt: &[u8; SALT_BYTES]) -> Self {
        let info = context.encode(suite, number, salt);
        let mut okm = Zeroizing::new([0; 32 + COMMITMENT_BYTES]);
        let prk: &Hkdf<Sha256> = key.prk();
        prk.expand(&info, okm.as_mut()).expect("64 bytes are within the 8,160 that HKDF-SHA-256 gives");
        Self { okm, info }
    }

    fn cipher(&self) -> Aes256Gcm {
        let (key, _) = self.okm.split_first_chunk::<32>().expect("64 bytes hold 32");
        Aes256Gcm::new(key.into())
    }

    fn commitment(&self) -> &[u8; COMMITMENT_BYTES] {
        self.okm.last_chunk().expect("64 bytes hold 32")
    }

    fn associated(&self) -> &[u8] {
        &self.info[..self.info.len() - SALT_BYTES]
    }
}

#[cfg(test)]
mod tests;
