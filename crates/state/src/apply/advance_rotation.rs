//! The steps of whoever drives rotations. Each is idempotent in the state that it leads to, and each looks again at what
//! it stands on: a driver that is late, or wrong, changes nothing.

use super::claim_rotations::need_fence;
use super::prepare_rotation::is_wanted;
use super::rotation::{self, Facts, not_in};
use super::subject::Subject;
use super::transaction::Transaction;
use super::{Answer, course};
use crate::command::{AdvanceRotation, CALLERS_MAX, Caller, DriverStep, Evidence};
use crate::event::Action;
use crate::rotation::{Course, Rotation};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{
    AtDeadline, DurationMillis, HoldCause, ReasonText, Refusal, RotationState, UnixMillis, VersionId,
};

pub(super) fn advance_rotation(
    transaction: &mut Transaction<'_>,
    operation: &AdvanceRotation,
) -> Result<Answer, Refusal> {
    need_fence(transaction, operation.fence)?;
    let (state, now) = (transaction.state(), transaction.now());
    let rotation = rotation::find(state, &operation.rotation)?;
    let subject = Subject::find(state, &operation.rotation.key, None)?;
    let refuse = |expected| Err(not_in(&subject, &rotation, now, expected));
    if rotation.new != operation.version {
        return refuse("a rotation of this version");
    }
    if has_come_to(&rotation, &operation.step) {
        let (rotation, key) = (Arc::new(rotation), Arc::new(subject.key));
        return Ok(Answer::Rotation { rotation, key, made: None, replay: None });
    }
    // An overlap that the clock ended is over, whatever the evidence says of it.
    if rotation.state_at(now).is_final() {
        return refuse("a state that is not final");
    }
    let Some(course) = rotation.course.clone() else { return refuse("a rotation that is driven") };
    let mut driving = Driving { transaction, subject, rotation, course, now };
    driving.need(&operation.step)?;
    let rotation = driving.take(&operation.step);
    let Driving { transaction, subject, .. } = driving;
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: None, replay: None })
}

/// Whether it is where the step leads to: nothing is left to do.
fn has_come_to(rotation: &Rotation, step: &DriverStep) -> bool {
    let course = rotation.course.as_deref();
    match step {
        DriverStep::Deliver { .. } => rotation.state == RotationState::Delivered,
        DriverStep::Activate => {
            rotation.state == RotationState::Delivered && course.is_some_and(|course| course.activated_at.is_some())
        }
        DriverStep::Verify => rotation.state == RotationState::Verified,
        // An overlap of no length is over at once.
        DriverStep::BeginOverlap => {
            let began = course.is_some_and(|course| course.overlap_began_at.is_some());
            rotation.state == RotationState::Overlap || (rotation.state == RotationState::Completed && began)
        }
        DriverStep::Retire(_) => rotation.state == RotationState::Completed,
        DriverStep::Hold { cause, .. } => {
            let held = course.and_then(|course| course.hold.as_ref()).map(|held| held.cause);
            rotation.state == RotationState::Held && held == Some(*cause)
        }
        DriverStep::Warn(_) => course.is_some_and(|course| course.warned_at.is_some()),
        DriverStep::Fail { .. } => {
            rotation.state == RotationState::Failed
                || (rotation.state == RotationState::Cancelled && rotation.new.is_none())
        }
    }
}

struct Driving<'a, 'b> {
    transaction: &'a mut Transaction<'b>,
    subject: Subject,
    rotation: Rotation,
    course: Box<Course>,
    now: UnixMillis,
}

