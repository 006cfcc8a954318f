//! Waiting between two tries, never beyond the deadline.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The first pause: about a round trip between regions.
const FIRST: Duration = Duration::from_millis(25);
/// The longest pause. An election takes seconds; this is how late its end may be noticed.
const LONGEST: Duration = Duration::from_millis(400);

/// Pauses that double. Without jitter: whoever tries are a handful of services, and the leader sheds.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// Waits; `false` where no time is left for another try.
    pub(crate) async fn pause(&mut self, by: Instant) -> bool {
        let until = Instant::now() + self.next;
        if until >= by {
            return false;
        }
        self.next = (self.next * 2).min(LONGEST);
        sleep_until(until).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_bound_and_end_with_the_deadline() {
        let (began, mut backoff) = (Instant::now(), Backoff::new());
        let mut pauses = Vec::new();
        let mut last = began;
        while backoff.pause(began + Duration::from_secs(2)).await {
            pauses.push(last.elapsed().as_millis());
            last = Instant::now();
        }
        assert_eq!(pauses, [25, 50, 100, 200, 400, 400, 400, 400]);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}
