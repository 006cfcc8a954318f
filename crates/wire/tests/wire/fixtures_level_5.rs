//! What level 5 brought to commands and rows of rotations. Its golden files lie beside those of the levels before.

use crate::fixtures::{key_id, keyspace_name, new_key, rows as rows_of_level_1, settings, version_id};
use crate::fixtures_level_2::{new_version, rotation_id};
use latchkey_domain::{
    AtDeadline, Delivery, DisplayName, DurationMillis, HoldCause, KeyName, KeyspaceNumber, Network, OverlapStart,
    ReasonText, RecipientKey, Revision, RiskClass, RotationMode, RotationName, RotationPhase, RotationPolicy,
    RotationState, RotationTerms, RotationWindow, Slug, UnixMillis,
};
use latchkey_state::{
    Actor, AdvanceRotation, Caller, Change, ClaimRotations, Command, Course, CreateKeys, CreateKeyspace, DriverStep,
    Evidence, Expiry, GiveNotices, Held, HolderName, Key, KeyChanges, Keyspace, KeyspaceChanges, KeyspaceSettings,
    NewCourse, NewKey, Operation, PlanRotations, PlannedRotation, PrepareRotation, RotateKey, Rotation, RotationClaim,
    RotationStep, Row, StepRotation, UpdateKey, UpdateKeyspace, Versions, WrappedKey,
};
use std::sync::Arc;

const AT: UnixMillis = UnixMillis::new(1_700_000_000_000);

const fn days(days: u64) -> DurationMillis {
    DurationMillis::from_days(days)
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn why(text: &str) -> ReasonText {
    ReasonText::parse(text).unwrap()
}

fn key_name() -> KeyName {
    KeyName { keyspace: keyspace_name(), key: key_id() }
}

pub(crate) fn rotation_name() -> RotationName {
    RotationName { key: key_name(), rotation: rotation_id() }
}

/// An RSA key of 2,048 bits, as far as its form goes.
fn rsa() -> RecipientKey {
    let mut der = vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09];
    der.extend([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00]);
    der.extend([0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
    der.extend([0xC5; 256]);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    RecipientKey::rsa(&der).unwrap()
}

fn terms() -> RotationTerms {
    RotationTerms {
        overlap: days(3),
        overlap_min: DurationMillis::from_secs(3_600),
        silence: Some(DurationMillis::from_secs(7_200)),
        overlap_start: OverlapStart::FirstUse,
        at_deadline: AtDeadline::Hold { max: days(5) },
    }
}

fn plain_policy() -> RotationPolicy {
    RotationPolicy {
        risk: RiskClass::Moderate,
        mode: RotationMode::Notify,
        interval: days(90),
        terms: RotationTerms::of_overlap(days(2)),
        notices: [].into(),
        windows: [].into(),
        jitter: DurationMillis::ZERO,
        at_once_max: 100,
        phases: [].into(),
        maximum_lifetime: None,
        delivery: None,
    }
}

fn full_policy(delivery: Delivery) -> RotationPolicy {
    let (cron, time_zone) = ("0 2 * * SAT".into(), "Europe/Zurich".into());
    let phase = |name, filter: &str| RotationPhase { name: slug(name), filter: filter.into() };
    RotationPolicy {
        risk: RiskClass::Custom,
        mode: RotationMode::Automatic,
        interval: days(60),
        terms: terms(),
        notices: [days(7), days(1)].into(),
        windows: [RotationWindow { cron, time_zone, length: DurationMillis::from_secs(7_200) }].into(),
        jitter: days(2),
        at_once_max: 7,
        phases: [phase("staging", "owner = \"shop\""), phase("live", "state = ACTIVE")].into(),
        maximum_lifetime: Some(days(70)),
        delivery: Some(delivery),
    }
}

fn store() -> Delivery {
    Delivery::Store(slug("vault"))
}

/// Each place that a secret may go.
fn deliveries() -> [Delivery; 3] {
    [store(), Delivery::Recipient(RecipientKey::x25519(&[7; 32]).unwrap()), Delivery::Recipient(rsa())]
}

fn create_keyspace(policy: RotationPolicy) -> Operation {
    let settings = KeyspaceSettings { rotation_policy: Some(Box::new(policy)), ..settings() };
    let data_key = WrappedKey { id: [7; 16], wrapped: Box::new([7; 60]) };
    Operation::CreateKeyspace(Box::new(CreateKeyspace { name: keyspace_name(), settings, data_key }))
}

fn update_keyspace(policy: Option<RotationPolicy>) -> Operation {
    let changes = KeyspaceChanges { rotation_policy: Some(policy.map(Box::new)), ..KeyspaceChanges::default() };
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace_name(), changes, etag: None }))
}

