//! How many validations came to what. The handles are made once, so that counting costs one atomic addition.

use crate::halt::Halt;
use latchkey_decision::{Freshness, Verdict};
use latchkey_domain::Outcome;
use latchkey_telemetry::names;
use metrics::Counter;

/// A counter for each outcome.
pub(crate) struct Tally {
    outcomes: [Counter; Outcome::ALL.len()],
    last_known: Counter,
}

impl Tally {
    /// Installs the recorder of the process first: a handle that is made before counts into nothing.
    pub(crate) fn new() -> Self {
        latchkey_telemetry::metrics::recorder();
        Self {
            outcomes: Outcome::ALL
                .map(|outcome| metrics::counter!(names::VALIDATIONS_TOTAL, "outcome" => outcome.as_str())),
            last_known: metrics::counter!(names::VALIDATIONS_LAST_KNOWN_TOTAL),
        }
    }

    /// Counts a key that was validated.
    pub(crate) fn count(&self, verdict: &Verdict<'_>) {
        self.count_as(verdict.outcome(), verdict.freshness());
    }

    fn count_as(&self, outcome: Outcome, freshness: Freshness) {
        self.outcomes[outcome as usize].increment(1);
        if freshness == Freshness::LastKnown {
            self.last_known.increment(1);
        }
    }

    /// Counts a key that could not be. What the caller has to change is not counted here.
    pub(crate) fn count_halt(halt: &Halt) {
        if let Some(reason) = halt.undecided() {
            metrics::counter!(names::VALIDATIONS_UNDECIDED_TOTAL, "reason" => reason).increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_counts_into_the_counter_of_its_own_name() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{outcome}");
        }
        let tally = Tally::new();
        tally.count_as(Outcome::InsufficientPermissions, Freshness::Current);
        tally.count_as(Outcome::NotFound, Freshness::LastKnown);
        let scraped = latchkey_telemetry::metrics::recorder().render();
        let line = "latchkey_validations_total{outcome=\"INSUFFICIENT_PERMISSIONS\"} 1";
        assert!(scraped.lines().any(|found| found == line), "{scraped}");
        assert!(scraped.lines().any(|found| found == "latchkey_validations_last_known_total 1"), "{scraped}");
    }
}
