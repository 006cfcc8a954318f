//! Applying what a survivor's log holds beyond its rows, as the old epoch.

use super::error::RestoreError;
use crate::core::Core;
use crate::sealing::is_void;
use crate::types::{LogCommand, StoredMembership};
use crate::words::{decode, record_from_pb};
use latchkey_domain::Revision;
use latchkey_state::{Entry, State};
use latchkey_wire::pb::disk::v1 as pb;
use openraft::EntryPayload;

/// Bytes of records that are read at once.
const READ_BYTES_MAX: usize = 4 << 20;

/// A state with all that was in the log.
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) entries: Vec<Entry>,
    pub(super) membership: StoredMembership,
    /// The term of the last record.
    pub(super) term: u64,
}

/// Applies all records after `applied`, which is the term and the index of the last one in the rows.
pub(super) async fn replay(
    core: &Core,
    state: State,
    applied: Option<(u64, u64)>,
    membership: StoredMembership,
) -> Result<Replayed, RestoreError> {
    let term = applied.map_or(0, |(term, _)| term);
    let mut replayed = Replayed { state, entries: Vec::new(), membership, term };
    let bounds = core.store.log_bounds();
    let (Some(first), Some(last)) = (bounds.first, bounds.last) else { return Ok(replayed) };
    let mut next = applied.map_or(first, |(_, index)| index + 1);
    if first > next {
        return Err(RestoreError::Hole { applied: next - 1, first });
    }
    while next <= last {
        let records = core.store.read(next..last + 1, READ_BYTES_MAX)?;
        for record in &records {
            let entry = record_from_pb(decode::<pb::LogRecord>("a log record", &record.bytes)?)?;
            let revision = Revision::new(core.epoch(), record.index);
            replayed.term = replayed.term.max(entry.log_id.leader_id.term);
            match entry.payload {
                EntryPayload::Blank => drop(replayed.state.skip(revision)),
                EntryPayload::Membership(membership) => {
                    replayed.membership = StoredMembership::new(Some(entry.log_id), membership);
                    drop(replayed.state.skip(revision));
                }
                EntryPayload::Normal(command) => replayed.apply(core, revision, &command).await?,
            }
        }
        let Some(read) = records.last() else {
            return Err(RestoreError::Hole { applied: next - 1, first: last });
        };
        next = read.index + 1;
    }
    Ok(replayed)
}

impl Replayed {
    async fn apply(&mut self, core: &Core, revision: Revision, record: &LogCommand) -> Result<(), RestoreError> {
        for key in &record.introduced {
            core.keyring.add_introduced(key);
        }
        if is_void(&self.state, &record.sealed).is_some() {
            drop(self.state.skip(revision));
            return Ok(());
        }
        let opened = core.sealer.open_command(&record.sealed).await;
        let command = opened.map_err(|source| RestoreError::Record { index: revision.index, source })?;
        let applied = self.state.apply(revision, &command);
        core.keyring.follow(&applied.changes);
        self.entries.extend(applied.entries);
        Ok(())
    }
}
