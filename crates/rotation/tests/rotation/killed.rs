//! Every way that a rotation may go, killed at each of its steps: the leader and the process that drives, before and after
//! the step took effect. However it goes, nobody is refused, it ends as it should, and nothing is done twice.

use crate::fragile::{Dies, Fragile, Fuse, Victim, When};
use crate::house::{House, KEYSPACE, cancel, complete, roll_back};
use latchkey_crypto::parse;
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{Outlet, Stores};
use latchkey_domain::{DurationMillis, KeyName, NodeId, RotationState, Sequence, Slug, VersionId};
use latchkey_link::{FollowItem, Material, Registry as _};
use latchkey_rotation::driver::{Driver, DriverOptions};
use latchkey_state::{Actor, Command, DecodedEvent, Operation, Rotation};
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

/// How old a version may become, and for how long both are accepted.
const INTERVAL_S: i64 = 20 * 86_400;
const OVERLAP_S: i64 = 20;

/// Turns after which a rotation is stuck.
const TURNS_MAX: usize = 120;

/// A consumer switches so many turns after it saw a new secret.
const SWITCHES_AFTER: usize = 3;

/// What happens to a rotation beside the steps of its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Nothing,
    UseOld,
    Break,
    MendAndResume,
    Hold,
    Resume,
    Cancel,
    RollBack,
    Complete,
    EightDaysPass,
}

/// One way that a rotation may go.
struct Way {
    name: &'static str,
    terms: fn() -> v1::RotationTerms,
    /// By its state, and whether it was held before.
    act: fn(RotationState, bool) -> Act,
    /// What is told of it, each once.
    told: &'static [&'static str],
    ends: RotationState,
}

use RotationState::{Cancelled, Completed, Failed, Held, Overlap, Planned, RolledBack};

/// What is told of every rotation that comes to its overlap.
const WHOLE: &[&str] =
    &["rotation.planned", "rotation.delivered", "rotation.verified", "rotation.overlap_began", "rotation.completed"];

const WAYS: [Way; 10] = [
    Way { name: "retired on evidence", terms: silent, act: |_, _| Act::Nothing, told: WHOLE, ends: Completed },
    Way { name: "ended by the clock", terms: plain, act: |_, _| Act::Nothing, told: WHOLE, ends: Completed },
    Way { name: "from its first use", terms: first_use, act: |_, _| Act::Nothing, told: WHOLE, ends: Completed },
    Way {
        name: "held for its traffic, until that ends",
        terms: holding,
        act: |state, was_held| if was_held || state == Held { Act::Nothing } else { Act::UseOld },
        told: WHOLE,
        ends: Completed,
    },
    Way {
        name: "held for its delivery, and resumed",
        terms: silent,
        act: |state, was_held| match state {
            Held => Act::MendAndResume,
            _ if was_held => Act::Nothing,
            _ => Act::Break,
        },
        told: WHOLE,
        ends: Completed,
    },
    Way {
        name: "held for its delivery, and forgotten",
        terms: silent,
        act: |state, _| if state == Held { Act::EightDaysPass } else { Act::Break },
        told: &["rotation.planned", "rotation.failed"],
        ends: Failed,
    },
    Way {
        name: "held for its delivery, and cancelled",
        terms: silent,
        act: |state, _| if state == Held { Act::Cancel } else { Act::Break },
        told: &["rotation.planned", "rotation.cancelled"],
        ends: Cancelled,
    },
    Way {
        name: "rolled back",
        terms: plain,
        act: |state, _| if state == Overlap { Act::RollBack } else { Act::Nothing },
        told: &["rotation.overlap_began", "rotation.rolled_back"],
        ends: RolledBack,
    },
    Way {
        name: "completed by hand",
        terms: plain,
        act: |state, _| if state == Overlap { Act::Complete } else { Act::Nothing },
        told: WHOLE,
        ends: Completed,
    },
    Way {
        name: "held by hand, and resumed",
        terms: silent,
        act: |state, was_held| match state {
            Overlap if !was_held => Act::Hold,
            Held => Act::Resume,
            _ => Act::Nothing,
        },
        told: WHOLE,
        ends: Completed,
    },
];

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn plain() -> v1::RotationTerms {
    v1::RotationTerms { overlap: seconds(OVERLAP_S), ..Default::default() }
}

fn silent() -> v1::RotationTerms {
    v1::RotationTerms { overlap_min: seconds(3), silence: seconds(4), ..plain() }
}

fn first_use() -> v1::RotationTerms {
    v1::RotationTerms { overlap_start: v1::OverlapStart::FirstUse.into(), ..silent() }
}

fn holding() -> v1::RotationTerms {
    v1::RotationTerms { at_deadline: v1::AtDeadline::Hold.into(), hold_max: seconds(600), ..silent() }
}

