//! The replicated clock: it never goes back, and no single wrong clock can push it far.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{Command, Operation, READINGS_MAX};
use crate::row::Row;
use crate::state::State;
use alloc::vec::Vec;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, NodeId, Refusal, UnixMillis};

/// How far ahead of the replicated clock a leader may stamp. More than the minute after which a leader advances the
/// clock of an idle cluster, and far less than any life of a key.
const JUMP_MAX: DurationMillis = DurationMillis::from_secs(3_600);

/// Moves the clock to the command's stamp, or says why not.
pub(super) fn stamp(state: &mut State, command: &Command) -> Result<(), Refusal> {
    let clock = state.clock();
    match &command.operation {
        // These bring a time of their own, without a bound: it counts only where they are carried out.
        Operation::Bootstrap(_) | Operation::AdvanceClock { .. } | Operation::BeginEpoch(_) => Ok(()),
        _ if command.at > clock.plus(JUMP_MAX) && !planted::is(Plant::LeaderYearAhead) => {
            Err(Refusal::ClockJump { at: command.at, clock })
        }
        _ if command.at > clock => {
            let mut progress = state.progress().clone();
            progress.clock = command.at;
            state.install(Row::Progress(progress));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Moves the clock to the median of a majority's readings. Only a leader asks, and it counts the majority.
pub(super) fn advance(transaction: &mut Transaction<'_>, readings: &[(NodeId, UnixMillis)]) -> Answer {
    if let Some(time) = median(readings) {
        transaction.advance_clock(time);
    }
    Answer::Done
}

/// The lower median: with an even number of readings the earlier of the two, since waiting is safer than expiring.
fn median(readings: &[(NodeId, UnixMillis)]) -> Option<UnixMillis> {
    let mut of_nodes: Vec<_> = readings.iter().take(READINGS_MAX).copied().collect();
    of_nodes.sort_unstable();
    // One node has one reading, its earliest, however often it is named.
    of_nodes.dedup_by_key(|(node, _)| *node);
    let mut times: Vec<_> = of_nodes.into_iter().map(|(_, time)| time).collect();
    times.sort_unstable();
    times.get(times.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median_of(times: &[(u64, u64)]) -> Option<u64> {
        let readings: Vec<_> = times.iter().map(|(node, time)| (NodeId(*node), UnixMillis::new(*time))).collect();
        median(&readings).map(UnixMillis::millis)
    }

    #[test]
    fn no_reading_is_no_time() {
        assert_eq!(median_of(&[]), None);
    }

    #[test]
    fn the_median_is_the_middle_reading_and_of_two_the_earlier() {
        assert_eq!(median_of(&[(1, 9), (2, 1), (3, 5)]), Some(5));
        assert_eq!(median_of(&[(1, 9), (2, 1)]), Some(1));
        assert_eq!(median_of(&[(1, 9), (2, 1), (3, 5), (4, 7)]), Some(5));
    }

    #[test]
    fn the_earliest_reading_of_a_node_is_the_one_that_counts() {
        assert_eq!(median_of(&[(3, 9), (3, 8), (3, 9), (2, 1), (1, 2)]), Some(2));
    }
}
