//! How long usage and the access log are kept by audit.

use crate::declare::settings;
use crate::reader::Reader;
use std::path::PathBuf;

settings! {
    /// Usage: what keys were used for.
    UsageSettings, checked by check_usage {
        /// How long sums by minute are kept, 1 to 366. A minute of a key takes 6 to 20 bytes of the disk. Days. Default 3. Since 0.1.
        value minutes_kept_days: u64 = "3";
        /// How long sums by hour are kept, at least as long as those by minute and at most 3660. Days. Default 92. Since 0.1.
        value hours_kept_days: u64 = "92";
        /// How long sums by day, and when a key was last used, are kept, at least as long as those by hour and at most 36600. Days.
        /// Default 1098. Since 0.1.
        value days_kept_days: u64 = "1098";
        /// How much of what came is kept for exports of usage that are behind: beyond it they miss the oldest, which is counted.
        /// 1 MiB to 1 TiB. Bytes. Default 268435456. Since 0.1.
        value raw_bytes_max: u64 = "268435456";
        /// The database of countries, in MaxMind's format (`.mmdb`), read at a start. Default empty: usage is not told by country.
        /// Since 0.1.
        value country_database: Option<PathBuf> = "";
    }
}

settings! {
    /// The access log: single denials, samples, and calls without an identity.
    AccessSettings, checked by check_access {
        /// How long lines are kept, 1 to 3660. Days. Default 30. Since 0.1.
        value kept_days: u64 = "30";
        /// How many bytes of them, by whole files of some minutes or hours, the oldest going first: 1 MiB to 1 TiB. What was written
        /// last is kept, up to 64 MiB, also where there is less room. Bytes. Default 1073741824. Since 0.1.
        value bytes_max: u64 = "1073741824";
    }
}

/// From one MiB to one TiB.
const BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 40);

fn check_usage(usage: &UsageSettings, reader: &mut Reader) {
    reader.in_range("minutes_kept_days", usage.minutes_kept_days, 1..=366);
    reader.in_range("hours_kept_days", usage.hours_kept_days, usage.minutes_kept_days..=3_660);
    reader.in_range("days_kept_days", usage.days_kept_days, usage.hours_kept_days..=36_600);
    reader.in_range("raw_bytes_max", usage.raw_bytes_max, BYTES);
}

fn check_access(access: &AccessSettings, reader: &mut Reader) {
    reader.in_range("kept_days", access.kept_days, 1..=3_660);
    reader.in_range("bytes_max", access.bytes_max, BYTES);
}
