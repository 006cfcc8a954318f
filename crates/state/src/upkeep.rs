//! What the leader has to do on its own account: questions whose answers are [`crate::Operation::Settle`],
//! [`crate::Operation::MarkRevoked`] and [`crate::Operation::RemoveDead`].

use crate::command::RevokedScope;
use crate::index::Group;
use crate::records::ScopeCut;
use crate::state::State;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};
use latchkey_domain::{KeyId, KeyspaceNumber, RoleNumber, UnixMillis};

/// A key by number.
pub type KeyAt = (KeyspaceNumber, KeyId);

impl State {
    /// When the clock next ends an overlap or a restriction.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMillis> {
        self.index().due.get_min().map(|(time, ..)| *time)
    }

    /// Whether [`crate::Operation::Settle`] would find something to do.
    #[must_use]
    pub fn settle_due(&self, now: UnixMillis) -> bool {
        self.next_due().is_some_and(|time| time <= now)
    }

    /// The keys of which the clock has ended something, what ended first before the rest; a key may come twice.
    pub fn keys_due(&self, now: UnixMillis) -> impl Iterator<Item = KeyAt> {
        let due = self.index().due.iter().take_while(move |(time, ..)| *time <= now);
        due.map(|(_, keyspace, key, _)| (*keyspace, *key))
    }

    /// What was cut, where not each key that it reached is marked yet.
    pub fn unmarked_cuts(&self) -> impl Iterator<Item = RevokedScope> {
        self.index().unmarked.iter().copied()
    }

    /// What was last cut in a scope.
    #[must_use]
    pub fn cut_in(&self, scope: RevokedScope) -> Option<&ScopeCut> {
        match scope {
            RevokedScope::Tenant(number) => self.tenants().by_number(number)?.cut.as_deref(),
            RevokedScope::Keyspace(number) => self.keyspaces().by_number(number)?.cut.as_deref(),
            RevokedScope::Owner(number) => self.owners().by_number(number)?.cut.as_deref(),
            RevokedScope::Role(number) => self.roles().by_number(number)?.cut.as_deref(),
        }
    }

    /// At most `limit` keys of a scope, in the order of their numbers, beginning after `after`: fewer only at the end.
    #[must_use]
    pub fn keys_of_scope(&self, scope: RevokedScope, after: Option<KeyAt>, limit: usize) -> Vec<KeyAt> {
        match scope {
            RevokedScope::Owner(number) => self.keys_in(Group::Owner(number), after).take(limit).collect(),
            RevokedScope::Role(number) => self.keys_in(Group::Role(number), after).take(limit).collect(),
            RevokedScope::Keyspace(number) => self.keys_after(number, after).take(limit).collect(),
            RevokedScope::Tenant(number) => {
                let mut keyspaces: Vec<_> =
                    self.keyspaces().of_tenant(number, None).map(|keyspace| keyspace.number).collect();
                keyspaces.sort_unstable();
                let keyspaces = keyspaces.into_iter();
                keyspaces.flat_map(|keyspace| self.keys_after(keyspace, after)).take(limit).collect()
            }
        }
    }

    fn keys_after(&self, keyspace: KeyspaceNumber, after: Option<KeyAt>) -> impl Iterator<Item = KeyAt> {
        let is_past = after.is_some_and(|(last, _)| last > keyspace);
        let after = after.filter(|(last, _)| *last == keyspace).map(|(_, key)| key);
        let keys = (!is_past).then(|| self.keys_of(keyspace, after));
        keys.into_iter().flatten().map(|key| (key.keyspace, key.id))
    }

    /// The keys of a group, in the order of their numbers, beginning after `after`.
    pub(crate) fn keys_in(&self, group: Group, after: Option<KeyAt>) -> impl Iterator<Item = KeyAt> {
        let start = match after {
            Some((keyspace, key)) => Excluded((group, keyspace, key)),
            None => Included((group, KeyspaceNumber(0), KeyId::LOWEST)),
        };
        let keys = self.index().groups.range(start, Unbounded).map(|(place, ())| *place);
        keys.take_while(move |(of, ..)| *of == group).map(|(_, keyspace, key)| (keyspace, key))
    }

    /// Among the next `scan` keys after `after`, those that [`crate::Operation::RemoveDead`] would take away or take
    /// versions of; and where to go on, absent at the end of all keys.
    #[must_use]
    pub fn dead_keys(&self, after: Option<KeyAt>, now: UnixMillis, scan: usize) -> (Vec<KeyAt>, Option<KeyAt>) {
        let mut keys = self.all_keys_after(after);
        let mut dead = Vec::new();
        let mut last = None;
        for key in keys.by_ref().take(scan) {
            last = Some((key.keyspace, key.id));
            if self.has_removable(key, now) {
                dead.push((key.keyspace, key.id));
            }
        }
        let more = keys.next().is_some();
        (dead, last.filter(|_| more))
    }

    /// Whether any key has this role, and how many.
    #[must_use]
    pub fn keys_with_role(&self, role: RoleNumber) -> u64 {
        self.index().counts.get(&Group::Role(role)).copied().unwrap_or_default()
    }
}
