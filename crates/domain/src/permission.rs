//! Permission words and the patterns that grant them.
//!
//! Grammar: `segment (":" segment)*`, a segment is `[A-Za-z0-9_.-]{1,64}`, at most 128 bytes. In a pattern the whole last
//! segment may be `*`, which stands for one or more segments: `orders:*` grants `orders:read` and `orders:read:own`, not `orders`.

use alloc::boxed::Box;
use core::fmt;

use crate::grammar::GrammarError;

/// Longest permission or pattern, in bytes.
pub const PERMISSION_BYTES_MAX: usize = 128;
/// Longest segment of a permission, in bytes.
pub const PERMISSION_SEGMENT_BYTES_MAX: usize = 64;

const WILDCARD: &str = "*";

/// A permission word such as `billing:read`; it holds no wildcard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Box<str>);

/// A permission word that borrows its text: a permission query reads 64 of them without 64 allocations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionRef<'a>(&'a str);

/// What a key or role is granted: a permission word, or all words below one (`billing:*`), or all (`*`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionPattern(Box<str>);

/// A text is no permission, or no pattern.
pub type PermissionError = GrammarError<PermissionRule>;

/// The rules of the permission grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermissionRule {
    /// At most [`PERMISSION_BYTES_MAX`] bytes.
    Length,
    /// No segment is empty, hence no text is.
    SegmentEmpty,
    /// A segment has at most [`PERMISSION_SEGMENT_BYTES_MAX`] bytes.
    SegmentLength,
    /// Only letters, digits, `_`, `.` and `-` of ASCII.
    Character,
    /// `*` stands only in a pattern, and there only as the whole last segment.
    Wildcard,
}

impl Permission {
    /// Reads a permission.
    ///
    /// # Errors
    /// [`PermissionError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        PermissionRef::parse(text).map(|permission| Self(permission.0.into()))
    }

    /// The text, as it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same permission, borrowed.
    pub fn borrowed(&self) -> PermissionRef<'_> {
        PermissionRef(&self.0)
    }
}

impl<'a> PermissionRef<'a> {
    /// Reads a permission without copying it.
    ///
    /// # Errors
    /// [`PermissionError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &'a str) -> Result<Self, PermissionError> {
        check_length(text)?;
        check_segments(text)?;
        Ok(Self(text))
    }

    /// The text, as it was read.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl PermissionPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PermissionError`] tells the first byte that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        check_length(text)?;
        if text != WILDCARD {
            // Any other `*` is refused as a character of its segment.
            check_segments(text.strip_suffix(":*").unwrap_or(text))?;
        }
        Ok(Self(text.into()))
    }

    /// The text, as it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this pattern grants `permission`.
    pub fn grants(&self, permission: PermissionRef<'_>) -> bool {
        self.reaches(permission.0)
    }

    /// Whether this pattern grants all that `other` grants.
    pub fn covers(&self, other: &Self) -> bool {
        self.reaches(&other.0)
    }

    /// `orders:*` reaches all that begins with `orders:`: since no segment is empty, at least one more segment follows.
    fn reaches(&self, text: &str) -> bool {
        match self.0.strip_suffix(WILDCARD) {
            Some(above) => text.starts_with(above),
            None => *self.0 == *text,
        }
    }
}

impl From<Permission> for PermissionPattern {
    fn from(permission: Permission) -> Self {
        Self(permission.0)
    }
}

fn check_length(text: &str) -> Result<(), PermissionError> {
    if text.len() > PERMISSION_BYTES_MAX {
        return Err(PermissionError::new(PERMISSION_BYTES_MAX, PermissionRule::Length));
    }
    Ok(())
}

fn check_segments(text: &str) -> Result<(), PermissionError> {
    let mut position = 0;
    for segment in text.split(':') {
        check_segment(segment, position)?;
        position += segment.len() + 1;
    }
    Ok(())
}

fn check_segment(segment: &str, start: usize) -> Result<(), PermissionError> {
    if segment.is_empty() {
        return Err(PermissionError::new(start, PermissionRule::SegmentEmpty));
    }
    for (offset, byte) in segment.bytes().enumerate() {
        let rule = match byte {
            _ if offset == PERMISSION_SEGMENT_BYTES_MAX => PermissionRule::SegmentLength,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => continue,
            b'*' => PermissionRule::Wildcard,
            _ => PermissionRule::Character,
        };
        return Err(PermissionError::new(start + offset, rule));
    }
    Ok(())
}

