//! One window: when it opens, where that time is told, and for how long.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use latchkey_domain::{DurationMillis, RotationWindow, UnixMillis};
use std::fmt;

/// Where the search for a first opening begins, to tell an expression that never comes true from one that does. It knows
/// no years, and there are fourteen kinds of them, by the day on which they begin and by their length: the last 28 years of
/// croner's calendar, which ends with 4999 and has no century year that is not leap among them, are all of these.
const LAST_CYCLE: DateTime = DateTime::constant(4972, 1, 1, 0, 0, 0, 0);

/// A time that opens, and stays open for a while.
#[derive(Clone, Debug)]
pub struct Window {
    cron: Cron,
    zone: TimeZone,
    length: DurationMillis,
}

/// A window that cannot be. It never repeats what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// The expression is none.
    Cron,
    /// The expression names days that no calendar has, such as the 30th of February.
    NeverOpens,
    /// The time zone is none of the IANA database.
    TimeZone,
}

impl WindowError {
    /// The field of a window that is wrong.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Cron | Self::NeverOpens => "cron",
            Self::TimeZone => "time_zone",
        }
    }
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron => f.write_str(
                "must be five fields (minute, hour, day of month, month, day of week) as cron has them, for instance \
                 `0 2 * * MON-FRI`",
            ),
            Self::NeverOpens => f.write_str("must come true on some day: it never does"),
            Self::TimeZone => {
                f.write_str("must be a name of the IANA database as it is written there, for instance `Europe/Zurich`")
            }
        }
    }
}

impl std::error::Error for WindowError {}

impl Window {
    /// Reads what a policy says.
    ///
    /// # Errors
    /// All that is wrong with it, at most one for each field.
    pub fn parse(window: &RotationWindow) -> Result<Self, Vec<WindowError>> {
        match (read_cron(&window.cron), read_zone(&window.time_zone)) {
            (Ok(cron), Ok(zone)) => Ok(Self { cron, zone, length: window.length }),
            (cron, zone) => Err([cron.err(), zone.err()].into_iter().flatten().collect()),
        }
    }

    /// Whether it is open at this time. It is at the moment when it opens, and no more at the one when it closes.
    #[must_use]
    pub fn is_open(&self, at: UnixMillis) -> bool {
        // Opened within one length before is open now: so one look ahead answers, however often it opens.
        let millis = i128::from(at.millis()) - i128::from(self.length.millis());
        self.opening_after(millis).is_some_and(|opening| opening <= i128::from(at.millis()))
    }

    /// The first time from `at` on at which it is open; `at` itself where it is. `None`: not within the calendar.
    #[must_use]
    pub fn next_open(&self, at: UnixMillis) -> Option<UnixMillis> {
        if self.is_open(at) {
            return Some(at);
        }
        let opening = self.opening_after(i128::from(at.millis()))?;
        u64::try_from(opening).ok().map(UnixMillis::new)
    }

    /// The first opening after a time, both in milliseconds since 1970.
    ///
    /// Openings are found on the clock on the wall and told in real time. That never runs backwards: a time that is
    /// skipped counts as the moment at which it is skipped, and one that comes twice as the first of them.
    fn opening_after(&self, millis: i128) -> Option<i128> {
        let start = Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()?;
        let mut wall = self.zone.to_datetime(start);
        // Where a clock was set back, what it tells again has opened already: at most so many times are passed over as it
        // shows minutes twice.
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let opening = i128::from(self.told_at(wall)?.as_millisecond());
            if opening > millis {
                return Some(opening);
            }
        }
    }

    /// When the clock on the wall tells this time first, or skips it.
    fn told_at(&self, wall: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            return ambiguous.earlier().ok();
        }
        // The moment of the jump: with the offset after it, the time lies before the jump, and what follows that is it.
        let before = ambiguous.earlier().ok()?;
        let jump = self.zone.following(before).next()?;
        Some(jump.timestamp())
    }
}

fn read_cron(text: &str) -> Result<Cron, WindowError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    // Names of schedules, such as `@daily`, are no fields. An item that is empty is taken by the parser for no time at all:
    // a minute of none would be looked for hour by hour for thousands of years.
    let has_items = |field: &str| field.split(',').all(|item| !item.is_empty());
    if text.split_ascii_whitespace().count() != 5 || !text.split_ascii_whitespace().all(has_items) {
        return Err(WindowError::Cron);
    }
    let cron = parser.parse(text).map_err(|_| WindowError::Cron)?;
    cron.find_next_occurrence(&LAST_CYCLE, true).map_err(|_| WindowError::NeverOpens)?;
    Ok(cron)
}

fn read_zone(text: &str) -> Result<TimeZone, WindowError> {
    let zone = TimeZone::get(text).map_err(|_| WindowError::TimeZone)?;
    // The database is asked without regard to case; a name is written one way alone.
    if zone.iana_name() == Some(text) { Ok(zone) } else { Err(WindowError::TimeZone) }
}
