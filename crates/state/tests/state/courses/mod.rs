//! Rotations by policy: each step in each state, when an old version ends, who may drive, what is due.

mod claims;
mod due;
mod emergency;
mod ends;
mod expiring;
mod lifetimes;
mod table;
mod warnings;

use crate::support::{
    HOUR, START, World, by_replica, by_root, command, create_keys, key_name, keyspace, later, new_key, readings, slug,
    text, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    AtDeadline, Delivery, DurationMillis, KeyName, Network, OverlapStart, ReasonText, RiskClass, RotationId,
    RotationMode, RotationName, RotationPolicy, RotationState, RotationTerms, UnixMillis, VersionId,
};
use latchkey_state::{
    Actor, AdvanceRotation, Answer, Applied, Caller, ClaimRotations, Command, DecodedEvent, DriverStep, Evidence, Key,
    KeyspaceChanges, NewCourse, NewVersion, Operation, PlanRotations, PlannedRotation, PrepareRotation, RotateKey,
    Rotation, RotationStep, RowId, StepRotation, UpdateKeyspace, Version, Worth, bootstrap_ring,
};
use std::sync::Arc;

const KEY: &str = "acme/live";
const DAY: u64 = 24 * HOUR;
/// How old versions become before they are due.
const INTERVAL: u64 = 10 * DAY;
/// The version that a key begins with, and the one that takes its place.
const OLD: u8 = 1;
const NEW: u8 = 2;

const fn span(millis: u64) -> DurationMillis {
    DurationMillis::new(millis)
}

/// Both for a day, at least an hour; two hours of silence end the old one; held for two days at most.
fn terms() -> RotationTerms {
    RotationTerms {
        overlap: span(DAY),
        overlap_min: span(HOUR),
        silence: Some(span(2 * HOUR)),
        overlap_start: OverlapStart::AtOnce,
        at_deadline: AtDeadline::Hold { max: span(2 * DAY) },
    }
}

fn policy() -> RotationPolicy {
    let policy = RotationPolicy {
        risk: RiskClass::Custom,
        mode: RotationMode::Automatic,
        interval: span(INTERVAL),
        terms: terms(),
        notices: [span(2 * DAY), span(DAY)].into(),
        windows: [].into(),
        jitter: DurationMillis::ZERO,
        at_once_max: 2,
        phases: [].into(),
        maximum_lifetime: None,
        delivery: Some(Delivery::Store(slug("vault"))),
    };
    policy.check().unwrap();
    policy
}

/// A keyspace with a policy, three keys in it, and a driver that has claimed.
#[derive(Clone)]
struct House {
    world: World,
    fence: u64,
}

impl House {
    fn new(policy: RotationPolicy) -> Self {
        let mut world = World::furnished();
        let changes = KeyspaceChanges { rotation_policy: Some(Some(Box::new(policy))), ..KeyspaceChanges::default() };
        let update = UpdateKeyspace { name: keyspace(KEY), changes, etag: None };
        world.done(by_root(Operation::UpdateKeyspace(Box::new(update))));
        world.done(by_root(create_keys(KEY, vec![new_key(OLD), new_key(11), new_key(12)])));
        let mut house = Self { world, fence: 0 };
        house.claim(7);
        house
    }

    /// Where the key is due and its rotation planned.
    fn planned(policy: RotationPolicy) -> Self {
        let mut house = Self::new(policy);
        house.pass(INTERVAL);
        assert_eq!(house.plan(&[1]), 1);
        house
    }

    fn claim(&mut self, holder: u8) {
        let claim = ClaimRotations { holder: [holder; 16], life: span(10_000) };
        let Answer::Claim(claim) = self.world.done(by_driver(Operation::ClaimRotations(claim))) else { panic!() };
        self.fence = claim.fence;
    }

    fn now(&self) -> UnixMillis {
        self.world.state.clock()
    }

    /// So many milliseconds pass.
    fn pass(&mut self, millis: u64) {
        let time = later(self.now(), millis);
        self.world.done(by_replica(readings(&[time; 3])));
    }

    /// Plans rotations of these keys, each by its own number; how many were planned.
    fn plan(&mut self, keys: &[u8]) -> u64 {
        let plan = |number: &u8| PlannedRotation {
            key: key_name(KEY, *number),
            rotation: rotation_id(*number),
            phase: 0,
            starts_at: None,
        };
        let plans = keys.iter().map(plan).collect();
        let operation = Operation::PlanRotations(PlanRotations { fence: self.fence, plans });
        let Answer::Counted(count) = self.world.done(by_driver(operation)) else { panic!() };
        count
    }

    fn preparing(&self, new: u8, replaces: Option<u8>) -> Command {
        by_driver(Operation::PrepareRotation(Box::new(PrepareRotation {
            fence: self.fence,
            rotation: name(),
            new: new_version(new),
            replaces: replaces.map(version_id),
            replay: Box::new([new; 40]),
        })))
    }

