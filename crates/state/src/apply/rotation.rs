//! What commands on rotations have in common.

use super::revoke_key::bring_forward;
use super::subject::{Subject, said};
use super::transaction::Transaction;
use crate::event::Action;
use crate::key::{Change, Key, Revocation, Version, VersionDetails, Versions};
use crate::records::Rotation;
use crate::row::{Row, RowId};
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    Quota, ReasonText, Refusal, RevocationReason, RotationId, RotationName, RotationState, UnixMillis, VersionId,
};

/// Versions of one key, dead ones included. The row of a key is read and written whole.
const VERSIONS_PER_KEY_MAX: usize = 16;

/// Rotations of one key that have ended and are kept.
const ENDED_ROTATIONS_MAX: usize = 16;

impl Rotation {
    /// Changes whenever the rotation does.
    #[must_use]
    pub fn etag(&self) -> String {
        self.changed.etag()
    }

    /// How far it is at `now`: an overlap that is over by the clock is over, whether or not that is written down yet.
    #[must_use]
    pub fn state_at(&self, now: UnixMillis) -> RotationState {
        match self.overlap_ends_at {
            Some(end) if self.state == RotationState::Overlap && end <= now => RotationState::Completed,
            Some(_) | None => self.state,
        }
    }
}

/// The rotation in progress of a key, as it is written down.
pub(super) fn in_progress(state: &State, key: &Key) -> Option<Rotation> {
    state.rotation_at(key.keyspace, key.id, key.rotation()?).map(|rotation| (**rotation).clone())
}

pub(super) fn name_of(subject: &Subject, rotation: RotationId) -> String {
    RotationName { key: subject.name.clone(), rotation }.to_string()
}

/// The version that is accepted with no end of its own, if there is one. There is never a second.
pub(super) fn active(key: &Key, now: UnixMillis) -> Option<VersionId> {
    let is_active =
        |version: &&Version| !version.is_pending() && version.retires_at().is_none() && !is_revoked(version, now);
    key.versions.iter().find(is_active).map(|version| version.id)
}

pub(super) fn is_revoked(version: &Version, now: UnixMillis) -> bool {
    version.revocation().is_some_and(|revocation| revocation.effective_at <= now)
}

pub(super) fn change_version(key: &mut Key, id: VersionId, change: impl FnOnce(&mut VersionDetails)) {
    if let Some(version) = key.versions.iter_mut().find(|version| version.id == id) {
        version.details.change(change);
    }
}

