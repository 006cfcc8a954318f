//! Each state, each time that matters in it, and each thing that may have gone wrong.

use super::*;
use crate::driver::attempts::Failure;
use latchkey_domain::{
    Delivery, DisplayName, KeyId, KeyspaceNumber, Network, ReasonText, Revision, RotationId, RotationTerms, Slug,
};
use latchkey_state::{Caller, Change, Held};

const NOW: UnixMillis = UnixMillis::new(1_000_000_000);
const MINUTE: DurationMillis = DurationMillis::from_secs(60);
const HOUR: DurationMillis = DurationMillis::from_secs(3_600);
const DAY: DurationMillis = DurationMillis::from_days(1);

fn ago(span: DurationMillis) -> UnixMillis {
    UnixMillis::new(NOW.millis() - span.millis())
}

fn version(last: u8) -> VersionId {
    VersionId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]).unwrap()
}

fn course() -> Course {
    let terms = RotationTerms {
        overlap: DAY,
        overlap_min: HOUR,
        silence: Some(HOUR),
        overlap_start: OverlapStart::AtOnce,
        at_deadline: AtDeadline::Hold { max: DAY },
    };
    Course::new(terms, Some(Delivery::Store(Slug::parse("vault").unwrap())))
}

fn rotation(state: RotationState, change: impl FnOnce(&mut Rotation, &mut Course)) -> Rotation {
    let mut course = course();
    let mut rotation = Rotation {
        id: RotationId::LOWEST,
        keyspace: KeyspaceNumber(1),
        key: KeyId::LOWEST,
        state,
        old: Some(version(1)),
        new: (state != RotationState::Planned).then(|| version(2)),
        overlap: None,
        overlap_ends_at: None,
        created_at: ago(DAY),
        changed: Change { revision: Revision::new(1, 1), at: ago(HOUR) },
        ended_at: None,
        text: ReasonText::default(),
        course: None,
    };
    match state {
        RotationState::Prepared => course.replay = Some([1; 8].into()),
        RotationState::Delivered => course.activated_at = Some(ago(MINUTE)),
        RotationState::Verified => {
            (course.activated_at, course.verified_at) = (Some(ago(HOUR)), Some(ago(MINUTE)));
        }
        // Half of it is over.
        RotationState::Overlap => began(&mut rotation, &mut course, DurationMillis::new(DAY.millis() / 2)),
        _ => {}
    }
    change(&mut rotation, &mut course);
    rotation.course = Some(Box::new(course));
    rotation
}

/// The overlap began so long ago.
fn began(rotation: &mut Rotation, course: &mut Course, span: DurationMillis) {
    course.overlap_began_at = Some(ago(span));
    rotation.overlap = Some(course.terms.overlap);
    rotation.overlap_ends_at = Some(ago(span).plus(course.terms.overlap));
    course.hold_ends_at = match course.terms.at_deadline {
        AtDeadline::Hold { max } => rotation.overlap_ends_at.map(|deadline| deadline.plus(max)),
        AtDeadline::Enforce => None,
    };
}

fn held(from: RotationState, cause: HoldCause, change: impl FnOnce(&mut Rotation, &mut Course)) -> Rotation {
    rotation(RotationState::Held, |rotation, course| {
        course.hold =
            Some(Held { from, at: ago(HOUR), cause, text: ReasonText::parse("the hook ended with 1").unwrap() });
        if from == RotationState::Overlap {
            // Over for an hour.
            began(rotation, course, DAY.plus(HOUR));
        } else {
            course.hold_ends_at = Some(ago(HOUR).plus(HOLD_BEFORE_OVERLAP_MAX));
        }
        change(rotation, course);
    })
}

fn evidence() -> Evidence {
    Evidence { old_last_used: None, new_first_used: None, watched_since: ago(DAY), callers: Vec::new() }
}

