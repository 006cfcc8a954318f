//! What whoever drives rotations has to know: which of them go on; and, by one look at each key, which keys are due, of
//! which a notice is owed, and how many versions there are of which age. Found by walking, so that no key pays a byte for
//! it.

use crate::expiring::EXPIRING_DAYS;
use crate::key::{Key, Version, Worth};
use crate::listing::KeyFilter;
use crate::records::Keyspace;
use crate::rotation::Rotation;
use crate::state::State;
use crate::upkeep::KeyAt;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};
use latchkey_domain::{
    DurationMillis, KeyId, KeyspaceNumber, PHASES_MAX, RotationId, RotationMode, RotationPolicy, RotationState,
    UnixMillis,
};

/// For how long a rotation that has ended is shown to whoever told a store of it.
const ENDED_SHOWN: DurationMillis = DurationMillis::from_days(1);

/// For how long one that was undone is: until its store is told, consumers read a secret that ends. A store that is away for
/// longer is told by the next rotation of the key, before anything is laid there.
const UNDONE_SHOWN: DurationMillis = DurationMillis::from_days(30);

/// The ages that versions are counted by. Days.
pub const AGE_DAYS: [u64; 7] = [1, 7, 30, 60, 90, 180, 365];

/// The place of a rotation among all that are in progress: its keyspace, the deadline of its overlap, its key and its id.
pub type RotationAt = (KeyspaceNumber, UnixMillis, KeyId, RotationId);

/// Some of the rotations in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrivenRotations {
    /// Those for which something may be to do.
    pub rotations: Vec<Arc<Rotation>>,
    /// How many are in each state, these and all others that were looked at: by their place in [`RotationState::ALL`].
    pub states: [u64; RotationState::ALL.len()],
    /// Where to go on; absent: these were the last.
    pub next: Option<RotationAt>,
}

/// What looking at some keys told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Each keyspace with keys among them, in the order of their numbers. The last may go on.
    pub keyspaces: Vec<SurveyedKeyspace>,
    /// Where to go on; absent: these were the last.
    pub next: Option<KeyAt>,
}

/// What looking at some keys of one keyspace told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedKeyspace {
    /// The keyspace.
    pub keyspace: KeyspaceNumber,
    /// Keys to be rotated: due, their policy automatic, and no rotation in progress, nor a standby that could take over.
    pub due: Vec<DueKey>,
    /// Keys of which a notice is owed.
    pub noticed: Vec<KeyId>,
    /// Rotations with a delivery that ended within a day, or were undone within 30: their stores may have something to tidy
    /// up.
    pub ended: Vec<Arc<Rotation>>,
    /// How the phases of its policy stand, those last that are in none.
    pub phases: [PhaseTally; PHASES_MAX + 1],
    /// Rotations that are not settled, of the whole keyspace.
    pub unsettled: u64,
    /// Keys that are due and not being rotated, whoever is to do it.
    pub overdue: u64,
    /// Since when the one that is due longest is.
    pub overdue_since: Option<UnixMillis>,
    /// Versions by state: by their place in [`VersionState::ALL`].
    pub versions: [u64; VersionState::ALL.len()],
    /// Active versions by age: each counts with the first of [`AGE_DAYS`] that it is younger than, or last.
    pub ages: [u64; AGE_DAYS.len() + 1],
    /// When the next key falls due that a policy is to rotate, as all stands now; absent: none will.
    pub next_due_at: Option<UnixMillis>,
    /// Living keys that end within each of [`EXPIRING_DAYS`].
    pub expiring: [u64; EXPIRING_DAYS.len()],
}

/// A key that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    /// Which.
    pub key: KeyId,
    /// Since when.
    pub due_at: UnixMillis,
    /// Its phase: the first whose filter it matches, or their number.
    pub phase: u8,
    /// Its own policy, in place of its keyspace's.
    pub own_policy: Option<Box<RotationPolicy>>,
}

/// How one phase of a policy stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseTally {
    /// Keys that are due.
    pub due: u64,
    /// Rotations that are not settled.
    pub unsettled: u64,
    /// Keys whose last rotation is held, failed or was rolled back within the last interval.
    pub troubled: u64,
}

/// What becomes of a version, apart from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// Not yet accepted.
    Pending,
    /// Accepted, with no end of its own.
    Active,
    /// Accepted until a time.
    Retiring,
    /// Its time is over.
    Retired,
    /// Revoked.
    Revoked,
}

impl VersionState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Retiring, Self::Retired, Self::Revoked];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Retiring => "RETIRING",
            Self::Retired => "RETIRED",
            Self::Revoked => "REVOKED",
        }
    }
}

