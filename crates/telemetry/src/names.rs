//! Every metric that Latchkey has. Units are in the names; labels are few and from closed sets, never an id.
//!
//! Use: `metrics::counter!(names::RPCS_TOTAL, "method" => path, "code" => code)`. A handle that is used on a hot path is
//! made once and kept.

use metrics::Unit;

/// Calls answered, by `method` and gRPC `code`. A call that its caller abandoned counts as `CANCELLED`.
pub const RPCS_TOTAL: &str = "latchkey_rpcs_total";
/// From the head of a request to the answer (of a stream: to its end), by `method`.
pub const RPC_DURATION_SECONDS: &str = "latchkey_rpc_duration_seconds";
/// Calls refused because the process was full, by `class`.
pub const RPCS_SHED_TOTAL: &str = "latchkey_rpcs_shed_total";
/// Handlers that panicked. Each is a bug.
pub const RPC_PANICS_TOTAL: &str = "latchkey_rpc_panics_total";
/// Connections closed at once because the listener had its full number.
pub const CONNECTIONS_REFUSED_TOTAL: &str = "latchkey_connections_refused_total";

/// Keys validated, by `outcome` (batch and stream items each count).
pub const VALIDATIONS_TOTAL: &str = "latchkey_validations_total";
/// Validations that could not be decided, by `reason`.
pub const VALIDATIONS_UNDECIDED_TOTAL: &str = "latchkey_validations_undecided_total";
/// How long ago this replica last heard of a leader, as the freshness lease counts it.
pub const FRESHNESS_AGE_SECONDS: &str = "latchkey_freshness_age_seconds";
/// From the commit of a revocation until every lease that might have missed it had ended or reported.
pub const REVOCATION_CONFIRM_SECONDS: &str = "latchkey_revocation_confirm_seconds";

/// Commands proposed, by `result`: `applied`, `refused`, `unavailable`.
pub const PROPOSALS_TOTAL: &str = "latchkey_proposals_total";
/// From a proposal until its answer.
pub const PROPOSE_SECONDS: &str = "latchkey_propose_seconds";
/// One batch of commands applied to the state and published to readers.
pub const APPLY_SECONDS: &str = "latchkey_apply_seconds";
/// One durable append to the raft log: write, flush and sync.
pub const LOG_SYNC_SECONDS: &str = "latchkey_log_sync_seconds";
/// The index of the last log record applied here.
pub const APPLIED_INDEX: &str = "latchkey_applied_index";
/// 1 on the replica that leads, else 0.
pub const LEADER: &str = "latchkey_leader";
/// 1 on a replica that has fenced itself. An operator must act.
pub const FENCED: &str = "latchkey_fenced";
/// Keys in the state.
pub const STATE_KEYS: &str = "latchkey_state_keys";
/// Audit entries that are not yet trimmed.
pub const OUTBOX_ENTRIES: &str = "latchkey_outbox_entries";
/// Since when the oldest audit entry waits that audit has not taken.
pub const OUTBOX_OLDEST_SECONDS: &str = "latchkey_outbox_oldest_seconds";
/// Refusals that did not reach the audit log.
pub const REFUSALS_DROPPED_TOTAL: &str = "latchkey_refusals_dropped_total";
/// Entries that the audit service has made durable.
pub const AUDIT_ENTRIES: &str = "latchkey_audit_entries";
/// Bytes of its segments.
pub const AUDIT_BYTES: &str = "latchkey_audit_bytes";
/// Events that came and are not durable yet.
pub const AUDIT_LAG_ENTRIES: &str = "latchkey_audit_lag_entries";
/// How old the last event stored was when it was stored; 0 where there are no others yet.
pub const AUDIT_LAG_SECONDS: &str = "latchkey_audit_lag_seconds";
/// 1 while events come and are stored, else 0.
pub const AUDIT_FOLLOWS: &str = "latchkey_audit_follows";
/// Streams of entries that are open.
pub const AUDIT_WATCHERS: &str = "latchkey_audit_watchers";
/// The wall clock here against the median of the voters' clocks.
pub const CLOCK_SKEW_SECONDS: &str = "latchkey_clock_skew_seconds";

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Seconds, in the buckets of [`crate::metrics::SECONDS_BUCKETS`].
    Histogram,
}

/// One line of the table.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, as scraped.
    pub help: &'static str,
}

