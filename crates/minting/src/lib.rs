//! The last place where a plaintext secret exists (rank 3, pure).
//!
//! In: drawing the ids and the secret of a key or of another version of it, its digest, the seal around its inner digest, the box that lets a repeat
//! show the text again, new keys of the keyring, the first command of a cluster, and [`contexts`]: what each of these
//! ciphertexts is bound to, said once for whoever seals and whoever opens.
//! Out: who may mint (`link`, and apply again), what the KEK wraps (`kms`), and time: a command carries durations.
//!
//! ```text
//! Mint::key  -> Minted  -> into_new_key -> state::NewKey (digest, sealed inner)   + KeyText, shown once
//! Mint::version -> MintedVersion -> into_new_version -> state::NewVersion         + KeyText, shown once
//! DrawnKey   -> wrapped by the KEK, or wrapped_under another ring key             -> state::WrappedKey
//! replay::seal: key texts -> the box that CreateKeys or RotateKey carries         <- replay::open on a repeat
//! rekey: an inner digest, or a key of the keyring, from under an old key to under the one that took its place
//! Founding   -> wrapped by the KEK -> into_bootstrap -> state::Bootstrap          + the text of root's first key
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod contexts;
mod founding;
mod import;
mod mint;
mod rekey;
pub mod replay;
mod ring;

pub use founding::{Founding, FoundingWrapped, MANAGEMENT_PREFIX, ROOT_IDENTITY};
pub use import::{ImportMaterial, ImportProof};
pub use mint::{KeyDetails, Mint, Minted, MintedVersion};
pub use rekey::{open_inner, rewrap, seal_inner};
pub use ring::{DrawnKey, UnwrapError, unwrap};

use latchkey_domain::RingNumber;

/// A key with its number in the keyring, as it stands in front of what it seals.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<T> {
    /// The number; 0 where it is not known yet, or is the KEK's.
    pub number: RingNumber,
    /// The key.
    pub key: T,
}

impl<T> Numbered<T> {
    /// A key and its number.
    #[must_use]
    pub const fn new(number: RingNumber, key: T) -> Self {
        Self { number, key }
    }
}

#[cfg(test)]
mod test_support;
