//! The path of a client's request, normalised once, and the patterns that allow paths.
//!
//! Two readers of one path must not see two paths, so whatever servers are known to read differently is refused rather than repaired:
//! `.` and `..` segments, `//`, `\`, `;`, control characters, and each of these percent-encoded, as is `%2F`. The rest has one
//! spelling: escapes of unreserved characters are decoded, all others have upper-case digits, and what a URI may not hold is escaped.
//! Nothing is decoded twice: `%252F` stays `%252F`. Source: RFC 3986, sections 2.3, 3.3 and 6.2.2.
//!
//! A pattern is matched segment by segment: `*` is exactly one segment that is not empty; `**` stands only last and is the tail: one or
//! more segments, of which the last may be empty. So `/orders/**` allows `/orders/`, `/orders/7` and `/orders/7/items`, not
//! `/orders`; `/**` allows every path; and a slash at the end makes another path.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::bounded_set::BoundedSet;
use crate::grammar::GrammarError;

/// Most patterns in one set.
const RESOURCES_MAX: usize = 64;

const SEGMENT_WILDCARD: &str = "*";
const TAIL_WILDCARD: &str = "**";

/// A normalised path such as `/orders/7`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourcePath(Box<str>);

/// Paths that are allowed, such as `/orders/*/items` or `/orders/**`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourcePattern(Box<str>);

/// Resource patterns. What an empty set means is for its owner to say: in [`Terms`](crate::Terms) it restricts nothing.
pub type ResourceSet = BoundedSet<ResourcePattern, RESOURCES_MAX>;

/// A text is no path, or no pattern.
pub type ResourceError = GrammarError<ResourceRule>;

/// The rules of the path grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceRule {
    /// A path begins with `/`.
    Start,
    /// At most [`ResourcePath::BYTES_MAX`] bytes.
    Length,
    /// No `//`.
    SegmentEmpty,
    /// No segment is `.` or `..`, percent-encoded or not.
    DotSegment,
    /// No `\`, `;` or control character, percent-encoded or not, and no `%2F`.
    Ambiguous,
    /// After `%` come two hexadecimal digits.
    PercentEncoding,
    /// No query and no fragment.
    Query,
    /// In a pattern `*` is a whole segment, and `**` the whole last one.
    Wildcard,
}

impl ResourcePath {
    /// Longest path or pattern in bytes, as written and once more as normalised.
    pub const BYTES_MAX: usize = 2_048;

    /// Reads and normalises a path.
    ///
    /// # Errors
    /// [`ResourceError`] tells the first place that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        normalise(text).map(Self)
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ResourcePattern {
    /// Reads and normalises a pattern.
    ///
    /// # Errors
    /// [`ResourceError`] tells the first place that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let normalised = normalise(text)?;
        check_wildcards(text)?;
        Ok(Self(normalised))
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern allows `path`.
    pub fn matches(&self, path: &ResourcePath) -> bool {
        let mut found = segments(&path.0);
        for expected in segments(&self.0) {
            let matched = match (expected, found.next()) {
                (TAIL_WILDCARD, tail) => return tail.is_some(),
                (SEGMENT_WILDCARD, Some(segment)) => !segment.is_empty(),
                (literal, Some(segment)) => literal == segment,
                (_, None) => false,
            };
            if !matched {
                return false;
            }
        }
        found.next().is_none()
    }

    /// Whether this pattern allows all paths that `other` allows.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = segments(&other.0);
        for ours in segments(&self.0) {
            let covered = match (ours, theirs.next()) {
                (TAIL_WILDCARD, tail) => return tail.is_some(),
                (SEGMENT_WILDCARD, Some(segment)) => !segment.is_empty() && segment != TAIL_WILDCARD,
                (literal, Some(segment)) => literal == segment,
                (_, None) => false,
            };
            if !covered {
                return false;
            }
        }
        theirs.next().is_none()
    }
}

impl ResourceSet {
    /// Whether one of the patterns allows `path`.
    pub fn matches(&self, path: &ResourcePath) -> bool {
        self.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether one of the patterns allows all paths that `other` allows.
    pub fn covers(&self, other: &ResourcePattern) -> bool {
        self.iter().any(|pattern| pattern.covers(other))
    }
}

/// The parts after each `/`; the path `/` has one, which is empty.
fn segments(path: &str) -> core::str::Split<'_, char> {
    path.strip_prefix('/').expect("parse takes no path without its slash").split('/')
}

fn check_wildcards(text: &str) -> Result<(), ResourceError> {
    let mut position = 0;
    for segment in text.split('/') {
        let end = position + segment.len();
        let whole = segment == SEGMENT_WILDCARD || (segment == TAIL_WILDCARD && end == text.len());
        if let Some(offset) = segment.find('*').filter(|_| !whole) {
            return Err(ResourceError::new(position + offset, ResourceRule::Wildcard));
        }
        position = end + 1;
    }
    Ok(())
}

