//! The types that a setting can have.

use std::net::SocketAddr;
use std::path::PathBuf;

use latchkey_domain::Slug;

/// A value that is read from text.
pub(crate) trait Field: Sized {
    /// What was expected, as in "must be …".
    const EXPECTED: &'static str;
    /// What to do about a wrong one.
    const REMEDY: &'static str = "correct the value";

    fn parse(text: &str) -> Option<Self>;

    /// How a wrong one is told. What may hold a secret is not.
    fn shown(text: &str) -> String {
        format!("{text:?}")
    }
}

impl Field for u64 {
    const EXPECTED: &'static str = "a whole number, 0 or more";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Field for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Field for f64 {
    const EXPECTED: &'static str = "a number";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl Field for String {
    const EXPECTED: &'static str = "a text that is not empty";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Field for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }
}

impl Field for Slug {
    const EXPECTED: &'static str = "a word such as eu-west-1";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Field for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as 127.0.0.1:7720 (port 0: any free one)";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Absent or empty is `None`.
impl<T: Field> Field for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const REMEDY: &'static str = T::REMEDY;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }

    fn shown(text: &str) -> String {
        T::shown(text)
    }
}

/// Separated by commas.
impl<T: Field> Field for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const REMEDY: &'static str = T::REMEDY;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::new());
        }
        text.split(',').map(|item| T::parse(item.trim())).collect()
    }

    fn shown(text: &str) -> String {
        T::shown(text)
    }
}
