//! The record of a rotation, and the claim of whoever drives rotations.

use crate::key::Change;
use alloc::boxed::Box;
use alloc::string::String;
use latchkey_domain::{
    Delivery, DurationMillis, HoldCause, KeyId, KeyspaceNumber, ReasonText, RotationId, RotationState, RotationTerms,
    UnixMillis, VersionId,
};

/// How long a rotation may be held before its overlap: then it fails, unless its new version is in use, or all that the key
/// has. 7 days.
pub const HOLD_BEFORE_OVERLAP_MAX: DurationMillis = DurationMillis::from_days(7);

/// The feature level from which on a rotation tells that its old version soon ends though it is used.
pub const WARNING_LEVEL: u32 = 6;

/// It tells so in the last of so many parts of its overlap.
const WARNING_PART: u64 = 10;

/// By so much the clocks of replicas may be apart that tell when a version was used.
const USE_MARGIN: DurationMillis = DurationMillis::from_secs(1);

/// How one version of a key takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Its id.
    pub id: RotationId,
    /// The keyspace of the key.
    pub keyspace: KeyspaceNumber,
    /// The key.
    pub key: KeyId,
    /// How far it is.
    pub state: RotationState,
    /// The version whose place is taken; absent: the key had none that was active.
    pub old: Option<VersionId>,
    /// The version that takes it; absent while it is planned.
    pub new: Option<VersionId>,
    /// How long both were to be accepted; absent before its overlap.
    pub overlap: Option<DurationMillis>,
    /// The deadline of the overlap, or when it was over; absent before it. See [`Self::clock_end`].
    pub overlap_ends_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its last change.
    pub changed: Change,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// Why, as the last to act on it said.
    pub text: ReasonText,
    /// How it goes from state to state; absent: the clock alone ends it.
    pub course: Option<Box<Course>>,
}

/// How a rotation goes from state to state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Whether a policy began it, and no person.
    pub by_policy: bool,
    /// The phase of the policy that its key is in; 0 where there are none.
    pub phase: u8,
    /// How its old version ends.
    pub terms: RotationTerms,
    /// Where the new secret goes; absent: whoever began it has it.
    pub delivery: Option<Delivery>,
    /// From when on it may start; absent: at once.
    pub starts_at: Option<UnixMillis>,
    /// From when on the new version is accepted; absent: once it is delivered.
    pub activate_at: Option<UnixMillis>,
    /// When the new version was first accepted.
    pub activated_at: Option<UnixMillis>,
    /// When the new secret was delivered.
    pub delivered_at: Option<UnixMillis>,
    /// When it was verified.
    pub verified_at: Option<UnixMillis>,
    /// When the overlap began.
    pub overlap_began_at: Option<UnixMillis>,
    /// Set while it is held.
    pub hold: Option<Held>,
    /// Until when the old version may live beyond the deadline; of a rotation that is held before its overlap, when it may
    /// fail.
    pub hold_ends_at: Option<UnixMillis>,
    /// The key text, sealed under a replay key; until it is delivered.
    pub replay: Option<Box<[u8]>>,
    /// The key text, sealed to the recipient; from its delivery until a rotation of the key completes after it, or this one
    /// comes to nothing.
    pub sealed: Option<Box<[u8]>>,
    /// How often a step was tried in vain since it was last resumed: held for the delivery or the check, or a lost secret
    /// replaced.
    pub attempts: u32,
    /// When it was told that the old version soon ends though it is used; absent: not of the end that is set now.
    pub warned_at: Option<UnixMillis>,
}

/// That a rotation is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The state that it goes back to.
    pub from: RotationState,
    /// Since when.
    pub at: UnixMillis,
    /// Why, as a word.
    pub cause: HoldCause,
    /// Why, as text; may be empty.
    pub text: ReasonText,
}

/// Who drives rotations. A fence goes up whenever another takes over, and each of the driver's commands carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationClaim {
    /// Whose it is: 16 random bytes of a process.
    pub holder: [u8; 16],
    /// The number of the holder, from 1 on.
    pub fence: u64,
    /// From when on another may take it.
    pub ends_at: UnixMillis,
}

