//! Who belongs to the cluster and who leads it: replicas come, vote, leave and hand over, while leaders die.

mod support;

use latchkey_domain::{DurationMillis, NodeId, Refusal, ReplicaPlace, ReplicaRole};
use latchkey_registry::{Condition, ProposeError, Registry, Standing, wait_ms};
use latchkey_state::{AdmitReplica, Operation, ReplicaStep, StepReplica};
use latchkey_transport::Unavailable;
use std::time::Duration;
use support::three::{carry_out, leader, leads, of_root, owner, propose, same_state, three};
use support::{Ground, Replica, TIMING, WITHIN};
use tokio::time::Instant;

/// What the tests' cluster lets replicas go without hearing of a leader.
const BOUND: DurationMillis = DurationMillis::new(2_000);

fn admit(ground: &mut Ground, node: u64) -> Operation {
    let member = ground.init(NodeId(node));
    let place = ReplicaPlace::new(&member.region, &member.raft_address, &member.address).expect("an address");
    Operation::AdmitReplica(AdmitReplica { node: NodeId(node), place, role: ReplicaRole::Learner })
}

fn step(node: NodeId, step: ReplicaStep) -> Operation {
    Operation::StepReplica(StepReplica { node, step })
}

/// What raft makes of a replica: whether it is a member, and whether it votes.
fn place(registry: &Registry, node: NodeId) -> Option<bool> {
    registry.status().replicas.into_iter().find(|replica| replica.node == node).map(|replica| replica.voter)
}

fn role(registry: &Registry, node: NodeId) -> Option<ReplicaRole> {
    registry.core().state().replica(node).map(|replica| replica.role)
}

fn all_admitted(registry: &Registry) -> bool {
    registry.core().state().replicas().count() >= 3
}

/// Three replicas whose table names all of them.
async fn three_admitted() -> (Ground, Vec<Replica>) {
    let (ground, replicas) = three().await;
    for replica in &replicas {
        replica.until("the founding members are admitted", all_admitted).await;
    }
    (ground, replicas)
}

