//! Every step in every state: where it leads, that the same again changes nothing, and that neither an old fence nor
//! another version gets through.

use super::*;
use latchkey_domain::{HoldCause, Refusal};
use latchkey_state::State;

/// What anybody may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Prepare,
    Deliver,
    Activate,
    Verify,
    BeginOverlap,
    /// With evidence that the old version is silent.
    Retire,
    /// With evidence that it is used.
    RetireUsed,
    Hold(HoldCause),
    Fail,
    Operator(RotationStep),
}

const ASKS: [Ask; 17] = [
    Ask::Prepare,
    Ask::Deliver,
    Ask::Activate,
    Ask::Verify,
    Ask::BeginOverlap,
    Ask::Retire,
    Ask::RetireUsed,
    Ask::Hold(HoldCause::Delivery),
    Ask::Hold(HoldCause::Check),
    Ask::Hold(HoldCause::StillUsed),
    Ask::Hold(HoldCause::NeverSeen),
    Ask::Fail,
    Ask::Operator(RotationStep::Complete),
    Ask::Operator(RotationStep::Cancel),
    Ask::Operator(RotationStep::Hold),
    Ask::Operator(RotationStep::Resume),
    Ask::Operator(RotationStep::RollBack { overlap: None }),
];

/// Where each of them leads from each state: a state, `=` where it is there already, `-` where it is refused.
const TABLE: [(&str, [&str; 17]); 17] = [
    (
        "planned",
        [
            "PREPARED",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "HELD",
            "HELD",
            "-",
            "HELD",
            "FAILED",
            "-",
            "CANCELLED",
            "HELD",
            "=",
            "-",
        ],
    ),
    (
        "prepared",
        [
            "=",
            "DELIVERED",
            "-",
            "-",
            "-",
            "-",
            "-",
            "HELD",
            "HELD",
            "-",
            "HELD",
            "FAILED",
            "-",
            "CANCELLED",
            "HELD",
            "=",
            "-",
        ],
    ),
    (
        "delivered",
        [
            "-",
            "=",
            "=",
            "VERIFIED",
            "-",
            "-",
            "-",
            "HELD",
            "HELD",
            "-",
            "HELD",
            "FAILED",
            "-",
            "CANCELLED",
            "HELD",
            "=",
            "ROLLED_BACK",
        ],
    ),
    (
        "waiting",
        [
            "-",
            "=",
            "-",
            "-",
            "-",
            "-",
            "-",
            "HELD",
            "HELD",
            "-",
            "HELD",
            "FAILED",
            "-",
            "CANCELLED",
            "HELD",
            "=",
            "ROLLED_BACK",
        ],
    ),
    (
        "verified",
        [
            "-",
            "-",
            "-",
            "=",
            "OVERLAP",
            "-",
            "-",
            "HELD",
            "HELD",
            "-",
            "HELD",
            "FAILED",
            "-",
            "CANCELLED",
            "HELD",
            "=",
            "ROLLED_BACK",
        ],
    ),
    (
        "begun",
        ["-", "-", "-", "-", "=", "-", "-", "-", "-", "-", "-", "-", "COMPLETED", "-", "HELD", "=", "ROLLED_BACK"],
    ),
    (
        "overlap",
        [
            "-",
            "-",
            "-",
            "-",
            "=",
            "COMPLETED",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "COMPLETED",
            "-",
            "HELD",
            "=",
            "ROLLED_BACK",
        ],
    ),
    (
        "late",
        [
            "-",
            "-",
            "-",
            "-",
            "=",
            "COMPLETED",
            "-",
            "-",
            "-",
            "HELD",
            "-",
            "-",
            "COMPLETED",
            "-",
            "HELD",
            "=",
            "ROLLED_BACK",
        ],
    ),
    (
        "held used",
        [
            "-",
            "-",
            "-",
            "-",
            "-",
            "COMPLETED",
            "-",
            "-",
            "-",
            "=",
            "-",
            "-",
            "COMPLETED",
            "-",
            "HELD",
            "OVERLAP",
            "ROLLED_BACK",
        ],
    ),
    (
        "held asked",
        ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "COMPLETED", "-", "=", "OVERLAP", "ROLLED_BACK"],
    ),
    (
        "held delivery",
        ["-", "-", "-", "-", "-", "-", "-", "=", "-", "-", "-", "-", "-", "CANCELLED", "=", "PREPARED", "-"],
    ),
    (
        "held check",
        ["-", "-", "-", "-", "-", "-", "-", "-", "=", "-", "-", "-", "-", "CANCELLED", "=", "DELIVERED", "ROLLED_BACK"],
    ),
    (
        "held unseen",
        [
            "-",
            "-",
            "-",
            "-",
            "OVERLAP",
            "-",
            "-",
            "-",
            "-",
            "-",
            "=",
            "-",
            "COMPLETED",
            "CANCELLED",
            "=",
            "VERIFIED",
            "ROLLED_BACK",
        ],
    ),
    ("completed", ["-", "-", "-", "-", "=", "=", "=", "-", "-", "-", "-", "-", "=", "-", "-", "-", "-"]),
    ("rolled back", ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "="]),
    ("cancelled", ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "-", "=", "-", "-", "-"]),
    ("failed", ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "=", "-", "-", "-", "-", "-"]),
];

