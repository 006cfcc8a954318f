//! The use of one version, as it is counted.

use super::seen_from::{SeenFrom, is_kept_as, kept};
use latchkey_domain::{Network, UnixMillis};
use latchkey_link::evidence::{CallerUse, Curve, VersionUse};

/// Callers that are named of one version.
pub(super) const CALLERS_MAX: usize = 8;

/// A caller that was not seen for so long makes room for another before one that was, however often it came. Milliseconds.
const CALLER_RESTS_MS: u64 = 3_600_000;

/// The use of one version. When it was last used lies beside it, where all of a shard are looked through.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) count: u64,
    first: UnixMillis,
    /// What was before this time was forgotten.
    unknown_until: Option<UnixMillis>,
    curve: Curve,
    callers: Vec<Caller>,
    unnamed: u64,
}

#[derive(Debug)]
struct Caller {
    network: Option<Network>,
    user_agent: Box<str>,
    tags: Vec<Box<str>>,
    last: UnixMillis,
    count: u64,
}

/// What became of the caller of one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is named already.
    Known,
    /// It is named from now on.
    Added,
    /// It is named from now on, in the place of another.
    InPlace,
}

impl Entry {
    pub(super) fn new(now: UnixMillis, unknown_until: Option<UnixMillis>) -> Self {
        Self { first: now, unknown_until, ..Self::default() }
    }

    /// Counts one use, and names its caller in one of at most `callers_max` places, which are not zero.
    pub(super) fn count(&mut self, now: UnixMillis, from: &SeenFrom<'_>, callers_max: usize) -> Named {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(now);
        self.curve.add(now, 1);
        let network = from.network();
        let known = |caller: &&mut Caller| caller.network == network && is_kept_as(from.user_agent, &caller.user_agent);
        if let Some(caller) = self.callers.iter_mut().find(known) {
            caller.count = caller.count.saturating_add(1);
            caller.last = caller.last.max(now);
            return Named::Known;
        }
        let user_agent = kept(from.user_agent);
        let caller = Caller { network, user_agent, tags: from.kept_tags(), last: now, count: 1 };
        if self.callers.len() >= callers_max.min(CALLERS_MAX) && self.drop_caller(now) {
            self.callers.push(caller);
            return Named::InPlace;
        }
        self.callers.reserve_exact(1);
        self.callers.push(caller);
        Named::Added
    }

    /// Names one caller less: the longest unseen where it rests, else the one that came least. False where it names none.
    pub(super) fn drop_caller(&mut self, now: UnixMillis) -> bool {
        let rests = |caller: &Caller| now.millis().saturating_sub(caller.last.millis()) >= CALLER_RESTS_MS;
        let place = |caller: &Caller| match rests(caller) {
            true => (0, caller.last.millis(), caller.count),
            false => (1, caller.count, caller.last.millis()),
        };
        let least = self.callers.iter().enumerate().min_by_key(|(_, caller)| place(caller)).map(|(index, _)| index);
        let Some(index) = least else { return false };
        let dropped = self.callers.swap_remove(index);
        self.unnamed = self.unnamed.saturating_add(dropped.count);
        true
    }

    pub(super) const fn callers(&self) -> usize {
        self.callers.len()
    }

    pub(super) fn show(&self, last: UnixMillis) -> VersionUse {
        let callers = self.callers.iter().map(|caller| CallerUse {
            region: "".into(),
            network: caller.network,
            user_agent: caller.user_agent.clone(),
            tags: caller.tags.clone(),
            last: caller.last,
            count: caller.count,
        });
        VersionUse {
            count: self.count,
            first: Some(self.first),
            last: Some(last),
            unknown_until: self.unknown_until,
            curve: self.curve.clone(),
            callers: callers.collect(),
            unnamed: self.unnamed,
        }
    }

    /// Bytes that it holds beside itself.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let caller = |caller: &Caller| {
            let tags: usize = caller.tags.iter().map(|tag| tag.len()).sum();
            caller.user_agent.len() + caller.tags.capacity() * size_of::<Box<str>>() + tags
        };
        let callers: usize = self.callers.iter().map(caller).sum();
        self.curve.heap_bytes() + self.callers.capacity() * size_of::<Caller>() + callers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> UnixMillis {
        UnixMillis::new(second * 1_000)
    }

    fn agents(entry: &Entry) -> Vec<Box<str>> {
        let mut agents: Vec<_> = entry.callers.iter().map(|caller| caller.user_agent.clone()).collect();
        agents.sort();
        agents
    }

    fn by(user_agent: &str) -> SeenFrom<'_> {
        SeenFrom { user_agent, ..SeenFrom::default() }
    }

    #[test]
    fn who_comes_often_stays_named_however_many_others_come_once() {
        let mut entry = Entry::new(at(0), None);
        for second in 0..1_000 {
            entry.count(at(second), &by("steady"), CALLERS_MAX);
            entry.count(at(second), &by(&format!("passing {second}")), CALLERS_MAX);
        }
        assert_eq!(entry.callers.len(), CALLERS_MAX);
        assert!(agents(&entry).iter().any(|agent| &**agent == "steady"));
        let named: u64 = entry.callers.iter().map(|caller| caller.count).sum();
        assert_eq!((entry.count, named + entry.unnamed), (2_000, 2_000), "each use is counted once");
    }

    #[test]
    fn who_has_gone_makes_room_for_who_came() {
        let mut entry = Entry::new(at(0), None);
        for agent in ["a", "b", "c", "d", "e", "f", "g", "gone"] {
            for _ in 0..100 {
                entry.count(at(if agent == "gone" { 0 } else { 4_000 }), &by(agent), CALLERS_MAX);
            }
        }
        entry.count(at(4_001), &by("new"), CALLERS_MAX);
        assert!(agents(&entry).iter().all(|agent| &**agent != "gone"));
        assert!(agents(&entry).iter().any(|agent| &**agent == "new"));
    }

    #[test]
    fn the_first_use_is_the_earliest_even_where_clocks_differ() {
        let mut entry = Entry::new(at(10), None);
        entry.count(at(10), &by("a"), CALLERS_MAX);
        entry.count(at(9), &by("a"), CALLERS_MAX);
        assert_eq!(entry.show(at(10)).first, Some(at(9)));
    }
}
