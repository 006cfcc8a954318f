//! Windows and times, said shortly.

use jiff::Timestamp;
use latchkey_domain::{DurationMillis, RotationWindow, UnixMillis};
use latchkey_schedule::Windows;

pub(crate) fn window(cron: &str, time_zone: &str, minutes: u64) -> RotationWindow {
    RotationWindow { cron: cron.into(), time_zone: time_zone.into(), length: DurationMillis::from_secs(minutes * 60) }
}

pub(crate) fn one(cron: &str, time_zone: &str, minutes: u64) -> Windows {
    Windows::parse(&[window(cron, time_zone, minutes)]).expect("a window")
}

/// A time as RFC 3339 writes it.
pub(crate) fn time(text: &str) -> UnixMillis {
    UnixMillis::new(
        u64::try_from(text.parse::<Timestamp>().expect("a time of RFC 3339").as_millisecond()).expect("after 1970"),
    )
}

/// The openings from `from` on, each as RFC 3339 writes it.
pub(crate) fn openings(windows: &Windows, from: &str, count: usize, length_minutes: u64) -> Vec<String> {
    let mut at = time(from);
    let mut found = Vec::new();
    for _ in 0..count {
        let open = windows.next_open(at).expect("it opens again");
        found.push(
            Timestamp::from_millisecond(i64::try_from(open.millis()).expect("a time of the calendar"))
                .expect("a time of the calendar")
                .to_string(),
        );
        at = open.plus(DurationMillis::from_secs(length_minutes * 60));
    }
    found
}
