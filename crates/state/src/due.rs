//! When a key is due for a rotation, and when notice of that is owed: found by walking over keys, so that no key pays a
//! byte for it.

use crate::driving::VersionState;
use crate::key::{Key, Version};
use crate::records::Keyspace;
use crate::rotation::Rotation;
use crate::state::State;
use crate::upkeep::KeyAt;
use alloc::vec::Vec;
use latchkey_domain::{
    DurationMillis, KeyspaceNumber, RotationMode, RotationPolicy, RotationState, UnixMillis, VersionId,
};

/// How long a key is left alone after a rotation that came to nothing: 24 hours. Whoever rolled back or cancelled did not
/// want the same again at once.
pub const ROTATION_RETRY: DurationMillis = DurationMillis::from_days(1);

/// A key that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub key: KeyAt,
    /// Its active version.
    pub version: VersionId,
    /// Since when.
    pub due_at: UnixMillis,
    /// Who rotates it.
    pub mode: RotationMode,
    /// Whether a rotation is in progress already.
    pub rotates: bool,
}

impl Key {
    /// The version that is accepted with no end by a rotation, if there is one. Of the two that a rotation may have
    /// before its overlap it is the old one.
    #[must_use]
    pub fn active_version(&self, now: UnixMillis) -> Option<&Version> {
        let is_revoked = |version: &Version| version.revocation().is_some_and(|end| end.effective_at <= now);
        let is_active = |version: &&Version| {
            !version.is_pending()
                && version.retires_at().is_none()
                && version.expires_at().is_none_or(|end| now < end)
                && !is_revoked(version)
        };
        self.versions.iter().find(is_active)
    }
}

impl State {
    /// The rotation in progress of a key.
    #[must_use]
    pub fn rotation_in_progress(&self, key: &Key) -> Option<&Rotation> {
        self.rotation_at(key.keyspace, key.id, key.rotation()?).map(AsRef::as_ref)
    }

    /// Whether a rotation of a key is on its way by itself. A standby is not: it waits for whoever asks for it.
    #[must_use]
    pub fn is_rotating(&self, key: &Key) -> bool {
        self.rotation_in_progress(key).is_some_and(|rotation| !rotation.is_standby())
    }

    /// Whether a policy may begin a rotation of a key: none is in progress, or a standby whose version has died.
    pub(crate) fn may_be_planned(&self, key: &Key, now: UnixMillis) -> bool {
        let Some(rotation) = self.rotation_in_progress(key) else { return key.rotation().is_none() };
        let standby = rotation.new.and_then(|new| key.version(new));
        rotation.is_standby()
            && standby.is_none_or(|version| self.version_state(key, version, now) != VersionState::Pending)
    }

    /// The policy that a key rotates by: its own, else that of its keyspace.
    #[must_use]
    pub fn rotation_policy<'a>(&'a self, key: &'a Key) -> Option<&'a RotationPolicy> {
        let of_keyspace = || self.keyspaces().by_number(key.keyspace)?.settings.rotation_policy.as_deref();
        key.rotation_policy().or_else(of_keyspace)
    }

    /// When a key is due, whether or not it rotates already; absent: it has no policy, no active version, is suspended or
    /// dead.
    #[must_use]
    pub fn rotation_due_at(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> Option<UnixMillis> {
        let policy = key.rotation_policy().or(keyspace.settings.rotation_policy.as_deref())?;
        let version = key.active_version(now)?;
        if key.suspension().is_some() || self.death_of(key, now).is_some() {
            return None;
        }
        let since = version.active_since().max(key.not_before().unwrap_or_default());
        let due_at = policy.due_at(since, key.id);
        let again_at = self.rotations_of(key.keyspace, key.id).filter_map(|rotation| match rotation.state {
            RotationState::RolledBack | RotationState::Cancelled | RotationState::Failed => {
                rotation.course.as_ref().filter(|course| course.by_policy)?;
                rotation.ended_at.map(|end| end.plus(ROTATION_RETRY))
            }
            _ => None,
        });
        Some(again_at.fold(due_at, Ord::max))
    }

    /// The notice of a key that is owed, and when the key is due; absent: none is.
    #[must_use]
    pub fn notice_at(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> Option<(UnixMillis, UnixMillis)> {
        if self.is_rotating(key) {
            return None;
        }
        let policy = key.rotation_policy().or(keyspace.settings.rotation_policy.as_deref())?;
        let due_at = self.rotation_due_at(keyspace, key, now)?;
        let before = |notice: &DurationMillis| UnixMillis::new(due_at.millis().saturating_sub(notice.millis()));
        // Nobody but whoever is told rotates it: that its time has come is a notice too. So it is where a standby is ready,
        // whose text only whoever made it has.
        let by_people = policy.mode == RotationMode::Notify || !self.may_be_planned(key, now);
        let at_last = by_people.then_some(due_at);
        let owed = policy.notices.iter().map(before).chain(at_last).filter(|time| *time <= now).max()?;
        let given = key.details.as_ref().and_then(|details| details.noticed_through);
        given.is_none_or(|given| given < owed).then_some((owed, due_at))
    }

    /// Whether a notice of a key is owed.
    #[must_use]
    pub fn notice_owed(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> bool {
        self.notice_at(keyspace, key, now).is_some()
    }

    /// Among the next `scan` keys after `after`, those that are due at `now`; and where to go on, absent at the end of all
    /// keys. A time ahead tells what will be due then.
    #[must_use]
    pub fn rotation_due(&self, after: Option<KeyAt>, now: UnixMillis, scan: usize) -> (Vec<Due>, Option<KeyAt>) {
        let mut keys = self.all_keys_after(after);
        let mut due = Vec::new();
        let mut last = None;
        for key in keys.by_ref().take(scan) {
            last = Some((key.keyspace, key.id));
            due.extend(self.due_one(key, now));
        }
        let more = keys.next().is_some();
        (due, last.filter(|_| more))
    }

    fn due_one(&self, key: &Key, now: UnixMillis) -> Option<Due> {
        let keyspace = self.keyspaces().by_number(key.keyspace)?;
        let mode = self.rotation_policy(key)?.mode;
        let due_at = self.rotation_due_at(keyspace, key, now).filter(|due_at| *due_at <= now)?;
        let version = key.active_version(now)?.id;
        Some(Due { key: (key.keyspace, key.id), version, due_at, mode, rotates: key.rotation().is_some() })
    }

    /// How many rotations of a keyspace count against what it may have at once.
    #[must_use]
    pub fn unsettled_rotations(&self, keyspace: KeyspaceNumber) -> u64 {
        self.index().unsettled.get(&keyspace).copied().unwrap_or_default()
    }
}
