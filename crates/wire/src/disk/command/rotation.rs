//! Commands on rotations.

use super::{read_etag, read_text, write_etag};
use crate::disk::parts::read_digest;
use crate::disk::policy::{read_delivery, read_terms, write_delivery, write_terms};
use crate::disk::{DecodeError, fixed, parsed, required, rotation_id, span, time, version_id};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{DurationMillis, KeyName, RingNumber, RotationName, UnixMillis};
use latchkey_state::{NewCourse, NewVersion, PrepareStandby, RotateKey, RotationStep, StepRotation};

pub(super) fn write_rotate(operation: &RotateKey) -> disk::RotateKey {
    disk::RotateKey {
        key: operation.key.to_string(),
        rotation_id: operation.rotation.bytes().to_vec(),
        new_version: Some(write_new_version(&operation.new)),
        overlap_ms: operation.overlap.millis(),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
        replay: operation.replay.as_deref().map(<[u8]>::to_vec),
        emergency: operation.emergency,
        course: operation.course.as_deref().map(write_course),
    }
}

pub(super) fn read_rotate(operation: &disk::RotateKey) -> Result<RotateKey, DecodeError> {
    Ok(RotateKey {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        rotation: rotation_id(&operation.rotation_id, "rotation_id")?,
        new: read_new_version(operation.new_version.as_ref())?,
        overlap: span(operation.overlap_ms, "overlap")?,
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
        replay: operation.replay.as_deref().map(Into::into),
        emergency: operation.emergency,
        course: operation.course.as_ref().map(read_course).transpose()?.map(Box::new),
    })
}

fn write_course(course: &NewCourse) -> disk::NewCourse {
    disk::NewCourse {
        terms: Some(write_terms(&course.terms)),
        delivery: course.delivery.as_ref().map(write_delivery),
        activate_at_unix_ms: course.activate_at.map(UnixMillis::millis),
    }
}

fn read_course(course: &disk::NewCourse) -> Result<NewCourse, DecodeError> {
    Ok(NewCourse {
        terms: read_terms(required(course.terms.as_ref(), "course.terms")?)?,
        delivery: course.delivery.as_ref().map(read_delivery).transpose()?,
        activate_at: course.activate_at_unix_ms.map(|millis| time(millis, "course.activate_at")).transpose()?,
    })
}

pub(super) fn write_standby(operation: &PrepareStandby) -> disk::PrepareStandby {
    disk::PrepareStandby {
        key: operation.key.to_string(),
        rotation_id: operation.rotation.bytes().to_vec(),
        new_version: Some(write_new_version(&operation.new)),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
        replay: operation.replay.as_deref().map(<[u8]>::to_vec),
    }
}

pub(super) fn read_standby(operation: &disk::PrepareStandby) -> Result<PrepareStandby, DecodeError> {
    Ok(PrepareStandby {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        rotation: rotation_id(&operation.rotation_id, "rotation_id")?,
        new: read_new_version(operation.new_version.as_ref())?,
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
        replay: operation.replay.as_deref().map(Into::into),
    })
}

pub(super) fn write_step(operation: &StepRotation) -> disk::StepRotation {
    use disk::step_rotation::{Plain, RollBack, Step};
    let step = match operation.step {
        RotationStep::Complete => Step::Complete(Plain {}),
        RotationStep::Cancel => Step::Cancel(Plain {}),
        RotationStep::Hold => Step::Hold(Plain {}),
        RotationStep::Resume => Step::Resume(Plain {}),
        RotationStep::RollBack { overlap } => {
            Step::RollBack(RollBack { overlap_ms: overlap.map(DurationMillis::millis) })
        }
    };
    disk::StepRotation {
        rotation: operation.rotation.to_string(),
        step: Some(step),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_step(operation: &disk::StepRotation) -> Result<StepRotation, DecodeError> {
    use disk::step_rotation::{Plain, RollBack, Step};
    let step = match required(operation.step, "step")? {
        Step::Complete(Plain {}) => RotationStep::Complete,
        Step::Cancel(Plain {}) => RotationStep::Cancel,
        Step::Hold(Plain {}) => RotationStep::Hold,
        Step::Resume(Plain {}) => RotationStep::Resume,
        Step::RollBack(RollBack { overlap_ms }) => {
            RotationStep::RollBack { overlap: overlap_ms.map(|millis| span(millis, "overlap")).transpose()? }
        }
    };
    Ok(StepRotation {
        rotation: parsed(RotationName::parse(&operation.rotation), "rotation")?,
        step,
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_new_version(version: &NewVersion) -> disk::NewVersion {
    disk::NewVersion {
        id: version.id.bytes().to_vec(),
        pepper: version.pepper.0,
        digest: version.digest.as_bytes().to_vec(),
        inner: version.inner.to_vec(),
    }
}

pub(super) fn read_new_version(version: Option<&disk::NewVersion>) -> Result<NewVersion, DecodeError> {
    let version = required(version, "new_version")?;
    Ok(NewVersion {
        id: version_id(&version.id, "new_version.id")?,
        pepper: RingNumber(version.pepper),
        digest: read_digest(&version.digest)?,
        inner: fixed(&version.inner, "new_version.inner")?,
    })
}
