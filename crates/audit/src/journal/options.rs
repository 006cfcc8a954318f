//! What a journal runs with, and the hooks through which tests see what cannot be caused.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Tells how many bytes are free on the disk of a folder.
pub type FreeBytes = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What happens when it is not known any more what is on the disk. The process ends; a test takes note.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// A segment is closed at this size. 16 MiB: some 40,000 entries, which one search passes in a quarter of a second.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// Appends are refused when less is free, so that the disk is never filled to its last block. 64 MiB.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// What a journal runs with.
#[derive(Clone)]
pub struct JournalOptions {
    /// A segment is closed at this size.
    pub segment_bytes_max: u64,
    /// Whether it is read alone, by somebody who has a copy of the folder, made while its service ran: at its end entries may be
    /// missing that were durable there, and what a copy cut is left as it is. Who goes on with it leaves this out.
    pub is_copy: bool,
    /// Appends are refused when less is free.
    pub free_bytes_min: u64,
    /// Asks the disk.
    pub free_bytes: FreeBytes,
    /// Ends the process.
    pub on_fatal: OnFatal,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            is_copy: false,
            free_bytes_min: FREE_BYTES_MIN,
            free_bytes: Arc::new(|folder| {
                let room = rustix::fs::statvfs(folder)?;
                Ok(room.f_bavail.saturating_mul(room.f_frsize))
            }),
            // Aborting keeps whatever else runs in the process from acknowledging what may be lost.
            on_fatal: Arc::new(|why| {
                tracing::error!(why, "the audit journal cannot go on");
                std::process::abort();
            }),
        }
    }
}

impl fmt::Debug for JournalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("JournalOptions");
        debug.field("segment_bytes_max", &self.segment_bytes_max).field("free_bytes_min", &self.free_bytes_min);
        debug.finish_non_exhaustive()
    }
}
