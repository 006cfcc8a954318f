//! What commands on rotations have in common.

use super::revoke_key::bring_forward;
use super::subject::{Subject, said};
use super::transaction::Transaction;
use crate::event::Action;
use crate::key::{Change, Key, Revocation, Version, VersionDetails, Versions};
use crate::rotation::Rotation;
use crate::row::{Row, RowId};
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    Quota, ReasonText, Refusal, ResourceKind, RevocationReason, RotationId, RotationName, RotationState, UnixMillis,
    VersionId,
};

/// Versions of one key, dead ones included. The row of a key is read and written whole.
const VERSIONS_PER_KEY_MAX: usize = 16;

/// Rotations of one key that have ended and are kept.
const ENDED_ROTATIONS_MAX: usize = 16;

/// The level from which a version that waited says since when it is accepted.
const ACTIVATION_LEVEL: u32 = 5;

/// What else an auditor wants to know of a step.
pub(super) type Facts = Vec<(&'static str, String)>;

/// The rotation with this name.
pub(super) fn find(state: &State, name: &RotationName) -> Result<Rotation, Refusal> {
    let not_found = || Refusal::NotFound { kind: ResourceKind::Rotation, name: name.to_string() };
    state.rotation(name).map(|rotation| (**rotation).clone()).ok_or_else(not_found)
}

/// The rotation in progress of a key, as it is written down.
pub(super) fn in_progress(state: &State, key: &Key) -> Option<Rotation> {
    state.rotation_at(key.keyspace, key.id, key.rotation()?).map(|rotation| (**rotation).clone())
}

pub(super) fn name_of(subject: &Subject, rotation: RotationId) -> String {
    RotationName { key: subject.name.clone(), rotation }.to_string()
}

/// The refusal of a step that the rotation is not there for.
pub(super) fn not_in(subject: &Subject, rotation: &Rotation, now: UnixMillis, expected: &'static str) -> Refusal {
    Refusal::RotationNotIn { rotation: name_of(subject, rotation.id), state: rotation.state_at(now), expected }
}

/// The version that is accepted with no end of its own, if there is one. Of the two that a rotation may have before its
/// overlap it is the old one.
pub(super) fn active(key: &Key, now: UnixMillis) -> Option<VersionId> {
    key.active_version(now).map(|version| version.id)
}

pub(super) fn is_revoked(version: &Version, now: UnixMillis) -> bool {
    version.revocation().is_some_and(|revocation| revocation.effective_at <= now)
}

/// Whether it is, or may still become, accepted.
pub(super) fn lives(version: &Version, now: UnixMillis) -> bool {
    !is_revoked(version, now) && version.ends_at().is_none_or(|end| now < end)
}

pub(super) fn change_version(key: &mut Key, id: VersionId, change: impl FnOnce(&mut VersionDetails)) {
    if let Some(version) = key.versions.iter_mut().find(|version| version.id == id) {
        version.details.change(change);
    }
}

/// Lets a version that waited be accepted from now on: its age counts from here.
pub(super) fn accept(transaction: &Transaction<'_>, key: &mut Key, id: VersionId) {
    let now = transaction.now();
    let is_told = transaction.progress().feature_level >= ACTIVATION_LEVEL;
    let made = key.version(id).map(|version| version.created_at);
    change_version(key, id, |details| {
        details.pending = false;
        details.activated_at = (is_told && made != Some(now)).then_some(now);
    });
}

/// The end of an overlap: never later than the end of the key, nor than that of the version, whatever ends them.
pub(super) fn earliest_end(key: &Key, version: VersionId, time: UnixMillis) -> UnixMillis {
    let revoked_at = key.revocation().map(|revocation| revocation.effective_at);
    let of_version = key.version(version).and_then(Version::expires_at);
    [key.expires_at, revoked_at, of_version].into_iter().flatten().fold(time, Ord::min)
}

/// Puts one more version into a key. Where that is one too many the oldest dead one leaves.
pub(super) fn add_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    version: Version,
) -> Result<(), Refusal> {
    let now = transaction.now();
    let mut versions = subject.key.versions.to_vec();
    if versions.len() >= VERSIONS_PER_KEY_MAX {
        let Some(oldest) = versions.iter().position(|version| !lives(version, now)) else {
            let limit = VERSIONS_PER_KEY_MAX as u64;
            return Err(Refusal::QuotaExceeded { quota: Quota::VersionsOfKey, limit });
        };
        let removed = format!("{}/versions/{}", subject.name, versions.remove(oldest).id);
        subject.tell_of(transaction, Action::VersionRemoved, removed, None, Vec::new());
    }
    versions.push(version);
    subject.key.versions = Versions::of(versions).expect("one was pushed");
    Ok(())
}

