//! The pepper, a data key and the key of a tenant rotate while keys are validated on every replica, made, and replicas come
//! and go; afterwards nothing is under the old ones, and they are gone.

mod support;

use latchkey_crypto::envelope;
use latchkey_decision::{Access, Ground as Decided, Question, Undecided, decide};
use latchkey_domain::{Duty, Grant, KeyspaceNumber, NodeId, Outcome, Refusal, RingNumber, Scope};
use latchkey_policy::AccessContext;
use latchkey_registry::{BackupPlan, Member, NewEpoch, Registry, Remains};
use latchkey_state::{Expiry, Operation, RingPurpose, RowId, State};
use latchkey_storage::Store as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::keys::{keyspace_name, make_keyspace, new_keys_with_texts};
use support::three::{carry_out, leader, of_root, propose, same_state, three};
use support::{Ground, Replica};
use tokio::task::JoinHandle;

/// What rotates in these tests.
fn purposes(state: &State) -> [RingPurpose; 3] {
    let keyspace = state.keyspace(&keyspace_name()).expect("made");
    [RingPurpose::Pepper, RingPurpose::Keyspace(keyspace.number), RingPurpose::Tenant(keyspace.tenant)]
}

/// Has a key rotated wherever somebody leads; tells the number of the one before.
async fn rotate(replicas: &[&Replica], purpose: RingPurpose) -> RingNumber {
    let current = |state: &State| {
        let mut keys = state.ring_keys_of(purpose);
        keys.find(|key| state.is_current_ring_key(key)).map(|key| key.number).expect("one is in use")
    };
    loop {
        let before = current(&replicas[0].registry.core().state());
        let new = replicas[0].registry.draw_ring_key(purpose).await.expect("the KEK is here");
        let applied = propose(replicas, &of_root(Operation::RotateRingKey(new))).await;
        match &applied.answer {
            // What wraps it was itself replaced: it is drawn anew, as the service does.
            Err(Refusal::RingKeyGone { .. }) => {}
            answer => {
                assert!(answer.is_ok(), "{answer:?}");
                let revision = applied.revision;
                replicas[0].until("it follows", |registry| registry.core().state().revision() >= revision).await;
                return before;
            }
        }
    }
}

/// Whether a replica accepts a key now; `None` where it cannot say.
fn accepts(registry: &Registry, text: &str) -> Option<bool> {
    let view = registry.reader().now().ok()?;
    let age = view.age().ok()?;
    let ground = Decided { state: view.state(), peppers: view.peppers(), now: view.now(), denials: view.denials() };
    let grants = [Grant { duty: Duty::Validator, scope: Scope::System }];
    let (question, context) = (Question::new(&grants, None), AccessContext::default());
    let access = Access { query: None, context: &context };
    // A pepper that is missing would be an answer of "unavailable": here it is a failure.
    let decision = match decide(text, ground, question, access, || Ok::<_, Undecided>(age)) {
        Ok(decision) => decision,
        Err(Undecided::Stale(_)) => return None,
        Err(error) => panic!("a secret cannot be judged: {error:?}"),
    };
    decision.verdict(age).ok().map(|verdict| verdict.outcome() == Outcome::Valid)
}