/// One rotation of one key, in a cluster of its own.
struct Case {
    house: House,
    key: KeyName,
    store: MemoryStore,
    fuse: Arc<Fuse>,
    /// The secret that its consumer uses, and the one before.
    text: String,
    old: String,
    seen_for: usize,
    visited: Vec<RotationState>,
}

impl Case {
    async fn new(way: &Way, dies: Option<Dies>) -> Self {
        let house = House::new().await;
        let target = Some(v1::rotation_delivery::Target::Store("files".to_owned()));
        let policy = v1::RotationPolicy {
            risk_class: v1::RiskClass::Custom.into(),
            mode: v1::RotationMode::Automatic.into(),
            interval: seconds(INTERVAL_S),
            terms: Some((way.terms)()),
            delivery: Some(v1::RotationDelivery { target }),
            ..Default::default()
        };
        let request = v1::CreateKeyRequest {
            parent: KEYSPACE.to_owned(),
            rotation_policy: Some(policy),
            permissions: vec!["orders:read".to_owned()],
            ..Default::default()
        };
        let (name, text) = house.key_of(request).await;
        let key = KeyName::parse(&name).unwrap();
        house.advance(DurationMillis::from_secs(INTERVAL_S.unsigned_abs()));
        let (store, fuse) = (MemoryStore::default(), Arc::new(Fuse::new(dies)));
        Self { house, key, store, fuse, old: text.clone(), text, seen_for: 0, visited: Vec::new() }
    }

    /// Another process over the same cluster and the same store.
    fn driver(&self) -> Driver<Fragile> {
        let (registry, fuse) = (self.house.registry.clone(), self.fuse.clone());
        let everything = latchkey_config::KeyspacePattern::parse("acme/*").unwrap();
        let store = Box::new(crate::fragile::Burning { store: self.store.clone(), fuse: fuse.clone() });
        let stores = Stores::of([Outlet::of(Slug::parse("files").unwrap(), vec![everything], store)]);
        let options = DriverOptions { writes_per_second_max: 10_000, ..DriverOptions::default() };
        let material = Arc::new(Material::new(self.house.kms.clone()));
        Driver::new(Arc::new(Fragile { registry, fuse }), material, stores, options)
    }

    fn rotation(&self) -> Option<Arc<Rotation>> {
        let state = self.house.registry.state();
        let keyspace = state.keyspace(&self.key.keyspace).expect("it is there").number;
        // One that was undone is due again after a while.
        state.rotations_of(keyspace, self.key.key).min_by_key(|rotation| rotation.created_at).cloned()
    }

    fn state(&self) -> Option<RotationState> {
        self.rotation().map(|rotation| rotation.state_at(self.house.now()))
    }

    /// What its consumer does, and sees.
    fn consume(&mut self, use_old: bool) {
        assert!(self.house.accepts(&self.text), "a valid request is refused in {:?}", self.visited.last());
        self.saw(&self.text);
        if use_old && self.house.accepts(&self.old) {
            self.saw(&self.old);
        }
        let Some(delivered) = self.store.read(&self.key) else { return };
        assert!(self.house.accepts(&delivered), "what is delivered is refused in {:?}", self.visited.last());
        if delivered == self.text {
            return;
        }
        self.seen_for += 1;
        if self.seen_for >= SWITCHES_AFTER {
            (self.text, self.seen_for) = (delivered, 0);
        }
    }

    fn saw(&self, text: &str) {
        self.house.registry.saw(version_of(text), None, "consumer");
    }

    async fn act(&self, act: Act) {
        let name = || {
            let rotation = self.rotation().expect("it is there").id;
            latchkey_domain::RotationName { key: self.key.clone(), rotation }.to_string()
        };
        let mut rotation = self.house.root().rotation;
        match act {
            Act::Nothing | Act::UseOld => {}
            // An operator who ends it for a consumer that has not switched refuses it on purpose.
            Act::Complete if self.text == self.old => {}
            Act::Break => self.store.set_broken(true),
            Act::MendAndResume | Act::Resume => {
                self.store.set_broken(false);
                let request = v1::ResumeRotationRequest { name: name(), ..Default::default() };
                rotation.resume_rotation(request).await.unwrap();
            }
            Act::Hold => {
                let request = v1::HoldRotationRequest { name: name(), ..Default::default() };
                rotation.hold_rotation(request).await.unwrap();
            }
            Act::Cancel => drop(rotation.cancel_rotation(cancel(&name())).await.unwrap()),
            Act::RollBack => drop(rotation.roll_back_rotation(roll_back(&name())).await.unwrap()),
            Act::Complete => drop(rotation.complete_rotation(complete(&name())).await.unwrap()),
            Act::EightDaysPass => self.house.advance(DurationMillis::from_days(8)),
        }
    }

