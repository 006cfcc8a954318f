//! Wrong secrets, told once for each version and window: what comes within one is counted with the line that there is already.

use super::lines::About;
use latchkey_domain::UnixMillis;
use std::collections::{BTreeSet, HashMap};

/// Versions whose wrong secrets are counted at a time.
const WINDOWS_MAX: usize = 4_096;

/// For how long one line stands for all wrong secrets of a version.
const WINDOW_MS: u64 = 10_000;

/// What an entry of the tree takes, which keeps its nodes half full at worst.
const ENDING_BYTES: usize = 2 * size_of::<(UnixMillis, [u8; 12])>();

/// The windows that are open.
#[derive(Debug, Default)]
pub(super) struct Windows {
    by_version: HashMap<[u8; 12], Window>,
    /// The same by their ends: whoever closes what is over looks at nothing else. A stranger decides how often that is.
    ending: BTreeSet<(UnixMillis, [u8; 12])>,
}

/// One line, and what came after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    until: UnixMillis,
    pub(super) about: About,
    /// How many were counted with the line.
    pub(super) beyond: u64,
    /// When the first of these was.
    pub(super) first: UnixMillis,
    /// When the last of these was.
    pub(super) last: UnixMillis,
}

impl Windows {
    /// Whether a wrong secret belongs to a line that there is already. It is counted with that. Where it does not, a window
    /// begins with it, as long as there is a place; those that were over meanwhile go to `over`.
    pub(super) fn is_counted(&mut self, about: About, at: UnixMillis, over: impl FnMut(Window)) -> bool {
        if let Some(window) = self.by_version.get_mut(&about.version).filter(|window| at < window.until) {
            if window.beyond == 0 {
                window.first = at;
            }
            window.beyond += 1;
            window.last = window.last.max(at);
            return true;
        }
        if self.by_version.len() >= WINDOWS_MAX || self.by_version.contains_key(&about.version) {
            self.close(at, over);
        }
        if self.by_version.len() < WINDOWS_MAX {
            let until = UnixMillis::new(at.millis().saturating_add(WINDOW_MS));
            self.by_version.insert(about.version, Window { until, about, beyond: 0, first: at, last: at });
            self.ending.insert((until, about.version));
        }
        false
    }

    /// Takes those out that are over.
    pub(super) fn close(&mut self, now: UnixMillis, mut over: impl FnMut(Window)) {
        while let Some((_, version)) = self.ending.first().copied().filter(|(until, _)| *until <= now) {
            self.ending.pop_first();
            self.by_version.remove(&version).into_iter().for_each(&mut over);
        }
    }

    /// When the oldest was that is counted and not said. Milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let counted = self.by_version.values().filter(|window| window.beyond > 0);
        counted.map(|window| window.first.millis()).min()
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.by_version.capacity() * (size_of::<([u8; 12], Window)>() + 1) + self.ending.len() * ENDING_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{Outcome, TenantNumber};
    use latchkey_wire::pb::internal::v1::access_record::Kind;
    use proptest::prelude::*;

    fn about(version: u16) -> About {
        let mut id = [7; 12];
        id[..2].copy_from_slice(&version.to_be_bytes());
        let (tenant, outcome) = (TenantNumber(1), Outcome::Malformed);
        About { kind: Kind::WrongSecret, outcome, tenant, keyspace: None, key: [1; 12], version: id }
    }

    /// The same, which looks at all of them each time.
    #[derive(Default)]
    struct Naive(Vec<Window>);

    impl Naive {
        fn is_counted(&mut self, about: About, at: UnixMillis, over: &mut Vec<Window>) -> bool {
            let known = self.0.iter().position(|window| window.about.version == about.version);
            if let Some(window) = known.map(|known| &mut self.0[known]).filter(|window| at < window.until) {
                window.first = if window.beyond == 0 { at } else { window.first };
                (window.beyond, window.last) = (window.beyond + 1, window.last.max(at));
                return true;
            }
            if self.0.len() >= WINDOWS_MAX || known.is_some() {
                self.close(at, over);
            }
            if self.0.len() < WINDOWS_MAX {
                let until = UnixMillis::new(at.millis() + WINDOW_MS);
                self.0.push(Window { until, about, beyond: 0, first: at, last: at });
            }
            false
        }

        fn close(&mut self, now: UnixMillis, over: &mut Vec<Window>) {
            over.extend(self.0.extract_if(.., |window| window.until <= now));
        }
    }

    fn sorted(mut over: Vec<Window>) -> Vec<Window> {
        over.sort_by_key(|window| (window.until, window.about.version));
        over
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn windows_are_those_of_a_scan_over_all_of_them(
            steps in prop::collection::vec((0..40_u16, 0..4_000_u64, 0..9_000_u64, any::<bool>()), 1..400),
            full in any::<bool>(),
        ) {
            let (mut windows, mut naive, mut now) = (Windows::default(), Naive::default(), 1_000_000);
            let (mut over, mut naive_over) = (Vec::new(), Vec::new());
            if full {
                // All places but a few are taken, by versions that end in turn.
                for version in 100..100 + u16::try_from(WINDOWS_MAX).unwrap() - 5 {
                    let at = UnixMillis::new(now + u64::from(version));
                    prop_assert!(!windows.is_counted(about(version), at, |window| over.push(window)));
                    naive.is_counted(about(version), at, &mut naive_over);
                }
            }
            for (version, later, earlier, closes) in steps {
                now += later;
                // Threads look at the clock before they wait for each other.
                let at = UnixMillis::new(now - if later % 3 == 0 { earlier } else { 0 });
                if closes && later % 5 == 0 {
                    windows.close(at, |window| over.push(window));
                    naive.close(at, &mut naive_over);
                }
                let counted = windows.is_counted(about(version), at, |window| over.push(window));
                prop_assert_eq!(counted, naive.is_counted(about(version), at, &mut naive_over));
                prop_assert_eq!(windows.by_version.len(), naive.0.len());
                prop_assert_eq!(windows.ending.len(), naive.0.len());
                let oldest = naive.0.iter().filter(|window| window.beyond > 0).map(|window| window.first.millis()).min();
                prop_assert_eq!(windows.oldest_ms(), oldest);
            }
            windows.close(UnixMillis::LAST, |window| over.push(window));
            naive.close(UnixMillis::LAST, &mut naive_over);
            prop_assert_eq!(sorted(over), sorted(naive_over));
        }
    }

    #[test]
    fn windows_that_are_over_are_told_in_the_order_of_their_ends() {
        let (mut windows, mut over) = (Windows::default(), Vec::new());
        for (version, at) in [(3, 30), (1, 10), (2, 20)] {
            assert!(!windows.is_counted(about(version), UnixMillis::new(at), |window| over.push(window)));
        }
        windows.close(UnixMillis::new(WINDOW_MS + 20), |window| over.push(window));
        assert_eq!(
            over.iter().map(|window| window.about.version).collect::<Vec<_>>(),
            [1, 2].map(|v| about(v).version)
        );
        assert_eq!((windows.by_version.len(), windows.ending.len()), (1, 1));
    }
}
