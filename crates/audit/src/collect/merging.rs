//! Writing what is in memory, and making few long runs of many short ones.

use super::Memory;
use super::log::act;
use super::manifest::{Manifest, RunEntry};
use super::shelf::Run;
use super::store::{Boundary, Observed, ObservedError};
use super::tier::Tier;
use crate::access;
use crate::run::{RunError, Writer, merge};
use latchkey_telemetry::{OsEntropy, names};
use metrics::{gauge, histogram};
use std::fs;
use std::sync::Arc;
use tokio::time::Instant;

/// Runs of one level that become one of the next. A look-up asks at most seven of a level, and each item is written once a level.
const FAN_IN: usize = 8;
/// How long after its end a part becomes one run: what comes later than that is rare.
const SETTLES_MS: u64 = 2 * 3_600_000;
/// A run of lines that takes more than this part of the room for them is merged no more: eight of them go at once, and not a day.
const LINES_SHARE: u64 = 64;

/// Runs of a part of a tier that are to become one.
type Due = (Tier, u32, Vec<Arc<Run>>);

impl Observed {
    /// Writes what is in memory to runs. Durable on return; what fails is tried again by the next call, with nothing lost or twice.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn flush(&self) -> Result<(), ObservedError> {
        let mut written = self.written();
        let Some((memory, boundary)) = self.freeze()? else { return Ok(()) };
        let begun = Instant::now();
        let (manifest, runs) = self.write_memory(&written, &memory, boundary)?;
        self.write_manifest(&manifest)?;
        {
            let mut state = self.state_mut();
            state.frozen = None;
            runs.into_iter().for_each(|run| state.shelf.add(run));
        }
        *written = manifest;
        histogram!(names::USAGE_WRITE_SECONDS).record(begun.elapsed().as_secs_f64());
        let below = self.kept_from(written.log_from);
        self.log().remove_below(below)
    }

    /// Cuts memory from what comes, at a boundary of the log. What was cut before and is not written comes first.
    fn freeze(&self) -> Result<Option<(Arc<Memory>, Boundary)>, ObservedError> {
        let mut log = self.log();
        let mut state = self.state_mut();
        if state.frozen.is_none() && !state.active.is_empty() {
            let boundary = Boundary {
                log_from: log.rotate()?,
                positions: state.positions.clone(),
                lost: state.lost,
                regions: state.regions.clone(),
            };
            state.frozen = Some((Arc::new(std::mem::take(&mut state.active)), boundary));
        }
        Ok(state.frozen.clone())
    }

    fn write_memory(
        &self,
        written: &Manifest,
        memory: &Memory,
        boundary: Boundary,
    ) -> Result<(Manifest, Vec<Arc<Run>>), ObservedError> {
        let Boundary { log_from, positions, lost, regions } = boundary;
        let mut manifest = Manifest { log_from, positions, lost, regions, ..written.clone() };
        let mut runs = Vec::new();
        for ((tier, part), items) in memory.items() {
            let entry = next(&mut manifest, tier, part, 0);
            let times = items.iter().filter_map(|(_, key, _)| access::time_of(key));
            let newest_ms = if tier == Tier::Lines { times.max() } else { None };
            let mut writer = self.writer(&entry)?;
            for (tenant, key, value) in items {
                match writer.push(tenant, &key, &value) {
                    // Its tenant was destroyed since it came.
                    Err(RunError::Destroyed { .. }) => {}
                    pushed => pushed?,
                }
            }
            let reader = writer.finish(&Run::note(newest_ms))?;
            manifest.runs.push(entry.clone());
            runs.push(Run::new(entry, reader));
        }
        Ok((manifest, runs))
    }

    /// Merges what there is to merge, one part after the other, until there is nothing. `now_ms` decides which parts are over. A run
    /// that does not read, or that makes one too long with others, is left as it is from then on, and all others are merged.
    ///
    /// # Errors
    /// [`ObservedError`]: what was merged until then stays so; of runs that are left as they are the first, once all others are merged.
    pub fn merge(&self, now_ms: u64) -> Result<(), ObservedError> {
        let mut told = None;
        while let Some((tier, part, runs)) = self.due(now_ms)? {
            match self.merge_runs(tier, part, &runs) {
                Ok(()) => {}
                Err(error) if leave_out(&error, &runs) => {
                    tracing::error!(%error, "a part of usage cannot be merged: it stays as it is");
                    told = told.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        let left_out = self.state().shelf.runs().filter(|run| run.is_left_out()).count();
        gauge!(names::USAGE_RUNS_LEFT_OUT).set(left_out as f64);
        told.map_or(Ok(()), Err)
    }

    fn merge_runs(&self, tier: Tier, part: u32, runs: &[Arc<Run>]) -> Result<(), ObservedError> {
        let mut written = self.written();
        let is_there = |run: &Arc<Run>| written.runs.iter().any(|entry| entry.number == run.entry.number);
        if !runs.iter().all(is_there) {
            // Somebody was quicker; what is due is looked for once more.
            return Ok(());
        }
        let level = runs.iter().map(|run| run.entry.level).max().unwrap_or(0).saturating_add(1);
        let mut manifest = written.clone();
        let entry = next(&mut manifest, tier, part, level);
        let mut writer = self.writer(&entry)?;
        let readers = runs.iter().map(|run| &run.reader);
        merge(readers, |_, key, values| tier.combine(key, values), &mut writer)?;
        let newest_ms = runs.iter().map(|run| run.newest_ms()).max().filter(|_| tier == Tier::Lines);
        let made = Run::new(entry.clone(), writer.finish(&Run::note(newest_ms))?);
        manifest.runs.retain(|run| !runs.iter().any(|merged| merged.entry.number == run.number));
        manifest.runs.push(entry);
        self.write_manifest(&manifest)?;
        {
            let mut state = self.state_mut();
            state.shelf.remove(runs);
            state.shelf.add(made);
        }
        *written = manifest;
        Ok(())
    }

    /// The first runs that are to become one. Asking for keys may take its time, and holds nobody up who writes.
    fn due(&self, now_ms: u64) -> Result<Option<Due>, ObservedError> {
        let shelf = self.state().shelf.clone();
        for (tier, part, runs) in shelf.parts() {
            let runs: Vec<_> = runs.iter().filter(|run| !run.is_left_out()).cloned().collect();
            let is_over = tier.part_ends_ms(part).saturating_add(SETTLES_MS) <= now_ms;
            if let Some(runs) = self.enough(tier, &runs, is_over) {
                return Ok(Some((tier, part, runs)));
            }
            // What is left of a tenant that was destroyed goes.
            for run in &runs {
                for (tenant, _) in run.reader.tenants() {
                    if self.inner.keys.is_destroyed(tenant)? {
                        return Ok(Some((tier, part, vec![run.clone()])));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Those of a part's runs that are enough to become one.
    fn enough(&self, tier: Tier, runs: &[Arc<Run>], is_over: bool) -> Option<Vec<Arc<Run>>> {
        let (bytes_max, runs_max) = match tier {
            Tier::Lines => (self.inner.options.lines_bytes_max / LINES_SHARE, FAN_IN),
            Tier::Minutes | Tier::Hours | Tier::Days | Tier::Names => (u64::MAX, usize::MAX),
        };
        let runs: Vec<_> = runs.iter().filter(|run| run.reader.bytes() <= bytes_max).collect();
        let some = |runs: Vec<&Arc<Run>>| Some(runs.into_iter().take(runs_max).cloned().collect());
        if is_over && runs.len() > 1 {
            return some(runs);
        }
        let level_max = runs.iter().map(|run| run.entry.level).max()?;
        (0..=level_max).find_map(|level| {
            let of_level: Vec<_> = runs.iter().copied().filter(|run| run.entry.level == level).collect();
            if of_level.len() >= FAN_IN { some(of_level) } else { None }
        })
    }

    fn writer(&self, entry: &RunEntry) -> Result<Writer, ObservedError> {
        let path = self.inner.folder.join(entry.file());
        // One that failed before it was in the manifest may lie there.
        if path.exists() {
            act("remove", &path, |path| fs::remove_file(path))?;
        }
        let keys = self.inner.keys.clone();
        Ok(Writer::create(&path, self.inner.cluster, keys, entry.tier.options(), OsEntropy)?)
    }

    #[cfg(test)]
    /// Does all of [`Self::flush`] but what makes it count, as a kill in between leaves it.
    pub(crate) fn flush_and_die(&self) {
        let written = self.written();
        if let Some((memory, boundary)) = self.freeze().unwrap() {
            self.write_memory(&written, &memory, boundary).unwrap();
        }
    }
}

/// Leaves runs out of merges for which it is no use to try again; `false`: there are none, and the error may pass.
fn leave_out(error: &ObservedError, runs: &[Arc<Run>]) -> bool {
    let ObservedError::Run(error) = error else { return false };
    let cannot = |run: &&Arc<Run>| match error {
        // Of the one that is written the path is another: a disk that is full.
        RunError::Damaged { path, .. } | RunError::Io { path, .. } => path == run.reader.path(),
        RunError::TooLong { .. } | RunError::Order { .. } => true,
        RunError::Format { .. } | RunError::Destroyed { .. } | RunError::KeysAway(_) => false,
    };
    let left_out: Vec<_> = runs.iter().filter(cannot).collect();
    left_out.iter().for_each(|run| run.leave_out());
    !left_out.is_empty()
}

fn next(manifest: &mut Manifest, tier: Tier, part: u32, level: u8) -> RunEntry {
    let number = manifest.next_run;
    manifest.next_run += 1;
    RunEntry { tier, part, level, number }
}
