//! What was asked, what was answered, and when: all that a rule can be checked against.

use crate::decide::Answer;
use latchkey_domain::{KeyName, NodeId, Revision};
use std::collections::{BTreeMap, VecDeque};

/// Events that are remembered.
const EVENTS_MAX: usize = 20_000;

/// Keys that were revoked last: those that are looked at on a replica that starts again.
const WATCHED_MAX: usize = 200;

/// Keys that are looked at on one replica in one millisecond.
const LOOKED_AT_MAX: usize = 8;

/// How long a key is watched whose revocation nobody acknowledged. Milliseconds.
const UNKNOWN_WATCHED_MS: u64 = 30_000;

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// When it was asked for. Milliseconds.
    pub asked_ms: u64,
    /// When its answer came. Milliseconds.
    pub answered_ms: u64,
    /// What it is known as.
    pub revision: Revision,
}

/// How a replica was said to stand towards a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It knows the write.
    Applied,
    /// It decides on nothing any more that is older.
    LeaseEnded,
    /// It may decide on what is older.
    Waiting,
}

/// What was said of one replica.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation {
    /// The replica.
    pub node: NodeId,
    /// What was said.
    pub told: Told,
    /// When. Milliseconds.
    pub at_ms: u64,
}

/// A revocation that was acknowledged.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// The write.
    pub write: Write,
    /// The longest bound of the keyspace that leases of that time may have begun under. Milliseconds.
    pub bound_ms: u64,
    /// What was said of each replica.
    pub confirmed: Vec<Confirmation>,
    /// When the barrier answered. Milliseconds.
    pub confirmed_ms: Option<u64>,
}

/// A consistent read that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// By whom.
    pub node: NodeId,
    /// When it was asked for. Milliseconds.
    pub asked_ms: u64,
    /// The newest write that was acknowledged by then.
    pub least: Revision,
    /// What it was answered by.
    pub found: Revision,
}

/// A key, from when it was acknowledged.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: KeyName,
    /// What its holder shows.
    pub text: String,
    /// How it was made.
    pub made: Write,
    /// Who was said to know it.
    pub visible: Vec<Confirmation>,
    /// When somebody first wanted it dead. Milliseconds.
    pub revoke_asked_ms: Option<u64>,
    /// How it died.
    pub revoked: Option<Revoked>,
    /// Where it was refused as revoked: in which life of the replica, and since when.
    dead: BTreeMap<NodeId, (u64, u64)>,
}

/// One decision.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Where.
    pub node: NodeId,
    /// In which life of the replica.
    pub life: u64,
    /// On which key, by its place in [`History::keys`].
    pub key: usize,
    /// What.
    pub answer: Answer,
}

/// All that happened in one world.
#[derive(Debug, Default)]
pub struct History {
    now_ms: u64,
    /// What nothing is wrong with is looked at once in so many milliseconds; in each where it is 0.
    pub stride: u64,
    /// The keys that were acknowledged, in the order of that.
    pub keys: Vec<Key>,
    /// All writes that were acknowledged, in the order of that.
    pub writes: Vec<Write>,
    /// So many consistent reads were answered.
    pub reads: u64,
    /// The first of them that was behind a write of before it.
    pub stale_read: Option<Read>,
    /// So many decisions were looked at.
    pub decisions: u64,
    /// Of these, so many could not be made.
    pub unavailable: u64,
    events: VecDeque<(u64, String)>,
    watched: VecDeque<usize>,
    /// Bounds of the keyspace, and from when to when each was in force; the last one has no end.
    bounds: Vec<(u64, u64)>,
}

impl Key {
    /// A key that was acknowledged.
    #[must_use]
    pub fn new(name: KeyName, text: String, made: Write, visible: Vec<Confirmation>) -> Self {
        Self { name, text, made, visible, revoke_asked_ms: None, revoked: None, dead: BTreeMap::new() }
    }

    /// When the last of so many replicas was first seen to refuse it. Milliseconds.
    #[must_use]
    pub fn dead_everywhere_ms(&self, replicas: usize) -> Option<u64> {
        (self.dead.len() >= replicas).then(|| self.dead.values().map(|(_, at)| *at).max())?
    }

    /// Whether it would be wrong to accept it here now.
    fn must_be_dead(&self, node: NodeId, now_ms: u64) -> bool {
        let Some(revoked) = &self.revoked else { return false };
        now_ms > revoked.write.answered_ms + revoked.bound_ms
            || revoked.confirmed.iter().any(|said| said.node == node && said.told != Told::Waiting)
    }

