//! Where the state stands: which generation is current, at which mark, or which file stands for it.

use bytes::Bytes;

use super::engine::Engine;
use super::rows;
use crate::error::StoreError;
use crate::facts::field;
use crate::rows::{Base, Generation, Mark, Row, RowKey, StateSource};
use crate::snapshot::SnapshotName;

/// The generation that holds the standing itself.
const STANDING_GENERATION: u32 = 0;
const MARK_TABLE: u8 = 1;
const BASE_TABLE: u8 = 2;

/// Where the state stands, as on disk or about to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The generation whose rows count. 1 in a new folder.
    pub(super) generation: u32,
    pub(super) mark: Option<Mark>,
    pub(super) base: Option<Base>,
    /// The highest generation of which there may be rows.
    pub(super) begun: u32,
    /// The generation that is being written.
    pub(super) open: Option<u32>,
}

impl Standing {
    pub(super) fn load(engine: &Engine) -> Result<Self, StoreError> {
        let mut standing = Self { generation: 1, ..Self::default() };
        if let Some(mut bytes) = rows::read(engine, STANDING_GENERATION, &key(MARK_TABLE))? {
            let head = head(&mut bytes, 4 + 8, "mark")?;
            standing.generation = u32::from_be_bytes(field(&head, 0));
            standing.mark = Some(Mark { index: u64::from_be_bytes(field(&head, 4)), bytes });
        }
        if let Some(mut bytes) = rows::read(engine, STANDING_GENERATION, &key(BASE_TABLE))? {
            let head = head(&mut bytes, 8, "base")?;
            let name = core::str::from_utf8(&bytes).ok().and_then(|name| SnapshotName::parse(name).ok());
            let name = name.ok_or_else(|| StoreError::damaged("the name of the base file"))?;
            standing.base = Some(Base { name, index: u64::from_be_bytes(field(&head, 0)) });
        }
        standing.begun = standing.generation.max(rows::highest_generation(engine)?);
        Ok(standing)
    }

    pub(super) fn source(&self) -> StateSource {
        match (&self.base, &self.mark) {
            (Some(base), _) => StateSource::Base(base.clone()),
            (None, Some(mark)) => StateSource::Rows(mark.clone()),
            (None, None) => StateSource::Empty,
        }
    }

    pub(super) fn index(&self) -> Option<u64> {
        match self.source() {
            StateSource::Empty => None,
            StateSource::Rows(mark) => Some(mark.index),
            StateSource::Base(base) => Some(base.index),
        }
    }

    /// Refuses to write a generation that was abandoned or committed.
    pub(super) fn writes(&self, generation: Generation) -> Result<(), StoreError> {
        if self.open == Some(generation.0) {
            return Ok(());
        }
        Err(StoreError::GenerationAbandoned { generation: generation.0 })
    }

    /// Refuses to use rows that a base file has made void.
    pub(super) fn rows_stand(&self) -> Result<(), StoreError> {
        match &self.base {
            Some(base) => Err(StoreError::RowsSuperseded { base: base.name.to_string() }),
            None => Ok(()),
        }
    }
}

pub(super) fn put_mark(
    engine: &Engine,
    batch: &mut sled::Batch,
    generation: u32,
    mark: &Mark,
) -> Result<(), StoreError> {
    let bytes = [&generation.to_be_bytes(), &mark.index.to_be_bytes()[..], &mark.bytes].concat();
    rows::put(engine, batch, STANDING_GENERATION, &Row { key: key(MARK_TABLE), bytes: bytes.into() })
}

pub(super) fn put_base(engine: &Engine, batch: &mut sled::Batch, base: &Base) -> Result<(), StoreError> {
    let bytes = [&base.index.to_be_bytes(), base.name.as_str().as_bytes()].concat();
    rows::put(engine, batch, STANDING_GENERATION, &Row { key: key(BASE_TABLE), bytes: bytes.into() })
}

pub(super) fn remove_base(engine: &Engine, batch: &mut sled::Batch) -> Result<(), StoreError> {
    rows::remove(engine, batch, STANDING_GENERATION, &key(BASE_TABLE))
}

fn key(table: u8) -> RowKey {
    RowKey { table, id: Bytes::new() }
}

fn head(bytes: &mut Bytes, length: usize, what: &str) -> Result<Bytes, StoreError> {
    if bytes.len() < length {
        return Err(StoreError::damaged(format!("the {what} is too short")));
    }
    Ok(bytes.split_to(length))
}
