//! What replicas have seen of the use of versions, gathered over a cluster whose replicas are cut off, restart and leave.

mod support;

use latchkey_crypto::{Inner, Secret, compose, draw_rotation_id, draw_version_id, parse};
use latchkey_decision::{Access, Question, Undecided, decide_noting};
use latchkey_domain::{
    DurationMillis, Duty, Grant, NodeId, Prefix, ReasonText, ReplicaRole, Scope, UnixMillis, VersionId,
};
use latchkey_kms::OsEntropy;
use latchkey_link::Registry as _;
use latchkey_link::evidence::Gathered;
use latchkey_policy::AccessContext;
use latchkey_registry::{Registry, SeenFrom};
use latchkey_state::{NewVersion, Operation, PrepareStandby, ReplicaStep, RotateKey, StepReplica, bootstrap_ring};
use latchkey_telemetry::{Clock as _, SystemClock};
use std::time::Duration;
use support::three::{carry_out, leader, three};
use support::{Ground, Replica, WITHIN};
use tokio::time::Instant;

fn by() -> Instant {
    Instant::now() + WITHIN
}

/// The first key of `root` in an overlap: the old version and its text, the new one and its text.
struct Rotating {
    old: VersionId,
    old_text: String,
    new: VersionId,
    new_text: String,
}

async fn rotate_root(ground: &Ground, replicas: &[Replica]) -> Rotating {
    let all: Vec<_> = replicas.iter().collect();
    let old_text = ground.root_text();
    let old = parse(&old_text).expect("a key text").version;
    let registry = &replicas[0].registry;
    let key = registry.authenticate(&old_text, None, by()).await.expect("root").key;
    let (new, secret) = (draw_version_id(&mut OsEntropy), Secret::draw(&mut OsEntropy));
    let digest = registry.core().peppers()[&bootstrap_ring::PEPPER].digest(&Inner::of(new, &secret));
    let rotate = RotateKey {
        key,
        rotation: draw_rotation_id(&mut OsEntropy),
        new: NewVersion { id: new, pepper: bootstrap_ring::PEPPER, digest, inner: [0; 101] },
        overlap: DurationMillis::from_secs(3_600),
        text: ReasonText::default(),
        etag: None,
        replay: None,
        emergency: false,
        course: None,
    };
    let rotated = carry_out(&all, Operation::RotateKey(Box::new(rotate))).await;
    for replica in &all {
        replica.until("it knows the rotation", |one| one.core().state().revision() >= rotated.revision).await;
    }
    let new_text = compose(&Prefix::parse("lkm").expect("a prefix"), new, &secret).expose().to_owned();
    Rotating { old, old_text, new, new_text }
}

