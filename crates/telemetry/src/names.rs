//! Every metric that Latchkey has: the contract. Names and units follow OpenTelemetry's semantic conventions where those
//! have a word for it; labels are few and from closed sets, never an id.
//!
//! Use: `metrics::counter!(names::PROPOSALS_TOTAL, "result" => result)`. A handle that is used on a hot path is made once
//! and kept. In a debug build the recorder refuses whatever is not in [`ALL`] as it stands there, and the README's table
//! is compared with it by test.

/// From the head of a request to the answer (of a stream: to its end). Its count is that of the calls answered; one that
/// its caller abandoned counts as `CANCELLED`, a method that is not served as `_OTHER`.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// 1 while a probe of the health service says that it serves, else 0.
pub const SERVES: &str = "latchkey_serves";
/// Calls refused because the process was full.
pub const RPCS_SHED_TOTAL: &str = "latchkey_rpcs_shed_total";
/// Handlers that panicked. Each is a bug.
pub const RPC_PANICS_TOTAL: &str = "latchkey_rpc_panics_total";
/// Connections closed at once because the listener had its full number.
pub const CONNECTIONS_REFUSED_TOTAL: &str = "latchkey_connections_refused_total";
/// TLS handshakes that were refused. The log says of whom and why.
pub const TLS_REFUSED_TOTAL: &str = "latchkey_tls_refused_total";
/// Until a certificate of this process ends: its own, or the first of those that it trusts. Below 0 once it has.
pub const TLS_CERTIFICATE_ENDS_SECONDS: &str = "latchkey_tls_certificate_ends_seconds";
/// For how long that certificate was issued.
pub const TLS_CERTIFICATE_LIFETIME_SECONDS: &str = "latchkey_tls_certificate_lifetime_seconds";
/// Certificate files that were found changed.
pub const TLS_RELOADS_TOTAL: &str = "latchkey_tls_reloads_total";

/// Keys validated, by outcome (batch and stream items each count).
pub const VALIDATIONS_TOTAL: &str = "latchkey_validations_total";
/// Of the keys validated, those that were answered from what was known last, since the replica has lost touch. The others
/// were current.
pub const VALIDATIONS_LAST_KNOWN_TOTAL: &str = "latchkey_validations_last_known_total";
/// Requests with the secret of a version that is to retire, whatever their outcome: who sends them should fetch the new one.
pub const RETIRING_USES_TOTAL: &str = "latchkey_retiring_uses_total";
/// What was seen of the use of versions and did not fit in memory, by what it is: a version, or the name of a caller.
pub const EVIDENCE_DROPPED_TOTAL: &str = "latchkey_evidence_dropped_total";
/// What was seen of the use of keys and did not fit in memory, by what it is: a request that no sum counts, or a line of the
/// access log.
pub const OBSERVATIONS_LOST_TOTAL: &str = "latchkey_observations_lost_total";
/// What waits to be taken by the audit service.
pub const OBSERVATIONS_WAITING_BYTES: &str = "latchkey_observations_waiting_bytes";
/// Batches of observations that the audit service has taken and made durable.
pub const OBSERVATION_BATCHES_TOTAL: &str = "latchkey_observation_batches_total";
/// 1 on the process that drives rotations, else 0.
pub const ROTATION_CLAIM_HELD: &str = "latchkey_rotation_claim_held";
/// Rotations in progress, by state.
pub const ROTATIONS: &str = "latchkey_rotations";
/// Steps of rotations, by step and by what came of it.
pub const ROTATION_STEPS_TOTAL: &str = "latchkey_rotation_steps_total";
/// Deliveries and checks of new secrets that failed; each is tried again, and holds its rotation in the end.
pub const ROTATION_DELIVERY_FAILURES_TOTAL: &str = "latchkey_rotation_delivery_failures_total";
/// Keys that whoever drives rotations has written.
pub const ROTATION_WRITES_TOTAL: &str = "latchkey_rotation_writes_total";
/// Keys that it may write a second.
pub const ROTATION_WRITES_MAX: &str = "latchkey_rotation_writes_max";
/// Keys that are due and not being rotated.
pub const ROTATION_DUE_KEYS: &str = "latchkey_rotation_due_keys";
/// For how long the key that is due longest is.
pub const ROTATION_OVERDUE_SECONDS: &str = "latchkey_rotation_overdue_seconds";
/// Rotations of which it was told that their old version soon ends and was still used.
pub const ROTATIONS_ENDING_IN_USE: &str = "latchkey_rotations_ending_in_use";
/// Keyspaces in which more keys fall due than may be rotated at once.
pub const ROTATION_BEHIND_KEYSPACES: &str = "latchkey_rotation_behind_keyspaces";
/// Versions of keys, by state.
pub const VERSIONS: &str = "latchkey_versions";
/// Active versions, by the least of some ages that they are younger than.
pub const VERSION_AGES: &str = "latchkey_version_ages";
/// Living keys that end soon, by within which span; who ends within a day counts with each.
pub const EXPIRING_KEYS: &str = "latchkey_expiring_keys";
/// Keys of which a notice of their expiry is owed and not given yet.
pub const EXPIRY_NOTICES_OWED: &str = "latchkey_expiry_notices_owed";
/// Keys and versions that an operator denied on this replica alone.
pub const LOCAL_DENIALS: &str = "latchkey_local_denials";
/// Validations that could not be decided.
pub const VALIDATIONS_UNDECIDED_TOTAL: &str = "latchkey_validations_undecided_total";
/// How long ago this replica last heard of a leader, as the freshness lease counts it.
pub const FRESHNESS_AGE_SECONDS: &str = "latchkey_freshness_age_seconds";
/// On the leader, for each region: how long ago the oldest acknowledged record was acknowledged that some replica there
/// has yet to publish; 0 where there is none.
pub const PROPAGATION_AGE_SECONDS: &str = "latchkey_propagation_age_seconds";
/// From the commit of a revocation until every lease that might have missed it had ended or reported.
pub const REVOCATION_CONFIRM_SECONDS: &str = "latchkey_revocation_confirm_seconds";
/// From the leader's stamp of a revocation until the readers of this replica see it, by the two wall clocks.
pub const REVOCATION_PROPAGATION_SECONDS: &str = "latchkey_revocation_propagation_seconds";

