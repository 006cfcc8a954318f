//! What must stop neither a rotation for ever nor the rotations of others.

use crate::driving::{Fleet, policy, slug};
use crate::house::KEYSPACE;
use latchkey_config::KeyspacePattern;
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{BoxFuture, DeliveryError, Ending, Item, Outlet, Store, Stores};
use latchkey_domain::{
    AtDeadline, DurationMillis, IdentityName, KeyName, KeyspaceName, ReasonText, RevocationReason, RotationId,
    RotationName, RotationPhase, RotationPolicy, RotationState, Slug, UnixMillis, VersionName,
};
use latchkey_link::Material;
use latchkey_link::testing::MemoryRegistry;
use latchkey_rotation::driver::{Driver, DriverOptions};
use latchkey_state::{
    Actor, Command, Cut, CutScope, KeyspaceChanges, Operation, PlanRotations, PlannedRotation, RotationStep,
    StepRotation, UpdateKeyspace,
};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation_delivery::Target;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: DurationMillis = DurationMillis::from_secs(3_600);

fn root() -> Actor {
    Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap())
}

/// Plans rotations of all keys by hand, to be started then.
async fn plan(fleet: &Fleet, starts_at: UnixMillis) {
    fleet.driver().turn().await.unwrap();
    let fence = fleet.house.registry.state().rotation_claim().unwrap().fence;
    fleet.house.advance(DurationMillis::from_days(10));
    let plans = fleet.keys.iter().enumerate().map(|(place, (key, _))| PlannedRotation {
        key: key.clone(),
        rotation: RotationId::from_random([u8::try_from(place % 256).unwrap(); 12]),
        phase: 0,
        starts_at: Some(starts_at),
    });
    let operation = Operation::PlanRotations(PlanRotations { fence, plans: plans.collect() });
    let driver = Actor::Service(Slug::parse("rotation").unwrap());
    fleet.house.registry.carry_out(&Command::new(driver, [2; 32], operation)).unwrap();
}

#[tokio::test]
async fn a_rotation_whose_key_has_died_fails_and_makes_room() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    plan(&fleet, fleet.house.now().plus(DurationMillis::from_days(10)).plus(HOUR)).await;
    assert_eq!(fleet.state(0), Some(RotationState::Planned));
    let scope = CutScope::Keyspace(KeyspaceName::parse(KEYSPACE).unwrap());
    let cut = Cut { scope, reason: RevocationReason::Compromised, text: ReasonText::default() };
    fleet.house.registry.carry_out(&Command::new(root(), [3; 32], Operation::Cut(cut))).unwrap();
    fleet.house.advance(HOUR);
    fleet.driver().turn().await.unwrap();
    let rotation = fleet.rotation(0).unwrap();
    assert_eq!((rotation.state, rotation.text.as_str()), (RotationState::Failed, "its key is revoked"));
    let number = rotation.keyspace;
    assert_eq!(fleet.house.registry.state().unsettled_rotations(number), 0);
}

/// A store under which somebody cancels the rotation while its consumer checks, or that does not end what it began.
#[derive(Debug)]
struct Odd {
    store: MemoryStore,
    cancels: Option<Arc<MemoryRegistry>>,
    /// At the end of a rotation, and where it is to be laid there.
    hangs: bool,
    hangs_first: bool,
}

impl Store for Odd {
    fn place(&self) -> &str {
        "odd"
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        if self.hangs_first { Box::pin(pending()) } else { self.store.stage(item) }
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.store.deliver(rotation, version)
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        if self.hangs { Box::pin(pending()) } else { self.store.finish(rotation, ending) }
    }

    fn staged_at(&self, rotation: &RotationName) -> Vec<(&'static str, String)> {
        if let Some(registry) = &self.cancels {
            let (rotation, text) = (rotation.clone(), ReasonText::default());
            let cancel = StepRotation { rotation, step: RotationStep::Cancel, text, etag: None };
            registry.carry_out(&Command::new(root(), [4; 32], Operation::StepRotation(cancel))).unwrap();
        }
        Vec::new()
    }
}

#[tokio::test]
async fn a_secret_that_is_cancelled_while_its_consumer_checks_it_never_gets_there() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let store = Odd {
        store: fleet.store.clone(),
        cancels: Some(fleet.house.registry.clone()),
        hangs: false,
        hangs_first: false,
    };
    let driver = fleet.driver_to(Box::new(store), 10_000);
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), fleet.delivered(0)), (Some(RotationState::Cancelled), None));
    assert_eq!(fleet.store.kept(&fleet.keys[0].0), 0, "what was staged is gone");
}

