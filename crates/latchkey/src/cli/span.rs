//! Spans of time as people write them: `90d`, `24h`, `1h30m`, `250ms`.

use prost_types::Duration as Span;
use std::time::Duration;

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What is expected, for errors and help.
pub(crate) const FORM: &str = "a span such as 90d, 24h, 1h30m or 250ms";

/// Reads a span.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let (mut rest, mut millis) = (text, 0_u64);
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("expected {FORM}: {text}s is in seconds"));
    }
    if rest.is_empty() {
        return Err(format!("expected {FORM}"));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
        let unit = unit.filter(|_| !number.is_empty()).ok_or_else(|| format!("expected {FORM}"))?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let sum = part.and_then(|part| millis.checked_add(part)).filter(|sum| i64::try_from(*sum).is_ok());
        millis = sum.ok_or_else(|| format!("expected {FORM}, of 2^63 ms ({}w) at most", i64::MAX / 604_800_000))?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// The same for the API.
pub(crate) fn to_wire(span: Duration) -> Span {
    Span::try_from(span).expect("what was parsed fits into 64 bits of milliseconds, and so of seconds")
}

/// A span in its two largest units: `3h 20m`, `12d`, `450ms`.
pub(crate) fn show(millis: u64) -> String {
    // 90 days read better than 12 weeks and 6 days.
    let units = &UNITS[1..];
    let Some(first) = units.iter().position(|(_, unit)| millis >= *unit) else { return "0s".to_owned() };
    let (name, unit) = units[first];
    let (count, rest) = (millis / unit, millis % unit);
    let second = units.get(first + 1).map(|(name, unit)| (name, rest / unit)).filter(|(_, count)| *count > 0);
    match second {
        Some((second, more)) => format!("{count}{name} {more}{second}"),
        None => format!("{count}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_span_is_refused() {
        for text in ["", "h", "1", "1x", "-1h", "1 h", "1h 2m", "1.5h", "99999999999999999999h", "9999999999999999w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_told_how_long_it_may_be() {
        for text in ["99999999999999999999h", "9999999999999999w", "15250284452w99d"] {
            assert!(parse(text).unwrap_err().ends_with("of 2^63 ms (15250284452w) at most"), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_told_one() {
        assert!(parse("5").unwrap_err().ends_with("5s is in seconds"));
    }

    #[test]
    fn parts_add_up() {
        let read = |text: &str| parse(text).unwrap().as_millis();
        assert_eq!(read("1h30m"), 5_400_000);
        assert_eq!(read("250ms"), 250);
        assert_eq!(read("90d"), 7_776_000_000);
        assert_eq!(read("2w1d"), 1_296_000_000);
    }

    #[test]
    fn two_units_are_shown_at_most() {
        let shown = [0, 450, 1_000, 61_000, 12_000_000, 86_400_000, 7_776_000_000].map(show);
        assert_eq!(shown, ["0s", "450ms", "1s", "1m 1s", "3h 20m", "1d", "90d"]);
    }
}
