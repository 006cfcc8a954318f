//! Pages of the access log.

use super::request::Place;
use super::{Line, time_of};
use crate::collect::{Observed, ObservedError, Tier};
use crate::run::Item;
use latchkey_domain::TenantNumber;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// Lines that one page looks at. Bounds the work of a filter that matches little.
const SCAN_LINES_MAX: usize = 20_000;
/// Lines that are read of one tenant at once, at least and at most.
const READ: RangeInclusive<usize> = 16..=1_024;
/// Lines that are read of all tenants at once. Bounds memory: a line has 2 KiB at most.
const READ_OF_ALL: usize = 16_384;
/// Kept back of the caller's time, so that a short page gets home within it.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// Whose lines are looked at; the cluster's own are those of [`crate::run::CLUSTER`].
pub(crate) type Whose = Vec<TenantNumber>;

/// Some lines, and where the next page goes on.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) lines: Vec<(TenantNumber, Line)>,
    /// The place of the last line that was looked at; `None`: there are no others.
    pub(crate) after: Option<Place>,
}

impl Observed {
    /// Reads one page of the lines of these tenants in a range of times for which `keep` says so. What comes later changes nothing behind a
    /// page, but for lines of a replica that was away: those have the times at which they were.
    pub(crate) fn list_lines(
        &self,
        whose: &[TenantNumber],
        times: &Range<u64>,
        oldest_first: bool,
        after: Option<Place>,
        page_size: usize,
        mut keep: impl FnMut(TenantNumber, &Line) -> Result<bool, ObservedError>,
    ) -> Result<Page, ObservedError> {
        let (mut page, mut looked_at) = (Page::default(), 0);
        page.after = after;
        let read_max = (READ_OF_ALL / whose.len().max(1)).clamp(*READ.start(), *READ.end());
        loop {
            if looked_at > 0 && !self.has_time(ANSWER_MARGIN) {
                return Ok(page);
            }
            // All that stands before this place was read.
            let (mut found, mut until) = (BTreeMap::new(), None::<Place>);
            for tenant in whose {
                self.in_time()?;
                let keys = bounds(times, oldest_first, page.after.as_ref(), *tenant);
                let lines = self.lines(*tenant, &keys, oldest_first, read_max)?;
                if lines.len() == read_max
                    && let Some((key, _)) = lines.last()
                {
                    let place = (key.clone(), tenant.0);
                    let is_nearer = until.as_ref().is_none_or(|until| (place < *until) == oldest_first);
                    until = if is_nearer { Some(place) } else { until };
                }
                found.extend(lines.into_iter().map(|(key, value)| ((key, tenant.0), value)));
            }
            let is_last = until.is_none();
            let mut places: Vec<(Place, Vec<u8>)> = found.into_iter().collect();
            if !oldest_first {
                places.reverse();
            }
            let reaches = |place: &Place| {
                until.as_ref().is_none_or(|until| if oldest_first { place <= until } else { place >= until })
            };
            for (place, value) in places.into_iter().take_while(|(place, _)| reaches(place)) {
                if page.lines.len() == page_size || looked_at == SCAN_LINES_MAX {
                    return Ok(page);
                }
                looked_at += 1;
                let tenant = TenantNumber(place.1);
                if let Some(line) = Line::read(place.0.clone(), &value)
                    && keep(tenant, &line)?
                {
                    page.lines.push((tenant, line));
                }
                page.after = Some(place);
            }
            if is_last {
                page.after = None;
                return Ok(page);
            }
        }
    }

    /// Some lines of a tenant in order, those with the nearest keys.
    fn lines(
        &self,
        tenant: TenantNumber,
        keys: &Range<Vec<u8>>,
        oldest_first: bool,
        lines_max: usize,
    ) -> Result<Vec<Item>, ObservedError> {
        if keys.start >= keys.end {
            return Ok(Vec::new());
        }
        let mut found = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        let shelf = self.look(|memory| {
            let range = memory.lines.range((tenant, keys.start.clone())..(tenant, keys.end.clone()));
            let items = range.map(|((_, key), value)| (key.clone(), value.clone()));
            if oldest_first {
                found.extend(items.take(lines_max));
            } else {
                found.extend(items.rev().take(lines_max));
            }
        });
        let day = |key: &[u8]| Tier::Lines.step_at(time_of(key).unwrap_or(u64::MAX));
        let mut days: Vec<_> = shelf.within(Tier::Lines, day(&keys.start)..day(&keys.end).saturating_add(1)).collect();
        if !oldest_first {
            days.reverse();
        }
        let mut read = 0;
        for (_, runs) in days {
            // What lies in later days comes after all of this.
            if read >= lines_max {
                break;
            }
            for run in runs {
                let mut items = run.reader.range(tenant, &keys.start, Some(&keys.end))?;
                for _ in 0..lines_max {
                    let Some(item) = (if oldest_first { items.next() } else { items.next_back() }) else { break };
                    let (key, value) = item?;
                    found.insert(key, value);
                    read += 1;
                }
            }
        }
        Ok(if oldest_first {
            found.into_iter().take(lines_max).collect()
        } else {
            found.into_iter().rev().take(lines_max).collect()
        })
    }
}

/// The keys of a tenant's lines that come after a place.
fn bounds(times: &Range<u64>, oldest_first: bool, after: Option<&Place>, tenant: TenantNumber) -> Range<Vec<u8>> {
    let mut keys = times.start.to_be_bytes().to_vec()..times.end.to_be_bytes().to_vec();
    if let Some((key, of)) = after {
        // Of lines with the same key those of the lower tenant come first.
        let is_after = if oldest_first { tenant.0 > *of } else { tenant.0 < *of };
        let just_after = [&key[..], &[0]].concat();
        match (oldest_first, is_after) {
            (true, true) => keys.start = keys.start.max(key.clone()),
            (true, false) => keys.start = keys.start.max(just_after),
            (false, true) => keys.end = keys.end.min(just_after),
            (false, false) => keys.end = keys.end.min(key.clone()),
        }
    }
    keys
}
