//! The freshness lease as its holder sees it: for how long this replica may answer, and what time it is.
//!
//! Freshness counts from the *sending* of the request that was granted, on CLOCK_BOOTTIME, which runs on while a
//! machine sleeps. Where that clock and the wall clock moved apart since the grant, the machine was frozen or restored,
//! and the lease is void (7).

use crate::cluster_time::ahead;
use arc_swap::ArcSwapOption;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, UnixMillis};
use latchkey_telemetry::Clock;
use latchkey_transport::Unavailable;
use std::sync::{Arc, Mutex, PoisonError};

/// How far boot time and wall clock may move apart before a lease is void. Milliseconds.
const DRIFT_MS_MAX: i64 = 500;

/// A lease that was granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    /// Boot time when the request was sent. Milliseconds.
    pub(crate) sent_ms: u64,
    /// How far the wall clock was ahead of boot time when the request was sent. Milliseconds.
    pub(crate) wall_minus_boot_ms: i64,
    /// The leader's time, not before the request was sent.
    pub(crate) leader_time: UnixMillis,
    /// What has to be applied before the lease may be used.
    pub(crate) read_index: u64,
}

impl Granted {
    /// How long ago the request was sent.
    ///
    /// # Errors
    /// [`Unavailable::NotFresh`] where the clocks moved apart: the lease is void.
    pub(crate) fn age(&self, clock: &dyn Clock) -> Result<DurationMillis, Unavailable> {
        let boot = clock.boottime_millis();
        let age = DurationMillis::new(lease_time(clock, boot).saturating_sub(self.sent_ms));
        let drift = wall_minus_boot(clock, boot).saturating_sub(self.wall_minus_boot_ms);
        if drift.unsigned_abs() > DRIFT_MS_MAX.unsigned_abs() {
            return Err(Unavailable::NotFresh { age, bound: DurationMillis::ZERO });
        }
        Ok(age)
    }

    /// The leader's time and what has passed since: never the local wall clock. It counts from the sending, so it is
    /// ahead by at most a round trip, which ends a key early rather than late.
    #[must_use]
    pub(crate) fn now(&self, clock: &dyn Clock) -> UnixMillis {
        let passed = lease_time(clock, clock.boottime_millis()).saturating_sub(self.sent_ms);
        self.leader_time.plus(DurationMillis::new(passed))
    }
}

/// The time that leases run on: boot time.
pub(crate) fn lease_time(clock: &dyn Clock, boot_ms: u64) -> u64 {
    if planted::is(Plant::LeaseFromInstant) { clock.awake_millis() } else { boot_ms }
}

/// How far the wall clock is ahead of boot time.
pub(crate) fn wall_minus_boot(clock: &dyn Clock, boot_ms: u64) -> i64 {
    ahead(clock.unix_millis(), boot_ms)
}

/// The lease of this process life. It begins with none.
#[derive(Default)]
pub(crate) struct Lease {
    current: ArcSwapOption<Granted>,
    /// Granted, but what it needs is not published yet.
    pending: Mutex<Option<Granted>>,
}

impl Lease {
    pub(crate) fn current(&self) -> Option<Arc<Granted>> {
        self.current.load_full()
    }

    /// Takes a grant; it counts once `published` has reached what it needs. While an older one waits, it is that one that
    /// goes on waiting: a replica that always lags a little would never reach the newest.
    pub(crate) fn offer(&self, granted: Granted, published: u64) {
        self.published(published);
        if granted.read_index <= published {
            self.install(granted);
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.get_or_insert(granted);
    }

    /// More is published: a waiting grant may count now.
    pub(crate) fn published(&self, published: u64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(granted) = pending.take_if(|granted| granted.read_index <= published) {
            self.install(granted);
        }
    }

    fn install(&self, granted: Granted) {
        self.current.rcu(|current| match current {
            Some(current) if current.sent_ms >= granted.sent_ms => Some(current.clone()),
            Some(_) | None => Some(Arc::new(granted)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Manual {
        boot: AtomicU64,
        wall: AtomicU64,
    }

    impl Manual {
        fn at(boot: u64, wall: u64) -> Self {
            Self { boot: AtomicU64::new(boot), wall: AtomicU64::new(wall) }
        }

        fn pass(&self, boot: u64, wall: u64) {
            self.boot.fetch_add(boot, Ordering::Relaxed);
            self.wall.fetch_add(wall, Ordering::Relaxed);
        }
    }

    impl Clock for Manual {
        fn unix_millis(&self) -> UnixMillis {
            UnixMillis::new(self.wall.load(Ordering::Relaxed))
        }

        fn boottime_millis(&self) -> u64 {
            self.boot.load(Ordering::Relaxed)
        }
    }

    fn granted(clock: &Manual, read_index: u64) -> Granted {
        let sent_ms = clock.boottime_millis();
        let leader_time = UnixMillis::new(5_000_000);
        Granted { sent_ms, wall_minus_boot_ms: wall_minus_boot(clock, sent_ms), leader_time, read_index }
    }

    #[test]
    fn a_machine_that_was_frozen_holds_no_lease() {
        let clock = Manual::at(1_000, 9_000_000);
        let lease = granted(&clock, 0);
        clock.pass(10, 510);
        assert_eq!(lease.age(&clock), Ok(DurationMillis::new(10)));
        clock.pass(10, 11);
        assert!(lease.age(&clock).is_err());
    }

    #[test]
    fn the_local_wall_clock_does_not_tell_the_time() {
        let clock = Manual::at(1_000, 9_000_000);
        let lease = granted(&clock, 0);
        clock.pass(250, 86_400_000);
        assert_eq!(lease.now(&clock), UnixMillis::new(5_000_250));
    }

    #[test]
    fn a_grant_does_not_count_before_what_it_needs_is_published() {
        let clock = Manual::at(1_000, 9_000_000);
        let lease = Lease::default();
        lease.offer(granted(&clock, 42), 41);
        assert!(lease.current().is_none());
        lease.published(42);
        assert!(lease.current().is_some());
    }

    #[test]
    fn a_replica_that_always_lags_a_little_is_fresh_all_the_same() {
        let clock = Manual::at(1_000, 9_000_000);
        let lease = Lease::default();
        for published in 41..60 {
            // Each grant needs one record more than is published when it comes.
            lease.offer(granted(&clock, published + 1), published);
            clock.pass(20, 20);
        }
        assert!(lease.current().unwrap().age(&clock).unwrap().millis() <= 60);
    }

    #[test]
    fn an_older_grant_never_replaces_a_newer_one() {
        let clock = Manual::at(1_000, 9_000_000);
        let (lease, old) = (Lease::default(), granted(&clock, 0));
        clock.pass(100, 100);
        lease.offer(granted(&clock, 0), 0);
        lease.offer(old, 0);
        assert_eq!(lease.current().unwrap().sent_ms, 1_100);
    }
}
