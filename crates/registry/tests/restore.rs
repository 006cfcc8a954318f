//! Going on: from a backup and from one survivor. What was acknowledged is there, what was revoked stays revoked, and
//! whoever was left behind is out for good.

mod support;

use latchkey_domain::{DurationMillis, KeyId, KeyName, NodeId, ReasonText, Revision, RevocationReason};
use latchkey_registry::{
    After, BackupPlan, GoneOn, Member, NewEpoch, Registry, Remains, RestoreError, is_interrupted, store_folder,
};
use latchkey_state::{Delete, DirectoryName, Expiry, Operation, RevokeKey, RingPurpose, State};
use latchkey_storage::{OpenError, Options, SledStore};
use latchkey_telemetry::SystemClock;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::keys::{keyspace_name, make_keys, make_keyspace, make_tenant};
use support::three::{carry_out, leader, owner, propose, same_state, three};
use support::{Ground, Replica};
use tempfile::TempDir;

/// A number that no replica had.
const NEW: NodeId = NodeId(9);

fn member(ground: &mut Ground, node: NodeId) -> Member {
    let member = Member {
        region: "south".into(),
        raft_address: support::free_address().to_string(),
        address: support::free_address().to_string(),
    };
    ground.members.insert(node, member.clone());
    member
}

async fn backup(replica: &Replica, folder: &TempDir) -> PathBuf {
    let plan = BackupPlan { folder: folder.path().into(), interval: Duration::from_secs(3_600), keep: 9 };
    replica.registry.write_backup(&plan).await.expect("there is room").path().to_owned()
}

async fn restore(
    ground: &mut Ground,
    node: NodeId,
    backup: &Path,
    after: Option<After>,
) -> Result<GoneOn, RestoreError> {
    let member = member(ground, node);
    let remains = Remains::of_backup(backup, ground.kms.clone()).await?;
    remains.go_on(&ground.data(node), NewEpoch { epoch: None, node, member, after }).await
}

fn revoke(key: KeyId) -> Operation {
    Operation::RevokeKey(RevokeKey {
        key: KeyName { keyspace: keyspace_name(), key },
        version: None,
        reason: RevocationReason::Compromised,
        text: ReasonText::default(),
        grace: DurationMillis::ZERO,
        etag: None,
    })
}

fn keys(state: &State) -> Vec<KeyId> {
    let keyspace = state.keyspace(&keyspace_name()).expect("it was made").number;
    state.keys_of(keyspace, None).map(|key| key.id).collect()
}

