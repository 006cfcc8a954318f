//! All that a disk would hold, in maps that are cheap to clone.

use core::ops::{ControlFlow, Range};

use bytes::Bytes;
use imbl::OrdMap;

use crate::error::StoreError;
use crate::log::Purged;
use crate::rows::{Base, Mark, Row, RowBatch, RowKey, StateSource};
use crate::snapshot::SnapshotName;
use crate::word::Word;

/// One state of the disk. The image that is durable is a clone from the last sync.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) log: OrdMap<u64, Bytes>,
    pub(super) purged: Option<Purged>,
    pub(super) words: OrdMap<Word, Bytes>,
    /// By generation.
    pub(super) rows: OrdMap<(u32, RowKey), Bytes>,
    pub(super) generation: u32,
    pub(super) mark: Option<Mark>,
    pub(super) base: Option<Base>,
    pub(super) snapshots: OrdMap<SnapshotName, Bytes>,
}

impl Image {
    pub(super) fn state_source(&self) -> StateSource {
        match (&self.base, &self.mark) {
            (Some(base), _) => StateSource::Base(base.clone()),
            (None, Some(mark)) => StateSource::Rows(mark.clone()),
            (None, None) => StateSource::Empty,
        }
    }

    pub(super) fn state_index(&self) -> Option<u64> {
        match self.state_source() {
            StateSource::Empty => None,
            StateSource::Rows(mark) => Some(mark.index),
            StateSource::Base(base) => Some(base.index),
        }
    }

    pub(super) fn write_rows(&mut self, batch: RowBatch) -> Result<(), StoreError> {
        self.rows_stand()?;
        for key in batch.deletes {
            self.rows.remove(&(self.generation, key));
        }
        for row in batch.puts {
            self.rows.insert((self.generation, row.key), row.bytes);
        }
        self.mark = Some(batch.mark);
        Ok(())
    }

    pub(super) fn read_row(&self, key: &RowKey) -> Result<Option<Bytes>, StoreError> {
        self.rows_stand()?;
        Ok(self.rows.get(&(self.generation, key.clone())).cloned())
    }

    pub(super) fn read_rows(&self, table: u8, ids: Range<&[u8]>, rows_max: usize) -> Result<Vec<Row>, StoreError> {
        self.rows_stand()?;
        if ids.start >= ids.end {
            return Ok(Vec::new());
        }
        let key = |id| (self.generation, RowKey { table, id: Bytes::copy_from_slice(id) });
        Ok(self.rows.range(key(ids.start)..key(ids.end)).take(rows_max).map(to_row).collect())
    }

    pub(super) fn scan_rows(&self, visit: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.rows_stand()?;
        let first = RowKey { table: 0, id: Bytes::new() };
        let mut rows = self.rows.range((self.generation, first.clone())..(self.generation + 1, first)).map(to_row);
        // A break is the caller's wish, not a failure.
        let _ = rows.try_for_each(visit);
        Ok(())
    }

    pub(super) fn forget_other_generations(&mut self, keep: u32) {
        let others: Vec<_> = self.rows.keys().filter(|(generation, _)| *generation != keep).cloned().collect();
        for key in others {
            self.rows.remove(&key);
        }
    }

    pub(super) fn snapshot(&self, name: &SnapshotName) -> Result<Bytes, StoreError> {
        self.snapshots.get(name).cloned().ok_or_else(|| StoreError::SnapshotNotFound { name: name.to_string() })
    }

    pub(super) fn snapshot_names(&self) -> Vec<SnapshotName> {
        self.snapshots.keys().cloned().collect()
    }

    pub(super) fn retain_snapshots(&mut self, keep: &[SnapshotName]) {
        for name in self.snapshot_names() {
            if !keep.contains(&name) && self.base.as_ref().is_none_or(|base| base.name != name) {
                self.snapshots.remove(&name);
            }
        }
    }

    fn rows_stand(&self) -> Result<(), StoreError> {
        match &self.base {
            Some(base) => Err(StoreError::RowsSuperseded { base: base.name.to_string() }),
            None => Ok(()),
        }
    }
}

fn to_row(((_, key), bytes): (&(u32, RowKey), &Bytes)) -> Row {
    Row { key: key.clone(), bytes: bytes.clone() }
}
