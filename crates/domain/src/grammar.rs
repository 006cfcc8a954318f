//! What every parser of this crate answers when a text breaks its grammar: where, and which rule.

use core::fmt;

/// A text broke a rule of its grammar at a byte.
///
/// The text itself is not part of the error, because errors are logged and a text may be a secret pasted into the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrammarError<Rule> {
    /// Offset in bytes from the start of the text, at most its length.
    pub position: usize,
    /// The rule that the text breaks there.
    pub rule: Rule,
}

impl<Rule> GrammarError<Rule> {
    /// `rule` is broken at byte `position`.
    pub const fn new(position: usize, rule: Rule) -> Self {
        Self { position, rule }
    }
}

impl<Rule: fmt::Display> fmt::Display for GrammarError<Rule> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.position, self.rule)
    }
}

impl<Rule: fmt::Debug + fmt::Display> core::error::Error for GrammarError<Rule> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_the_place_and_the_rule_but_not_the_text() {
        let error = crate::prefix::Prefix::parse("acme live").unwrap_err();
        assert_eq!(error.to_string(), "at byte 4: only lower-case letters, digits and `_` are allowed");
        assert_eq!(GrammarError::new(4, error.rule), error);
    }
}
