//! Policies that cannot be, and those that can.

use super::*;
use crate::resource;
use crate::violation::FieldViolations;
use prost_types::Duration;

#[expect(clippy::unnecessary_wraps, reason = "as messages hold it")]
fn days(days: i64) -> Option<Duration> {
    Some(Duration { seconds: days * 86_400, nanos: 0 })
}

fn policy() -> v1::RotationPolicy {
    v1::RotationPolicy {
        risk_class: v1::RiskClass::Moderate.into(),
        mode: v1::RotationMode::Notify.into(),
        ..Default::default()
    }
}

fn custom(interval: i64, terms: v1::RotationTerms) -> v1::RotationPolicy {
    v1::RotationPolicy {
        risk_class: v1::RiskClass::Custom.into(),
        interval: days(interval),
        terms: Some(terms),
        ..policy()
    }
}

fn read_as(policy: &v1::RotationPolicy, whose: Whose) -> Result<RotationPolicy, FieldViolations> {
    let mut fields = Fields::default();
    let read = read(&mut fields, Some(policy), whose);
    fields.finish(read).map(|policy| *policy.unwrap())
}

fn wrong(policy: &v1::RotationPolicy) -> Vec<String> {
    let violations = read_as(policy, Whose::Keyspace).unwrap_err();
    violations.list().iter().map(|one| one.field.trim_start_matches("rotation_policy.").to_owned()).collect()
}

fn window(cron: &str, time_zone: &str, seconds: i64) -> v1::RotationWindow {
    let length = Some(Duration { seconds, nanos: 0 });
    v1::RotationWindow { cron: cron.to_owned(), time_zone: time_zone.to_owned(), length }
}

fn phase(name: &str, filter: &str) -> v1::RotationPhase {
    v1::RotationPhase { name: name.to_owned(), filter: filter.to_owned() }
}

fn store(name: &str) -> Option<v1::RotationDelivery> {
    Some(v1::RotationDelivery { target: Some(PbTarget::Store(name.to_owned())) })
}

#[test]
fn a_policy_that_says_nothing_lacks_a_class_and_a_mode() {
    assert_eq!(wrong(&v1::RotationPolicy::default()), ["risk_class", "mode"]);
}

#[test]
fn every_field_that_is_wrong_in_itself_is_named() {
    let every = v1::RotationPolicy {
        risk_class: 9,
        mode: 9,
        interval: Some(Duration { seconds: 0, nanos: 1 }),
        terms: Some(v1::RotationTerms {
            overlap: Some(Duration { seconds: -1, nanos: 0 }),
            overlap_min: Some(Duration { seconds: -1, nanos: 0 }),
            silence: Some(Duration { seconds: -1, nanos: 0 }),
            overlap_start: 9,
            at_deadline: 9,
            hold_max: None,
        }),
        notices: vec![Duration { seconds: 1, nanos: 0 }, Duration { seconds: -1, nanos: 0 }],
        windows: vec![
            window("0 2 * * *", "", 59),
            window("0 2 * *", "Mars/Olympus", 3_600),
            window(&"1,".repeat(65), "UTC", 3_600),
            v1::RotationWindow { cron: "0 2 * * *".to_owned(), ..Default::default() },
        ],
        jitter: Some(Duration { seconds: -1, nanos: 0 }),
        at_once_max: None,
        phases: vec![
            phase("Low", "age > 1d"),
            phase("low", "color = red"),
            phase("low", "age > 2d"),
            phase("high", ""),
        ],
        maximum_lifetime: Some(Duration { seconds: -1, nanos: 0 }),
        delivery: store("../secret"),
    };
    let named = [
        "risk_class",
        "mode",
        "interval",
        "terms.overlap",
        "terms.overlap_min",
        "terms.silence",
        "terms.overlap_start",
        "terms.at_deadline",
        "notices[1]",
        "windows[0].length",
        "windows[1].cron",
        "windows[1].time_zone",
        "windows[2].cron",
        "windows[3].length",
        "jitter",
        "phases[0].name",
        "phases[1].filter",
        "phases[2].name",
        "phases[3].filter",
        "maximum_lifetime",
        "delivery.store",
    ];
    assert_eq!(wrong(&every), named);
}

