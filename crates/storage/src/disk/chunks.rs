//! Framed values under keys `prefix || chunk (2)`, as the trees `log` and `words` have them.

use bytes::Bytes;

use super::engine::Engine;
use crate::error::StoreError;
use crate::frame::{self, Joining};

pub(super) fn chunk_key(prefix: &[u8], chunk: u16) -> Vec<u8> {
    [prefix, &chunk.to_be_bytes()].concat()
}

/// Adds a value to a batch. Chunks of a longer value before it stay behind, and no reader asks for them.
pub(super) fn put(batch: &mut sled::Batch, prefix: &[u8], bytes: &[u8]) {
    for (chunk, value) in frame::split(prefix, bytes) {
        batch.insert(chunk_key(prefix, chunk), value);
    }
}

/// Reads a value back. `name` says in an error what it is.
pub(super) fn read(
    engine: &Engine,
    tree: &sled::Tree,
    prefix: &[u8],
    name: impl Fn() -> String,
) -> Result<Option<Bytes>, StoreError> {
    let chunk = |chunk| tree.get(chunk_key(prefix, chunk)).map_err(|error| engine.unreadable(error));
    let damaged = |what: String| StoreError::damaged(format!("{}: {what}", name()));
    let Some(first) = chunk(0)? else { return Ok(None) };
    let mut joining = Joining::begin(&first).map_err(damaged)?;
    while let Some(wanted) = joining.wants() {
        let next = chunk(wanted)?.ok_or_else(|| damaged(format!("chunk {wanted} is missing")))?;
        joining.add(&next);
    }
    joining.end(prefix).map(Some).map_err(damaged)
}
