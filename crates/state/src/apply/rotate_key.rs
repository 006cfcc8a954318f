//! Giving a key a new version. Permissions, restrictions and etag are the key's and stay.

use super::create_keys::{need_data_key, need_ring_key, need_unused_version};
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use super::within;
use super::{Answer, course, emergency};
use crate::command::{NewCourse, NewVersion, PrepareStandby, RotateKey};
use crate::event::Action;
use crate::key::{Change, Version, VersionDetails};
use crate::records::RingPurpose;
use crate::rotation::{Course, Rotation};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    DurationMillis, OVERLAP_MAX, OverlapStart, ReasonText, Refusal, ResourceKind, RotationId, RotationState, VersionId,
};

pub(super) fn rotate_key(transaction: &mut Transaction<'_>, operation: &RotateKey) -> Result<Answer, Refusal> {
    let overlap = operation.course.as_ref().map_or(operation.overlap, |course| course.terms.overlap);
    need_overlap(overlap)?;
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    rotation::settle(transaction, &mut subject);
    if operation.emergency {
        let (rotation, made) = emergency::rotate(transaction, &mut subject, operation)?;
        return Ok(Answer::Rotation { rotation, key: subject.put(transaction), made, replay: None });
    }
    let standby = standby(transaction, &mut subject, &operation.text)?;
    let is_delivered = operation.course.as_ref().is_some_and(|course| course.delivery.is_some());
    if let Some(prepared) = standby.as_ref().filter(|_| is_delivered) {
        // Its text lies at whoever made it: the store would go on to show the version that this retires.
        return Err(Refusal::RotationInProgress { rotation: rotation::name_of(&subject, prepared.id) });
    }
    let old = rotation::active(&subject.key, now);
    let (mut rotation, made) = match standby {
        Some(prepared) => (Rotation { old, ..prepared }, None),
        None => {
            let id = add_version(transaction, &mut subject, &operation.new, operation.rotation, true)?;
            (new_rotation(transaction, &subject, operation.rotation, old, Some(id)), Some(id))
        }
    };
    rotation.text = operation.text.clone();
    rotation::touch(transaction, &mut rotation);
    let rotation = match &operation.course {
        None => begin(transaction, &mut subject, rotation, operation.overlap),
        Some(course) => set_out(transaction, &mut subject, rotation, (**course).clone(), operation.replay.clone()),
    };
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made, replay: None })
}

/// Both versions are accepted from now on, and the clock alone ends the old one.
fn begin(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    overlap: DurationMillis,
) -> Arc<Rotation> {
    let now = transaction.now();
    if let Some(new) = rotation.new {
        rotation::accept(transaction, &mut subject.key, new);
    }
    // The end of the key counts too: an overlap never lengthens a life.
    let ends_at = rotation.old.map_or(now, |old| rotation::earliest_end(&subject.key, old, now.plus(overlap)));
    if let Some(old) = rotation.old {
        rotation::change_version(&mut subject.key, old, |details| details.retires_at = Some(ends_at));
    }
    rotation.state = RotationState::Overlap;
    rotation.overlap = Some(overlap);
    rotation.overlap_ends_at = Some(ends_at);
    rotation::tell(transaction, subject, Action::RotationStarted, &rotation, Vec::new());
    match ends_at <= now {
        true => {
            let text = rotation.text.clone();
            rotation::complete(transaction, subject, rotation, &text, Vec::new())
        }
        false => rotation::put(transaction, subject, rotation),
    }
}

/// As far as it goes at once. Where the text is to be delivered, the driver goes on; else whoever asks has it, and only a
/// time, or the first use of it, may be waited for.
fn set_out(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    asked: NewCourse,
    replay: Option<Box<[u8]>>,
) -> Arc<Rotation> {
    let now = transaction.now();
    let NewCourse { terms, delivery, activate_at } = asked;
    let activate_at = activate_at.filter(|time| *time > now);
    let waits = delivery.is_some();
    let replay = replay.filter(|_| waits);
    let delivered_at = (!waits).then_some(now);
    rotation.course = Some(Box::new(Course { activate_at, replay, delivered_at, ..Course::new(terms, delivery) }));
    if waits {
        return rotation::step(transaction, subject, rotation, Action::RotationPrepared, Vec::new());
    }
    rotation.state = RotationState::Delivered;
    rotation::tell(transaction, subject, Action::RotationStarted, &rotation, Vec::new());
    if activate_at.is_none() {
        course::activate(transaction, subject, &mut rotation);
        if terms.overlap_start == OverlapStart::AtOnce {
            return course::begin_overlap(transaction, subject, rotation);
        }
    }
    rotation::put(transaction, subject, rotation)
}

