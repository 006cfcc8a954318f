//! The tokens of a filter.

use super::{FilterError, FilterRule, Operator};

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A field, `AND`, or a value without quotes.
    Bare(&'a str),
    /// What stands between two quotes, as it stands there.
    Quoted(&'a str),
    Operator(Operator),
    /// No filter has one; it is a token so that `(a` is no field.
    Parenthesis,
}

/// Reads the tokens of a text, each with the byte where it begins.
#[derive(Clone)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// Where the next token begins, or the end.
    pub(super) fn position(&self) -> usize {
        self.text.len() - self.text[self.position..].trim_ascii_start().len()
    }

    /// The end of the text.
    pub(super) const fn end(&self) -> usize {
        self.text.len()
    }

    /// Absent at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<(usize, Token<'a>)>, FilterError> {
        let start = self.position();
        let rest = &self.text[start..];
        let mut bytes = rest.bytes();
        let Some(first) = bytes.next() else { return Ok(None) };
        let then_equal = bytes.next() == Some(b'=');
        let (length, token) = match (first, then_equal) {
            (b'=', _) => (1, Token::Operator(Operator::Equal)),
            (b'!', true) => (2, Token::Operator(Operator::NotEqual)),
            (b'!', false) => return Err(FilterError::new(start, FilterRule::OperatorExpected)),
            (b'<', true) => (2, Token::Operator(Operator::LessOrEqual)),
            (b'<', false) => (1, Token::Operator(Operator::Less)),
            (b'>', true) => (2, Token::Operator(Operator::GreaterOrEqual)),
            (b'>', false) => (1, Token::Operator(Operator::Greater)),
            (b'(' | b')', _) => (1, Token::Parenthesis),
            (quote @ (b'"' | b'\''), _) => {
                let length = quoted_length(&rest[1..], quote);
                let length = length.ok_or(FilterError::new(start, FilterRule::QuoteUnclosed))?;
                (length + 2, Token::Quoted(&rest[1..=length]))
            }
            _ => {
                let bare = &rest[..rest.find(ends_bare).unwrap_or(rest.len())];
                (bare.len(), Token::Bare(bare))
            }
        };
        self.position = start + length;
        Ok(Some((start, token)))
    }
}

/// The bytes before the quote that ends `text`; one after a `\` does not.
fn quoted_length(text: &str, quote: u8) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|next| {
        let ends = next == quote && !escaped;
        escaped = next == b'\\' && !escaped;
        ends
    })
}

fn ends_bare(next: char) -> bool {
    next.is_ascii_whitespace() || matches!(next, '=' | '!' | '<' | '>' | '(' | ')' | '"' | '\'')
}
