//! The tree `log`: key = index (8) || chunk (2).

use core::ops::Range;

use super::chunks::{self, chunk_key};
use super::engine::{Engine, REMOVALS_MAX};
use crate::error::StoreError;
use crate::facts::field;
use crate::frame::Joining;
use crate::log::{LogRecord, Purged};

const KEY_BYTES: usize = 8 + 2;

pub(super) fn put(batch: &mut sled::Batch, record: &LogRecord) {
    chunks::put(batch, &record.index.to_be_bytes(), &record.bytes);
}

/// All keys of the records in `indexes`.
pub(super) fn keys(indexes: Range<u64>) -> Range<Vec<u8>> {
    chunk_key(&indexes.start.to_be_bytes(), 0)..chunk_key(&indexes.end.to_be_bytes(), 0)
}

/// The records in `indexes` that are on disk, in order.
pub(super) fn records(engine: &Engine, indexes: Range<u64>) -> Records<'_> {
    Records { engine, chunks: engine.log.range(keys(indexes)), current: None }
}

/// Removes the records in `from..next`, in batches, so that at every moment what is left is a whole log.
///
/// First chunks go first, from the end down: a record without its first chunk does not exist for any reader.
pub(super) fn truncate(engine: &Engine, from: u64, next: u64) -> Result<(), StoreError> {
    let mut indexes = (from..next).rev().peekable();
    while indexes.peek().is_some() {
        let mut batch = sled::Batch::default();
        for index in indexes.by_ref().take(REMOVALS_MAX) {
            batch.remove(chunk_key(&index.to_be_bytes(), 0));
        }
        engine.apply(&engine.log, batch)?;
    }
    while engine.remove_some(&engine.log, keys(from..next))? == REMOVALS_MAX {}
    Ok(())
}

/// Reads the whole log and checks it: after the purge marker there is no hole, and every record is what was written.
pub(super) fn load(engine: &Engine, purged: Option<&Purged>) -> Result<Option<Range<u64>>, StoreError> {
    let start = purged.map(|purged| purged.through + 1);
    let mut span: Option<Range<u64>> = None;
    for record in records(engine, start.unwrap_or(0)..u64::MAX) {
        let found = record?.index;
        let expected = span.as_ref().map(|span| span.end).or(start).unwrap_or(found);
        if found != expected {
            return Err(StoreError::damaged(format!("log: record {found} follows {expected} missing")));
        }
        span = Some(span.map_or(found, |span| span.start)..found + 1);
    }
    Ok(span)
}

/// Puts the chunks of records together, and checks each record.
pub(super) struct Records<'a> {
    engine: &'a Engine,
    chunks: sled::Iter,
    current: Option<(u64, Joining)>,
}

impl Iterator for Records<'_> {
    type Item = Result<LogRecord, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(chunk) = self.chunks.next() else { return self.current.take().map(end) };
            let (key, value) = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(self.engine.unreadable(error))),
            };
            let Ok(key) = <&[u8; KEY_BYTES]>::try_from(&key[..]) else {
                return Some(Err(StoreError::damaged(format!("log: a key of {} bytes", key.len()))));
            };
            let (index, chunk) = (u64::from_be_bytes(field(key, 0)), u16::from_be_bytes(field(key, 8)));
            if chunk == 0 {
                let next = match Joining::begin(&value) {
                    Ok(joining) => (index, joining),
                    Err(what) => return Some(Err(damaged(index, &what))),
                };
                if let Some(whole) = self.current.replace(next) {
                    return Some(end(whole));
                }
            } else if let Some((current, joining)) = &mut self.current {
                // Other chunks are the rest of a record that was cut off or overwritten.
                if *current == index && joining.wants() == Some(chunk) {
                    joining.add(&value);
                }
            }
        }
    }
}

fn end((index, joining): (u64, Joining)) -> Result<LogRecord, StoreError> {
    let bytes = joining.end(&index.to_be_bytes()).map_err(|what| damaged(index, &what))?;
    Ok(LogRecord { index, bytes })
}

fn damaged(index: u64, what: &str) -> StoreError {
    StoreError::damaged(format!("log record {index}: {what}"))
}
