//! What services say, for people: short names, moments and spans as the command line writes them everywhere else. Programs get
//! the words of the services.

use crate::cli::{names, span};
use prost_types::Timestamp;

/// What follows a number that is a moment.
const SINCE: &str = "since 1970";

/// From here on a span in milliseconds is read more slowly than one in its own units.
const LONG_MILLIS: u64 = 1_000;

/// The message with short names, moments of RFC 3339, and spans with units.
pub(super) fn for_people(message: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    let mut told = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let number = number(word).zip(words.get(at + 1).and_then(|unit| unit.strip_prefix("ms")));
        let ((begins, millis), ends) = match number {
            Some((begins_and_millis, ends)) if is_end(ends) => (begins_and_millis, ends),
            _ => {
                told.push(short(word));
                at += 1;
                continue;
            }
        };
        let since = words.get(at + 2..at + 4).map(|words| words.join(" "));
        match since.as_deref().and_then(|since| since.strip_prefix(SINCE)) {
            Some(ends) => {
                told.push(format!("{begins}{}{ends}", moment(millis)));
                at += 4;
            }
            None if millis >= LONG_MILLIS => {
                told.push(format!("{begins}{}{ends}", span::show(millis)));
                at += 2;
            }
            None => {
                told.push((*word).to_owned());
                at += 1;
            }
        }
    }
    told.join(" ")
}

/// A moment of RFC 3339.
fn moment(millis: u64) -> String {
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).expect("less than a second of nanoseconds");
    Timestamp { seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX), nanos }.to_string()
}

/// The number of a word, and the parenthesis before it.
fn number(word: &str) -> Option<(&str, u64)> {
    let digits = word.trim_start_matches('(');
    Some((&word[..word.len() - digits.len()], digits.parse().ok()?))
}

/// Whether nothing but punctuation follows.
fn is_end(rest: &str) -> bool {
    rest.chars().all(|sign| sign.is_ascii_punctuation())
}

/// A name in its short form, with the punctuation around it.
fn short(word: &str) -> String {
    let bare = word.trim_matches(|sign: char| matches!(sign, '(' | ')' | ',' | ';' | '.' | ':' | '"'));
    // Owners, roles and identities would all read alike; the sentence before them says which of them is meant.
    if bare.is_empty() { word.to_owned() } else { word.replacen(bare, &names::short(bare), 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_moments_and_spans_are_told_as_everywhere_else() {
        for (message, told) in [
            ("there is no key tenants/a/keyspaces/b/keys/c", "there is no key a/b/c"),
            ("tenants/a/owners/b, it was", "a/b, it was"),
            (
                "the expiry (1000 ms since 1970) must lie after the time of the cluster (1500 ms since 1970)",
                "the expiry (1970-01-01T00:00:01Z) must lie after the time of the cluster (1970-01-01T00:00:01.500Z)",
            ),
            ("confirmed 12000 ms ago, at most 500 ms is allowed", "confirmed 12s ago, at most 500 ms is allowed"),
            ("the lifetime (7776000000 ms) must be less", "the lifetime (90d) must be less"),
            ("some  words, and 5 more", "some  words, and 5 more"),
        ] {
            assert_eq!(for_people(message), told);
        }
    }
}
