//! The log key and the key-encryption key change while replicas serve, are away and die; afterwards nothing needs the old
//! one.

mod support;

use latchkey_crypto::envelope;
use latchkey_domain::{KekId, KeyName, NodeId, ReasonText, Refusal, RevocationReason, RingNumber, UnixMillis};
use latchkey_kms::Kms as _;
use latchkey_registry::Registry;
use latchkey_state::{Actor, Expiry, FollowUp, LocalDenial, Operation, RingPurpose, State};
use latchkey_storage::{Facts, MemoryStore, StateSource, Store, Word};
use latchkey_wire::pb::disk::v1 as pb;
use latchkey_wire::pb::disk::v1::log_record::Payload;
use prost::Message as _;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use support::cut::CutStore;
use support::keys::{keyspace_name, make_keys, make_keyspace};
use support::three::{carry_out, leader, leads, owner, propose, same_state, three};
use support::{Ground, Replica};

const OLD_KEK: [u8; 32] = [7; 32];
const NEW_KEK: [u8; 32] = [8; 32];

fn kek(bytes: [u8; 32]) -> KekId {
    KekId(latchkey_crypto::DataKey::new(bytes).id())
}

fn log_keys(state: &State) -> Vec<RingNumber> {
    state.ring().filter(|key| key.purpose == RingPurpose::Log).map(|key| key.number).collect()
}

/// Has an operator rotate the log key; tells the one before.
async fn rotate(replicas: &[&Replica]) -> RingNumber {
    let before = {
        let state = replicas[0].registry.core().state();
        state.newest_ring_key(RingPurpose::Log).expect("founded").number
    };
    let new = replicas[0].registry.draw_ring_key(RingPurpose::Log).await.expect("the KEK is here");
    carry_out(replicas, Operation::RotateRingKey(new)).await;
    before
}

/// Every number that something in a folder is sealed under: rows, entries, the log, what is denied here.
fn numbers_in(store: &dyn Store) -> BTreeSet<RingNumber> {
    let mut numbers = BTreeSet::new();
    store
        .scan_rows(&mut |row| {
            numbers.extend(envelope::ring_number(&row.bytes).ok());
            ControlFlow::Continue(())
        })
        .expect("rows can be read");
    let mut next = store.first_index().unwrap_or(0);
    while let Some(last) = {
        let records = store.read(next..u64::MAX, 1 << 20).expect("the log can be read");
        for record in &records {
            let record = pb::LogRecord::decode(&record.bytes[..]).expect("a record");
            if let Some(Payload::Command(command)) = record.payload {
                numbers.extend(envelope::ring_number(&command.sealed).ok());
            }
        }
        records.last().map(|record| record.index)
    } {
        next = last + 1;
    }
    numbers.extend(store.word(Word::Denials).and_then(|sealed| envelope::ring_number(&sealed).ok()));
    numbers
}