    fn advancing(&self, step: DriverStep) -> Command {
        let (fence, version) = (self.fence, self.rotation().new);
        by_driver(Operation::AdvanceRotation(Box::new(AdvanceRotation { fence, rotation: name(), version, step })))
    }

    fn prepare(&mut self) {
        self.world.done(self.preparing(NEW, None));
    }

    fn advance(&mut self, step: DriverStep) -> Applied {
        let command = self.advancing(step);
        let applied = self.world.apply(command);
        applied.answer.clone().unwrap();
        applied
    }

    /// Through the states to this one, each step as it comes.
    fn to(policy: RotationPolicy, state: RotationState) -> Self {
        let mut house = Self::planned(policy);
        let steps = [
            (RotationState::Delivered, DriverStep::Deliver { sealed: None }),
            (RotationState::Verified, DriverStep::Verify),
            (RotationState::Overlap, DriverStep::BeginOverlap),
        ];
        if state >= RotationState::Prepared {
            house.prepare();
        }
        for (_, step) in steps.into_iter().filter(|(of, _)| *of <= state) {
            house.advance(step);
        }
        assert_eq!(house.rotation().state, state);
        house
    }

    fn operator(&mut self, step: RotationStep) -> Applied {
        self.world.apply(by_operator(step))
    }

    fn key(&self) -> &Arc<Key> {
        self.world.state.key(&key()).unwrap()
    }

    fn rotation(&self) -> &Arc<Rotation> {
        self.world.state.rotation(&name()).unwrap()
    }

    fn version(&self, number: u8) -> &Version {
        self.key().version(version_id(number)).unwrap()
    }

    fn worth(&self, number: u8, at: UnixMillis) -> Worth {
        self.world.state.version_worth(self.key(), self.version(number), at)
    }

    /// Which of both versions are accepted now.
    fn accepted(&self) -> (bool, bool) {
        let is_accepted = |number| self.worth(number, self.now()) == Worth::Accepted;
        (is_accepted(OLD), is_accepted(NEW))
    }
}

fn key() -> KeyName {
    key_name(KEY, OLD)
}

fn rotation_id(number: u8) -> RotationId {
    RotationId::from_random([number; 12])
}

fn name() -> RotationName {
    RotationName { key: key(), rotation: rotation_id(1) }
}

fn new_version(number: u8) -> NewVersion {
    NewVersion {
        id: version_id(number),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([number; 32]),
        inner: [number; 101],
    }
}

fn by_driver(operation: Operation) -> Command {
    command(Actor::Service(slug("rotation")), operation)
}

fn by_operator(step: RotationStep) -> Command {
    let text = ReasonText::parse("by hand").unwrap();
    by_root(Operation::StepRotation(StepRotation { rotation: name(), step, text, etag: None }))
}

fn rotating(emergency: bool, course: Option<NewCourse>) -> RotateKey {
    RotateKey {
        key: key(),
        rotation: rotation_id(1),
        new: new_version(NEW),
        overlap: span(HOUR),
        text: ReasonText::parse("by hand").unwrap(),
        etag: None,
        replay: Some(Box::new([9; 40])),
        emergency,
        course: course.map(Box::new),
    }
}

fn rotate(emergency: bool, course: Option<NewCourse>) -> Command {
    by_root(Operation::RotateKey(Box::new(rotating(emergency, course))))
}

fn because() -> ReasonText {
    ReasonText::parse("because").unwrap()
}

/// Both were watched for long, the new one was used, and the old one last so long ago, if ever.
fn evidence(now: UnixMillis, old_used_ago: Option<u64>) -> Evidence {
    let ago = |millis| UnixMillis::new(now.millis() - millis);
    Evidence {
        old_last_used: old_used_ago.map(ago),
        new_first_used: Some(ago(HOUR / 2)),
        watched_since: ago(4 * HOUR),
        callers: Vec::new(),
    }
}

/// One who used a version last at this time.
fn caller(last_used: UnixMillis) -> Caller {
    Caller {
        network: Some(Network::parse("203.0.113.0/24").unwrap()),
        user_agent: text("billing/2.4"),
        last_used,
        count: 17,
    }
}

fn actions(applied: &Applied) -> Vec<&'static str> {
    let action = |entry: &latchkey_state::Entry| DecodedEvent::decode(&entry.event).unwrap().action.as_str();
    applied.entries.iter().map(action).collect()
}

/// What an entry tells under this name.
fn facts(applied: &Applied, name: &str) -> Vec<String> {
    let events = applied.entries.iter().map(|entry| DecodedEvent::decode(&entry.event).unwrap());
    let facts = events.flat_map(|event| event.facts);
    facts.filter(|(of, _)| of == name).map(|(_, value)| value).collect()
}

/// Nothing but the clock and the position moved.
fn is_unchanged(applied: &Applied) -> bool {
    applied.entries.is_empty() && applied.changes.keys().all(|id| *id == RowId::Progress)
}
