//! `ReportUsage`: what a protected API knows of the requests that it served joins the usage of this replica.

use crate::session::Session;
use latchkey_domain::{Duty, KeyId, KeyName, KeyspaceName, Scope, UnixMillis};
use latchkey_registry::{Registry, Reported};
use latchkey_state::Found;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{ReportUsage, UsageReport};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// For how long a repeat is known. Milliseconds.
const REPEAT_KNOWN_MS: u64 = 600_000;

/// How many calls are known.
const REPEATS_MAX: usize = 16_384;

/// A call, as far as a repeat is the same: the management key, and the id that it chose.
type Call = (KeyId, [u8; 16]);

/// The calls that were counted lately, so that a repeat is not.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// With how many reports of each were counted.
    known: HashMap<Call, u32>,
    /// Oldest first.
    order: VecDeque<(UnixMillis, Call)>,
}

impl Repeats {
    /// Carries out a call unless it was carried out before: what was counted then. Two that come at once are one after the
    /// other.
    fn once(
        &self,
        call: Call,
        now: UnixMillis,
        count: impl FnOnce() -> v1::ReportUsageResponse,
    ) -> v1::ReportUsageResponse {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.forget(now);
        if let Some(counted) = calls.known.get(&call) {
            return v1::ReportUsageResponse { counted_count: *counted, replayed: true, ..Default::default() };
        }
        let answer = count();
        calls.known.insert(call, answer.counted_count);
        calls.order.push_back((now, call));
        answer
    }
}

impl Calls {
    /// Forgets what is too old, and makes room for one more.
    fn forget(&mut self, now: UnixMillis) {
        while let Some((at, call)) = self.order.front().copied() {
            let is_over = now.since(at).millis() > REPEAT_KNOWN_MS || self.order.len() >= REPEATS_MAX;
            if !is_over {
                return;
            }
            self.order.pop_front();
            self.known.remove(&call);
        }
    }
}

/// Counts what a caller reports, once.
pub(crate) fn report(
    registry: &Registry,
    repeats: &Repeats,
    session: &Session<'_>,
    asked: &ReportUsage,
) -> v1::ReportUsageResponse {
    let count = || count(registry, session, &asked.reports);
    match asked.request_id {
        None => count(),
        Some(id) => repeats.once((session.key(), id), session.now(), count),
    }
}

fn count(registry: &Registry, session: &Session<'_>, reports: &[UsageReport]) -> v1::ReportUsageResponse {
    let mut answer = v1::ReportUsageResponse::default();
    for (place, report) in (0..).zip(reports) {
        let Some(found) = reported_on(session, report) else {
            answer.unknown_reports.push(place);
            continue;
        };
        match registry.observed().reported(&found, report.at, &reported(report)) {
            Ok(()) => answer.counted_count += 1,
            Err(_) => answer.dropped_reports.push(place),
        }
    }
    answer
}

/// The version that is reported on, where the caller may validate it.
fn reported_on<'a>(session: &Session<'a>, report: &UsageReport) -> Option<Found<'a>> {
    let found = session.state().version(report.version)?;
    let keyspace = KeyspaceName::new(found.tenant.id.clone(), found.keyspace.id.clone());
    let name = KeyName { keyspace, key: found.key.id };
    if report.key.as_ref().is_some_and(|key| *key != name) {
        return None;
    }
    session.holds(Duty::Validator, &Scope::Keyspace(name.keyspace)).then_some(found)
}

fn reported(report: &UsageReport) -> Reported {
    let mut reported = Reported {
        requests: report.requests,
        request_bytes: report.request_bytes,
        response_bytes: report.response_bytes,
        load_milli: report.load_milli,
        ..Reported::default()
    };
    let class =
        report.status_class.and_then(|class| reported.status_classes.get_mut(usize::from(class).wrapping_sub(1)));
    if let Some(class) = class {
        *class = report.requests;
    }
    if let Some(latency) = report.latency {
        reported.took(latency, report.requests);
    }
    reported
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64) -> Call {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        (KeyId::from_random([1; 12]), id)
    }

    fn counts(repeats: &Repeats, number: u64, at: u64) -> bool {
        let counted = v1::ReportUsageResponse { counted_count: 3, ..Default::default() };
        let answer = repeats.once(call(number), UnixMillis::new(at), || counted);
        assert_eq!(answer.counted_count, 3);
        !answer.replayed
    }

    #[test]
    fn a_repeat_is_known_for_ten_minutes_and_only_so_many_are() {
        let repeats = Repeats::default();
        assert!(counts(&repeats, 1, 1_000) && !counts(&repeats, 1, 601_000));
        assert!(counts(&repeats, 1, 601_001), "it is over");
        for number in 2..=REPEATS_MAX as u64 + 10 {
            assert!(counts(&repeats, number, 601_002));
        }
        assert!(repeats.calls.lock().unwrap().known.len() <= REPEATS_MAX);
        assert!(counts(&repeats, 1, 601_003), "it made room");
    }
}
