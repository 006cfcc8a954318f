//! Points in time as RFC 3339 writes them, from 1970 to 9999.
//!
//! A fraction is cut after its milliseconds, which is as exact as the log's clock is. A leap second counts as the second after it, as
//! in POSIX. Sources: RFC 3339, sections 5.6 and 5.7; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use core::fmt;

use latchkey_domain::UnixMillis;

const DAY_SECONDS: i64 = 86_400;
/// Most digits of a fraction, as in `google.protobuf.Timestamp`.
const FRACTION_DIGITS_MAX: usize = 9;

/// Absent for what is no time, and for times before 1970.
pub(super) fn parse(text: &str) -> Option<UnixMillis> {
    let rest = &mut text.as_bytes();
    let year = number(rest, 4)?;
    literal(rest, b"-")?;
    let month = number(rest, 2).filter(|month| (1..=12).contains(month))?;
    literal(rest, b"-")?;
    let day = number(rest, 2).filter(|day| (1..=days_of_month(year, month)).contains(day))?;
    literal(rest, b"Tt")?;
    let hour = number(rest, 2).filter(|hour| *hour <= 23)?;
    literal(rest, b":")?;
    let minute = number(rest, 2).filter(|minute| *minute <= 59)?;
    literal(rest, b":")?;
    let second = number(rest, 2).filter(|second| *second <= 60)?;
    let millis = fraction_millis(rest)?;
    let offset_seconds = offset_seconds(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second;
    u64::try_from((seconds - offset_seconds) * 1_000 + millis).ok().map(UnixMillis::new)
}

/// A point in time as it is written for people, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub UnixMillis);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0)
    }
}

/// In UTC, with as many digits after the second as are not zero. Times that lie beyond 9999 are written as its last.
pub(super) fn write(f: &mut fmt::Formatter<'_>, time: UnixMillis) -> fmt::Result {
    /// 9999-12-31T23:59:59.999Z.
    const LAST_WRITTEN: u64 = 253_402_300_799_999;
    let millis = time.millis().min(LAST_WRITTEN).cast_signed();
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    if millis > 0 {
        write!(f, ".{millis:03}")?;
    }
    f.write_str("Z")
}

/// Takes exactly `digits` digits.
fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (taken, after) = rest.split_at_checked(digits)?;
    if !taken.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = after;
    Some(taken.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Takes one byte that must be one of `allowed`.
fn literal(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    if !allowed.contains(first) {
        return None;
    }
    *rest = after;
    Some(*first)
}

fn fraction_millis(rest: &mut &[u8]) -> Option<i64> {
    if literal(rest, b".").is_none() {
        return Some(0);
    }
    let digits = rest.iter().take_while(|next| next.is_ascii_digit()).count();
    if digits == 0 || digits > FRACTION_DIGITS_MAX {
        return None;
    }
    let (fraction, after) = rest.split_at(digits);
    *rest = after;
    let mut padded = fraction.iter().map(|digit| i64::from(digit - b'0')).chain([0; 3]);
    Some(padded.by_ref().take(3).fold(0, |millis, digit| millis * 10 + digit))
}

/// How far the local time is ahead of UTC.
fn offset_seconds(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = number(rest, 2).filter(|hours| *hours <= 23)?;
    literal(rest, b":")?;
    let minutes = number(rest, 2).filter(|minutes| *minutes <= 59)?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Years begin in March, so that the day that leap years add is their last; 400 of them are 146,097 days.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_since_1970`].
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
