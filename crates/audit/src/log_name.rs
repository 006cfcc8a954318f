//! Which log: a cluster may have had another one before, whose sequences are the same and whose entries are not.

use latchkey_transparency::Hash;
use std::fmt;

const BYTES: usize = 16;

/// What tells a log from any other: the beginning of the leaf of its first entry, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogName([u8; BYTES]);

impl LogName {
    /// Of the log whose first entry has this leaf.
    #[must_use]
    pub fn of(first: &Hash) -> Self {
        Self(*first.as_bytes().first_chunk().expect("a hash is longer"))
    }

    /// Its bytes.
    pub(crate) const fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Reads what `Display` shows: 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() == 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_plain.then(|| u128::from_str_radix(text, 16))?.ok()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        let name = LogName::of(&Hash::new([0x0a; 32]));
        assert_eq!(name.to_string(), "0a".repeat(16));
        assert_eq!(LogName::parse(&name.to_string()), Some(name));
        for other in ["", "0a", &"0g".repeat(16), &"0a".repeat(17), &format!("+{}", "a".repeat(31))] {
            assert_eq!(LogName::parse(other), None, "{other}");
        }
    }
}