fn is_revoked(state: &State, key: KeyId) -> bool {
    let name = KeyName { keyspace: keyspace_name(), key };
    state.key(&name).expect("it was made").revocation().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_is_there_again_and_what_was_revoked_stays_revoked() {
    let mut ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    make_keyspace(&ground, &[&replica]).await;
    make_keys(&ground, &[&replica], 500, Expiry::Default).await;
    let ids = keys(&replica.registry.core().state());
    let (before, later, valid) = (ids[0], ids[1], ids[2]);
    carry_out(&[&replica], revoke(before)).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = backup(&replica, &folder).await;
    let was = replica.registry.core().state().clone();
    carry_out(&[&replica], revoke(later)).await;
    // As the audit service knows it.
    let state = replica.registry.core().state().clone();
    let (tree, at) = (state.progress().frontier.clone(), state.clock());
    replica.stop().await;
    fs::remove_dir_all(ground.data(NodeId(1))).expect("it is wiped");

    // Without an audit log: the state of the backup, and nothing else.
    let other = restore(&mut ground, NodeId(8), &file, None).await.expect("the backup is whole");
    assert_eq!((other.from, other.revision.epoch), (was.revision(), 2));
    let alone = ground.start(NodeId(8)).await;
    alone.until("it leads", Registry::can_write).await;
    let restored = alone.registry.core().state().clone();
    let same = |state: &State| {
        let rows = state.rows().filter(|row| !matches!(row.id().table(), PROGRESS | REPLICAS));
        rows.map(|row| row.canonical_bytes()).collect::<Vec<_>>()
    };
    assert_eq!(same(&restored), same(&was), "all but where it stands, and who its replicas are");
    assert!(is_revoked(&restored, before) && !is_revoked(&restored, later));
    alone.stop().await;

    // With one: what was revoked since is revoked again, before anybody is answered.
    let after = After { tree: tree.clone(), epoch: 1, at, taken_away: vec![revoke(later), revoke(KeyId::LOWEST)] };
    let gone_on = restore(&mut ground, NEW, &file, Some(after)).await.expect("the backup is whole");
    assert_eq!((gone_on.cluster, gone_on.taken_away, gone_on.left.len()), (ground.cluster, 1, 1));
    let back = ground.start(NEW).await;
    let loaded = |registry: &Registry| registry.core().state().cluster().is_some();
    back.until("it is loaded", loaded).await;
    assert_eq!(back.registry.core().state().hash(), gone_on.hash, "what was written is what is served");
    let state = back.registry.core().state().clone();
    assert!(is_revoked(&state, before) && is_revoked(&state, later) && !is_revoked(&state, valid));
    assert_eq!(state.revision(), gone_on.revision);
    state.check_invariants().unwrap();
    // The audit log goes on where it stands, without a gap.
    back.until("it leads", Registry::can_write).await;
    assert!(propose(&[&back], &owner("afterwards")).await.answer.is_ok());
    let entries = back.registry.entries(tree.size()).await;
    assert_eq!(entries.first(), Some(&tree.size()));
    assert!(entries.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{entries:?}");
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_was_destroyed_after_a_backup_does_not_come_back_with_it() {
    let mut ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    make_tenant(&ground, &[&replica]).await;
    let tenant = keyspace_name().parent();
    let number = replica.registry.core().state().tenant(&tenant).expect("it was made").number;
    let delete = |destroy, number| {
        let name = DirectoryName::Tenant(tenant.clone());
        Operation::Delete(Delete { name, etag: None, destroy, number })
    };
    carry_out(&[&replica], delete(false, None)).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = backup(&replica, &folder).await;
    let has_keys = |state: &State| state.ring_keys_of(RingPurpose::Audit(number)).next().is_some();
    assert!(has_keys(&replica.registry.core().state()), "its trail is readable");
    assert!(propose(&[&replica], &owner("later")).await.answer.is_ok());
    let state = replica.registry.core().state().clone();
    replica.stop().await;
    let (tree, at) = (state.progress().frontier.clone(), state.clock());
    let after = After { tree, epoch: 1, at, taken_away: vec![delete(true, Some(number))] };
    let gone_on = restore(&mut ground, NEW, &file, Some(after)).await.expect("the backup is whole");
    assert_eq!((gone_on.taken_away, &gone_on.left[..]), (1, &[][..]));
    let back = ground.start(NEW).await;
    back.until("it is loaded", |registry| registry.core().state().cluster().is_some()).await;
    assert!(!has_keys(&back.registry.core().state()), "nobody can read it");
    back.stop().await;
}

/// Where the state stands, and the table of replicas.
const PROGRESS: u8 = latchkey_state::RowId::Progress.table();
const REPLICAS: u8 = latchkey_state::RowId::Replica(NodeId(0)).table();

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_was_used_and_a_folder_that_is_not_empty_are_refused() {
    let mut ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    propose(&[&replica], &owner("one")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = backup(&replica, &folder).await;
    replica.stop().await;
    let refused = restore(&mut ground, NodeId(1), &file, None).await.expect_err("there is a replica");
    assert!(matches!(refused, RestoreError::NotEmpty { .. }), "{refused}");
    fs::remove_dir_all(ground.data(NodeId(1))).expect("it is wiped");
    let refused = restore(&mut ground, NodeId(1), &file, None).await.expect_err("it may still be there");
    assert!(matches!(refused, RestoreError::NodeUsed { node: NodeId(1) }), "{refused}");
    restore(&mut ground, NEW, &file, None).await.expect("this one is new");
    // The epoch is above any that is known of.
    let member = member(&mut ground, NodeId(10));
    let remains = Remains::of_backup(&file, ground.kms.clone()).await.expect("it is whole");
    let new = NewEpoch { epoch: Some(1), node: NodeId(10), member, after: None };
    let refused = remains.go_on(&ground.data(NodeId(10)), new).await.expect_err("epoch 1 is over");
    assert!(matches!(refused, RestoreError::EpochOver { asked: 1, last: 1 }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_interrupted_does_not_start_and_can_be_done_again() {
    let mut ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    propose(&[&replica], &owner("one")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = backup(&replica, &folder).await;
    replica.stop().await;
    restore(&mut ground, NEW, &file, None).await.expect("this one is new");
    // As a kill just before the last step leaves it, and as one in the middle does.
    let (store, half_made) = (store_folder(&ground.data(NEW)), ground.data(NEW).join("store.new"));
    fs::rename(&store, &half_made).expect("it is there");
    for what in ["whole", "without its facts", "with nothing in it"] {
        match what {
            "without its facts" => fs::remove_file(half_made.join("facts")).expect("it is there"),
            "with nothing in it" => {
                fs::remove_dir_all(&half_made).expect("it is there");
                fs::create_dir(&half_made).expect("it is gone");
            }
            _ => {}
        }
        assert!(is_interrupted(&ground.data(NEW)), "{what}");
        let opened = SledStore::open(&store, &Options::default()).map(drop);
        assert!(matches!(opened, Err(OpenError::NotInitialised { .. })), "{what}: {opened:?}");
    }
    let again = restore(&mut ground, NEW, &file, None).await.expect("what was half made is in nobody's way");
    assert!(!is_interrupted(&ground.data(NEW)));
    let back = ground.start(NEW).await;
    back.until("it leads", Registry::can_write).await;
    assert_eq!(back.registry.core().epoch(), again.revision.epoch);
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_survivor_keeps_all_that_was_acknowledged_and_refuses_the_others_for_ever() {
    let (ground, mut replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    let mut acknowledged = Vec::new();
    for count in 0..40 {
        let name = format!("acknowledged-{count}");
        assert!(propose(&all, &owner(&name)).await.answer.is_ok());
        acknowledged.push(name);
    }
    same_state(&all).await;
    let entries = all[0].registry.core().state().progress().frontier.clone();
    // Two of the three are lost, the leader among them. One of these comes back, as those do that were given up too early.
    let first = replicas.remove(leader(&replicas));
    let survivor = replicas.remove(0);
    let stray = replicas.remove(0);
    let (node, stray_node) = (survivor.registry.node(), stray.registry.node());
    for replica in [first, survivor, stray] {
        replica.stop().await;
    }

    let remains = Remains::of_survivor(&ground.data(node), ground.kms.clone(), Arc::new(SystemClock)).await;
    let remains = remains.expect("it is whole");
    let member = ground.members[&node].clone();
    let new = NewEpoch { epoch: None, node, member, after: None };
    let gone_on = remains.go_on(&ground.data(node), new).await.expect("it goes on");
    assert_eq!((gone_on.cluster, gone_on.revision.epoch), (ground.cluster, 2));
    assert!(ground.data(node).join("store.before-epoch-2").exists(), "what was there is kept");

    let alone = ground.start(node).await;
    alone.until("it leads", Registry::can_write).await;
    let state = alone.registry.core().state().clone();
    let names: Vec<_> = state.owners().iter().map(|owner| owner.id.to_string()).collect();
    assert!(acknowledged.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(propose(&[&alone], &owner("afterwards")).await.answer.is_ok());
    // The audit log is told on, from its first entry to the newest, as one tree.
    let told = alone.registry.entries(0).await;
    assert_eq!(told, (0..alone.registry.core().state().progress().frontier.size()).collect::<Vec<_>>());
    assert!(told.len() as u64 > entries.size());

    // The one that was given up comes back: of the old epoch, it neither takes part nor gets an answer.
    let back = ground.start(stray_node).await;
    let before = alone.registry.core().state().revision();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!back.registry.reader().is_fresh() && !back.registry.can_write());
    assert_eq!(alone.registry.core().state().revision().epoch, before.epoch);
    assert!(alone.registry.can_write());
    back.stop().await;
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_is_interrupted_between_its_two_names_is_done_again() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    propose(&[&replica], &owner("one")).await;
    replica.stop().await;
    let data = ground.data(NodeId(1));
    fs::rename(store_folder(&data), data.join("store.before-epoch-2")).expect("it is there");
    fs::create_dir(data.join("store.new")).expect("a folder");
    assert!(is_interrupted(&data));
    let remains =
        Remains::of_survivor(&data, ground.kms.clone(), Arc::new(SystemClock)).await.expect("it is moved back");
    let new = NewEpoch { epoch: None, node: NodeId(1), member: ground.members[&NodeId(1)].clone(), after: None };
    remains.go_on(&data, new).await.expect("it goes on");
    let alone = ground.start(NodeId(1)).await;
    alone.until("it leads", Registry::can_write).await;
    assert_eq!(alone.registry.core().state().owners().iter().count(), 1);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_join_a_cluster_in_its_new_epoch() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    propose(&[&replica], &owner("one")).await;
    replica.stop().await;
    let data = ground.data(NodeId(1));
    let remains = Remains::of_survivor(&data, ground.kms.clone(), Arc::new(SystemClock)).await.expect("it is whole");
    let new = NewEpoch { epoch: Some(7), node: NodeId(1), member: ground.members[&NodeId(1)].clone(), after: None };
    let gone_on = remains.go_on(&data, new).await.expect("it goes on");
    assert_eq!(gone_on.revision.epoch, 7, "an operator may name a higher one");
    assert!(gone_on.revision > Revision::new(6, u64::MAX), "and all revisions of it are newer");
    let joining = ground.data(NodeId(2));
    latchkey_registry::init_replica_in(&joining, NodeId(2), ground.cluster, 7).expect("a new folder");
    let store = SledStore::open(&store_folder(&joining), &Options::default()).expect("it was made");
    assert_eq!(latchkey_storage::Store::facts(&store).epoch, 7);
}