impl Driving<'_, '_> {
    /// Whether the rotation is there for the step.
    fn need(&self, step: &DriverStep) -> Result<(), Refusal> {
        use RotationState::{Delivered, Held, Overlap, Prepared, Verified};
        let now = self.now;
        match step {
            DriverStep::Deliver { .. } => {
                self.need_state(Prepared)?;
                self.check(self.new_lives(), "a new version that lives")
            }
            DriverStep::Activate => {
                self.need_state(Delivered)?;
                self.check(self.new_lives(), "a new version that lives")?;
                let is_time = self.course.activate_at.is_none_or(|time| time <= now);
                self.check(is_time, "a time at which it may be activated")
            }
            DriverStep::Verify => {
                self.need_state(Delivered)?;
                self.check(self.course.activated_at.is_some(), "a new version that is accepted")
            }
            DriverStep::BeginOverlap => {
                self.check(self.may_begin(), Verified.as_str())?;
                self.check(self.new_lives(), "a new version that lives")
            }
            DriverStep::Retire(evidence) => {
                // Held by an operator it stays until he says otherwise.
                let may = match self.rotation.state {
                    Overlap => true,
                    Held => self.rotation.overlaps() && self.held_for() == Some(HoldCause::StillUsed),
                    _ => false,
                };
                self.check(may, Overlap.as_str())?;
                self.check(self.is_silent(evidence), "evidence that the old version is silent")
            }
            DriverStep::Hold { cause: HoldCause::StillUsed, .. } => {
                self.need_state(Overlap)?;
                let holds = matches!(self.course.terms.at_deadline, AtDeadline::Hold { .. });
                let is_over = self.rotation.overlap_ends_at.is_some_and(|deadline| deadline <= now);
                self.check(holds && is_over, "a policy that holds, after its deadline")
            }
            DriverStep::Hold { cause, .. } => {
                let may = *cause != HoldCause::Asked && self.rotation.state != Held && !self.rotation.overlaps();
                self.check(may, "a state before OVERLAP")
            }
            DriverStep::Warn(evidence) => {
                self.check(self.rotation.overlaps(), Overlap.as_str())?;
                let is_time = self.rotation.warns_from().is_some_and(|time| time <= now);
                self.check(is_time, "the last part of an overlap")?;
                self.check(self.old_lives(), "an old version that lives")?;
                let is_used = evidence.old_last_used.is_some_and(|last| self.rotation.is_used(last, now));
                self.check(is_used, "evidence that the old version is used")
            }
            DriverStep::Fail { .. } => {
                self.check(!self.rotation.overlaps(), "a state before OVERLAP")?;
                let is_held = self.rotation.state == Held && !self.is_hold_over();
                self.check(!is_held, "a hold that is over")?;
                // The new version would stay, and its store be told to put the dead one back.
                let is_last = self.rotation.has_two_active() && self.new_lives() && !self.old_lives();
                self.check(!is_last, "an old version that lives")
            }
        }
    }

    fn take(&mut self, step: &DriverStep) -> Arc<Rotation> {
        let Self { transaction, subject, course, now, .. } = self;
        let now = *now;
        let mut rotation = Rotation { course: Some(course.clone()), ..self.rotation.clone() };
        match step {
            DriverStep::Deliver { sealed } => {
                rotation.state = RotationState::Delivered;
                let course = course::of(&mut rotation);
                course.delivered_at = Some(now);
                course.replay = None;
                course.sealed.clone_from(sealed);
                let is_time = course.activate_at.is_none_or(|time| time <= now);
                if !is_time {
                    return rotation::step(transaction, subject, rotation, Action::RotationDelivered, Vec::new());
                }
                rotation::tell(transaction, subject, Action::RotationDelivered, &rotation, Vec::new());
                course::activate(transaction, subject, &mut rotation);
                rotation::step(transaction, subject, rotation, Action::RotationActivated, Vec::new())
            }
            DriverStep::Activate => {
                course::activate(transaction, subject, &mut rotation);
                rotation::step(transaction, subject, rotation, Action::RotationActivated, Vec::new())
            }
            DriverStep::Verify => {
                rotation.state = RotationState::Verified;
                course::of(&mut rotation).verified_at = Some(now);
                rotation::step(transaction, subject, rotation, Action::RotationVerified, Vec::new())
            }
            DriverStep::BeginOverlap => course::begin_overlap(transaction, subject, rotation),
            DriverStep::Retire(evidence) => {
                // Of what is held the bound lies ahead: it ends now.
                let text = rotation.text.clone();
                rotation::complete(transaction, subject, rotation, &text, facts_of(evidence))
            }
            DriverStep::Hold { cause, text, evidence } => {
                let facts = evidence.as_ref().map(facts_of).unwrap_or_default();
                course::hold(transaction, subject, rotation, *cause, text, facts)
            }
            DriverStep::Warn(evidence) => {
                course::of(&mut rotation).warned_at = Some(now);
                let mut facts = facts_of(evidence);
                // It may be revoked before that.
                let old = rotation.old.zip(rotation.clock_end());
                let ends_at = old.map(|(old, end)| rotation::earliest_end(&subject.key, old, end));
                let revoked_at =
                    rotation.old.and_then(|old| subject.key.version(old)?.revocation()).map(|told| told.effective_at);
                let ends_at = ends_at.into_iter().chain(revoked_at).min();
                facts.extend(ends_at.map(|end| ("ends_at_ms", end.millis().to_string())));
                rotation::step(transaction, subject, rotation, Action::RotationEndsInUse, facts)
            }
            // What began nothing, and whose policy does not want it any more, is no failure.
            DriverStep::Fail { text } if rotation.new.is_none() && !is_wanted(transaction, subject, &rotation) => {
                rotation::cancel(transaction, subject, rotation, text)
            }
            DriverStep::Fail { text } => fail(transaction, subject, rotation, text),
        }
    }