impl fmt::Display for PermissionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "at most {PERMISSION_BYTES_MAX} bytes are allowed"),
            Self::SegmentEmpty => f.write_str("a segment must not be empty"),
            Self::SegmentLength => write!(f, "a segment has at most {PERMISSION_SEGMENT_BYTES_MAX} bytes"),
            Self::Character => f.write_str("only letters, digits, `_`, `.`, `-` and `:` are allowed"),
            Self::Wildcard => f.write_str("`*` may only be the whole last segment of a pattern"),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PermissionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for PermissionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permission({})", self.0)
    }
}

impl fmt::Debug for PermissionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermissionRef({})", self.0)
    }
}

impl fmt::Debug for PermissionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermissionPattern({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        Permission::parse(text).unwrap()
    }

    fn pattern(text: &str) -> PermissionPattern {
        PermissionPattern::parse(text).unwrap()
    }

    #[test]
    fn what_is_no_permission_is_refused_where_it_breaks() {
        let long_segment = format!("a:{}", "s".repeat(65));
        let long_text = format!("{}:{}:x", "s".repeat(64), "t".repeat(62));
        for (text, position, rule) in [
            ("", 0, PermissionRule::SegmentEmpty),
            (":", 0, PermissionRule::SegmentEmpty),
            ("a:", 2, PermissionRule::SegmentEmpty),
            (":a", 0, PermissionRule::SegmentEmpty),
            ("a::b", 2, PermissionRule::SegmentEmpty),
            ("a b", 1, PermissionRule::Character),
            ("a:b/c", 3, PermissionRule::Character),
            ("é", 0, PermissionRule::Character),
            ("a\0", 1, PermissionRule::Character),
            ("*", 0, PermissionRule::Wildcard),
            ("a:*", 2, PermissionRule::Wildcard),
            (&long_segment, 66, PermissionRule::SegmentLength),
            (&long_text, 128, PermissionRule::Length),
        ] {
            assert_eq!(Permission::parse(text), Err(PermissionError::new(position, rule)), "{text:?}");
            assert!(PermissionRef::parse(text).is_err());
        }
    }

    #[test]
    fn a_wildcard_that_is_not_the_whole_last_segment_is_refused() {
        for (text, position) in
            [("a*", 1), ("*a", 0), ("a:*b", 2), ("a:**", 2), ("*:a", 0), ("a:*:b", 2), ("**", 0), ("*:*", 0)]
        {
            let refused = PermissionPattern::parse(text);
            assert_eq!(refused, Err(PermissionError::new(position, PermissionRule::Wildcard)), "{text:?}");
        }
        for (text, position) in [(":*", 0), ("a::*", 2)] {
            let refused = PermissionPattern::parse(text);
            assert_eq!(refused, Err(PermissionError::new(position, PermissionRule::SegmentEmpty)), "{text:?}");
        }
    }

    #[test]
    fn the_longest_permission_and_segment_are_read() {
        let longest = format!("{}:{}", "s".repeat(64), "t".repeat(63));
        assert_eq!(permission(&longest).as_str().len(), PERMISSION_BYTES_MAX);
        assert_eq!(permission("Az09_.-").as_str(), "Az09_.-");
    }

    #[test]
    fn a_pattern_grants_nothing_beside_or_above_its_words() {
        for (grant, word) in [
            ("orders:*", "orders"),
            ("orders:*", "orders2:read"),
            ("orders:*", "Orders:read"),
            ("orders:read:*", "orders:read"),
            ("orders:read:*", "orders:readers:all"),
            ("orders:read", "orders:read:own"),
            ("orders:read", "orders"),
            ("orders", "orders:read"),
        ] {
            assert!(!pattern(grant).grants(permission(word).borrowed()), "{grant} {word}");
        }
    }

    #[test]
    fn a_wildcard_grants_one_or_more_segments() {
        for (grant, word) in
            [("orders:*", "orders:read"), ("orders:*", "orders:read:own"), ("*", "a"), ("*", "a:b:c"), ("a:b", "a:b")]
        {
            assert!(pattern(grant).grants(permission(word).borrowed()), "{grant} {word}");
        }
    }

    #[test]
    fn a_pattern_covers_only_what_it_grants_whole() {
        for (whole, part) in [("orders:read", "orders:*"), ("orders:*", "orders"), ("orders:*", "*"), ("a:b:*", "a:*")]
        {
            assert!(!pattern(whole).covers(&pattern(part)), "{whole} {part}");
        }
        for (whole, part) in [("orders:*", "orders:read"), ("orders:*", "orders:read:*"), ("*", "*"), ("a:*", "a:*")] {
            assert!(pattern(whole).covers(&pattern(part)), "{whole} {part}");
        }
    }
}