fn normalise(text: &str) -> Result<Box<str>, ResourceError> {
    if text.len() > ResourcePath::BYTES_MAX {
        return Err(ResourceError::new(ResourcePath::BYTES_MAX, ResourceRule::Length));
    }
    let Some(relative) = text.strip_prefix('/') else { return Err(ResourceError::new(0, ResourceRule::Start)) };
    let mut normalised = String::with_capacity(text.len());
    let mut position = 1;
    for segment in relative.split('/') {
        normalised.push('/');
        let start = normalised.len();
        push_segment(&mut normalised, segment, position)?;
        let last = position + segment.len() == text.len();
        match &normalised[start..] {
            "" if !last => return Err(ResourceError::new(position, ResourceRule::SegmentEmpty)),
            "." | ".." => return Err(ResourceError::new(position, ResourceRule::DotSegment)),
            _ => position += segment.len() + 1,
        }
    }
    // What is stored must be readable again, so the bound holds for the longer of the two.
    if normalised.len() > ResourcePath::BYTES_MAX {
        return Err(ResourceError::new(text.len(), ResourceRule::Length));
    }
    Ok(normalised.into_boxed_str())
}

fn push_segment(normalised: &mut String, segment: &str, start: usize) -> Result<(), ResourceError> {
    let mut bytes = segment.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        let refused = |rule| Err(ResourceError::new(start + offset, rule));
        let (byte, escaped) = match byte {
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => (high << 4 | low, true),
                _ => return refused(ResourceRule::PercentEncoding),
            },
            b'?' | b'#' => return refused(ResourceRule::Query),
            byte => (byte, false),
        };
        if matches!(byte, 0..=0x1F | 0x7F | b'\\' | b';' | b'/') {
            return refused(ResourceRule::Ambiguous);
        }
        if is_unreserved(byte) || (!escaped && is_path_delimiter(byte)) {
            normalised.push(char::from(byte));
        } else {
            push_escape(normalised, byte);
        }
    }
    Ok(())
}

fn hex_digit((_, byte): (usize, u8)) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn push_escape(normalised: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    normalised.push('%');
    normalised.push(char::from(DIGITS[usize::from(byte >> 4)]));
    normalised.push(char::from(DIGITS[usize::from(byte & 0x0F)]));
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The delimiters that may stand in a segment as they are; `;` is one too, and refused before.
const fn is_path_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourcePath({})", self.0)
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourcePattern({})", self.0)
    }
}

