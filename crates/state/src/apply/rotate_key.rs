//! Giving a key a new version. Permissions, restrictions and etag are the key's and stay.

use super::Answer;
use super::create_keys::{need_ring_key, need_unused_version};
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use super::within;
use crate::command::{NewVersion, OVERLAP_MAX, PrepareStandby, RotateKey};
use crate::event::Action;
use crate::key::{Change, Version, VersionDetails};
use crate::records::{RingPurpose, Rotation};
use latchkey_domain::{
    DurationMillis, ReasonText, Refusal, ResourceKind, RotationId, RotationState, UnixMillis, VersionId,
};

pub(super) fn rotate_key(transaction: &mut Transaction<'_>, operation: &RotateKey) -> Result<Answer, Refusal> {
    need_overlap(operation.overlap)?;
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    let standby = standby(transaction, &mut subject, &operation.text)?;
    let old = rotation::active(&subject.key, now);
    let (mut rotation, made) = match standby {
        Some(prepared) => {
            rotation::change_version(&mut subject.key, prepared.new, |details| details.pending = false);
            (Rotation { old, ..prepared }, None)
        }
        None => {
            let id = add(transaction, &mut subject, &operation.new, operation.rotation, false)?;
            (new_rotation(transaction, &subject, operation.rotation, old, id), Some(id))
        }
    };
    // The end of the key counts too: an overlap never lengthens a life.
    let ends_at = match old {
        Some(_) => rotation::earliest_end(&subject.key, now.plus(operation.overlap)),
        None => now,
    };
    if let Some(old) = old {
        rotation::change_version(&mut subject.key, old, |details| details.retires_at = Some(ends_at));
    }
    rotation.state = RotationState::Overlap;
    rotation.overlap = Some(operation.overlap);
    rotation.overlap_ends_at = Some(ends_at);
    rotation.changed = Change { revision: transaction.revision(), at: now };
    rotation.text = operation.text.clone();
    rotation::tell(transaction, &subject, Action::RotationStarted, &rotation);
    let rotation = match ends_at <= now {
        true => rotation::complete(transaction, &mut subject, rotation, &operation.text),
        false => rotation::put(transaction, &mut subject, rotation),
    };
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made, replay: None })
}

pub(super) fn prepare_standby(
    transaction: &mut Transaction<'_>,
    operation: &PrepareStandby,
) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    if let Some(prepared) = standby(transaction, &mut subject, &operation.text)? {
        return Err(Refusal::RotationInProgress { rotation: rotation::name_of(&subject, prepared.id) });
    }
    let old = rotation::active(&subject.key, now);
    let id = add(transaction, &mut subject, &operation.new, operation.rotation, true)?;
    let mut rotation = new_rotation(transaction, &subject, operation.rotation, old, id);
    rotation.text = operation.text.clone();
    rotation::tell(transaction, &subject, Action::RotationPrepared, &rotation);
    let rotation = rotation::put(transaction, &mut subject, rotation);
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: Some(id), replay: None })
}

pub(super) fn need_overlap(asked: DurationMillis) -> Result<(), Refusal> {
    match asked > OVERLAP_MAX {
        true => Err(Refusal::LifetimeTooLong { asked, maximum: OVERLAP_MAX }),
        false => Ok(()),
    }
}

/// The rotation whose standby is ready, if there is one. One whose overlap is over is completed, and one whose standby
/// has died since is cancelled: neither is in the way.
fn standby(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    text: &ReasonText,
) -> Result<Option<Rotation>, Refusal> {
    rotation::settle(transaction, subject);
    let Some(current) = rotation::in_progress(transaction.state(), &subject.key) else { return Ok(None) };
    if !current.state.has_standby() {
        return Err(Refusal::RotationInProgress { rotation: rotation::name_of(subject, current.id) });
    }
    let now = transaction.now();
    let lives = |version: &Version| !rotation::is_revoked(version, now);
    if subject.key.version(current.new).is_some_and(lives) {
        return Ok(Some(current));
    }
    rotation::cancel(transaction, subject, current, text);
    Ok(None)
}

fn add(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    new: &NewVersion,
    rotation: RotationId,
    pending: bool,
) -> Result<VersionId, Refusal> {
    let state = transaction.state();
    need_ring_key(state, new.pepper, RingPurpose::Pepper)?;
    need_unused_version(state, &subject.name, new.id)?;
    if state.rotation_at(subject.key.keyspace, subject.key.id, rotation).is_some() {
        let name = rotation::name_of(subject, rotation);
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Rotation, name });
    }
    let before = subject.key.versions.len();
    let mut version = new.version(transaction.now());
    version.details.change(|details: &mut VersionDetails| details.pending = pending);
    rotation::add_version(transaction, subject, version)?;
    let more = subject.key.versions.len() - before;
    within::need_room(transaction.state(), &subject.keyspace, more as u64, 0)?;
    Ok(new.id)
}

fn new_rotation(
    transaction: &Transaction<'_>,
    subject: &Subject,
    id: RotationId,
    old: Option<VersionId>,
    new: VersionId,
) -> Rotation {
    let now: UnixMillis = transaction.now();
    Rotation {
        id,
        keyspace: subject.key.keyspace,
        key: subject.key.id,
        state: RotationState::Prepared,
        old,
        new,
        overlap: None,
        overlap_ends_at: None,
        created_at: now,
        changed: Change { revision: transaction.revision(), at: now },
        ended_at: None,
        text: ReasonText::default(),
    }
}