fn look(new_seen: bool, verdict: Verdict) -> Look {
    let all_told = !matches!(verdict, Verdict::Keep { known: false, .. });
    Look { at: NOW, new_seen, all_told, verdict, evidence: evidence() }
}

fn moved() -> Look {
    look(true, Verdict::Moved)
}

fn kept(known: bool) -> Look {
    let text = "the old version is still used by 203.0.113.0/24 (curl/8.1)".to_owned();
    look(true, Verdict::Keep { text, known })
}

fn standing<'a>(rotation: &'a Rotation, attempts: &'a Attempts, look: Option<&'a Look>) -> Standing<'a> {
    let level = WARNING_LEVEL;
    Standing { rotation, now: NOW, opens_at: Some(NOW), old_lives: true, attempts, text_lost: false, look, level }
}

fn step_of(rotation: &Rotation, look: Option<&Look>) -> Step {
    next_step(standing(rotation, &Attempts::default(), look))
}

fn nothing(_: &mut Rotation, _: &mut Course) {}

const SOON: DurationMillis = DurationMillis::from_secs(60);

#[test]
fn what_has_ended_and_what_nobody_drives_is_left_alone() {
    for state in RotationState::ALL {
        let alone = Rotation { course: None, ..rotation(state, nothing) };
        assert_eq!(step_of(&alone, None), Step::Wait(UnixMillis::LAST), "{state} without a course");
        if state.is_final() {
            assert_eq!(step_of(&rotation(state, nothing), None), Step::Wait(UnixMillis::LAST), "{state}");
        }
    }
}

#[test]
fn what_is_planned_starts_at_its_time_in_its_window() {
    let planned = |starts_at| rotation(RotationState::Planned, |_, course| course.starts_at = starts_at);
    let prepare = Step::Prepare { replaces: None };
    assert_eq!(step_of(&planned(None), None), prepare);
    assert_eq!(step_of(&planned(Some(NOW)), None), prepare);
    let later = NOW.plus(HOUR);
    assert_eq!(step_of(&planned(Some(later)), None), Step::Wait(later));
    let (rotation, attempts) = (planned(None), Attempts::default());
    let closed = Standing { opens_at: Some(later), ..standing(&rotation, &attempts, None) };
    assert_eq!(next_step(closed), Step::Wait(later));
    let unwanted = Standing { opens_at: None, ..standing(&rotation, &attempts, None) };
    assert!(matches!(next_step(unwanted), Step::Fail { .. }));
}

#[test]
fn what_is_prepared_is_delivered_or_prepared_anew_where_its_text_is_lost() {
    let prepared = rotation(RotationState::Prepared, nothing);
    assert_eq!(step_of(&prepared, None), Step::Deliver);
    let anew = Step::Prepare { replaces: Some(version(2)) };
    let attempts = Attempts::default();
    assert_eq!(next_step(Standing { text_lost: true, ..standing(&prepared, &attempts, None) }), anew);
    let swept = rotation(RotationState::Prepared, |_, course| course.replay = None);
    assert_eq!(step_of(&swept, None), anew);
    let shown = rotation(RotationState::Prepared, |_, course| (course.replay, course.delivery) = (None, None));
    assert_eq!(step_of(&shown, None), Step::Deliver, "whoever began it has the text");
    let often = rotation(RotationState::Prepared, |_, course| (course.replay, course.attempts) = (None, FAILURES_MAX));
    assert!(matches!(step_of(&often, None), Step::Hold { cause: HoldCause::Delivery, .. }));
}

#[test]
fn what_is_delivered_is_activated_at_its_time_and_verified_then() {
    let delivered = |activate_at, activated_at| {
        let set = |_: &mut Rotation, course: &mut Course| {
            (course.activate_at, course.activated_at) = (activate_at, activated_at);
        };
        step_of(&rotation(RotationState::Delivered, set), None)
    };
    assert_eq!(delivered(None, Some(NOW)), Step::Verify);
    assert_eq!(delivered(Some(ago(HOUR)), None), Step::Activate);
    assert_eq!(delivered(Some(NOW), None), Step::Activate);
    assert_eq!(delivered(Some(NOW.plus(HOUR)), None), Step::Wait(NOW.plus(HOUR)));
    assert_eq!(delivered(Some(NOW), Some(NOW)), Step::Verify);
}

