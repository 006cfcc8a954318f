//! Texts that people write for people: names, reasons, purposes.

use alloc::boxed::Box;
use core::fmt;

use crate::grammar::GrammarError;

/// A text does not fit its field.
pub type TextError = GrammarError<TextRule>;

/// The rules for texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextRule {
    /// At most `max` bytes of UTF-8.
    Length {
        /// The bound of the field.
        max: usize,
    },
    /// No control characters, line separators or direction overrides: they forge lines in logs and swap words on screens.
    Control,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $bytes_max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Longest text, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Reads the text.
            ///
            /// # Errors
            /// [`TextError`] tells the first byte that does not fit.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                check_text(text, Self::BYTES_MAX)?;
                Ok(Self(text.into()))
            }

            /// The text, as it was read.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether nothing was written.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    };
}

text_type! {
    /// What people call a record. May be empty.
    DisplayName, 128
}
text_type! {
    /// Why somebody did something, in his words. May be empty.
    ReasonText, 512
}
text_type! {
    /// The id of a key in the system that made it. May be empty.
    SourceId, 128
}
text_type! {
    /// The one function that a key serves. May be empty.
    Purpose, 256
}

/// Whether `text` has at most `bytes_max` bytes and nothing that forges a display.
pub(crate) fn check_text(text: &str, bytes_max: usize) -> Result<(), TextError> {
    if text.len() > bytes_max {
        return Err(TextError::new(bytes_max, TextRule::Length { max: bytes_max }));
    }
    match text.char_indices().find(|(_, character)| is_forging(*character)) {
        Some((position, _)) => Err(TextError::new(position, TextRule::Control)),
        None => Ok(()),
    }
}

/// Control characters, the line and paragraph separators, and the direction overrides, embeddings and isolates.
/// Source: Unicode Technical Standard 39 and the "Trojan Source" report (CVE-2021-42574).
fn is_forging(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for TextRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { max } => write!(f, "at most {max} bytes are allowed"),
            Self::Control => f.write_str("control characters, line separators and direction overrides are not allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_forge_a_display_are_refused_where_they_stand() {
        for forging in ['\0', '\n', '\r', '\t', '\x1b', '\x7f', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let text = format!("né{forging}x");
            assert_eq!(DisplayName::parse(&text), Err(TextError::new(3, TextRule::Control)), "{forging:?}");
        }
    }

    #[test]
    fn each_text_ends_at_its_own_bound_counted_in_bytes() {
        assert!(DisplayName::parse(&"é".repeat(64)).is_ok());
        assert_eq!(DisplayName::parse(&"é".repeat(65)), Err(TextError::new(128, TextRule::Length { max: 128 })));
        assert!(ReasonText::parse(&"x".repeat(512)).is_ok());
        assert!(ReasonText::parse(&"x".repeat(513)).is_err());
        assert!(Purpose::parse(&"x".repeat(256)).is_ok());
        assert!(Purpose::parse(&"x".repeat(257)).is_err());
    }

    #[test]
    fn an_empty_text_is_a_text_and_the_default() {
        assert_eq!(DisplayName::parse("").unwrap(), DisplayName::default());
        assert!(Purpose::default().is_empty());
    }
}