fn update_key(policy: Option<RotationPolicy>) -> Operation {
    let changes = KeyChanges { rotation_policy: Some(policy.map(Box::new)), ..KeyChanges::default() };
    Operation::UpdateKey(Box::new(UpdateKey { key: key_name(), changes, etag: None }))
}

fn create_keys() -> Operation {
    let new = new_key(HolderName::None, Expiry::Default);
    let keys = vec![NewKey { rotation_policy: Some(Box::new(plain_policy())), ..new }];
    Operation::CreateKeys(CreateKeys { keyspace: keyspace_name(), keys, replay: None })
}

fn rotate_key(emergency: bool, course: Option<NewCourse>) -> Operation {
    Operation::RotateKey(Box::new(RotateKey {
        key: key_name(),
        rotation: rotation_id(),
        new: new_version(),
        overlap: days(1),
        text: why("leaked"),
        etag: None,
        replay: None,
        emergency,
        course: course.map(Box::new),
    }))
}

pub(crate) fn evidence() -> Evidence {
    let caller = |network: Option<&str>, user_agent: &str| Caller {
        network: network.map(|network| Network::parse(network).unwrap()),
        user_agent: DisplayName::parse(user_agent).unwrap(),
        last_used: UnixMillis::new(AT.millis() - 17),
        count: 3_000,
    };
    Evidence {
        old_last_used: Some(UnixMillis::new(AT.millis() - 17)),
        new_first_used: Some(UnixMillis::new(AT.millis() - 99)),
        watched_since: UnixMillis::new(AT.millis() - 9_999),
        callers: vec![caller(Some("203.0.113.0/24"), "billing/2.4"), caller(None, "")],
    }
}

fn steps() -> Vec<(&'static str, DriverStep)> {
    let hold = |cause| DriverStep::Hold { cause, text: why("two callers"), evidence: Some(evidence()) };
    let blind = Evidence { old_last_used: None, new_first_used: None, callers: Vec::new(), ..evidence() };
    vec![
        ("deliver_to_store", DriverStep::Deliver { sealed: None }),
        ("deliver_to_recipient", DriverStep::Deliver { sealed: Some(Box::new([5; 90])) }),
        ("activate", DriverStep::Activate),
        ("verify", DriverStep::Verify),
        ("begin_overlap", DriverStep::BeginOverlap),
        ("retire", DriverStep::Retire(evidence())),
        ("hold_still_used", hold(HoldCause::StillUsed)),
        ("hold_never_seen", DriverStep::Hold { cause: HoldCause::NeverSeen, text: why(""), evidence: Some(blind) }),
        ("hold_delivery", DriverStep::Hold { cause: HoldCause::Delivery, text: why("no such store"), evidence: None }),
        ("hold_check", DriverStep::Hold { cause: HoldCause::Check, text: why("exit code 3"), evidence: None }),
        ("fail", DriverStep::Fail { text: why("held for a week") }),
    ]
}

fn driver_operations() -> Vec<(&'static str, Operation)> {
    let fence = 41;
    let plan = |starts_at| PlannedRotation { key: key_name(), rotation: rotation_id(), phase: 2, starts_at };
    let prepare = |replaces| {
        let (rotation, new, replay) = (rotation_name(), new_version(), Box::new([0x5E; 150]));
        Operation::PrepareRotation(Box::new(PrepareRotation { fence, rotation, new, replaces, replay }))
    };
    let mut operations = vec![
        (
            "claim_rotations",
            Operation::ClaimRotations(ClaimRotations { holder: [8; 16], life: DurationMillis::from_secs(10) }),
        ),
        ("plan_rotations", Operation::PlanRotations(PlanRotations { fence, plans: vec![plan(None), plan(Some(AT))] })),
        ("prepare_rotation", prepare(None)),
        ("prepare_rotation_again", prepare(Some(version_id()))),
        ("give_notices", Operation::GiveNotices(GiveNotices { fence, keys: vec![key_name(), key_name()] })),
    ];
    operations.extend(steps().into_iter().map(|(name, step)| {
        let version = (name != "fail").then(version_id);
        let advance = AdvanceRotation { fence, rotation: rotation_name(), version, step };
        (name, Operation::AdvanceRotation(Box::new(advance)))
    }));
    operations
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let driver = || Actor::Service(slug("rotation"));
    let issuer = || Actor::Identity(latchkey_domain::IdentityName::parse("tenants/acme/identities/deployer").unwrap());
    let by = |actor, operation| Command { at: AT, ..Command::new(actor, [0x0E; 32], operation) };
    let step = |step| {
        Operation::StepRotation(StepRotation { rotation: rotation_name(), step, text: why("not today"), etag: None })
    };
    let course = |delivery, activate_at| Some(NewCourse { terms: terms(), delivery, activate_at });
    let [to_store, to_x25519, to_rsa] = deliveries().map(|delivery| create_keyspace(full_policy(delivery)));
    let mut commands = vec![
        ("create_keyspace_policy_store", by(issuer(), to_store)),
        ("create_keyspace_policy_x25519", by(issuer(), to_x25519)),
        ("create_keyspace_policy_rsa", by(issuer(), to_rsa)),
        ("update_keyspace_policy", by(issuer(), update_keyspace(Some(plain_policy())))),
        ("update_keyspace_no_policy", by(issuer(), update_keyspace(None))),
        ("update_key_policy", by(issuer(), update_key(Some(full_policy(store()))))),
        ("update_key_no_policy", by(issuer(), update_key(None))),
        ("create_keys_policy", by(issuer(), create_keys())),
        ("rotate_key_emergency", by(issuer(), rotate_key(true, None))),
        ("rotate_key_course", by(issuer(), rotate_key(false, course(Some(store()), Some(AT))))),
        ("rotate_key_course_by_hand", by(issuer(), rotate_key(false, course(None, None)))),
        ("hold_rotation", by(issuer(), step(RotationStep::Hold))),
        ("resume_rotation", by(issuer(), step(RotationStep::Resume))),
    ];
    commands.extend(driver_operations().into_iter().map(|(name, operation)| (name, by(driver(), operation))));
    commands
}

