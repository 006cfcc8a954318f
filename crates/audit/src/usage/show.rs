//! Series as the API shows them.

use super::countries::{code_of, network_text};
use super::counts::{
    Counts, LOAD_MILLI, OUTCOMES, REPORTED_REQUESTS, REQUEST_BYTES, RESPONSE_BYTES, STATUS_CLASSES, VALID,
};
use super::latency::{REPORTED, VALIDATIONS, latency};
use super::names::Kind;
use super::query::{Found, Query, Value, requests_of};
use crate::collect::{Observed, ObservedError, outcome_word};
use latchkey_domain::{TenantNumber, UnixMillis};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use std::collections::{BTreeMap, HashMap};

/// What numbers are called, looked up once.
pub(crate) struct Names<'a> {
    observed: &'a Observed,
    known: HashMap<(TenantNumber, Kind, u32), String>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(observed: &'a Observed) -> Self {
        Self { observed, known: HashMap::new() }
    }

    /// The name of a number; empty for 0, which stands for none; where nobody said it, the number after a `#`.
    pub(crate) fn name(&mut self, tenant: TenantNumber, kind: Kind, number: u32) -> Result<String, ObservedError> {
        if number == 0 {
            return Ok(String::new());
        }
        if let Some(name) = self.known.get(&(tenant, kind, number)) {
            return Ok(name.clone());
        }
        let name = self.observed.name(tenant, kind, number)?.unwrap_or_else(|| format!("#{number}"));
        self.known.insert((tenant, kind, number), name.clone());
        Ok(name)
    }
}

/// A series as the API shows it.
pub(super) fn series(
    found: Found,
    query: &Query,
    regions: &[String],
    names: &mut Names<'_>,
) -> Result<v1::UsageSeries, ObservedError> {
    let Found { label, points, requests, last_used_ms, is_estimate, error } = found;
    let mut labels = Vec::new();
    match label.primary {
        None => {}
        Some(Value::Key(tenant, keyspace, key)) => {
            labels.push(("key", format!("{}/keys/{key}", names.name(tenant, Kind::Keyspace, keyspace)?)));
        }
        Some(Value::Version(tenant, keyspace, key, version)) => {
            let keyspace = names.name(tenant, Kind::Keyspace, keyspace)?;
            labels.push(("version", format!("{keyspace}/keys/{key}/versions/{version}")));
        }
        Some(Value::Owner(tenant, owner)) => labels.push(("owner", names.name(tenant, Kind::Owner, owner)?)),
        Some(Value::Keyspace(tenant, keyspace)) => {
            labels.push(("keyspace", names.name(tenant, Kind::Keyspace, keyspace)?));
        }
        Some(Value::Network(network)) => labels.push(("network", network_text(&network))),
        Some(Value::Country(country)) => labels.push(("country", code_of(country))),
    }
    let region = label.region.map(|region| regions.get(usize::from(region)).cloned().unwrap_or_default());
    labels.extend(region.map(|region| ("region", region)));
    labels.extend(label.outcome.map(|outcome| ("outcome", outcome_word(outcome.into()))));
    let class = label.status_class.map(|class| format!("{}xx", class - STATUS_CLASSES.start + 1));
    labels.extend(class.map(|class| ("status_class", class)));
    Ok(v1::UsageSeries {
        labels: labels.into_iter().map(|(word, value)| (word.to_owned(), value)).collect(),
        points: points.iter().map(|(step, counts)| point(query, *step, counts)).collect(),
        requests,
        last_used_time: last_used_ms.map(|at| write_time(UnixMillis::new(at))),
        is_estimate,
        error_max: error,
        latency: whole(&points),
    })
}

/// How long the validations of all points took.
fn whole(points: &BTreeMap<u32, Counts>) -> Option<v1::Latency> {
    let mut all = Counts::default();
    for counts in points.values() {
        VALIDATIONS.slots().for_each(|slots| counts.within(slots).for_each(|(slot, count)| all.add(slot, count)));
    }
    latency(&all, &VALIDATIONS)
}

fn point(query: &Query, step: u32, counts: &Counts) -> v1::UsagePoint {
    let requests = requests_of(counts, query.by_status_class);
    let is_of_networks = matches!(query.primary, Some(super::query::Primary::Network | super::query::Primary::Country));
    let denials = if query.by_status_class || is_of_networks { 0 } else { counts.sum(&OUTCOMES) - counts.of(VALID) };
    v1::UsagePoint {
        start_time: Some(write_time(UnixMillis::new(query.tier.begins_ms(step)))),
        requests,
        denials,
        latency: latency(counts, &VALIDATIONS),
        reported: reported(counts).filter(|_| !query.by_status_class),
    }
}

fn reported(counts: &Counts) -> Option<v1::ReportedUsagePoint> {
    let reported = v1::ReportedUsagePoint {
        requests: counts.of(REPORTED_REQUESTS),
        status_classes: counts.list(&STATUS_CLASSES),
        request_bytes: counts.of(REQUEST_BYTES),
        response_bytes: counts.of(RESPONSE_BYTES),
        latency: latency(counts, &REPORTED),
        load_milli: counts.of(LOAD_MILLI),
    };
    (reported != v1::ReportedUsagePoint::default()).then_some(reported)
}
