//! What a filter says: comparisons, and how they are answered.

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt::{self, Write as _};

use latchkey_domain::{DurationMillis, UnixMillis};

use super::{span, time};

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The name of the field, as it was declared.
    pub field: &'static str,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub value: Value,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// With what a field is compared; which it is follows from the field's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One of the field's words.
    Word(&'static str),
    /// A whole text.
    Text(String),
    /// The beginning of a text.
    Prefix(String),
    /// A point in time.
    Time(UnixMillis),
    /// A span of time.
    Span(DurationMillis),
}

impl Comparison {
    /// Whether it holds for a word or a text; never where it is about times.
    #[must_use]
    pub fn holds_for_text(&self, text: &str) -> bool {
        let equal = match &self.value {
            Value::Word(word) => text == *word,
            Value::Text(whole) => text == whole,
            Value::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Value::Time(_) | Value::Span(_) => return false,
        };
        match self.operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => false,
        }
    }

    /// Whether it holds for a time; never where it is about something else.
    #[must_use]
    pub fn holds_for_time(&self, time: UnixMillis) -> bool {
        matches!(self.value, Value::Time(value) if self.operator.holds(time.cmp(&value)))
    }

    /// Whether it holds for a span; never where it is about something else.
    #[must_use]
    pub fn holds_for_span(&self, span: DurationMillis) -> bool {
        matches!(self.value, Value::Span(value) if self.operator.holds(span.cmp(&value)))
    }
}

impl Operator {
    /// Whether it holds where the field is `ordering` than the value.
    #[must_use]
    pub const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// Its sign.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(super) const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.field, self.operator.as_str(), self.value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => quoted(f, text, ""),
            Self::Prefix(prefix) => quoted(f, prefix, "*"),
            Self::Time(time) => {
                f.write_char('"')?;
                time::write(f, *time)?;
                f.write_char('"')
            }
            Self::Span(span) => span::write(f, *span),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str, end: &str) -> fmt::Result {
    f.write_char('"')?;
    for next in text.chars() {
        if matches!(next, '"' | '\\' | '*') {
            f.write_char('\\')?;
        }
        f.write_char(next)?;
    }
    write!(f, "{end}\"")
}
