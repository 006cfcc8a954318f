//! Time: one that is true, and the clocks of machines, none of which has to be.

use latchkey_domain::UnixMillis;
use latchkey_telemetry::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When every simulation begins, by the true wall clock. Milliseconds since 1970.
pub const BEGAN_MS: u64 = 1_767_225_600_000;

/// What a machine's clock of boot time shows when its simulation begins. Milliseconds.
const UP_MS: u64 = 3_600_000;

/// The true time since the beginning. A tick of it is a millisecond; threads beside the simulation may read it too.
#[derive(Clone, Debug, Default)]
pub struct TrueTime(Arc<AtomicU64>);

impl TrueTime {
    /// Milliseconds since the beginning.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Skew {
    /// By how much both clocks run fast. Parts per million.
    rate_ppm: i64,
    /// How far the wall clock is ahead. Milliseconds.
    wall_ahead_ms: i64,
    /// How long the machine slept. Milliseconds.
    slept_ms: u64,
    /// The true time of the last boot. Milliseconds.
    booted_at_ms: u64,
}

/// The clocks of one machine.
#[derive(Debug)]
pub struct MachineClock {
    time: TrueTime,
    skew: Mutex<Skew>,
}

impl MachineClock {
    /// A machine whose clocks are right.
    #[must_use]
    pub fn new(time: TrueTime) -> Self {
        Self { time, skew: Mutex::default() }
    }

    /// Lets both clocks run fast by this much from the beginning on; slow where it is negative. Set it before the
    /// machine starts.
    pub fn set_rate(&self, ppm: i64) {
        self.skew().rate_ppm = ppm;
    }

    /// Sets the wall clock ahead by so much, or behind.
    pub fn set_wall_ahead(&self, ms: i64) {
        self.skew().wall_ahead_ms = ms;
    }

    /// The machine slept for this long: [`Clock::awake_millis`] knows nothing of it.
    pub fn slept(&self, ms: u64) {
        self.skew().slept_ms += ms;
    }

    /// The machine starts anew: boot time begins again.
    pub fn reboot(&self) {
        let now = self.time.ms();
        let mut skew = self.skew();
        (skew.booted_at_ms, skew.slept_ms) = (now, 0);
    }

    fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many milliseconds as a clock counts them that is this fast.
fn counted(ms: u64, rate_ppm: i64) -> u64 {
    let drift = i128::from(ms) * i128::from(rate_ppm) / 1_000_000;
    ms.saturating_add_signed(i64::try_from(drift).unwrap_or(0))
}

impl Clock for MachineClock {
    fn unix_millis(&self) -> UnixMillis {
        let skew = *self.skew();
        let passed = counted(self.time.ms(), skew.rate_ppm);
        UnixMillis::new((BEGAN_MS + passed).saturating_add_signed(skew.wall_ahead_ms))
    }

    fn boottime_millis(&self) -> u64 {
        let skew = *self.skew();
        let up = if skew.booted_at_ms == 0 { UP_MS } else { 0 };
        up + counted(self.time.ms() - skew.booted_at_ms, skew.rate_ppm)
    }

    fn awake_millis(&self) -> u64 {
        self.boottime_millis().saturating_sub(self.skew().slept_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_counts_less_and_a_wrong_one_shows_another_time() {
        let time = TrueTime::default();
        let clock = MachineClock::new(time.clone());
        clock.set_rate(-500);
        clock.set_wall_ahead(-1_000);
        time.set(2_000_000);
        assert_eq!(clock.boottime_millis(), UP_MS + 1_999_000);
        assert_eq!(clock.unix_millis(), UnixMillis::new(BEGAN_MS + 1_998_000));
        clock.slept(500);
        assert_eq!(clock.awake_millis(), clock.boottime_millis() - 500);
    }
}
