//! The one file that reads the machine's clock: measuring is what this program is for.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The moment.
#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits on this thread, which does nothing else.
#[expect(clippy::disallowed_methods, reason = "the thread has nothing to do until a measurement ends")]
pub(crate) fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}

/// The day, as `2026-11-30`.
#[expect(clippy::disallowed_methods, reason = "a figure without a date is worth little")]
pub(crate) fn today() -> String {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    date(passed.as_secs() / 86_400)
}

/// The civil date of a day since 1970. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_day_is_a_day() {
        assert_eq!([0, 11_016, 11_017, 20_779].map(date), ["1970-01-01", "2000-02-29", "2000-03-01", "2026-11-22"]);
    }
}
