//! How fast the driver may write. Each key that a command changes counts, so that a batch is no way around it.

use std::time::Duration;
use tokio::time::Instant;

/// Writes that are paced: so many a second, with at most one second's worth at once.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u32,
    /// When all that was taken so far will have been earned.
    earned_at: Instant,
}

impl Budget {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second: per_second.max(1), earned_at: now }
    }

    /// Takes `writes` and tells when they may be made. Whoever asks later may write later, so nobody is passed over.
    pub(crate) fn take(&mut self, writes: u32, now: Instant) -> Instant {
        let second = Duration::from_secs(1);
        // What was not used is kept for one second and no longer.
        let idle_from = now.checked_sub(second).unwrap_or(now);
        self.earned_at = self.earned_at.max(idle_from) + second * writes / self.per_second;
        self.earned_at.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_writes_than_two_seconds_earn_and_none_is_lost() {
        let start = Instant::now();
        let mut budget = Budget::new(50, start);
        let times: Vec<_> = (0..1_000).map(|_| budget.take(1, start).duration_since(start)).collect();
        let last = *times.last().unwrap();
        assert!((Duration::from_secs(19)..=Duration::from_secs(20)).contains(&last), "1,000 at 50 a second: {last:?}");
        for window in times.windows(101) {
            assert!(window[100] - window[0] >= Duration::from_secs(1), "{window:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_used_is_not_saved_up() {
        let start = Instant::now();
        let mut budget = Budget::new(10, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(budget.take(10, later), later);
        assert_eq!(budget.take(10, later), later + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_costs_what_its_keys_cost() {
        let start = Instant::now();
        let (mut one, mut many) = (Budget::new(50, start), Budget::new(50, start));
        let single = (0..250).map(|_| many.take(1, start)).last();
        assert_eq!(Some(one.take(250, start)), single);
    }
}
