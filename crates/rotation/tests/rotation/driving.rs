//! The driver over the real state machine: who drives, what is begun when, what goes wrong, and how fast it writes.

use crate::house::{House, KEYSPACE};
use latchkey_config::{CommandLine, KeyspacePattern};
use latchkey_crypto::parse;
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{Outlet, Store, Stores};
use latchkey_domain::{
    AtDeadline, Delivery, DurationMillis, HoldCause, IdentityName, KeyName, KeyspaceName, OverlapStart, RiskClass,
    RotationMode, RotationPhase, RotationPolicy, RotationState, RotationTerms, RotationWindow, Slug,
};
use latchkey_link::Material;
use latchkey_link::testing::MemoryRegistry;
use latchkey_rotation::driver::{Driver, DriverOptions};
use latchkey_state::{Actor, Command, KeyspaceChanges, Operation, Rotation, UpdateKeyspace};
use latchkey_wire::pb::v1;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: DurationMillis = DurationMillis::from_secs(3_600);
const DAY: DurationMillis = DurationMillis::from_days(1);

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// Each ten days, an overlap of a day, retired early after an hour of silence, held where it is still used.
pub(crate) fn policy() -> RotationPolicy {
    let terms = RotationTerms {
        overlap: DAY,
        overlap_min: HOUR,
        silence: Some(HOUR),
        overlap_start: OverlapStart::AtOnce,
        at_deadline: AtDeadline::Hold { max: DAY },
    };
    RotationPolicy {
        risk: RiskClass::Custom,
        mode: RotationMode::Automatic,
        interval: DurationMillis::from_days(10),
        terms,
        notices: [DAY].into(),
        windows: [].into(),
        jitter: DurationMillis::ZERO,
        at_once_max: 100,
        phases: [].into(),
        maximum_lifetime: None,
        delivery: Some(Delivery::Store(slug("vault"))),
    }
}

/// A house whose keyspace has a policy, a store that its consumers read, and as many keys as asked.
pub(crate) struct Fleet {
    pub(crate) house: House,
    pub(crate) store: MemoryStore,
    /// Each with its first text.
    pub(crate) keys: Vec<(KeyName, String)>,
}

impl Fleet {
    pub(crate) async fn new(policy: RotationPolicy, names: &[&str]) -> Self {
        let house = House::new().await;
        let rotation_policy = Some(Some(Box::new(policy)));
        let changes = KeyspaceChanges { rotation_policy, ..KeyspaceChanges::default() };
        let name = KeyspaceName::parse(KEYSPACE).unwrap();
        let update = Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name, changes, etag: None }));
        let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
        house.registry.carry_out(&Command::new(root, [1; 32], update)).unwrap();
        let mut keys = Vec::new();
        for display_name in names {
            let (parent, display_name) = (KEYSPACE.to_owned(), (*display_name).to_owned());
            let request = v1::CreateKeyRequest { parent, display_name, ..Default::default() };
            let (name, text) = house.key_of(request).await;
            keys.push((KeyName::parse(&name).unwrap(), text));
        }
        Self { house, store: MemoryStore::default(), keys }
    }

    pub(crate) fn driver(&self) -> Driver<MemoryRegistry> {
        self.driver_with(10_000)
    }

    fn driver_with(&self, writes_per_second_max: u32) -> Driver<MemoryRegistry> {
        self.driver_to(Box::new(self.store.clone()), writes_per_second_max)
    }

    /// One that delivers elsewhere, to where a consumer's check always passes.
    pub(crate) fn driver_to(&self, store: Box<dyn Store>, writes_per_second_max: u32) -> Driver<MemoryRegistry> {
        let everything = vec![KeyspacePattern::parse("acme/live").unwrap()];
        let check = CommandLine::parse("/bin/true").unwrap();
        let outlet = Outlet::of(slug("vault"), everything, store).checked_by(check, Duration::from_secs(20));
        let material = Arc::new(Material::new(self.house.kms.clone()));
        let options = DriverOptions { writes_per_second_max, ..DriverOptions::default() };
        Driver::new(self.house.registry.clone(), material, Stores::of([outlet]), options)
    }

    pub(crate) fn rotation(&self, place: usize) -> Option<Arc<Rotation>> {
        let state = self.house.registry.state();
        let key = state.key(&self.keys[place].0).unwrap().clone();
        let rotations = state.rotations_of(key.keyspace, key.id);
        rotations.max_by_key(|rotation| rotation.created_at).cloned()
    }

    pub(crate) fn state(&self, place: usize) -> Option<RotationState> {
        self.rotation(place).map(|rotation| rotation.state_at(self.house.now()))
    }

    fn states(&self) -> Vec<Option<RotationState>> {
        (0..self.keys.len()).map(|place| self.state(place)).collect()
    }

    /// A consumer uses it, later than any check of its store.
    pub(crate) fn uses_later(&self, text: &str) {
        self.house.advance(DurationMillis::from_secs(2));
        self.uses(text);
    }

    pub(crate) fn uses(&self, text: &str) {
        self.house.registry.saw(parse(text).unwrap().version, None, "consumer");
    }

    /// What its consumer finds now.
    pub(crate) fn delivered(&self, place: usize) -> Option<String> {
        self.store.read(&self.keys[place].0)
    }
}