/// Gathers until it is `enough`, wherever the leader is.
async fn gathered(asked: &Replica, versions: &[VersionId], what: &str, enough: impl Fn(&Gathered) -> bool) -> Gathered {
    let asking = async {
        loop {
            let soon = Instant::now() + Duration::from_secs(3);
            match asked.registry.evidence(versions, true, soon).await {
                Ok(gathered) if enough(&gathered) => return gathered,
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(WITHIN, asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn all_heard(gathered: &Gathered) -> bool {
    gathered.replicas.len() == 3 && gathered.unheard().count() == 0
}

async fn stop_all(replicas: Vec<Replica>) {
    for replica in replicas {
        replica.stop().await;
    }
}

/// The bound of the tests' cluster, and what a lease may be believed to run beyond it.
fn counted_by_all(gathered: &Gathered) -> bool {
    gathered.watched_since(0).is_some_and(|since| since <= gathered.now)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_used_a_version_anywhere_is_in_what_is_gathered() {
    let (ground, replicas) = three().await;
    let rotating = rotate_root(&ground, &replicas).await;
    // Before the rotation nobody counted: that use of the old one is not in it.
    let client = Some("192.0.2.77".parse().expect("an address"));
    for replica in &replicas {
        replica.registry.authenticate(&rotating.old_text, client, by()).await.expect("both are accepted");
    }
    replicas[1].registry.authenticate(&rotating.new_text, None, by()).await.expect("both are accepted");
    let versions = [rotating.old, rotating.new];
    // Each replica is asked, and passes it on to the leader.
    for replica in &replicas {
        let gathered = gathered(replica, &versions, "all are heard", all_heard).await;
        let (old, new) = (gathered.use_of(0), gathered.use_of(1));
        assert_eq!((old.count, new.count), (3, 1));
        let callers: Vec<_> =
            old.callers.iter().map(|caller| (&*caller.region, caller.network.map(|one| one.to_string()))).collect();
        let network = Some("192.0.2.0/24".to_owned());
        assert_eq!(callers, [("region-1", network.clone()), ("region-2", network.clone()), ("region-3", network)]);
        assert_eq!(old.curve.counts().iter().sum::<u32>(), 3);
        // A follower takes the time of the cluster for later than it is, by what the leader's word was under way.
        let last = old.last.expect("it was used").millis();
        assert!(last.abs_diff(gathered.now.millis()) < 60_000, "{last} is no time of the cluster: {:?}", gathered.now);
    }
    // What does not rotate is not counted, and nobody claims to have watched it.
    let stranger = gathered(&replicas[0], &[draw_version_id(&mut OsEntropy)], "all are heard", all_heard).await;
    assert_eq!((stranger.use_of(0).count, stranger.watched_since(0)), (0, None));
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_region_that_is_cut_off_or_restarts_has_seen_is_never_taken_for_silence() {
    let (ground, mut replicas) = three().await;
    let rotating = rotate_root(&ground, &replicas).await;
    let versions = [rotating.old];
    let before = gathered(&replicas[0], &versions, "all watch", |one| all_heard(one) && counted_by_all(one)).await;
    let since = before.watched_since(0).expect("all were heard");

    // A follower in a region of its own is used, and then it is cut off.
    let away = (leader(&replicas) + 1) % 3;
    let cut = replicas.remove(away);
    let (node, region) = (cut.registry.node(), format!("region-{}", cut.registry.node()));
    cut.registry.authenticate(&rotating.old_text, None, by()).await.expect("it is accepted");
    let used_at = UnixMillis::new(cut.registry.reader().now().expect("it is ready").now().millis());
    cut.stop().await;
    let without = gathered(&replicas[0], &versions, "it is missed", |one| one.unheard().count() == 1).await;
    assert_eq!(without.unheard().map(|one| (one.node, one.region.clone())).collect::<Vec<_>>(), [(node, region)]);
    assert_eq!(without.watched_since(0), None, "nothing is known while one is not heard");

    // It comes back and has forgotten: that it was not used before is not claimed.
    let back = ground.start(node).await;
    back.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    let after = gathered(&replicas[0], &versions, "all are heard", |one| all_heard(one) && counted_by_all(one)).await;
    assert_eq!(after.use_of(0).count, 0, "what it had seen is lost");
    let known = after.watched_since(0).expect("all were heard");
    assert!(known > used_at && known > since, "{known:?} {used_at:?} {since:?}");
    replicas.push(back);
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_saw_that_has_left_is_never_taken_for_silence() {
    let (ground, mut replicas) = three().await;
    for replica in &replicas {
        let admitted = |registry: &Registry| registry.core().state().replicas().count() >= 3;
        replica.until("the founding members are admitted", admitted).await;
    }
    let rotating = rotate_root(&ground, &replicas).await;
    let leaving = (leader(&replicas) + 1) % 3;
    let gone = replicas.remove(leaving);
    let node = gone.registry.node();
    gone.registry.authenticate(&rotating.old_text, None, by()).await.expect("it is accepted");
    let used_at = gone.registry.reader().now().expect("it is ready").now();
    let rest: Vec<_> = replicas.iter().collect();
    carry_out(&rest, Operation::StepReplica(StepReplica { node, step: ReplicaStep::Remove })).await;
    for replica in &rest {
        let retired = |registry: &Registry| {
            let state = registry.core().state();
            state.replica(NodeId(node.0)).is_some_and(|one| one.role == ReplicaRole::Retired)
        };
        replica.until("it has left", retired).await;
    }
    gone.stop().await;
    let two = |one: &Gathered| one.replicas.len() == 2 && one.unheard().count() == 0;
    let gathered = gathered(rest[0], &[rotating.old], "the others are heard", two).await;
    assert_eq!(gathered.use_of(0).count, 0);
    let departed = gathered.departed.expect("one has left");
    assert!(gathered.watched_since(0) >= Some(departed) && departed >= used_at, "{departed:?} {used_at:?}");
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_forgotten_and_what_is_used_meanwhile_is_not() {
    let (ground, replicas) = three().await;
    let rotating = rotate_root(&ground, &replicas).await;
    let registry = &replicas[0].registry;
    let from = SeenFrom { user_agent: "curl/8.5", ..SeenFrom::default() };
    let view = registry.reader().now().expect("it is ready");
    let found = view.state().version(rotating.old).expect("it is there");
    registry.own_evidence().note(&found, view.now(), &from);
    registry.settle_evidence_now();
    assert_eq!(registry.own_evidence().of(rotating.old).count, 1, "its rotation is in progress");
    // A key whose rotation is over is not counted from then on, and its versions are forgotten.
    let operation = Operation::StepRotation(latchkey_state::StepRotation {
        rotation: latchkey_domain::RotationName {
            key: registry.authenticate(&rotating.new_text, None, by()).await.expect("root").key,
            rotation: found.key.rotation().expect("in progress"),
        },
        step: latchkey_state::RotationStep::Complete,
        text: ReasonText::default(),
        etag: None,
    });
    let over = carry_out(&replicas.iter().collect::<Vec<_>>(), operation).await;
    replicas[0].until("it knows", |one| one.core().state().revision() >= over.revision).await;
    registry.settle_evidence_now();
    assert_eq!(registry.own_evidence().of(rotating.old).count, 0);
    registry.authenticate(&rotating.new_text, None, by()).await.expect("the new one is accepted");
    assert_eq!(registry.own_evidence().of(rotating.new).count, 0);
    stop_all(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_a_version_that_is_not_accepted_yet_has_not_moved() {
    let (ground, replicas) = three().await;
    let registry = &replicas[0].registry;
    let (new, secret) = (draw_version_id(&mut OsEntropy), Secret::draw(&mut OsEntropy));
    let digest = registry.core().peppers()[&bootstrap_ring::PEPPER].digest(&Inner::of(new, &secret));
    let prepare = Operation::PrepareStandby(Box::new(PrepareStandby {
        key: registry.authenticate(&ground.root_text(), None, by()).await.expect("root").key,
        rotation: draw_rotation_id(&mut OsEntropy),
        new: NewVersion { id: new, pepper: bootstrap_ring::PEPPER, digest, inner: [0; 101] },
        text: ReasonText::default(),
        etag: None,
        replay: None,
    }));
    let prepared = carry_out(&replicas.iter().collect::<Vec<_>>(), prepare).await;
    replicas[0].until("it knows", |one| one.core().state().revision() >= prepared.revision).await;
    let text = compose(&Prefix::parse("lkm").expect("a prefix"), new, &secret);
    registry.authenticate(text.expose(), None, by()).await.expect_err("a standby is not accepted");
    assert_eq!(registry.own_evidence().of(new).count, 0);
    registry.authenticate(&ground.root_text(), None, by()).await.expect("the old one is accepted");
    let old = parse(&ground.root_text()).expect("a key text").version;
    assert_eq!(registry.own_evidence().of(old).count, 1);
    stop_all(replicas).await;
}

/// What a validation costs that takes note of its use, beside one that does not, for a key that does not rotate: nothing that
/// can be measured. Printed, not asserted.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_rotate_pays_nothing() {
    let (ground, replicas) = three().await;
    let (registry, text) = (&replicas[0].registry, ground.root_text());
    let view = registry.reader().now().expect("it is ready");
    let ground = latchkey_decision::Ground {
        state: view.state(),
        peppers: view.peppers(),
        now: view.now(),
        denials: view.denials(),
    };
    let grants = [Grant { duty: Duty::Validator, scope: Scope::System }];
    let context = AccessContext::default();
    let from = SeenFrom { user_agent: "curl/8.5", ..SeenFrom::default() };
    let mut passed_ms = [0; 2];
    for round in 0..20 {
        let notes = round % 2 == 1;
        let began = SystemClock.boottime_millis();
        for _ in 0..5_000 {
            let access = Access { query: None, context: &context };
            let note = |found: latchkey_state::Found<'_>| {
                if notes {
                    registry.own_evidence().note(&found, ground.now, &from);
                }
            };
            let age = || Ok::<_, Undecided>(DurationMillis::ZERO);
            let decided = decide_noting(&text, ground, Question::new(&grants, None), access, age, note);
            assert!(decided.is_ok());
        }
        passed_ms[usize::from(notes)] += SystemClock.boottime_millis() - began;
    }
    println!("50,000 decisions: {} ms, with a note of each {} ms", passed_ms[0], passed_ms[1]);
    assert_eq!(registry.own_evidence().of(parse(&text).expect("a key text").version).count, 0);
    stop_all(replicas).await;
}
