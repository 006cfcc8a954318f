//! Moments: RFC 3339 for whoever compares, an age for whoever glances.

use crate::cli::error::CliError;
use crate::cli::span;
use latchkey_domain::UnixMillis;
use latchkey_wire::time::read_time;
use prost_types::Timestamp;
use std::time::Duration;

/// What is expected, for errors and help.
pub(crate) const FORM: &str = "a moment of RFC 3339 such as 2026-12-31T00:00:00Z";

/// Reads a moment.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("expected {FORM}"))
}

/// The moment so long before another one, as `--since` says it.
///
/// # Errors
/// [`CliError::Usage`]: there is none, or no time between the two.
pub(crate) fn since(span: Duration, end: UnixMillis) -> Result<UnixMillis, CliError> {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let begin = end.millis().checked_sub(millis).filter(|_| millis > 0);
    begin.map(UnixMillis::new).ok_or_else(|| {
        let (most, found) = (span::show(end.millis() / 86_400_000 * 86_400_000), span::show(millis));
        CliError::usage(format!("--since: expected more than nothing and at most {most}, which is 1970, found {found}"))
            .remedy("give a shorter span, such as 24h or 90d")
    })
}

/// Reads a moment that the API can be asked for.
///
/// # Errors
/// [`CliError::Usage`]: it is before 1970, or finer than milliseconds.
pub(crate) fn checked(flag: &str, moment: &Timestamp) -> Result<UnixMillis, CliError> {
    read_time(moment).map_err(|error| {
        CliError::usage(format!("{flag} {error}, counted from 1970; found {moment}")).remedy(format!("give {FORM}"))
    })
}

/// The moment in this text, if it is one as canonical JSON writes it.
pub(crate) fn of_json(text: &str) -> Option<UnixMillis> {
    let shaped = text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let read = shaped.then(|| text.parse::<Timestamp>().ok()).flatten()?;
    let millis = read.seconds.checked_mul(1_000)?.checked_add(i64::from(read.nanos / 1_000_000))?;
    u64::try_from(millis).ok().map(UnixMillis::new)
}

/// How far it lies from `now`: `3m 20s ago`, `in 2h`.
pub(crate) fn age(moment: UnixMillis, now: UnixMillis) -> String {
    let (moment, now) = (moment.millis(), now.millis());
    let away = moment.abs_diff(now);
    // A clock of the cluster and a clock of this machine are never the same.
    if away < 1_000 {
        return "now".to_owned();
    }
    let away = span::show(away / 1_000 * 1_000);
    if moment > now { format!("in {away}") } else { format!("{away} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_moment_is_one() {
        for text in ["", "orders", "2026-11-22", "2026-11-22T18:00:00", "xxxx-xx-xxTxx:xx:xxZ"] {
            assert_eq!(of_json(text), None, "{text}");
        }
        assert_eq!(of_json("1970-01-01T00:00:01.500Z"), Some(UnixMillis::new(1_500)));
    }

    #[test]
    fn what_reaches_back_before_1970_or_nowhere_says_how_far_it_may() {
        let now = UnixMillis::new(20_000 * 86_400_000 + 5);
        assert_eq!(since(Duration::from_secs(86_400), now).ok(), Some(UnixMillis::new(19_999 * 86_400_000 + 5)));
        for (text, found) in [("40000d", "found 40000d"), ("0s", "found 0s"), ("15000000000w", "found 105000000000d")] {
            let told = since(span::parse(text).unwrap(), now).unwrap_err().to_string();
            assert!(told.contains("at most 20000d") && told.contains(found), "{told}");
        }
        let told = |moment: &str| checked("--from", &parse(moment).unwrap()).unwrap_err().to_string();
        assert!(told("1969-12-31T23:59:59Z").contains("--from must be from 0 to 2^53 ms, counted from 1970"));
        assert!(told("2026-01-01T00:00:00.0001Z").contains("--from must be whole milliseconds"));
    }

    #[test]
    fn ages_look_both_ways() {
        let now = UnixMillis::new(10_000_000);
        assert_eq!(age(UnixMillis::new(9_940_000), now), "1m ago");
        assert_eq!(age(UnixMillis::new(10_000_000 + 7_200_000), now), "in 2h");
        assert_eq!(age(UnixMillis::new(10_000_400), now), "now");
    }
}
