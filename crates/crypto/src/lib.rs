//! What is secret, and how it is made, shown once, recognised and kept (rank 1, pure).
//!
//! In: the text of a key and its secret, the digest that is kept of it, the envelope around whatever lies at rest, the
//! opening of an audit entry. Randomness is an argument ([`Entropy`]); there is no clock and no I/O.
//! Out: who holds which key (`kms`, `registry`, `minting`), transport encryption (`transport`), the audit tree
//! (`transparency`).
//!
//! ```text
//! key text = prefix "_" version "_" secret checksum                          shown once
//! inner    = SHA-256("latchkey/1" || version || secret)                      kept sealed, so that a pepper can change
//! digest   = HMAC-SHA-256(pepper, inner)                                     kept in memory, compared
//! sealed   = suite || ring number || salt || commitment || ciphertext || tag whatever lies at rest
//! o        = HMAC-SHA-256(opening, sequence)                                 hides an audit entry in its leaf
//! ```
//! Types that hold a secret are zeroed on drop, have a `Debug` that shows none of it, no `Display` and no ordinary
//! comparison.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod digest;
mod entropy;
pub mod envelope;
mod key_text;
pub mod opening;
mod secret;

pub use digest::{Digest, Inner, Pepper};
pub use entropy::{Entropy, draw, draw_key_id, draw_rotation_id, draw_version_id};
pub use envelope::DataKey;
pub use key_text::{KEY_TEXT_CHARS_MAX, KeyText, PresentedText, compose, parse};
pub use secret::{SECRET_CHARS, Secret};

#[cfg(test)]
mod test_support;