fn house(place: &str) -> House {
    use RotationState::{Delivered, Overlap, Planned, Prepared, Verified};
    let to = |state| House::to(policy(), state);
    let after = |mut house: House, millis, step| {
        house.pass(millis);
        house.advance(step);
        house
    };
    let hold = |cause| DriverStep::Hold { cause, text: because(), evidence: None };
    let by_hand = |mut house: House, step| {
        house.operator(step).answer.unwrap();
        house
    };
    match place {
        "planned" => to(Planned),
        "prepared" => to(Prepared),
        "delivered" => to(Delivered),
        "waiting" => {
            let mut house = House::new(policy());
            let activate_at = Some(later(house.now(), DAY));
            let course = NewCourse { terms: terms(), delivery: None, activate_at };
            house.world.done(rotate(false, Some(course)));
            house
        }
        "verified" => to(Verified),
        "begun" => to(Overlap),
        "overlap" => {
            let mut house = to(Overlap);
            house.pass(5 * HOUR);
            house
        }
        "late" => {
            let mut house = to(Overlap);
            house.pass(DAY);
            house
        }
        "held used" => after(to(Overlap), DAY, hold(HoldCause::StillUsed)),
        "held asked" => by_hand(to(Overlap), RotationStep::Hold),
        "held delivery" => after(to(Prepared), 0, hold(HoldCause::Delivery)),
        "held check" => after(to(Delivered), 0, hold(HoldCause::Check)),
        "held unseen" => after(to(Verified), 0, hold(HoldCause::NeverSeen)),
        "completed" => by_hand(to(Overlap), RotationStep::Complete),
        "rolled back" => by_hand(to(Overlap), RotationStep::RollBack { overlap: None }),
        "cancelled" => by_hand(to(Planned), RotationStep::Cancel),
        "failed" => after(to(Prepared), 0, DriverStep::Fail { text: because() }),
        other => panic!("no way to {other}"),
    }
}

impl Ask {
    fn command(self, house: &House) -> Command {
        let now = house.now();
        house.advancing(match self {
            Self::Prepare => return house.preparing(NEW, None),
            Self::Operator(step) => return by_operator(step),
            Self::Deliver => DriverStep::Deliver { sealed: Some(Box::new([5; 60])) },
            Self::Activate => DriverStep::Activate,
            Self::Verify => DriverStep::Verify,
            Self::BeginOverlap => DriverStep::BeginOverlap,
            Self::Retire => DriverStep::Retire(evidence(now, Some(2 * HOUR))),
            Self::RetireUsed => DriverStep::Retire(evidence(now, Some(2 * HOUR - 1))),
            Self::Hold(cause) => DriverStep::Hold { cause, text: because(), evidence: None },
            Self::Fail => DriverStep::Fail { text: because() },
        })
    }