    /// Drives it to its end, by as many processes as it takes.
    async fn drive(&mut self, way: &Way) {
        let mut driver = self.driver();
        let mut was_held = false;
        // What is to go wrong from the start on goes wrong before the first turn, which goes far.
        self.store.set_broken((way.act)(Planned, false) == Act::Break);
        for _ in 0..TURNS_MAX {
            tokio::select! {
                // Nobody who is away is told.
                _told = driver.turn() => {}
                () = self.fuse.burnt() => {
                    driver = self.driver();
                    // Its claim is another's once it is over, and not before.
                    self.house.advance(DurationMillis::from_secs(10));
                }
            }
            // A leader writes down what the clock has ended.
            let settle = Command::new(Actor::Replica(NodeId(1)), [0; 32], Operation::Settle);
            self.house.registry.carry_out(&settle).unwrap();
            let state = self.state();
            if let Some(state) = state.filter(|state| self.visited.last() != Some(state)) {
                self.visited.push(state);
            }
            was_held |= state == Some(Held);
            let act = state.map_or(Act::Nothing, |state| (way.act)(state, was_held && state != Held));
            self.consume(act == Act::UseOld);
            match state {
                // What is left is the store's: what was kept there goes.
                Some(state) if state.is_final() && self.is_tidy() => return,
                Some(state) if state.is_final() => {}
                Some(_) => self.act(act).await,
                None => {}
            }
            self.house.advance(DurationMillis::from_secs(1));
        }
        let hold = self.rotation().and_then(|rotation| rotation.course.as_ref()?.hold.clone());
        panic!(
            "{}, {:?}: stuck in {:?}, {hold:?}, new in use {}; {} texts are kept",
            way.name,
            self.fuse,
            self.visited,
            self.text != self.old,
            self.store.kept(&self.key)
        );
    }

    /// Whether its consumer has what is current, and the store keeps nothing else.
    fn is_tidy(&self) -> bool {
        self.store.kept(&self.key) == 0 && self.text == self.current()
    }

    fn current(&self) -> String {
        self.store.read(&self.key).unwrap_or_else(|| self.old.clone())
    }

    async fn check(&self, way: &Way) {
        let rotation = self.rotation().expect("it ended");
        assert_eq!(self.state(), Some(way.ends));
        // Where an operator ended it at once, a new version that nobody got may have ended with it.
        let new = rotation.new.map(|new| self.texts_of(new));
        match way.ends {
            Completed => {
                assert!(self.house.accepts(&self.text), "the new secret");
                assert_ne!(self.text, self.old);
                assert!(!self.house.accepts(&self.old), "the old secret is refused");
                assert_eq!(new, Some(true), "the secret that is delivered is that of its version");
            }
            _ => assert!(self.house.accepts(&self.old), "the old secret stays"),
        }
        let events = self.events().await;
        for (action, count) in &events {
            let again = ["rotation.held", "rotation.resumed", "rotation.prepared", "rotation.claimed"];
            assert!(*count == 1 || again.contains(&action.as_str()), "{count} times {action}: {events:?}");
        }
        for action in way.told {
            assert_eq!(events.get(*action), Some(&1), "{action} of {}: {events:?}", way.name);
        }
        let state = self.house.registry.state();
        let key = state.key(&self.key).expect("it is there");
        let alive = key.versions.iter().filter(|version| self.accepts(version.id)).count();
        assert!((1..=2).contains(&alive), "{alive} versions are accepted");
        state.check_invariants().unwrap();
    }

    /// Whether what is delivered is of this version.
    fn texts_of(&self, version: VersionId) -> bool {
        self.store.read(&self.key).is_some_and(|text| version_of(&text) == version)
    }

    fn accepts(&self, version: VersionId) -> bool {
        let state = self.house.registry.state();
        state
            .version(version)
            .is_some_and(|found| state.worth(&found, self.house.now()) == latchkey_state::Worth::Accepted)
    }

    /// How often each thing was told of rotations.
    async fn events(&self) -> BTreeMap<String, u64> {
        let by = Instant::now() + std::time::Duration::from_secs(60);
        let mut following = self.house.registry.follow(Sequence(0), by).await.unwrap();
        let mut counts = BTreeMap::new();
        while let Some(Ok(item)) = following.next().await {
            let FollowItem::Event(entry) = item else { break };
            let event = DecodedEvent::decode(&entry.event).unwrap();
            if event.action.as_str().starts_with("rotation.") {
                *counts.entry(event.action.as_str().to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

fn version_of(text: &str) -> VersionId {
    parse(text).expect("it is a key text").version
}

async fn goes(way: &Way, dies: Option<Dies>) -> usize {
    let mut case = Case::new(way, dies).await;
    case.drive(way).await;
    case.check(way).await;
    case.fuse.points()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_at_any_step_goes_on_as_if_it_had_not_been() {
    let mut cases = 0;
    for way in &WAYS {
        let points = goes(way, None).await;
        for point in 0..points {
            for victim in [Victim::Leader, Victim::Service] {
                for when in [When::Before, When::After] {
                    goes(way, Some(Dies { point, victim, when })).await;
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 200, "only {cases} cases");
}