#[tokio::test]
async fn a_store_that_hangs_at_the_end_of_one_rotation_keeps_no_other_from_being_planned() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    fleet.house.advance(DurationMillis::from_days(10));
    fleet.driver().turn().await.unwrap();
    let rotation = RotationName { key: fleet.keys[0].0.clone(), rotation: fleet.rotation(0).unwrap().id };
    let (step, text) = (RotationStep::Complete, ReasonText::default());
    let complete = Operation::StepRotation(StepRotation { rotation, step, text, etag: None });
    fleet.house.registry.carry_out(&Command::new(root(), [5; 32], complete)).unwrap();
    let (name, _) = fleet.house.key().await;
    fleet.house.advance(DurationMillis::from_secs(60));

    let store = Odd { store: fleet.store.clone(), cancels: None, hangs: true, hangs_first: false };
    let driver = fleet.driver_to(Box::new(store), 10_000);
    let rotation_policy = Some(Some(Box::new(short())));
    let changes = KeyspaceChanges { rotation_policy, ..Default::default() };
    let update = UpdateKeyspace { name: KeyspaceName::parse(KEYSPACE).unwrap(), changes, etag: None };
    let update = Operation::UpdateKeyspace(Box::new(update));
    fleet.house.registry.carry_out(&Command::new(root(), [6; 32], update)).unwrap();
    fleet.house.advance(HOUR);
    let key = KeyName::parse(&name).unwrap();
    let rotates = || fleet.house.registry.state().key(&key).unwrap().rotation().is_some();
    tokio::time::pause();
    let began = Instant::now();
    driver
        .run(async {
            while !rotates() {
                assert!(began.elapsed() < Duration::from_secs(20), "nothing is planned");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
}

/// Due after a quarter of an hour.
fn short() -> RotationPolicy {
    let minutes = |minutes: u64| DurationMillis::from_secs(60 * minutes);
    let mut policy = policy();
    policy.interval = minutes(15);
    policy.terms.at_deadline = AtDeadline::Enforce;
    policy.terms.overlap = minutes(10);
    policy.terms.overlap_min = minutes(1);
    policy.terms.silence = Some(minutes(5));
    policy.notices = [].into();
    policy
}

#[tokio::test]
async fn a_phase_goes_on_once_a_key_that_was_rolled_back_has_rotated_after_all() {
    let phase = RotationPhase { name: slug("canary"), filter: "display_name = \"canary\"".into() };
    let fleet = Fleet::new(RotationPolicy { phases: [phase].into(), ..policy() }, &["rest", "canary"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    // The rest is due when the first phase has begun well, so that one goes back before the next turn.
    driver.turn().await.unwrap();
    let rotation = RotationName { key: fleet.keys[1].0.clone(), rotation: fleet.rotation(1).unwrap().id };
    let (step, text) = (RotationStep::RollBack { overlap: None }, ReasonText::default());
    let back = Operation::StepRotation(StepRotation { rotation, step, text, etag: None });
    fleet.house.registry.carry_out(&Command::new(root(), [7; 32], back)).unwrap();
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), fleet.state(1)), (None, Some(RotationState::RolledBack)));
    fleet.house.advance(DurationMillis::from_days(1));
    for _ in 0..2 {
        driver.turn().await.unwrap();
        fleet.house.advance(DurationMillis::from_secs(1));
    }
    assert_eq!((fleet.state(0), fleet.state(1)), (Some(RotationState::Overlap), Some(RotationState::Overlap)));
}

#[tokio::test]
async fn a_store_that_hangs_keeps_the_rotations_of_no_other_waiting() {
    let names: Vec<_> = (0..33).map(|_| "stuck").collect();
    let fleet = Fleet::new(policy(), &names).await;
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    // Of the next keyspace, whose rotations are looked at after all of these.
    let own = v1::RotationPolicy {
        risk_class: v1::RiskClass::Custom.into(),
        mode: v1::RotationMode::Automatic.into(),
        interval: seconds(5 * 86_400),
        terms: Some(v1::RotationTerms { overlap: seconds(86_400), ..Default::default() }),
        delivery: Some(v1::RotationDelivery { target: Some(Target::Store("files".to_owned())) }),
        ..Default::default()
    };
    let parent = "tenants/acme/keyspaces/other".to_owned();
    let request = v1::CreateKeyRequest { parent, rotation_policy: Some(own), ..Default::default() };
    let (name, _) = fleet.house.key_of(request).await;
    let (other, files) = (KeyName::parse(&name).unwrap(), MemoryStore::default());
    fleet.house.advance(DurationMillis::from_days(10));

    let stuck = Odd { store: fleet.store.clone(), cancels: None, hangs: false, hangs_first: true };
    let everywhere = || vec![KeyspacePattern::parse("acme/*").unwrap()];
    let stores = Stores::of([
        Outlet::of(slug("vault"), everywhere(), Box::new(stuck)),
        Outlet::of(slug("files"), everywhere(), Box::new(files.clone())),
    ]);
    let material = Arc::new(Material::new(fleet.house.kms.clone()));
    let options = DriverOptions { writes_per_second_max: 10_000, ..DriverOptions::default() };
    let driver = Driver::new(fleet.house.registry.clone(), material, stores, options);
    tokio::time::pause();
    let began = Instant::now();
    driver
        .run(async {
            while files.read(&other).is_none() {
                assert!(began.elapsed() < Duration::from_secs(20), "nothing is delivered");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    let hangs = |place| fleet.state(place) == Some(RotationState::Prepared);
    assert!((0..names.len()).any(hangs), "a store hangs");
}