    fn is_settled(&self, node: NodeId, life: u64) -> bool {
        self.dead.get(&node).is_some_and(|(died_in, _)| *died_in == life)
    }
}

impl History {
    /// The newest write that was acknowledged.
    #[must_use]
    pub fn newest(&self) -> Option<Revision> {
        self.writes.iter().map(|write| write.revision).max()
    }

    /// Notes a consistent read.
    pub fn read(&mut self, read: Read) {
        self.reads += 1;
        if read.found < read.least {
            self.stale_read.get_or_insert(read);
        }
    }

    /// Notes an event.
    pub fn note(&mut self, at_ms: u64, what: String) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back((at_ms, what));
    }

    /// The last events, with their times.
    #[must_use]
    pub fn last_events(&self, count: usize) -> Vec<String> {
        let skipped = self.events.len().saturating_sub(count);
        self.events.iter().skip(skipped).map(|(at, what)| format!("{at:>9} ms  {what}")).collect()
    }

    /// A write was acknowledged.
    pub fn wrote(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Somebody asks for the death of a key.
    pub fn revoke_asked(&mut self, key: usize, at_ms: u64) {
        self.keys[key].revoke_asked_ms.get_or_insert(at_ms);
        self.watched.push_back(key);
        if self.watched.len() > WATCHED_MAX {
            self.watched.pop_front();
        }
    }

    /// From now on the keyspace's bound is this one.
    pub fn set_bound(&mut self, at_ms: u64, bound_ms: u64) {
        self.bounds.push((at_ms, bound_ms));
    }

    /// The longest bound that a lease may have begun under that may still run now.
    #[must_use]
    pub fn bound_ms(&self, now_ms: u64) -> u64 {
        let longest = self.bounds.iter().map(|(_, bound)| *bound).max().unwrap_or_default();
        let ends = self.bounds.iter().skip(1).map(|(from, _)| *from).chain([u64::MAX]);
        let in_force = self.bounds.iter().zip(ends).filter(|(_, end)| end.saturating_add(longest) >= now_ms);
        in_force.map(|((_, bound), _)| *bound).max().unwrap_or_default()
    }

    /// The keys to look at now on this replica: those that somebody wants dead and that are not known to be dead here, and
    /// one of all.
    #[must_use]
    pub fn watched(&self, node: NodeId, life: u64) -> Vec<usize> {
        let stride = self.stride.max(1);
        let due = |place: usize| (self.now_ms + place as u64).is_multiple_of(stride);
        let open = |place: &&usize| {
            let key = &self.keys[**place];
            let asked_ms = key.revoke_asked_ms.unwrap_or(0);
            let wanted = key.revoked.is_some() || asked_ms + UNKNOWN_WATCHED_MS > self.now_ms;
            wanted && !key.is_settled(node, life) && (due(**place) || key.must_be_dead(node, self.now_ms))
        };
        let mut watched: Vec<_> = self.watched.iter().filter(open).copied().collect();
        if watched.len() > LOOKED_AT_MAX {
            // Each has its turn.
            let turn = usize::try_from(self.now_ms).unwrap_or(0) % watched.len();
            watched.rotate_left(turn);
            watched.truncate(LOOKED_AT_MAX);
        }
        if let (Ok(keys @ 1..), true) = (u64::try_from(self.keys.len()), due(0)) {
            // A stride that meets each key, whatever their number.
            let one = self.now_ms.wrapping_mul(7_919) % keys;
            watched.push(usize::try_from(one).unwrap_or(0));
        }
        watched
    }

    /// Takes note of decisions.
    pub fn take(&mut self, now_ms: u64, decided: &[Decided]) {
        self.now_ms = now_ms;
        for one in decided {
            self.decisions += 1;
            match one.answer {
                Answer::Unavailable => self.unavailable += 1,
                Answer::Current(latchkey_domain::Outcome::Revoked) => {
                    let key = &mut self.keys[one.key];
                    let since = key.dead.get(&one.node).map_or(now_ms, |(_, since)| *since);
                    key.dead.insert(one.node, (one.life, since));
                }
                Answer::Current(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_was_lowered_holds_for_leases_that_began_before() {
        let mut history = History::default();
        history.set_bound(0, 30_000);
        history.set_bound(100_000, 10_000);
        assert_eq!(history.bound_ms(99_000), 30_000);
        assert_eq!(history.bound_ms(130_000), 30_000);
        assert_eq!(history.bound_ms(130_001), 10_000);
    }
}
