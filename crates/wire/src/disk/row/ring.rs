//! The rows of wrapped keys.

use crate::disk::parts::{read_purpose, write_purpose};
use crate::disk::{DecodeError, fixed, time};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{KekId, RingNumber};
use latchkey_state::RingKey;

/// Writes the row of a wrapped key.
#[must_use]
pub fn write_ring_key_row(row: &RingKey) -> disk::RingKeyRow {
    disk::RingKeyRow {
        number: row.number.0,
        id: row.id.to_vec(),
        purpose: Some(write_purpose(row.purpose)),
        wrapped_by: row.wrapped_by.0,
        wrapped: row.wrapped.to_vec(),
        created_at_unix_ms: row.created_at.millis(),
        kek: write_kek(row.kek),
    }
}

/// Reads the row of a wrapped key.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn read_ring_key_row(row: &disk::RingKeyRow) -> Result<RingKey, DecodeError> {
    Ok(RingKey {
        number: RingNumber(row.number),
        id: fixed(&row.id, "ring_key.id")?,
        purpose: read_purpose(row.purpose)?,
        wrapped_by: RingNumber(row.wrapped_by),
        kek: read_kek(row.kek.as_deref())?,
        wrapped: row.wrapped.as_slice().into(),
        created_at: time(row.created_at_unix_ms, "ring_key.created_at")?,
    })
}

pub(in crate::disk) fn write_kek(kek: Option<KekId>) -> Option<Vec<u8>> {
    kek.map(|kek| kek.0.to_vec())
}

pub(in crate::disk) fn read_kek(kek: Option<&[u8]>) -> Result<Option<KekId>, DecodeError> {
    kek.map(|kek| Ok(KekId(fixed(kek, "ring_key.kek")?))).transpose()
}