#[test]
fn an_overlap_begins_at_once_or_when_the_new_version_is_seen() {
    assert_eq!(step_of(&rotation(RotationState::Verified, nothing), None), Step::BeginOverlap);
    let on_use = |verified_at| {
        rotation(RotationState::Verified, |_, course| {
            course.terms.overlap_start = OverlapStart::FirstUse;
            course.verified_at = Some(verified_at);
        })
    };
    let (unused, used) = (Look { new_seen: false, ..kept(true) }, kept(true));
    assert_eq!(step_of(&on_use(ago(MINUTE)), None), Step::Look);
    assert_eq!(step_of(&on_use(ago(MINUTE)), Some(&unused)), Step::Wait(NOW.plus(SOON)));
    assert_eq!(step_of(&on_use(ago(MINUTE)), Some(&used)), Step::BeginOverlap);
    assert_eq!(step_of(&on_use(ago(DAY)), Some(&used)), Step::BeginOverlap);
    assert!(matches!(step_of(&on_use(ago(DAY)), Some(&unused)), Step::Hold { cause: HoldCause::NeverSeen, .. }));
    // Who does not answer may have seen it, and may answer soon.
    let unknown = Look { new_seen: false, ..kept(false) };
    assert_eq!(step_of(&on_use(ago(DAY)), Some(&unknown)), Step::Wait(NOW.plus(SOON)));
    let Step::Hold { text, .. } = step_of(&on_use(ago(DAY.plus(UNKNOWN_MAX))), Some(&unknown)) else {
        panic!("it is asked for ever")
    };
    assert!(text.contains("is not known"), "{text}");
    let (rotation, attempts) = (on_use(ago(MINUTE)), Attempts::default());
    let alone = Standing { old_lives: false, ..standing(&rotation, &attempts, None) };
    assert_eq!(next_step(alone), Step::BeginOverlap, "there is nothing to wait with");
}

#[test]
fn an_overlap_ends_when_the_traffic_has_moved_and_never_before_its_minimum() {
    let began_before = |span| rotation(RotationState::Overlap, |rotation, course| began(rotation, course, span));
    let young = began_before(MINUTE);
    assert_eq!(step_of(&young, Some(&moved())), Step::Wait(ago(MINUTE).plus(HOUR)));
    let grown = began_before(HOUR);
    assert_eq!(step_of(&grown, None), Step::Look);
    assert_eq!(step_of(&grown, Some(&moved())), Step::Retire(evidence()));
    for known in [true, false] {
        assert_eq!(step_of(&grown, Some(&kept(known))), Step::Wait(NOW.plus(SOON)));
    }
}

#[test]
fn what_the_replicas_told_a_while_ago_decides_nothing() {
    let stale = Look { at: ago(LOOK_FRESH), ..moved() };
    assert_eq!(step_of(&rotation(RotationState::Overlap, nothing), Some(&stale)), Step::Look);
}