async fn deny_one(registry: &Registry) {
    let denial = LocalDenial {
        id: [1; 16],
        key: KeyName::parse("tenants/acme/keyspaces/live/keys/0000000000000001").expect("a name"),
        version: None,
        reason: RevocationReason::Compromised,
        text: ReasonText::default(),
        then: FollowUp::Nothing,
        by: latchkey_domain::IdentityName::parse("tenants/system/identities/root").expect("a name"),
        at: UnixMillis::new(1_000),
        told: true,
        lifted: None,
    };
    registry.core().change_denials(|all| all.push(denial)).await.expect("there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_log_key_is_destroyed_once_nothing_in_any_folder_is_under_it() {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &all).await;
    make_keys(&ground, &all, 1_000, Expiry::Default).await;
    deny_one(&replicas[1].registry).await;

    let old = rotate(&all).await;
    // Others write without a rest until it is gone.
    let writing = async {
        for number in 0.. {
            assert!(propose(&all, &owner(&format!("during-{number}"))).await.answer.is_ok());
        }
    };
    let gone = async {
        for replica in &replicas {
            replica.until("the older log key is gone", |registry| log_keys(&registry.core().state()).len() == 1).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = gone => {}
    }
    same_state(&all).await;
    for replica in replicas {
        let node = replica.registry.node();
        replica.stop().await;
        let found = numbers_in(&ground.open_store(node).await);
        assert!(!found.contains(&old), "{node}: something is under {old:?}: {found:?}");
    }
    // Every folder starts from what lies in it.
    let mut again = Vec::new();
    for id in 1..=3 {
        again.push(ground.start(NodeId(id)).await);
    }
    for replica in &again {
        replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    }
    assert_eq!(again[1].registry.core().local_denials().await.len(), 1);
    same_state(&again.iter().collect::<Vec<_>>()).await;
    for replica in again {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_away_is_waited_for_and_comes_back() {
    let (ground, mut replicas) = three().await;
    make_keyspace(&ground, &replicas.iter().collect::<Vec<_>>()).await;
    make_keys(&ground, &replicas.iter().collect::<Vec<_>>(), 500, Expiry::Default).await;
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    replicas.pop().expect("three").stop().await;

    let pair: Vec<_> = replicas.iter().collect();
    let old = rotate(&pair).await;
    // The two that are here move what they have, and purge their logs.
    let needs = |registry: &Registry, node: u64| {
        let status = registry.status();
        let replica = status.replicas.iter().find(|replica| replica.node == NodeId(node)).expect("a member");
        let newest = registry.core().state().newest_ring_key(RingPurpose::Log).expect("founded").number;
        replica.holding.as_ref().is_none_or(|holding| holding.needs(old, newest))
    };
    let at = leader(&replicas);
    replicas[at].until("the two need it no more", |registry| !needs(registry, 1) && !needs(registry, 2)).await;
    assert!(needs(&replicas[at].registry, 3), "who is away has not spoken");
    assert!(log_keys(&replicas[at].registry.core().state()).contains(&old), "and is waited for");

    replicas.push(ground.start(NodeId(3)).await);
    for replica in &replicas {
        replica.until("the older log key is gone", |registry| log_keys(&registry.core().state()).len() == 1).await;
    }
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    let third = replicas.pop().expect("three");
    third.stop().await;
    assert!(!numbers_in(&ground.open_store(NodeId(3)).await).contains(&old));
    let third = ground.start(NodeId(3)).await;
    third.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    third.stop().await;
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kek_is_changed_by_one_restart_after_the_other_and_moves_nothing_until_all_have_it() {
    let (ground, replicas) = three().await;
    let mut replicas: Vec<_> = replicas.into_iter().map(Some).collect();
    for id in 1..=3_u64 {
        let place = usize::try_from(id - 1).expect("small");
        let some: Vec<_> = replicas.iter().flatten().collect();
        let at = some.iter().position(|replica| leads(&replica.registry)).unwrap_or(0);
        if some[at].registry.node() != NodeId(3) {
            let moved = some[at].registry.move_to_kek().await;
            // Whoever has the new one first would lock the others out.
            if id > 1 && some[at].registry.node() < NodeId(id) {
                let refused = propose(&some, &support::three::of_root(moved.expect("the KEK is here"))).await;
                let missing = |refusal: &Refusal| matches!(refusal, Refusal::KekNotEverywhere { kek: target, .. } if *target == kek(NEW_KEK));
                assert!(refused.answer.as_ref().is_err_and(missing), "{:?}", refused.answer);
            }
        }
        replicas[place].take().expect("it runs").stop().await;
        ground.set_keks(NodeId(id), &[NEW_KEK, OLD_KEK]);
        replicas[place] = Some(ground.start(NodeId(id)).await);
        for replica in replicas.iter().flatten() {
            replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
        }
    }
    let replicas: Vec<_> = replicas.into_iter().flatten().collect();
    let all: Vec<_> = replicas.iter().collect();
    // New keys follow the keyring, not the settings.
    let new = replicas[0].registry.draw_ring_key(RingPurpose::Log).await.expect("the KEK is here");
    assert_eq!(new.kek, Some(kek(OLD_KEK)));

    let moved = async {
        loop {
            let operation = replicas[0].registry.move_to_kek().await.expect("the KEK is here");
            match &propose(&all, &support::three::of_root(operation)).await.answer {
                Ok(_) => return,
                // Not all have said it to this leader yet.
                Err(Refusal::KekNotEverywhere { .. }) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
    };
    tokio::time::timeout(support::WITHIN, moved).await.expect("all have it in the end");
    let new = replicas[0].registry.draw_ring_key(RingPurpose::Log).await.expect("the KEK is here");
    assert_eq!(new.kek, Some(kek(NEW_KEK)));
    for replica in &replicas {
        let needless = |registry: &Registry| {
            registry
                .status()
                .replicas
                .iter()
                .all(|replica| replica.holding.as_ref().is_some_and(|holding| !holding.needs_kek(kek(OLD_KEK))))
        };
        if leads(&replica.registry) {
            replica.until("no folder needs the older KEK", needless).await;
        }
    }
    for replica in replicas {
        replica.stop().await;
    }
    // It is destroyed.
    let mut again = Vec::new();
    for id in 1..=3 {
        ground.set_keks(NodeId(id), &[NEW_KEK]);
        again.push(ground.start(NodeId(id)).await);
    }
    for replica in &again {
        replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    }
    assert_eq!(ground.kms_of(NodeId(1)).keks(), [kek(NEW_KEK)]);
    same_state(&again.iter().collect::<Vec<_>>()).await;
    for replica in again {
        replica.stop().await;
    }
}

/// One replica on a storage whose rows end after so many writes, and whose power is cut then.
async fn cut_after(writes: usize) -> bool {
    let node = NodeId(1);
    let ground = Ground::found(1).await;
    let memory = Arc::new(MemoryStore::new(Facts { node_id: node.0, cluster_id: ground.cluster.0, epoch: 1 }));
    let store = Arc::new(CutStore::new(memory.clone()));
    let replica = ground.start_over(node, Arc::default(), store.clone()).await;
    replica.until("it can write", |registry| registry.can_write() && registry.core().state().cluster().is_some()).await;
    make_keyspace(&ground, &[&replica]).await;
    make_keys(&ground, &[&replica], 1_000, Expiry::Default).await;
    deny_one(&replica.registry).await;
    store.end_rows_after(writes);
    let old = rotate(&[&replica]).await;
    let ended = || store.has_ended() || log_keys(&replica.registry.core().state()).len() == 1;
    replica.until("it is cut, or done", |_| ended()).await;
    let was_cut = store.has_ended();
    assert!(propose(&[&replica], &owner("after")).await.answer.is_ok());
    let hash = replica.registry.core().state().hashed_at();
    let after = Arc::new(memory.cut_power());
    replica.stop().await;

    let replica = ground.start_over(node, Arc::default(), after.clone()).await;
    replica.until("it has all", |registry| registry.core().state().revision() >= hash.revision).await;
    replica.until("the older log key is gone", |registry| log_keys(&registry.core().state()).len() == 1).await;
    assert_eq!(replica.registry.core().state().key_count(), 1_001);
    assert_eq!(replica.registry.core().local_denials().await.len(), 1);
    replica.stop().await;
    assert!(!numbers_in(after.as_ref()).contains(&old));
    was_cut
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_at_any_write_of_the_moving_loses_nothing() {
    let mut writes = 0;
    while cut_after(writes).await {
        writes += 1;
        assert!(writes < 64, "a rotation over 1,000 keys takes fewer writes");
    }
    assert!(writes > 3, "there was something to cut: {writes}");
    println!("a rotation was cut at each of {writes} writes of rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_no_denial_and_no_row_where_rows_lag_behind_a_rotation() {
    let node = NodeId(1);
    let ground = Ground::found(1).await;
    let memory = Arc::new(MemoryStore::new(Facts { node_id: node.0, cluster_id: ground.cluster.0, epoch: 1 }));
    let store = Arc::new(CutStore::new(memory.clone()));
    let replica = ground.start_over(node, Arc::default(), store.clone()).await;
    replica.until("it can write", |registry| registry.can_write() && registry.core().state().cluster().is_some()).await;
    make_keyspace(&ground, &[&replica]).await;
    make_keys(&ground, &[&replica], 500, Expiry::Default).await;
    // Returns once all rows are on disk.
    replica.registry.entries(0).await;
    store.end_rows_after(0);
    // From here on nothing but the log, and what is denied, is on disk.
    rotate(&[&replica]).await;
    deny_one(&replica.registry).await;
    let (purpose, old) = {
        let state = replica.registry.core().state();
        let keyspace = state.keyspace(&keyspace_name()).expect("made");
        (RingPurpose::Keyspace(keyspace.number), keyspace.data_key)
    };
    let new = replica.registry.draw_ring_key(purpose).await.expect("the KEK is here");
    carry_out(&[&replica], Operation::RotateRingKey(new)).await;
    replica.until("the data key is destroyed", |registry| registry.core().state().ring_key(old).is_none()).await;
    let revision = replica.registry.core().state().revision();
    let mut left = Arc::new(memory.cut_power());
    replica.stop().await;

    // The rows catch up, and are cut at each of their first writes.
    for writes in 0..5 {
        let store = Arc::new(CutStore::new(left.clone()));
        store.end_rows_after(writes);
        let replica = ground.start_over(node, Arc::default(), store.clone()).await;
        replica.until("it has all", |registry| registry.core().state().revision() >= revision).await;
        assert_eq!(replica.registry.core().local_denials().await.len(), 1);
        assert_eq!(replica.registry.core().state().key_count(), 501);
        let rows = || matches!(left.state_source(), StateSource::Rows(mark) if mark.index >= revision.index);
        replica.until("it is cut, or done", |_| store.has_ended() || rows()).await;
        let after = Arc::new(left.cut_power());
        replica.stop().await;
        left = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_replica_joins_after_the_change_with_the_new_kek_alone() {
    let node = NodeId(1);
    let ground = Ground::found(1).await;
    ground.set_keks(node, &[NEW_KEK, OLD_KEK]);
    let replica = ground.start(node).await;
    replica.until("it can write", |registry| registry.can_write() && registry.core().state().cluster().is_some()).await;
    let operation = replica.registry.move_to_kek().await.expect("the KEK is here");
    // It has not spoken to itself before its first lease.
    replica.until("it has spoken", |registry| registry.status().replicas[0].holding.is_some()).await;
    carry_out(&[&replica], operation).await;
    // The first record of the log brings the log key as the old one wrapped it.
    let done = |registry: &Registry| {
        registry.status().replicas[0].holding.as_ref().is_some_and(|holding| !holding.needs_kek(kek(OLD_KEK)))
    };
    replica.until("no record of the log needs the older one", done).await;
    replica.stop().await;
    let store = ground.open_store(node).await;
    assert!(store.first_index().is_none_or(|first| first > 3), "{:?}", store.log_bounds());
}

#[test]
fn whoever_moves_the_keyring_is_told_from_the_leader_that_goes_on() {
    let command = |actor| latchkey_state::Command::new(actor, [0; 32], Operation::RewrapRingKeys(Vec::new()));
    assert!(command(Actor::Replica(NodeId(1))).is_of_replica());
    let root = latchkey_domain::IdentityName::parse("tenants/system/identities/root").expect("a name");
    assert!(!command(Actor::Identity(root)).is_of_replica());
}
