//! What a leader does because time has passed, and what becomes of the audit log: over three replicas.

mod support;

use latchkey_crypto::draw;
use latchkey_domain::{
    DurationMillis, IdentityName, KeyId, KeyName, NodeId, ReasonText, Refusal, RevocationReason, Sequence, Slug,
};
use latchkey_kms::OsEntropy;
use latchkey_link::{FollowItem, Following, Registry as _};
use latchkey_state::{
    Actor, Command, Cut, CutScope, Expiry, FEATURE_LEVEL_NEWEST, Operation, ResumeKey, RevokeKey, State, Worth,
};
use std::time::Duration;
use support::keys::{by, keyspace_name, make_keys, make_keyspace, new_keys};
use support::three::{carry_out, leader, owner, propose, same_state, three};
use support::{Ground, Replica, WITHIN};
use tokio_stream::StreamExt as _;

/// How many keys there are, how many of them are revoked each by itself, and whether the cut is marked.
fn keys(state: &State) -> (usize, usize, bool) {
    let Some(keyspace) = state.keyspace(&keyspace_name()) else { return (0, 0, false) };
    let keys = || state.keys_of(keyspace.number, None);
    let marked = keyspace.cut.as_ref().is_some_and(|cut| cut.marked);
    (keys().count(), keys().filter(|key| key.revocation().is_some()).count(), marked)
}

async fn stop(replicas: Vec<Replica>) {
    for replica in replicas {
        replica.stop().await;
    }
}