const OVERLAP: Option<RotationState> = Some(RotationState::Overlap);

#[tokio::test]
async fn a_key_that_is_due_gets_a_new_secret_and_loses_the_old_one_when_its_traffic_has_moved() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    let (_, old) = fleet.keys[0].clone();
    fleet.house.advance(DurationMillis::new(DurationMillis::from_days(10).millis() - 1));
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), fleet.delivered(0)), (None, None), "it is not due yet");

    fleet.house.advance(DurationMillis::new(1));
    let turn = driver.turn().await.unwrap();
    assert_eq!((turn.drives, turn.planned), (true, 1));
    assert_eq!(fleet.state(0), OVERLAP, "one turn takes all steps that wait for nothing");
    let new = fleet.delivered(0).expect("it was delivered");
    assert!(fleet.house.accepts(&new) && fleet.house.accepts(&old) && new != old);
    let opened = fleet.rotation(0).unwrap().course.as_ref().unwrap().replay.is_none();
    assert!(opened, "what was delivered lies nowhere else");

    fleet.uses(&old);
    fleet.uses_later(&new);
    fleet.house.advance(HOUR);
    fleet.uses(&old);
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP, "it is used");
    fleet.house.advance(DurationMillis::new(HOUR.millis() - 1));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP, "it is not silent for long enough");
    fleet.house.advance(DurationMillis::from_secs(10));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    assert!(fleet.house.accepts(&new) && !fleet.house.accepts(&old));
    assert_eq!(driver.turn().await.unwrap().steps, 0, "there is nothing left to do");
}

#[tokio::test]
async fn an_old_version_that_is_used_at_the_deadline_is_held_and_ends_when_it_is_silent() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    let (old, new) = (fleet.keys[0].1.clone(), fleet.delivered(0).unwrap());
    fleet.uses_later(&new);
    fleet.house.advance(DAY);
    fleet.uses(&old);
    driver.turn().await.unwrap();
    let rotation = fleet.rotation(0).unwrap();
    let hold = rotation.course.as_ref().unwrap().hold.clone().expect("it is held");
    assert_eq!((fleet.state(0), hold.cause), (Some(RotationState::Held), HoldCause::StillUsed));
    assert!(hold.text.as_str().contains("consumer"), "{}", hold.text);
    assert!(fleet.house.accepts(&old));
    fleet.house.advance(HOUR.plus(DurationMillis::from_secs(10)));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
}

#[tokio::test]
async fn a_region_that_tells_nothing_or_has_forgotten_keeps_the_old_version() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    let (old, new) = (fleet.keys[0].1.clone(), fleet.delivered(0).unwrap());
    fleet.uses_later(&new);
    fleet.house.registry.set_deaf(true);
    fleet.house.advance(DurationMillis::new(3 * HOUR.millis()));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP, "what is not known is not silence");

    // It is back, and what it had seen is lost: it has to be silent for as long again.
    fleet.house.registry.set_deaf(false);
    fleet.house.registry.restart_watching();
    driver.turn().await.unwrap();
    fleet.house.advance(DurationMillis::new(HOUR.millis() - 1));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP, "it has not watched for long enough");
    assert!(fleet.house.accepts(&old));
    fleet.house.advance(DurationMillis::from_secs(10));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    assert!(fleet.house.accepts(&new) && !fleet.house.accepts(&old));
}

