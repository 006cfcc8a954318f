//! The nine rules of the barrier, each by a test that is named after it: what holds between a revocation that is confirmed
//! and a replica that could still accept the key.

mod support;

use latchkey_domain::{DurationMillis, KeyspaceName, LastKnownMax, NodeId};
use latchkey_registry::{Ledger, Standing, wait_ms};
use latchkey_state::{KeyspaceChanges, Operation, StalenessPolicy, UpdateKeyspace};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::internal::v1 as pb;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::three::{carry_out, leader, leads, owner, propose, three};
use support::{Replica, WITHIN};

const REPLICA: NodeId = NodeId(2);
const BOUND: DurationMillis = DurationMillis::new(5_000);

async fn stop(replicas: Vec<Replica>) {
    for replica in replicas {
        replica.stop().await;
    }
}

#[test]
fn rule_1_every_lease_that_may_still_run_is_waited_for_member_or_not() {
    let mut ledger = Ledger::new(0);
    ledger.grant(REPLICA, 10_000, 41);
    // It has left the membership, and a learner has come that nobody has heard of.
    let members = [NodeId(1), NodeId(7)];
    assert_eq!(ledger.holders(&members).collect::<Vec<_>>(), [REPLICA, NodeId(1), NodeId(7)]);
    let until_ms = 10_000 + wait_ms(BOUND);
    assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms - 1), Standing::Waiting { until_ms });
    assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms), Standing::LeaseEnded);
}

/// That the leader grants no more, waits and only then changes the membership is shown in `membership.rs`.
#[test]
fn rule_2_who_leaves_is_waited_for_until_he_has_stopped_or_his_lease_has_ended() {
    let mut ledger = Ledger::new(0);
    ledger.grant(REPLICA, 10_000, 41);
    assert!(matches!(ledger.standing(REPLICA, 42, BOUND, 10_001), Standing::Waiting { .. }));
    // Nobody forgets him before: it is forgetting that lets the barrier pass.
    ledger.forget(REPLICA);
    assert!(ledger.holders(&[NodeId(1)]).all(|holder| holder != REPLICA));
}

