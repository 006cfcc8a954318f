//! What raft's core may not do with records that it has and the disk does not.

use latchkey_kms::testing::SwitchableKms;
use latchkey_registry::{Core, LogStore, SnapshotData, StateMachine, TypeConfig, start_empty};
use latchkey_state::State;
use latchkey_storage::{Base, Facts, Faults, MemoryStore, SnapshotName, Space, Store};
use latchkey_telemetry::SystemClock;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, SnapshotMeta, Vote};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const FACTS: Facts = Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 };

/// Nothing that waits for what the test does later is done within this.
const A_WHILE: Duration = Duration::from_millis(300);

/// Whatever does not wait is.
const LONG_ENOUGH: Duration = Duration::from_secs(20);

fn parts() -> (Arc<MemoryStore>, LogStore, StateMachine) {
    let store = Arc::new(MemoryStore::new(FACTS));
    let core = Core::new(store.clone(), Arc::new(SwitchableKms::new([1; 32])), Arc::new(SystemClock));
    start_empty(&core);
    let machine = StateMachine::new(core.clone()).expect("an empty store");
    (store, LogStore::new(core), machine)
}

fn log_id(index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(1, 2), index)
}

fn blank(index: u64) -> Entry<TypeConfig> {
    Entry { log_id: log_id(index), payload: EntryPayload::Blank }
}

/// A log that ends at 5, and a snapshot up to 20 that is still being installed when record 21 comes.
async fn with_a_held_append(log: &mut LogStore) {
    log.blocking_append((1..=5).map(blank)).await.expect("an empty log starts anywhere");
    log.purge(log_id(20)).await.expect("a promise");
    log.blocking_append([blank(21)]).await.expect("it follows the purge");
}

async fn install(machine: &mut StateMachine, through: u64) {
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(through)),
        snapshot_id: format!("1-{through}"),
        ..SnapshotMeta::default()
    };
    let snapshot = Box::new(SnapshotData::Own(Some(Box::new(State::default()))));
    let installed = timeout(LONG_ENOUGH, machine.install_snapshot(&meta, snapshot)).await;
    installed.expect("nothing is in its way").expect("the snapshot is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_disk_refuses_is_not_in_the_core() {
    let (store, mut log, _machine) = parts();
    log.blocking_append([blank(1)]).await.expect("there is room");
    store.set_faults(Faults { space: Space::Full, ..Faults::default() });
    log.blocking_append([blank(2)]).await.expect_err("there is no room");
    store.set_faults(Faults::default());
    log.save_vote(&Vote::new(2, 1)).await.expect_err("this log is not what the core may have thought");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stands_for_election_only_with_what_is_on_its_disk() {
    let (store, mut log, _machine) = parts();
    with_a_held_append(&mut log).await;
    log.save_vote(&Vote::new(2, 3)).await.expect("it may vote for another");
    let mut standing = log.clone();
    let standing = tokio::spawn(async move { standing.save_vote(&Vote::new(3, 1)).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!standing.is_finished(), "a power cut now would leave a candidate without the record it stands with");
    let name = SnapshotName::parse("1-20").expect("a name");
    store.write_snapshot(&name).expect("there is room").finish().expect("there is room");
    store.set_base(Base { name, index: 20 }).expect("it is ahead of the state");
    timeout(LONG_ENOUGH, standing).await.expect("the record is durable").expect("no panic").expect("a vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_does_not_stand_for_election_with_a_snapshot_that_is_not_installed() {
    let (_store, mut log, mut machine) = parts();
    log.blocking_append((1..=5).map(blank)).await.expect("an empty log starts anywhere");
    log.purge(log_id(20)).await.expect("a promise");
    let mut standing = log.clone();
    let standing = tokio::spawn(async move { standing.save_vote(&Vote::new(3, 1)).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!standing.is_finished(), "a crash now would leave a candidate with a log that ends at 5");
    install(&mut machine, 20).await;
    timeout(LONG_ENOUGH, standing).await.expect("the state is durable").expect("no panic").expect("a vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_installed_lets_nobody_wait_for_it() {
    let (_store, mut log, mut machine) = parts();
    with_a_held_append(&mut log).await;
    let mut standing = log.clone();
    let standing = tokio::spawn(async move { standing.save_vote(&Vote::new(3, 1)).await });
    let gone = SnapshotData::Received(SnapshotName::parse("1-20").expect("a name"));
    let meta = SnapshotMeta { last_log_id: Some(log_id(20)), snapshot_id: "1-20".into(), ..SnapshotMeta::default() };
    machine.install_snapshot(&meta, Box::new(gone)).await.expect_err("there is no such file");
    // raft's core waits for this vote, and whoever stops the replica for raft's core.
    let voted = timeout(LONG_ENOUGH, standing).await.expect("it does not wait for ever").expect("no panic");
    voted.expect_err("what it would stand with will never be on this disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_behind_two_snapshots_does_not_stop_the_second() {
    let (_store, mut log, mut machine) = parts();
    with_a_held_append(&mut log).await;
    log.purge(log_id(40)).await.expect("a promise");
    install(&mut machine, 20).await;
    // On disk only after the second snapshot, which comes after it.
    machine.apply([blank(21)]).await.expect("it is committed");
    install(&mut machine, 40).await;
    let (applied, _) = machine.applied_state().await.expect("it is not fenced");
    assert_eq!(applied, Some(log_id(40)));
}
