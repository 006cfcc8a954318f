//! The replicated clock: it never goes back, and no single wrong clock can push it far.

use crate::command::{Command, Operation, READINGS_MAX};
use crate::row::Row;
use crate::state::State;
use latchkey_domain::{DurationMillis, Refusal, UnixMillis};

/// How far ahead of the replicated clock a leader may stamp. More than the minute after which a leader advances the
/// clock of an idle cluster, and far less than any life of a key.
const JUMP_MAX: DurationMillis = DurationMillis::from_secs(3_600);

/// Moves the clock to the command's time, or says why not.
pub(super) fn advance(state: &mut State, command: &Command) -> Result<(), Refusal> {
    let clock = state.clock();
    let time = match &command.operation {
        // A cluster's first command finds the clock at zero.
        Operation::Bootstrap(_) if state.cluster().is_none() => command.at,
        Operation::AdvanceClock { readings } => {
            median(readings.iter().take(READINGS_MAX).map(|(_, reading)| *reading)).unwrap_or(clock)
        }
        _ if command.at > clock.plus(JUMP_MAX) => return Err(Refusal::ClockJump { at: command.at, clock }),
        _ => command.at,
    };
    if time > clock {
        let mut progress = state.progress().clone();
        progress.clock = time;
        state.install(Row::Progress(progress));
    }
    Ok(())
}

/// The lower median: with an even number of readings the earlier of the two, since waiting is safer than expiring.
fn median(readings: impl Iterator<Item = UnixMillis>) -> Option<UnixMillis> {
    let mut sorted: alloc::vec::Vec<_> = readings.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}