pub(super) fn prepare_standby(
    transaction: &mut Transaction<'_>,
    operation: &PrepareStandby,
) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    rotation::settle(transaction, &mut subject);
    if let Some(prepared) = standby(transaction, &mut subject, &operation.text)? {
        return Err(Refusal::RotationInProgress { rotation: rotation::name_of(&subject, prepared.id) });
    }
    let old = rotation::active(&subject.key, now);
    let id = add_version(transaction, &mut subject, &operation.new, operation.rotation, true)?;
    let mut rotation = new_rotation(transaction, &subject, operation.rotation, old, Some(id));
    rotation.text = operation.text.clone();
    let rotation = rotation::step(transaction, &mut subject, rotation, Action::RotationPrepared, Vec::new());
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: Some(id), replay: None })
}

pub(super) fn need_overlap(asked: DurationMillis) -> Result<(), Refusal> {
    match asked > OVERLAP_MAX {
        true => Err(Refusal::LifetimeTooLong { asked, maximum: OVERLAP_MAX }),
        false => Ok(()),
    }
}

/// The rotation whose standby is ready, if there is one. One whose standby has died since is cancelled, and so is one
/// that is merely planned: neither is in the way of who asks now.
fn standby(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    text: &ReasonText,
) -> Result<Option<Rotation>, Refusal> {
    let Some(current) = rotation::in_progress(transaction.state(), &subject.key) else { return Ok(None) };
    let now = transaction.now();
    let lives = |version: &Version| rotation::lives(version, now);
    match current.effective_state() {
        RotationState::Planned => {}
        RotationState::Prepared if current.is_standby() => {
            if current.new.and_then(|new| subject.key.version(new)).is_some_and(lives) {
                return Ok(Some(current));
            }
        }
        _ => return Err(Refusal::RotationInProgress { rotation: rotation::name_of(subject, current.id) }),
    }
    rotation::cancel(transaction, subject, current, text);
    Ok(None)
}

/// Makes a version of a rotation that is not there yet.
pub(super) fn add_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    new: &NewVersion,
    rotation: RotationId,
    pending: bool,
) -> Result<VersionId, Refusal> {
    need_unused(transaction, subject, rotation)?;
    make_version(transaction, subject, new, pending)
}

pub(super) fn need_unused(
    transaction: &Transaction<'_>,
    subject: &Subject,
    rotation: RotationId,
) -> Result<(), Refusal> {
    if transaction.state().rotation_at(subject.key.keyspace, subject.key.id, rotation).is_some() {
        let name = rotation::name_of(subject, rotation);
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Rotation, name });
    }
    Ok(())
}

/// Makes a version. It lives no longer than the policy in force lets it, whatever becomes of its rotation.
pub(super) fn make_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    new: &NewVersion,
    pending: bool,
) -> Result<VersionId, Refusal> {
    let state = transaction.state();
    need_ring_key(state, new.pepper, RingPurpose::Pepper)?;
    need_data_key(state, &subject.keyspace, &new.inner)?;
    need_unused_version(state, &subject.name, new.id)?;
    let now = transaction.now();
    let policy = subject.key.rotation_policy().or(subject.keyspace.settings.rotation_policy.as_deref());
    let expires_at = policy.and_then(|policy| policy.maximum_lifetime).map(|lifetime| now.plus(lifetime));
    let before = subject.key.versions.len();
    let mut version = new.version(now);
    version.details.change(|details: &mut VersionDetails| {
        details.pending = pending;
        details.expires_at = expires_at;
    });
    rotation::add_version(transaction, subject, version)?;
    let more = subject.key.versions.len() - before;
    within::need_room(transaction.state(), &subject.keyspace, more as u64, 0)?;
    Ok(new.id)
}

pub(super) fn new_rotation(
    transaction: &Transaction<'_>,
    subject: &Subject,
    id: RotationId,
    old: Option<VersionId>,
    new: Option<VersionId>,
) -> Rotation {
    let now = transaction.now();
    Rotation {
        id,
        keyspace: subject.key.keyspace,
        key: subject.key.id,
        state: if new.is_some() { RotationState::Prepared } else { RotationState::Planned },
        old,
        new,
        overlap: None,
        overlap_ends_at: None,
        created_at: now,
        changed: Change { revision: transaction.revision(), at: now },
        ended_at: None,
        text: ReasonText::default(),
        course: None,
    }
}
