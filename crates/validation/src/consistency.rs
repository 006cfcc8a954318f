//! What a batch asks of the state: as much as the strictest of its items.

use crate::halt::Halt;
use latchkey_domain::{Refusal, Revision};
use latchkey_transport::Unavailable;
use latchkey_wire::request::Consistency;

/// The consistency that satisfies all of a batch. Revisions of another epoch than `epoch` are left to [`check`]: they
/// concern their own items, and no wait would help.
pub(crate) fn strictest(epoch: u64, asked: impl Iterator<Item = Consistency>) -> Consistency {
    let mut newest = None;
    for consistency in asked {
        match consistency {
            Consistency::MinimizeLatency => {}
            Consistency::FullyConsistent => return Consistency::FullyConsistent,
            Consistency::AtLeastAsFresh(revision) if revision.epoch == epoch => newest = newest.max(Some(revision)),
            Consistency::AtLeastAsFresh(_) => {}
        }
    }
    newest.map_or(Consistency::MinimizeLatency, Consistency::AtLeastAsFresh)
}

/// Whether a state at `reached` is what one item asked for.
///
/// # Errors
/// `EPOCH_CHANGED`; `EPOCH_AHEAD`, also for a revision that nobody can have been given.
pub(crate) fn check(asked: Consistency, reached: Revision) -> Result<(), Halt> {
    let Consistency::AtLeastAsFresh(revision) = asked else { return Ok(()) };
    let (given, current) = (revision.epoch, reached.epoch);
    if given < current {
        return Err(Halt::Refused(Refusal::EpochChanged { given, current }));
    }
    if revision > reached {
        return Err(Halt::Unavailable(Unavailable::EpochAhead { given, current }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Consistency::{AtLeastAsFresh, FullyConsistent, MinimizeLatency};

    const fn fresh(epoch: u64, index: u64) -> Consistency {
        AtLeastAsFresh(Revision::new(epoch, index))
    }

    #[test]
    fn the_strictest_item_decides_how_long_a_batch_waits() {
        let of = |asked: &[Consistency]| strictest(3, asked.iter().copied());
        assert_eq!(of(&[]), MinimizeLatency);
        assert_eq!(of(&[fresh(3, 7), MinimizeLatency, fresh(3, 9)]), fresh(3, 9));
        assert_eq!(of(&[fresh(3, 7), FullyConsistent, fresh(3, 9)]), FullyConsistent);
        assert_eq!(of(&[fresh(2, 99), fresh(4, 1), fresh(3, 7)]), fresh(3, 7));
    }

    #[test]
    fn an_item_of_another_epoch_fails_on_its_own() {
        let reached = Revision::new(3, 9);
        assert!(matches!(check(fresh(2, 99), reached), Err(Halt::Refused(Refusal::EpochChanged { .. }))));
        assert!(matches!(check(fresh(4, 1), reached), Err(Halt::Unavailable(Unavailable::EpochAhead { .. }))));
        assert!(check(fresh(3, 10), reached).is_err());
        assert_eq!(check(fresh(3, 9), reached), Ok(()));
        assert_eq!(check(FullyConsistent, reached), Ok(()));
    }
}
