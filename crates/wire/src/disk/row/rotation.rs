//! The rows of rotations.

use crate::disk::parts::{read_change, write_change};
use crate::disk::policy::{read_delivery, read_terms, write_delivery, write_terms};
use crate::disk::{DecodeError, fixed, key_id, parsed, required, rotation_id, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{DurationMillis, KeyspaceNumber, ReasonText, UnixMillis};
use latchkey_state::{Course, Held, Rotation, RotationClaim};

/// The row of a rotation.
#[must_use]
pub fn write_rotation(row: &Rotation) -> disk::RotationRow {
    disk::RotationRow {
        id: row.id.bytes().to_vec(),
        keyspace: row.keyspace.0,
        key_id: row.key.bytes().to_vec(),
        state: disk::RotationState::from(row.state).into(),
        old_version_id: row.old.map(|version| version.bytes().to_vec()),
        new_version_id: row.new.map(|version| version.bytes().to_vec()),
        overlap_ms: row.overlap.map(DurationMillis::millis),
        overlap_ends_at_unix_ms: row.overlap_ends_at.map(UnixMillis::millis),
        created_at_unix_ms: row.created_at.millis(),
        changed: Some(write_change(row.changed)),
        ended_at_unix_ms: row.ended_at.map(UnixMillis::millis),
        text: row.text.to_string(),
        course: row.course.as_deref().map(write_course),
    }
}

/// A rotation from its row.
///
/// # Errors
/// [`DecodeError`].
pub fn read_rotation(row: &disk::RotationRow) -> Result<Rotation, DecodeError> {
    let at = |millis: Option<u64>, field| millis.map(|millis| time(millis, field)).transpose();
    Ok(Rotation {
        id: rotation_id(&row.id, "rotation.id")?,
        keyspace: KeyspaceNumber(row.keyspace),
        key: key_id(&row.key_id, "rotation.key_id")?,
        state: parsed(words::disk_rotation_state(row.state), "rotation.state")?,
        old: row.old_version_id.as_deref().map(|id| version_id(id, "rotation.old")).transpose()?,
        new: row.new_version_id.as_deref().map(|id| version_id(id, "rotation.new")).transpose()?,
        overlap: row.overlap_ms.map(|millis| span(millis, "rotation.overlap")).transpose()?,
        overlap_ends_at: at(row.overlap_ends_at_unix_ms, "rotation.overlap_ends_at")?,
        created_at: time(row.created_at_unix_ms, "rotation.created_at")?,
        changed: read_change(required(row.changed.as_ref(), "rotation.changed")?)?,
        ended_at: at(row.ended_at_unix_ms, "rotation.ended_at")?,
        text: parsed(ReasonText::parse(&row.text), "rotation.text")?,
        course: row.course.as_ref().map(read_course).transpose()?.map(Box::new),
    })
}

fn write_course(course: &Course) -> disk::Course {
    disk::Course {
        by_policy: course.by_policy,
        phase: course.phase.into(),
        terms: Some(write_terms(&course.terms)),
        delivery: course.delivery.as_ref().map(write_delivery),
        starts_at_unix_ms: course.starts_at.map(UnixMillis::millis),
        activate_at_unix_ms: course.activate_at.map(UnixMillis::millis),
        activated_at_unix_ms: course.activated_at.map(UnixMillis::millis),
        delivered_at_unix_ms: course.delivered_at.map(UnixMillis::millis),
        verified_at_unix_ms: course.verified_at.map(UnixMillis::millis),
        overlap_began_at_unix_ms: course.overlap_began_at.map(UnixMillis::millis),
        hold: course.hold.as_ref().map(write_held),
        hold_ends_at_unix_ms: course.hold_ends_at.map(UnixMillis::millis),
        replay: course.replay.as_deref().map(<[u8]>::to_vec),
        sealed: course.sealed.as_deref().map(<[u8]>::to_vec),
        attempts: course.attempts,
        warned_at_unix_ms: course.warned_at.map(UnixMillis::millis),
    }
}

fn read_course(course: &disk::Course) -> Result<Course, DecodeError> {
    let at = |millis: Option<u64>, field| millis.map(|millis| time(millis, field)).transpose();
    Ok(Course {
        by_policy: course.by_policy,
        phase: parsed(u8::try_from(course.phase), "course.phase")?,
        terms: read_terms(required(course.terms.as_ref(), "course.terms")?)?,
        delivery: course.delivery.as_ref().map(read_delivery).transpose()?,
        starts_at: at(course.starts_at_unix_ms, "course.starts_at")?,
        activate_at: at(course.activate_at_unix_ms, "course.activate_at")?,
        activated_at: at(course.activated_at_unix_ms, "course.activated_at")?,
        delivered_at: at(course.delivered_at_unix_ms, "course.delivered_at")?,
        verified_at: at(course.verified_at_unix_ms, "course.verified_at")?,
        overlap_began_at: at(course.overlap_began_at_unix_ms, "course.overlap_began_at")?,
        hold: course.hold.as_ref().map(read_held).transpose()?,
        hold_ends_at: at(course.hold_ends_at_unix_ms, "course.hold_ends_at")?,
        replay: course.replay.as_deref().map(Into::into),
        sealed: course.sealed.as_deref().map(Into::into),
        attempts: course.attempts,
        warned_at: at(course.warned_at_unix_ms, "course.warned_at")?,
    })
}

fn write_held(held: &Held) -> disk::Held {
    disk::Held {
        from: disk::RotationState::from(held.from).into(),
        at_unix_ms: held.at.millis(),
        cause: disk::HoldCause::from(held.cause).into(),
        text: held.text.to_string(),
    }
}

fn read_held(held: &disk::Held) -> Result<Held, DecodeError> {
    Ok(Held {
        from: parsed(words::disk_rotation_state(held.from), "held.from")?,
        at: time(held.at_unix_ms, "held.at")?,
        cause: parsed(words::disk_hold_cause(held.cause), "held.cause")?,
        text: parsed(ReasonText::parse(&held.text), "held.text")?,
    })
}

/// The row of the rotation claim.
#[must_use]
pub fn write_claim(row: &RotationClaim) -> disk::RotationClaimRow {
    disk::RotationClaimRow { holder: row.holder.to_vec(), fence: row.fence, ends_at_unix_ms: row.ends_at.millis() }
}

/// The rotation claim from its row.
///
/// # Errors
/// [`DecodeError`].
pub fn read_claim(row: &disk::RotationClaimRow) -> Result<RotationClaim, DecodeError> {
    Ok(RotationClaim {
        holder: fixed(&row.holder, "rotation_claim.holder")?,
        fence: row.fence,
        ends_at: time(row.ends_at_unix_ms, "rotation_claim.ends_at")?,
    })
}
