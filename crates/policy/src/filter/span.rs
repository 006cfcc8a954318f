//! Spans of time as people write them: `90d`, `36h`, `250ms`.

use core::fmt;

use latchkey_domain::{DurationMillis, UnixMillis};

/// The units and their milliseconds, longest first.
const UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Absent for what is no span, and for what is longer than there is time.
pub(super) fn parse(text: &str) -> Option<DurationMillis> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // Parsing refuses no digits at all, and more than 64 bits.
    let millis = number.parse::<u64>().ok()?.checked_mul(*unit)?;
    (millis <= UnixMillis::LAST.millis()).then_some(DurationMillis::new(millis))
}

/// In the longest unit that tells it exactly.
pub(super) fn write(f: &mut fmt::Formatter<'_>, span: DurationMillis) -> fmt::Result {
    let exact = UNITS.iter().find(|(_, unit)| span.millis().is_multiple_of(*unit));
    let (name, unit) = exact.expect("every span is a multiple of one millisecond");
    write!(f, "{}{name}", span.millis() / unit)
}
