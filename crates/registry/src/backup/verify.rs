//! Proving that a backup can be restored: each row opens, and all together are the state whose hash the header names.

use super::error::BackupError;
use super::header::BackupHeader;
use super::read::BackupFile;
use crate::keyring::Keyring;
use crate::sealing::{OUTBOX_TABLE, Sealer};
use crate::snapshot_file::{SnapshotError, load_rows};
use latchkey_kms::Kms;
use latchkey_state::{State, StateHash};
use latchkey_wire::disk::RowReader;
use std::sync::Arc;

impl BackupFile {
    /// Loads the state that it holds, compares its hash, and gives it with the keys that open it. Takes as much memory as
    /// a replica with that state.
    ///
    /// # Errors
    /// [`BackupError`].
    pub(crate) async fn load(&self, kms: Arc<dyn Kms>) -> Result<(State, Sealer, Arc<Keyring>), BackupError> {
        let keyring = Arc::new(Keyring::new(self.header().cluster, kms));
        let sealer = Sealer::new(self.header().cluster, keyring.clone());
        let state = load_rows(&keyring, &sealer, self.frames()?).await.map_err(self.rows_error())?;
        self.compare(state.hash())?;
        Ok((state, sealer, keyring))
    }

    /// Loads the state that it holds, and compares its hash with the one in the header.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn verify(&self, kms: Arc<dyn Kms>) -> Result<BackupHeader, BackupError> {
        let (state, ..) = self.load(kms).await?;
        state.check_invariants().map_err(|problem| BackupError::Foreign {
            path: self.path().into(),
            expected: "a state that keeps its own rules",
            found: format!("{problem:?}"),
        })?;
        Ok(self.header().clone())
    }

    /// As [`Self::verify`], by what a replica has at hand, and without a second state in its memory. On a thread that may
    /// block.
    pub(super) fn verify_beside(&self, sealer: &Sealer) -> Result<(), BackupError> {
        let (mut reader, mut hash) = (RowReader::default(), StateHash::default());
        for frame in self.frames()? {
            let frame = frame.map_err(self.rows_error())?;
            if frame.table == OUTBOX_TABLE {
                continue;
            }
            let row = sealer.open_row_at_hand(&mut reader, frame.table, &frame.id, &frame.row);
            hash = hash.plus(&row.map_err(SnapshotError::from).map_err(self.rows_error())?);
        }
        self.compare(hash)
    }

    fn compare(&self, found: StateHash) -> Result<(), BackupError> {
        let expected = self.header().hash;
        if found == expected {
            return Ok(());
        }
        let hex = |hash: StateHash| hash.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Err(BackupError::Hash { path: self.path().into(), expected: hex(expected), found: hex(found) })
    }
}
