//! How far audit is: what it has made durable, and what waits while it is behind.

use super::Answer;
use super::transaction::Transaction;
use crate::command::Command;
use crate::records::{Progress, Trimmed};
use crate::state::State;
use alloc::format;
use alloc::string::String;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, Refusal, Sequence};

/// Entries that may wait for audit. All of them lie in the outbox of every replica: at some 500 B each that is 500 MB.
pub const ENTRIES_WAITING_MAX: u64 = 1_000_000;

/// How long the oldest entry may wait.
pub const ENTRY_WAIT_MAX: DurationMillis = DurationMillis::from_secs(3_600);

/// At nine tenths of either bound what can wait is refused: the rest is for what cannot.
const ENTRIES_SOFT: u64 = ENTRIES_WAITING_MAX / 10 * 9;
const WAIT_SOFT: DurationMillis = DurationMillis::new(ENTRY_WAIT_MAX.millis() / 10 * 9);

/// From this level on audit is not believed to have what no recorded checkpoint covers.
const BOUNDED_LEVEL: u32 = 6;

/// Emits nothing: an entry about each trimming would never leave nothing to trim.
pub(super) fn trim(transaction: &mut Transaction<'_>, through: Sequence) -> Result<Answer, Refusal> {
    let progress = transaction.progress();
    if progress.feature_level >= BOUNDED_LEVEL
        && let Some(problem) = overreach(progress, through)
        && !planted::is(Plant::TrimUnchecked)
    {
        let size = progress.checkpoint.map_or(progress.frontier.size(), |checkpoint| checkpoint.size);
        return Err(Refusal::CheckpointConflict { size, problem });
    }
    Ok(let_go(transaction, through))
}

/// Whether more is to be forgotten than there is, or than the newest recorded checkpoint covers: an audit service whose log is
/// another one than ours, that was rolled back, or that lies. The first checkpoint binds: before it nothing is vouched for, as in
/// a cluster whose audit service has no key.
fn overreach(progress: &Progress, through: Sequence) -> Option<String> {
    let Sequence(through) = through;
    let size = progress.frontier.size();
    if through >= size {
        return Some(format!("expected entries to be let go of the {size} that there are, found through {through}"));
    }
    let covered = progress.checkpoint?.size;
    (through >= covered).then(|| {
        format!(
            "expected entries to be let go below the recorded checkpoint of {covered} alone, found through {through}"
        )
    })
}

/// Forgets what audit has, of what there is.
pub(super) fn let_go(transaction: &mut Transaction<'_>, through: Sequence) -> Answer {
    let (progress, at) = (transaction.progress(), transaction.now());
    // Nobody has what is not there yet.
    let reached = Sequence(through.0.saturating_add(1).min(progress.frontier.size()));
    if progress.trimmed.is_none_or(|trimmed| trimmed.next < reached) {
        transaction.set_trimmed(Trimmed { next: reached, at });
    }
    Answer::Done
}

/// Refuses what can wait while audit is too far behind. In force once there is an audit service that said how far it is.
pub(super) fn check_room(state: &State, command: &Command) -> Result<(), Refusal> {
    let entries = state.progress().entries_waiting();
    if command.passes_when_room_is_short() || !is_behind(state.progress(), entries) {
        return Ok(());
    }
    Err(Refusal::AuditBehind { entries })
}

fn is_behind(progress: &Progress, entries: u64) -> bool {
    let Some(trimmed) = progress.trimmed else { return false };
    entries >= ENTRIES_SOFT || (entries > 0 && progress.clock.since(trimmed.at) >= WAIT_SOFT)
}

impl Progress {
    /// Entries that the audit service does not have; zero where there never was one.
    #[must_use]
    pub fn entries_waiting(&self) -> u64 {
        self.trimmed.map_or(0, |trimmed| self.frontier.size().saturating_sub(trimmed.next.0))
    }
}
