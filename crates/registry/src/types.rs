//! The types that openraft is instantiated with.

use bytes::Bytes;
use latchkey_state::{Applied, State};
use latchkey_storage::SnapshotName;
use latchkey_telemetry::TraceParent;
use openraft::TokioRuntime;
use std::sync::Arc;
use tokio::sync::oneshot;

openraft::declare_raft_types!(
    /// Latchkey's raft: sealed commands in, what was applied out.
    pub TypeConfig:
        D = LogCommand,
        R = Reply,
        NodeId = u64,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotData,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
pub(crate) type StorageError = openraft::StorageError<u64>;

/// How a replica is reached, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its region.
    pub region: String,
    /// Where its raft listener is, `host:port`.
    pub raft_address: String,
    /// Where its services listen, `host:port`.
    pub address: String,
}

/// A command as it lies in the log and travels: sealed once, by the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCommand {
    /// The command, sealed under the cluster's log key.
    pub sealed: Bytes,
    /// Wrapped keys that this record brings and that are needed to open it. Only the first command has any.
    pub introduced: Vec<IntroducedKey>,
    /// Where the proposal was in its trace, if it was traced. Beside the command, and never part of it.
    pub trace: Option<TraceParent>,
}

/// A wrapped key that a record brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntroducedKey {
    /// Its number in the keyring.
    pub number: u32,
    /// What it was wrapped under.
    pub id: [u8; 16],
    /// The number of the key that wraps it; 0 is the KEK.
    pub wrapped_by: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

/// What becomes of a record, once it is applied and published; nothing for those that carry no command. raft hands it out
/// when the record is committed, so that records which come meanwhile are applied together.
#[derive(Debug)]
pub struct Reply(pub(crate) Option<oneshot::Receiver<Arc<Applied>>>);

/// A snapshot on its way: what this replica has in memory, or a file that it received.
#[derive(Clone, Debug)]
pub enum SnapshotData {
    /// A clone of the state, which costs nothing until it is streamed. `None` while the state is not loaded.
    Own(Option<Box<State>>),
    /// A file that was received whole.
    Received(SnapshotName),
    /// Nothing yet: openraft asks for one before it receives.
    Empty,
}