    fn check(&self, holds: bool, expected: &'static str) -> Result<(), Refusal> {
        if holds { Ok(()) } else { Err(not_in(&self.subject, &self.rotation, self.now, expected)) }
    }

    fn need_state(&self, state: RotationState) -> Result<(), Refusal> {
        self.check(self.rotation.state == state, state.as_str())
    }

    /// It is verified; or it is held for a new version that nobody had used, which somebody may have by now; or it was held
    /// for too long and has no old version to go back to.
    fn may_begin(&self) -> bool {
        let is_unseen = self.held_for() == Some(HoldCause::NeverSeen);
        match self.rotation.state {
            RotationState::Verified => true,
            RotationState::Held if self.rotation.has_two_active() && self.rotation.is_in_place() => {
                is_unseen || (!self.old_lives() && self.is_hold_over())
            }
            _ => false,
        }
    }

    fn is_hold_over(&self) -> bool {
        self.course.hold_ends_at.is_some_and(|end| end <= self.now)
    }

    fn new_lives(&self) -> bool {
        self.lives(self.rotation.new)
    }

    fn old_lives(&self) -> bool {
        self.lives(self.rotation.old)
    }

    fn lives(&self, version: Option<VersionId>) -> bool {
        let version = version.and_then(|version| self.subject.key.version(version));
        version.is_some_and(|version| rotation::lives(version, self.now))
    }

    fn held_for(&self) -> Option<HoldCause> {
        self.course.hold.as_ref().map(|held| held.cause)
    }

    /// Whether the old version may end by evidence: a consumer used the new one, the old one was not for as long as it has to be
    /// silent, and somebody would have seen it; never before the minimum.
    fn is_silent(&self, evidence: &Evidence) -> bool {
        let (terms, now) = (&self.course.terms, self.now);
        let Some(silence) = terms.silence else { return false };
        let is_past = |time: UnixMillis, span| time.plus(span) <= now;
        let shortest = if planted::is(Plant::OverlapMinIgnored) { DurationMillis::ZERO } else { terms.overlap_min };
        self.course.overlap_began_at.is_some_and(|began| is_past(began, shortest))
            && evidence.new_first_used.is_some_and(|used_at| self.rotation.is_by_consumer(used_at))
            && evidence.old_last_used.is_none_or(|last| is_past(last, silence))
            && is_past(evidence.watched_since, silence)
    }
}

/// It cannot go on, and nothing is retired yet: the old version stays, as after a roll-back.
fn fail(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Arc<Rotation> {
    let overlap = rotation.course.as_ref().map(|course| course.terms.overlap).unwrap_or_default();
    course::give_back(transaction, subject, &rotation, overlap, text);
    rotation::end(transaction, subject, rotation, RotationState::Failed, text, Vec::new())
}

/// What was seen, as an auditor wants to know it.
fn facts_of(evidence: &Evidence) -> Facts {
    let Evidence { old_last_used, new_first_used, watched_since, callers } = evidence;
    let caller = |caller: &Caller| {
        let network = caller.network.as_ref().map_or_else(|| "unknown".to_string(), ToString::to_string);
        let (last_used, count) = (caller.last_used.millis(), caller.count);
        ("caller", format!("{network} \"{}\" last_used_ms={last_used} count={count}", caller.user_agent))
    };
    let mut facts: Facts = callers.iter().take(CALLERS_MAX).map(caller).collect();
    facts.extend(new_first_used.map(|time| ("new_first_used_ms", time.millis().to_string())));
    facts.extend(old_last_used.map(|time| ("old_last_used_ms", time.millis().to_string())));
    facts.push(("watched_since_ms", watched_since.millis().to_string()));
    facts
}
