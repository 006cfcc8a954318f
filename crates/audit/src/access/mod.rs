//! The access log: single validations and calls, kept as they came, sealed under their tenant's key.
//!
//! ```text
//! key of a line = last time (8) || node (8) || incarnation (8) || batch (8) || place in the batch (4)
//! value         = region (length, text) || latchkey.internal.v1.AccessRecord
//! ```

pub(crate) mod answer;
mod list;
mod request;
mod search;
mod show;

pub(crate) use list::{Page, Whose};
pub(crate) use request::ListAccess;
pub(crate) use search::Search;
pub(crate) use show::{LineNames, line as shown};

use crate::collect::Batch;
use crate::run::codec::{Taker, put_bytes};
use latchkey_wire::pb::internal::v1 as pb;
use prost::Message as _;

/// Bytes of the key of a line.
pub(crate) const KEY_BYTES: usize = 8 + 8 + 8 + 8 + 4;

/// A line as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) key: Vec<u8>,
    pub(crate) region: String,
    pub(crate) record: pb::AccessRecord,
}

/// The item of a line, which has a place in its batch.
pub(crate) fn item(batch: &Batch, place: usize, record: &pb::AccessRecord) -> (Vec<u8>, Vec<u8>) {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let numbers = [record.last_unix_ms, batch.node.0, batch.incarnation, batch.number];
    let key = numbers.into_iter().flat_map(u64::to_be_bytes).chain(place.to_be_bytes()).collect();
    let mut value = Vec::new();
    put_bytes(&mut value, batch.region.as_bytes());
    record.encode(&mut value).expect("a vector takes what it is given");
    (key, value)
}

/// The time that the key of a line begins with. Milliseconds since 1970.
pub(crate) fn time_of(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|time| u64::from_be_bytes(*time))
}

impl Line {
    /// Reads the item of a line.
    pub(crate) fn read(key: Vec<u8>, value: &[u8]) -> Option<Self> {
        let mut taker = Taker(value);
        let region = String::from_utf8(taker.bytes()?.to_vec()).ok()?;
        let record = pb::AccessRecord::decode(taker.0).ok()?;
        Some(Self { key, region, record })
    }
}

#[cfg(test)]
mod tests;