/// Commands proposed here.
pub const PROPOSALS_TOTAL: &str = "latchkey_proposals_total";
/// Proposals that wait for their answer.
pub const PROPOSALS_IN_PROGRESS: &str = "latchkey_proposals_in_progress";
/// From a proposal until its answer.
pub const PROPOSE_SECONDS: &str = "latchkey_propose_seconds";
/// One batch of commands applied to the state and published to readers.
pub const APPLY_SECONDS: &str = "latchkey_apply_seconds";
/// One append to the raft log until it is durable: queue, write, flush and sync.
pub const LOG_SYNC_SECONDS: &str = "latchkey_log_sync_seconds";

/// 1 on a replica that answers, else 0.
pub const READY: &str = "latchkey_ready";
/// 1 on a replica whose key-encryption key is away.
pub const LOCKED: &str = "latchkey_locked";
/// 1 on a replica that has fenced itself. An operator must act.
pub const FENCED: &str = "latchkey_fenced";
/// 1 on the replica that leads, else 0.
pub const LEADER: &str = "latchkey_leader";
/// 1 where this replica knows who leads.
pub const LEADER_KNOWN: &str = "latchkey_leader_known";
/// How often this replica saw another leader than before, nobody included.
pub const LEADER_CHANGES_TOTAL: &str = "latchkey_leader_changes_total";
/// The term of raft.
pub const TERM: &str = "latchkey_term";
/// Replicas that vote.
pub const VOTERS: &str = "latchkey_voters";
/// The index of the last record in the log here.
pub const LOG_INDEX: &str = "latchkey_log_index";
/// The index of the last log record applied here.
pub const APPLIED_INDEX: &str = "latchkey_applied_index";
/// Records in the log: those that no snapshot has made superfluous.
pub const LOG_RECORDS: &str = "latchkey_log_records";
/// The index that the newest snapshot covers.
pub const SNAPSHOT_INDEX: &str = "latchkey_snapshot_index";
/// On the leader: by how many records the replica that is furthest behind is behind. Elsewhere 0.
pub const REPLICATION_LAG_RECORDS: &str = "latchkey_replication_lag_records";
/// On the leader: since when no majority has answered. Elsewhere 0.
pub const QUORUM_AGE_SECONDS: &str = "latchkey_quorum_age_seconds";
/// Keys in the state.
pub const STATE_KEYS: &str = "latchkey_state_keys";
/// Keys of the keyring, by what they are for (`purpose`) and where they stand (`state`: current, retiring, unused).
pub const KEYRING_KEYS: &str = "latchkey_keyring_keys";
/// What old keys of the keyring made and is yet to be made anew, by `kind`: digest, inner, wrapped_key.
pub const KEYRING_USES_LEFT: &str = "latchkey_keyring_uses_left";
/// Backups that were due: written and verified, or failed.
pub const BACKUPS_TOTAL: &str = "latchkey_backups_total";
/// The wall clock when the newest verified backup was written; 0 where there is none.
pub const BACKUP_TIME_SECONDS: &str = "latchkey_backup_time_seconds";
/// Bytes of the last backup.
pub const BACKUP_BYTES: &str = "latchkey_backup_bytes";
/// How long the last backup took, its proof included.
pub const BACKUP_DURATION_SECONDS: &str = "latchkey_backup_duration_seconds";
/// 1 on the replica that writes backups.
pub const BACKUP_WRITER: &str = "latchkey_backup_writer";
/// The wall clock here against the median of the voters' clocks.
pub const CLOCK_SKEW_SECONDS: &str = "latchkey_clock_skew_seconds";
/// Bytes of the files of a service.
pub const DATA_BYTES: &str = "latchkey_data_bytes";
/// Bytes that the disk under the files of a service has in all.
pub const DISK_SIZE_BYTES: &str = "latchkey_disk_size_bytes";
/// Bytes that the disk under the files of a service has left.
pub const DISK_FREE_BYTES: &str = "latchkey_disk_free_bytes";

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
/// Entries that are stored and not indexed yet: searches walk them.
pub const AUDIT_INDEX_LAG_ENTRIES: &str = "latchkey_audit_index_lag_entries";
/// How old the last event stored was when it was stored; 0 where there are no others yet.
pub const AUDIT_LAG_SECONDS: &str = "latchkey_audit_lag_seconds";
/// 1 while events come and are stored, else 0.
pub const AUDIT_FOLLOWS: &str = "latchkey_audit_follows";
/// One batch of events proven, sealed and made durable.
pub const AUDIT_STORE_SECONDS: &str = "latchkey_audit_store_seconds";
/// Entries that are in the archive, with their tiles.
pub const AUDIT_PUBLISHED: &str = "latchkey_audit_published_entries";
/// How long the oldest entry waits that is not in the archive.
pub const AUDIT_PUBLISH_LAG_SECONDS: &str = "latchkey_audit_publish_lag_seconds";
/// Bytes of objects written to the archive.
pub const AUDIT_ARCHIVE_WRITTEN_BYTES_TOTAL: &str = "latchkey_audit_archive_written_bytes_total";
/// What the archive was asked for and did not do.
pub const AUDIT_ARCHIVE_FAILURES_TOTAL: &str = "latchkey_audit_archive_failures_total";
/// Streams of entries that are open.
pub const AUDIT_WATCHERS: &str = "latchkey_audit_watchers";
/// Entries that a sink has yet to take.
pub const EXPORT_LAG_ENTRIES: &str = "latchkey_export_lag_entries";
/// How long ago the oldest entry happened that a sink has yet to take.
pub const EXPORT_LAG_SECONDS: &str = "latchkey_export_lag_seconds";
/// What was gone before a sink could take it.
pub const EXPORT_MISSED_ENTRIES: &str = "latchkey_export_missed_entries";
/// What a sink will never take.
pub const EXPORT_SET_ASIDE_ENTRIES: &str = "latchkey_export_set_aside_entries";
/// 1 while a sink takes nothing.
pub const EXPORT_FAILING: &str = "latchkey_export_failing";
/// Entries that a sink took, or will never take.
pub const EXPORT_ENTRIES_TOTAL: &str = "latchkey_export_entries_total";
/// Checkpoints of the audit log that this replica was asked to vouch for.
pub const COSIGNATURES_TOTAL: &str = "latchkey_cosignatures_total";
/// Entries that the newest checkpoint is of.
pub const AUDIT_CHECKPOINT_ENTRIES: &str = "latchkey_audit_checkpoint_entries";
/// For how long entries have waited that no checkpoint covers.
pub const AUDIT_CHECKPOINT_AGE_SECONDS: &str = "latchkey_audit_checkpoint_age_seconds";
/// Replicas that cosigned the newest checkpoint.
pub const AUDIT_COSIGNERS: &str = "latchkey_audit_cosigners";
/// Checkpoints that were not signed, or not cosigned, since they would fork the log.
pub const AUDIT_FORKS_TOTAL: &str = "latchkey_audit_forks_total";
/// Batches of what replicas observed that are counted.
pub const USAGE_BATCHES: &str = "latchkey_usage_batches_total";
/// Times a replica did not hand over what it observed, or it could not be stored.
pub const USAGE_TAKE_FAILURES: &str = "latchkey_usage_take_failures_total";
/// What replicas saw and is not counted.
pub const USAGE_LOST: &str = "latchkey_usage_lost";
/// Replicas that do not hand over.
pub const USAGE_REPLICAS_MISSING: &str = "latchkey_usage_replicas_missing";
/// Since when not all is counted.
pub const USAGE_LAG_SECONDS: &str = "latchkey_usage_lag_seconds";
/// Bytes of usage and the access log on the disk.
pub const USAGE_BYTES: &str = "latchkey_usage_bytes";
/// Bytes of usage in memory.
pub const USAGE_MEMORY_BYTES: &str = "latchkey_usage_memory_bytes";
/// Runs that cannot be merged.
pub const USAGE_RUNS_LEFT_OUT: &str = "latchkey_usage_runs_left_out";
/// Writing what is in memory to runs.
pub const USAGE_WRITE_SECONDS: &str = "latchkey_usage_write_seconds";
/// Answering a question of usage or of the access log.
pub const USAGE_QUERY_SECONDS: &str = "latchkey_usage_query_seconds";