#[test]
fn at_the_deadline_what_is_still_used_is_held_or_ended_as_the_terms_say() {
    let over = |since: DurationMillis| {
        rotation(RotationState::Overlap, |rotation, course| began(rotation, course, DAY.plus(since)))
    };
    let at_deadline = over(DurationMillis::ZERO);
    assert_eq!(step_of(&at_deadline, None), Step::Look);
    assert_eq!(step_of(&at_deadline, Some(&moved())), Step::Retire(evidence()));
    let Step::Hold { cause, text, evidence: Some(told) } = step_of(&at_deadline, Some(&kept(true))) else {
        panic!("it is still used")
    };
    assert_eq!((cause, told), (HoldCause::StillUsed, evidence()));
    assert!(text.contains("203.0.113.0/24 (curl/8.1)"), "{text}");
    // What is not known may be known soon.
    assert!(matches!(step_of(&at_deadline, Some(&kept(false))), Step::Wait(_)));
    assert!(matches!(step_of(&over(UNKNOWN_MAX), Some(&kept(false))), Step::Hold { .. }));

    let enforced = |silence| {
        rotation(RotationState::Overlap, |rotation, course| {
            (course.terms.at_deadline, course.terms.silence) = (AtDeadline::Enforce, silence);
            began(rotation, course, HOUR);
        })
    };
    let deadline = ago(HOUR).plus(DAY);
    let warns_from = UnixMillis::new(deadline.millis() - DAY.millis() / 10);
    assert_eq!(
        step_of(&enforced(None), Some(&kept(true))),
        Step::Wait(warns_from),
        "then it is looked at, and the clock ends it"
    );
    assert_eq!(step_of(&enforced(Some(HOUR)), Some(&moved())), Step::Retire(evidence()));
    assert_eq!(step_of(&enforced(Some(HOUR)), Some(&kept(true))), Step::Wait(NOW.plus(SOON)));
    let ended = rotation(RotationState::Overlap, |rotation, course| {
        course.terms.at_deadline = AtDeadline::Enforce;
        began(rotation, course, DAY);
    });
    assert_eq!(step_of(&ended, Some(&kept(true))), Step::Wait(UnixMillis::LAST));
}

/// Three callers used the old version: one now, one within the length of the last part, one before it.
fn used() -> Look {
    let caller = |network, last_used| Caller {
        network: Some(Network::parse(network).unwrap()),
        user_agent: DisplayName::default(),
        last_used,
        count: 3,
    };
    let callers = vec![
        caller("203.0.113.0/24", ago(MINUTE)),
        caller("198.51.100.0/24", ago(HOUR)),
        caller("192.0.2.0/24", ago(DurationMillis::new(DAY.millis() / 10))),
    ];
    Look { evidence: Evidence { old_last_used: Some(ago(MINUTE)), callers, ..evidence() }, ..kept(true) }
}

#[test]
fn in_the_last_part_of_an_overlap_who_still_uses_the_old_version_is_told_of_once() {
    let last_part = DurationMillis::new(DAY.millis() / 10);
    // It ends so much later than the last part begins.
    let ending = |at_deadline, silence, passed: DurationMillis| {
        rotation(RotationState::Overlap, |rotation, course| {
            (course.terms.at_deadline, course.terms.silence) = (at_deadline, silence);
            began(rotation, course, DurationMillis::new(DAY.millis() - last_part.millis() + passed.millis()));
        })
    };
    let (first, before) = (DurationMillis::ZERO, DurationMillis::from_secs(60));
    for silence in [Some(HOUR), None] {
        let rotation = ending(AtDeadline::Enforce, silence, first);
        assert_eq!(step_of(&rotation, None), Step::Look, "{silence:?}");
        let Step::Warn(told) = step_of(&rotation, Some(&used())) else { panic!("{silence:?}: it is used") };
        assert_eq!(told.callers, used().evidence.callers[..2], "{silence:?}");
        // Nobody is hurt, but somebody may be yet: he is looked for again.
        assert!(matches!(step_of(&rotation, Some(&kept(true))), Step::Wait(until) if until <= NOW.plus(SOON)));
        let unheard = Look { all_told: false, ..used() };
        assert!(matches!(step_of(&rotation, Some(&unheard)), Step::Wait(_)), "whoever does not answer may know more");
        let attempts = Attempts::default();
        let alone = Standing { old_lives: false, ..standing(&rotation, &attempts, None) };
        assert!(matches!(next_step(alone), Step::Wait(_) | Step::Look), "nobody uses what is dead");
        let stale = Look { at: ago(DurationMillis::from_secs(1)), ..used() };
        assert_eq!(step_of(&rotation, Some(&stale)), Step::Look, "what was seen before the last part is not enough");
        let mut warned = rotation.clone();
        warned.course.as_mut().unwrap().warned_at = Some(ago(MINUTE));
        assert!(matches!(step_of(&warned, Some(&used())), Step::Wait(_)), "once is enough");
        let (used, older) = (used(), WARNING_LEVEL - 1);
        let step = next_step(Standing { level: older, ..standing(&rotation, &attempts, Some(&used)) });
        assert!(matches!(step, Step::Wait(_)), "a cluster of an older level cannot write it down: {step:?}");
    }
    let early = rotation(RotationState::Overlap, |rotation, course| {
        course.terms.at_deadline = AtDeadline::Enforce;
        began(rotation, course, DurationMillis::new(DAY.millis() - last_part.millis() - before.millis()));
    });
    assert!(matches!(step_of(&early, Some(&used())), Step::Wait(until) if until <= NOW.plus(before)));
    let later = ending(AtDeadline::Enforce, None, UNKNOWN_MAX);
    let unheard = Look { all_told: false, ..used() };
    assert!(matches!(step_of(&later, Some(&unheard)), Step::Warn(_)), "it was asked again for long enough");
    // Silence ends it, and no warning comes before that.
    let rotation = ending(AtDeadline::Enforce, Some(HOUR), first);
    assert_eq!(step_of(&rotation, Some(&moved())), Step::Retire(evidence()));
}

