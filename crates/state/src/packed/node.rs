//! The nodes of a packed map.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter;

/// Entries of a node at most. A full leaf of entries of 24 bytes then just fills an allocator's class of 768; a change
/// copies one leaf, and where values are counted references counts each of them twice.
pub(super) const ENTRIES_MAX: usize = 31;

/// A node that falls below this many entries looks for a neighbour to join.
const ENTRIES_FEW: usize = ENTRIES_MAX / 4;

/// Neighbours join where they have at most this many together, so that the next entries do not part them again.
const JOINED_MAX: usize = ENTRIES_MAX * 3 / 4;

/// All leaves are equally deep. What a branch says of its first child is not asked: whatever is lower than the second
/// belongs there.
#[derive(Clone, Debug)]
pub(super) enum Node<K, V> {
    Leaf(Arc<[(K, V)]>),
    Branch(Arc<[(K, Self)]>),
}

/// What putting an entry did.
pub(super) enum Put<K, V> {
    /// It took the place of this one.
    Replaced(V),
    Added,
    /// It is there, and this node, which begins with this key, belongs to the right of the one that was asked.
    Split(K, Node<K, V>),
}

impl<K, V> Node<K, V> {
    pub(super) fn empty() -> Self {
        Self::Leaf(Arc::new([]))
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

impl<K: Ord + Copy, V: Clone> Node<K, V> {
    /// And how many entries there are.
    pub(super) fn from_sorted(entries: impl IntoIterator<Item = (K, V)>) -> (Self, usize) {
        let (mut entries, mut len, mut level) = (entries.into_iter(), 0, Vec::new());
        loop {
            let leaf: Vec<_> = entries.by_ref().take(ENTRIES_MAX).collect();
            let Some((first, _)) = leaf.first() else { break };
            len += leaf.len();
            level.push((*first, Self::Leaf(leaf.into())));
        }
        while level.len() > 1 {
            let branches = level.chunks(ENTRIES_MAX).map(|children| (children[0].0, Self::Branch(children.into())));
            level = branches.collect();
        }
        (level.pop().map_or_else(Self::empty, |(_, root)| root), len)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let mut node = self;
        loop {
            match node {
                Self::Branch(children) => node = &children[child_of(children, key)].1,
                Self::Leaf(entries) => return find(entries, key).ok().map(|at| &entries[at].1),
            }
        }
    }

    pub(super) fn put(&mut self, key: K, value: V) -> Put<K, V> {
        match self {
            Self::Leaf(entries) => match find(entries, &key) {
                Ok(at) => Put::Replaced(core::mem::replace(&mut Arc::make_mut(entries)[at].1, value)),
                Err(at) => match with(entries, at, (key, value)) {
                    None => Put::Added,
                    Some(right) => Put::Split(right[0].0, Self::Leaf(right)),
                },
            },
            Self::Branch(children) => {
                let at = child_of(children, &key);
                match Arc::make_mut(children)[at].1.put(key, value) {
                    Put::Split(first, child) => match with(children, at + 1, (first, child)) {
                        None => Put::Added,
                        Some(right) => Put::Split(right[0].0, Self::Branch(right)),
                    },
                    put => put,
                }
            }
        }
    }

    /// Puts a branch over this root and what it was split from.
    pub(super) fn grow(&mut self, first: K, right: Self) {
        let left = core::mem::replace(self, Self::empty());
        // What is said of a first child is not asked.
        *self = Self::Branch(Arc::new([(first, left), (first, right)]));
    }

    /// Takes away the entry of `key`, which is there.
    pub(super) fn take(&mut self, key: &K) {
        match self {
            Self::Leaf(entries) => {
                if let Ok(at) = find(entries, key) {
                    *entries = without(entries, at);
                }
            }
            Self::Branch(children) => {
                let at = child_of(children, key);
                let child = &mut Arc::make_mut(children)[at].1;
                child.take(key);
                match child.len() {
                    0 => *children = without(children, at),
                    1..ENTRIES_FEW => join_neighbours(children, at),
                    _ => {}
                }
            }
        }
    }

    /// Removes what has become needless above the root's only child.
    pub(super) fn lower(&mut self) {
        while let Self::Branch(children) = self {
            *self = match &**children {
                [] => Self::empty(),
                [(_, only)] => only.clone(),
                _ => return,
            };
        }
    }

    /// This node with all of `right`, which begins at `first`, behind it; `None` for nodes of two kinds.
    fn joined(&self, first: K, right: &Self) -> Option<Self> {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => Some(Self::Leaf(left.iter().chain(&**right).cloned().collect())),
            (Self::Branch(left), Self::Branch(right)) => {
                let mut children: Vec<_> = left.iter().chain(&**right).cloned().collect();
                // From now on it is asked what is said of this one.
                children[left.len()].0 = first;
                Some(Self::Branch(children.into()))
            }
            _ => None,
        }
    }
}

/// Joins the child at `at` with a neighbour, where both together are short.
fn join_neighbours<K: Ord + Copy, V: Clone>(children: &mut Arc<[(K, Node<K, V>)]>, at: usize) {
    for left in [at.checked_sub(1), Some(at)].into_iter().flatten() {
        let Some([(bound, one), (first, other)]) = children.get(left..left + 2) else { continue };
        if one.len() + other.len() > JOINED_MAX {
            continue;
        }
        if let Some(joined) = one.joined(*first, other) {
            let bound = *bound;
            let mut fewer = without(children, left + 1);
            Arc::make_mut(&mut fewer)[left] = (bound, joined);
            *children = fewer;
            return;
        }
    }
}

/// Where the child is that has `key`, if any has.
pub(super) fn child_of<K: Ord, T>(children: &[(K, T)], key: &K) -> usize {
    let behind_first = children.get(1..).unwrap_or_default();
    behind_first.partition_point(|(first, _)| first <= key)
}

fn find<K: Ord, T>(entries: &[(K, T)], key: &K) -> Result<usize, usize> {
    entries.binary_search_by(|(at, _)| at.cmp(key))
}

/// Puts an item at a place, and returns what no longer has room.
fn with<T: Clone>(items: &mut Arc<[T]>, at: usize, item: T) -> Option<Arc<[T]>> {
    if items.len() < ENTRIES_MAX {
        *items = inserted(items, at, item);
        return None;
    }
    // What comes last begins a new node, so that what comes in order leaves full ones behind.
    if at == items.len() {
        return Some(Arc::new([item]));
    }
    let (left, right) = items.split_at(items.len() / 2);
    let (left, right) = match at.checked_sub(left.len()) {
        None => (inserted(left, at, item), right.into()),
        Some(at) => (left.into(), inserted(right, at, item)),
    };
    *items = left;
    Some(right)
}

fn inserted<T: Clone>(items: &[T], at: usize, item: T) -> Arc<[T]> {
    let (before, behind) = items.split_at(at);
    before.iter().cloned().chain(iter::once(item)).chain(behind.iter().cloned()).collect()
}

fn without<T: Clone>(items: &[T], at: usize) -> Arc<[T]> {
    items[..at].iter().chain(&items[at + 1..]).cloned().collect()
}
