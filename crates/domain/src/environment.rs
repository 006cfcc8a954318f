//! The environment of a keyspace.

use alloc::boxed::Box;
use core::fmt;

use crate::grammar::GrammarError;

/// Longest environment word, in bytes.
pub const ENVIRONMENT_BYTES_MAX: usize = 32;

/// `development`, `staging`, `production`, or a word of the tenant's own: `[a-z][a-z0-9-]{0,31}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Environment(Box<str>);

/// A text is no environment.
pub type EnvironmentError = GrammarError<EnvironmentRule>;

/// The rules of the environment grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnvironmentRule {
    /// At most [`ENVIRONMENT_BYTES_MAX`] bytes.
    Length,
    /// The first character is `[a-z]`.
    Start,
    /// Only `[a-z0-9-]`.
    Character,
}

impl Environment {
    /// The preset for work in progress.
    pub const DEVELOPMENT: &str = "development";
    /// The preset for rehearsals.
    pub const STAGING: &str = "staging";
    /// The preset for live traffic.
    pub const PRODUCTION: &str = "production";

    /// Reads an environment.
    ///
    /// # Errors
    /// [`EnvironmentError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, EnvironmentError> {
        check_word(text)?;
        Ok(Self(text.into()))
    }

    /// The text, as it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the preset `production`.
    pub fn is_production(&self) -> bool {
        *self.0 == *Self::PRODUCTION
    }
}

/// Whether the text is a word `[a-z][a-z0-9-]{0,31}`.
pub(crate) fn check_word(text: &str) -> Result<(), EnvironmentError> {
    if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(EnvironmentError::new(0, EnvironmentRule::Start));
    }
    for (position, byte) in text.bytes().enumerate() {
        let rule = match byte {
            _ if position == ENVIRONMENT_BYTES_MAX => EnvironmentRule::Length,
            b'a'..=b'z' | b'0'..=b'9' | b'-' => continue,
            _ => EnvironmentRule::Character,
        };
        return Err(EnvironmentError::new(position, rule));
    }
    Ok(())
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({})", self.0)
    }
}

impl fmt::Display for EnvironmentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "an environment has at most {ENVIRONMENT_BYTES_MAX} bytes"),
            Self::Start => f.write_str("an environment begins with a lower-case letter"),
            Self::Character => f.write_str("only lower-case letters, digits and `-` are allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_environment_is_refused_where_it_breaks() {
        for (text, position, rule) in [
            ("", 0, EnvironmentRule::Start),
            ("-live", 0, EnvironmentRule::Start),
            ("9", 0, EnvironmentRule::Start),
            ("Production", 0, EnvironmentRule::Start),
            ("pre_prod", 3, EnvironmentRule::Character),
            ("live\n", 4, EnvironmentRule::Character),
            ("abcdefghijklmnopqrstuvwxyz0123456", 32, EnvironmentRule::Length),
        ] {
            assert_eq!(Environment::parse(text), Err(EnvironmentError::new(position, rule)), "{text:?}");
        }
    }

    #[test]
    fn presets_and_words_of_the_tenant_are_read() {
        for text in
            [Environment::DEVELOPMENT, Environment::STAGING, "eu-live-2", "q", "abcdefghijklmnopqrstuvwxyz012345"]
        {
            let environment = Environment::parse(text).unwrap();
            assert_eq!(environment.as_str(), text);
            assert!(!environment.is_production());
        }
        assert!(Environment::parse(Environment::PRODUCTION).unwrap().is_production());
    }
}
