//! Retention: what is old goes, by whole files.

use super::shelf::Run;
use super::store::{Observed, ObservedError};
use super::tier::Tier;
use std::sync::Arc;

impl Observed {
    /// Takes away what is kept no longer.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn expire(&self, now_ms: u64) -> Result<(), ObservedError> {
        let mut written = self.written();
        let shelf = self.state().shelf.clone();
        let (mut old, mut lines) = (Vec::<Arc<Run>>::new(), Vec::new());
        for (tier, part, runs) in shelf.parts() {
            if tier.part_ends_ms(part) <= self.kept_since_ms(tier, now_ms) {
                old.extend(runs.iter().cloned());
            } else if tier == Tier::Lines {
                lines.extend(runs.iter().cloned());
            }
        }
        // By runs and not by days: whoever fills a day takes the oldest of it away, and not what is told about him now.
        lines.sort_by_key(|run| (run.newest_ms(), run.entry.number));
        let mut lines_bytes: u64 = lines.iter().map(|run| run.reader.bytes()).sum();
        // What was just written is kept, however little room there is.
        lines.pop();
        let mut manifest = written.clone();
        for run in lines {
            if lines_bytes <= self.inner.options.lines_bytes_max {
                break;
            }
            lines_bytes -= run.reader.bytes();
            // What comes later is shown, whatever a replica's clock said.
            let from = run.newest_ms().saturating_add(1).min(now_ms);
            manifest.lines_from_ms = manifest.lines_from_ms.max(from);
            old.push(run);
        }
        if old.is_empty() {
            return Ok(());
        }
        manifest.runs.retain(|run| !old.iter().any(|gone| gone.entry.number == run.number));
        self.write_manifest(&manifest)?;
        {
            let mut state = self.state_mut();
            state.shelf.remove(&old);
            state.lines_from_ms = manifest.lines_from_ms;
        }
        *written = manifest;
        Ok(())
    }

    /// Since when a tier is kept. Milliseconds since 1970.
    pub(crate) fn kept_since_ms(&self, tier: Tier, now_ms: u64) -> u64 {
        let options = &self.inner.options;
        let kept = match tier {
            Tier::Minutes => options.minutes_kept,
            Tier::Hours => options.hours_kept,
            Tier::Days => options.days_kept,
            Tier::Lines => options.lines_kept,
            Tier::Names => return 0,
        };
        now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX))
    }
}