/// Spans, log records and metrics that a collector took.
pub const TELEMETRY_EXPORTED_TOTAL: &str = "latchkey_telemetry_exported_total";
/// Spans, log records and metrics that no collector will ever see.
pub const TELEMETRY_DROPPED_TOTAL: &str = "latchkey_telemetry_dropped_total";

/// Processor time of the process.
pub const PROCESS_CPU_TIME: &str = "process_cpu_time_seconds_total";
/// Resident memory of the process.
pub const PROCESS_MEMORY_USAGE: &str = "process_memory_usage_bytes";
/// File descriptors that are open.
pub const PROCESS_FILE_DESCRIPTORS: &str = "process_unix_file_descriptor_count";
/// File descriptors that may be open.
pub const FILE_DESCRIPTORS_MAX: &str = "latchkey_file_descriptors_max";
/// Threads of the process.
pub const PROCESS_THREADS: &str = "process_thread_count";
/// Since when the process runs.
pub const PROCESS_UPTIME: &str = "process_uptime_seconds";
/// Which service this is, and of which version: always 1.
pub const TARGET_INFO: &str = "target_info";

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

impl Kind {
    /// The word for it, as in the text that is scraped.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Who has a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// Every process.
    Everywhere,
    /// A replica: the validation service.
    Replica,
    /// The audit service.
    Audit,
    /// Whichever process it has happened in; a counter without labels stands at 0 before.
    Happened,
}

