//! `ReportUsage`.

use super::mark;
use crate::pb::v1;
use crate::time::read_time;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{DurationMillis, KeyName, UnixMillis, VersionId, VersionName};
use std::time::Duration;

/// Reports of one request.
pub const REPORTS_MAX: usize = 1_000;
/// Requests of one report.
const REPORTED_REQUESTS_MAX: u32 = 1_000_000;
/// How long ago a report may have been.
const REPORT_AGE_MAX: DurationMillis = DurationMillis::from_secs(3_600);
/// How far ahead of the cluster's clock that of a protected API may be.
const REPORT_AHEAD_MAX: DurationMillis = DurationMillis::from_secs(60);
/// The longest latency of a request.
const LATENCY_MAX: Duration = Duration::from_secs(3_600);
/// The largest sum that one report may add.
const AMOUNT_MAX: u64 = 1 << 50;

/// What a protected API reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportUsage {
    /// The reports, in their order.
    pub reports: Vec<UsageReport>,
    /// What makes a repeat known.
    pub request_id: Option<[u8; 16]>,
}

/// Requests that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// The key, where it was named.
    pub key: Option<KeyName>,
    /// The version.
    pub version: VersionId,
    /// When.
    pub at: UnixMillis,
    /// How many.
    pub requests: u64,
    /// The first digit of their status, 1 to 5.
    pub status_class: Option<u8>,
    /// How long each of them took.
    pub latency: Option<Duration>,
    /// Bytes of the bodies of all requests.
    pub request_bytes: u64,
    /// Bytes of the bodies of all answers.
    pub response_bytes: u64,
    /// Thousandths of the units of load.
    pub load_milli: u64,
}

/// Reads `ReportUsage`, by the time of the cluster.
///
/// # Errors
/// All violations.
pub fn read_report_usage(request: &v1::ReportUsageRequest, now: UnixMillis) -> Result<ReportUsage, FieldViolations> {
    let mut fields = Fields::default();
    let count = request.reports.len();
    if count == 0 || count > REPORTS_MAX {
        fields.refuse("reports", format_args!("{count} reports, 1 to {REPORTS_MAX} are allowed"));
        return fields.finish(None);
    }
    let mark = mark::read(&mut fields, &request.request_id, "ReportUsage", &());
    let mut reports = Vec::with_capacity(count);
    for (at, one) in request.reports.iter().enumerate() {
        reports.extend(fields.within(&format!("reports[{at}]"), |fields| report(fields, one, now)));
    }
    let read = || Some(ReportUsage { reports, request_id: mark?.map(|mark| mark.id) });
    fields.finish(read())
}

fn report(fields: &mut Fields, report: &v1::UsageReport, now: UnixMillis) -> Option<UsageReport> {
    let version = fields.take("version", version(&report.version));
    let at = match &report.time {
        None => Some(now),
        Some(time) => fields.take("time", read_time(time)).filter(|at| is_recent(fields, *at, now)),
    };
    let requests = report.request_count.unwrap_or(1);
    if !(1..=REPORTED_REQUESTS_MAX).contains(&requests) {
        fields.refuse("request_count", format_args!("must be 1 to {REPORTED_REQUESTS_MAX}"));
    }
    if report.status.is_some_and(|status| !(100..=599).contains(&status)) {
        fields.refuse("status", "must be 100 to 599, or absent");
    }
    let latency = fields.take_optional("latency", report.latency.as_ref().map(read_latency));
    let amounts = [
        ("request_bytes", report.request_bytes),
        ("response_bytes", report.response_bytes),
        ("load_milli", report.load_milli),
    ];
    for (field, amount) in amounts {
        if amount > AMOUNT_MAX {
            fields.refuse(field, "must be at most 2^50");
        }
    }
    let (key, version) = version?;
    Some(UsageReport {
        key,
        version,
        at: at?,
        requests: requests.into(),
        status_class: report.status.and_then(|status| u8::try_from(status / 100).ok()),
        latency: latency?,
        request_bytes: report.request_bytes,
        response_bytes: report.response_bytes,
        load_milli: report.load_milli,
    })
}

/// A version by its name, or by its id alone.
fn version(text: &str) -> Result<(Option<KeyName>, VersionId), String> {
    if let Ok(name) = VersionName::parse(text) {
        return Ok((Some(name.key), name.version));
    }
    VersionId::parse(text).map(|version| (None, version)).map_err(|_| {
        "must be tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/versions/{version}, or the id of a version alone"
            .to_owned()
    })
}

fn is_recent(fields: &mut Fields, at: UnixMillis, now: UnixMillis) -> bool {
    let is_recent = now.since(at) <= REPORT_AGE_MAX && at.since(now) <= REPORT_AHEAD_MAX;
    if !is_recent {
        fields.refuse("time", "must be at most 1 h ago, and at most 1 minute ahead of the time of the cluster");
    }
    is_recent
}

/// Finer than a millisecond, as latencies are.
fn read_latency(latency: &prost_types::Duration) -> Result<Duration, &'static str> {
    let read = Duration::try_from(*latency).ok().filter(|latency| *latency <= LATENCY_MAX);
    read.ok_or("must be 0 to 1 h")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(10_000_000);

    fn one(version: &str) -> v1::UsageReport {
        v1::UsageReport { version: version.to_owned(), ..Default::default() }
    }

    fn read(reports: Vec<v1::UsageReport>) -> Result<ReportUsage, FieldViolations> {
        read_report_usage(&v1::ReportUsageRequest { reports, request_id: String::new() }, NOW)
    }

    #[test]
    fn a_version_is_named_in_full_or_by_its_id() {
        let id = "0123456789abcdef";
        let name = format!("tenants/acme/keyspaces/live/keys/{id}/versions/{id}");
        let asked = read(vec![one(id), one(&name)]).unwrap();
        assert_eq!(asked.reports[0].version, asked.reports[1].version);
        assert_eq!((asked.reports[0].at, asked.reports[0].requests), (NOW, 1));
        assert!(asked.reports[0].key.is_none() && asked.reports[1].key.is_some());
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let wrong = v1::UsageReport {
            version: "acme".to_owned(),
            time: time(1),
            request_count: Some(0),
            status: Some(600),
            latency: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            request_bytes: u64::MAX,
            response_bytes: u64::MAX,
            load_milli: u64::MAX,
        };
        let violations = read(vec![one("0123456789abcdef"), wrong]).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        let fields =
            ["version", "time", "request_count", "status", "latency", "request_bytes", "response_bytes", "load_milli"];
        assert_eq!(named, fields.map(|field| format!("reports[1].{field}")));
        let ahead = v1::UsageReport { time: time(10_061), ..one("0123456789abcdef") };
        assert_eq!(read(vec![ahead]).unwrap_err().list()[0].field, "reports[0].time");
    }

    #[test]
    fn a_thousand_reports_fit_into_a_request_and_no_more_are_taken() {
        let report = v1::UsageReport {
            time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            status: Some(200),
            latency: Some(prost_types::Duration { seconds: 0, nanos: 12_000_000 }),
            request_bytes: 1_000,
            response_bytes: 10_000,
            ..one("0123456789abcdef")
        };
        let full = v1::ReportUsageRequest { reports: vec![report.clone(); REPORTS_MAX], request_id: String::new() };
        assert!(prost::Message::encoded_len(&full) <= 64 * 1_024);
        for reports in [Vec::new(), vec![report; REPORTS_MAX + 1]] {
            assert_eq!(read(reports).unwrap_err().list()[0].field, "reports");
        }
    }
}
