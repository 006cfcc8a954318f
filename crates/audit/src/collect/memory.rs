//! What was collected and is not in runs yet: sums in memory.

use super::batch::{Batch, Part, ids};
use super::tier::{MINUTE_MS, Tier, day_of};
use crate::access;
use crate::run::CLUSTER;
use crate::usage::countries::Countries;
use crate::usage::counts::Counts;
use crate::usage::counts::{
    COUNTRIES, COUNTRY_UNKNOWN, LAST_USED, LATENCIES, LATENCY, LOAD_MILLI, OUTCOMES, REPORTED_LATENCIES,
    REPORTED_LATENCY, REPORTED_REQUESTS, REQUEST_BYTES, RESPONSE_BYTES, STATUS_CLASSES,
};
use crate::usage::points::Points;
use crate::usage::sketch::Sketch;
use crate::usage::{names, series};
use latchkey_domain::TenantNumber;
use latchkey_wire::pb::internal::v1 as pb;
use std::collections::BTreeMap;
use std::ops::Range;

/// Whose, and the key of its row.
pub(crate) type RowKey = (TenantNumber, Vec<u8>);
/// Items of one part of a tier, in order.
pub(crate) type Items = Vec<(TenantNumber, Vec<u8>, Vec<u8>)>;

/// Sums in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By minute.
    pub(crate) rows: BTreeMap<RowKey, Points>,
    /// Who came most, by hour.
    pub(crate) rankings: BTreeMap<RowKey, BTreeMap<u32, Sketch>>,
    /// Lines of the access log.
    pub(crate) lines: BTreeMap<RowKey, Vec<u8>>,
    /// What numbers are called.
    pub(crate) names: BTreeMap<RowKey, Vec<u8>>,
    bytes: usize,
}

/// Bytes of a row beside its key and points: its place in the map, and two allocations.
const ROW_BYTES: usize = 120;
/// Bytes of a point beside its slots.
const POINT_BYTES: usize = 48;
/// Bytes of a slot.
const SLOT_BYTES: usize = 16;

impl Memory {
    /// About how many bytes it takes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.rankings.is_empty() && self.lines.is_empty() && self.names.is_empty()
    }

    /// Adds a batch of a region, which has this number.
    pub(crate) fn add(&mut self, batch: &Batch, region: u16, countries: &Countries) {
        for (tenant, part) in &batch.parts {
            let Part { cells, lines, names } = part;
            cells.iter().for_each(|cell| self.add_cell(*tenant, cell, region, countries));
            for (at, line) in lines.iter().enumerate() {
                let (key, value) = access::item(batch, at, line);
                self.bytes += ROW_BYTES + key.len() + value.len();
                self.lines.insert((*tenant, key), value);
            }
            for name in names {
                for (key, value) in names::items(name) {
                    let bytes = ROW_BYTES + key.len() + value.len();
                    // The higher number of two, as where runs are merged.
                    let known = self.names.entry((*tenant, key)).or_insert_with(|| {
                        self.bytes += bytes;
                        Vec::new()
                    });
                    if *known < value {
                        *known = value;
                    }
                }
            }
        }
    }

    fn add_cell(&mut self, tenant: TenantNumber, cell: &pb::UsageCell, region: u16, countries: &Countries) {
        // A minute beyond that is eight thousand years away.
        let Ok(minute) = u32::try_from(cell.minute) else { return };
        let counts = counts(cell);
        let requests = counts.requests().max(counts.of(REPORTED_REQUESTS));
        let mut totals = counts.clone();
        totals.retain(|slot| slot != LAST_USED);
        let keyspace = cell.keyspace.unwrap_or(0);
        let hour = minute / 60;
        self.add_row(CLUSTER, series::all(region), minute, &totals);
        self.add_row(tenant, series::tenant(region), minute, &totals);
        self.add_row(tenant, series::keyspace(keyspace, region), minute, &totals);
        if let Some(owner) = cell.owner {
            self.add_row(tenant, series::owner(owner, keyspace, region), minute, &totals);
            for ranking in [series::ranked_owners(None), series::ranked_owners(Some(keyspace))] {
                self.rank(tenant, ranking, hour, &owner.to_be_bytes(), requests);
            }
        }
        let key = ids(&cell.key_id, &cell.version_id);
        if let Some((key, version)) = key {
            self.add_row(tenant, series::version(keyspace, key, version, region), minute, &counts);
            let name = series::ranked_name(keyspace, key);
            for ranking in [series::ranked_keys(None), series::ranked_keys(Some(keyspace))] {
                self.rank(tenant, ranking, hour, &name, requests);
            }
            if let Some(owner) = cell.owner {
                self.rank(tenant, series::ranked_keys_of(owner), hour, &name, requests);
            }
        }
        let of_key = key.map(|(key, _)| series::key_networks(keyspace, key));
        for of in [Some(series::networks(Some(keyspace))), of_key].into_iter().flatten() {
            for network in &cell.networks {
                self.rank(tenant, of.clone(), hour, &network.network, network.count);
            }
            if cell.other_networks > 0 {
                self.ranking(tenant, of, hour).add_unknown(cell.other_networks);
            }
        }
        if countries.are_known() {
            let mut by_country = Counts::default();
            by_country.add(COUNTRY_UNKNOWN, cell.other_networks);
            for network in &cell.networks {
                by_country.add(countries.slot(&network.network), network.count);
            }
            if !by_country.is_empty() {
                self.add_row(tenant, series::countries(Some(keyspace)), minute, &by_country);
            }
        }
    }

    fn add_row(&mut self, tenant: TenantNumber, key: Vec<u8>, minute: u32, counts: &Counts) {
        let key_bytes = key.len();
        let points = self.rows.entry((tenant, key)).or_insert_with(|| {
            self.bytes += ROW_BYTES + key_bytes;
            Points::default()
        });
        let steps = points.len();
        let at = points.at(minute);
        let slots = at.len();
        at.merge(counts);
        self.bytes += (at.len() - slots) * SLOT_BYTES;
        self.bytes += (points.len() - steps) * POINT_BYTES;
    }

    fn rank(&mut self, tenant: TenantNumber, key: Vec<u8>, hour: u32, name: &[u8], count: u64) {
        let names_max = series::names_max(&key).unwrap_or(series::KEY_NETWORKS_MAX);
        let sketch = self.ranking(tenant, key, hour);
        let bytes = sketch.bytes();
        sketch.add(name, count, names_max);
        let after = sketch.bytes();
        // A sketch that was cut down takes less than before.
        self.bytes = (self.bytes + after).saturating_sub(bytes);
    }

    fn ranking(&mut self, tenant: TenantNumber, key: Vec<u8>, hour: u32) -> &mut Sketch {
        let key_bytes = key.len();
        let hours = self.rankings.entry((tenant, key)).or_insert_with(|| {
            self.bytes += ROW_BYTES + key_bytes;
            BTreeMap::new()
        });
        hours.entry(hour).or_insert_with(|| {
            self.bytes += POINT_BYTES;
            Sketch::default()
        })
    }

    /// All of it as the items of runs, by tier and part.
    pub(crate) fn items(&self) -> BTreeMap<(Tier, u32), Items> {
        let mut items = BTreeMap::<(Tier, u32), Items>::new();
        for ((tenant, key), points) in &self.rows {
            let minutes = series::has_minutes(key);
            for tier in [Tier::Minutes, Tier::Hours, Tier::Days].into_iter().skip(usize::from(!minutes)) {
                for (part, points) in parted(tier, points) {
                    items.entry((tier, part)).or_default().push((*tenant, key.clone(), points.encode()));
                }
            }
        }
        for ((tenant, key), hours) in &self.rankings {
            let names_max = series::names_max(key).unwrap_or(series::KEY_NETWORKS_MAX);
            let mut days = BTreeMap::<u32, Sketch>::new();
            for (hour, sketch) in hours {
                days.entry(hour / 24).or_default().merge(sketch.clone(), names_max);
            }
            let hours = hours.iter().map(|(hour, sketch)| (Tier::Hours, *hour, sketch.clone()));
            for (tier, step, sketch) in hours.chain(days.into_iter().map(|(day, sketch)| (Tier::Days, day, sketch))) {
                let key = [&key[..], &step.to_be_bytes()].concat();
                let value = sketch.encode(names_max);
                items.entry((tier, tier.part_of(step))).or_default().push((*tenant, key, value));
            }
        }
        for ((tenant, key), value) in &self.lines {
            let day = access::time_of(key).map_or(0, day_of);
            items.entry((Tier::Lines, day)).or_default().push((*tenant, key.clone(), value.clone()));
        }
        for ((tenant, key), value) in &self.names {
            items.entry((Tier::Names, 0)).or_default().push((*tenant, key.clone(), value.clone()));
        }
        items.values_mut().for_each(|items| items.sort_unstable());
        items
    }
}

