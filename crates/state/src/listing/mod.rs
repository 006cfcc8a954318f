//! Listings in an order, by filter, in pages: of keys, rotations and roles.
//!
//! A page begins after the last record of the page before, by that record's place in the order: a write between two
//! pages neither repeats nor hides a record that it did not change. The work of a page is bounded by how many records it
//! looks at, so a page of a filter that passes over many is short.

mod filter;
mod merge;
mod order;
mod position;
mod roles;
mod rotations;

pub use filter::KeyFilter;
pub use order::KeyOrder;
use order::Look;
pub use position::Position;
pub use roles::AnyRole;
pub use rotations::RotationPlace;

use crate::key::Key;
use crate::state::State;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{KeyId, KeyspaceNumber, UnixMillis};

/// Keys that one page looks at, by default: a page that finds none should take no longer than 50 ms.
pub const SCAN_MAX: usize = 8_000;

/// One page of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys, in the order asked for.
    pub keys: Vec<Arc<Key>>,
    /// Where the next page begins; absent: this was the last.
    pub next: Option<Position>,
}

impl State {
    /// One page of the keys of a keyspace that match: at most `limit`, after looking at no more than `scan_max`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is one word of the question")]
    pub fn list_keys(
        &self,
        keyspace: KeyspaceNumber,
        filter: &KeyFilter,
        order: KeyOrder,
        after: Option<Position>,
        now: UnixMillis,
        limit: usize,
        scan_max: usize,
    ) -> Page {
        let few = filter.few(self, keyspace, scan_max);
        let candidates: Vec<Arc<Key>>;
        let mut looks: Box<dyn Iterator<Item = Look<'_>>> = match few {
            // They lie by name; any other order is that of a few.
            Some(mut keys) => {
                keys.sort_by(|left, right| order.compare(left, right));
                let begin = after.map_or(0, |after| keys.partition_point(|key| !order.is_after(key, after)));
                candidates = keys.split_off(begin);
                Box::new(candidates.iter().map(|key| Look { key, place: order.position(key), is_shown: true }))
            }
            None => order.keys(self, keyspace, after),
        };
        let mut page = Page { keys: Vec::new(), next: None };
        let mut last = after;
        for Look { key, place, is_shown } in looks.by_ref().take(scan_max.max(1)) {
            if page.keys.len() == limit {
                page.next = last;
                return page;
            }
            last = Some(place);
            if is_shown && filter.matches(self, key, now) {
                page.keys.push(key.clone());
            }
        }
        page.next = last.filter(|_| looks.next().is_some());
        page
    }

    /// At most `limit` keys of a keyspace that match at `now`, by name, beginning after `after`. Looks at as many as
    /// it takes: for what has to be exact.
    #[must_use]
    pub fn select_keys(
        &self,
        keyspace: KeyspaceNumber,
        filter: &KeyFilter,
        now: UnixMillis,
        after: Option<KeyId>,
        limit: usize,
    ) -> Vec<KeyId> {
        let few = filter.few(self, keyspace, usize::MAX);
        let is_after = |key: &&Arc<Key>| after.is_none_or(|after| key.id > after);
        let matching = |key: &&Arc<Key>| filter.matches(self, key, now);
        match few {
            Some(keys) => keys.iter().filter(is_after).filter(matching).take(limit).map(|key| key.id).collect(),
            None => self.keys_of(keyspace, after).filter(matching).take(limit).map(|key| key.id).collect(),
        }
    }
}
