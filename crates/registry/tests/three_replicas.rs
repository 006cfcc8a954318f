//! Three replicas in one process: consensus, freshness, the barrier, snapshots, clocks.

mod support;

use latchkey_domain::DurationMillis;
use latchkey_registry::{ProposeError, Standing};
use latchkey_transport::Unavailable;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::WITHIN;
use support::three::{leader, owner, propose, same_state, three};

const YEAR_MS: i64 = 365 * 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_leader_goes() {
    let (ground, mut replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    for count in 0..20 {
        assert!(propose(&all, &owner(&format!("before-{count}"))).await.answer.is_ok());
    }
    let gone = replicas.remove(leader(&replicas));
    let node = gone.registry.node();
    gone.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    for count in 0..20 {
        assert!(propose(&rest, &owner(&format!("after-{count}"))).await.answer.is_ok());
    }
    let back = ground.start(node).await;
    let all = [rest, vec![&back]].concat();
    same_state(&all).await;
    let state = back.registry.core().state().clone();
    assert_eq!(state.owners().iter().count(), 40);
    state.check_invariants().unwrap();
    back.stop().await;
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_barrier_waits_for_a_silent_replica_and_names_it() {
    let (_ground, mut replicas) = three().await;
    let at = leader(&replicas);
    let silent = replicas.remove((at + 1) % 3);
    let silent_node = silent.registry.node();
    silent.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    let applied = propose(&rest, &owner("barrier")).await;
    let bound = DurationMillis::new(2_000);
    let leading = &replicas[leader(&replicas)].registry;

    let early = leading.confirm(applied.revision.index, bound, Duration::ZERO).await.unwrap();
    let silent_early = early.iter().find(|one| one.replica.node == silent_node).unwrap();
    assert!(matches!(silent_early.standing, Standing::Waiting { .. } | Standing::LeaseEnded), "{silent_early:?}");

    // A leader that others have left behind would have waited for leases that it knows nothing of.
    let beyond = leading.confirm(applied.revision.index + 1_000, bound, Duration::ZERO).await;
    assert!(beyond.is_err(), "confirmed what it has not applied: {beyond:?}");

    let late = leading.confirm(applied.revision.index, bound, WITHIN).await.unwrap();
    for one in &late {
        let expected = if one.replica.node == silent_node { Standing::LeaseEnded } else { Standing::Applied };
        assert_eq!(one.standing, expected, "replica {}", one.replica.node);
    }
    // Those that had stopped accepting long before are not said to have stopped with the last.
    let seen = |node| late.iter().find(|one| one.replica.node == node).unwrap().seen_ms;
    for one in late.iter().filter(|one| one.replica.node != silent_node) {
        assert!(one.seen_ms < seen(silent_node), "{late:?}");
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_a_year_ahead_expires_nothing_and_stands_down() {
    let (_ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    propose(&all, &owner("before")).await;
    let at = leader(&replicas);
    let before = replicas[at].registry.core().state().clock();
    replicas[at].clock.ahead_ms.store(YEAR_MS, Ordering::Relaxed);
    let refused = replicas[at].registry.propose(owner("skewed"), WITHIN).await.unwrap_err();
    let skew = matches!(refused, ProposeError::Unavailable(Unavailable::ClockSkew { offset_ms }) if offset_ms > 0);
    assert!(skew || matches!(refused, ProposeError::Elsewhere(..)), "{refused:?}");

    let others: Vec<_> = (0..3).filter(|index| *index != at).map(|index| &replicas[index]).collect();
    assert!(propose(&others, &owner("after")).await.answer.is_ok());
    for replica in &replicas {
        replica.until("it heard", |registry| registry.reader().is_fresh()).await;
        let hour = DurationMillis::from_secs(3_600);
        let (clock, now) = (replica.registry.core().state().clock(), replica.registry.reader().now().unwrap().now());
        assert!(clock.since(before) < hour, "the replicated clock moved to {clock}");
        assert!(now.since(before) < hour, "validation believes that it is {now}");
    }
    same_state(&all).await;
    for replica in replicas {
        replica.stop().await;
    }
}

/// Their rows are more than the buffer before the stream: fifty fitted, and hid a panic in the first write to it.
const OWNERS: usize = 900;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_away_for_long_catches_up_by_snapshot() {
    let (ground, mut replicas) = three().await;
    let at = leader(&replicas);
    let away = replicas.remove((at + 1) % 3);
    let node = away.registry.node();
    away.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    for count in 0..OWNERS - 1 {
        propose(&rest, &owner(&format!("away-{count}"))).await;
    }
    // As after twenty thousand records, in less time.
    for replica in &replicas {
        replica.registry.compact().await;
    }
    propose(&rest, &owner("last")).await;

    let back = ground.start(node).await;
    let all = [rest, vec![&back]].concat();
    same_state(&all).await;
    assert_eq!(back.registry.core().state().owners().iter().count(), OWNERS);
    // Every entry of the audit tree came along: a follower of this replica finds no hole.
    let entries = back.registry.entries(0).await;
    assert_eq!(entries, (0..back.registry.core().state().progress().frontier.size()).collect::<Vec<_>>());
    back.stop().await;

    // And what it took is what it starts from.
    let again = ground.start(node).await;
    again.until("it is loaded", |registry| registry.core().state().owners().iter().count() == OWNERS).await;
    again.registry.core().state().check_invariants().unwrap();
    again.stop().await;
    for replica in replicas {
        replica.stop().await;
    }
}
