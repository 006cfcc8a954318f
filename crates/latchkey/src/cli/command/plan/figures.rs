//! What was measured, each with where and when. A plan is these figures and multiplication, and nothing else.

/// One figure.
pub(super) struct Figure {
    /// Its word in what a program reads.
    pub(super) name: &'static str,
    /// What it is of.
    pub(super) value: f64,
    /// Its unit.
    pub(super) unit: &'static str,
    /// Where it comes from.
    pub(super) source: &'static str,
}

const fn figure(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Figure {
    Figure { name, value, unit, source }
}

/// What a replica takes beside its keys: its code, the store's cache once there is something to keep, its connections.
pub(super) const REPLICA_BYTES: Figure = figure(
    "replica_bytes",
    190e6,
    "bytes",
    "make bench, restart with 100,000 keys, 2026-11-23: 250 MB less those of the keys; with none 104 MB",
);

/// A key once a replica has started.
pub(super) const KEY_BYTES: Figure =
    figure("key_bytes", 650.0, "bytes a key", "make bench, restart with 1,000,000 keys, 2026-11-22");

/// A key once many were changed.
pub(super) const KEY_BYTES_AT_WORK: Figure =
    figure("key_bytes_at_work", 1_608.0, "bytes a key", "make bench, 10,000 updates of 100,000 keys, 2026-11-22");

/// What is kept free for purging the log of a full disk.
pub(super) const RESERVE_BYTES: Figure =
    figure("reserve_bytes", 67_108_864.0, "bytes", "the file `reserve` of each replica's folder");

/// A key in a replica's folder: its row, its records in the log, its entry until audit has it, and what the store leaves behind.
pub(super) const STORE_BYTES: Figure = figure(
    "store_bytes",
    2_675.0,
    "bytes a key",
    "make bench, restart with 100,000 keys, the log included, 2026-11-23",
);

/// Below it a leader refuses writes; the alert is at four times as much.
pub(super) const FREE_BYTES: Figure = figure(
    "free_bytes",
    1_073_741_824.0,
    "bytes",
    "the alert LatchkeyDiskNearlyFull; writes are refused below 256 MiB",
);

/// A key in a snapshot that is sent, and in a backup.
pub(super) const SNAPSHOT_BYTES: Figure =
    figure("snapshot_bytes", 360.0, "bytes a key", "`latchkey backup create` of 71,000 keys, 2026-11-23: 353");

/// An entry of audit. None is ever removed.
pub(super) const ENTRY_BYTES: Figure =
    figure("entry_bytes", 430.0, "bytes an entry", "71,000 keys made, 2026-11-23: 430");

/// Most entries that wait for audit: past nine tenths of it management writes are refused.
pub(super) const OUTBOX_ENTRIES: Figure = figure("outbox_entries", 1_000_000.0, "entries", "the bound of the outbox");

/// How fast a replica loads.
pub(super) const START_MICROS: Figure = figure(
    "start_micros",
    6.8,
    "us a key",
    "make bench, restart with 1,000,000 keys until the first VALID, one processor, 2026-11-22",
);

/// Validations on one processor among few keys.
pub(super) const VALIDATIONS_FEW: Figure =
    figure("validations_few", 99_030.0, "calls/s a processor", "make bench, 10,000 keys, 64 in flight, 2026-11-22");

/// The same among many.
pub(super) const VALIDATIONS_MANY: Figure =
    figure("validations_many", 83_840.0, "calls/s a processor", "make bench, 1,000,000 keys, 64 in flight, 2026-11-22");

/// Keys made singly, by 64 callers, with one replica.
pub(super) const CREATES_ALONE: Figure = figure(
    "creates_alone",
    2_944.0,
    "calls/s",
    "make bench, CreateKey, 64 callers, one replica, one processor, 2026-11-22",
);

/// The same with three, which shared the processor.
pub(super) const CREATES_OF_THREE: Figure = figure(
    "creates_of_three",
    1_241.0,
    "calls/s",
    "make bench, CreateKey, 64 callers, three replicas on one processor, 2026-11-22; more replicas are not measured",
);

/// All of them.
pub(super) const ALL: [&Figure; 14] = [
    &REPLICA_BYTES,
    &KEY_BYTES,
    &KEY_BYTES_AT_WORK,
    &RESERVE_BYTES,
    &STORE_BYTES,
    &FREE_BYTES,
    &SNAPSHOT_BYTES,
    &ENTRY_BYTES,
    &OUTBOX_ENTRIES,
    &START_MICROS,
    &VALIDATIONS_FEW,
    &VALIDATIONS_MANY,
    &CREATES_ALONE,
    &CREATES_OF_THREE,
];