#[tokio::test]
async fn of_two_drivers_one_drives_and_the_other_goes_on_when_its_claim_is_over() {
    let fleet = Fleet::new(policy(), &["one", "two"]).await;
    let (first, second) = (fleet.driver(), fleet.driver());
    assert!(first.turn().await.unwrap().drives);
    assert!(!second.turn().await.unwrap().drives);
    fleet.house.advance(DurationMillis::from_days(10));
    // Its claim is long over, and nobody has taken it.
    assert!(second.turn().await.unwrap().drives);
    assert_eq!(fleet.states(), [OVERLAP, OVERLAP]);
    let turn = first.turn().await.unwrap();
    assert_eq!((turn.drives, turn.steps), (false, 0), "who was late drives no more");
    let state = fleet.house.registry.state();
    assert_eq!(state.rotation_claim().unwrap().fence, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_drivers_at_once_rotate_each_key_once() {
    let names: Vec<_> = (0..20).map(|_| "key").collect();
    let fleet = Fleet::new(policy(), &names).await;
    fleet.house.advance(DurationMillis::from_days(10));
    let drivers: Vec<_> = (0..4).map(|_| fleet.driver()).collect();
    for round in 0..8 {
        let (one, two, three, four) =
            tokio::join!(drivers[0].turn(), drivers[1].turn(), drivers[2].turn(), drivers[3].turn());
        let drive = [one, two, three, four].into_iter().filter(|turn| turn.as_ref().unwrap().drives).count();
        assert!(drive <= 1, "{drive} drive in round {round}");
        // Each of them gets to drive in the end.
        fleet.house.advance(DurationMillis::from_secs(11));
    }
    let state = fleet.house.registry.state();
    for (place, (name, old)) in fleet.keys.iter().enumerate() {
        let key = state.key(name).unwrap();
        assert_eq!(state.rotations_of(key.keyspace, key.id).count(), 1, "it is rotated once");
        assert_eq!((key.versions.len(), fleet.state(place)), (2, OVERLAP), "one version was made");
        assert!(fleet.house.accepts(old) && fleet.house.accepts(&fleet.delivered(place).unwrap()));
    }
}

#[tokio::test]
async fn no_more_are_begun_than_the_cap_allows_and_those_that_are_stuck_count() {
    let fleet = Fleet::new(RotationPolicy { at_once_max: 2, ..policy() }, &["one", "two", "three", "four"]).await;
    let driver = fleet.driver();
    fleet.store.set_broken(true);
    fleet.house.advance(DurationMillis::from_days(10));
    for _ in 0..3 {
        driver.turn().await.unwrap();
        fleet.house.advance(DurationMillis::from_secs(1));
    }
    let begun = |fleet: &Fleet| fleet.states().into_iter().flatten().count();
    assert_eq!(begun(&fleet), 2);
    fleet.store.set_broken(false);
    for _ in 0..4 {
        fleet.house.advance(DurationMillis::from_secs(30));
        driver.turn().await.unwrap();
    }
    assert_eq!(fleet.states(), [OVERLAP; 4], "an overlap is settled, and makes room");
}

#[tokio::test]
async fn a_phase_begins_when_the_one_before_is_healthy_and_never_while_it_is_not() {
    let phase = |name: &str| RotationPhase { name: slug(name), filter: format!("display_name = \"{name}\"").into() };
    let phases = [phase("canary"), phase("rest")].into();
    let fleet = Fleet::new(RotationPolicy { phases, ..policy() }, &["rest", "canary"]).await;
    let driver = fleet.driver();
    fleet.store.set_broken(true);
    fleet.house.advance(DurationMillis::from_days(10));
    for _ in 0..10 {
        driver.turn().await.unwrap();
        fleet.house.advance(DurationMillis::from_secs(30));
    }
    assert_eq!(fleet.states(), [None, Some(RotationState::Held)], "the first phase is held");
    let hold = fleet.rotation(1).unwrap().course.as_ref().unwrap().hold.clone().unwrap();
    assert_eq!(hold.cause, HoldCause::Delivery);

    fleet.store.set_broken(false);
    let (key, rotation) = (fleet.keys[1].0.clone(), fleet.rotation(1).unwrap().id);
    let name = latchkey_domain::RotationName { key, rotation }.to_string();
    let resume = v1::ResumeRotationRequest { name, ..Default::default() };
    fleet.house.root().rotation.resume_rotation(resume).await.unwrap();
    driver.turn().await.unwrap();
    driver.turn().await.unwrap();
    assert_eq!(fleet.states(), [OVERLAP; 2], "the first phase is well, and the second has begun");
}

#[tokio::test]
async fn outside_its_windows_nothing_begins() {
    // The house begins on a Thursday at midnight; ten days later it is Sunday.
    let window = RotationWindow { cron: "0 3 * * *".into(), time_zone: "UTC".into(), length: HOUR };
    let fleet = Fleet::new(RotationPolicy { windows: [window].into(), ..policy() }, &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), None);
    fleet.house.advance(DurationMillis::new(3 * HOUR.millis() - 1));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), None);
    fleet.house.advance(DurationMillis::new(1));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP);
}

