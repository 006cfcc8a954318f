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
                lines.push((part, runs));
            }
        }
        let mut lines_bytes: u64 = lines.iter().flat_map(|(_, runs)| *runs).map(|run| run.reader.bytes()).sum();
        let mut manifest = written.clone();
        for (part, runs) in lines {
            if lines_bytes <= self.inner.options.lines_bytes_max {
                break;
            }
            lines_bytes -= runs.iter().map(|run| run.reader.bytes()).sum::<u64>();
            manifest.lines_from_ms = Tier::Lines.part_ends_ms(part);
            old.extend(runs.iter().cloned());
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
