//! The tokens of a permission query.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// What may be a permission: everything up to white space or a parenthesis.
    Word(&'a str),
    And,
    Or,
    Open,
    Close,
}

/// Iterates over the tokens of a text, each with the byte where it begins.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text[self.position..].trim_ascii_start();
        let start = self.text.len() - rest.len();
        let (length, token) = match rest.as_bytes().first()? {
            b'(' => (1, Token::Open),
            b')' => (1, Token::Close),
            _ => {
                let end = rest.find(|next: char| matches!(next, '(' | ')') || next.is_ascii_whitespace());
                let word = &rest[..end.unwrap_or(rest.len())];
                (word.len(), token_of(word))
            }
        };
        self.position = start + length;
        Some((start, token))
    }
}

fn token_of(word: &str) -> Token<'_> {
    match word {
        "and" => Token::And,
        "or" => Token::Or,
        word => Token::Word(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_where_they_begin() {
        let tokens: Vec<_> = Tokens::new(" a:b and(é or\tc)").collect();
        let expected = [
            (1, Token::Word("a:b")),
            (5, Token::And),
            (8, Token::Open),
            (9, Token::Word("é")),
            (12, Token::Or),
            (15, Token::Word("c")),
            (16, Token::Close),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn white_space_alone_has_no_tokens() {
        assert_eq!(Tokens::new(" \t\r\n").count(), 0);
    }
}
