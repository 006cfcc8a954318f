//! What holds for all windows at all times, those at which clocks change above all.

use crate::support::{time, window};
use latchkey_domain::{DurationMillis, UnixMillis};
use latchkey_schedule::Window;
use proptest::prelude::*;

/// Zones with and without changes, of half hours, to the east and the west of the date line.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Casablanca",
];

const CRONS: [&str; 8] = [
    "0 2 * * *",
    "30 2 * * *",
    "*/15 * * * *",
    "59 23 * * SUN",
    "0 0 1 * *",
    "5 1-3 * 3,10 *",
    "0 3 L * *",
    "45 1 * * MON#1",
];

/// Times within two days of a change of clocks in some of the zones, and others.
fn moments() -> impl Strategy<Value = u64> {
    let changes = [
        "2026-10-25T01:00:00Z",
        "2027-03-28T01:00:00Z",
        "2026-11-01T06:00:00Z",
        "2027-03-14T07:00:00Z",
        "2027-04-03T15:00:00Z",
        "2026-10-03T15:30:00Z",
        "2011-12-30T10:00:00Z",
    ];
    let near = prop::sample::select(changes.map(|change| time(change).millis()).to_vec());
    let around = near.prop_flat_map(|change| change - 2 * 86_400_000..change + 2 * 86_400_000);
    prop_oneof![4 => around, 1 => 0..4_102_444_800_000u64]
}

prop_compose! {
    fn windows()(cron in prop::sample::select(CRONS.to_vec()), zone in prop::sample::select(ZONES.to_vec()),
        minutes in 1..10_080u64) -> (&'static str, &'static str, u64) {
        (cron, zone, minutes)
    }
}

proptest! {
    #[test]
    fn what_opens_next_is_open_and_nothing_before_it((cron, zone, minutes) in windows(), at in moments(), part in 0.0..1.0f64) {
        let window = Window::parse(&window(cron, zone, minutes)).unwrap();
        let at = UnixMillis::new(at);
        let next = window.next_open(at).unwrap();
        prop_assert!(next >= at && window.is_open(next));
        prop_assert_eq!(next == at, window.is_open(at));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a span of days")]
        let between = at.plus(DurationMillis::new((next.since(at).millis() as f64 * part) as u64));
        prop_assert!(between == next || !window.is_open(between), "open at {between} before {next}");
    }

    #[test]
    fn a_window_that_opens_is_open_for_its_length_and_whoever_waits_never_waits_longer_later(
        (cron, zone, minutes) in windows(), at in moments(), later in 0..172_800_000u64)
    {
        let length = DurationMillis::from_secs(minutes * 60);
        let window = Window::parse(&window(cron, zone, minutes)).unwrap();
        let at = UnixMillis::new(at);
        let next = window.next_open(at).unwrap();
        if next > at {
            prop_assert!(window.is_open(UnixMillis::new(next.plus(length).millis() - 1)));
        }
        let from_later = window.next_open(at.plus(DurationMillis::new(later))).unwrap();
        prop_assert!(from_later >= next, "openings run backwards");
    }
}
