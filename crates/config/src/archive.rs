//! Where the audit log lies for good.

use crate::declare::settings;
use crate::reader::Reader;

settings! {
    /// The archive of the audit log.
    ArchiveSettings, checked by check {
        /// Where the audit log lies for good: `file:///folder`, or `s3://bucket/prefix`, `gs://bucket/prefix` or
        /// `az://container/prefix` where the program was built with that feature; what lets it in is taken from the environment,
        /// as `AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT` or `AZURE_STORAGE_ACCOUNT_KEY`. One audit service writes there. Default
        /// empty: the folder `archive` in the data folder. Since 0.1.
        value url: Option<String> = "";
        /// From one round of publishing to the next, while entries come, 100 to 120000. For as long there is no proof of them, and the
        /// replicas keep them: they refuse writes when that takes an hour. Milliseconds. Default 1000. Since 0.1.
        value interval_ms: u64 = "1000";
        /// After how many days entries go that were published, up to 36500; their leaves and the tree stay for ever, and so does
        /// proving what was exported. 0: entries stay. Default 0. Since 0.1.
        value retention_days: u64 = "0";
    }
}

/// A checkpoint covers what is published, replicas forget what one covers, and alarms go off where either takes five minutes.
const INTERVAL_MS_MAX: u64 = 120_000;

fn check(archive: &ArchiveSettings, reader: &mut Reader) {
    reader.in_range("interval_ms", archive.interval_ms, 100..=INTERVAL_MS_MAX);
    reader.in_range("retention_days", archive.retention_days, 0..=36_500);
}