impl State {
    /// Looks at up to `scan` rotations in progress after a place. Those that wait for the clock alone are counted and left
    /// out: without a course, or in an overlap that is too young to end, or that only the clock ends and not soon.
    #[must_use]
    pub fn driven_rotations(&self, after: Option<RotationAt>, now: UnixMillis, scan: usize) -> DrivenRotations {
        let mut driven = DrivenRotations::default();
        let mut places = self.index().rotating.range((after.map_or(Unbounded, Excluded), Unbounded));
        for place in places.by_ref().take(scan) {
            driven.next = Some(*place);
            let (keyspace, _, key, id) = *place;
            let Some(rotation) = self.rotation_at(keyspace, key, id) else { continue };
            let state = rotation.state_at(now);
            driven.states[place_of(&RotationState::ALL, state)] += 1;
            if !state.is_final() && rotation.may_move(now) {
                driven.rotations.push(rotation.clone());
            }
        }
        driven.next = driven.next.filter(|_| places.next().is_some());
        driven
    }

    /// Looks at up to `scan` keys after a place.
    #[must_use]
    pub fn rotation_survey(&self, after: Option<KeyAt>, now: UnixMillis, scan: usize) -> Survey {
        let mut survey = Survey::default();
        let mut current: Option<Surveyor<'_>> = None;
        let mut keys = self.all_keys_after(after);
        for key in keys.by_ref().take(scan) {
            survey.next = Some((key.keyspace, key.id));
            if current.as_ref().is_none_or(|surveyor| surveyor.keyspace.number != key.keyspace) {
                survey.keyspaces.extend(current.take().map(|surveyor| surveyor.told));
                current = Surveyor::new(self, key.keyspace, now);
            }
            if let Some(surveyor) = &mut current {
                surveyor.look_at(key);
            }
        }
        survey.keyspaces.extend(current.map(|surveyor| surveyor.told));
        survey.next = survey.next.filter(|_| keys.next().is_some());
        survey
    }

    /// What becomes of a version, apart from its key.
    #[must_use]
    pub fn version_state(&self, key: &Key, version: &Version, now: UnixMillis) -> VersionState {
        match self.version_worth(key, version, now) {
            Worth::Revoked(_) => VersionState::Revoked,
            Worth::Expired(_) => VersionState::Retired,
            Worth::Accepted | Worth::Suspended(_) | Worth::NotYetValid(_) => match version.retires_at() {
                _ if version.is_pending() => VersionState::Pending,
                None => VersionState::Active,
                Some(at) if at <= now => VersionState::Retired,
                Some(_) => VersionState::Retiring,
            },
        }
    }
}

impl Rotation {
    /// Whether anything but the clock can take its next step at `now`.
    fn may_move(&self, now: UnixMillis) -> bool {
        let Some(course) = self.course.as_deref() else { return false };
        let may_retire_at = course.overlap_began_at.map(|began_at| began_at.plus(course.terms.overlap_min));
        !self.overlaps()
            || self.warns_from().is_some_and(|time| time <= now)
            || course.terms.silence.is_some() && may_retire_at.is_none_or(|time| time <= now)
    }
}

/// Looks at the keys of one keyspace, one by one.
struct Surveyor<'a> {
    state: &'a State,
    keyspace: &'a Keyspace,
    /// Of each phase; absent: one that does not parse, which the API refuses, and which shows nothing.
    filters: Vec<Option<KeyFilter>>,
    now: UnixMillis,
    told: SurveyedKeyspace,
}

impl<'a> Surveyor<'a> {
    fn new(state: &'a State, number: KeyspaceNumber, now: UnixMillis) -> Option<Self> {
        let keyspace = state.keyspaces().by_number(number)?;
        let phases = keyspace.settings.rotation_policy.iter().flat_map(|policy| &policy.phases);
        let filters = phases.map(|phase| KeyFilter::parse(state, &phase.filter).ok());
        let told = SurveyedKeyspace { unsettled: state.unsettled_rotations(number), ..SurveyedKeyspace::new(number) };
        Some(Self { state, keyspace, filters: filters.collect(), now, told })
    }

