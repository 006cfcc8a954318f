//! Orders of keys.

use super::merge::Merged;
use super::position::Position;
use crate::index::Timed;
use crate::key::Key;
use crate::packed::Packed;
use crate::state::State;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::ops::Bound::{Excluded, Included};
use latchkey_domain::{KeyId, KeyspaceNumber, UnixMillis};

/// What keys are ordered by; keys of the same time by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Name,
    Created,
    Changed,
    Expiry,
}

/// An order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOrder {
    by: By,
    descending: bool,
}

/// A look at a key on the way along an order. What is not shown counts as work all the same, and has a place, so that a
/// page may end there.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) key: &'a Arc<Key>,
    pub(super) place: Position,
    pub(super) is_shown: bool,
}

/// The way along an order.
type Looks<'a> = Box<dyn Iterator<Item = Look<'a>> + 'a>;

impl KeyOrder {
    /// By name.
    pub const NAME: Self = Self { by: By::Name, descending: false };

    /// Reads `name`, `create_time`, `update_time` or `expire_time`, with or without ` desc`; empty is by name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (by, descending) = match text.strip_suffix(" desc") {
            Some(by) => (by, true),
            None => (text, false),
        };
        let by = match by {
            "" if !descending => By::Name,
            "name" => By::Name,
            "create_time" => By::Created,
            "update_time" => By::Changed,
            "expire_time" => By::Expiry,
            _ => return None,
        };
        Some(Self { by, descending })
    }

    /// The place of a key in this order.
    pub(super) fn position(self, key: &Key) -> Position {
        Position { time: self.time(key), key: key.id }
    }

    fn time(self, key: &Key) -> Option<UnixMillis> {
        match self.by {
            By::Name => None,
            By::Created => Some(key.created_at),
            By::Changed => Some(key.changed().at),
            By::Expiry => key.expires_at,
        }
    }

    /// Which of two keys comes first.
    pub(super) fn compare(self, left: &Key, right: &Key) -> Ordering {
        self.compare_places(self.position(left), self.position(right))
    }

    pub(super) fn is_after(self, key: &Key, after: Position) -> bool {
        self.compare_places(self.position(key), after).is_gt()
    }

    fn compare_places(self, left: Position, right: Position) -> Ordering {
        // Keys without an end come last, whichever way the rest goes.
        let last = left.time.is_none().cmp(&right.time.is_none());
        let rest = (left.time, left.key).cmp(&(right.time, right.key));
        last.then(if self.descending { rest.reverse() } else { rest })
    }

    /// The keys of a keyspace in this order, after a place in it.
    pub(super) fn keys(self, state: &State, keyspace: KeyspaceNumber, after: Option<Position>) -> Looks<'_> {
        let index = state.index();
        match self.by {
            By::Name => self.by_name(state, keyspace, after),
            By::Created => self.by_time(state, &index.created, keyspace, after),
            By::Changed => {
                let made = self.by_time(state, &index.created, keyspace, after);
                let unchanged = made.map(|look| Look { is_shown: !has_changed(look.key), ..look });
                let changed = self.by_time(state, &index.changed, keyspace, after);
                // A key that changed in the millisecond that made it has one place twice: there it is shown first.
                let compare = move |left: &Look<'_>, right: &Look<'_>| self.compare_places(left.place, right.place);
                Box::new(Merged::new(changed, unchanged, compare))
            }
            By::Expiry => {
                let endless = |after| {
                    let keys = self.by_name(state, keyspace, after);
                    keys.map(|look| Look { is_shown: look.key.expires_at.is_none(), ..look })
                };
                match after {
                    // The page before ended among those that have no end.
                    Some(Position { time: None, .. }) => Box::new(endless(after)),
                    Some(_) | None => {
                        Box::new(self.by_time(state, &index.expiring, keyspace, after).chain(endless(None)))
                    }
                }
            }
        }
    }

    fn by_name(self, state: &State, keyspace: KeyspaceNumber, after: Option<Position>) -> Looks<'_> {
        let after = after.map(|after| after.key);
        let look = |key: &'_ Arc<Key>| Position { time: None, key: key.id };
        let look = move |key| Look { key, place: look(key), is_shown: true };
        match self.descending {
            false => Box::new(state.keys_of(keyspace, after).map(look)),
            true => Box::new(state.keys_before(keyspace, after).map(look)),
        }
    }

    fn by_time<'a>(
        self,
        state: &'a State,
        times: &'a Packed<Timed>,
        keyspace: KeyspaceNumber,
        after: Option<Position>,
    ) -> Looks<'a> {
        let first = (keyspace, UnixMillis::new(0), KeyId::LOWEST);
        let last = (keyspace, UnixMillis::LAST, KeyId::HIGHEST);
        // A place without a time is none of this order: then it begins anew.
        let after = after.and_then(|after| Some((keyspace, after.time?, after.key)));
        let look = move |((keyspace, time, id), ()): (&Timed, &())| {
            let place = Position { time: Some(*time), key: *id };
            state.key_at(*keyspace, *id).map(|key| Look { key, place, is_shown: true })
        };
        match self.descending {
            false => {
                let start = after.map_or(Included(first), Excluded);
                Box::new(times.range(start, Included(last)).filter_map(look))
            }
            true => {
                let end = after.map_or(Included(last), Excluded);
                Box::new(times.range_back(Included(first), end).filter_map(look))
            }
        }
    }
}

fn has_changed(key: &Key) -> bool {
    key.details.as_ref().is_some_and(|details| details.changed.is_some())
}
