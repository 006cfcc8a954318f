//! An ordered map that is cheap to clone and wastes no memory: what a million keys lie in and are found by.
//!
//! ```text
//! branch [(first, child), ...]  ->  branch  ->  leaf [(key, value), ...]
//! ```
//! Each node is one allocation, exactly as long as what is in it, shared by all clones that hold it; a change copies the
//! nodes from the root to its leaf. Growing a node in place would be quicker, but its spare room is a third of the memory
//! of an index, and clones force the copy anyway.

mod node;
mod walk;

use core::ops::Bound;
use node::{Node, Put};
use walk::Walk;

/// A copy-on-write ordered map. With `()` for values it is a set.
#[derive(Clone, Debug)]
pub(crate) struct Packed<K, V = ()> {
    root: Node<K, V>,
    len: usize,
}

impl<K, V> Default for Packed<K, V> {
    fn default() -> Self {
        Self { root: Node::empty(), len: 0 }
    }
}

impl<K: Ord + Copy, V: Clone> Packed<K, V> {
    /// From entries in ascending order, none twice. For many it is some ten times as quick as putting them one by one.
    pub(crate) fn from_sorted(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let (root, len) = Node::from_sorted(entries);
        Self { root, len }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.root.get(key)
    }

    /// Puts a value, and returns the one that it replaces.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.root.put(key, value) {
            Put::Replaced(old) => return Some(old),
            Put::Added => {}
            Put::Split(first, right) => self.root.grow(first, right),
        }
        self.len += 1;
        None
    }

    /// Takes a value away; nothing where there is none.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // Looked up first: what is not there must not copy the way to where it would be.
        let old = self.root.get(key)?.clone();
        self.root.take(key);
        self.root.lower();
        self.len -= 1;
        Some(old)
    }

    /// The entries between two bounds, ascending.
    pub(crate) fn range(&self, start: Bound<K>, end: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        Walk::ascending(&self.root, start).take_while(move |(key, _)| match &end {
            Bound::Included(end) => *key <= end,
            Bound::Excluded(end) => *key < end,
            Bound::Unbounded => true,
        })
    }

    /// The entries between two bounds, descending.
    pub(crate) fn range_back(&self, start: Bound<K>, end: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        Walk::descending(&self.root, end).take_while(move |(key, _)| match &start {
            Bound::Included(start) => *key >= start,
            Bound::Excluded(start) => *key > start,
            Bound::Unbounded => true,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        Walk::ascending(&self.root, Bound::Unbounded)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The lowest entry.
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }
}

/// By what is in them: the same entries may lie in differently cut nodes.
impl<K: Ord + Copy, V: Clone + PartialEq> PartialEq for Packed<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Copy, V: Clone + Eq> Eq for Packed<K, V> {}

#[cfg(test)]
mod tests;
