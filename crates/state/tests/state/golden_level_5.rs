//! The bytes of what level 5 brought, in files of its own: those of the levels before must not change.

use crate::golden::{check, keyspace_with};
use crate::support::{START, key_id, later, new_key, settings, slug, version_id};
use latchkey_domain::{
    AtDeadline, Delivery, DurationMillis, HoldCause, KeyspaceNumber, OverlapStart, ReasonText, RecipientKey, Revision,
    RiskClass, RotationId, RotationMode, RotationPhase, RotationPolicy, RotationState, RotationTerms, RotationWindow,
    Terms,
};
use latchkey_state::{
    Change, Course, Details, Held, Holder, Key, KeyspaceSettings, Rare, Rotation, RotationClaim, Row, VersionDetails,
    Versions,
};
use std::sync::Arc;

const fn days(days: u64) -> DurationMillis {
    DurationMillis::from_days(days)
}

fn plain_policy() -> RotationPolicy {
    RotationPolicy {
        risk: RiskClass::High,
        mode: RotationMode::Notify,
        interval: days(30),
        terms: RotationTerms::of_overlap(days(1)),
        notices: [].into(),
        windows: [].into(),
        jitter: DurationMillis::ZERO,
        at_once_max: 100,
        phases: [].into(),
        maximum_lifetime: None,
        delivery: None,
    }
}

fn full_policy() -> RotationPolicy {
    let window = |cron: &str, time_zone: &str| RotationWindow {
        cron: cron.into(),
        time_zone: time_zone.into(),
        length: DurationMillis::from_secs(7_200),
    };
    let phase = |name, filter: &str| RotationPhase { name: slug(name), filter: filter.into() };
    RotationPolicy {
        risk: RiskClass::Custom,
        mode: RotationMode::Automatic,
        interval: days(60),
        terms: full_terms(),
        notices: [days(7), days(1)].into(),
        windows: [window("0 2 * * SAT", "Europe/Zurich"), window("30 3 1 * *", "UTC")].into(),
        jitter: days(2),
        at_once_max: 7,
        phases: [phase("staging", "owner = \"shop\""), phase("live", "state = ACTIVE")].into(),
        maximum_lifetime: Some(days(70)),
        delivery: Some(Delivery::Store(slug("vault"))),
    }
}

fn full_terms() -> RotationTerms {
    RotationTerms {
        overlap: days(3),
        overlap_min: DurationMillis::from_secs(3_600),
        silence: Some(DurationMillis::from_secs(7_200)),
        overlap_start: OverlapStart::FirstUse,
        at_deadline: AtDeadline::Hold { max: days(5) },
    }
}

#[test]
fn the_bytes_of_a_keyspace_with_a_policy_do_not_change() {
    let of = |policy: RotationPolicy| {
        policy.check().unwrap();
        let rotation_policy = Some(Box::new(policy));
        keyspace_with(KeyspaceSettings { rotation_policy, ..settings("acme_live") }, None).canonical_bytes()
    };
    let recipient = Some(Delivery::Recipient(RecipientKey::X25519([7; 32])));
    let sealed = RotationPolicy { delivery: recipient, ..full_policy() };
    check("row/keyspace_level_5", &[of(plain_policy()), of(full_policy()), of(sealed)]);
}

#[test]
fn the_bytes_of_a_key_with_what_level_5_brought_do_not_change() {
    let key = |details: Details, of_version: VersionDetails| {
        let mut version = new_key(3).first_version(START);
        version.details = Rare::from(of_version);
        Row::Key(Arc::new(Key {
            id: key_id(2),
            keyspace: KeyspaceNumber(3),
            holder: Holder::None,
            display_name: Default::default(),
            terms: Arc::new(Terms::default()),
            created: Revision::new(1, 7),
            created_at: START,
            expires_at: None,
            details: Rare::from(details),
            versions: Versions::from(version),
        }))
        .canonical_bytes()
    };
    let noticed = Details { noticed_through: Some(later(START, 5)), ..Details::default() };
    let own = Details { rotation_policy: Some(Box::new(plain_policy())), ..noticed.clone() };
    let mortal = VersionDetails { expires_at: Some(later(START, 60_000)), ..VersionDetails::default() };
    let activated = VersionDetails { activated_at: Some(later(START, 9)), ..mortal.clone() };
    let examples = [
        key(noticed, VersionDetails::default()),
        key(own.clone(), activated),
        key(Details::default(), mortal),
        key(own, VersionDetails::default()),
    ];
    check("row/key_level_5", &examples);
}

#[test]
fn the_bytes_of_rotations_with_a_course_do_not_change() {
    let changed = Change { revision: Revision::new(3, 9), at: later(START, 7) };
    let planned = Rotation {
        id: RotationId::from_random([6; 12]),
        keyspace: KeyspaceNumber(3),
        key: key_id(2),
        state: RotationState::Planned,
        old: Some(version_id(1)),
        new: None,
        overlap: None,
        overlap_ends_at: None,
        created_at: START,
        changed,
        ended_at: None,
        text: ReasonText::default(),
        course: Some(Box::new(Course {
            by_policy: true,
            phase: 2,
            starts_at: Some(later(START, 3)),
            ..Course::new(full_terms(), Some(Delivery::Store(slug("vault"))))
        })),
    };
    let prepared = Rotation {
        state: RotationState::Prepared,
        new: Some(version_id(3)),
        course: Some(Box::new(Course {
            activate_at: Some(later(START, 4)),
            replay: Some(Box::new([9; 40])),
            attempts: 3,
            ..Course::new(full_terms(), Some(Delivery::Recipient(RecipientKey::X25519([7; 32]))))
        })),
        ..planned.clone()
    };
    let held = |from, cause| Rotation {
        state: RotationState::Held,
        new: Some(version_id(3)),
        overlap: Some(days(3)),
        overlap_ends_at: Some(later(START, 90_000)),
        text: ReasonText::parse("still used").unwrap(),
        course: Some(Box::new(Course {
            activated_at: Some(later(START, 5)),
            delivered_at: Some(later(START, 6)),
            verified_at: Some(later(START, 7)),
            overlap_began_at: Some(later(START, 8)),
            hold: Some(Held { from, at: later(START, 9), cause, text: ReasonText::parse("still used").unwrap() }),
            hold_ends_at: Some(later(START, 10)),
            sealed: Some(Box::new([5; 60])),
            ..Course::new(RotationTerms::of_overlap(days(3)), None)
        })),
        ..planned.clone()
    };
    let mut examples = vec![planned.clone(), prepared];
    examples.extend(HoldCause::ALL.map(|cause| held(RotationState::Overlap, cause)));
    examples.push(held(RotationState::Verified, HoldCause::NeverSeen));
    let examples: Vec<_> = examples.into_iter().map(|row| Row::Rotation(Arc::new(row)).canonical_bytes()).collect();
    check("row/rotation_level_5", &examples);
}

#[test]
fn the_bytes_of_the_claim_do_not_change() {
    let claim = RotationClaim { holder: [8; 16], fence: 41, ends_at: later(START, 10_000) };
    check("row/rotation_claim", &[Row::RotationClaim(claim).canonical_bytes()]);
}