/// Commands that the first release cannot read: one of an operation that it does not know, one that says that it does,
/// and one of an actor that it does not know.
fn above_level_1() -> [Command; 3] {
    let slug = |text| Slug::parse(text).expect("a slug");
    let root = Actor::Identity(IdentityName::new(slug("system"), slug("root")));
    let trim = Command::new(Actor::Service(slug("audit")), [0; 32], Operation::Trim(Sequence(0)));
    let key = KeyName { keyspace: keyspace_name(), key: KeyId::LOWEST };
    let resume = ResumeKey { key: key.clone(), text: ReasonText::default(), etag: None };
    let resume = Command { feature_level: 1, ..Command::new(root, [0; 32], Operation::ResumeKey(resume)) };
    let revoke = RevokeKey {
        key: key.clone(),
        version: None,
        reason: RevocationReason::Compromised,
        text: ReasonText::default(),
        grace: DurationMillis::new(0),
        etag: None,
    };
    [trim, resume, Command::new(Actor::Key(key), [0; 32], Operation::RevokeKey(revoke))]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feature_level_rises_once_every_replica_has_said_that_it_knows_the_next() {
    let mut ground = Ground::found(3).await;
    ground.feature_level = Some(1);
    let mut replicas = vec![ground.start(NodeId(1)).await, ground.start(NodeId(2)).await];
    for replica in &replicas {
        replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
        replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    }
    let level = |replica: &Replica| replica.registry.core().state().progress().feature_level;
    // The third may be of an older build, for all that the leader knows.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(replicas.iter().all(|replica| level(replica) == 1));
    // So nothing that such a build cannot read may come into its log: it would fence itself.
    let revision = replicas[0].registry.core().state().revision();
    let both: Vec<_> = replicas.iter().collect();
    for command in above_level_1() {
        let refused = propose(&both, &command).await;
        assert_eq!(refused.answer, Err(Refusal::FeatureLevel { needed: 2, current: 1 }), "{:?}", command.operation);
    }
    assert_eq!(replicas[0].registry.core().state().revision(), revision, "a refusal is no record");
    replicas.push(ground.start(NodeId(3)).await);
    for replica in &replicas {
        let raised = |registry: &latchkey_registry::Registry| {
            registry.core().state().progress().feature_level == FEATURE_LEVEL_NEWEST
        };
        replica.until("the level is raised", raised).await;
    }
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    stop(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marks_of_a_cut_are_finished_by_the_next_leader() {
    let (ground, mut replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &all).await;
    make_keys(&ground, &all, 3_000, Expiry::Default).await;
    let cut = Cut {
        scope: CutScope::Keyspace(keyspace_name()),
        reason: RevocationReason::Compromised,
        text: ReasonText::default(),
    };
    carry_out(&all, Operation::Cut(cut)).await;
    // All are dead at once; that each of them is written down as revoked takes several records.
    let state = all[leader(&replicas)].registry.core().state().clone();
    let keyspace = state.keyspace(&keyspace_name()).expect("it was made").number;
    assert!(state.keys_of(keyspace, None).all(|key| matches!(state.key_worth(key, state.clock()), Worth::Revoked(_))));
    let gone = replicas.remove(leader(&replicas));
    let node = gone.registry.node();
    gone.stop().await;

    // Nobody takes them away meanwhile: they are kept for a second from the cut on, and marking is quicker than a pass.
    let back = ground.start(node).await;
    replicas.push(back);
    for replica in &replicas {
        let marked = |registry: &latchkey_registry::Registry| {
            let (count, revoked, marked) = keys(&registry.core().state());
            marked && count == revoked
        };
        replica.until("each key is marked", marked).await;
    }
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    replicas[0].registry.core().state().check_invariants().expect("the invariants hold");
    stop(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cut_while_the_first_is_being_marked_marks_what_was_made_between() {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &all).await;
    make_keys(&ground, &all, 6_000, Expiry::Default).await;
    let cut = || {
        let (reason, text) = (RevocationReason::Compromised, ReasonText::default());
        Operation::Cut(Cut { scope: CutScope::Keyspace(keyspace_name()), reason, text })
    };
    let between = new_keys(&ground, all[0], Expiry::Default).await;
    carry_out(&all, cut()).await;
    let leads = &replicas[leader(&replicas)];
    leads.until("marking has begun", |registry| keys(&registry.core().state()).1 > 0).await;
    carry_out(&all, between).await;
    assert!(!keys(&leads.registry.core().state()).2, "the first walk was over too soon to tell anything");
    carry_out(&all, cut()).await;
    leads.until("each key is marked", |registry| keys(&registry.core().state()).2).await;
    let (count, revoked, _) = keys(&leads.registry.core().state());
    assert_eq!(count, revoked, "a key that is marked as revoked leaves in the end; the others would stay for ever");
    stop(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_have_been_dead_for_long_enough_leave() {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &all).await;
    make_keys(&ground, &all, 500, Expiry::After(DurationMillis::from_secs(1))).await;
    make_keys(&ground, &all, 500, Expiry::Default).await;
    for replica in &replicas {
        let left = |registry: &latchkey_registry::Registry| keys(&registry.core().state()).0 == 500;
        replica.until("the dead are gone", left).await;
    }
    same_state(&all).await;
    let state = replicas[0].registry.core().state().clone();
    let keyspace = state.keyspace(&keyspace_name()).expect("it stays");
    assert_eq!(keyspace.keys, 500);
    state.check_invariants().expect("the invariants hold");
    stop(replicas).await;
}

/// The next events, until nothing more is there.
async fn events(following: &mut Following) -> Vec<u64> {
    let mut sequences = Vec::new();
    loop {
        let item = tokio::time::timeout(WITHIN, following.next()).await.expect("a mark of progress each second");
        match item.expect("following has no end").expect("a replica that answers") {
            FollowItem::Event(event) => sequences.push(event.sequence.0),
            FollowItem::Progress { .. } if sequences.is_empty() => {}
            FollowItem::Progress { .. } => return sequences,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_audit_has_leaves_the_outbox_of_every_replica_and_the_rest_is_followed_without_a_gap() {
    let (ground, mut replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    for count in 0..1_500 {
        propose(&all, &owner(&format!("first-{count}"))).await;
    }
    let size = replicas[0].registry.core().state().progress().frontier.size();
    let mut following = replicas[0].registry.follow(Sequence(0), by()).await.expect("nothing was trimmed");
    let mut seen = Vec::new();
    while (seen.len() as u64) < size {
        seen.extend(events(&mut following).await);
    }
    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());

    // More than one batch of removals.
    let audit = Actor::Service(Slug::parse("audit").expect("a word"));
    let through = Sequence(size - 11);
    let trimmed = propose(&all, &Command::new(audit, draw(&mut OsEntropy), Operation::Trim(through))).await;
    assert!(trimmed.answer.is_ok(), "{:?}", trimmed.answer);
    for replica in &replicas {
        // An idle replica removes them too, and the marks of its rows stay what they were.
        replica.until("the outbox is short", |registry| registry.entries_on_disk() < 500).await;
    }
    let refused = replicas[1].registry.follow(Sequence(0), by()).await.expect("a stream").next().await;
    assert!(matches!(refused, Some(Err(status)) if status.code() == tonic::Code::FailedPrecondition));

    // A restart goes on where audit stands, with what came before and after it.
    let last = replicas.remove(2);
    let node = last.registry.node();
    let from = through.0 + 1;
    last.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    for count in 0..50 {
        propose(&rest, &owner(&format!("second-{count}"))).await;
    }
    let back = ground.start(node).await;
    let end = replicas[0].registry.core().state().progress().frontier.size();
    back.until("it caught up", |registry| registry.core().state().progress().frontier.size() >= end).await;
    assert!(back.registry.entries_on_disk() < 500, "what was trimmed does not come back");
    let mut following = back.registry.follow(Sequence(from), by()).await.expect("it has these");
    let mut seen = Vec::new();
    while (seen.len() as u64) < end - from {
        seen.extend(events(&mut following).await);
    }
    assert_eq!(seen, (from..from + seen.len() as u64).collect::<Vec<_>>());
    replicas.push(back);
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    stop(replicas).await;
}
