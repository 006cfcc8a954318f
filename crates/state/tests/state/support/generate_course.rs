//! Histories of rotations by policy: what whoever drives them asks, mostly one step after the other, and what operators
//! do to it meanwhile. Intervals are of minutes, since histories are of hours.

use super::build::{START, key_name, slug, version_id};
use latchkey_crypto::Digest;
use latchkey_domain::{
    AtDeadline, Delivery, DurationMillis, ExpiryNotices, HoldCause, OverlapStart, ReasonText, RecipientKey, RiskClass,
    RotationId, RotationMode, RotationName, RotationPolicy, RotationTerms, UnixMillis,
};
use latchkey_state::{
    AdvanceRotation, ClaimRotations, DriverStep, Evidence, ExpiryChange, GiveNotices, KeyChanges, NewCourse,
    NewVersion, Operation, PLANS_PER_COMMAND_MAX, PlanRotations, PlannedRotation, PrepareRotation, RotationStep,
    StepRotation, UpdateKey, bootstrap_ring,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const MINUTE: DurationMillis = DurationMillis::from_secs(60);

fn minutes() -> impl Strategy<Value = DurationMillis> {
    (1..12_u64).prop_map(|minutes| DurationMillis::new(minutes * MINUTE.millis()))
}

pub(super) fn terms() -> impl Strategy<Value = RotationTerms> {
    let start = prop_oneof![4 => Just(OverlapStart::AtOnce), 1 => Just(OverlapStart::FirstUse)];
    (minutes(), option::of(minutes()), start, any::<bool>()).prop_map(|(overlap, hold, overlap_start, is_short)| {
        RotationTerms {
            overlap: if is_short { DurationMillis::ZERO } else { overlap },
            overlap_min: if is_short { DurationMillis::ZERO } else { MINUTE },
            silence: (!is_short).then_some(MINUTE),
            overlap_start,
            at_deadline: hold.filter(|_| !is_short).map_or(AtDeadline::Enforce, |max| AtDeadline::Hold { max }),
        }
    })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let recipient = Delivery::Recipient(RecipientKey::X25519([7; 32]));
    select(vec![Delivery::Store(slug("vault")), recipient])
}

pub(super) fn policy() -> impl Strategy<Value = Box<RotationPolicy>> {
    let mode = prop_oneof![5 => Just(RotationMode::Automatic), 1 => Just(RotationMode::Notify)];
    (mode, terms(), delivery(), prop::bool::weighted(0.3)).prop_map(|(mode, terms, delivery, is_mortal)| {
        let interval = DurationMillis::new(15 * MINUTE.millis());
        let policy = RotationPolicy {
            risk: RiskClass::Custom,
            mode,
            interval,
            terms,
            notices: [DurationMillis::new(5 * MINUTE.millis())].into(),
            windows: [].into(),
            jitter: MINUTE,
            at_once_max: 2,
            phases: [].into(),
            maximum_lifetime: is_mortal.then(|| interval.plus(terms.overlap).plus(terms.hold_max())),
            delivery: Some(delivery),
        };
        policy.check().unwrap();
        Box::new(policy)
    })
}

pub(super) fn new_course() -> impl Strategy<Value = Box<NewCourse>> {
    let ahead = (1..60_u64).prop_map(|minutes| START.plus(DurationMillis::new(minutes * MINUTE.millis())));
    (terms(), option::weighted(0.3, delivery()), option::weighted(0.3, ahead))
        .prop_map(|(terms, delivery, activate_at)| Box::new(NewCourse { terms, delivery, activate_at }))
}

/// Nearly always the fence of the holder that nearly always claims.
fn fence() -> impl Strategy<Value = u64> {
    prop_oneof![30 => Just(1), 2 => Just(2), 1 => Just(0), 1 => Just(u64::MAX)]
}

fn key_number() -> impl Strategy<Value = u8> {
    0..3_u8
}

/// The rotation of a key, and the version that it gets: mostly the ones that it always has.
fn parts(key: u8) -> (RotationName, NewVersion) {
    let rotation = RotationName { key: key_name("acme/live", key), rotation: RotationId::from_random([80 + key; 12]) };
    let number = 40 + key;
    let new = NewVersion {
        id: version_id(number),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([number; 32]),
        inner: [number; 101],
    };
    (rotation, new)
}

fn claim(holder: u8) -> Operation {
    Operation::ClaimRotations(ClaimRotations { holder: [holder; 16], life: DurationMillis::from_secs(10) })
}

fn plan(fence: u64, keys: &[u8]) -> Operation {
    let plan = |key: &u8| {
        let (RotationName { key, rotation }, _) = parts(*key);
        PlannedRotation { key, rotation, phase: 1, starts_at: None }
    };
    Operation::PlanRotations(PlanRotations { fence, plans: keys.iter().map(plan).collect() })
}

fn prepare(fence: u64, key: u8, is_lost: bool) -> Operation {
    let (rotation, new) = parts(key);
    let replaces = is_lost.then_some(new.id);
    let new = if is_lost { NewVersion { id: version_id(50 + key), ..new } } else { new };
    Operation::PrepareRotation(Box::new(PrepareRotation { fence, rotation, new, replaces, replay: Box::new([9; 40]) }))
}

fn advance(fence: u64, key: u8, step: DriverStep) -> Operation {
    let (rotation, new) = parts(key);
    Operation::AdvanceRotation(Box::new(AdvanceRotation { fence, rotation, version: Some(new.id), step }))
}

fn evidence(is_silent: bool) -> Evidence {
    let old_last_used = (!is_silent).then_some(UnixMillis::LAST);
    // Later than whatever was verified: by its consumer.
    let new_first_used = Some(START.plus(DurationMillis::from_days(1_000)));
    Evidence { old_last_used, new_first_used, watched_since: START, callers: Vec::new() }
}

fn driver_step() -> impl Strategy<Value = DriverStep> {
    let text = || ReasonText::parse("because").unwrap();
    prop_oneof![
        2 => Just(DriverStep::Deliver { sealed: None }),
        1 => Just(DriverStep::Deliver { sealed: Some(Box::new([5; 60])) }),
        1 => Just(DriverStep::Activate),
        2 => Just(DriverStep::Verify),
        2 => Just(DriverStep::BeginOverlap),
        2 => any::<bool>().prop_map(|is_silent| DriverStep::Retire(evidence(is_silent))),
        1 => any::<bool>().prop_map(|is_silent| DriverStep::Warn(evidence(is_silent))),
        3 => (select(HoldCause::ALL.to_vec()), option::of(any::<bool>().prop_map(evidence)))
            .prop_map(move |(cause, evidence)| DriverStep::Hold { cause, text: text(), evidence }),
        2 => Just(DriverStep::Fail { text: text() }),
    ]
}

/// One thing that a driver asks, wherever the rotation is.
pub(super) fn driving() -> BoxedStrategy<Operation> {
    let many = vec![0; PLANS_PER_COMMAND_MAX + 1];
    let keys = || prop_oneof![20 => vec(0..5_u8, 1..4), 1 => Just(many.clone())];
    prop_oneof![
        2 => prop_oneof![9 => Just(1_u8), 1 => Just(2)].prop_map(claim),
        3 => (fence(), keys()).prop_map(|(fence, keys)| plan(fence, &keys)),
        2 => (fence(), key_number(), any::<bool>()).prop_map(|(fence, key, is_lost)| prepare(fence, key, is_lost)),
        8 => (fence(), key_number(), driver_step()).prop_map(|(fence, key, step)| advance(fence, key, step)),
        1 => (fence(), key_number()).prop_map(|(fence, key)| {
            let (rotation, _) = parts(key);
            let text = ReasonText::default();
            let step = DriverStep::Hold { cause: HoldCause::Delivery, text, evidence: None };
            Operation::AdvanceRotation(Box::new(AdvanceRotation { fence, rotation, version: None, step }))
        }),
        2 => (fence(), keys()).prop_map(|(fence, keys)| {
            let keys = keys.into_iter().map(|key| key_name("acme/live", key)).collect();
            Operation::GiveNotices(GiveNotices { fence, keys })
        }),
        2 => (fence(), keys()).prop_map(|(fence, keys)| {
            let keys = keys.into_iter().map(|key| key_name("acme/live", key)).collect();
            Operation::GiveExpiryNotices(GiveNotices { fence, keys })
        }),
    ]
    .boxed()
}

/// Often enough that each few minutes one falls due.
pub(super) fn expiry_notices() -> ExpiryNotices {
    let spans = [60, 50, 40, 30, 20, 10, 5, 1].map(|minutes| DurationMillis::new(minutes * MINUTE.millis()));
    ExpiryNotices::new(spans).unwrap()
}

/// A key that is given an end, and of which a driver then tells again and again.
pub(super) fn ending() -> BoxedStrategy<Vec<Operation>> {
    (key_number(), 1..300_u64, 1..8_usize)
        .prop_map(|(key, minutes, times)| {
            let key = key_name("acme/live", key);
            let end = START.plus(DurationMillis::new(minutes * MINUTE.millis()));
            let changes = KeyChanges { expiry: Some(ExpiryChange::At(end)), ..KeyChanges::default() };
            let change = Operation::UpdateKey(Box::new(UpdateKey { key: key.clone(), changes, etag: None }));
            let tell = Operation::GiveExpiryNotices(GiveNotices { fence: 1, keys: vec![key] });
            let mut steps = vec![claim(1), change];
            steps.extend(vec![tell; times]);
            steps
        })
        .boxed()
}

/// A rotation, one step after the other, as far as a driver came before it died.
pub(super) fn course() -> BoxedStrategy<Vec<Operation>> {
    // Of a driver that came to the end: how often he told that the old version is still used.
    let warnings = prop_oneof![3 => Just(0), 1 => 1..16_usize];
    (key_number(), 2..8_usize, any::<bool>(), any::<bool>(), prop::bool::weighted(0.3), warnings)
        .prop_map(|(key, length, is_lost, is_silent, is_held, warnings)| {
            let mut steps = vec![claim(1), plan(1, &[key]), prepare(1, key, false)];
            if is_lost {
                steps.push(prepare(1, key, false));
            }
            let then = [DriverStep::Deliver { sealed: None }, DriverStep::Verify, DriverStep::BeginOverlap];
            steps.extend(then.map(|step| advance(1, key, step)));
            steps.truncate(length);
            if length == 7 {
                steps.extend(vec![advance(1, key, DriverStep::Warn(evidence(false))); warnings]);
                steps.push(advance(1, key, DriverStep::Retire(evidence(is_silent))));
            }
            if is_held {
                let (rotation, _) = parts(key);
                let step = |step| {
                    let (rotation, text) = (rotation.clone(), ReasonText::default());
                    Operation::StepRotation(StepRotation { rotation, step, text, etag: None })
                };
                steps.extend([RotationStep::Hold, RotationStep::Resume].map(step));
            }
            steps
        })
        .boxed()
}
