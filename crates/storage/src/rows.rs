//! The words of the state rows.

use bytes::Bytes;

use crate::error::StoreError;
use crate::frame::RECORD_BYTES_MAX;
use crate::snapshot::SnapshotName;

/// The highest table number; the one above it holds the continuations of long rows.
pub const ROW_TABLE_MAX: u8 = 0xFE;

/// The longest id of a row, so that keys stay small beside the 4,000 bytes of a value.
pub const ROW_ID_BYTES_MAX: usize = 512;

/// Rows and removals in one atomic batch. A batch costs about 6 KiB of memory a removal while it is applied
/// (measured: 195,000 removals took 1,158 MiB), so this one stays near 24 MiB.
pub const ROW_BATCH_MAX: usize = 4_096;

/// Where a row lies: a table, and an id that orders the rows of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// At most [`ROW_TABLE_MAX`].
    pub table: u8,
    /// At most [`ROW_ID_BYTES_MAX`] bytes.
    pub id: Bytes,
}

/// One row, sealed and encoded by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it lies.
    pub key: RowKey,
    /// At most [`crate::RECORD_BYTES_MAX`] bytes.
    pub bytes: Bytes,
}

/// The point of the log whose state the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The raft log index of the last record that was applied.
    pub index: u64,
    /// The caller's own bytes: last applied, membership.
    pub bytes: Bytes,
}

/// What one or more applied log records change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBatch {
    /// Rows that are to hold these bytes from now on.
    pub puts: Vec<Row>,
    /// Rows that are to be gone. A row that is not there is no error.
    pub deletes: Vec<RowKey>,
    /// The point that the rows then stand at.
    pub mark: Mark,
}

/// A snapshot file that stands for the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The file.
    pub name: SnapshotName,
    /// The raft log index of the last record in it.
    pub index: u64,
}

/// Where the state is to be loaded from at a start; the log after that point is then replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSource {
    /// From nothing: no row was ever written.
    Empty,
    /// From the rows, by [`crate::Store::scan_rows`].
    Rows(Mark),
    /// From a snapshot file, by [`crate::Store::read_snapshot`].
    Base(Base),
}

/// A set of rows that is being written and will replace the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub(crate) u32);

impl RowKey {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.table > ROW_TABLE_MAX {
            return Err(StoreError::Table { table: self.table, table_max: ROW_TABLE_MAX });
        }
        bounded("row id", self.id.len(), ROW_ID_BYTES_MAX)
    }
}

impl Row {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.key.check()?;
        bounded("row", self.bytes.len(), RECORD_BYTES_MAX)
    }
}

impl RowBatch {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let count = self.puts.len() + self.deletes.len();
        if count > ROW_BATCH_MAX {
            return Err(StoreError::TooMany { what: "rows in one batch", count, count_max: ROW_BATCH_MAX });
        }
        bounded("mark", self.mark.bytes.len(), RECORD_BYTES_MAX)?;
        self.deletes.iter().try_for_each(RowKey::check)?;
        self.puts.iter().try_for_each(Row::check)
    }
}

pub(crate) fn bounded(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), StoreError> {
    if bytes > bytes_max { Err(StoreError::TooLong { what, bytes, bytes_max }) } else { Ok(()) }
}
