//! The way along a packed map.

use super::node::{Node, child_of};
use alloc::vec::Vec;
use core::ops::Bound;
use core::slice;

/// The entries on one side of a bound, in one of two directions.
pub(super) struct Walk<'a, K, V> {
    /// What is left of the branches down to the leaf, the lowest last.
    branches: Vec<slice::Iter<'a, (K, Node<K, V>)>>,
    leaf: slice::Iter<'a, (K, V)>,
    is_back: bool,
}

impl<'a, K: Ord, V> Walk<'a, K, V> {
    pub(super) fn ascending(root: &'a Node<K, V>, start: Bound<K>) -> Self {
        let mut walk = Self { branches: Vec::new(), leaf: [].iter(), is_back: false };
        match start {
            Bound::Unbounded => walk.descend(root),
            Bound::Included(key) => walk.begin(root, &key, |at| *at < key),
            Bound::Excluded(ref key) => walk.begin(root, key, |at| at <= key),
        }
        walk
    }

    pub(super) fn descending(root: &'a Node<K, V>, end: Bound<K>) -> Self {
        let mut walk = Self { branches: Vec::new(), leaf: [].iter(), is_back: true };
        match end {
            Bound::Unbounded => walk.descend(root),
            Bound::Included(ref key) => walk.begin(root, key, |at| at <= key),
            Bound::Excluded(key) => walk.begin(root, &key, |at| *at < key),
        }
        walk
    }

    /// Goes down to `key`; of its leaf the entries that are `lower` lie on the one side.
    fn begin(&mut self, root: &'a Node<K, V>, key: &K, lower: impl Fn(&K) -> bool) {
        let mut node = root;
        loop {
            match node {
                Node::Branch(children) => {
                    let at = child_of(children, key);
                    let rest = if self.is_back { &children[..at] } else { &children[at + 1..] };
                    self.branches.push(rest.iter());
                    node = &children[at].1;
                }
                Node::Leaf(entries) => {
                    let (before, behind) = entries.split_at(entries.partition_point(|(at, _)| lower(at)));
                    self.leaf = if self.is_back { before } else { behind }.iter();
                    return;
                }
            }
        }
    }

    /// Goes down to the first leaf below a node.
    fn descend(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Branch(children) => {
                    let mut children = children.iter();
                    let next = step(&mut children, self.is_back);
                    self.branches.push(children);
                    match next {
                        Some((_, child)) => node = child,
                        None => return,
                    }
                }
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
            }
        }
    }
}

impl<'a, K: Ord, V> Iterator for Walk<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = step(&mut self.leaf, self.is_back) {
                return Some((key, value));
            }
            match step(self.branches.last_mut()?, self.is_back) {
                Some((_, child)) => self.descend(child),
                None => drop(self.branches.pop()),
            }
        }
    }
}

fn step<'a, T>(items: &mut slice::Iter<'a, T>, is_back: bool) -> Option<&'a T> {
    if is_back { items.next_back() } else { items.next() }
}
