//! Moments: RFC 3339 for whoever compares, an age for whoever glances.

use crate::cli::span;
use latchkey_domain::UnixMillis;
use prost_types::Timestamp;

/// What is expected, for errors and help.
pub(crate) const FORM: &str = "a moment of RFC 3339 such as 2026-12-31T00:00:00Z";

/// Reads a moment.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("expected {FORM}"))
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
    fn ages_look_both_ways() {
        let now = UnixMillis::new(10_000_000);
        assert_eq!(age(UnixMillis::new(9_940_000), now), "1m ago");
        assert_eq!(age(UnixMillis::new(10_000_000 + 7_200_000), now), "in 2h");
        assert_eq!(age(UnixMillis::new(10_000_400), now), "now");
    }
}
