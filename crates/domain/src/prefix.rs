//! The first part of every key text of a keyspace.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;

use crate::grammar::GrammarError;

/// Longest prefix, in bytes.
pub const PREFIX_BYTES_MAX: usize = 16;

/// A prefix such as `acme_live`: `[a-z][a-z0-9]*(_[a-z0-9]+)*`, 1 to 16 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Box<str>);

/// A text is no prefix.
pub type PrefixError = GrammarError<PrefixRule>;

/// The rules of the prefix grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrefixRule {
    /// At most [`PREFIX_BYTES_MAX`] bytes.
    Length,
    /// The first character is `[a-z]`.
    Start,
    /// Only `[a-z0-9_]`.
    Character,
    /// `_` stands between two other characters.
    Underscore,
}

impl Prefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// [`PrefixError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(PrefixError::new(0, PrefixRule::Start));
        }
        for (position, byte) in text.bytes().enumerate() {
            let rule = match byte {
                _ if position == PREFIX_BYTES_MAX => PrefixRule::Length,
                b'a'..=b'z' | b'0'..=b'9' => continue,
                // The next byte decides, so that the same rule covers `__` and a `_` at the end.
                b'_' if text.as_bytes().get(position + 1).is_some_and(|next| *next != b'_') => continue,
                b'_' => PrefixRule::Underscore,
                _ => PrefixRule::Character,
            };
            return Err(PrefixError::new(position, rule));
        }
        Ok(Self(text.into()))
    }

    /// The text, as it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// Key texts are looked up by a slice of what the caller sent.
impl Borrow<str> for Prefix {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.0)
    }
}

impl fmt::Display for PrefixRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a prefix has at most {PREFIX_BYTES_MAX} bytes"),
            Self::Start => f.write_str("a prefix begins with a lower-case letter"),
            Self::Character => f.write_str("only lower-case letters, digits and `_` are allowed"),
            Self::Underscore => f.write_str("`_` stands only between two other characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_prefix_is_refused_where_it_breaks() {
        for (text, position, rule) in [
            ("", 0, PrefixRule::Start),
            ("1a", 0, PrefixRule::Start),
            ("_a", 0, PrefixRule::Start),
            ("Acme", 0, PrefixRule::Start),
            ("éa", 0, PrefixRule::Start),
            ("acMe", 2, PrefixRule::Character),
            ("acme-live", 4, PrefixRule::Character),
            ("acme ", 4, PrefixRule::Character),
            ("acmé", 3, PrefixRule::Character),
            ("acme_", 4, PrefixRule::Underscore),
            ("acme__live", 4, PrefixRule::Underscore),
            ("a_-", 2, PrefixRule::Character),
            ("abcdefghijklmnopq", 16, PrefixRule::Length),
        ] {
            assert_eq!(Prefix::parse(text), Err(PrefixError::new(position, rule)), "{text:?}");
        }
    }

    #[test]
    fn prefixes_of_all_shapes_are_read() {
        for text in ["a", "lkm", "acme_live", "a1_2_3b", "abcdefghijklmnop", "a_0"] {
            assert_eq!(Prefix::parse(text).unwrap().as_str(), text);
        }
    }
}