/// Proposes until nothing speaks against it: a learner takes a while to catch up.
async fn once_safe(replicas: &[&Replica], operation: Operation) {
    let asking = async {
        loop {
            let applied = propose(replicas, &of_root(operation.clone())).await;
            match &applied.answer {
                Ok(_) => return,
                Err(Refusal::MembershipUnsafe { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
    };
    tokio::time::timeout(WITHIN, asking).await.expect("it is safe in the end");
}

/// Whether a leader has heard nothing of a replica for longer than the bound.
fn is_unheard(registry: &Registry, node: NodeId) -> bool {
    let known = registry.status().replicas.into_iter().find(|replica| replica.node == node).and_then(|one| one.known);
    known.and_then(|known| known.lease_age).is_none_or(|age| age > BOUND)
}

async fn stop_all(replicas: Vec<Replica>) {
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_joins_votes_and_takes_the_place_of_the_leader() {
    let (mut ground, mut replicas) = three_admitted().await;
    let new = NodeId(4);
    let admit_new = admit(&mut ground, 4);
    carry_out(&replicas.iter().collect::<Vec<_>>(), admit_new.clone()).await;
    // A learner that has not been heard of gets no vote.
    let early = propose(&replicas.iter().collect::<Vec<_>>(), &of_root(step(new, ReplicaStep::Promote))).await;
    assert!(matches!(early.answer, Err(Refusal::MembershipUnsafe { .. })), "{:?}", early.answer);

    replicas.push(ground.start(new).await);
    let all: Vec<_> = replicas.iter().collect();
    all[3].until("it is fresh", |registry| registry.reader().is_fresh()).await;
    assert_eq!(place(&all[3].registry, new), Some(false), "a learner does not vote");
    // Whoever is asked tells what the leader knows, how far the learner is too.
    let asked = all[3].registry.roster().await.expect("there is a leader");
    let published = |node| asked.replicas.iter().find(|one| one.node == node)?.known?.published;
    assert!((1..=4).all(|node| published(NodeId(node)).is_some()), "{asked:?}");
    once_safe(&all, step(new, ReplicaStep::Promote)).await;
    all[3].until("it votes", |registry| place(registry, new) == Some(true)).await;

    let at = leader(&replicas);
    let gone = replicas[at].registry.node();
    carry_out(&replicas.iter().collect::<Vec<_>>(), step(gone, ReplicaStep::Remove)).await;
    for (_, replica) in replicas.iter().enumerate().filter(|(index, _)| *index != at) {
        let retired = |registry: &Registry| role(registry, gone) == Some(ReplicaRole::Retired);
        replica.until("it knows that the leader is gone", retired).await;
        replica.until("it is no member", |registry| place(registry, gone).is_none()).await;
    }
    let removed = replicas.remove(at);
    removed.until("it answers no more", |registry| registry.condition() == Condition::Removed).await;
    assert!(removed.registry.reader().now().is_err());
    removed.stop().await;

    let rest: Vec<_> = replicas.iter().collect();
    assert!(propose(&rest, &owner("after")).await.answer.is_ok());
    // Neither id is ever used again, nor is that of a member.
    for node in [gone, new] {
        let Operation::AdmitReplica(admit) = admit_new.clone() else { unreachable!() };
        let applied = propose(&rest, &of_root(Operation::AdmitReplica(AdmitReplica { node, ..admit }))).await;
        assert!(matches!(applied.answer, Err(Refusal::AlreadyExists { .. })), "{:?}", applied.answer);
    }
    same_state(&rest).await;
    rest[0].registry.core().state().check_invariants().unwrap();
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_away_is_removed_only_when_its_lease_has_ended() {
    let (ground, mut replicas) = three_admitted().await;
    let away = replicas.remove((leader(&replicas) + 1) % 3);
    let node = away.registry.node();
    away.stop().await;
    let stopped = Instant::now();
    let rest: Vec<_> = replicas.iter().collect();
    carry_out(&rest, step(node, ReplicaStep::Remove)).await;
    let applied = propose(&rest, &owner("meanwhile")).await;

    // While its lease may run, it is a member, and the barrier waits for it.
    let leading = rest[leader(&replicas)];
    let standings = leading.registry.confirm(applied.revision.index, BOUND, Duration::ZERO).await.unwrap();
    let standing = standings.iter().find(|one| one.replica.node == node).map(|one| one.standing);
    assert!(matches!(standing, Some(Standing::Waiting { .. } | Standing::LeaseEnded)), "{standings:?}");
    leading.until("it is gone", |registry| role(registry, node) == Some(ReplicaRole::Retired)).await;
    // It renewed its lease at the latest one heartbeat before it was stopped.
    let least = Duration::from_millis(wait_ms(BOUND) - 2 * TIMING.heartbeat_ms);
    assert!(stopped.elapsed() >= least, "gone after {:?}, expected at least {least:?}", stopped.elapsed());
    let applied = propose(&rest, &owner("later")).await;
    let later = leading.registry.confirm(applied.revision.index, BOUND, WITHIN).await.unwrap();
    assert!(later.iter().all(|one| one.replica.node != node), "{later:?}");

    // It comes back, hears nobody, asks, and is told.
    let back = ground.start(node).await;
    back.until("it learns that it was removed", |registry| registry.condition() == Condition::Removed).await;
    assert!(matches!(back.registry.core().unavailable(), Some(Unavailable::Removed { .. })));
    // It still asks whom it took for the leader, and gets no lease that the barrier would wait for.
    let asked_anew = Instant::now() + Duration::from_millis(8 * TIMING.heartbeat_ms);
    for number in 0.. {
        let applied = propose(&rest, &owner(&format!("anew-{number}"))).await;
        let standings = leading.registry.confirm(applied.revision.index, BOUND, WITHIN).await.unwrap();
        assert!(standings.iter().all(|one| one.replica.node != node), "{standings:?}");
        if Instant::now() > asked_anew {
            break;
        }
    }
    assert!(replicas.iter().any(|replica| leads(&replica.registry)), "nobody was disturbed");
    back.stop().await;
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_never_counts_for_a_quorum() {
    let (mut ground, mut replicas) = three_admitted().await;
    for node in [4, 5] {
        let admit = admit(&mut ground, node);
        carry_out(&replicas.iter().collect::<Vec<_>>(), admit).await;
        replicas.push(ground.start(NodeId(node)).await);
        replicas.last().unwrap().until("it is fresh", |registry| registry.reader().is_fresh()).await;
    }
    let leading = replicas.remove(leader(&replicas));
    // Of five replicas three are left, but only one that votes.
    let (voters, learners): (Vec<_>, Vec<_>) = replicas.into_iter().partition(|one| one.registry.node() <= NodeId(3));
    stop_all(voters).await;
    let begun = Instant::now();
    let unwritten = leading.registry.propose(owner("unwritten"), Duration::from_secs(10)).await;
    assert!(unwritten.is_err(), "a record without a quorum of voters: {unwritten:?}");
    println!("refused after {:?}", begun.elapsed());
    assert!(learners.iter().all(|learner| !leads(&learner.registry)));
    assert!(leading.registry.core().state().owners().iter().count() == 0);
    leading.stop().await;
    stop_all(learners).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_leaves_half_done_the_next_one_finishes() {
    let (mut ground, mut replicas) = three_admitted().await;
    let (new, admit) = (NodeId(4), admit(&mut ground, 4));
    // The leader dies as soon as it has written down what is meant.
    let at = leader(&replicas);
    carry_out(&[&replicas[at]], admit).await;
    let dead = replicas.remove(at);
    let node = dead.registry.node();
    dead.stop().await;
    let joining = ground.start(new).await;
    joining.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    replicas.push(ground.start(node).await);
    replicas.push(joining);
    once_safe(&replicas.iter().collect::<Vec<_>>(), step(new, ReplicaStep::Promote)).await;
    replicas[3].until("it votes", |registry| place(registry, new) == Some(true)).await;

    let victim = replicas
        .iter()
        .map(|replica| replica.registry.node())
        .find(|node| *node != new && *node != replicas[leader(&replicas)].registry.node());
    let victim = victim.unwrap();
    let at = leader(&replicas);
    once_safe(&[&replicas[at]], step(victim, ReplicaStep::Remove)).await;
    let dead = replicas.remove(at);
    dead.stop().await;
    for replica in replicas.iter().filter(|replica| replica.registry.node() != victim) {
        replica.until("it is gone", |registry| role(registry, victim) == Some(ReplicaRole::Retired)).await;
        replica.until("it is no member", |registry| place(registry, victim).is_none()).await;
    }
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_without_a_lost_write() {
    let (_ground, replicas) = three_admitted().await;
    let all: Vec<_> = replicas.iter().collect();
    let mut gaps = Vec::new();
    let mut written = 0;
    for round in 0..4 {
        let from = leader(&replicas);
        let to = replicas[(from + 1 + round % 2) % 3].registry.node();
        for _ in 0..10 {
            assert!(propose(&all, &owner(&format!("owner-{written}"))).await.answer.is_ok());
            written += 1;
        }
        once_safe(&all, step(to, ReplicaStep::Lead)).await;
        let begun = Instant::now();
        let led = replicas[from].registry.until_leads(to, WITHIN).await;
        assert_eq!(led, Some(to), "round {round}");
        assert!(propose(&all, &owner(&format!("owner-{written}"))).await.answer.is_ok());
        written += 1;
        gaps.push(begun.elapsed());
    }
    println!("gaps in writes at a hand-over with election_max {} ms: {gaps:?}", TIMING.election_max_ms);
    same_state(&all).await;
    assert_eq!(all[0].registry.core().state().owners().iter().count(), written);
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_to_the_most_advanced() {
    let (_ground, mut replicas) = three_admitted().await;
    let at = leader(&replicas);
    let gone = replicas.remove(at);
    let begun = Instant::now();
    gone.registry.hand_over_before_stop().await;
    assert!(replicas.iter().any(|replica| leads(&replica.registry)), "another leads before it stops");
    gone.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    assert!(propose(&rest, &owner("after")).await.answer.is_ok());
    println!("written again after {:?}", begun.elapsed());
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_refuses_and_lets_go_of_what_waits() {
    let (_ground, mut replicas) = three_admitted().await;
    let leading = replicas.remove(leader(&replicas));
    stop_all(replicas).await;
    let begun = Instant::now();
    // It believes in its quorum for a moment still, so this one waits; it is not left to hang.
    let waiting = leading.registry.propose(owner("waiting"), WITHIN).await.unwrap_err();
    let waited = begun.elapsed();
    assert!(
        matches!(waiting, ProposeError::Unknown | ProposeError::Unavailable(Unavailable::NoLeader { .. })),
        "{waiting:?}"
    );
    println!("let go after {waited:?}, with election_max {} ms", TIMING.election_max_ms);
    assert!(waited < WITHIN / 3, "{waited:?}");
    leading.until("it knows", |registry| !registry.can_write()).await;
    let begun = Instant::now();
    let refused = leading.registry.propose(owner("refused"), WITHIN).await.unwrap_err();
    assert!(matches!(refused, ProposeError::Unavailable(Unavailable::NoLeader { .. })), "{refused:?}");
    assert!(begun.elapsed() < WITHIN / 3, "at once, and not when its time is over");
    leading.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_would_cost_the_quorum_is_refused() {
    let (_ground, mut replicas) = three_admitted().await;
    let away = replicas.remove((leader(&replicas) + 1) % 3);
    let (away_node, leading) = (away.registry.node(), leader(&replicas));
    away.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    let other = rest.iter().find(|one| !leads(&one.registry)).unwrap().registry.node();
    rest[leading].until("the one that is away is not heard", |registry| is_unheard(registry, away_node)).await;
    let applied = propose(&rest, &of_root(step(other, ReplicaStep::Remove))).await;
    let Err(Refusal::MembershipUnsafe { problem, .. }) = &applied.answer else { panic!("{:?}", applied.answer) };
    assert!(problem.contains(&format!("not heard: {away_node}")), "{problem}");
    assert_eq!(role(&rest[0].registry, other), Some(ReplicaRole::Voter));
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_are_asked_for_at_once_do_not_cost_the_quorum() {
    let (mut ground, mut replicas) = three_admitted().await;
    let fourth = NodeId(4);
    let admit_fourth = admit(&mut ground, 4);
    carry_out(&replicas.iter().collect::<Vec<_>>(), admit_fourth).await;
    let away = ground.start(fourth).await;
    away.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    once_safe(&replicas.iter().collect::<Vec<_>>(), step(fourth, ReplicaStep::Promote)).await;
    away.until("it votes", |registry| place(registry, fourth) == Some(true)).await;
    away.stop().await;
    let leading = replicas.remove(leader(&replicas));
    leading.until("the one that is away is not heard", |registry| is_unheard(registry, fourth)).await;

    // Either is safe alone. Both would leave two voters, of which one is away.
    let remove = |replica: &Replica| of_root(step(replica.registry.node(), ReplicaStep::Remove));
    let registry = &leading.registry;
    let (first, second) =
        tokio::join!(registry.propose(remove(&replicas[0]), WITHIN), registry.propose(remove(&replicas[1]), WITHIN));
    assert!(first.unwrap().answer.is_ok() && second.unwrap().answer.is_ok(), "neither has seen the other");
    for replica in &replicas {
        replica.until("it answers no more", |registry| registry.condition() == Condition::Removed).await;
    }
    let waits = Instant::now() + Duration::from_secs(2);
    for number in 0.. {
        let written = registry.propose(owner(&format!("meanwhile-{number}")), WITHIN).await;
        assert!(written.as_ref().is_ok_and(|applied| applied.answer.is_ok()), "{written:?}");
        if Instant::now() > waits {
            break;
        }
    }
    // Once the other is back they leave.
    let back = ground.start(fourth).await;
    for replica in &replicas {
        let node = replica.registry.node();
        leading.until("it is gone", |registry| role(registry, node) == Some(ReplicaRole::Retired)).await;
    }
    assert!(propose(&[&leading, &back], &owner("after")).await.answer.is_ok());
    for replica in [leading, back] {
        replica.stop().await;
    }
    stop_all(replicas).await;
}
