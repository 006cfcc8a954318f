//! Writing a backup: a consistent cut, since a state shares nothing that changes.

use super::error::BackupError;
use super::header::BackupHeader;
use super::read::MAGIC;
use crate::core::{Condition, Core};
use crate::registry::Registry;
use crate::snapshot_file::{self, SnapshotError};
use crate::types::{Snapshot, SnapshotData, SnapshotMeta};
use latchkey_domain::Sequence;
use latchkey_state::State;
use latchkey_storage::Encoder;
use latchkey_transport::Unavailable;
use prost::Message as _;
use std::io::{BufWriter, Write};
use std::sync::Arc;

/// Bytes that are written at once, and so the size of a piece on its way.
const PIECE_BYTES: usize = 32 << 10;

/// The state at one record, with where that stands in the log.
pub(super) struct Cut {
    pub(super) header: BackupHeader,
    meta: SnapshotMeta,
    state: Box<State>,
}

impl Registry {
    /// The state as it is applied here now.
    pub(super) async fn cut(&self) -> Result<Cut, BackupError> {
        if let Some(unavailable) = self.core().unavailable() {
            return Err(BackupError::Unavailable(unavailable));
        }
        let starting = || BackupError::Unavailable(Unavailable::Starting);
        let snapshot = self.inner.raft.get_snapshot().await;
        let snapshot = snapshot.map_err(|_| BackupError::Unavailable(Unavailable::Stopping))?.ok_or_else(starting)?;
        let Snapshot { meta, snapshot } = snapshot;
        let SnapshotData::Own(Some(state)) = *snapshot else { return Err(starting()) };
        if state.cluster().is_none() || self.condition() != Condition::Ready {
            return Err(starting());
        }
        let core = self.core();
        let header = BackupHeader {
            cluster: core.cluster(),
            revision: state.revision(),
            taken_at: core.clock.unix_millis(),
            clock: state.clock(),
            next: Sequence(state.progress().frontier.size()),
            hash: state.hash(),
            feature_level: state.progress().feature_level,
            keys: state.key_count() as u64,
            node: core.node(),
        };
        Ok(Cut { header, meta, state })
    }
}

impl Cut {
    /// Writes the whole file. On a thread that may block.
    pub(super) fn write(&self, core: &Arc<Core>, out: impl Write) -> Result<(), SnapshotError> {
        let mut out = Encoder::new(BufWriter::with_capacity(PIECE_BYTES, out))?;
        out.write_all(MAGIC)?;
        out.write_all(&self.header.write().encode_length_delimited_to_vec())?;
        snapshot_file::write_payload(core, &self.meta, &self.state, &mut out)?;
        let (mut inner, _) = out.finish()?;
        inner.flush()?;
        Ok(())
    }
}
