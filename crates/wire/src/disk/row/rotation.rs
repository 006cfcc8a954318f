//! The rows of rotations.

use crate::disk::parts::{read_change, write_change};
use crate::disk::{DecodeError, key_id, parsed, required, rotation_id, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{DurationMillis, KeyspaceNumber, ReasonText, UnixMillis};
use latchkey_state::Rotation;

pub(super) fn write_rotation(row: &Rotation) -> disk::RotationRow {
    disk::RotationRow {
        id: row.id.bytes().to_vec(),
        keyspace: row.keyspace.0,
        key_id: row.key.bytes().to_vec(),
        state: disk::RotationState::from(row.state).into(),
        old_version_id: row.old.map(|version| version.bytes().to_vec()),
        new_version_id: row.new.bytes().to_vec(),
        overlap_ms: row.overlap.map(DurationMillis::millis),
        overlap_ends_at_unix_ms: row.overlap_ends_at.map(UnixMillis::millis),
        created_at_unix_ms: row.created_at.millis(),
        changed: Some(write_change(row.changed)),
        ended_at_unix_ms: row.ended_at.map(UnixMillis::millis),
        text: row.text.to_string(),
    }
}

pub(super) fn read_rotation(row: &disk::RotationRow) -> Result<Rotation, DecodeError> {
    let at = |millis: Option<u64>, field| millis.map(|millis| time(millis, field)).transpose();
    Ok(Rotation {
        id: rotation_id(&row.id, "rotation.id")?,
        keyspace: KeyspaceNumber(row.keyspace),
        key: key_id(&row.key_id, "rotation.key_id")?,
        state: parsed(words::disk_rotation_state(row.state), "rotation.state")?,
        old: row.old_version_id.as_deref().map(|id| version_id(id, "rotation.old")).transpose()?,
        new: version_id(&row.new_version_id, "rotation.new")?,
        overlap: row.overlap_ms.map(|millis| span(millis, "rotation.overlap")).transpose()?,
        overlap_ends_at: at(row.overlap_ends_at_unix_ms, "rotation.overlap_ends_at")?,
        created_at: time(row.created_at_unix_ms, "rotation.created_at")?,
        changed: read_change(required(row.changed.as_ref(), "rotation.changed")?)?,
        ended_at: at(row.ended_at_unix_ms, "rotation.ended_at")?,
        text: parsed(ReasonText::parse(&row.text), "rotation.text")?,
    })
}
