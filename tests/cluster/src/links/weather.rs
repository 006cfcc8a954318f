//! What each direction of each link is like.

use crate::random::Random;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What happens to pieces of bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How long each takes, one way.
    pub(crate) delay: Duration,
    /// One in so many is held; 0 is none.
    pub(crate) stalls_once_in: u64,
    /// For how long it is held, and what comes behind it on the same connection.
    pub(crate) stall: Duration,
}

impl Weather {
    /// Three regions of one continent and the next: a round trip of 80 ms, and one piece of a hundred held for 200 ms.
    pub(crate) const REGIONS: Self =
        Self { delay: Duration::from_millis(40), stalls_once_in: 100, stall: Duration::from_millis(200) };

    /// One site: nothing that a proxy could add.
    pub(crate) const SITE: Self = Self { delay: Duration::ZERO, stalls_once_in: 0, stall: Duration::ZERO };

    /// How long one piece is under way.
    pub(super) fn passage(self, random: &mut Random) -> Duration {
        let stalled = self.stalls_once_in > 0 && random.below(self.stalls_once_in) == 0;
        self.delay + if stalled { self.stall } else { Duration::ZERO }
    }
}

/// The weather, and which directions are cut.
pub(super) struct Map {
    weather: Weather,
    cuts: Mutex<BTreeSet<(u64, u64)>>,
    changes: watch::Sender<()>,
}

impl Map {
    pub(super) fn new(weather: Weather) -> Self {
        Self { weather, cuts: Mutex::default(), changes: watch::Sender::new(()) }
    }

    pub(super) const fn weather(&self) -> Weather {
        self.weather
    }

    pub(super) fn cut(&self, from: u64, to: u64) {
        self.cuts().insert((from, to));
    }

    pub(super) fn mend(&self, from: u64, to: u64) {
        self.cuts().remove(&(from, to));
        self.changes.send_replace(());
    }

    pub(super) fn heal(&self) {
        self.cuts().clear();
        self.changes.send_replace(());
    }

    pub(super) fn is_cut(&self, from: u64, to: u64) -> bool {
        self.cuts().contains(&(from, to))
    }

    /// Waits until this direction is whole.
    pub(super) async fn whole(&self, from: u64, to: u64) {
        let mut changes = self.changes.subscribe();
        while self.is_cut(from, to) {
            // The sender is here, so that it never goes away.
            drop(changes.changed().await);
        }
    }

    fn cuts(&self) -> MutexGuard<'_, BTreeSet<(u64, u64)>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