#[test]
fn every_rule_between_fields_that_is_broken_is_told_at_once() {
    let contradicting = v1::RotationPolicy {
        mode: v1::RotationMode::Automatic.into(),
        notices: vec![days(1).unwrap(), days(2).unwrap()],
        jitter: days(10),
        at_once_max: Some(0),
        maximum_lifetime: days(10),
        ..custom(10, v1::RotationTerms { overlap: days(1), overlap_min: days(2), ..Default::default() })
    };
    let named = ["terms.overlap_min", "jitter", "notices", "at_once_max", "maximum_lifetime", "delivery"];
    assert_eq!(wrong(&contradicting), named);
    let held = v1::RotationTerms {
        overlap: days(1),
        at_deadline: v1::AtDeadline::Hold.into(),
        hold_max: days(31),
        ..Default::default()
    };
    assert_eq!(wrong(&custom(10, held)), ["terms.hold_max"]);
    let endless = v1::RotationTerms { hold_max: None, ..held };
    assert_eq!(wrong(&custom(10, endless)), ["terms.hold_max"]);
    let unwatched = v1::RotationTerms { hold_max: days(3), ..held };
    assert_eq!(wrong(&custom(10, unwatched)), ["terms.at_deadline"]);
}

#[test]
fn a_class_says_interval_and_overlap_and_custom_says_neither() {
    let read = |risk: v1::RiskClass| {
        let read = read_as(&v1::RotationPolicy { risk_class: risk.into(), ..policy() }, Whose::Keyspace).unwrap();
        (read.interval, read.terms.overlap)
    };
    let (day, hour) = (DurationMillis::from_days, |hours: u64| DurationMillis::from_secs(hours * 3_600));
    assert_eq!(read(v1::RiskClass::High), (day(30), hour(24)));
    assert_eq!(read(v1::RiskClass::Moderate), (day(90), hour(48)));
    let silent = v1::RotationPolicy { risk_class: v1::RiskClass::Custom.into(), ..policy() };
    assert_eq!(wrong(&silent), ["interval", "terms.overlap"]);
    let other = v1::RotationPolicy { interval: days(91), ..policy() };
    assert_eq!(wrong(&other), ["interval"]);
    let same = v1::RotationPolicy { interval: days(90), ..policy() };
    assert!(read_as(&same, Whose::Keyspace).is_ok());
}

#[test]
fn a_key_has_no_phases_and_a_policy_at_most_eight_of_anything() {
    let phased = v1::RotationPolicy { phases: vec![phase("low", "age > 1d")], ..policy() };
    assert!(read_as(&phased, Whose::Keyspace).is_ok());
    let violations = read_as(&phased, Whose::Key).unwrap_err();
    assert_eq!(violations.list()[0].field, "rotation_policy.phases");
    let many = v1::RotationPolicy {
        notices: vec![Duration::default(); 9],
        windows: vec![window("0 2 * * *", "", 60); 9],
        phases: vec![phase("low", "age > 1d"); 9],
        ..policy()
    };
    assert_eq!(wrong(&many), ["notices", "windows", "phases"]);
}

#[test]
fn a_delivery_is_a_store_or_a_key_that_something_can_be_sealed_to() {
    let to = |target| v1::RotationPolicy { delivery: Some(v1::RotationDelivery { target }), ..policy() };
    let recipient = |key| Some(PbTarget::Recipient(v1::RecipientKey { key }));
    assert_eq!(wrong(&to(None)), ["delivery"]);
    assert_eq!(wrong(&to(recipient(None))), ["delivery.recipient"]);
    assert_eq!(wrong(&to(recipient(Some(PbRecipient::X25519(vec![7; 31]))))), ["delivery.recipient.x25519"]);
    assert_eq!(wrong(&to(recipient(Some(PbRecipient::Rsa(vec![7; 294]))))), ["delivery.recipient.rsa"]);
    let read = read_as(&to(recipient(Some(PbRecipient::X25519(vec![7; 32])))), Whose::Key).unwrap();
    assert_eq!(read.delivery, Some(Delivery::Recipient(RecipientKey::x25519(&[7; 32]).unwrap())));
}

#[test]
fn a_policy_is_shown_as_it_was_said_with_what_was_not_said_filled_in() {
    let said = v1::RotationPolicy {
        mode: v1::RotationMode::Automatic.into(),
        notices: vec![days(2).unwrap(), days(1).unwrap()],
        windows: vec![window("0 2 * * MON-FRI", "Europe/Zurich", 3_600), window("0 4 * * SUN", "", 60)],
        jitter: days(1),
        phases: vec![phase("low", "age > 1d")],
        maximum_lifetime: days(40),
        delivery: store("vault"),
        ..custom(
            30,
            v1::RotationTerms {
                overlap: days(2),
                overlap_min: days(1),
                silence: days(1),
                overlap_start: v1::OverlapStart::FirstUse.into(),
                at_deadline: v1::AtDeadline::Hold.into(),
                hold_max: days(3),
            },
        )
    };
    let shown = resource::rotation_policy(&read_as(&said, Whose::Keyspace).unwrap());
    let mut expected = said;
    expected.at_once_max = Some(100);
    expected.windows[1].time_zone = "UTC".to_owned();
    assert_eq!(shown, expected);
    assert_eq!(resource::rotation_policy(&read_as(&shown, Whose::Keyspace).unwrap()), shown);
}
