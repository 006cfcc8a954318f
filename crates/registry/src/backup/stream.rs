//! A backup on its way to whoever asked for it.

use super::error::BackupError;
use super::header::BackupHeader;
use super::pace::{Paced, in_background};
use crate::registry::Registry;
use crate::state_machine::chain;
use bytes::Bytes;
use std::io::{self, Write};
use tokio::sync::mpsc;
use tracing::warn;

/// Pieces on their way at once: 256 KiB.
const PIECES_PENDING_MAX: usize = 8;

/// A backup that is being written for somebody.
#[derive(Debug)]
pub struct BackupStream {
    /// What it is of.
    pub header: BackupHeader,
    /// The bytes of the file, in order, and at the end why there are no more, where that is not their end.
    pub pieces: mpsc::Receiver<Result<Bytes, BackupError>>,
}

impl Registry {
    /// Writes the state as it is applied here now, for whoever reads the pieces. Waits for him, and ends when he goes away.
    ///
    /// # Errors
    /// [`BackupError::Unavailable`].
    pub async fn backup(&self) -> Result<BackupStream, BackupError> {
        let cut = self.cut().await?;
        let (pieces, received) = mpsc::channel(PIECES_PENDING_MAX);
        let (header, core) = (cut.header.clone(), self.core().clone());
        tokio::spawn(async move {
            let out = pieces.clone();
            let written = in_background("backup", move || cut.write(&core, Paced::new(Pieces(out)))).await;
            let error = match written {
                Ok(Ok(())) => return,
                Ok(Err(error)) => BackupError::Write(error),
                Err(error) => BackupError::Write(error.into()),
            };
            warn!(error = chain(&error), "a backup was not written to its end");
            drop(pieces.send(Err(error)).await);
        });
        Ok(BackupStream { header, pieces: received })
    }
}

/// A writer whose bytes leave as pieces.
struct Pieces(mpsc::Sender<Result<Bytes, BackupError>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver went away"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
