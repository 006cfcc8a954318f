//! The tree `rows`: key = generation (4) || table (1) || id, so that rows lie in the order in which they are scanned.
//!
//! What does not fit the first chunk lies under generation (4) || 0xFF || table (1) || id || chunk (2), behind all rows.
//! Generation 0 holds where the state stands, so that it changes in one batch with the rows.

use core::ops::Range;

use bytes::Bytes;

use super::chunks::chunk_key;
use super::engine::Engine;
use crate::error::StoreError;
use crate::facts::field;
use crate::frame::{self, Joining};
use crate::rows::{ROW_TABLE_MAX, Row, RowKey};

const OVERFLOW_TABLE: u8 = ROW_TABLE_MAX + 1;
const PREFIX_BYTES: usize = 4 + 1;

fn first_key(generation: u32, key: &RowKey) -> Vec<u8> {
    [&generation.to_be_bytes(), &[key.table][..], &key.id].concat()
}

fn rest_prefix(generation: u32, key: &RowKey) -> Vec<u8> {
    [&generation.to_be_bytes(), &[OVERFLOW_TABLE, key.table][..], &key.id].concat()
}

/// Puts a row that is not there yet.
pub(super) fn put_new(batch: &mut sled::Batch, generation: u32, row: &Row) {
    let first = first_key(generation, &row.key);
    let rest = rest_prefix(generation, &row.key);
    for (chunk, value) in frame::split(&first, &row.bytes) {
        let key = if chunk == 0 { first.clone() } else { chunk_key(&rest, chunk) };
        batch.insert(key, value);
    }
}

/// Puts a row, and removes what a longer one before it leaves.
pub(super) fn put(engine: &Engine, batch: &mut sled::Batch, generation: u32, row: &Row) -> Result<(), StoreError> {
    remove(engine, batch, generation, &row.key)?;
    // Within a batch the last operation on a key counts.
    put_new(batch, generation, row);
    Ok(())
}

/// Removes a row with all its chunks, if it is there.
pub(super) fn remove(
    engine: &Engine,
    batch: &mut sled::Batch,
    generation: u32,
    key: &RowKey,
) -> Result<(), StoreError> {
    let first = first_key(generation, key);
    let Some(value) = engine.rows.get(&first).map_err(|error| engine.unreadable(error))? else { return Ok(()) };
    let rest = rest_prefix(generation, key);
    for chunk in 1..=Joining::begin(&value).map_err(|what| damaged(key, &what))?.rest_chunks() {
        batch.remove(chunk_key(&rest, chunk));
    }
    batch.remove(first);
    Ok(())
}

pub(super) fn read(engine: &Engine, generation: u32, key: &RowKey) -> Result<Option<Bytes>, StoreError> {
    let first = first_key(generation, key);
    let Some(value) = engine.rows.get(&first).map_err(|error| engine.unreadable(error))? else { return Ok(None) };
    join(engine, generation, key, &first, &value).map(Some)
}

/// All rows of a generation, by table and id.
pub(super) fn all(engine: &Engine, generation: u32) -> impl Iterator<Item = Result<Row, StoreError>> {
    let first = generation.to_be_bytes().to_vec();
    let end = [&generation.to_be_bytes(), &[OVERFLOW_TABLE][..]].concat();
    range(engine, generation, first..end)
}

/// The rows of a table with these ids.
pub(super) fn some<'a>(
    engine: &'a Engine,
    generation: u32,
    table: u8,
    ids: &Range<&[u8]>,
) -> impl Iterator<Item = Result<Row, StoreError>> + use<'a> {
    let key = |id| first_key(generation, &RowKey { table, id: Bytes::copy_from_slice(id) });
    range(engine, generation, key(ids.start)..key(ids.end))
}

/// The keys of all generations in `generations`.
pub(super) fn keys(generations: Range<u32>) -> Range<Vec<u8>> {
    generations.start.to_be_bytes().to_vec()..generations.end.to_be_bytes().to_vec()
}

/// The highest generation of which a key is there.
pub(super) fn highest_generation(engine: &Engine) -> Result<u32, StoreError> {
    let last = engine.rows.last().map_err(|error| engine.unreadable(error))?;
    match last {
        Some((key, _)) if key.len() < PREFIX_BYTES => Err(StoreError::damaged("rows: a key without a table")),
        Some((key, _)) => Ok(u32::from_be_bytes(field(&key, 0))),
        None => Ok(0),
    }
}

fn range(
    engine: &Engine,
    generation: u32,
    keys: Range<Vec<u8>>,
) -> impl Iterator<Item = Result<Row, StoreError>> + use<'_> {
    engine.rows.range(keys).map(move |entry| {
        let (first, value) = entry.map_err(|error| engine.unreadable(error))?;
        if first.len() < PREFIX_BYTES {
            return Err(StoreError::damaged("rows: a key without a table"));
        }
        let key = RowKey { table: first[4], id: Bytes::copy_from_slice(&first[PREFIX_BYTES..]) };
        let bytes = join(engine, generation, &key, &first, &value)?;
        Ok(Row { key, bytes })
    })
}

fn join(engine: &Engine, generation: u32, key: &RowKey, first: &[u8], value: &[u8]) -> Result<Bytes, StoreError> {
    let mut joining = Joining::begin(value).map_err(|what| damaged(key, &what))?;
    while let Some(wanted) = joining.wants() {
        let chunk = engine
            .rows
            .get(chunk_key(&rest_prefix(generation, key), wanted))
            .map_err(|error| engine.unreadable(error))?
            .ok_or_else(|| damaged(key, &format!("chunk {wanted} is missing")))?;
        joining.add(&chunk);
    }
    joining.end(first).map_err(|what| damaged(key, &what))
}

fn damaged(key: &RowKey, what: &str) -> StoreError {
    StoreError::damaged(format!("row of table {} with an id of {} bytes: {what}", key.table, key.id.len()))
}