/// The end of an overlap: never later than the end of the key, whatever ends it.
pub(super) fn earliest_end(key: &Key, time: UnixMillis) -> UnixMillis {
    let revoked_at = key.revocation().map(|revocation| revocation.effective_at);
    [key.expires_at, revoked_at].into_iter().flatten().fold(time, Ord::min)
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
        let is_dead =
            |version: &Version| is_revoked(version, now) || version.retires_at().is_some_and(|end| end <= now);
        let Some(oldest) = versions.iter().position(is_dead) else {
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

/// Ends a rotation.
pub(super) fn end(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    state: RotationState,
    text: &ReasonText,
) -> Arc<Rotation> {
    let now = transaction.now();
    rotation.state = state;
    // What the clock completed was over then, whenever it is written down.
    let completed_at = rotation.overlap_ends_at.filter(|_| state == RotationState::Completed);
    rotation.ended_at = Some(completed_at.unwrap_or(now));
    rotation.changed = Change { revision: transaction.revision(), at: now };
    rotation.text = text.clone();
    let action = match state {
        RotationState::RolledBack => Action::RotationRolledBack,
        RotationState::Cancelled => Action::RotationCancelled,
        _ => Action::RotationCompleted,
    };
    tell(transaction, subject, action, &rotation);
    put(transaction, subject, rotation)
}

/// Completes the rotation in progress: the old version is accepted no longer than until now.
pub(super) fn complete(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    text: &ReasonText,
) -> Arc<Rotation> {
    let end_of_overlap = rotation.overlap_ends_at.map_or(transaction.now(), |end| end.min(transaction.now()));
    rotation.overlap_ends_at = Some(end_of_overlap);
    if let Some(old) = rotation.old {
        change_version(&mut subject.key, old, |details| {
            let retires_at = details.retires_at.map_or(end_of_overlap, |time| time.min(end_of_overlap));
            details.retires_at = Some(retires_at);
        });
    }
    end(transaction, subject, rotation, RotationState::Completed, text)
}

/// Gives up the rotation in progress: a standby is revoked, and both versions of an overlap stay what they are.
pub(super) fn cancel(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Arc<Rotation> {
    if rotation.state.has_standby() {
        revoke_standby(transaction, subject, rotation.new, text);
    }
    end(transaction, subject, rotation, RotationState::Cancelled, text)
}

/// A key that is revoked takes its rotation in progress with it.
pub(super) fn cancel_with_key(transaction: &mut Transaction<'_>, subject: &mut Subject, text: &ReasonText) {
    if let Some(rotation) = in_progress(transaction.state(), &subject.key) {
        settle_or(transaction, subject, rotation, |transaction, subject, rotation| {
            cancel(transaction, subject, rotation, text);
        });
    }
}

/// A version that is revoked at once takes its rotation with it: without a standby there is nothing to begin, and
/// without the old version nothing to overlap with. A rotation whose new version died can still be rolled back.
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
    if rotation.state.has_standby() && rotation.new == version {
        end(transaction, subject, rotation, RotationState::Cancelled, text);
    } else if rotation.state.overlaps() && rotation.old == Some(version) {
        complete(transaction, subject, rotation, text);
    }
}

/// Writes down that an overlap is over, where it is.
pub(super) fn settle(transaction: &mut Transaction<'_>, subject: &mut Subject) {
    if let Some(rotation) = in_progress(transaction.state(), &subject.key) {
        settle_or(transaction, subject, rotation, |_, _, _| ());
    }
}

fn settle_or(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    otherwise: impl FnOnce(&mut Transaction<'_>, &mut Subject, Rotation),
) {
    if rotation.state != RotationState::Completed && rotation.state_at(transaction.now()) == RotationState::Completed {
        // Nobody asked for it: what was said last still stands.
        let text = rotation.text.clone();
        complete(transaction, subject, rotation, &text);
    } else {
        otherwise(transaction, subject, rotation);
    }
}

pub(super) fn tell(transaction: &mut Transaction<'_>, subject: &Subject, action: Action, rotation: &Rotation) {
    let mut facts = Vec::from([("new_version", rotation.new.to_string())]);
    facts.extend(rotation.old.map(|old| ("old_version", old.to_string())));
    facts.extend(rotation.overlap_ends_at.map(|end| ("overlap_ends_at_ms", end.millis().to_string())));
    facts.extend(said(&rotation.text));
    subject.tell_of(transaction, action, name_of(subject, rotation.id), None, facts);
}

fn revoke_standby(transaction: &mut Transaction<'_>, subject: &mut Subject, standby: VersionId, text: &ReasonText) {
    let now = transaction.now();
    let reason = RevocationReason::Superseded;
    let revocation = Revocation { effective_at: now, asked_at: now, reason, text: text.clone() };
    let mut changed = false;
    change_version(&mut subject.key, standby, |details| {
        changed = bring_forward(&mut details.revocation, &revocation);
    });
    if changed {
        let facts = Vec::from([("effective_at_ms", now.millis().to_string())]);
        let version = format!("{}/versions/{standby}", subject.name);
        subject.tell_of(transaction, Action::VersionRevoked, version, Some((reason, text.clone())), facts);
    }
}

/// Of too many rotations that have ended the oldest leaves.
fn forget_oldest(transaction: &mut Transaction<'_>, subject: &Subject) {
    let (keyspace, key) = (subject.key.keyspace, subject.key.id);
    let ended = transaction.state().rotations_of(keyspace, key).filter(|rotation| rotation.state.is_final());
    let mut ended: Vec<_> =
        ended.map(|rotation| (rotation.created_at, rotation.changed.revision, rotation.id)).collect();
    if ended.len() > ENDED_ROTATIONS_MAX {
        ended.sort_unstable();
        transaction.delete(RowId::Rotation(keyspace, key, ended[0].2));
    }
}
