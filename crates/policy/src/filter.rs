//! Filters of listings: `owner = "tenants/a/owners/b" AND state = ACTIVE AND age > 90d`.
//!
//! Grammar: `filter = [comparison ("AND" comparison)*]`, `comparison = field operator value`, with the operators `=`, `!=`, `<`, `<=`,
//! `>` and `>=`; a conjunction, and so a subset of AIP-160. A value is bare or quoted by `"` or `'`, where `\` stands before a quote, a `\`
//! or a `*` that is meant as such. A bare value ends at white space, a quote, a parenthesis or an operator. Which fields there are, and what
//! is compared with each, each listing declares ([`Field`]):
//!
//! | kind | values | operators |
//! |---|---|---|
//! | word | one of a list | `=`, `!=` |
//! | text | a text, whole | `=`, `!=` |
//! | text or prefix | a text; with a `*` at its end, what begins so | `=`, `!=` |
//! | time | RFC 3339: `2026-01-01T00:00:00Z`, `2026-01-01T02:00:00.5+02:00` | all |
//! | span | a number and its unit: `ms`, `s`, `m`, `h`, `d`, `w` | all |
//!
//! An empty filter holds for everything. At most 1,024 bytes and 16 comparisons, so that reading and answering one is bounded.

mod field;
mod rule;
mod span;
mod time;
mod token;
mod value;

pub use field::{Field, Kind};
pub use rule::{FilterError, FilterRule};
pub use time::Moment;
pub use value::{Comparison, Operator, Value};

use alloc::vec::Vec;
use core::fmt;

use token::{Token, Tokens};

/// Longest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 1_024;
/// Most comparisons of a filter.
pub const FILTER_COMPARISONS_MAX: usize = 16;

/// A conjunction of comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    comparisons: Vec<Comparison>,
}

impl Filter {
    /// Reads a filter over `fields`.
    ///
    /// # Errors
    /// [`FilterError`] tells the byte where the text breaks the grammar and what is expected there, never what stands there.
    pub fn parse(text: &str, fields: &'static [Field]) -> Result<Self, FilterError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(FilterError::new(FILTER_BYTES_MAX, FilterRule::Length));
        }
        let mut tokens = Tokens::new(text);
        let mut comparisons = Vec::new();
        if tokens.clone().next()?.is_none() {
            return Ok(Self { comparisons });
        }
        loop {
            if comparisons.len() == FILTER_COMPARISONS_MAX {
                return Err(FilterError::new(tokens.position(), FilterRule::Comparisons));
            }
            comparisons.push(comparison(&mut tokens, fields)?);
            match tokens.next()? {
                None => return Ok(Self { comparisons }),
                Some((_, Token::Bare("AND"))) => {}
                Some((position, _)) => return Err(FilterError::new(position, FilterRule::AndExpected)),
            }
        }
    }

    /// What must hold, all of it, in the order of the text.
    #[must_use]
    pub fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }
}

fn comparison(tokens: &mut Tokens<'_>, fields: &'static [Field]) -> Result<Comparison, FilterError> {
    let (position, token) = expected(tokens, FilterRule::FieldExpected { fields })?;
    let field = match token {
        Token::Bare(name) => fields.iter().find(|field| field.name == name),
        Token::Quoted(_) | Token::Operator(_) | Token::Parenthesis => None,
    };
    let field = field.ok_or(FilterError::new(position, FilterRule::FieldExpected { fields }))?;

    let (position, token) = expected(tokens, FilterRule::OperatorExpected)?;
    let Token::Operator(operator) = token else { return Err(FilterError::new(position, FilterRule::OperatorExpected)) };
    if operator.is_order() && !field.kind.is_ordered() {
        return Err(FilterError::new(position, FilterRule::Unordered));
    }

    let (position, token) = expected(tokens, FilterRule::ValueExpected)?;
    let value = match token {
        Token::Bare(text) => field.kind.read(text, false),
        Token::Quoted(text) => field.kind.read(text, true),
        Token::Operator(_) | Token::Parenthesis => Err(FilterRule::ValueExpected),
    };
    let value = value.map_err(|rule| FilterError::new(position, rule))?;
    Ok(Comparison { field: field.name, operator, value })
}

/// The next token, and where it begins; the end of the text breaks `rule`.
fn expected<'a>(tokens: &mut Tokens<'a>, rule: FilterRule) -> Result<(usize, Token<'a>), FilterError> {
    let end = tokens.end();
    tokens.next()?.ok_or(FilterError::new(end, rule))
}

/// The same filter, each text and time quoted; reading it again gives an equal one.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, comparison) in self.comparisons.iter().enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            write!(f, "{and}{comparison}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