    const fn is_of_driver(self) -> bool {
        !matches!(self, Self::Operator(_))
    }
}

/// All of the cells: a house where the rotation is there, the name of that, what is asked, and where it leads.
fn cells() -> impl Iterator<Item = (House, &'static str, Ask, &'static str)> {
    TABLE.into_iter().flat_map(|(place, row)| {
        let house = house(place);
        ASKS.into_iter().zip(row).map(move |(ask, to)| (house.clone(), place, ask, to))
    })
}

#[test]
fn each_step_leads_where_the_table_says_and_the_same_again_changes_nothing() {
    for (mut house, place, ask, expected) in cells() {
        let before = house.rotation().state;
        let command = ask.command(&house);
        let applied = house.world.apply(command.clone());
        let context = format!("{ask:?} of one that is {place}: {:?}", applied.answer);
        let after = house.rotation().state;
        match expected {
            "-" => {
                assert!(matches!(applied.answer, Err(Refusal::RotationNotIn { .. })), "{context}");
                assert!(is_unchanged(&applied), "{context}");
                continue;
            }
            "=" => {
                assert!(applied.answer.is_ok() && is_unchanged(&applied), "{context}");
                assert_eq!(after, before, "{context}");
            }
            state => {
                assert!(applied.answer.is_ok() && !is_unchanged(&applied), "{context}");
                assert_eq!(after.as_str(), state, "{context}");
            }
        }
        let again = house.world.apply(command);
        assert!(again.answer.is_ok() && is_unchanged(&again), "again: {context}");
    }
}

#[test]
fn a_step_with_an_old_fence_or_of_another_version_is_refused_and_changes_nothing() {
    for (mut house, place, ask, _) in cells().filter(|(_, _, ask, _)| ask.is_of_driver()) {
        let stale = ask.command(&house);
        let mut foreign = stale.clone();
        if let Operation::AdvanceRotation(advance) = &mut foreign.operation {
            advance.version = Some(version_id(99));
            let applied = house.world.apply(foreign);
            let Err(Refusal::RotationNotIn { expected, .. }) = &applied.answer else { panic!("{:?}", applied.answer) };
            assert_eq!(*expected, "a rotation of this version", "{ask:?} of one that is {place}");
            assert!(is_unchanged(&applied));
        }
        let fence = house.fence;
        house.pass(10_000);
        house.claim(8);
        let applied = house.world.apply(stale);
        assert_eq!(applied.answer, Err(Refusal::RotationFenced { fence, current: fence + 1 }));
        assert!(is_unchanged(&applied), "{ask:?} of one that is {place}");
    }
}

#[test]
fn a_log_that_is_applied_again_leads_to_the_same_state_whatever_happened_in_it() {
    for (mut house, place, ask, _) in cells() {
        let command = ask.command(&house);
        house.world.apply(command);
        let mut replayed = State::default();
        for (revision, command) in &house.world.log {
            replayed.apply(*revision, command);
        }
        assert!(replayed == house.world.state, "{ask:?} of one that is {place}");
        assert!(State::load(replayed.rows()).unwrap() == replayed, "{ask:?} of one that is {place}, loaded");
    }
}

#[test]
fn no_step_touches_what_the_key_may_do_its_metadata_its_id_or_its_etag() {
    let untouched = |house: &House| {
        let Key { id, keyspace, holder, display_name, terms, created, created_at, expires_at, .. } =
            (**house.key()).clone();
        let metadata: Vec<_> =
            house.key().metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect();
        let of_row = (id, keyspace, holder, display_name, terms, created, created_at, expires_at);
        (of_row, metadata, house.key().etag(), house.key().purpose().to_owned())
    };
    for (mut house, place, ask, _) in cells() {
        let before = untouched(&house);
        let command = ask.command(&house);
        house.world.apply(command);
        assert!(untouched(&house) == before, "{ask:?} of one that is {place}");
    }
}

