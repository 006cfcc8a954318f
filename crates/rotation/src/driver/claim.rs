//! The rotation claim: which of several processes drives. The claim lies in the replicated state; what a process knows of
//! it ends by its own clock, earlier than the cluster gives it to another, so that two never act on it at once. Where
//! clocks fail even so, each command carries the fence, and apply refuses what comes from before.

use latchkey_domain::{DurationMillis, UnixMillis};
use latchkey_state::RotationClaim;
use std::time::Duration;
use tokio::time::Instant;

/// For how long the claim is asked at a time.
pub(crate) const CLAIM_LIFE: DurationMillis = DurationMillis::from_secs(10);

/// So much of its life is not used: for clocks that differ in rate, and for what is under way when it ends.
const CLAIM_MARGIN: Duration = Duration::from_secs(1);

const _: () = assert!(CLAIM_LIFE.millis() as u128 >= 4 * CLAIM_MARGIN.as_millis(), "most of its life is used");

/// The claim as this process has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// What each command carries.
    pub(crate) fence: u64,
    /// Nothing is done any more from then on.
    pub(crate) until: Instant,
}

impl Tenure {
    /// By a claim that was asked for at `asked`: counted from before the question, as the cluster counts from after it.
    pub(crate) fn of(claim: &RotationClaim, asked: Instant) -> Self {
        Self { fence: claim.fence, until: asked + Duration::from_millis(CLAIM_LIFE.millis()) - CLAIM_MARGIN }
    }

    /// Whether it may still be acted on.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// What a process does about the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimStep {
    /// Ask for it, or for more of it.
    Claim,
    /// It is ours, and young.
    Keep,
    /// It is another's.
    Leave,
}

/// What `holder` does, by the claim as it is written down and the cluster's time. `acts`: it knows its own fence.
pub(crate) fn claim_step(current: Option<&RotationClaim>, holder: [u8; 16], acts: bool, now: UnixMillis) -> ClaimStep {
    let Some(claim) = current else { return ClaimStep::Claim };
    if claim.holder != holder {
        return if claim.ends_at <= now { ClaimStep::Claim } else { ClaimStep::Leave };
    }
    let half = DurationMillis::new(CLAIM_LIFE.millis() / 2);
    // An answer that was lost left it with us, and we do not know the fence.
    if acts && now.plus(half) < claim.ends_at { ClaimStep::Keep } else { ClaimStep::Claim }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000);
    const US: [u8; 16] = [1; 16];

    fn claim(holder: u8, left_ms: u64) -> RotationClaim {
        RotationClaim { holder: [holder; 16], fence: 7, ends_at: NOW.plus(DurationMillis::new(left_ms)) }
    }

    #[test]
    fn a_claim_is_taken_when_it_is_free_renewed_at_half_and_left_to_another() {
        for (current, acts, expected) in [
            (None, false, ClaimStep::Claim),
            (Some(claim(2, 1)), false, ClaimStep::Leave),
            (Some(claim(2, 0)), false, ClaimStep::Claim),
            (Some(claim(1, 9_999)), true, ClaimStep::Keep),
            (Some(claim(1, 5_001)), true, ClaimStep::Keep),
            (Some(claim(1, 5_000)), true, ClaimStep::Claim),
            (Some(claim(1, 0)), true, ClaimStep::Claim),
            (Some(claim(1, 9_999)), false, ClaimStep::Claim),
        ] {
            assert_eq!(claim_step(current.as_ref(), US, acts, NOW), expected, "{current:?} {acts}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_stops_before_the_cluster_gives_its_claim_away() {
        let asked = Instant::now();
        let tenure = Tenure::of(&claim(1, 10_000), asked);
        assert!(tenure.holds(asked + Duration::from_millis(8_999)));
        assert!(!tenure.holds(asked + Duration::from_secs(9)));
    }
}
