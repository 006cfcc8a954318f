//! openraft's own conformance suite, over both storages.

use latchkey_kms::testing::SwitchableKms;
use latchkey_registry::{Core, LogStore, StateMachine, TypeConfig, start_empty};
use latchkey_storage::{Facts, MemoryStore, Options, SledStore, Store};
use latchkey_telemetry::SystemClock;
use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use std::sync::Arc;
use tempfile::TempDir;

const FACTS: Facts = Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 };

fn parts(store: Arc<dyn Store>) -> (LogStore, StateMachine) {
    let core = Core::new(store, Arc::new(SwitchableKms::new([1; 32])), Arc::new(SystemClock));
    start_empty(&core);
    let machine = StateMachine::new(core.clone()).expect("an empty store");
    (LogStore::new(core), machine)
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<u64>> {
        let (log, machine) = parts(Arc::new(MemoryStore::new(FACTS)));
        Ok(((), log, machine))
    }
}

struct OnSled;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnSled {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<u64>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("store");
        SledStore::create(&path, &FACTS, &Options::default()).expect("a new folder");
        let store = SledStore::open(&path, &Options::default()).expect("the folder just made");
        let (log, machine) = parts(Arc::new(store));
        Ok((folder, log, machine))
    }
}

#[test]
fn the_storage_in_memory_is_what_openraft_expects() {
    Suite::test_all(InMemory).unwrap();
}

#[test]
fn the_storage_on_sled_is_what_openraft_expects() {
    Suite::test_all(OnSled).unwrap();
}
