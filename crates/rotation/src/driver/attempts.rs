//! What went wrong with one rotation, and when it is tried again. Kept by the process that drives: after its death the
//! next one begins to count anew, which costs a few tries more and loses nothing.

use latchkey_domain::{DurationMillis, HoldCause, UnixMillis};

/// How often a delivery or a check may fail before the rotation is held and a person is told.
pub(crate) const FAILURES_MAX: u32 = 5;

/// How often in a row the cluster may refuse a step of a rotation that stays as it is, before the rotation fails.
const REFUSALS_MAX: u32 = 5;

/// Until the first retry; each one later waits twice as long as the one before.
const RETRY_FIRST: DurationMillis = DurationMillis::from_secs(1);

/// The longest wait between two tries.
const RETRY_MAX: DurationMillis = DurationMillis::from_secs(60);

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Of what: a delivery or a check.
    pub(crate) cause: HoldCause,
    /// In words, for whoever looks at the rotation that is held.
    pub(crate) text: String,
    /// Whether trying again can help.
    pub(crate) lasts: bool,
}

/// Why the cluster refused a step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    text: String,
    lasts: bool,
}

/// The tries of one rotation in its present state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// Failures of what the consumer's side does.
    failures: u32,
    /// Times in a row that the cluster could not be asked: no fault of the rotation, so they are not bounded.
    postponed: u32,
    last: Option<Failure>,
    /// Times that the cluster refused the step, and the last reason.
    refused: u32,
    refusal: Option<Refused>,
    retry_at: Option<UnixMillis>,
    /// Before then the cluster is not asked again, whatever is to be asked of it.
    postponed_until: Option<UnixMillis>,
}

impl Attempts {
    /// The consumer's side failed.
    pub(crate) fn fail(&mut self, failure: Failure, now: UnixMillis) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now.plus(wait(self.failures)));
        self.last = Some(failure);
    }

    /// The cluster did not answer, or a region does not know the version yet.
    pub(crate) fn postpone(&mut self, now: UnixMillis) {
        self.postponed = self.postponed.saturating_add(1);
        self.postponed_until = Some(now.plus(wait(self.postponed)));
    }

    /// The cluster refused the step, although the rotation is where it was. `lasts`: it will at any time.
    pub(crate) fn refuse(&mut self, text: String, lasts: bool, now: UnixMillis) {
        self.refused = self.refused.saturating_add(1);
        self.retry_at = Some(now.plus(wait(self.refused)));
        self.refusal = Some(Refused { text, lasts });
    }

    /// Why no step of the rotation can be taken any more, where that is so.
    pub(crate) fn hopeless(&self) -> Option<&str> {
        let last = self.refusal.as_ref().filter(|last| last.lasts || self.refused >= REFUSALS_MAX);
        last.map(|last| last.text.as_str())
    }

    /// Before then nothing at all is written down, not even that it failed: the cluster is away, or takes nothing now.
    pub(crate) fn postponed_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.postponed_until.filter(|time| now < *time)
    }

    /// Before then nothing is tried.
    pub(crate) fn waits_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.retry_at.max(self.postponed_until).filter(|time| now < *time)
    }

    /// What the rotation is to be held for: it failed too often, or for good.
    pub(crate) fn given_up(&self) -> Option<&Failure> {
        self.last.as_ref().filter(|last| last.lasts || self.failures >= FAILURES_MAX)
    }
}

fn wait(times: u32) -> DurationMillis {
    let doubled = RETRY_FIRST.millis().saturating_mul(1 << times.saturating_sub(1).min(16));
    DurationMillis::new(doubled.min(RETRY_MAX.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000);

    fn failure(lasts: bool) -> Failure {
        Failure { cause: HoldCause::Delivery, text: "the hook ended with 1".to_owned(), lasts }
    }

    #[test]
    fn what_fails_is_tried_again_later_and_later_and_then_given_up() {
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for failures in 1..=FAILURES_MAX {
            assert_eq!(attempts.given_up(), None, "after {} failures", failures - 1);
            attempts.fail(failure(false), NOW);
            let until = attempts.waits_until(NOW).unwrap();
            assert_eq!(attempts.waits_until(until), None);
            waits.push(until.since(NOW).millis() / 1_000);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16]);
        assert_eq!(attempts.given_up(), Some(&failure(false)));
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        let mut attempts = Attempts::default();
        attempts.fail(failure(true), NOW);
        assert_eq!(attempts.given_up(), Some(&failure(true)));
    }

    #[test]
    fn what_the_cluster_goes_on_to_refuse_is_hopeless_and_what_it_always_will_is_at_once() {
        let mut attempts = Attempts::default();
        for refusals in 1..=REFUSALS_MAX {
            assert_eq!(attempts.hopeless(), None, "after {} refusals", refusals - 1);
            attempts.refuse("its keyspace is full".to_owned(), false, NOW);
        }
        assert_eq!(attempts.hopeless(), Some("its keyspace is full"));
        let mut attempts = Attempts::default();
        attempts.refuse("its key is revoked".to_owned(), true, NOW);
        assert_eq!(attempts.hopeless(), Some("its key is revoked"));
    }

    #[test]
    fn a_cluster_that_is_away_holds_no_rotation() {
        let mut attempts = Attempts::default();
        for _ in 0..1_000 {
            attempts.postpone(NOW);
        }
        assert_eq!(attempts.waits_until(NOW), Some(NOW.plus(RETRY_MAX)));
        assert_eq!(attempts.postponed_until(NOW), Some(NOW.plus(RETRY_MAX)));
        assert_eq!(attempts.given_up(), None);
    }
}
