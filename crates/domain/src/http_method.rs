//! The method of a client's request.

use core::fmt;

use crate::bounded_set::BoundedSet;
use crate::grammar::GrammarError;

/// Longest method, in bytes. The longest registered one is `UPDATEREDIRECTREF`, of 17 bytes and of no use to an API.
pub const METHOD_BYTES_MAX: usize = 16;
/// Most methods in one set.
pub const METHODS_MAX: usize = 16;

/// A method such as `GET`: a token without lower-case letters and `*`, 1 to 16 bytes.
///
/// Methods are case-sensitive, so `get` is not `GET` but almost surely a mistake; and `*` would look like a wildcard and match nothing.
/// Source: RFC 9110, sections 5.6.2 and 9.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method([u8; METHOD_BYTES_MAX]);

/// Methods. What an empty set means is for its owner to say: in [`Terms`](crate::Terms) it restricts nothing.
pub type MethodSet = BoundedSet<Method, METHODS_MAX>;

/// A text is no method.
pub type MethodError = GrammarError<MethodRule>;

/// The rules of the method grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodRule {
    /// At least one byte.
    Empty,
    /// At most [`METHOD_BYTES_MAX`] bytes.
    Length,
    /// No lower-case letters.
    LowerCase,
    /// Only the characters of a token, without `*`.
    Character,
}

impl Method {
    /// Reads a method.
    ///
    /// # Errors
    /// [`MethodError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, MethodError> {
        if text.is_empty() {
            return Err(MethodError::new(0, MethodRule::Empty));
        }
        let mut bytes = [0; METHOD_BYTES_MAX];
        for (position, byte) in text.bytes().enumerate() {
            let rule = match byte {
                _ if position == METHOD_BYTES_MAX => MethodRule::Length,
                b'a'..=b'z' => MethodRule::LowerCase,
                byte if is_token_byte(byte) => {
                    bytes[position] = byte;
                    continue;
                }
                _ => MethodRule::Character,
            };
            return Err(MethodError::new(position, rule));
        }
        Ok(Self(bytes))
    }

    /// The text, as it was read.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(METHOD_BYTES_MAX);
        core::str::from_utf8(&self.0[..length]).expect("ASCII: parse takes nothing else")
    }
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase()
        || byte.is_ascii_digit()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({self})")
    }
}

impl fmt::Display for MethodRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a method must not be empty"),
            Self::Length => write!(f, "a method has at most {METHOD_BYTES_MAX} bytes"),
            Self::LowerCase => f.write_str("methods are case-sensitive and written in upper case"),
            Self::Character => f.write_str("only the characters of an HTTP token without `*` are allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_method_is_refused_where_it_breaks() {
        for (text, position, rule) in [
            ("", 0, MethodRule::Empty),
            ("get", 0, MethodRule::LowerCase),
            ("GEt", 2, MethodRule::LowerCase),
            ("*", 0, MethodRule::Character),
            ("GET ", 3, MethodRule::Character),
            ("GET/", 3, MethodRule::Character),
            ("GET\0", 3, MethodRule::Character),
            ("GÉT", 1, MethodRule::Character),
            ("A,B", 1, MethodRule::Character),
            ("ABCDEFGHIJKLMNOPQ", 16, MethodRule::Length),
        ] {
            assert_eq!(Method::parse(text), Err(MethodError::new(position, rule)), "{text:?}");
        }
    }

    #[test]
    fn registered_and_own_methods_are_read() {
        for text in ["GET", "VERSION-CONTROL", "BASELINE-CONTROL", "M-SEARCH", "X", "A1_!"] {
            assert_eq!(Method::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn methods_sort_as_their_texts() {
        let sorted =
            MethodSet::from_values(["POST", "GET", "GETX", "HEAD"].map(|text| Method::parse(text).unwrap())).unwrap();
        assert_eq!(sorted.iter().map(Method::as_str).collect::<Vec<_>>(), ["GET", "GETX", "HEAD", "POST"]);
    }
}