/// Validations that never cease, on each replica that is given to it.
struct Load {
    texts: Arc<Mutex<Vec<String>>>,
    valid: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    tasks: Vec<(NodeId, Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Load {
    fn new() -> Self {
        let (texts, valid, refused) = (Arc::default(), Arc::default(), Arc::default());
        Self { texts, valid, refused, tasks: Vec::new() }
    }

    fn validate_on(&mut self, replica: &Replica) {
        let (registry, texts, stop) = (replica.registry.clone(), self.texts.clone(), Arc::new(AtomicBool::new(false)));
        let (valid, refused) = (self.valid.clone(), self.refused.clone());
        let (node, stopped) = (replica.registry.node(), stop.clone());
        let validating = tokio::spawn(async move {
            let mut next = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    let text = {
                        let texts = texts.lock().expect("no task panics with it");
                        texts.get(next % texts.len().max(1)).cloned()
                    };
                    next += 7;
                    match text.and_then(|text| accepts(&registry, &text)) {
                        Some(true) => drop(valid.fetch_add(1, Ordering::Relaxed)),
                        Some(false) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        // It starts, is not fresh, or stops.
                        None => break,
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        self.tasks.push((node, stop, validating));
    }

    /// Validates on a replica no more: it is about to stop, and its folder has to be free then.
    async fn leave(&mut self, node: NodeId) {
        for (of, stop, validating) in &mut self.tasks {
            if *of == node && !stop.swap(true, Ordering::Relaxed) {
                validating.await.expect("no validation panics");
            }
        }
    }

    /// Stops, and tells how many were valid; none may have been refused.
    async fn end(mut self) -> u64 {
        for id in 1..=3 {
            self.leave(NodeId(id)).await;
        }
        assert_eq!(self.refused.load(Ordering::Relaxed), 0, "validations of good keys were refused");
        self.valid.load(Ordering::Relaxed)
    }
}

/// Makes keys, and lets them be validated once every replica has them.
async fn make(ground: &Ground, replicas: &[&Replica], count: usize, load: &Load) {
    let (operation, texts) = new_keys_with_texts(ground, replicas[0], count, Expiry::Default).await;
    let made = match &propose(replicas, &of_root(operation)).await.answer {
        // Minted with what was destroyed meanwhile: the service mints anew.
        Err(Refusal::RingKeyGone { .. }) => return Box::pin(make(ground, replicas, count, load)).await,
        answer => answer.is_ok(),
    };
    assert!(made);
    let furthest = replicas.iter().map(|replica| replica.registry.core().state().revision()).max().expect("replicas");
    for replica in replicas {
        replica.until("it has the keys", |registry| registry.core().state().revision() >= furthest).await;
    }
    load.texts.lock().expect("no task panics with it").extend(texts);
}

/// Reads all versions, inner digests and wrapped keys, and tells every key of the keyring that one of them needs.
fn used_in_state(state: &State) -> BTreeMap<RingNumber, u64> {
    let mut used = BTreeMap::new();
    for row in state.rows() {
        match row {
            latchkey_state::Row::Key(key) => {
                for version in &key.versions {
                    *used.entry(version.pepper).or_default() += 1;
                    *used.entry(envelope::ring_number(&version.inner).expect("it is sealed")).or_default() += 1;
                }
            }
            latchkey_state::Row::RingKey(key) => *used.entry(key.wrapped_by).or_default() += 1,
            _ => {}
        }
    }
    used
}

/// Under which keys of the keyring the rows of keys lie on a disk.
async fn used_on_disk(ground: &Ground, node: NodeId) -> BTreeSet<RingNumber> {
    let table = RowId::Key(KeyspaceNumber(1), latchkey_domain::KeyId::LOWEST).table();
    let mut numbers = BTreeSet::new();
    let mut look = |row: latchkey_storage::Row| {
        if row.key.table == table {
            numbers.insert(envelope::ring_number(&row.bytes).expect("it is sealed"));
        }
        ControlFlow::Continue(())
    };
    ground.open_store(node).await.scan_rows(&mut look).expect("the rows can be read");
    numbers
}

fn is_gone(registry: &Registry, numbers: &[RingNumber]) -> bool {
    let core = registry.core();
    let state = core.state();
    numbers.iter().all(|number| state.ring_key(*number).is_none() && !core.peppers().contains_key(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn peppers_data_keys_and_keys_of_tenants_rotate_under_load() {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &all).await;
    let mut load = Load::new();
    make(&ground, &all, 500, &load).await;
    make(&ground, &all, 500, &load).await;
    replicas.iter().for_each(|replica| load.validate_on(replica));

    let mut olds = Vec::new();
    let purposes = purposes(&replicas[0].registry.core().state());
    for purpose in purposes {
        olds.push(rotate(&all, purpose).await);
        // While what the old one made is made anew, more is made.
        make(&ground, &all, 100, &load).await;
    }
    // And all three once more, at once.
    for purpose in purposes {
        olds.push(rotate(&all, purpose).await);
    }
    make(&ground, &all, 100, &load).await;
    for replica in &replicas {
        replica.until("the old keys are destroyed", |registry| is_gone(registry, &olds)).await;
    }
    same_state(&all).await;
    let texts = load.texts.lock().expect("no task panics with it").clone();
    let valid = load.end().await;
    println!("{valid} validations during 6 rotations of {} keys, none refused", texts.len());
    assert!(valid > 1_000, "{valid}");

    for replica in &replicas {
        let state = replica.registry.core().state();
        let used = used_in_state(&state);
        assert!(olds.iter().all(|old| !used.contains_key(old)), "{olds:?} of {used:?}");
        assert!(used.iter().all(|(number, count)| state.ring_uses(*number).total() == *count), "the counts are exact");
        assert_eq!(state.versions_to_rekey(), (0, 0));
        state.check_invariants().expect("they hold");
        for text in &texts {
            assert_eq!(accepts(&replica.registry, text), Some(true));
        }
    }
    drop(all);
    for replica in replicas {
        let node = replica.registry.node();
        replica.stop().await;
        let on_disk = used_on_disk(&ground, node).await;
        assert!(olds.iter().all(|old| !on_disk.contains(old)), "{node}: {olds:?} of {on_disk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_go_on_whoever_leads_restarts_or_comes_back_from_a_snapshot() {
    let (ground, mut replicas) = three().await;
    make_keyspace(&ground, &replicas.iter().collect::<Vec<_>>()).await;
    let mut load = Load::new();
    for _ in 0..4 {
        make(&ground, &replicas.iter().collect::<Vec<_>>(), 500, &load).await;
    }
    // One that does not lead is away while the pepper rotates.
    let away = (leader(&replicas) + 1) % 3;
    let stopped = replicas.remove(away);
    let node = stopped.registry.node();
    stopped.stop().await;
    replicas.iter().for_each(|replica| load.validate_on(replica));
    let pair: Vec<_> = replicas.iter().collect();
    let purposes = purposes(&replicas[0].registry.core().state());
    let mut olds = vec![rotate(&pair, purposes[0]).await];
    let first = olds.clone();
    for replica in &replicas {
        replica.until("the old pepper is destroyed", |registry| is_gone(registry, &first)).await;
        // Who was away finds no log of it, only the state as it is.
        replica.registry.compact().await;
    }
    drop(pair);
    replicas.push(ground.start(node).await);
    replicas[2].until("it is fresh", |registry| registry.reader().is_fresh()).await;
    load.validate_on(&replicas[2]);

    // In the middle of the next ones the leader goes, and comes back.
    let all: Vec<_> = replicas.iter().collect();
    same_state(&all).await;
    for purpose in [purposes[1], purposes[0], purposes[2]] {
        olds.push(rotate(&all, purpose).await);
    }
    drop(all);
    let at = leader(&replicas);
    let led = replicas.remove(at);
    let node = led.registry.node();
    load.leave(node).await;
    led.stop().await;
    replicas.push(ground.start(node).await);
    let texts = load.texts.lock().expect("no task panics with it").clone();
    for replica in &replicas {
        replica.until("the old keys are destroyed", |registry| is_gone(registry, &olds)).await;
        replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
        assert!(texts.iter().all(|text| accepts(&replica.registry, text) != Some(false)));
    }
    same_state(&replicas.iter().collect::<Vec<_>>()).await;
    println!("{} validations, none refused", load.end().await);
    for replica in &replicas {
        let state = replica.registry.core().state();
        let used = used_in_state(&state);
        assert!(olds.iter().all(|old| !used.contains_key(old)), "{olds:?} of {used:?}");
        state.check_invariants().expect("they hold");
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_does_not_open_keeps_the_old_key_of_no_other_keyspace() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    make_keyspace(&ground, &[&replica]).await;
    let (mut operation, _) = new_keys_with_texts(&ground, &replica, 2, Expiry::Default).await;
    let Operation::CreateKeys(create) = &mut operation else { panic!("keys are made") };
    *create.keys[0].inner.last_mut().expect("it is sealed") ^= 1;
    carry_out(&[&replica], operation).await;
    let purposes = purposes(&replica.registry.core().state());
    let other = rotate(&[&replica], RingPurpose::Keyspace(KeyspaceNumber(1))).await;
    let damaged = rotate(&[&replica], purposes[1]).await;
    replica.until("the other's old key is destroyed", |registry| is_gone(registry, &[other])).await;
    let state = replica.registry.core().state();
    assert_eq!((state.ring_key(damaged).is_some(), state.versions_to_rekey()), (true, (0, 1)));
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pepper_is_there_for_every_state_that_a_reader_sees() {
    // A reader that took the state and then the peppers of a later one judged no secret of the first.
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    let (registry, stop) = (replica.registry.clone(), Arc::new(AtomicBool::new(false)));
    let (text, looking) = (ground.root_text(), stop.clone());
    let looks = std::thread::spawn(move || {
        let mut looks = 0_u64;
        while !looking.load(Ordering::Relaxed) {
            if let Ok(view) = registry.reader().now() {
                let state = view.state();
                let ground = Decided { state, peppers: view.peppers(), now: view.now(), denials: view.denials() };
                let grants = [Grant { duty: Duty::Validator, scope: Scope::System }];
                let context = AccessContext::default();
                let access = Access { query: None, context: &context };
                let age = latchkey_domain::DurationMillis::ZERO;
                let decided = decide(&text, ground, Question::new(&grants, None), access, || Ok::<_, Undecided>(age));
                assert!(decided.is_ok(), "no pepper at {}", state.revision());
                looks += 1;
            }
        }
        looks
    });
    for _ in 0..3 {
        let old = rotate(&[&replica], RingPurpose::Pepper).await;
        replica.until("the old pepper is destroyed", |registry| is_gone(registry, &[old])).await;
    }
    stop.store(true, Ordering::Relaxed);
    println!("{} looks", looks.join().expect("every state had its peppers"));
    let refused = propose(&[&replica], &of_root(Operation::DropRingKey(RingNumber(1)))).await;
    assert!(refused.answer.is_err(), "only a leader destroys");
    carry_out(
        &[&replica],
        Operation::RotateRingKey(replica.registry.draw_ring_key(RingPurpose::Pepper).await.expect("the KEK is here")),
    )
    .await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_a_rotation_or_from_its_middle_opens_and_goes_on() {
    let mut ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    make_keyspace(&ground, &[&replica]).await;
    let mut texts = Vec::new();
    for _ in 0..4 {
        let (operation, more) = new_keys_with_texts(&ground, &replica, 500, Expiry::Default).await;
        let made = carry_out(&[&replica], operation).await;
        replica.until("it has them", |registry| registry.core().state().revision() >= made.revision).await;
        texts.extend(more);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = BackupPlan { folder: folder.path().into(), interval: Duration::from_secs(3_600), keep: 9 };
    let before = replica.registry.write_backup(&plan).await.expect("there is room").path().to_owned();
    let purposes = purposes(&replica.registry.core().state());
    let mut olds = Vec::new();
    for purpose in purposes {
        olds.push(rotate(&[&replica], purpose).await);
    }
    let middle = replica.registry.write_backup(&plan).await.expect("there is room").path().to_owned();
    replica.until("the old keys are destroyed", |registry| is_gone(registry, &olds)).await;
    replica.stop().await;

    for (node, backup) in [(NodeId(8), before), (NodeId(9), middle)] {
        let place = Member {
            region: "south".into(),
            raft_address: support::free_address().to_string(),
            address: support::free_address().to_string(),
        };
        ground.members.insert(node, place.clone());
        let remains = Remains::of_backup(&backup, ground.kms.clone()).await.expect("it opens");
        let epoch = NewEpoch { epoch: None, node, member: place, after: None };
        remains.go_on(&ground.data(node), epoch).await.expect("it goes on");
        let restored = ground.start(node).await;
        restored.until("it is fresh", |registry| registry.reader().is_fresh()).await;
        assert!(texts.iter().all(|text| accepts(&restored.registry, text) == Some(true)), "{node}");
        for purpose in purposes {
            rotate(&[&restored], purpose).await;
        }
        restored.until("the old keys are destroyed", |registry| is_gone(registry, &olds)).await;
        assert!(texts.iter().all(|text| accepts(&restored.registry, text) == Some(true)), "{node}");
        restored.registry.core().state().check_invariants().expect("they hold");
        restored.stop().await;
    }
}
