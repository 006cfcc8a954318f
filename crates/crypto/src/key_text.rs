//! The text of a key: `{prefix}_{version id 16}_{secret 32}{checksum 6}`, 57 to 72 characters.
//!
//! All but the prefix have fixed widths and base62 has no `_`, so a text is cut from its end in one way only. The
//! checksum keeps mistyped, truncated and invented texts from any lookup, and lets a scanner tell a key from noise.
use crate::{SECRET_CHARS, Secret};
use alloc::string::String;
use core::fmt;
use latchkey_domain::{ID_CHARS, PREFIX_BYTES_MAX, Prefix, VersionId, base62};
use zeroize::Zeroizing;

/// Longest key text. Characters, all ASCII.
pub const KEY_TEXT_CHARS_MAX: usize = PREFIX_BYTES_MAX + TAIL_CHARS;

const CHECKSUM_CHARS: usize = 6;
/// All after the prefix: two underscores, the version id, the secret and the checksum.
const TAIL_CHARS: usize = 1 + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;

const _: () = assert!(KEY_TEXT_CHARS_MAX == 72, "the API promises at most 72 characters");
const _: () = assert!(62_u64.pow(6) > u32::MAX as u64, "six digits hold every checksum");

/// The text of a key, to be shown once. Zeroed on drop.
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// The characters, for the one answer that shows them.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({} characters)", self.0.len())
    }
}

/// What a well-formed key text says.
#[derive(Debug)]
pub struct PresentedText<'a> {
    /// The prefix, well-formed; whether a keyspace has it is another question.
    pub prefix: &'a str,
    /// The version that the text claims to be.
    pub version: VersionId,
    /// The secret that is to prove it.
    pub secret: Secret,
}

/// Writes the text of a key.
#[must_use]
pub fn compose(prefix: &Prefix, version: VersionId, secret: &Secret) -> KeyText {
    // The capacity is exact: growing would leave a copy of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.as_str().len() + TAIL_CHARS));
    text.push_str(prefix.as_str());
    text.push('_');
    text.push_str(ascii(&version.chars()));
    text.push('_');
    text.push_str(ascii(secret.expose()));
    let checksum = checksum(text.as_bytes());
    text.push_str(ascii(&checksum));
    KeyText(text)
}

/// Reads a text that a caller sent; `None` for any that [`compose`] does not write. Allocates nothing.
#[must_use]
pub fn parse(text: &str) -> Option<PresentedText<'_>> {
    let (body, found) = text.as_bytes().split_last_chunk::<CHECKSUM_CHARS>()?;
    let (head, secret) = body.split_last_chunk::<SECRET_CHARS>()?;
    let (head, version) = head.strip_suffix(b"_")?.split_last_chunk::<ID_CHARS>()?;
    let prefix = head.strip_suffix(b"_")?;
    if !is_prefix(prefix) || checksum(body) != *found {
        return None;
    }
    Some(PresentedText {
        prefix: ascii(prefix),
        version: VersionId::from_chars(version)?,
        secret: Secret::from_chars(secret)?,
    })
}

/// CRC-32/ISO-HDLC of all before it, as six base62 digits.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut digits = [0; CHECKSUM_CHARS];
    base62::encode(crc32fast::hash(body).into(), &mut digits);
    digits
}

/// Whether [`Prefix::parse`] would read it; that one allocates, and validation must not. A test holds them together.
fn is_prefix(bytes: &[u8]) -> bool {
    let word = |word: &[u8]| !word.is_empty() && word.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    bytes.len() <= PREFIX_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.split(|byte| *byte == b'_').all(word)
}

fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("prefixes and base62 digits are ASCII")
}

#[cfg(test)]
mod tests;
