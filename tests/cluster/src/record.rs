//! A recorded history: every write and every validation of a run, with what it was told and when. The checkers beside it
//! say what must hold of it; each has planted histories that it has to refuse.

mod freshness;
mod kept;
mod order;
mod steady;
mod values;

use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A revision: epoch, then index.
pub(crate) type At = (u64, u64);

/// What a write does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Suspend,
    Resume,
    Revoke,
}

impl Kind {
    /// What a key is answered with after it.
    const fn outcome(self) -> v1::Outcome {
        match self {
            Self::Create | Self::Resume => v1::Outcome::Valid,
            Self::Suspend => v1::Outcome::Suspended,
            Self::Revoke => v1::Outcome::Revoked,
        }
    }
}

/// One write, from its first try on.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: u64,
    pub(crate) kind: Kind,
    pub(crate) began: Instant,
    /// When it was acknowledged, and at which revision. None: it may land at any time, or never.
    pub(crate) told: Option<(Instant, At)>,
    /// Replicas that were said to decide by it from then on.
    pub(crate) known_at: Vec<u64>,
}

/// One validation that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) key: u64,
    pub(crate) replica: u64,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: v1::Outcome,
    /// The revision of the state that was read.
    pub(crate) at: At,
    /// The revision that it was asked to know.
    pub(crate) needed: Option<At>,
}

/// All of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Vec<Read>,
    /// The labels of the keys that requests were made for, by key.
    pub(crate) labels: BTreeMap<u64, String>,
}

impl Record {
    /// Writes of each key, those that were acknowledged in the order of their revisions, then those that were not.
    fn by_key(&self) -> BTreeMap<u64, Vec<&Write>> {
        let mut by_key: BTreeMap<u64, Vec<&Write>> = BTreeMap::new();
        for write in &self.writes {
            by_key.entry(write.key).or_default().push(write);
        }
        for writes in by_key.values_mut() {
            writes.sort_by_key(|write| write.told.map_or((u64::MAX, u64::MAX), |(_, at)| at));
        }
        by_key
    }

    /// No two writes share a revision, and none that began after another had ended lies below it.
    pub(crate) fn check_order(&self) -> Vec<String> {
        order::check(self)
    }

    /// Each answer is that of the last write of its key at or below the revision that was read.
    pub(crate) fn check_values(&self) -> Vec<String> {
        values::check(self)
    }

    /// No answer rests on a state that lacks what was acknowledged more than `bound` before it began, what its replica
    /// was said to know, or what it was asked to know.
    pub(crate) fn check_freshness(&self, bound: Duration) -> Vec<String> {
        freshness::check(self, bound)
    }

    /// What one replica answers from never goes back.
    pub(crate) fn check_steadiness(&self) -> Vec<String> {
        steady::check(self)
    }

    /// Whatever was acknowledged is in the listing of the end, and nothing is that nobody asked for.
    pub(crate) fn check_kept(&self, listed: &[v1::Key]) -> Vec<String> {
        kept::check(self, listed)
    }

    /// The last things that happened to a key, for whoever has to find out.
    pub(crate) fn story(&self, key: u64, began: Instant) -> String {
        let since = |at: Instant| at.saturating_duration_since(began).as_millis();
        let mut lines: Vec<(Instant, String)> = Vec::new();
        for write in self.writes.iter().filter(|write| write.key == key) {
            let told = write.told.map(|(at, revision)| (since(at), revision));
            lines.push((write.began, format!("{} ms {:?} told {told:?}", since(write.began), write.kind)));
        }
        for read in self.reads.iter().filter(|read| read.key == key) {
            let Read { replica, outcome, at, .. } = read;
            lines.push((read.began, format!("{} ms replica {replica} {outcome:?} at {at:?}", since(read.began))));
        }
        lines.sort_by_key(|(at, _)| *at);
        let last = lines.len().saturating_sub(30);
        lines.into_iter().skip(last).map(|(_, line)| format!("   {line}\n")).collect()
    }
}

#[cfg(test)]
mod planted {
    //! What the tests of the checkers plant histories with: one key, times in milliseconds, revisions by their index.

    use super::*;
    use std::sync::OnceLock;

    pub(super) fn at(ms: u64) -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_millis(ms)
    }

    pub(super) fn write(kind: Kind, began: u64, told: Option<(u64, u64)>) -> Write {
        let told = told.map(|(ended, index)| (at(ended), (1, index)));
        Write { key: 1, kind, began: at(began), told, known_at: Vec::new() }
    }

    pub(super) fn read(outcome: v1::Outcome, began: u64, index: u64) -> Read {
        let (ended, at_revision) = (at(began + 1), (1, index));
        Read { key: 1, replica: 1, began: at(began), ended, outcome, at: at_revision, needed: None }
    }

    pub(super) fn record(writes: Vec<Write>, reads: Vec<Read>) -> Record {
        Record { writes, reads, labels: BTreeMap::from([(1, "one".to_owned())]) }
    }
}