/// Revokes a version at once, where it is not revoked by now.
pub(super) fn revoke_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    version: VersionId,
    reason: RevocationReason,
    text: &ReasonText,
) {
    let now = transaction.now();
    let revocation = Revocation { effective_at: now, asked_at: now, reason, text: text.clone() };
    let mut changed = false;
    change_version(&mut subject.key, version, |details| {
        changed = bring_forward(&mut details.revocation, &revocation);
    });
    if changed {
        let facts = Vec::from([("effective_at_ms", now.millis().to_string())]);
        let version = format!("{}/versions/{version}", subject.name);
        subject.tell_of(transaction, Action::VersionRevoked, version, Some((reason, text.clone())), facts);
    }
}

/// Writes down that it changed.
pub(super) fn touch(transaction: &Transaction<'_>, rotation: &mut Rotation) {
    rotation.changed = Change { revision: transaction.revision(), at: transaction.now() };
}

/// Puts a rotation that goes on.
pub(super) fn put(transaction: &mut Transaction<'_>, subject: &mut Subject, rotation: Rotation) -> Arc<Rotation> {
    let rotation = Arc::new(rotation);
    let id = (!rotation.state.is_final()).then_some(rotation.id);
    subject.key.details.change(|details| details.rotation = id);
    transaction.put(Row::Rotation(rotation.clone()));
    if id.is_none() {
        forget_oldest(transaction, subject);
    }
    rotation
}

/// Tells of a step, and puts the rotation, which goes on.
pub(super) fn step(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    action: Action,
    facts: Facts,
) -> Arc<Rotation> {
    touch(transaction, &mut rotation);
    tell(transaction, subject, action, &rotation, facts);
    put(transaction, subject, rotation)
}

/// Ends a rotation.
pub(super) fn end(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    state: RotationState,
    text: &ReasonText,
    facts: Facts,
) -> Arc<Rotation> {
    let now = transaction.now();
    rotation.state = state;
    // What the clock completed was over then, whenever it is written down.
    let completed_at = rotation.overlap_ends_at.filter(|_| state == RotationState::Completed);
    rotation.ended_at = Some(completed_at.unwrap_or(now));
    rotation.text = text.clone();
    if let Some(course) = &mut rotation.course {
        (course.hold, course.replay) = (None, None);
        // What was completed may not have been fetched yet, and the key has no other secret.
        course.sealed = course.sealed.take().filter(|_| state == RotationState::Completed);
    }
    if state == RotationState::Completed {
        forget_sealed(transaction, subject, rotation.id);
    }
    let action = match state {
        RotationState::RolledBack => Action::RotationRolledBack,
        RotationState::Cancelled => Action::RotationCancelled,
        RotationState::Failed => Action::RotationFailed,
        _ => Action::RotationCompleted,
    };
    step(transaction, subject, rotation, action, facts)
}

/// Completes the rotation in progress: the old version is accepted no longer than until now.
pub(super) fn complete(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    text: &ReasonText,
    facts: Facts,
) -> Arc<Rotation> {
    let now = transaction.now();
    let end_of_overlap = rotation.clock_end().map_or(now, |end| end.min(now));
    rotation.overlap_ends_at = Some(end_of_overlap);
    if let Some(old) = rotation.old {
        change_version(&mut subject.key, old, |details| {
            let retires_at = details.retires_at.map_or(end_of_overlap, |time| time.min(end_of_overlap));
            details.retires_at = Some(retires_at);
        });
    }
    end(transaction, subject, rotation, RotationState::Completed, text, facts)
}

