//! A small sorted set with a bound: the shape of all lists that a key carries.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// At most `MAX` distinct values in ascending order.
///
/// There may be a million keys with four such sets each, so an empty set costs no heap and a full one not a byte of spare capacity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedSet<T, const MAX: usize>(Box<[T]>);

/// More distinct values than the set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TooMany {
    /// How many distinct values there were.
    pub found: usize,
    /// How many the set holds.
    pub max: usize,
}

impl<T, const MAX: usize> BoundedSet<T, MAX> {
    /// The most values that the set holds.
    pub const MAX: usize = MAX;

    /// The values in ascending order.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Iterates over the values in ascending order.
    pub fn iter(&self) -> core::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord, const MAX: usize> BoundedSet<T, MAX> {
    /// Collects values in any order; the same value twice counts once.
    ///
    /// # Errors
    /// [`TooMany`] above `MAX` distinct values.
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<Self, TooMany> {
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        if values.len() > MAX {
            return Err(TooMany { found: values.len(), max: MAX });
        }
        Ok(Self(values.into_boxed_slice()))
    }

    /// Whether exactly this value is in the set. Wildcards and networks are *not* expanded.
    pub fn has(&self, value: &T) -> bool {
        self.0.binary_search(value).is_ok()
    }
}

// By hand, because the derived one would ask `T: Default`.
impl<T, const MAX: usize> Default for BoundedSet<T, MAX> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for BoundedSet<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a BoundedSet<T, MAX> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, at most {} are allowed", self.found, self.max)
    }
}

impl core::error::Error for TooMany {}

#[cfg(test)]
mod tests {
    use super::*;

    type Three = BoundedSet<u8, 3>;

    #[test]
    fn a_fourth_distinct_value_is_refused_with_both_numbers() {
        assert_eq!(Three::from_values([1, 2, 3, 4]), Err(TooMany { found: 4, max: 3 }));
    }

    #[test]
    fn the_same_value_twice_counts_once_and_the_order_does_not_matter() {
        let set = Three::from_values([3, 1, 3, 2, 1]).unwrap();
        assert_eq!(set.as_slice(), [1, 2, 3]);
        assert_eq!(set, Three::from_values([2, 3, 1]).unwrap());
        assert!(set.has(&2) && !set.has(&4));
    }

    #[test]
    fn a_set_is_two_words_and_the_default_is_empty() {
        assert_eq!(size_of::<Three>(), 2 * size_of::<usize>());
        assert!(Three::default().is_empty());
    }
}