#[test]
fn rule_3_a_new_leader_confirms_nobody_by_time_before_a_whole_bound_has_passed() {
    let elected_ms = 50_000;
    let mut ledger = Ledger::new(elected_ms);
    let until_ms = elected_ms + wait_ms(BOUND);
    assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms - 1), Standing::Waiting { until_ms });
    // A lease of its own that needs the record does not shorten that: one of the leader before may still run.
    ledger.grant(REPLICA, elected_ms + 1, 42);
    assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms - 1), Standing::Waiting { until_ms });
    ledger.report(REPLICA, 7, Some(42));
    assert_eq!(ledger.standing(REPLICA, 42, BOUND, elected_ms + 2), Standing::Applied, "by report at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_4_the_bound_of_a_key_is_the_longest_that_its_keyspace_had_within_the_last_such_bound() {
    let (_ground, mut replicas) = three().await;
    let silent = replicas.remove((leader(&replicas) + 1) % 3);
    let all: Vec<_> = replicas.iter().collect();
    let change = |policy| {
        let changes = KeyspaceChanges { staleness_policy: Some(policy), ..KeyspaceChanges::default() };
        let name = KeyspaceName::management();
        Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name, changes, etag: None }))
    };
    let longer = LastKnownMax::new(DurationMillis::from_secs(60)).unwrap();
    carry_out(&all, change(StalenessPolicy::LastKnown(longer))).await;
    let longer_known = all[0].registry.core().state().revision();
    silent
        .until("it has heard of the longer bound", |registry| registry.core().state().revision() >= longer_known)
        .await;
    let silent_node = silent.registry.node();
    silent.stop().await;
    carry_out(&all, change(StalenessPolicy::Refuse)).await;
    let applied = propose(&all, &owner("revoked")).await;

    let leading = &all.iter().find(|replica| leads(&replica.registry)).expect("somebody leads").registry;
    let bound = {
        let state = leading.core().state();
        let management = state.keyspace(&KeyspaceName::management()).expect("it is there");
        assert_eq!(management.bound(), DurationMillis::from_secs(2));
        state.bound_of(management.number, state.clock())
    };
    assert_eq!(bound, DurationMillis::from_secs(62), "current and last known together");
    let confirmed = leading.confirm(applied.revision.index, bound, Duration::from_secs(3)).await.unwrap();
    let one = confirmed.iter().find(|one| one.replica.node == silent_node).unwrap();
    let Standing::Waiting { until_ms } = one.standing else { panic!("{one:?}") };
    let left_ms = until_ms.saturating_sub(leading.core().boot_ms());
    assert!((50_000..62_200).contains(&left_ms), "it may answer for {left_ms} ms more");
    stop(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_5_a_report_says_what_is_published_to_readers_in_this_life() {
    let (_ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    for count in 0..30 {
        propose(&all, &owner(&format!("one-{count}"))).await;
        let leading = &replicas[leader(&replicas)].registry;
        for status in leading.status().replicas {
            // Read in this order: what a replica has published only grows.
            let said = status.known.and_then(|known| known.published).unwrap_or(0);
            let replica = replicas.iter().find(|one| one.registry.node() == status.node).unwrap();
            let published = replica.registry.reader().now().unwrap().state().revision().index;
            assert!(said <= published, "replica {} said {said} and shows {published}", status.node);
        }
    }
    let mut ledger = Ledger::new(0);
    ledger.report(REPLICA, 7, Some(42));
    ledger.report(REPLICA, 8, None);
    assert_ne!(ledger.standing(REPLICA, 42, BOUND, 1), Standing::Applied, "another life has published nothing yet");
    stop(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_6_nobody_answers_before_the_first_lease_of_this_life() {
    let (ground, mut replicas) = three().await;
    let gone = replicas.remove(0);
    let node = gone.registry.node();
    gone.stop().await;
    stop(replicas).await;
    // It has all of its state, and nobody who leads.
    let alone = ground.start(node).await;
    alone.until("its state is loaded", |registry| registry.reader().now().is_ok()).await;
    let view = alone.registry.reader().now().unwrap();
    assert!(view.state().cluster().is_some());
    // What was known last is what a lease of this life has vouched for, so the policy makes no difference.
    assert_eq!(view.age(), Err(Unavailable::Starting));
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_7_a_lease_is_read_each_time_it_counts_and_is_void_where_the_clocks_moved_apart() {
    let (_ground, mut replicas) = three().await;
    let one = replicas.remove(0);
    stop(replicas).await;
    // One view serves both readings of a validation: when the key is resolved, and when the answer leaves.
    let view = one.registry.reader().now().unwrap();
    let first = view.age().unwrap();
    let later = tokio::time::timeout(WITHIN, async {
        loop {
            let age = view.age().unwrap();
            if age > first {
                return age;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(later.await.unwrap() > first, "it grows while the view is held");
    // The machine was frozen, or restored from an image: its wall clock went on, or was set.
    one.clock.ahead_ms.store(1_000, Ordering::Relaxed);
    assert!(matches!(view.age(), Err(Unavailable::NotFresh { .. })));
    assert!(!one.registry.reader().is_fresh());
    one.stop().await;
}

#[test]
fn rule_8_the_leader_waits_longer_than_a_clock_500_ppm_slower_lets_a_lease_run() {
    for bound_ms in [1_000, 4_700, 5_000, 10_000, 915_000, 86_400_000] {
        // The replica counts by a slow clock, the leader by a quick one.
        let replica_counts_ms = bound_ms + bound_ms * 500 / 999_500;
        let leader_counts_ms = replica_counts_ms + replica_counts_ms * 500 / 1_000_000;
        let waits_ms = wait_ms(DurationMillis::new(bound_ms));
        assert!(waits_ms >= leader_counts_ms, "{bound_ms}: waits {waits_ms}, it may run {leader_counts_ms}");
    }
}

/// Whatever comes to these messages is to be thought about before this compiles again: a ping is asked by a replica whose
/// key may be away, and answered by whoever leads.
#[test]
fn rule_9_what_renews_a_lease_carries_no_sealed_state() {
    let pb::RenewLeaseRequest {
        target: _,
        node_id: _,
        incarnation: _,
        published: _,
        clock_unix_ms: _,
        state: _,
        hashed,
        feature_level_newest: _,
        holding,
    } = pb::RenewLeaseRequest::default();
    // A hash over logical rows, which no key is needed for.
    let pb::HashedState { revision: _, hash } = hashed.unwrap_or_default();
    assert!(hash.is_empty());
    // Names of keys: ids and numbers, which tell nothing of them.
    let pb::KeyHolding { keks, keks_needed: _, older_keys: _, known_key: _, complete: _, holds_from: _ } =
        holding.unwrap_or_default();
    assert!(keks.is_empty());
    let pb::RenewLeaseResponse { term: _, read_index: _, now_unix_ms: _, lease_ms: _, clock_offset_ms: _, differs } =
        pb::RenewLeaseResponse::default();
    assert!(!differs);
}
