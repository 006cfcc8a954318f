//! What may happen to the key of the tests, and the command that makes it happen.

use super::{CHILD, KEY, PARENT, SHOP};
use crate::support::{
    HOUR, by_replica, by_root, cut, key_id, key_name, keyspace, later, owner, permissions, readings, revoke, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, PermissionSet, ReasonText, RevocationReason, RotationId, RotationName, UnixMillis,
};
use latchkey_state::{
    Command, CutScope, End, ExpiryChange, KeyChanges, MarkRevoked, NewVersion, Operation, PrepareStandby, RestrictKey,
    ResumeKey, RevokeKey, RevokeKeys, RevokedScope, RotateKey, RotationStep, StepRotation, SuspendKey, UpdateKey,
    bootstrap_ring,
};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Rotate with an overlap of so many milliseconds.
    Rotate(u64),
    Prepare,
    /// Revoke the key, with so many milliseconds of grace.
    Revoke(u64),
    /// Revoke the key by name, in bulk.
    RevokeByName,
    /// Revoke the oldest version.
    RevokeOldest,
    /// Revoke the newest version.
    RevokeNewest,
    /// Revoke all keys of the owner.
    Cut,
    /// Mark what the cut reached.
    Mark,
    Suspend,
    Resume,
    /// Let it do nothing for an hour.
    Restrict,
    RollBack,
    Cancel,
    Complete,
    /// Let it end three hours after it was made.
    Shorten,
    /// Let it end as late as it may.
    Lengthen,
    /// So many milliseconds pass.
    Tick(u64),
    Settle,
    /// The process ends, and the state comes back from its rows.
    Restart,
    SuspendParent,
    ResumeParent,
    RevokeParent,
}

/// A history of every length up to four is made of these.
pub(super) const FEW: [Event; 14] = [
    Event::Rotate(HOUR),
    Event::Rotate(0),
    Event::Prepare,
    Event::Revoke(0),
    Event::RevokeOldest,
    Event::RevokeNewest,
    Event::Cut,
    Event::Suspend,
    Event::Resume,
    Event::RollBack,
    Event::Cancel,
    Event::Complete,
    Event::Tick(HOUR),
    Event::Settle,
];

/// Long histories are made of these, those that end a life being rarer.
pub(super) const MANY: [(u32, Event); 28] = [
    (8, Event::Rotate(HOUR)),
    (4, Event::Rotate(0)),
    (4, Event::Rotate(24 * HOUR)),
    (8, Event::Prepare),
    (1, Event::Revoke(0)),
    (2, Event::Revoke(2 * HOUR)),
    (1, Event::RevokeByName),
    (3, Event::RevokeOldest),
    (3, Event::RevokeNewest),
    (1, Event::Cut),
    (2, Event::Mark),
    (3, Event::Suspend),
    (3, Event::Resume),
    (3, Event::Restrict),
    (8, Event::RollBack),
    (6, Event::Cancel),
    (6, Event::Complete),
    (1, Event::Shorten),
    (2, Event::Lengthen),
    (3, Event::Tick(1)),
    (6, Event::Tick(HOUR - 1)),
    (6, Event::Tick(HOUR)),
    (2, Event::Tick(3 * HOUR)),
    (4, Event::Settle),
    (2, Event::Restart),
    (1, Event::SuspendParent),
    (2, Event::ResumeParent),
    (1, Event::RevokeParent),
];

/// What a command needs to know of the key as it is.
pub(super) struct Facts {
    /// The replicated clock.
    pub(super) now: UnixMillis,
    /// A number that no version and no rotation has.
    pub(super) fresh: u8,
    /// The last rotation, or one that never was.
    pub(super) rotation: u8,
    /// The oldest version and the newest.
    pub(super) ends: (u8, u8),
    /// When the key was made.
    pub(super) made_at: UnixMillis,
    /// The number of the owner.
    pub(super) shop: latchkey_domain::OwnerNumber,
    /// The number of the keyspace.
    pub(super) keyspace: latchkey_domain::KeyspaceNumber,
}

pub(super) fn rotation_id(number: u8) -> RotationId {
    RotationId::from_random([number; 12])
}