#[test]
fn what_is_held_is_told_of_before_its_bound() {
    let nearly = DurationMillis::new(2 * DAY.millis() - MINUTE.millis());
    let by = |cause| held(RotationState::Overlap, cause, |rotation, course| began(rotation, course, nearly));
    for cause in [HoldCause::StillUsed, HoldCause::Asked] {
        assert!(matches!(step_of(&by(cause), Some(&used())), Step::Warn(_)), "{cause:?}");
    }
}

#[test]
fn the_next_look_is_not_later_than_the_deadline() {
    let nearly = DurationMillis::new(DAY.millis() - 10_000);
    let nearly = rotation(RotationState::Overlap, |rotation, course| began(rotation, course, nearly));
    assert_eq!(step_of(&nearly, Some(&kept(true))), Step::Wait(NOW.plus(DurationMillis::from_secs(10))));
}

#[test]
fn what_is_held_for_its_traffic_ends_when_that_has_moved_or_by_the_clock() {
    let cause = HoldCause::StillUsed;
    let held_here = held(RotationState::Overlap, cause, nothing);
    assert_eq!(step_of(&held_here, None), Step::Look);
    assert_eq!(step_of(&held_here, Some(&moved())), Step::Retire(evidence()));
    assert_eq!(step_of(&held_here, Some(&kept(true))), Step::Wait(NOW.plus(SOON)), "it is held already");
    let over = held(RotationState::Overlap, cause, |_, course| course.hold_ends_at = Some(NOW));
    assert_eq!(step_of(&over, Some(&kept(true))), Step::Wait(UnixMillis::LAST), "the clock has ended it");
}

#[test]
fn what_a_person_held_in_its_overlap_is_left_to_him_and_to_the_clock() {
    let held = held(RotationState::Overlap, HoldCause::Asked, nothing);
    let warns_from = held.warns_from().unwrap();
    assert!(NOW < warns_from);
    assert_eq!(step_of(&held, Some(&moved())), Step::Wait(warns_from));
}