/// All of them, for the scrape's `# HELP` lines and for the manual.
#[rustfmt::skip]
pub const ALL: &[Metric] = &[
    Metric { name: RPCS_TOTAL, kind: Kind::Counter, labels: &["method", "code"], help: "calls answered" },
    Metric { name: RPC_DURATION_SECONDS, kind: Kind::Histogram, labels: &["method"], help: "from request to answer" },
    Metric { name: RPCS_SHED_TOTAL, kind: Kind::Counter, labels: &["class"], help: "calls refused because the process was full" },
    Metric { name: RPC_PANICS_TOTAL, kind: Kind::Counter, labels: &[], help: "handlers that panicked" },
    Metric { name: CONNECTIONS_REFUSED_TOTAL, kind: Kind::Counter, labels: &[], help: "connections closed because the listener was full" },
    Metric { name: VALIDATIONS_TOTAL, kind: Kind::Counter, labels: &["outcome"], help: "keys validated" },
    Metric { name: VALIDATIONS_UNDECIDED_TOTAL, kind: Kind::Counter, labels: &["reason"], help: "validations that could not be decided" },
    Metric { name: FRESHNESS_AGE_SECONDS, kind: Kind::Gauge, labels: &[], help: "since this replica heard of a leader" },
    Metric { name: REVOCATION_CONFIRM_SECONDS, kind: Kind::Histogram, labels: &[], help: "from a revocation's commit until no replica accepts the key" },
    Metric { name: PROPOSALS_TOTAL, kind: Kind::Counter, labels: &["result"], help: "commands proposed" },
    Metric { name: PROPOSE_SECONDS, kind: Kind::Histogram, labels: &[], help: "from proposal to answer" },
    Metric { name: APPLY_SECONDS, kind: Kind::Histogram, labels: &[], help: "one batch applied and published" },
    Metric { name: LOG_SYNC_SECONDS, kind: Kind::Histogram, labels: &[], help: "one durable append to the raft log" },
    Metric { name: APPLIED_INDEX, kind: Kind::Gauge, labels: &[], help: "index of the last record applied" },
    Metric { name: LEADER, kind: Kind::Gauge, labels: &[], help: "1 on the leader" },
    Metric { name: FENCED, kind: Kind::Gauge, labels: &[], help: "1 on a fenced replica" },
    Metric { name: STATE_KEYS, kind: Kind::Gauge, labels: &[], help: "keys in the state" },
    Metric { name: OUTBOX_ENTRIES, kind: Kind::Gauge, labels: &[], help: "audit entries not yet trimmed" },
    Metric { name: OUTBOX_OLDEST_SECONDS, kind: Kind::Gauge, labels: &[], help: "how long audit has taken nothing while entries wait" },
    Metric { name: REFUSALS_DROPPED_TOTAL, kind: Kind::Counter, labels: &[], help: "refusals that did not reach the audit log" },
    Metric { name: AUDIT_ENTRIES, kind: Kind::Gauge, labels: &[], help: "entries that the audit service has made durable" },
    Metric { name: AUDIT_BYTES, kind: Kind::Gauge, labels: &[], help: "bytes of the segments of the audit service" },
    Metric { name: AUDIT_LAG_ENTRIES, kind: Kind::Gauge, labels: &[], help: "events that came and are not durable yet" },
    Metric { name: AUDIT_LAG_SECONDS, kind: Kind::Gauge, labels: &[], help: "age of the last event when it was stored, 0 at the end" },
    Metric { name: AUDIT_FOLLOWS, kind: Kind::Gauge, labels: &[], help: "1 while events come and are stored" },
    Metric { name: AUDIT_WATCHERS, kind: Kind::Gauge, labels: &[], help: "streams of entries that are open" },
    Metric { name: CLOCK_SKEW_SECONDS, kind: Kind::Gauge, labels: &[], help: "wall clock against the voters' median" },
];

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_says_its_unit_and_stands_in_the_table_once() {
        for (index, metric) in ALL.iter().enumerate() {
            assert!(metric.name.starts_with("latchkey_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.kind != Kind::Histogram || metric.name.ends_with("_seconds"), "{}", metric.name);
            assert!(ALL[..index].iter().all(|earlier| earlier.name != metric.name), "{} twice", metric.name);
        }
    }
}