#[test]
fn both_versions_are_accepted_from_the_delivery_until_the_old_one_ends() {
    let accepted = |place| house(place).accepted();
    for place in
        ["delivered", "verified", "begun", "overlap", "late", "held used", "held asked", "held check", "held unseen"]
    {
        assert_eq!(accepted(place), (true, true), "{place}");
    }
    for place in ["prepared", "waiting", "held delivery"] {
        assert_eq!(accepted(place), (true, false), "{place}: the new one is not accepted before its delivery");
    }
    assert_eq!(accepted("completed"), (false, true));
    assert_eq!(accepted("rolled back"), (true, true), "the new one may be in use by now: it ends a day later");
    assert_eq!(accepted("failed"), (true, false));
}

#[test]
fn a_secret_is_in_the_state_until_it_is_delivered_and_never_after_the_end() {
    for (place, _) in TABLE {
        let house = house(place);
        let course = house.rotation().course.as_ref().unwrap();
        assert_eq!(course.replay.is_some(), ["prepared", "held delivery"].contains(&place), "{place}");
        assert!(course.sealed.is_none(), "{place}: nothing was sealed");
    }
    let mut house = house("prepared");
    let sealed: Box<[u8]> = Box::new([5; 60]);
    house.advance(DriverStep::Deliver { sealed: Some(sealed.clone()) });
    assert_eq!(house.rotation().course.as_ref().unwrap().sealed, Some(sealed));
    house.operator(RotationStep::RollBack { overlap: None }).answer.unwrap();
    assert_eq!(house.rotation().course.as_ref().unwrap().sealed, None);
}

#[test]
fn what_has_no_evidence_in_its_favour_does_not_end() {
    let retired = |change: fn(&mut Evidence)| {
        let mut house = house("overlap");
        let mut evidence = evidence(house.now(), None);
        change(&mut evidence);
        let command = house.advancing(DriverStep::Retire(evidence));
        house.world.apply(command).answer.is_ok()
    };
    assert!(retired(|_| ()), "never used since the watch began is silent");
    assert!(!retired(|evidence| evidence.new_first_used = None), "the new one was never seen");
    assert!(!retired(|evidence| evidence.new_first_used = Some(START)), "only its store's check used it");
    assert!(!retired(|evidence| evidence.watched_since = later(evidence.watched_since, 2 * HOUR + 1)), "nobody looked");
    assert!(!retired(|evidence| evidence.old_last_used = Some(later(evidence.watched_since, 2 * HOUR + 1))));
}

#[test]
fn a_text_that_was_lost_is_replaced_and_its_version_dies() {
    let mut house = house("prepared");
    house.world.done(house.preparing(3, Some(NEW)));
    assert_eq!(house.rotation().state, RotationState::Prepared);
    assert_eq!((house.rotation().new, house.rotation().old), (Some(version_id(3)), Some(version_id(OLD))));
    assert_eq!(house.rotation().course.as_ref().unwrap().attempts, 1);
    assert!(house.version(NEW).revocation().is_some(), "nobody may ever have that secret accepted");
    let again = house.world.apply(house.preparing(3, Some(NEW)));
    assert!(again.answer.is_ok() && is_unchanged(&again));
    house.world.refused(house.preparing(4, Some(NEW)));
    house.advance(DriverStep::Deliver { sealed: None });
    assert_eq!(house.worth(3, house.now()), Worth::Accepted);
}

#[test]
fn a_version_that_is_to_be_accepted_from_a_time_on_is_not_before_it() {
    let mut house = house("waiting");
    let early = house.advancing(DriverStep::Activate);
    house.pass(DAY - 1);
    assert!(matches!(house.world.refused(early.clone()), Refusal::RotationNotIn { .. }));
    house.pass(1);
    house.world.done(early);
    assert_eq!((house.rotation().state, house.accepted()), (RotationState::Delivered, (true, true)));
    assert_eq!(house.version(NEW).active_since(), house.now(), "its age counts from here");
}