impl Where {
    /// The word for it, as in the README's table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Replica => "replica",
            Self::Audit => "audit",
            Self::Happened => "where it happened",
        }
    }
}

/// One line of the contract.
#[derive(Debug)]
pub struct Metric {
    /// Its name where it is scraped.
    pub name: &'static str,
    /// Its name over OTLP.
    pub otlp: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its unit, as UCUM writes it; empty: none.
    pub unit: &'static str,
    /// Its labels, as OTLP writes them; where it is scraped a dot is an underscore.
    pub labels: &'static [&'static str],
    /// Who has it.
    pub place: Where,
    /// What it says.
    pub help: &'static str,
}

const fn counter(name: &'static str, otlp: &'static str, unit: &'static str, place: Where) -> Metric {
    Metric { name, otlp, kind: Kind::Counter, unit, labels: &[], place, help: "" }
}

const fn gauge(name: &'static str, otlp: &'static str, unit: &'static str, place: Where) -> Metric {
    Metric { name, otlp, kind: Kind::Gauge, unit, labels: &[], place, help: "" }
}

const fn histogram(name: &'static str, otlp: &'static str, place: Where) -> Metric {
    Metric { name, otlp, kind: Kind::Histogram, unit: "s", labels: &[], place, help: "" }
}

impl Metric {
    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    const fn says(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// The label as it is scraped.
    pub fn scraped_label(label: &str) -> String {
        label.replace('.', "_")
    }
}

/// All of them, by service and then by what they tell.
#[rustfmt::skip]
pub const ALL: &[Metric] = {
    use Where::{Audit, Everywhere, Happened, Replica};
    &[
        histogram(RPC_SERVER_CALL_DURATION, "rpc.server.call.duration", Everywhere)
            .by(&["rpc.system.name", "rpc.method", "rpc.response.status_code"]).says("From the head of a request to its answer; of a stream, to its end"),
        gauge(SERVES, "latchkey.serves", "", Everywhere).by(&["probe"]).says("1 while a probe of the health service says that it serves, else 0"),
        counter(RPCS_SHED_TOTAL, "latchkey.rpcs.shed", "{call}", Happened).by(&["class"]).says("Calls refused because the process was full"),
        counter(RPC_PANICS_TOTAL, "latchkey.rpc.panics", "{call}", Everywhere).says("Handlers that panicked; each is a bug"),
        counter(CONNECTIONS_REFUSED_TOTAL, "latchkey.connections.refused", "{connection}", Everywhere).says("Connections closed at once because the listener had its full number"),
        counter(TLS_REFUSED_TOTAL, "latchkey.tls.refused", "{handshake}", Happened).by(&["reason"]).says("TLS handshakes refused; the log says of whom"),
        gauge(TLS_CERTIFICATE_ENDS_SECONDS, "latchkey.tls.certificate.ends", "s", Happened).by(&["certificate"]).says("Until a certificate ends: own, or the first of those in trust"),
        gauge(TLS_CERTIFICATE_LIFETIME_SECONDS, "latchkey.tls.certificate.lifetime", "s", Happened).by(&["certificate"]).says("For how long that certificate was issued"),
        counter(TLS_RELOADS_TOTAL, "latchkey.tls.reloads", "{reload}", Happened).by(&["result"]).says("Certificate files found changed: loaded, or refused while the old ones go on"),

        counter(VALIDATIONS_TOTAL, "latchkey.validations", "{key}", Replica).by(&["outcome"]).says("Keys validated; each item of a batch or a stream counts"),
        counter(VALIDATIONS_LAST_KNOWN_TOTAL, "latchkey.validations.last_known", "{key}", Replica).says("Of the keys validated, those answered from what was known last, since the replica has lost touch; the others were current"),
        counter(RETIRING_USES_TOTAL, "latchkey.retiring.uses", "{request}", Replica).says("Requests with the secret of a version that is to retire, whatever their outcome"),
        counter(EVIDENCE_DROPPED_TOTAL, "latchkey.evidence.dropped", "{item}", Happened).by(&["what"]).says("What was seen of the use of versions and did not fit in memory: a version, or the name of a caller"),
        counter(OBSERVATIONS_LOST_TOTAL, "latchkey.observations.lost", "{item}", Happened).by(&["what"]).says("What was seen of the use of keys and did not fit in memory: a request that no sum counts, or a line of the access log"),
        gauge(OBSERVATIONS_WAITING_BYTES, "latchkey.observations.waiting", "By", Happened).says("What waits to be taken by the audit service"),
        counter(OBSERVATION_BATCHES_TOTAL, "latchkey.observation_batches", "{batch}", Happened).says("Batches of observations that the audit service has taken and made durable"),
        gauge(ROTATION_CLAIM_HELD, "latchkey.rotation.claim.held", "", Happened).says("1 on the process that drives rotations, else 0"),
        gauge(ROTATIONS, "latchkey.rotations", "{rotation}", Happened).by(&["state"]).says("On the process that drives: rotations in progress; elsewhere 0"),
        counter(ROTATION_STEPS_TOTAL, "latchkey.rotation.steps", "{step}", Happened).by(&["step", "result"]).says("Steps of rotations: taken, or why not"),
        counter(ROTATION_DELIVERY_FAILURES_TOTAL, "latchkey.rotation.delivery.failures", "{try}", Happened).by(&["what"]).says("Deliveries and checks of new secrets that failed; each is tried again, and holds its rotation in the end"),
        counter(ROTATION_WRITES_TOTAL, "latchkey.rotation.writes", "{key}", Happened).says("Keys that this process has written as it drove rotations"),
        gauge(ROTATION_WRITES_MAX, "latchkey.rotation.writes.max", "{key}", Happened).says("Keys that it may write a second: its budget"),
        gauge(ROTATION_DUE_KEYS, "latchkey.rotation.due.keys", "{key}", Happened).says("On the process that drives: keys that are due and not being rotated; elsewhere 0"),
        gauge(ROTATION_OVERDUE_SECONDS, "latchkey.rotation.overdue", "s", Happened).says("On the process that drives: for how long the key that is due longest is; elsewhere 0"),
        gauge(ROTATIONS_ENDING_IN_USE, "latchkey.rotations.ending.in_use", "{rotation}", Happened).says("On the process that drives: rotations of which it was told that their old version ends within a tenth of the overlap and was still used; elsewhere 0"),
        gauge(ROTATION_BEHIND_KEYSPACES, "latchkey.rotation.behind.keyspaces", "{keyspace}", Happened).says("On the process that drives: keyspaces in which more keys fall due than may be rotated at once; elsewhere 0"),
        gauge(VERSIONS, "latchkey.versions", "{version}", Happened).by(&["state"]).says("On the process that drives: versions of keys; elsewhere 0"),
        gauge(VERSION_AGES, "latchkey.version.ages", "{version}", Happened).by(&["younger_than"]).says("On the process that drives: active versions by age, each counted once; elsewhere 0"),
        gauge(EXPIRING_KEYS, "latchkey.expiring.keys", "{key}", Happened).by(&["within"]).says("On the process that drives: living keys that end within 1d, 7d and 30d, the nearer in each farther one; elsewhere 0"),
        gauge(EXPIRY_NOTICES_OWED, "latchkey.expiry.notices.owed", "{key}", Happened).says("On the process that drives: keys of which a notice of their expiry is owed and not given yet; elsewhere 0"),
        gauge(LOCAL_DENIALS, "latchkey.local_denials", "{key}", Replica).says("Keys and versions that an operator denied on this replica alone"),
        counter(VALIDATIONS_UNDECIDED_TOTAL, "latchkey.validations.undecided", "{key}", Happened).by(&["reason"]).says("Validations that could not be decided"),
        gauge(FRESHNESS_AGE_SECONDS, "latchkey.freshness.age", "s", Replica).says("How long ago this replica last heard of a leader, as the freshness lease counts it"),
        gauge(PROPAGATION_AGE_SECONDS, "latchkey.propagation.age", "s", Happened).by(&["region"]).says("On the leader, for each region: how long ago the oldest acknowledged record was acknowledged that some replica there has yet to publish; 0 where there is none"),
        histogram(REVOCATION_CONFIRM_SECONDS, "latchkey.revocation.confirm", Happened).says("From the commit of a revocation until no replica accepts the key"),
        histogram(REVOCATION_PROPAGATION_SECONDS, "latchkey.revocation.propagation", Happened).says("From the leader's stamp of a revocation until the readers of this replica see it, by both wall clocks"),

        counter(PROPOSALS_TOTAL, "latchkey.proposals", "{command}", Replica).by(&["result"]).says("Commands proposed here: applied, refused or unavailable"),
        gauge(PROPOSALS_IN_PROGRESS, "latchkey.proposals.in_progress", "{command}", Replica).says("Proposals that wait for their answer"),
        histogram(PROPOSE_SECONDS, "latchkey.propose", Replica).says("From a proposal until its answer"),
        histogram(APPLY_SECONDS, "latchkey.apply", Replica).says("One batch of commands applied to the state and published to readers"),
        histogram(LOG_SYNC_SECONDS, "latchkey.log.sync", Replica).says("One append to the log until it is durable"),

        gauge(READY, "latchkey.ready", "", Replica).says("1 on a replica that answers, else 0"),
        gauge(LOCKED, "latchkey.locked", "", Replica).says("1 on a replica whose key-encryption key is away"),
        gauge(FENCED, "latchkey.fenced", "", Replica).says("1 on a replica that has fenced itself: an operator must act"),
        gauge(LEADER, "latchkey.leader", "", Replica).says("1 on the replica that leads, else 0"),
        gauge(LEADER_KNOWN, "latchkey.leader.known", "", Replica).says("1 on a replica that knows who leads, else 0"),
        counter(LEADER_CHANGES_TOTAL, "latchkey.leader.changes", "{change}", Replica).says("How often this replica saw another leader than before, nobody included"),
        gauge(TERM, "latchkey.term", "{term}", Replica).says("The term of raft"),
        gauge(VOTERS, "latchkey.voters", "{replica}", Replica).says("Replicas that vote"),
        gauge(LOG_INDEX, "latchkey.log.index", "{record}", Replica).says("The index of the last record in the log here"),
        gauge(APPLIED_INDEX, "latchkey.applied.index", "{record}", Replica).says("The index of the last record applied here"),
        gauge(LOG_RECORDS, "latchkey.log.records", "{record}", Replica).says("Records in the log that no snapshot has made superfluous"),
        gauge(SNAPSHOT_INDEX, "latchkey.snapshot.index", "{record}", Replica).says("The index that the newest snapshot covers"),
        gauge(REPLICATION_LAG_RECORDS, "latchkey.replication.lag.records", "{record}", Replica).says("On the leader, by how many records the slowest replica is behind; elsewhere 0"),
        gauge(QUORUM_AGE_SECONDS, "latchkey.quorum.age", "s", Replica).says("On the leader, since when no majority has answered; elsewhere 0"),
        gauge(STATE_KEYS, "latchkey.state.keys", "{key}", Replica).says("Keys in the state"),
        gauge(KEYRING_KEYS, "latchkey.keyring.keys", "{key}", Replica).by(&["purpose", "state"]).says("Keys of the keyring, by what they are for and where they stand: current, retiring or unused"),
        gauge(KEYRING_USES_LEFT, "latchkey.keyring.uses_left", "{use}", Replica).by(&["kind"]).says("What old keys of the keyring made and is yet to be made anew: digests, inner digests and wrapped keys"),
        counter(BACKUPS_TOTAL, "latchkey.backups", "{backup}", Happened).by(&["result"]).says("Backups that were due: written and verified, or failed"),
        gauge(BACKUP_TIME_SECONDS, "latchkey.backup.time", "s", Happened).says("When the newest verified backup in the folder was written, in seconds since 1970; 0 where there is none"),
        gauge(BACKUP_BYTES, "latchkey.backup", "By", Happened).says("Bytes of the last backup that this replica wrote"),
        gauge(BACKUP_DURATION_SECONDS, "latchkey.backup.duration", "s", Happened).says("How long the last backup took, its verification included"),
        gauge(BACKUP_WRITER, "latchkey.backup.writer", "", Happened).says("1 on the replica that writes backups by its settings, else 0"),

        gauge(CLOCK_SKEW_SECONDS, "latchkey.clock.skew", "s", Replica).says("The wall clock here against the median of the voters' clocks"),
        gauge(DATA_BYTES, "latchkey.data", "By", Replica).by(&["service"]).says("Bytes of the files of a service: log, rows and snapshots, or segments"),
        gauge(DISK_SIZE_BYTES, "latchkey.disk.size", "By", Replica).by(&["service"]).says("Bytes that the disk under the files of a service has in all"),
        gauge(DISK_FREE_BYTES, "latchkey.disk.free", "By", Replica).by(&["service"]).says("Bytes that the disk under the files of a service has left"),

        gauge(OUTBOX_ENTRIES, "latchkey.outbox.entries", "{entry}", Replica).says("Audit entries that are not trimmed yet"),
        gauge(OUTBOX_OLDEST_SECONDS, "latchkey.outbox.oldest", "s", Replica).says("How long audit has taken nothing while entries wait"),
        counter(REFUSALS_DROPPED_TOTAL, "latchkey.refusals.dropped", "{refusal}", Everywhere).says("Refusals that did not reach the audit log"),
        gauge(AUDIT_ENTRIES, "latchkey.audit.entries", "{entry}", Audit).says("Entries that the audit service has made durable"),
        gauge(AUDIT_BYTES, "latchkey.audit", "By", Audit).says("Bytes of the segments of the audit service"),
        gauge(AUDIT_LAG_ENTRIES, "latchkey.audit.lag.entries", "{entry}", Audit).says("Events that came and are not durable yet"),
        gauge(AUDIT_INDEX_LAG_ENTRIES, "latchkey.audit.index.lag.entries", "{entry}", Audit).says("Entries that are stored and not indexed yet: searches walk them"),
        gauge(AUDIT_LAG_SECONDS, "latchkey.audit.lag", "s", Audit).says("Age of the last event when it was stored; 0 where no others wait"),
        gauge(AUDIT_FOLLOWS, "latchkey.audit.follows", "", Audit).says("1 while events come and are stored, else 0"),
        histogram(AUDIT_STORE_SECONDS, "latchkey.audit.store", Audit).says("One batch of events proven, sealed and made durable"),
        gauge(AUDIT_PUBLISHED, "latchkey.audit.published.entries", "{entry}", Audit).says("Entries in the archive, with their tiles"),
        gauge(AUDIT_PUBLISH_LAG_SECONDS, "latchkey.audit.publish.lag", "s", Audit).says("How long the oldest entry waits that is not in the archive"),
        counter(AUDIT_ARCHIVE_WRITTEN_BYTES_TOTAL, "latchkey.audit.archive.written", "By", Audit).says("Bytes of objects written to the archive"),
        counter(AUDIT_ARCHIVE_FAILURES_TOTAL, "latchkey.audit.archive.failures", "{call}", Audit).says("Calls that the store of the archive did not carry out"),
        gauge(AUDIT_WATCHERS, "latchkey.audit.watchers", "{stream}", Happened).says("Streams of entries that are open"),
        counter(USAGE_BATCHES, "latchkey.usage.batches", "{batch}", Audit).says("Batches of what replicas observed that are durable and counted"),
        counter(USAGE_TAKE_FAILURES, "latchkey.usage.take_failures", "{call}", Audit).says("Times a replica did not hand over what it observed, or it could not be stored; the replica keeps it"),
        gauge(USAGE_LOST, "latchkey.usage.lost", "{item}", Audit).by(&["what"]).says("What replicas saw and is not counted since the store was made: requests, lines or batches"),
        gauge(USAGE_REPLICAS_MISSING, "latchkey.usage.replicas_missing", "{replica}", Audit).says("Replicas that have not handed over what they observed for over 10 s"),
        gauge(USAGE_LAG_SECONDS, "latchkey.usage.lag", "s", Audit).says("How long ago that is before which all is counted"),
        gauge(USAGE_BYTES, "latchkey.usage", "By", Audit).says("Bytes of usage and of the access log on the disk"),
        gauge(USAGE_MEMORY_BYTES, "latchkey.usage.memory", "By", Audit).says("Bytes of memory that usage takes: sums that are not written yet, and what readers of runs hold"),
        gauge(USAGE_RUNS_LEFT_OUT, "latchkey.usage.runs.left_out", "{run}", Audit).says("Files of usage that do not read, or make one too long with others: they are left as they are, and the log of audit names each"),
        histogram(USAGE_WRITE_SECONDS, "latchkey.usage.write", Happened).says("Writing to runs what was in memory"),
        histogram(USAGE_QUERY_SECONDS, "latchkey.usage.query", Happened).says("Answering a question of usage or of the access log"),
        gauge(EXPORT_LAG_ENTRIES, "latchkey.export.lag.entries", "{entry}", Happened).by(&["sink"]).says("Entries of the audit log that a sink has yet to take or to pass over"),
        gauge(EXPORT_LAG_SECONDS, "latchkey.export.lag", "s", Happened).by(&["sink"]).says("Age of the oldest entry that a sink has yet to take; 0 where it has all"),
        gauge(EXPORT_MISSED_ENTRIES, "latchkey.export.missed.entries", "{entry}", Happened).by(&["sink"]).says("What was gone before a sink could take it, since the sink began: entries, or batches of usage and of the access log"),
        gauge(EXPORT_SET_ASIDE_ENTRIES, "latchkey.export.set_aside.entries", "{entry}", Happened).by(&["sink"]).says("What a sink refused while it took others, since the sink began: audit's data folder names it, and the sink will never have it"),
        gauge(EXPORT_FAILING, "latchkey.export.failing", "", Happened).by(&["sink"]).says("1 while a sink takes nothing, else 0"),
        counter(EXPORT_ENTRIES_TOTAL, "latchkey.export.entries", "{entry}", Happened).by(&["sink", "result"]).says("Entries that a sink took, that were set aside since it will never take them, or that were gone before it could take them (`missed`)"),
        counter(COSIGNATURES_TOTAL, "latchkey.cosignatures", "{checkpoint}", Replica).by(&["result"]).says("Checkpoints of the audit log that this replica was asked to vouch for: signed, or refused since they are none of its tree"),
        gauge(AUDIT_CHECKPOINT_ENTRIES, "latchkey.audit.checkpoint.entries", "{entry}", Happened).says("Entries that the newest checkpoint is of"),
        gauge(AUDIT_CHECKPOINT_AGE_SECONDS, "latchkey.audit.checkpoint.age", "s", Happened).says("For how long entries have waited that no checkpoint covers; 0 where one covers all"),
        gauge(AUDIT_COSIGNERS, "latchkey.audit.cosigners", "{replica}", Happened).says("Replicas that cosigned the newest checkpoint"),
        counter(AUDIT_FORKS_TOTAL, "latchkey.audit.forks", "{checkpoint}", Audit).says("Checkpoints that the audit service did not sign, or a replica did not cosign, since they would fork the log: an operator must act"),

        counter(TELEMETRY_EXPORTED_TOTAL, "latchkey.telemetry.exported", "{item}", Happened).by(&["signal"]).says("Spans, log records and metric points that a collector took"),
        counter(TELEMETRY_DROPPED_TOTAL, "latchkey.telemetry.dropped", "{item}", Happened).by(&["signal", "reason"]).says("Spans, log records and metric points that no collector will see"),

        counter(PROCESS_CPU_TIME, "process.cpu.time", "s", Everywhere).by(&["cpu.mode"]).says("Processor time of the process"),
        gauge(PROCESS_MEMORY_USAGE, "process.memory.usage", "By", Everywhere).says("Resident memory of the process"),
        gauge(PROCESS_FILE_DESCRIPTORS, "process.unix.file_descriptor.count", "{file_descriptor}", Everywhere).says("File descriptors that are open"),
        gauge(FILE_DESCRIPTORS_MAX, "latchkey.file_descriptors.max", "{file_descriptor}", Everywhere).says("File descriptors that may be open"),
        gauge(PROCESS_THREADS, "process.thread.count", "{thread}", Everywhere).says("Threads of the process"),
        gauge(PROCESS_UPTIME, "process.uptime", "s", Everywhere).says("Since when the process runs"),
        gauge(TARGET_INFO, "target.info", "", Everywhere).by(&["service.name", "service.version"]).says("Which service this is, and of which version; always 1"),
    ]
};

/// The line of a metric.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_is_scraped_follows_from_the_one_over_otlp_and_the_unit() {
        for metric in ALL {
            let unit = match metric.unit {
                "s" => "_seconds",
                "By" => "_bytes",
                _ => "",
            };
            let total = if metric.kind == Kind::Counter { "_total" } else { "" };
            assert_eq!(metric.name, format!("{}{unit}{total}", metric.otlp.replace('.', "_")));
        }
    }

    /// A line of the README's table.
    fn row(metric: &Metric) -> String {
        let labels = metric.labels.iter().map(|label| format!("`{}`", Metric::scraped_label(label)));
        let unit = if metric.unit.is_empty() { String::new() } else { format!("`{}`", metric.unit) };
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, otlp, kind, place) = (metric.name, metric.otlp, metric.kind.as_str(), metric.place.as_str());
        format!("| `{name}` | `{otlp}` | {kind} | {unit} | {labels} | {place} | {} |", metric.help)
    }

    #[test]
    fn the_table_of_the_readme_is_this_one() {
        let readme = include_str!("../README.md");
        let found: Vec<_> = readme
            .lines()
            .filter(|line| line.contains("| counter |") || line.contains("| gauge |") || line.contains("| histogram |"))
            .collect();
        let expected: Vec<_> = ALL.iter().map(row).collect();
        assert_eq!(found, expected, "the lines that it should have:\n{}", expected.join("\n"));
    }

    #[test]
    fn each_metric_stands_in_the_table_once_with_a_meaning() {
        for (index, metric) in ALL.iter().enumerate() {
            let ours = ["latchkey_", "rpc_", "process_", "target_"];
            assert!(ours.iter().any(|prefix| metric.name.starts_with(prefix)), "{}", metric.name);
            assert!(!metric.help.is_empty(), "{}", metric.name);
            assert!(ALL[..index].iter().all(|earlier| earlier.name != metric.name), "{} twice", metric.name);
        }
    }
}
