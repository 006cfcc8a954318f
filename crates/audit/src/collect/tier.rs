//! What is kept how: by minute, by hour, by day; lines; names. And how two items of one key become one.

use crate::run::Options;
use crate::usage::points::Points;
use crate::usage::series::{self, KEY_PREFIX_BYTES};
use crate::usage::sketch::Sketch;

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// One kind of items. A part of a tier is what lies in files of its own, a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// Sums by minute, a part for each day.
    Minutes,
    /// Sums by hour, a part for each 32 days.
    Hours,
    /// Sums by day, a part for each 512 days.
    Days,
    /// Lines of the access log, a part for each day.
    Lines,
    /// What numbers are called. One part, for as long as their tenants are.
    Names,
}

impl Tier {
    pub(crate) const ALL: [Self; 5] = [Self::Minutes, Self::Hours, Self::Days, Self::Lines, Self::Names];

    /// Its word in the names of files.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Lines => "lines",
            Self::Names => "names",
        }
    }

    /// Minutes of one step. Of lines and names: of what their parts are counted in.
    pub(crate) const fn step_minutes(self) -> u32 {
        match self {
            Self::Minutes => 1,
            Self::Hours => 60,
            Self::Days | Self::Lines | Self::Names => 24 * 60,
        }
    }

    /// Steps of one part.
    pub(crate) const fn part_steps(self) -> u32 {
        match self {
            Self::Minutes => 24 * 60,
            Self::Hours => 32 * 24,
            Self::Days => 512,
            Self::Lines => 1,
            Self::Names => u32::MAX,
        }
    }

    /// The part in which a step lies.
    pub(crate) const fn part_of(self, step: u32) -> u32 {
        step / self.part_steps()
    }

    /// The first step of a part.
    pub(crate) const fn first_of(self, part: u32) -> u32 {
        part.saturating_mul(self.part_steps())
    }

    /// The step in which a time lies. Milliseconds since 1970.
    pub(crate) fn step_at(self, at_ms: u64) -> u32 {
        u32::try_from(at_ms / (u64::from(self.step_minutes()) * MINUTE_MS)).unwrap_or(u32::MAX)
    }

    /// When a step begins. Milliseconds since 1970.
    pub(crate) const fn begins_ms(self, step: u32) -> u64 {
        step as u64 * self.step_minutes() as u64 * MINUTE_MS
    }

    /// When a part is over. Milliseconds since 1970.
    pub(crate) const fn part_ends_ms(self, part: u32) -> u64 {
        match self {
            Self::Names => u64::MAX,
            _ => self.begins_ms(self.first_of(part.saturating_add(1))),
        }
    }

    /// How its runs are written.
    pub(crate) fn options(self) -> Options {
        match self {
            Self::Minutes | Self::Hours | Self::Days => {
                Options { prefix_bytes: KEY_PREFIX_BYTES, ..Options::default() }
            }
            Self::Lines => Options { prefix_bytes: 0, ..Options::default() },
            Self::Names => Options::default(),
        }
    }

    /// What several values of one key are together.
    pub(crate) fn combine(self, key: &[u8], mut values: Vec<Vec<u8>>) -> Option<Vec<u8>> {
        if values.len() == 1 {
            return values.pop();
        }
        match self {
            // The same line from two files never happens; were it to, one of them is enough.
            Self::Lines => values.into_iter().next(),
            // A name that was given anew has the higher number; what a number is called never changes.
            Self::Names => values.into_iter().max(),
            Self::Minutes | Self::Hours | Self::Days => match series::names_max(key) {
                Some(names_max) => {
                    let mut all = Sketch::default();
                    values.iter().filter_map(|value| Sketch::decode(value)).for_each(|one| all.merge(one, names_max));
                    Some(all.encode(names_max))
                }
                None => {
                    let mut all = Points::default();
                    values.iter().filter_map(|value| Points::decode(value)).for_each(|one| all.merge(&one));
                    Some(all.encode())
                }
            },
        }
    }
}

/// The day of a time, in which its lines lie.
pub(crate) fn day_of(at_ms: u64) -> u32 {
    u32::try_from(at_ms / DAY_MS).unwrap_or(u32::MAX)
}
