//! A tenant's data is destroyed: the log of each replica is purged of the keys that it brings along, whoever was away, took a
//! snapshot or was started anew meanwhile, and each says so.

mod support;

use latchkey_domain::{NodeId, TenantName};
use latchkey_registry::{BackupPlan, Registry};
use latchkey_state::{Delete, DirectoryName, Operation, ReplicaBackups};
use std::path::Path;
use std::time::Duration;
use support::keys::{keyspace_name, make_tenant};
use support::three::{carry_out, leader, owner, propose, same_state, three};
use support::{Ground, Replica, WITHIN};

fn tenant() -> TenantName {
    keyspace_name().parent()
}

/// Destroys the tenant's data; the index of the record.
async fn destroy(replicas: &[&Replica]) -> u64 {
    let name = DirectoryName::Tenant(tenant());
    let delete = Operation::Delete(Delete { name, etag: None, destroy: true, number: None });
    carry_out(replicas, delete).await.revision.index
}

/// Whether a replica has said that nothing of before this record lies in its folder: it tells the leader.
fn says_gone(registry: &Registry, node: NodeId, destroyed: u64) -> bool {
    let said = registry.status().replicas.into_iter().find(|replica| replica.node == node);
    let from = said.and_then(|said| said.holding).and_then(|holding| holding.holds_from);
    from.is_some_and(|from| from >= destroyed)
}

/// Waits until each has said so to whoever leads.
async fn gone(replicas: &[&Replica], destroyed: u64) {
    let all = async {
        let told = |node| replicas.iter().any(|replica| says_gone(&replica.registry, node, destroyed));
        while !replicas.iter().all(|replica| told(replica.registry.node())) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, all).await.expect("every log is purged");
}

async fn stop_all(replicas: Vec<Replica>) {
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_away_purges_what_it_still_brings_along() {
    let (ground, mut replicas) = three().await;
    make_tenant(&ground, &replicas.iter().collect::<Vec<_>>()).await;
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    let away = replicas.remove((leader(&replicas) + 1) % 3);
    let node = away.registry.node();
    away.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    let destroyed = destroy(&rest).await;
    gone(&rest, destroyed).await;
    let back = ground.start(node).await;
    gone(&[&rest[..], &[&back]].concat(), destroyed).await;
    same_state(&[rest, vec![&back]].concat()).await;
    back.stop().await;
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_a_snapshot_holds_nothing_of_before() {
    let (ground, mut replicas) = three().await;
    let away = replicas.remove((leader(&replicas) + 1) % 3);
    let node = away.registry.node();
    away.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    make_tenant(&ground, &rest).await;
    for number in 0..20 {
        propose(&rest, &owner(&format!("before-{number}"))).await;
    }
    let destroyed = destroy(&rest).await;
    for replica in &rest {
        replica.registry.compact().await;
    }
    let back = ground.start(node).await;
    gone(&[&rest[..], &[&back]].concat(), destroyed).await;
    assert!(back.registry.core().state().tenant(&tenant()).is_none());
    back.stop().await;
    stop_all(replicas).await;
}

/// The record that destroyed it is on every disk, and none has looked at its log since.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_stop_before_they_have_purged_purge_after_they_start() {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_tenant(&ground, &all).await;
    let destroyed = destroy(&all).await;
    for replica in &replicas {
        replica.until("it knows", |registry| registry.core().state().revision().index >= destroyed).await;
    }
    stop_all(replicas).await;
    for node in 1..=3 {
        let first = latchkey_storage::Store::first_index(&ground.open_store(NodeId(node)).await);
        assert!(
            first.is_some_and(|first| first < destroyed),
            "the log of {node} begins at {first:?}: it was too quick"
        );
    }
    let mut replicas = Vec::new();
    for node in 1..=3 {
        replicas.push(ground.start(NodeId(node)).await);
    }
    gone(&replicas.iter().collect::<Vec<_>>(), destroyed).await;
    // What was purged stays purged, and is said after another start.
    stop_all(replicas).await;
    for node in 1..=3 {
        let first = latchkey_storage::Store::first_index(&ground.open_store(NodeId(node)).await);
        assert!(first.is_none_or(|first| first > destroyed), "{node} says so, and its log begins at {first:?}");
    }
    let mut replicas = Vec::new();
    for node in 1..=3 {
        replicas.push(ground.start(NodeId(node)).await);
    }
    gone(&replicas.iter().collect::<Vec<_>>(), destroyed).await;
    stop_all(replicas).await;
}

/// Looks at the folder once, as a replica with this plan does again and again.
async fn look(replica: &Replica, folder: &Path, says: impl Fn(&ReplicaBackups) -> bool) {
    let plan = BackupPlan { folder: folder.into(), interval: Duration::from_secs(86_400), keep: 2 };
    let keeping = tokio::spawn(replica.registry.clone().keep_backups(plan));
    let node = replica.registry.node();
    replica
        .until("the cluster knows of its backups", |registry| {
            let known = registry.core().state().replica(node).and_then(|row| row.backups.clone());
            says(&known.unwrap_or_default())
        })
        .await;
    keeping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_a_folder_of_backups_is_known_to_the_cluster_until_it_is_pruned() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it leads", Registry::can_write).await;
    replica.until("it is admitted", |registry| registry.core().state().replica(NodeId(1)).is_some()).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    look(&replica, folder.path(), |known| known.kept.len() == 1 && known.keep == 2).await;
    let first = replica.registry.core().state().newest_backup().expect("one is there");

    let plan = BackupPlan { folder: folder.path().into(), interval: Duration::from_secs(86_400), keep: 2 };
    for number in 0..2 {
        propose(&[&replica], &owner(&format!("between-{number}"))).await;
        replica.registry.write_backup(&plan).await.expect("there is room");
    }
    look(&replica, folder.path(), |known| known.kept.len() == 2 && !known.kept.contains(&first)).await;
    let state = replica.registry.core().state();
    assert!(state.newest_backup() > Some(first), "a later one is the newest");

    // A volume that is not mounted tells nobody that backups are gone.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    look(&replica, elsewhere.path(), |known| known.kept.len() == 3).await;
    replica.stop().await;
}