    fn look_at(&mut self, key: &Key) {
        let (state, now) = (self.state, self.now);
        for version in &*key.versions {
            let version_state = state.version_state(key, version, now);
            self.told.versions[place_of(&VersionState::ALL, version_state)] += 1;
            if version_state == VersionState::Active {
                let days = now.since(version.active_since()).millis() / DurationMillis::from_days(1).millis();
                let place = AGE_DAYS.iter().position(|bound| days < *bound).unwrap_or(AGE_DAYS.len());
                self.told.ages[place] += 1;
            }
        }
        for (sum, is_within) in self.told.expiring.iter_mut().zip(state.expires_within(key, now)) {
            *sum += u64::from(is_within);
        }
        if key.details.as_ref().is_some() {
            let is_shown = |rotation: &&Arc<Rotation>| {
                let delivered = rotation.course.as_ref().is_some_and(|course| course.delivery.is_some());
                let shown = if rotation.state == RotationState::Completed { ENDED_SHOWN } else { UNDONE_SHOWN };
                delivered && rotation.ended_at.is_some_and(|time| now.since(time) < shown)
            };
            self.told.ended.extend(state.rotations_of(key.keyspace, key.id).filter(is_shown).cloned());
        }
        let own = key.rotation_policy();
        let in_progress = state.rotation_in_progress(key).filter(|rotation| !rotation.is_standby());
        let unsettled = in_progress.is_some_and(|rotation| rotation.state_at(now).is_unsettled());
        let Some(policy) = own.or(self.keyspace.settings.rotation_policy.as_deref()) else { return };
        let due_at = state.rotation_due_at(self.keyspace, key, now);
        let is_due = due_at.is_some_and(|time| time <= now) && !state.is_rotating(key);
        if state.notice_owed(self.keyspace, key, now) {
            self.told.noticed.push(key.id);
        }
        if let Some(due_at) = due_at.filter(|_| is_due) {
            self.told.overdue += 1;
            self.told.overdue_since = Some(self.told.overdue_since.map_or(due_at, |since| since.min(due_at)));
        }
        if policy.mode == RotationMode::Automatic && !is_due && key.rotation().is_none() {
            let next = self.told.next_due_at.into_iter().chain(due_at).min();
            self.told.next_due_at = next;
        }
        let rotates = is_due && policy.mode == RotationMode::Automatic && state.may_be_planned(key, now);
        if own.is_none() && !self.filters.is_empty() {
            self.tally(key, policy, rotates, unsettled);
        }
        if let Some(due_at) = due_at.filter(|_| rotates) {
            let phase = if own.is_some() { 0 } else { self.phase_of(key) };
            self.told.due.push(DueKey { key: key.id, due_at, phase, own_policy: own.cloned().map(Box::new) });
        }
    }

    fn tally(&mut self, key: &Key, policy: &RotationPolicy, is_due: bool, unsettled: bool) {
        let phase = usize::from(self.phase_of(key));
        // What went well since has mended what did not.
        let tried = self.state.rotations_of(key.keyspace, key.id).filter(|one| one.state != RotationState::Cancelled);
        let last = tried.max_by_key(|rotation| (rotation.created_at, rotation.changed.revision));
        let is_troubled = last.is_some_and(|rotation| {
            let in_trouble = matches!(
                rotation.state_at(self.now),
                RotationState::Held | RotationState::Failed | RotationState::RolledBack
            );
            in_trouble && self.now.since(rotation.changed.at) < policy.interval
        });
        let tally = &mut self.told.phases[phase];
        tally.troubled += u64::from(is_troubled);
        tally.due += u64::from(is_due);
        tally.unsettled += u64::from(unsettled);
    }

    fn phase_of(&self, key: &Key) -> u8 {
        let matched = self
            .filters
            .iter()
            .position(|filter| filter.as_ref().is_some_and(|filter| filter.matches(self.state, key, self.now)));
        u8::try_from(matched.unwrap_or(self.filters.len())).unwrap_or(u8::MAX)
    }
}

impl SurveyedKeyspace {
    /// Nothing looked at yet.
    #[must_use]
    pub const fn new(keyspace: KeyspaceNumber) -> Self {
        Self {
            keyspace,
            due: Vec::new(),
            noticed: Vec::new(),
            ended: Vec::new(),
            phases: [PhaseTally { due: 0, unsettled: 0, troubled: 0 }; PHASES_MAX + 1],
            unsettled: 0,
            overdue: 0,
            overdue_since: None,
            versions: [0; VersionState::ALL.len()],
            ages: [0; AGE_DAYS.len() + 1],
            next_due_at: None,
            expiring: [0; EXPIRING_DAYS.len()],
        }
    }
}

fn place_of<T: PartialEq + Copy>(all: &[T], one: T) -> usize {
    all.iter().position(|of_all| *of_all == one).expect("every state is among all")
}
