//! A part of the counted versions, behind a lock of its own.
//!
//! What is kept is bounded whatever is asked. Where there is no room, what was used longest ago goes first, and the shard
//! remembers until when something that it has forgotten may have been used: silence is never claimed for want of room.

use super::entry::{CALLERS_MAX, Entry, Named};
use super::seen_from::SeenFrom;
use latchkey_domain::{UnixMillis, VersionId};
use latchkey_link::evidence::VersionUse;
use std::collections::HashMap;
use std::hash::RandomState;

/// Versions of one shard.
pub(super) const VERSIONS_MAX: usize = 1_024;

/// Callers named in one shard, over all its versions: at least one for each.
pub(super) const NAMED_MAX: usize = VERSIONS_MAX;

/// One of so many versions is forgotten at once where there is no room: looking for the oldest looks at all of them.
const FORGET_SHARE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Shard {
    slots: HashMap<VersionId, Slot, RandomState>,
    named: usize,
    /// No version that is not here was used since. Absent: none was ever forgotten.
    forgotten_until: Option<UnixMillis>,
}

#[derive(Debug)]
struct Slot {
    last: UnixMillis,
    entry: Box<Entry>,
}

/// What did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) versions: u64,
    pub(super) callers: u64,
}

impl Shard {
    /// Counts one use of a version.
    pub(super) fn count(&mut self, version: VersionId, now: UnixMillis, from: &SeenFrom<'_>) -> Dropped {
        let mut dropped = Dropped::default();
        if self.slots.len() >= VERSIONS_MAX && !self.slots.contains_key(&version) {
            dropped.versions = self.forget_oldest();
        }
        // As many as fit, so that no version takes the names of another.
        let callers_max = (NAMED_MAX / (self.slots.len() + 1)).clamp(1, CALLERS_MAX);
        let unknown_until = self.forgotten_until;
        let new = || Slot { last: now, entry: Box::new(Entry::new(now, unknown_until)) };
        let slot = self.slots.entry(version).or_insert_with(new);
        slot.last = slot.last.max(now);
        match slot.entry.count(now, from, callers_max) {
            Named::Known => {}
            Named::InPlace => dropped.callers += 1,
            Named::Added => self.named += 1,
        }
        if self.named > NAMED_MAX {
            dropped.callers += self.unname(now);
        }
        dropped
    }

    /// What is known of a version.
    pub(super) fn show(&self, version: VersionId) -> VersionUse {
        match self.slots.get(&version) {
            Some(slot) => slot.entry.show(slot.last),
            None => VersionUse { unknown_until: self.forgotten_until, ..VersionUse::default() },
        }
    }

    /// The versions here, each with how often it was used.
    pub(super) fn counted(&self) -> Vec<(VersionId, u64)> {
        self.slots.iter().map(|(version, slot)| (*version, slot.entry.count)).collect()
    }

    /// Forgets a version that nobody asks about any more, unless it was used since that was found out.
    pub(super) fn remove(&mut self, version: VersionId, count: u64) {
        if self.slots.get(&version).is_some_and(|slot| slot.entry.count == count) {
            let slot = self.slots.remove(&version);
            self.named -= slot.map_or(0, |slot| slot.entry.callers());
        }
    }

    /// Makes room by what was used longest ago.
    fn forget_oldest(&mut self) -> u64 {
        let mut times: Vec<_> = self.slots.values().map(|slot| slot.last).collect();
        let (_, newest, _) = times.select_nth_unstable(VERSIONS_MAX / FORGET_SHARE);
        let until = *newest;
        let before = self.slots.len();
        let named = &mut self.named;
        self.slots.retain(|_, slot| {
            let stays = slot.last > until;
            if !stays {
                *named -= slot.entry.callers();
            }
            stays
        });
        self.forgotten_until = self.forgotten_until.max(Some(until));
        (before - self.slots.len()) as u64
    }

    /// Takes a name from the version that names most. Where there are more names than versions, one names two.
    fn unname(&mut self, now: UnixMillis) -> u64 {
        let most = self.slots.values_mut().max_by_key(|slot| slot.entry.callers());
        let dropped = most.is_some_and(|slot| slot.entry.drop_caller(now));
        self.named -= usize::from(dropped);
        u64::from(dropped)
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let entries: usize = self.slots.values().map(|slot| size_of::<Entry>() + slot.entry.heap_bytes()).sum();
        // One byte of control a place, as hashbrown has it.
        self.slots.capacity() * (size_of::<(VersionId, Slot)>() + 1) + entries
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        assert_eq!(self.named, self.slots.values().map(|slot| slot.entry.callers()).sum::<usize>());
        (self.slots.len(), self.named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    fn version(number: u64) -> VersionId {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        VersionId::from_random(bytes)
    }

    #[test]
    fn what_does_not_fit_is_said_and_never_taken_for_silence() {
        let (mut shard, mut forgotten) = (Shard::default(), 0);
        let uses = 3 * VERSIONS_MAX as u64;
        for number in 0..uses {
            forgotten += shard.count(version(number), at(1_000 + number), &SeenFrom::default()).versions;
            assert!(shard.sizes().0 <= VERSIONS_MAX);
        }
        assert!(forgotten >= 2 * VERSIONS_MAX as u64, "{forgotten}");
        for number in 0..uses {
            let shown = shard.show(version(number));
            let used = at(1_000 + number);
            // Either it is known when it was used, or it is known not to be known.
            assert!(shown.last == Some(used) || shown.unknown_until >= Some(used), "{number}: {shown:?}");
        }
        assert_eq!(shard.show(version(uses - 1)).last, Some(at(1_000 + uses - 1)), "the latest are known");
        // What comes back does not know what was before.
        shard.count(version(0), at(9_000_000), &SeenFrom::default());
        let back = shard.show(version(0));
        assert!(back.first == Some(at(9_000_000)) && back.unknown_until >= Some(at(1_000)));
    }

    #[test]
    fn all_used_at_one_moment_are_forgotten_together() {
        let mut shard = Shard::default();
        for number in 0..=VERSIONS_MAX as u64 {
            shard.count(version(number), at(7), &SeenFrom::default());
        }
        assert_eq!(shard.sizes().0, 1);
        assert_eq!(shard.show(version(0)).unknown_until, Some(at(7)));
    }

    #[test]
    fn one_version_with_many_callers_leaves_the_others_a_name_each() {
        let mut shard = Shard::default();
        for number in 0..VERSIONS_MAX as u64 {
            for agent in 0..20 {
                let user_agent = format!("agent {agent}");
                shard.count(version(number), at(number), &SeenFrom { user_agent: &user_agent, ..SeenFrom::default() });
            }
            assert!(shard.sizes().1 <= NAMED_MAX);
        }
        for number in 0..VERSIONS_MAX as u64 {
            let shown = shard.show(version(number));
            assert!(!shown.callers.is_empty(), "{number}");
            let named: u64 = shown.callers.iter().map(|caller| caller.count).sum();
            assert_eq!((shown.count, named + shown.unnamed), (20, 20));
        }
    }

    #[test]
    fn what_was_used_meanwhile_is_not_removed() {
        let mut shard = Shard::default();
        shard.count(version(1), at(1), &SeenFrom::default());
        let counted = shard.counted();
        shard.count(version(1), at(2), &SeenFrom::default());
        shard.remove(counted[0].0, counted[0].1);
        assert_eq!(shard.show(version(1)).count, 2);
        shard.remove(version(1), 2);
        assert_eq!((shard.sizes(), shard.show(version(1))), ((0, 0), VersionUse::default()));
    }
}