/// Minutes as the steps of a tier, counted from the first of each part.
fn parted(tier: Tier, points: &Points) -> BTreeMap<u32, Points> {
    let mut parts = BTreeMap::<u32, Points>::new();
    for (minute, counts) in points.iter() {
        let step = minute / tier.step_minutes();
        let part = tier.part_of(step);
        let at = parts.entry(part).or_default().at(step - tier.first_of(part));
        if tier == Tier::Days {
            at.merge(counts);
        } else {
            // When a key was last used is asked of its days alone.
            let mut counts = counts.clone();
            counts.retain(|slot| slot != LAST_USED);
            at.merge(&counts);
        }
    }
    parts
}

fn counts(cell: &pb::UsageCell) -> Counts {
    let mut counts = Counts::default();
    counts.add_all(OUTCOMES, &cell.outcomes);
    add_latency(&mut counts, (LATENCIES, &cell.latencies), (LATENCY, &cell.latency));
    if let Some(reported) = &cell.reported {
        counts.add(REPORTED_REQUESTS, reported.requests);
        counts.add_all(STATUS_CLASSES, &reported.status_classes);
        counts.add(REQUEST_BYTES, reported.request_bytes);
        counts.add(RESPONSE_BYTES, reported.response_bytes);
        counts.add(LOAD_MILLI, reported.load_milli);
        let coarse = (REPORTED_LATENCY, &reported.latency[..]);
        add_latency(&mut counts, (REPORTED_LATENCIES, &reported.latencies), coarse);
    }
    counts.add(LAST_USED, cell.last_used_unix_ms.unwrap_or(0));
    counts
}

/// Adds what is finer; where a replica told only what is coarse, that.
fn add_latency(
    counts: &mut Counts,
    (slots, latencies): (Range<u16>, &[pb::LatencyCount]),
    (coarse_slots, coarse): (Range<u16>, &[u64]),
) {
    if latencies.is_empty() {
        counts.add_all(coarse_slots, coarse);
    }
    for one in latencies {
        let slot = u16::try_from(one.bucket).ok().and_then(|bucket| slots.start.checked_add(bucket));
        counts.add(slot.map_or(slots.end - 1, |slot| slot.min(slots.end - 1)), one.count);
    }
}

const _: () = assert!(MINUTE_MS == 60_000 && COUNTRIES.start > LAST_USED, "slots do not overlap");
