//! How what replicas observed is kept.

use super::MEMORY_BYTES_MAX;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// How it is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long sums by minute are kept.
    pub minutes_kept: Duration,
    /// How long sums by hour are kept.
    pub hours_kept: Duration,
    /// How long sums by day are kept.
    pub days_kept: Duration,
    /// How long lines of the access log are kept.
    pub lines_kept: Duration,
    /// How many bytes of them, by whole files: the oldest go first, a part of a day where one day has more.
    pub lines_bytes_max: u64,
    /// How many bytes of batches wait for exports that are behind.
    pub raw_bytes_max: u64,
    /// The names of the exports that follow batches: all is kept for each, as far as there is room, until it says how far it is.
    pub followers: Vec<String>,
    /// Bytes of sums that are held in memory before they are written.
    pub memory_bytes_max: usize,
    /// The database of countries, in MaxMind's format.
    pub country_database: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minutes_kept: 3 * DAY,
            hours_kept: 92 * DAY,
            days_kept: 1_098 * DAY,
            lines_kept: 30 * DAY,
            lines_bytes_max: 1 << 30,
            raw_bytes_max: 256 << 20,
            followers: Vec::new(),
            memory_bytes_max: MEMORY_BYTES_MAX,
            country_database: None,
        }
    }
}
