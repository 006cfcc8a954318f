//! What a replica does that has lost touch: a word and, with one of them, a span.

use crate::disk::DecodeError;
use crate::pb::{disk::v1 as disk, v1};
use crate::words::UnknownWord;
use latchkey_domain::{DurationMillis, LastKnownMax};
use latchkey_state::StalenessPolicy;

/// The word of a policy. Its span is beside it: see [`StalenessPolicy::beyond`].
pub(crate) const fn word(policy: StalenessPolicy) -> v1::StalenessPolicy {
    match policy {
        StalenessPolicy::Refuse => v1::StalenessPolicy::Refuse,
        StalenessPolicy::LastKnown(_) => v1::StalenessPolicy::LastKnown,
    }
}

/// A policy as it lies at rest: its word and its span.
pub(crate) fn write_disk(policy: StalenessPolicy) -> (i32, Option<u64>) {
    let word = match policy {
        StalenessPolicy::Refuse => disk::StalenessPolicy::Refuse,
        StalenessPolicy::LastKnown(_) => disk::StalenessPolicy::LastKnown,
    };
    (word.into(), policy.beyond().map(|max| max.span().millis()))
}

/// Reads what [`write_disk`] wrote. A word that is unknown, and a span that is missing or out of place, are errors.
pub(crate) fn read_disk(word: i32, last_known_max_ms: Option<u64>) -> Result<StalenessPolicy, DecodeError> {
    let max = last_known_max_ms.map(|millis| LastKnownMax::new(DurationMillis::new(millis))).transpose();
    let max = max.map_err(|error| DecodeError::new("last_known_max", error))?;
    match (disk::StalenessPolicy::try_from(word), max) {
        (Ok(disk::StalenessPolicy::Refuse), None) => Ok(StalenessPolicy::Refuse),
        (Ok(disk::StalenessPolicy::LastKnown), Some(max)) => Ok(StalenessPolicy::LastKnown(max)),
        _ => Err(DecodeError::new("staleness_policy", UnknownWord { found: word })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_at_rest_is_a_word_and_the_span_that_goes_with_it() {
        let max = LastKnownMax::new(LastKnownMax::MIN).unwrap();
        for policy in [StalenessPolicy::Refuse, StalenessPolicy::LastKnown(max)] {
            let (word, span) = write_disk(policy);
            assert_eq!(read_disk(word, span), Ok(policy));
        }
        for (word, span) in [(0, None), (1, Some(1_000)), (2, None), (2, Some(999)), (2, Some(900_001)), (3, None)] {
            assert!(read_disk(word, span).is_err(), "{word} {span:?}");
        }
    }
}
