//! Reading rows of memory and runs as one.

use super::counts::Counts;
use super::points::Points;
use super::series::{self, KEY_PREFIX_BYTES};
use super::sketch::Sketch;
use crate::collect::{Observed, ObservedError, Tier};
use latchkey_domain::TenantNumber;
use std::collections::BTreeSet;
use std::ops::Range;

/// Items between two looks at the clock: some milliseconds.
const ITEMS_A_LOOK: u32 = 64;

impl Observed {
    /// Visits each step of each row of a tenant whose key begins with `prefix`. A row and step may come several times, to be added up.
    pub(crate) fn scan(
        &self,
        tenant: TenantNumber,
        prefix: &[u8],
        tier: Tier,
        steps: &Range<u32>,
        mut visit: impl FnMut(&[u8], u32, &Counts),
    ) -> Result<(), ObservedError> {
        let step_minutes = tier.step_minutes();
        let shelf = self.look(|memory| {
            let rows = memory.rows.range((tenant, prefix.to_vec())..);
            for ((_, key), points) in rows.take_while(|((of, key), _)| *of == tenant && key.starts_with(prefix)) {
                for (minute, counts) in points.iter() {
                    let step = minute / step_minutes;
                    if steps.contains(&step) {
                        visit(key, step, counts);
                    }
                }
            }
        });
        let after = series::after(prefix);
        // Rows of one key are told by the filter; those of what is less are few.
        let is_one_key = prefix.len() >= KEY_PREFIX_BYTES;
        for (part, runs) in shelf.within(tier, steps.clone()) {
            let first = tier.first_of(part);
            for run in runs {
                self.in_time()?;
                if is_one_key && !run.reader.may_hold(tenant, &prefix[..KEY_PREFIX_BYTES])? {
                    continue;
                }
                for (number, item) in (0_u32..).zip(run.reader.range(tenant, prefix, after.as_deref())?) {
                    let (key, value) = item?;
                    if number.is_multiple_of(ITEMS_A_LOOK) {
                        self.in_time()?;
                    }
                    let Some(points) = Points::decode(&value) else { continue };
                    for (offset, counts) in points.iter() {
                        let step = first.saturating_add(offset);
                        if steps.contains(&step) {
                            visit(&key, step, counts);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Visits the rankings of a tenant: those under this very key, or all whose key begins so. The tier is hours or days.
    pub(crate) fn rankings(
        &self,
        tenant: TenantNumber,
        key: &[u8],
        is_whole: bool,
        tier: Tier,
        steps: &Range<u32>,
        mut visit: impl FnMut(u32, Sketch),
    ) -> Result<(), ObservedError> {
        let hours_a_step = tier.step_minutes() / 60;
        let shelf = self.look(|memory| {
            let rows = memory.rankings.range((tenant, key.to_vec())..);
            for ((_, found), hours) in rows.take_while(|((of, found), _)| *of == tenant && found.starts_with(key)) {
                if is_whole && found != key {
                    continue;
                }
                for (hour, sketch) in hours {
                    let step = hour / hours_a_step.max(1);
                    if steps.contains(&step) {
                        visit(step, sketch.clone());
                    }
                }
            }
        });
        let bounds = if is_whole {
            let bound = |step: u32| [key, &step.to_be_bytes()[..]].concat();
            (bound(steps.start), Some(bound(steps.end)))
        } else {
            (key.to_vec(), series::after(key))
        };
        for (_, runs) in shelf.within(tier, steps.clone()) {
            for run in runs {
                self.in_time()?;
                // A key of a ranking is longer than what the filter is asked for only where it is a key's own.
                if key.len() >= KEY_PREFIX_BYTES && !run.reader.may_hold(tenant, &key[..KEY_PREFIX_BYTES])? {
                    continue;
                }
                for (number, item) in (0_u32..).zip(run.reader.range(tenant, &bounds.0, bounds.1.as_deref())?) {
                    let (found, value) = item?;
                    if number.is_multiple_of(ITEMS_A_LOOK) {
                        self.in_time()?;
                    }
                    let step = found.last_chunk().map(|step| u32::from_be_bytes(*step));
                    let Some(step) = step.filter(|step| steps.contains(step)) else { continue };
                    if is_whole && found.len() != key.len() + 4 {
                        continue;
                    }
                    if let Some(sketch) = Sketch::decode(&value) {
                        visit(step, sketch);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whose usage there is in a range of time, at most `tenants_max` of them and one.
    pub(crate) fn tenants(&self, tier: Tier, steps: &Range<u32>, tenants_max: usize) -> BTreeSet<TenantNumber> {
        let mut tenants = BTreeSet::new();
        let shelf = self.look(|memory| {
            let mut from = TenantNumber(0);
            while tenants.len() <= tenants_max {
                let Some(((tenant, _), _)) = memory.rows.range((from, Vec::new())..).next() else { break };
                tenants.insert(*tenant);
                from = TenantNumber(tenant.0.saturating_add(1));
            }
        });
        let runs = shelf.within(tier, steps.clone()).flat_map(|(_, runs)| runs);
        tenants.extend(runs.flat_map(|run| run.reader.tenants().map(|(tenant, _)| tenant)));
        tenants.remove(&crate::run::CLUSTER);
        tenants
    }
}