#[test]
fn what_is_held_before_its_overlap_waits_for_a_person_and_fails_at_last() {
    let before = [RotationState::Planned, RotationState::Prepared, RotationState::Delivered, RotationState::Verified];
    for from in before {
        for cause in HoldCause::ALL {
            let fails_at = ago(HOUR).plus(HOLD_BEFORE_OVERLAP_MAX);
            assert_eq!(step_of(&held(from, cause, nothing), Some(&moved())), Step::Wait(fails_at), "{from} {cause:?}");
            let over = held(from, cause, |_, course| course.hold_ends_at = Some(NOW));
            let Step::Fail { text } = step_of(&over, None) else { panic!("{from} {cause:?}") };
            assert!(text.contains(cause.as_str()) && text.contains("the hook ended with 1"), "{text}");
        }
    }
}

/// Held before its overlap, when its new version was accepted for an hour.
fn accepted(from: RotationState, cause: HoldCause, is_over: bool) -> Rotation {
    held(from, cause, |_, course| {
        course.activated_at = Some(ago(HOUR));
        course.verified_at = (from == RotationState::Verified).then(|| ago(HOUR));
        if is_over {
            course.hold_ends_at = Some(NOW);
        }
    })
}

#[test]
fn what_nobody_had_used_goes_on_once_somebody_does_and_fails_where_nobody_did() {
    let unused = Look { new_seen: false, ..kept(true) };
    let step =
        |is_over, look: Option<&Look>| step_of(&accepted(RotationState::Verified, HoldCause::NeverSeen, is_over), look);
    for is_over in [false, true] {
        assert_eq!(step(is_over, None), Step::Look);
        assert_eq!(step(is_over, Some(&kept(true))), Step::BeginOverlap);
    }
    assert_eq!(step(false, Some(&unused)), Step::Wait(NOW.plus(SOON)));
    assert!(matches!(step(true, Some(&unused)), Step::Fail { .. }));
}

#[test]
fn what_is_held_does_not_fail_while_its_new_version_is_or_may_be_in_use() {
    let fails = |from, cause, look: &Look| {
        let step = step_of(&accepted(from, cause, true), Some(look));
        assert!(matches!(step, Step::Fail { .. } | Step::Wait(_)), "{step:?}");
        matches!(step, Step::Fail { .. })
    };
    let unused = Look { new_seen: false, ..kept(true) };
    let young = Evidence { watched_since: ago(HOUR), ..evidence() };
    for (from, cause) in [
        (RotationState::Verified, HoldCause::Asked),
        (RotationState::Delivered, HoldCause::Check),
        (RotationState::Delivered, HoldCause::Delivery),
    ] {
        assert!(fails(from, cause, &unused), "{from}");
        assert!(!fails(from, cause, &kept(true)), "{from}: it is in use");
        assert!(!fails(from, cause, &Look { all_told: false, ..unused.clone() }), "{from}: somebody tells nothing");
        assert!(!fails(from, cause, &Look { evidence: young.clone(), ..unused.clone() }), "{from}: somebody forgot");
    }
}

#[test]
fn what_is_held_without_an_old_version_is_completed_or_left_to_a_person_and_never_fails() {
    let attempts = Attempts::default();
    let step = |from, cause, is_over| {
        let rotation = accepted(from, cause, is_over);
        next_step(Standing { old_lives: false, ..standing(&rotation, &attempts, None) })
    };
    use RotationState::{Delivered, Verified};
    assert_eq!(step(Verified, HoldCause::NeverSeen, false), Step::BeginOverlap);
    assert_eq!(step(Verified, HoldCause::Asked, true), Step::BeginOverlap);
    assert!(matches!(step(Verified, HoldCause::Asked, false), Step::Wait(_)));
    for is_over in [false, true] {
        assert_eq!(step(Delivered, HoldCause::Check, is_over), Step::Wait(UnixMillis::LAST), "it is only staged");
    }
}

