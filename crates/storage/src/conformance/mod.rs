//! The words of [`Store`], put to the test. Every implementer runs [`suite`] and [`model::run`].

#![expect(clippy::needless_pass_by_value, reason = "a proof owns its subject")]

mod log;
pub mod model;
mod purge;
mod snapshots;
mod state;
mod words;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use bytes::Bytes;

use crate::{Done, Facts, LogRecord, Mark, Row, RowBatch, RowKey, SnapshotName, Store, StoreError};

/// The replica that the subjects are.
pub const FACTS: Facts = Facts { node_id: 7, cluster_id: *b"conformance-test", epoch: 1 };

/// How long an operation may take on the slowest machine that runs the proofs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store that can be ended in two ways, and opened again.
pub trait Subject: Sized {
    /// The store that is open now.
    fn store(&self) -> &dyn Store;

    /// Ends the store in order and opens what is there.
    #[must_use]
    fn restart(self) -> Self;

    /// Ends the store without a warning and opens what was durable, and perhaps more.
    #[must_use]
    fn cut(self) -> Self;

    /// Waits until the store does nothing in the background.
    fn settle(&self);
}

/// Proves every sentence on a fresh subject.
pub fn suite<S: Subject>(make: impl Fn() -> S) {
    log::suite(&make);
    purge::suite(&make);
    words::suite(&make);
    state::suite(&make);
    snapshots::suite(&make);
    assert_eq!(make().store().facts(), FACTS);
}

/// Records with consecutive indexes, whose bytes say which they are.
pub(crate) fn records(indexes: core::ops::Range<u64>) -> Vec<LogRecord> {
    indexes.map(|index| record(index, &format!("record {index}"))).collect()
}

pub(crate) fn record(index: u64, text: &str) -> LogRecord {
    LogRecord { index, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(crate) fn append(store: &dyn Store, records: Vec<LogRecord>) -> Result<(), StoreError> {
    finished(|done| store.append(records, done))
}

/// As [`crate::wait`], but a proof that waits for ever fails instead.
pub(crate) fn finished(start: impl FnOnce(Done)) -> Result<(), StoreError> {
    let (done, answered) = answer();
    start(done);
    answered.recv_timeout(PATIENCE).expect("the operation finishes")
}

pub(crate) fn read_all(store: &dyn Store) -> Vec<LogRecord> {
    store.read(0..u64::MAX, usize::MAX).expect("the log is whole")
}

pub(crate) fn row(table: u8, id: &[u8], bytes: impl Into<Bytes>) -> Row {
    Row { key: key(table, id), bytes: bytes.into() }
}

pub(crate) fn key(table: u8, id: &[u8]) -> RowKey {
    RowKey { table, id: Bytes::copy_from_slice(id) }
}

pub(crate) fn mark(index: u64) -> Mark {
    Mark { index, bytes: format!("mark {index}").into() }
}

pub(crate) fn write_rows(store: &dyn Store, puts: Vec<Row>, deletes: Vec<RowKey>, index: u64) {
    store.write_rows(RowBatch { puts, deletes, mark: mark(index) }).expect("rows are written");
}

pub(crate) fn scan(store: &dyn Store) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut visit = |row| {
        rows.push(row);
        core::ops::ControlFlow::Continue(())
    };
    store.scan_rows(&mut visit).expect("the rows are whole");
    rows
}

pub(crate) fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).expect("a name")
}

pub(crate) fn write_snapshot(store: &dyn Store, text: &str, payload: &[u8]) -> SnapshotName {
    let mut writer = store.write_snapshot(&name(text)).expect("a snapshot starts");
    std::io::Write::write_all(&mut writer, payload).expect("it takes its payload");
    writer.finish().expect("it finishes");
    name(text)
}

/// A `Done` whose answer can be looked for.
pub(crate) fn answer() -> (Done, Receiver<Result<(), StoreError>>) {
    let (send, receive) = mpsc::channel();
    (Box::new(move |result| drop(send.send(result))), receive)
}

/// Whether the operation has not been answered.
pub(crate) fn waits(answer: &Receiver<Result<(), StoreError>>) -> bool {
    matches!(answer.try_recv(), Err(TryRecvError::Empty))
}

/// Many threads may share a store behind one pointer.
const _: fn(Arc<dyn Store>) -> Box<dyn Send + Sync> = |store| Box::new(store);