#[tokio::test]
async fn where_the_mode_is_to_tell_notice_is_given_and_nothing_is_rotated() {
    let fleet = Fleet::new(RotationPolicy { mode: RotationMode::Notify, ..policy() }, &["one"]).await;
    let driver = fleet.driver();
    let entries = || fleet.house.registry.state().progress().frontier.size();
    driver.turn().await.unwrap();
    let before = entries();
    fleet.house.advance(DurationMillis::from_days(9));
    driver.turn().await.unwrap();
    assert_eq!(entries(), before + 1, "a day before it is due");
    driver.turn().await.unwrap();
    fleet.house.advance(DAY);
    driver.turn().await.unwrap();
    assert_eq!(entries(), before + 2, "and when it is, once each");
    assert_eq!(fleet.state(0), None);
}

#[tokio::test]
async fn a_store_that_is_not_there_holds_the_rotation_at_once_and_says_what_to_do() {
    let policy = RotationPolicy { delivery: Some(Delivery::Store(slug("elsewhere"))), ..policy() };
    let fleet = Fleet::new(policy, &["one"]).await;
    fleet.house.advance(DurationMillis::from_days(10));
    fleet.driver().turn().await.unwrap();
    let hold = fleet.rotation(0).unwrap().course.as_ref().unwrap().hold.clone().expect("it is held");
    assert_eq!((hold.from, hold.cause), (RotationState::Prepared, HoldCause::Delivery));
    assert!(hold.text.as_str().contains("elsewhere") && hold.text.as_str().contains("[[delivery]]"), "{}", hold.text);
    assert!(fleet.house.accepts(&fleet.keys[0].1), "nothing is retired");
}

#[tokio::test]
async fn while_a_region_does_not_know_the_new_version_no_consumer_finds_it() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    fleet.house.registry.set_waiting(true);
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), fleet.delivered(0)), (Some(RotationState::Delivered), None));
    fleet.house.registry.set_waiting(false);
    fleet.house.advance(DurationMillis::from_secs(60));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP);
    assert!(fleet.delivered(0).is_some());
}

#[tokio::test]
async fn a_driver_without_a_leader_does_nothing_and_goes_on_with_the_next_one() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    fleet.house.registry.set_unavailable(true);
    assert!(driver.turn().await.is_err());
    fleet.house.registry.set_unavailable(false);
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), OVERLAP);
}

#[tokio::test]
async fn what_is_due_at_once_is_written_no_faster_than_the_budget() {
    let names: Vec<_> = (0..60).map(|_| "key").collect();
    let fleet = Fleet::new(policy(), &names).await;
    fleet.house.advance(DurationMillis::from_days(10));
    let driver = fleet.driver_with(10);
    // From here on nothing but the driver moves time.
    tokio::time::pause();
    let began = Instant::now();
    for _ in 0..20 {
        driver.turn().await.unwrap();
        if fleet.states().iter().all(|state| *state == OVERLAP) {
            break;
        }
    }
    assert!(fleet.states().iter().all(|state| *state == OVERLAP), "{:?}", fleet.states());
    // Planned, prepared, delivered, verified, overlap: five writes each, of which one second's worth comes at once.
    let (least, most) = (Duration::from_secs(60 * 5 / 10 - 1), Duration::from_secs(60));
    assert!((least..most).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_driver_that_runs_rotates_until_it_is_stopped() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    fleet.house.advance(DurationMillis::from_days(10));
    let driver = fleet.driver();
    tokio::time::pause();
    let began = Instant::now();
    driver
        .run(async {
            while fleet.state(0) != OVERLAP {
                assert!(began.elapsed() < Duration::from_secs(60), "{:?}", fleet.state(0));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    assert_eq!(fleet.state(0), OVERLAP);
}

#[tokio::test]
async fn where_nobody_uses_either_version_it_is_held_and_ends_at_its_bound() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    fleet.house.advance(DAY);
    driver.turn().await.unwrap();
    let hold = fleet.rotation(0).unwrap().course.as_ref().unwrap().hold.clone().expect("it is held");
    assert_eq!(hold.cause, HoldCause::StillUsed);
    assert!(hold.text.as_str().contains("new"), "{}", hold.text);
    fleet.house.advance(DAY);
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    assert!(!fleet.house.accepts(&fleet.keys[0].1));
}