#[test]
fn what_fails_waits_is_tried_again_and_is_held_in_the_end_before_anything_is_retired() {
    let unsettled =
        [RotationState::Planned, RotationState::Prepared, RotationState::Delivered, RotationState::Verified];
    for state in unsettled {
        let rotation = rotation(state, nothing);
        let failure = Failure { cause: HoldCause::Check, text: "the check ended with 1".to_owned(), lasts: false };
        let mut attempts = Attempts::default();
        for _ in 1..FAILURES_MAX {
            attempts.fail(failure.clone(), NOW);
            assert!(
                matches!(next_step(standing(&rotation, &attempts, None)), Step::Wait(until) if until > NOW),
                "{state}"
            );
        }
        attempts.fail(failure.clone(), NOW);
        let held = Step::Hold { cause: HoldCause::Check, text: failure.text, evidence: None };
        assert_eq!(next_step(standing(&rotation, &attempts, None)), held, "{state}");
    }
}

#[test]
fn while_the_cluster_is_away_a_step_is_put_off_in_every_state() {
    let mut attempts = Attempts::default();
    attempts.postpone(NOW);
    let unsettled = RotationState::ALL.into_iter().filter(|state| !state.is_final() && *state != RotationState::Held);
    for state in unsettled {
        let rotation = rotation(state, nothing);
        assert!(matches!(next_step(standing(&rotation, &attempts, None)), Step::Wait(until) if until > NOW), "{state}");
    }
}

#[test]
fn every_state_has_a_step_or_a_time_at_every_moment() {
    let minutes = [0, 1, 59, 60, 61, 719, 1_439, 1_440, 1_441, 2_879, 2_880, 2_881, 20_160];
    let looks =
        [None, Some(moved()), Some(kept(true)), Some(kept(false)), Some(Look { new_seen: false, ..kept(true) })];
    let mut cases = 0;
    for state in RotationState::ALL {
        for cause in HoldCause::ALL {
            for from in
                [RotationState::Planned, RotationState::Prepared, RotationState::Verified, RotationState::Overlap]
            {
                let rotation =
                    if state == RotationState::Held { held(from, cause, nothing) } else { rotation(state, nothing) };
                for (minute, look) in minutes.iter().flat_map(|minute| looks.iter().map(move |look| (*minute, look))) {
                    let now = ago(DAY).plus(DurationMillis::from_secs(minute * 60));
                    let look = look.clone().map(|look| Look { at: now, ..look });
                    let attempts = Attempts::default();
                    let standing = Standing {
                        now,
                        opens_at: Some(now),
                        look: look.as_ref(),
                        ..standing(&rotation, &attempts, None)
                    };
                    match next_step(standing) {
                        Step::Wait(until) => assert!(until > now, "{state} at {minute} waits for what has been"),
                        Step::Look => assert!(look.is_none(), "{state} looks twice"),
                        _ => assert!(!rotation.state_at(now).is_final()),
                    }
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 10 * 5 * 4 * 13 * 5);
}

#[test]
fn what_the_cluster_will_not_take_any_more_fails_before_the_overlap_and_waits_in_it() {
    let mut attempts = Attempts::default();
    attempts.refuse("its key is revoked".to_owned(), true, NOW);
    let fails = Step::Fail { text: "its key is revoked".to_owned() };
    use RotationState::{Delivered, Overlap, Planned, Prepared, Verified};
    for state in [Planned, Prepared, Delivered, Verified] {
        assert_eq!(next_step(standing(&rotation(state, nothing), &attempts, None)), fails, "{state}");
    }
    assert!(matches!(next_step(standing(&rotation(Overlap, nothing), &attempts, None)), Step::Wait(_)));
}

#[test]
fn what_is_given_up_is_written_down_no_more_often_than_the_cluster_takes_it() {
    let mut attempts = Attempts::default();
    attempts.fail(Failure { cause: HoldCause::Delivery, text: "no such store".to_owned(), lasts: true }, NOW);
    let prepared = rotation(RotationState::Prepared, nothing);
    assert!(matches!(next_step(standing(&prepared, &attempts, None)), Step::Hold { .. }));
    // The audit service is behind.
    attempts.postpone(NOW);
    assert!(matches!(next_step(standing(&prepared, &attempts, None)), Step::Wait(until) if until > NOW));
}
