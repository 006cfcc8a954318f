//! How long to pause between two looks at many keys.

use latchkey_domain::UnixMillis;
use std::time::Duration;
use tokio::time::Instant;

/// A pause is at least so many times as long as the look before it: where there are many keys, it is taken less often.
const TIMES: u32 = 20;

/// The same where something falls due meanwhile: more of the time for less of a delay.
const TIMES_WHEN_DUE: u32 = 4;

/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The shortest that something that falls due may make of it: what falls due one after the other is seen to together.
const PAUSE_WHEN_DUE_MIN: Duration = Duration::from_secs(5);

/// The sooner of when there is something to do, and of a time of the cluster, where it is `now` by that.
pub(super) fn sooner(wake_at: Option<Instant>, time: Option<UnixMillis>, now: UnixMillis) -> Option<Instant> {
    let then = time.map(|time| Instant::now() + Duration::from_millis(time.since(now).millis()));
    wake_at.into_iter().chain(then).min()
}

/// The pause after a look that took so long, where there is something to do at `wake_at`; at least `poll`.
pub(super) fn pause(took: Duration, wake_at: Option<Instant>, now: Instant, poll: Duration) -> Duration {
    let plain = (took * TIMES).clamp(poll, PAUSE_MAX.max(poll));
    let Some(wake_at) = wake_at else { return plain };
    let when_due = wake_at.saturating_duration_since(now).max(PAUSE_WHEN_DUE_MIN).max(took * TIMES_WHEN_DUE);
    plain.min(when_due)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(1);

    fn secs(took_ms: u64, wake_s: Option<u64>) -> u64 {
        let now = Instant::now();
        let wake_at = wake_s.map(|seconds| now + Duration::from_secs(seconds));
        pause(Duration::from_millis(took_ms), wake_at, now, POLL).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_takes_a_twentieth_of_the_time_and_is_taken_each_minute_at_least() {
        assert_eq!((secs(1, None), secs(1_000, None), secs(9_000, None)), (1, 20, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_due_meanwhile_is_looked_at_then_and_not_a_minute_later() {
        assert_eq!(secs(3_000, Some(17)), 17);
        assert_eq!(secs(3_000, Some(90)), 60, "not later than else");
        assert_eq!(secs(1, Some(17)), 1, "a quick look is taken anyway");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_fall_due_one_after_the_other_cost_a_fifth_of_the_time_at_most() {
        assert_eq!((secs(1_000, Some(0)), secs(3_000, Some(0)), secs(9_000, Some(0))), (5, 12, 36));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_is_shorter_than_a_poll() {
        let (now, poll) = (Instant::now(), Duration::from_secs(90));
        assert_eq!(pause(Duration::ZERO, None, now, poll), poll);
    }
}
