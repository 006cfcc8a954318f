//! Two ordered sequences as one.

use core::cmp::Ordering;
use core::iter::Peekable;

/// Whatever comes first of either.
pub(super) struct Merged<L: Iterator, R: Iterator, C> {
    left: Peekable<L>,
    right: Peekable<R>,
    compare: C,
}

impl<T, L: Iterator<Item = T>, R: Iterator<Item = T>, C: Fn(&T, &T) -> Ordering> Merged<L, R, C> {
    pub(super) fn new(left: L, right: R, compare: C) -> Self {
        Self { left: left.peekable(), right: right.peekable(), compare }
    }
}

impl<T, L: Iterator<Item = T>, R: Iterator<Item = T>, C: Fn(&T, &T) -> Ordering> Iterator for Merged<L, R, C> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) if (self.compare)(left, right).is_gt() => self.right.next(),
            (Some(_), _) => self.left.next(),
            (None, _) => self.right.next(),
        }
    }
}
