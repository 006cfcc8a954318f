//! How each sink does: what `ListExports` and the metrics tell.

use latchkey_config::SinkStream;
use latchkey_domain::UnixMillis;
use latchkey_telemetry::names;
use metrics::{counter, gauge};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How one sink does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// What it is: a word of the settings.
    pub kind: &'static str,
    /// What it is sent.
    pub stream: SinkStream,
    /// Where it is: an address or a folder.
    pub place: String,
    /// The next sequence that it has not taken.
    pub next: u64,
    /// Entries that it has yet to take or to pass over.
    pub lag_entries: u64,
    /// When the oldest entry that it has yet to take happened; absent: it has all.
    pub waits_since: Option<UnixMillis>,
    /// When it last took something.
    pub taken_at: Option<UnixMillis>,
    /// When it was last seen to be well: it took something, or has all.
    pub well_at: Option<UnixMillis>,
    /// What it will never take, since it began.
    pub set_aside: u64,
    /// What was gone before it could take it, since it began: entries, or batches of what replicas observed.
    pub missed: u64,
    /// Since when it takes nothing, and why; absent: its last batch was taken.
    pub failing: Option<(UnixMillis, String)>,
}

impl SinkStatus {
    /// For how long the oldest entry waits.
    #[must_use]
    pub fn lag_millis(&self, now: UnixMillis) -> u64 {
        self.waits_since.map_or(0, |since| now.since(since).millis())
    }
}

/// How all sinks of a process do. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    all: Arc<Mutex<BTreeMap<String, SinkStatus>>>,
}

impl Exports {
    /// All of them, by name.
    #[must_use]
    pub fn list(&self) -> Vec<(String, SinkStatus)> {
        self.locked().iter().map(|(name, status)| (name.clone(), status.clone())).collect()
    }

    /// Changes what is told of one.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut SinkStatus)) {
        change(self.locked().entry(name.to_owned()).or_default());
    }

    /// Writes the gauges: while a sink is dead nobody else does. `stored` are entries; what replicas observed is followed in batches.
    pub fn measure(&self, stored: u64, batches: u64, now: UnixMillis) {
        for (name, status) in self.locked().iter_mut() {
            let there = if status.stream == SinkStream::Entries { stored } else { batches };
            status.lag_entries = there.saturating_sub(status.next);
            gauge!(names::EXPORT_LAG_ENTRIES, "sink" => name.clone()).set(status.lag_entries as f64);
            gauge!(names::EXPORT_LAG_SECONDS, "sink" => name.clone()).set(status.lag_millis(now) as f64 / 1_000.0);
            gauge!(names::EXPORT_MISSED_ENTRIES, "sink" => name.clone()).set(status.missed as f64);
            gauge!(names::EXPORT_SET_ASIDE_ENTRIES, "sink" => name.clone()).set(status.set_aside as f64);
            gauge!(names::EXPORT_FAILING, "sink" => name.clone()).set(f64::from(u8::from(status.failing.is_some())));
        }
    }

    pub(crate) fn count(name: &str, result: &'static str, entries: usize) {
        counter!(names::EXPORT_ENTRIES_TOTAL, "sink" => name.to_owned(), "result" => result).increment(entries as u64);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, SinkStatus>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