impl Event {
    /// The command; none where a process restarts.
    pub(super) fn command(self, facts: &Facts) -> Option<Command> {
        let (key, etag, text) = (key_name(KEY, CHILD), None, ReasonText::default());
        Some(match self {
            Self::Rotate(overlap) => by_root(Operation::RotateKey(Box::new(RotateKey {
                key,
                rotation: rotation_id(facts.fresh),
                new: new_version(facts.fresh),
                overlap: DurationMillis::new(overlap),
                text,
                etag,
                replay: None,
                emergency: false,
                course: None,
            }))),
            Self::Prepare => by_root(Operation::PrepareStandby(Box::new(PrepareStandby {
                key,
                rotation: rotation_id(facts.fresh),
                new: new_version(facts.fresh),
                text,
                etag,
                replay: None,
            }))),
            Self::Revoke(grace) => revoking(RevokeKey { grace: DurationMillis::new(grace), ..revoke(KEY, CHILD) }),
            Self::RevokeByName => by_root(Operation::RevokeKeys(RevokeKeys {
                keyspace: keyspace(KEY),
                keys: vec![key_id(CHILD), key_id(200)],
                reason: RevocationReason::Unused,
                text,
                operation: [6; 16],
            })),
            Self::RevokeOldest => revoking(RevokeKey { version: Some(version_id(facts.ends.0)), ..revoke(KEY, CHILD) }),
            Self::RevokeNewest => revoking(RevokeKey { version: Some(version_id(facts.ends.1)), ..revoke(KEY, CHILD) }),
            Self::Cut => by_root(cut(CutScope::Owner(owner(SHOP)))),
            Self::Mark => by_replica(Operation::MarkRevoked(MarkRevoked {
                scope: RevokedScope::Owner(facts.shop),
                keys: vec![(facts.keyspace, key_id(CHILD))],
                done: true,
            })),
            Self::Suspend => suspending(CHILD),
            Self::Resume => resuming(CHILD),
            Self::SuspendParent => suspending(PARENT),
            Self::ResumeParent => resuming(PARENT),
            Self::RevokeParent => revoking(revoke(KEY, PARENT)),
            Self::Restrict => by_root(Operation::RestrictKey(RestrictKey {
                key,
                permissions: Some(PermissionSet::default()),
                networks: Default::default(),
                end: End::After(DurationMillis::new(HOUR)),
                text,
                etag,
            })),
            Self::RollBack => stepping(RotationStep::RollBack { overlap: None }, facts),
            Self::Cancel => stepping(RotationStep::Cancel, facts),
            Self::Complete => stepping(RotationStep::Complete, facts),
            Self::Shorten => updating(ExpiryChange::At(later(facts.made_at, 3 * HOUR))),
            Self::Lengthen => updating(ExpiryChange::Latest),
            Self::Tick(millis) => by_replica(readings(&[later(facts.now, millis); 3])),
            Self::Settle => by_replica(Operation::Settle),
            Self::Restart => return None,
        })
    }

    /// Whether it is about secrets alone: what the key may do and its etag are none of its business.
    pub(super) const fn is_of_rotation(self) -> bool {
        matches!(self, Self::Rotate(_) | Self::Prepare | Self::RollBack | Self::Cancel | Self::Complete)
    }

    /// Whether the same again must change nothing.
    pub(super) const fn is_idempotent(self) -> bool {
        matches!(
            self,
            Self::Revoke(0)
                | Self::RevokeByName
                | Self::RevokeOldest
                | Self::RevokeNewest
                | Self::Mark
                | Self::Suspend
                | Self::Resume
                | Self::RollBack
                | Self::Cancel
                | Self::Complete
                | Self::Shorten
                | Self::Lengthen
                | Self::Settle
        )
    }
}

fn new_version(number: u8) -> NewVersion {
    NewVersion {
        id: version_id(number),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([number; 32]),
        inner: [number; 101],
    }
}

fn revoking(operation: RevokeKey) -> Command {
    by_root(Operation::RevokeKey(operation))
}

fn suspending(number: u8) -> Command {
    let (key, text) = (key_name(KEY, number), ReasonText::parse("under watch").unwrap());
    by_root(Operation::SuspendKey(SuspendKey { key, text, etag: None }))
}

fn resuming(number: u8) -> Command {
    let (key, text) = (key_name(KEY, number), ReasonText::default());
    by_root(Operation::ResumeKey(ResumeKey { key, text, etag: None }))
}

fn stepping(step: RotationStep, facts: &Facts) -> Command {
    let rotation = RotationName { key: key_name(KEY, CHILD), rotation: rotation_id(facts.rotation) };
    by_root(Operation::StepRotation(StepRotation { rotation, step, text: ReasonText::default(), etag: None }))
}

fn updating(expiry: ExpiryChange) -> Command {
    let changes =
        KeyChanges { expiry: Some(expiry), permissions: Some(permissions(&["orders:read"])), ..KeyChanges::default() };
    by_root(Operation::UpdateKey(Box::new(UpdateKey { key: key_name(KEY, CHILD), changes, etag: None })))
}
