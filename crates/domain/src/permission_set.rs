//! The permissions of a key, a role or a keyspace.

use crate::bounded_set::BoundedSet;
use crate::permission::{PermissionPattern, PermissionRef};

/// Most patterns in one set. With the 64 words of a query this bounds a decision at 8,192 comparisons of prefixes.
pub const PERMISSIONS_MAX: usize = 128;

/// Permission patterns. An empty set grants nothing.
pub type PermissionSet = BoundedSet<PermissionPattern, PERMISSIONS_MAX>;

impl PermissionSet {
    /// Whether some pattern grants `permission`.
    pub fn grants(&self, permission: PermissionRef<'_>) -> bool {
        self.iter().any(|pattern| pattern.grants(permission))
    }

    /// Whether one pattern grants all that `other` grants.
    ///
    /// Several patterns are not added up: no set of words covers `orders:*`, since tomorrow there may be one more word.
    pub fn covers(&self, other: &PermissionPattern) -> bool {
        self.iter().any(|pattern| pattern.covers(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded_set::TooMany;

    fn set(texts: &[&str]) -> PermissionSet {
        PermissionSet::from_values(texts.iter().map(|text| PermissionPattern::parse(text).unwrap())).unwrap()
    }

    fn grants(set: &PermissionSet, text: &str) -> bool {
        set.grants(PermissionRef::parse(text).unwrap())
    }

    #[test]
    fn an_empty_set_grants_and_covers_nothing() {
        let none = PermissionSet::default();
        assert!(!grants(&none, "a"));
        assert!(!none.covers(&PermissionPattern::parse("a").unwrap()));
    }

    #[test]
    fn any_pattern_of_the_set_may_grant() {
        let set = set(&["orders:*", "billing:read"]);
        assert!(grants(&set, "orders:write") && grants(&set, "billing:read"));
        assert!(!grants(&set, "billing:write"));
    }

    #[test]
    fn a_set_of_words_never_covers_a_wildcard() {
        assert!(!set(&["a:b", "a:c"]).covers(&PermissionPattern::parse("a:*").unwrap()));
    }

    #[test]
    fn the_set_ends_at_its_bound() {
        let patterns = |count: usize| (0..count).map(|number| PermissionPattern::parse(&format!("p{number}")).unwrap());
        assert!(PermissionSet::from_values(patterns(PERMISSIONS_MAX)).is_ok());
        let refused = PermissionSet::from_values(patterns(PERMISSIONS_MAX + 1));
        assert_eq!(refused, Err(TooMany { found: 129, max: 128 }));
    }
}
