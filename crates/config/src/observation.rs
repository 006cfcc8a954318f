//! What a replica sees of the use of keys.

use crate::declare::settings;
use crate::reader::Reader;

settings! {
    /// What a replica sees of the use of keys, and hands over to the audit service: usage by key and minute, and the access log.
    ObservationSettings, checked by check {
        /// Whether anything is observed. Where it is not, there is neither usage nor an access log of what this replica answers.
        /// Default true. Since 0.1.
        value enabled: bool = "true";
        /// What observations may take in memory until the audit service has taken them, 16 to 65536, an eighth more for the
        /// access log. About 120 bytes for each key that is used within a minute, so 256 are for 1,000,000 keys a minute and twice
        /// that, since one minute is handed over while the next one fills. What does not fit is counted as lost, and said to
        /// be. Mebibytes. Default 256. Since 0.1.
        value memory_mib: u64 = "256";
        /// Lines of the access log for each keyspace and kind (denied, wrong secret, stale, sampled) in a minute, 1 to 100000;
        /// what is beyond is counted. Default 600. Since 0.1.
        value lines_per_minute: u64 = "600";
    }
}

fn check(settings: &ObservationSettings, reader: &mut Reader) {
    reader.in_range("memory_mib", settings.memory_mib, 16..=65_536);
    reader.in_range("lines_per_minute", settings.lines_per_minute, 1..=100_000);
}
