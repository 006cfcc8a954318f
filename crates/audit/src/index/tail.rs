//! The tail: what was indexed last, in memory.

use super::term::{Term, Word};
use super::times::Times;
use latchkey_domain::{TenantNumber, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// What one entry is found by.
#[derive(Clone, Debug)]
pub(crate) struct Indexed {
    /// Whose it is; the number of the cluster is 0.
    pub(crate) tenant: TenantNumber,
    /// When it happened.
    pub(crate) at: UnixMillis,
    /// What it is found by.
    pub(crate) words: BTreeSet<Word>,
}

/// The lists of the entries from `first` to `next`.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) lists: BTreeMap<(TenantNumber, Term), Vec<u64>>,
    pub(super) times: Times,
}

impl Tail {
    pub(super) const fn new(first: u64) -> Self {
        Self { first, next: first, lists: BTreeMap::new(), times: Times::new(first) }
    }

    /// Adds the next entry; one that cannot be read any more has its number, and nothing by which it is found.
    pub(super) fn add(&mut self, entry: Option<(TenantNumber, UnixMillis, impl Iterator<Item = Term>)>) {
        let sequence = self.next;
        self.next += 1;
        self.times.add(sequence, entry.as_ref().map(|(_, at, _)| *at));
        let Some((tenant, _, terms)) = entry else { return };
        for term in terms {
            let list = self.lists.entry((tenant, term)).or_default();
            // Two words may have one term.
            if list.last() != Some(&sequence) {
                list.push(sequence);
            }
        }
    }

    pub(super) fn tenants(&self) -> BTreeSet<TenantNumber> {
        // A number at a time: there are far more lists than tenants.
        let mut tenants = BTreeSet::new();
        let mut from = std::ops::Bound::Unbounded;
        while let Some(((tenant, _), _)) = self.lists.range((from, std::ops::Bound::Unbounded)).next() {
            tenants.insert(*tenant);
            from = std::ops::Bound::Excluded((*tenant, [0xFF; 8]));
        }
        tenants
    }
}