impl Course {
    /// A course on which nothing has happened yet.
    #[must_use]
    pub const fn new(terms: RotationTerms, delivery: Option<Delivery>) -> Self {
        Self {
            by_policy: false,
            phase: 0,
            terms,
            delivery,
            starts_at: None,
            activate_at: None,
            activated_at: None,
            delivered_at: None,
            verified_at: None,
            overlap_began_at: None,
            hold: None,
            hold_ends_at: None,
            replay: None,
            sealed: None,
            attempts: 0,
            warned_at: None,
        }
    }
}

impl Rotation {
    /// Changes whenever the rotation does.
    #[must_use]
    pub fn etag(&self) -> String {
        self.changed.etag()
    }

    /// How far it is at `now`: what is over by the clock is over, whether or not that is written down yet.
    #[must_use]
    pub fn state_at(&self, now: UnixMillis) -> RotationState {
        match self.clock_end() {
            Some(end) if end <= now => RotationState::Completed,
            Some(_) | None => self.state,
        }
    }

    /// When the clock ends it, if it does: at the deadline of its overlap, or where it may be held at the end of that.
    #[must_use]
    pub fn clock_end(&self) -> Option<UnixMillis> {
        let held_until = self.course.as_ref().and_then(|course| course.hold_ends_at);
        self.overlaps().then(|| held_until.or(self.overlap_ends_at)).flatten()
    }

    /// How long the last part of its overlap is, in which whoever still uses the old version is told of: a tenth of the time from
    /// its beginning to its deadline. Absent: there is none yet.
    #[must_use]
    pub fn last_part(&self) -> Option<DurationMillis> {
        let began_at = self.course.as_ref().and_then(|course| course.overlap_began_at)?;
        let overlap = self.overlap_ends_at?.since(began_at);
        Some(DurationMillis::new(overlap.millis() / WARNING_PART))
    }

    /// From when on whoever still uses the old version is told of; absent: it has no end by the clock.
    #[must_use]
    pub fn warns_from(&self) -> Option<UnixMillis> {
        let (end, last_part) = self.clock_end().zip(self.last_part())?;
        Some(UnixMillis::new(end.millis().saturating_sub(last_part.millis())))
    }

    /// Whether an old version that was last used then counts as used at `now`: within the silence that would end it, or where its
    /// policy ends nothing early, within as long as the last part is.
    #[must_use]
    pub fn is_used(&self, last: UnixMillis, now: UnixMillis) -> bool {
        let silence = self.course.as_ref().and_then(|course| course.terms.silence);
        silence.or_else(|| self.last_part()).is_some_and(|window| now < last.plus(window))
    }

    /// Whether the end of the old version is set: in an overlap, also one that is held.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        self.effective_state() == RotationState::Overlap
    }

    /// Its state, or that which it goes back to where it is held.
    #[must_use]
    pub fn effective_state(&self) -> RotationState {
        let held = self.course.as_ref().and_then(|course| course.hold.as_ref());
        held.filter(|_| self.state == RotationState::Held).map_or(self.state, |held| held.from)
    }

    /// Whether its new version is accepted and the old one has no end yet.
    #[must_use]
    pub fn has_two_active(&self) -> bool {
        let is_activated = self.course.as_ref().is_some_and(|course| course.activated_at.is_some());
        is_activated && matches!(self.effective_state(), RotationState::Delivered | RotationState::Verified)
    }

    /// Whether the new secret is where whoever is to use it finds it. Until it was verified it is only staged in a store, and
    /// an end before that destroys it; and what is sealed to a recipient is shown to nobody.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let Some(course) = self.course.as_deref() else { return true };
        match course.delivery {
            Some(Delivery::Store(_) | Delivery::Recipient(_)) => course.verified_at.is_some(),
            None => course.delivered_at.is_some(),
        }
    }

    /// Whether a use of the new version at this time can only be that of its consumers. What checks a staged secret uses it
    /// too: before it is verified, and not while the rotation is held.
    #[must_use]
    pub fn is_by_consumer(&self, used_at: UnixMillis) -> bool {
        let Some(course) = self.course.as_deref() else { return true };
        if !matches!(course.delivery, Some(Delivery::Store(_))) {
            return true;
        }
        let checked_at = course.verified_at.or(course.hold.as_ref().map(|held| held.at));
        checked_at.is_some_and(|time| time.plus(USE_MARGIN) < used_at)
    }

    /// Whether it is a standby: kept ready for whoever asks for the rotation, and driven by nobody.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.state == RotationState::Prepared && self.course.is_none()
    }
}
