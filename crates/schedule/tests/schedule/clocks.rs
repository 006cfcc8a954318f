//! Openings through the year, and when clocks change.

use crate::support::{one, openings, time, window};
use latchkey_domain::UnixMillis;
use latchkey_schedule::Windows;

#[test]
fn without_windows_it_is_always_open() {
    let any = Windows::default();
    assert!(any.is_open(UnixMillis::new(0)) && any.is_open(UnixMillis::LAST));
    assert_eq!(any.next_open(time("2026-11-23T04:00:00Z")), Some(time("2026-11-23T04:00:00Z")));
}

#[test]
fn a_window_is_open_from_its_opening_and_closed_at_its_end() {
    let night = one("0 2 * * MON-FRI", "Europe/Zurich", 90);
    // A Monday in winter: two o'clock there is one o'clock in UTC.
    assert!(!night.is_open(time("2026-11-23T00:59:59.999Z")));
    assert!(night.is_open(time("2026-11-23T01:00:00Z")) && night.is_open(time("2026-11-23T02:29:59.999Z")));
    assert!(!night.is_open(time("2026-11-23T02:30:00Z")));
    assert_eq!(night.next_open(time("2026-11-23T02:30:00Z")), Some(time("2026-11-24T01:00:00Z")));
    // Over a weekend, and while it is open.
    assert_eq!(night.next_open(time("2026-11-27T03:00:00Z")), Some(time("2026-11-30T01:00:00Z")));
    assert_eq!(night.next_open(time("2026-11-23T01:10:00Z")), Some(time("2026-11-23T01:10:00Z")));
}

#[test]
fn a_window_of_several_days_is_open_across_midnight_and_months() {
    let weekend = one("0 20 * * FRI", "America/New_York", 2 * 24 * 60);
    assert!(weekend.is_open(time("2027-01-31T12:00:00Z")), "a Sunday noon");
    assert!(!weekend.is_open(time("2027-02-01T12:00:00Z")), "a Monday noon");
}

#[test]
fn a_time_that_is_skipped_opens_when_the_clock_has_sprung() {
    // 2027-03-28 in Zurich: after 01:59:59 comes 03:00:00, which is 01:00 UTC.
    let windows = one("30 2 * * *", "Europe/Zurich", 60);
    assert_eq!(
        openings(&windows, "2027-03-27T00:00:00Z", 3, 60),
        ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    );
    assert!(!windows.is_open(time("2027-03-28T00:59:59.999Z")) && windows.is_open(time("2027-03-28T01:59:59.999Z")));
    assert!(!windows.is_open(time("2027-03-28T02:00:00Z")));
}

#[test]
fn a_time_that_comes_twice_opens_once_and_first() {
    // 2026-10-25 in Zurich: after 02:59:59 comes 02:00:00 again; 02:30 is 00:30 UTC and 01:30 UTC.
    let windows = one("30 2 * * *", "Europe/Zurich", 20);
    assert_eq!(openings(&windows, "2026-10-24T12:00:00Z", 2, 20), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    let quarters = one("*/15 * * * *", "Europe/Zurich", 5);
    let found = openings(&quarters, "2026-10-25T00:40:00Z", 3, 5);
    assert_eq!(found, ["2026-10-25T00:45:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:15:00Z"]);
}

#[test]
fn the_length_of_a_window_is_real_time_also_when_the_clock_changes() {
    // From one o'clock for two hours, of which the clock on the wall skips one.
    let spring = one("0 1 28 3 *", "Europe/Zurich", 120);
    assert!(spring.is_open(time("2027-03-28T01:59:59Z")) && !spring.is_open(time("2027-03-28T02:00:00Z")));
}

#[test]
fn any_open_window_will_do() {
    let both = [window("0 2 * * *", "UTC", 60), window("0 4 * * *", "UTC", 60)];
    let windows = Windows::parse(&both).unwrap();
    assert_eq!(openings(&windows, "2027-01-01T03:00:00Z", 2, 60), ["2027-01-01T04:00:00Z", "2027-01-02T02:00:00Z"]);
}

#[test]
fn the_end_of_the_calendar_is_never_open() {
    let windows = one("0 2 * * *", "UTC", 60);
    assert!(!windows.is_open(UnixMillis::LAST));
    assert_eq!(windows.next_open(UnixMillis::LAST), None);
    assert!(windows.next_open(UnixMillis::new(0)).is_some());
}