fn keyspace_row() -> Row {
    let (_, row) = rows_of_level_1().into_iter().find(|(name, _)| *name == "keyspace").unwrap();
    let Row::Keyspace(keyspace) = row else { unreachable!("rows are named after their tables") };
    let rotation_policy = Some(Box::new(full_policy(store())));
    let settings = KeyspaceSettings { rotation_policy, ..keyspace.settings.clone() };
    Row::Keyspace(Arc::new(Keyspace { settings, ..Keyspace::clone(&keyspace) }))
}

fn key_row() -> Row {
    let key = rows_of_level_1().into_iter().find_map(|(_, row)| match row {
        Row::Key(key) => Some(key),
        _ => None,
    });
    let mut key = Key::clone(&key.unwrap());
    key.details.change(|details| {
        details.rotation_policy = Some(Box::new(plain_policy()));
        details.noticed_through = Some(AT);
    });
    let mut versions = key.versions.to_vec();
    for version in &mut versions {
        version.details.change(|details| {
            details.expires_at = Some(UnixMillis::new(AT.millis() + 60_000));
            details.activated_at = Some(AT);
        });
    }
    Row::Key(Arc::new(Key { versions: Versions::of(versions).unwrap(), ..key }))
}

pub(crate) fn rotation_row(state: RotationState, course: Course) -> Row {
    let is_planned = state == RotationState::Planned;
    Row::Rotation(Arc::new(Rotation {
        id: rotation_id(),
        keyspace: KeyspaceNumber(2),
        key: key_id(),
        state,
        old: Some(version_id()),
        new: (!is_planned).then(version_id),
        overlap: (!is_planned).then(|| days(3)),
        overlap_ends_at: (!is_planned).then_some(AT),
        created_at: AT,
        changed: Change { revision: Revision::new(3, 1_042), at: AT },
        ended_at: None,
        text: why("as planned"),
        course: Some(Box::new(course)),
    }))
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let later = |millis| Some(UnixMillis::new(AT.millis() + millis));
    let planned = Course {
        by_policy: true,
        phase: 2,
        starts_at: later(1),
        ..Course::new(terms(), Some(deliveries()[1].clone()))
    };
    let held = Course {
        activate_at: later(2),
        activated_at: later(3),
        delivered_at: later(4),
        verified_at: later(5),
        overlap_began_at: later(6),
        hold: Some(Held {
            from: RotationState::Overlap,
            at: AT,
            cause: HoldCause::StillUsed,
            text: why("two callers"),
        }),
        hold_ends_at: later(7),
        replay: Some(Box::new([0x5E; 40])),
        sealed: Some(Box::new([5; 90])),
        attempts: 3,
        ..Course::new(RotationTerms::of_overlap(days(3)), None)
    };
    vec![
        ("keyspace_policy", keyspace_row()),
        ("key_policy", key_row()),
        ("rotation_planned", rotation_row(RotationState::Planned, planned)),
        ("rotation_held", rotation_row(RotationState::Held, held)),
        ("rotation_claim", Row::RotationClaim(RotationClaim { holder: [8; 16], fence: 41, ends_at: AT })),
    ]
}
