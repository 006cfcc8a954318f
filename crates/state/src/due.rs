//! When a key is due for a rotation, and when notice of that is owed: found by walking over keys, so that no key pays a
//! byte for it.

use crate::driving::VersionState;
use crate::key::{Key, Version};
use crate::records::Keyspace;
use crate::rotation::Rotation;
use crate::state::State;
use latchkey_domain::{DurationMillis, KeyspaceNumber, RotationMode, RotationPolicy, RotationState, UnixMillis};

/// How long a key is left alone after a rotation that came to nothing: 24 hours. Whoever rolled back or cancelled did not
/// want the same again at once.
pub const ROTATION_RETRY: DurationMillis = DurationMillis::from_days(1);

/// The shortest time that it is left alone, where its version would end before: 1 hour.
const ROTATION_RETRY_MIN: DurationMillis = DurationMillis::from_secs(3_600);

impl Key {
    /// The version that is accepted with no end by a rotation, if there is one. Of the two that a rotation may have
    /// before its overlap it is the old one.
    #[must_use]
    pub fn active_version(&self, now: UnixMillis) -> Option<&Version> {
        let lives = |version: &&Version| version.expires_at().is_none_or(|end| now < end);
        self.unended_versions(now).find(lives)
    }

    /// When the last of its versions was over that ended by its lifetime alone: by no rotation, and by nobody's hand.
    fn lapsed_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.unended_versions(now).filter_map(Version::expires_at).filter(|end| *end <= now).max()
    }

    /// The versions that are accepted, or were until their lifetime was over.
    fn unended_versions(&self, now: UnixMillis) -> impl Iterator<Item = &Version> {
        let is_revoked = move |version: &Version| version.revocation().is_some_and(|end| end.effective_at <= now);
        let versions = self.versions.iter();
        versions.filter(move |one| !one.is_pending() && one.retires_at().is_none() && !is_revoked(one))
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

    /// When a key is due, whether or not it rotates already; absent: it has no policy, is suspended or dead, or has no
    /// active version although none ended by its lifetime.
    ///
    /// That is early enough for the overlap and the hold of its policy before its version ends by its lifetime. One whose
    /// last version has ended so is due since then.
    #[must_use]
    pub fn rotation_due_at(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> Option<UnixMillis> {
        let policy = key.rotation_policy().or(keyspace.settings.rotation_policy.as_deref())?;
        if key.suspension().is_some() || self.death_of(key, now).is_some() {
            return None;
        }
        let (due_at, end) = match key.active_version(now) {
            Some(version) => {
                let since = version.active_since().max(key.not_before().unwrap_or_default());
                let due_at = policy.due_at(since, key.id);
                let end = version.expires_at().map(|ends_at| End::of(policy, version.active_since(), ends_at));
                (end.map_or(due_at, |end| end.latest.min(due_at)), end)
            }
            None => {
                let lapsed_at = key.lapsed_at(now)?;
                (lapsed_at, Some(End { latest: lapsed_at, ends_at: lapsed_at }))
            }
        };
        let again_at = self.rotations_of(key.keyspace, key.id).filter_map(|rotation| match rotation.state {
            RotationState::RolledBack | RotationState::Cancelled | RotationState::Failed => {
                rotation.course.as_ref().filter(|course| course.by_policy)?;
                rotation.ended_at.map(|ended_at| again_at(ended_at, end))
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

    /// How many rotations of a keyspace count against what it may have at once.
    #[must_use]
    pub fn unsettled_rotations(&self, keyspace: KeyspaceNumber) -> u64 {
        self.index().unsettled.get(&keyspace).copied().unwrap_or_default()
    }
}

/// The end of a version by its lifetime.
#[derive(Clone, Copy)]
struct End {
    /// When a rotation has to begin at the latest, so that its overlap and its hold have the time that they may take.
    latest: UnixMillis,
    ends_at: UnixMillis,
}

impl End {
    fn of(policy: &RotationPolicy, since: UnixMillis, ends_at: UnixMillis) -> Self {
        let lasts = policy.terms.overlap.plus(policy.terms.hold_max());
        Self { latest: UnixMillis::new(ends_at.millis().saturating_sub(lasts.millis())).max(since), ends_at }
    }
}

/// When a key is due again whose rotation came to nothing. Where its version would be too old by then it is half of what is
/// left of its life: never so soon that one failure follows the other all the time.
fn again_at(ended_at: UnixMillis, end: Option<End>) -> UnixMillis {
    let rested_at = ended_at.plus(ROTATION_RETRY);
    let Some(End { latest, ends_at }) = end.filter(|end| end.latest < rested_at) else { return rested_at };
    let half = DurationMillis::new(ends_at.since(ended_at).millis() / 2);
    ended_at.plus(half.clamp(ROTATION_RETRY_MIN, ROTATION_RETRY)).max(latest)
}