impl fmt::Display for ResourceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("a path begins with `/`"),
            Self::Length => write!(f, "at most {} bytes are allowed, escapes included", ResourcePath::BYTES_MAX),
            Self::SegmentEmpty => f.write_str("`//` is not allowed"),
            Self::DotSegment => f.write_str("the segments `.` and `..` are not allowed"),
            Self::Ambiguous => f.write_str("`\\`, `;`, `%2F` and control characters are not allowed"),
            Self::PercentEncoding => f.write_str("`%` must be followed by two hexadecimal digits"),
            Self::Query => f.write_str("a query or fragment is not part of the path"),
            Self::Wildcard => f.write_str("`*` must be a whole segment, and `**` the whole last one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ResourcePath {
        ResourcePath::parse(text).unwrap()
    }

    fn pattern(text: &str) -> ResourcePattern {
        ResourcePattern::parse(text).unwrap()
    }

    #[test]
    fn what_servers_read_differently_is_refused_where_it_stands() {
        for (text, position, rule) in [
            ("", 0, ResourceRule::Start),
            ("a/b", 0, ResourceRule::Start),
            ("https://a/b", 0, ResourceRule::Start),
            ("%2Fa", 0, ResourceRule::Start),
            ("*", 0, ResourceRule::Start),
            ("//", 1, ResourceRule::SegmentEmpty),
            ("//a", 1, ResourceRule::SegmentEmpty),
            ("/a//b", 3, ResourceRule::SegmentEmpty),
            ("/a//", 3, ResourceRule::SegmentEmpty),
            ("/..", 1, ResourceRule::DotSegment),
            ("/a/../b", 3, ResourceRule::DotSegment),
            ("/a/./b", 3, ResourceRule::DotSegment),
            ("/a/.", 3, ResourceRule::DotSegment),
            ("/a/%2e%2E/b", 3, ResourceRule::DotSegment),
            ("/a/.%2e", 3, ResourceRule::DotSegment),
            ("/a/%2e", 3, ResourceRule::DotSegment),
            ("/a%2Fb", 2, ResourceRule::Ambiguous),
            ("/a%2fb", 2, ResourceRule::Ambiguous),
            ("/a%5Cb", 2, ResourceRule::Ambiguous),
            ("/a\\b", 2, ResourceRule::Ambiguous),
            ("/a;v=1", 2, ResourceRule::Ambiguous),
            ("/a%3Bv", 2, ResourceRule::Ambiguous),
            ("/..;/a", 3, ResourceRule::Ambiguous),
            ("/a\0", 2, ResourceRule::Ambiguous),
            ("/a%00", 2, ResourceRule::Ambiguous),
            ("/a\r\nb", 2, ResourceRule::Ambiguous),
            ("/a%0A", 2, ResourceRule::Ambiguous),
            ("/a\x7f", 2, ResourceRule::Ambiguous),
            ("/a?b=1", 2, ResourceRule::Query),
            ("/a#b", 2, ResourceRule::Query),
            ("/a%", 2, ResourceRule::PercentEncoding),
            ("/a%2", 2, ResourceRule::PercentEncoding),
            ("/a%2/", 2, ResourceRule::PercentEncoding),
            ("/a%zz", 2, ResourceRule::PercentEncoding),
            ("/a%+1", 2, ResourceRule::PercentEncoding),
        ] {
            assert_eq!(ResourcePath::parse(text), Err(ResourceError::new(position, rule)), "{text:?}");
            assert_eq!(ResourcePattern::parse(text), Err(ResourceError::new(position, rule)), "{text:?}");
        }
    }

    #[test]
    fn the_bound_holds_for_the_text_and_for_what_becomes_of_it() {
        let full = format!("/{}", "a".repeat(2_047));
        assert_eq!(path(&full).as_str(), full);
        assert_eq!(
            ResourcePath::parse(&format!("{full}a")),
            Err(ResourceError::new(ResourcePath::BYTES_MAX, ResourceRule::Length))
        );
        let grows = format!("/{}", "é".repeat(400));
        assert_eq!(ResourcePath::parse(&grows), Err(ResourceError::new(801, ResourceRule::Length)));
    }

    #[test]
    fn a_path_has_one_spelling() {
        for (text, normalised) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/%61%7eb", "/a~b"),
            ("/a%c3%a9", "/a%C3%A9"),
            ("/aé", "/a%C3%A9"),
            ("/a b{c}", "/a%20b%7Bc%7D"),
            ("/a%2520", "/a%2520"),
            ("/a%252F", "/a%252F"),
            ("/a%3f%23", "/a%3F%23"),
            ("/a:b@c,d=e", "/a:b@c,d=e"),
            ("/a%3a", "/a%3A"),
            ("/...", "/..."),
            ("/a..b/.c", "/a..b/.c"),
        ] {
            assert_eq!(path(text).as_str(), normalised, "{text:?}");
        }
    }

    #[test]
    fn a_wildcard_that_is_not_a_whole_segment_is_refused() {
        for (text, position) in
            [("/a*", 2), ("/*a", 1), ("/a/**/b", 3), ("/***", 1), ("/a/b**", 4), ("/**/", 1), ("/%61*", 4)]
        {
            let refused = ResourcePattern::parse(text);
            assert_eq!(refused, Err(ResourceError::new(position, ResourceRule::Wildcard)), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_allows_nothing_beside_its_paths() {
        for (allowed, asked) in [
            ("/orders", "/orders/"),
            ("/orders/", "/orders"),
            ("/orders", "/orders/7"),
            ("/orders", "/Orders"),
            ("/orders/*", "/orders"),
            ("/orders/*", "/orders/"),
            ("/orders/*", "/orders/7/items"),
            ("/orders/*", "/orders/7/"),
            ("/orders/*/items", "/orders/items"),
            ("/orders/*/items", "/orders/7/8/items"),
            ("/orders/**", "/orders"),
            ("/orders/**", "/orders2/7"),
            ("/*", "/"),
            ("/%2A", "/a"),
        ] {
            assert!(!pattern(allowed).matches(&path(asked)), "{allowed} {asked}");
        }
    }

    #[test]
    fn wildcards_match_as_documented() {
        for (allowed, asked) in [
            ("/", "/"),
            ("/orders/*", "/orders/7"),
            ("/orders/*", "/orders/*"),
            ("/*/*/", "/a/b/"),
            ("/orders/*/items", "/orders/7/items"),
            ("/orders/**", "/orders/"),
            ("/orders/**", "/orders/7"),
            ("/orders/**", "/orders/7/items/"),
            ("/*/**", "/a/b/c"),
            ("/**", "/"),
            ("/**", "/a/b"),
            ("/caf%c3%a9", "/café"),
        ] {
            assert!(pattern(allowed).matches(&path(asked)), "{allowed} {asked}");
        }
    }

    #[test]
    fn a_pattern_covers_only_what_it_allows_whole() {
        for (whole, part) in
            [("/*", "/**"), ("/a/*", "/*/a"), ("/*/**", "/**"), ("/a", "/*"), ("/a/**", "/a"), ("/*", "/")]
        {
            assert!(!pattern(whole).covers(&pattern(part)), "{whole} {part}");
        }
        for (whole, part) in [("/**", "/a/*/**"), ("/*", "/a"), ("/*", "/*"), ("/a/**", "/a/**"), ("/*/**", "/a/*")] {
            assert!(pattern(whole).covers(&pattern(part)), "{whole} {part}");
        }
    }
}
