//! Labels of the tenant's own on a record.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::text::{TextRule, check_text};

/// Most pairs of one record.
pub const METADATA_PAIRS_MAX: usize = 32;
/// Most bytes of all keys and values of one record together.
pub const METADATA_BYTES_MAX: usize = 4_096;
/// Longest key of a pair, in bytes.
pub const METADATA_KEY_BYTES_MAX: usize = 64;

/// At most 32 pairs in the order of their keys, 4 KiB together.
///
/// Keys are `[a-z][a-z0-9_.-]{0,63}`; values are UTF-8 without control characters. None costs no heap.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metadata(Box<[(Box<str>, Box<str>)]>);

/// Pairs that are no metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataError {
    /// More than [`METADATA_PAIRS_MAX`] pairs.
    Pairs {
        /// How many there were.
        found: usize,
    },
    /// More than [`METADATA_BYTES_MAX`] bytes.
    Bytes {
        /// How many there were.
        found: usize,
    },
    /// A key breaks its grammar.
    Key {
        /// The first byte that does.
        position: usize,
    },
    /// The same key twice.
    Twice {
        /// The key.
        key: Box<str>,
    },
    /// A value breaks the rules for texts.
    Value {
        /// The key of the value.
        key: Box<str>,
        /// The first byte that does.
        position: usize,
        /// The rule.
        rule: TextRule,
    },
}

impl Metadata {
    /// Collects pairs in any order.
    ///
    /// # Errors
    /// [`MetadataError`] above a bound, for a key or value outside its grammar, and for the same key twice.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, MetadataError> {
        let pairs: Vec<(K, V)> = pairs.into_iter().collect();
        if pairs.len() > METADATA_PAIRS_MAX {
            return Err(MetadataError::Pairs { found: pairs.len() });
        }
        let found = pairs.iter().map(|(key, value)| key.as_ref().len() + value.as_ref().len()).sum();
        if found > METADATA_BYTES_MAX {
            return Err(MetadataError::Bytes { found });
        }
        let mut checked = Vec::with_capacity(pairs.len());
        for (key, value) in &pairs {
            checked.push(checked_pair(key.as_ref(), value.as_ref())?);
        }
        checked.sort_unstable();
        if let Some(twice) = checked.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(MetadataError::Twice { key: twice[0].0.clone() });
        }
        Ok(Self(checked.into_boxed_slice()))
    }

    /// The value of a key.
    pub fn find(&self, key: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(&self.0[found].1)
    }

    /// Iterates over the pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes all keys and values have together: what counts against a quota of metadata bytes.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

fn checked_pair(key: &str, value: &str) -> Result<(Box<str>, Box<str>), MetadataError> {
    check_key(key)?;
    check_text(value, METADATA_BYTES_MAX).map_err(|error| MetadataError::Value {
        key: key.into(),
        position: error.position,
        rule: error.rule,
    })?;
    Ok((key.into(), value.into()))
}

fn check_key(key: &str) -> Result<(), MetadataError> {
    if !key.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(MetadataError::Key { position: 0 });
    }
    let fits = |position, byte| {
        position < METADATA_KEY_BYTES_MAX && matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')
    };
    match key.bytes().enumerate().find(|(position, byte)| !fits(*position, *byte)) {
        Some((position, _)) => Err(MetadataError::Key { position }),
        None => Ok(()),
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairs { found } => write!(f, "{found} pairs, at most {METADATA_PAIRS_MAX} are allowed"),
            Self::Bytes { found } => write!(f, "{found} bytes, at most {METADATA_BYTES_MAX} are allowed"),
            Self::Key { position } => {
                write!(f, "at byte {position}: a key is `[a-z][a-z0-9_.-]{{0,63}}`")
            }
            Self::Twice { key } => write!(f, "the key `{key}` stands twice"),
            Self::Value { key, position, rule } => write!(f, "the value of `{key}`, at byte {position}: {rule}"),
        }
    }
}

impl core::error::Error for MetadataError {}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, &str); 0] = [];

    #[test]
    fn a_key_outside_the_grammar_is_refused_where_it_breaks() {
        let long = "k".repeat(65);
        for (key, position) in [("", 0), ("A", 0), ("1", 0), (".a", 0), ("aB", 1), ("a b", 1), ("aé", 1), (&long, 64)]
        {
            assert_eq!(Metadata::from_pairs([(key, "")]), Err(MetadataError::Key { position }), "{key:?}");
        }
    }

    #[test]
    fn a_value_with_a_control_character_is_refused() {
        let refused = Metadata::from_pairs([("team", "a\nb")]);
        assert_eq!(refused, Err(MetadataError::Value { key: "team".into(), position: 1, rule: TextRule::Control }));
    }

    #[test]
    fn the_same_key_twice_is_refused_even_with_the_same_value() {
        let refused = Metadata::from_pairs([("a", "1"), ("b", "2"), ("a", "1")]);
        assert_eq!(refused, Err(MetadataError::Twice { key: "a".into() }));
    }

    #[test]
    fn bounds_on_pairs_and_bytes_are_exact() {
        let pairs = |count: usize| (0..count).map(|number| (format!("k{number}"), "v"));
        assert_eq!(Metadata::from_pairs(pairs(32)).unwrap().len(), 32);
        assert_eq!(Metadata::from_pairs(pairs(33)), Err(MetadataError::Pairs { found: 33 }));
        assert_eq!(Metadata::from_pairs([("k", "v".repeat(4_095))]).unwrap().bytes(), 4_096);
        assert_eq!(Metadata::from_pairs([("k", "v".repeat(4_096))]), Err(MetadataError::Bytes { found: 4_097 }));
    }

    #[test]
    fn pairs_are_found_and_listed_in_the_order_of_their_keys() {
        let metadata = Metadata::from_pairs([("team", "payments"), ("a.b-c_d", "né"), ("empty", "")]).unwrap();
        assert_eq!(metadata.find("team"), Some("payments"));
        assert_eq!(metadata.find("empty"), Some(""));
        assert_eq!(metadata.find("other"), None);
        assert_eq!(metadata.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a.b-c_d", "empty", "team"]);
    }

    #[test]
    fn no_pairs_are_the_default() {
        assert_eq!(Metadata::from_pairs(NONE).unwrap(), Metadata::default());
        assert_eq!(size_of::<Metadata>(), 2 * size_of::<usize>());
    }
}
