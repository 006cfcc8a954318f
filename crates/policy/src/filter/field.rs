//! What a listing lets its callers compare.

use alloc::string::String;

use super::{FilterRule, Value, span, time};

/// A field of a listing's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name, of lower-case letters, digits, `_` and `.`.
    pub name: &'static str,
    /// What it is compared with.
    pub kind: Kind,
}

/// What a field is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One of these words, by `=` and `!=`.
    Word(&'static [&'static str]),
    /// A whole text, by `=` and `!=`.
    Text,
    /// A whole text, or with a `*` at its end what begins so, by `=` and `!=`.
    TextOrPrefix,
    /// A point in time, in order.
    Time,
    /// A span of time, in order.
    Span,
}

impl Kind {
    pub(super) const fn is_ordered(self) -> bool {
        matches!(self, Self::Time | Self::Span)
    }

    /// Reads a value of this kind. In quotes a `\` takes the meaning from what follows it.
    pub(super) fn read(self, text: &str, quoted: bool) -> Result<Value, FilterRule> {
        match self {
            Self::Word(words) => {
                let word = words.iter().find(|word| **word == text);
                word.map(|word| Value::Word(word)).ok_or(FilterRule::WordExpected { words })
            }
            Self::Text => match unescaped(text, quoted)? {
                (text, false) => Ok(Value::Text(text)),
                (_, true) => Err(FilterRule::PrefixUnknown),
            },
            Self::TextOrPrefix => Ok(match unescaped(text, quoted)? {
                (text, false) => Value::Text(text),
                (text, true) => Value::Prefix(text),
            }),
            Self::Time => time::parse(text).map(Value::Time).ok_or(FilterRule::TimeExpected),
            Self::Span => span::parse(text).map(Value::Span).ok_or(FilterRule::SpanExpected),
        }
    }
}

/// The text that is meant, without a `*` at its end, and whether there was one.
fn unescaped(text: &str, quoted: bool) -> Result<(String, bool), FilterRule> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '*' if chars.as_str().is_empty() => return Ok((plain, true)),
            '*' => return Err(FilterRule::StarWithin),
            '\\' if quoted => match chars.next() {
                Some(escaped @ ('\\' | '*' | '"' | '\'')) => plain.push(escaped),
                _ => return Err(FilterRule::Escape),
            },
            other => plain.push(other),
        }
    }
    Ok((plain, false))
}
