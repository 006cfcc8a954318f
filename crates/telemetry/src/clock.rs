//! Time as an argument. This is the one file of the workspace that reads the machine's clocks.

use latchkey_domain::UnixMillis;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The two clocks that a service reads. Tests pass a manual one.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. It may jump; it is only ever *reported* (stamped by the leader, compared between replicas).
    fn unix_millis(&self) -> UnixMillis;

    /// Milliseconds since boot, sleep included (`CLOCK_BOOTTIME`). It never goes back within one boot; leases run on it.
    ///
    /// Not `CLOCK_MONOTONIC`, which stands still while a machine sleeps: a lease would outlive its bound.
    fn boottime_millis(&self) -> u64;

    /// Milliseconds that this machine was awake: what a lease must not be read from. Only a planted bug does.
    #[doc(hidden)]
    fn awake_millis(&self) -> u64 {
        self.boottime_millis()
    }
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_millis(&self) -> UnixMillis {
        UnixMillis::new(millis(clock_gettime(ClockId::Realtime)))
    }

    fn boottime_millis(&self) -> u64 {
        millis(clock_gettime(ClockId::Boottime))
    }
}

/// A time before 1970 reads as 0: a clock that wrong is caught as skew, and must not wrap to the far future.
fn millis(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_reads_as_zero_rather_than_wrapping() {
        assert_eq!(millis(Timespec { tv_sec: -5, tv_nsec: 0 }), 0);
    }

    #[test]
    fn nanoseconds_are_cut_to_whole_milliseconds() {
        assert_eq!(millis(Timespec { tv_sec: 2, tv_nsec: 1_999_999 }), 2_001);
    }

    #[test]
    fn the_boot_clock_never_goes_back() {
        let first = SystemClock.boottime_millis();
        assert!(SystemClock.boottime_millis() >= first);
    }
}
