//! Why a text is no filter.

use core::fmt;

use latchkey_domain::GrammarError;

use super::{FILTER_BYTES_MAX, FILTER_COMPARISONS_MAX, Field};

/// A text is no filter.
pub type FilterError = GrammarError<FilterRule>;

/// The rules of the filter grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterRule {
    /// At most [`FILTER_BYTES_MAX`] bytes.
    Length,
    /// At most [`FILTER_COMPARISONS_MAX`] comparisons.
    Comparisons,
    /// Here one of the listing's fields must stand.
    FieldExpected {
        /// Those that there are.
        fields: &'static [Field],
    },
    /// Here an operator must stand.
    OperatorExpected,
    /// Words and texts have no order.
    Unordered,
    /// Here a value must stand.
    ValueExpected,
    /// A quote without its end.
    QuoteUnclosed,
    /// A `\` stands only before a quote, a `\` or a `*`.
    Escape,
    /// A `*` stands only at the end.
    StarWithin,
    /// This field is compared whole.
    PrefixUnknown,
    /// Here one of the field's words must stand.
    WordExpected {
        /// Those that there are.
        words: &'static [&'static str],
    },
    /// Here a time must stand.
    TimeExpected,
    /// Here a span must stand.
    SpanExpected,
    /// Here `AND` or the end must stand.
    AndExpected,
}

impl fmt::Display for FilterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a filter has at most {FILTER_BYTES_MAX} bytes"),
            Self::Comparisons => write!(f, "a filter has at most {FILTER_COMPARISONS_MAX} comparisons"),
            Self::FieldExpected { fields } => {
                f.write_str("expected a field: ")?;
                list(f, fields.iter().map(|field| field.name))
            }
            Self::OperatorExpected => f.write_str("expected `=`, `!=`, `<`, `<=`, `>` or `>=`"),
            Self::Unordered => f.write_str("expected `=` or `!=`: this field has no order"),
            Self::ValueExpected => f.write_str("expected a value, in quotes where it holds white space"),
            Self::QuoteUnclosed => f.write_str("a quote without its end"),
            Self::Escape => f.write_str("`\\` stands only before a quote, a `\\` or a `*`"),
            Self::StarWithin => f.write_str("`*` stands only at the end; `\\*` in quotes is the character itself"),
            Self::PrefixUnknown => f.write_str("this field is compared whole; `\\*` in quotes is the character itself"),
            Self::WordExpected { words } => {
                f.write_str("expected one of ")?;
                list(f, words.iter().copied())
            }
            Self::TimeExpected => f.write_str("expected a time from 1970 on, such as `2026-01-01T00:00:00Z`"),
            Self::SpanExpected => {
                f.write_str("expected a number and a unit (`ms`, `s`, `m`, `h`, `d`, `w`), such as `90d`")
            }
            Self::AndExpected => f.write_str("expected `AND` or the end; there is no `OR`, no `NOT`, no parenthesis"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'static str>) -> fmt::Result {
    for (index, name) in names.enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}`{name}`")?;
    }
    Ok(())
}