/// Gives up the rotation in progress, and its new version with it, which is not accepted yet; both versions of an overlap
/// stay what they are.
pub(super) fn cancel(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Arc<Rotation> {
    if let Some(new) = rotation.new.filter(|_| !rotation.overlaps()) {
        revoke_version(transaction, subject, new, RevocationReason::Superseded, text);
    }
    end(transaction, subject, rotation, RotationState::Cancelled, text, Vec::new())
}

/// A key that is revoked takes its rotation in progress with it. A new version that is accepted already lives as long as
/// the key does: there may be a while left for both.
pub(super) fn cancel_with_key(transaction: &mut Transaction<'_>, subject: &mut Subject, text: &ReasonText) {
    settle(transaction, subject);
    let Some(rotation) = in_progress(transaction.state(), &subject.key) else { return };
    if rotation.new.and_then(|new| subject.key.version(new)).is_some_and(Version::is_pending) {
        cancel(transaction, subject, rotation, text);
    } else {
        // Of two that are accepted one has an end: here it is that of the key.
        if let Some(old) = rotation.old.filter(|_| rotation.has_two_active()) {
            let ends_at = earliest_end(&subject.key, old, UnixMillis::LAST);
            change_version(&mut subject.key, old, |details| details.retires_at = Some(ends_at));
        }
        end(transaction, subject, rotation, RotationState::Cancelled, text, Vec::new());
    }
}

/// A version that is revoked at once takes its rotation with it: without a new version there is nothing to begin, and
/// without the old one nothing to overlap with. One whose new secret is still on its way to its consumers goes on until
/// they have it. A rotation whose new version died in the overlap can still be rolled back.
pub(super) fn end_with_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    version: VersionId,
    text: &ReasonText,
) {
    let Some(rotation) = in_progress(transaction.state(), &subject.key) else { return };
    let now = transaction.now();
    if !subject.key.version(version).is_some_and(|version| is_revoked(version, now)) {
        return;
    }
    let waits = |new: VersionId| subject.key.version(new).is_some_and(Version::is_pending);
    if rotation.new == Some(version) && !rotation.overlaps() {
        end(transaction, subject, rotation, RotationState::Cancelled, text, Vec::new());
    } else if rotation.old == Some(version) && rotation.new.is_some_and(|new| !waits(new)) && rotation.is_in_place() {
        complete(transaction, subject, rotation, text, Vec::new());
    }
}

/// Writes down that an overlap is over, where it is.
pub(super) fn settle(transaction: &mut Transaction<'_>, subject: &mut Subject) {
    let Some(rotation) = in_progress(transaction.state(), &subject.key) else { return };
    if rotation.state_at(transaction.now()) == RotationState::Completed {
        // Nobody asked for it: what was said last still stands.
        let text = rotation.text.clone();
        complete(transaction, subject, rotation, &text, Vec::new());
    }
}

pub(super) fn tell(
    transaction: &mut Transaction<'_>,
    subject: &Subject,
    action: Action,
    rotation: &Rotation,
    more: Facts,
) {
    let mut facts = Vec::new();
    facts.extend(rotation.new.map(|new| ("new_version", new.to_string())));
    facts.extend(rotation.old.map(|old| ("old_version", old.to_string())));
    facts.extend(rotation.overlap_ends_at.map(|end| ("overlap_ends_at_ms", end.millis().to_string())));
    facts.extend(said(&rotation.text));
    facts.extend(more);
    facts.sort_by_key(|(name, _)| *name);
    subject.tell_of(transaction, action, name_of(subject, rotation.id), None, facts);
}

/// The text that an earlier rotation sealed is that of a version whose place another has taken.
fn forget_sealed(transaction: &mut Transaction<'_>, subject: &Subject, but: RotationId) {
    let all = transaction.state().rotations_of(subject.key.keyspace, subject.key.id);
    let keeps = |rotation: &&Arc<Rotation>| {
        rotation.id != but && rotation.course.as_ref().is_some_and(|course| course.sealed.is_some())
    };
    // Its etag stays: nobody can change what has ended.
    for rotation in all.filter(keeps).cloned().collect::<Vec<_>>() {
        let mut rotation = (*rotation).clone();
        if let Some(course) = &mut rotation.course {
            course.sealed = None;
        }
        transaction.put(Row::Rotation(Arc::new(rotation)));
    }
}

/// Of too many rotations that have ended the oldest leaves; last the one with a sealed text that is still of use.
fn forget_oldest(transaction: &mut Transaction<'_>, subject: &Subject) {
    let (keyspace, key) = (subject.key.keyspace, subject.key.id);
    let ended = transaction.state().rotations_of(keyspace, key).filter(|rotation| rotation.state.is_final());
    let is_of_use = |rotation: &Rotation| rotation.course.as_ref().is_some_and(|course| course.sealed.is_some());
    let mut ended: Vec<_> = ended
        .map(|rotation| (is_of_use(rotation), rotation.created_at, rotation.changed.revision, rotation.id))
        .collect();
    if ended.len() > ENDED_ROTATIONS_MAX {
        ended.sort_unstable();
        transaction.delete(RowId::Rotation(keyspace, key, ended[0].3));
    }
}
