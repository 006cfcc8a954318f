//! Backups by the clock.

use std::path::PathBuf;

use crate::declare::settings;
use crate::reader::Reader;

settings! {
    /// Backups by the clock. One replica writes them: the learner with the lowest id, or else the leader. So all replicas of
    /// a cluster have the same.
    BackupSettings, checked by check {
        /// The folder that verified backups are written to. It must exist, and lie outside `node.data_folder`; best on another
        /// disk. Default empty: none are written. Since 0.1.
        value folder: Option<PathBuf> = "";
        /// From one backup to the next, 10 to 604800. Seconds. Default 3600. Since 0.1.
        value interval_s: u64 = "3600";
        /// How many backups are kept, 1 to 10000. Default 24. Since 0.1.
        value keep: u64 = "24";
    }
}

fn check(backup: &BackupSettings, reader: &mut Reader) {
    reader.in_range("interval_s", backup.interval_s, 10..=604_800);
    reader.in_range("keep", backup.keep, 1..=10_000);
}
