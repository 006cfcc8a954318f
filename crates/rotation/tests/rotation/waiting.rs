//! What waits before its overlap: it goes on when it can, and comes to nothing only where nobody is hurt by that.

use crate::driving::{Fleet, policy, slug};
use crate::house::{KEYSPACE, cancel, resume, revoke};
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{BoxFuture, DeliveryError, Ending, Item, Store};
use latchkey_domain::{
    DurationMillis, HoldCause, IdentityName, KeyspaceName, OverlapStart, RotationId, RotationName, RotationPolicy,
    RotationState, RotationTerms, VersionName,
};
use latchkey_state::{Actor, Command, KeyspaceChanges, Operation, PlanRotations, PlannedRotation, UpdateKeyspace};
use latchkey_wire::pb::v1;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const HOUR: DurationMillis = DurationMillis::from_secs(3_600);
const DAY: DurationMillis = DurationMillis::from_days(1);

/// A store that takes what is staged, and does not show it to consumers while it is stuck.
#[derive(Clone, Debug, Default)]
struct Sticky {
    store: MemoryStore,
    stuck: Arc<AtomicBool>,
}

impl Store for Sticky {
    fn place(&self) -> &str {
        "sticky"
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.store.stage(item)
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        if self.stuck.load(Ordering::Relaxed) {
            return Box::pin(async { Err(DeliveryError::NotStaged { place: "sticky".to_owned() }) });
        }
        self.store.deliver(rotation, version)
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.store.finish(rotation, ending)
    }
}

/// A key that is due, whose overlap begins when its new version is first used.
async fn due() -> Fleet {
    let terms = RotationTerms { overlap_start: OverlapStart::FirstUse, ..policy().terms };
    let fleet = Fleet::new(RotationPolicy { terms, ..policy() }, &["one"]).await;
    fleet.house.advance(DurationMillis::from_days(10));
    fleet
}

fn held_for(fleet: &Fleet) -> Option<HoldCause> {
    fleet.rotation(0).unwrap().course.as_ref().unwrap().hold.as_ref().map(|hold| hold.cause)
}

fn name(fleet: &Fleet) -> String {
    RotationName { key: fleet.keys[0].0.clone(), rotation: fleet.rotation(0).unwrap().id }.to_string()
}

#[tokio::test]
async fn what_was_held_as_never_used_goes_on_when_its_consumer_comes_and_is_accepted_from_then_on() {
    let fleet = due().await;
    let driver = fleet.driver();
    driver.turn().await.unwrap();
    let new = fleet.delivered(0).unwrap();
    fleet.house.advance(DAY);
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), held_for(&fleet)), (Some(RotationState::Held), Some(HoldCause::NeverSeen)));
    // The consumer restarts, and finds it.
    fleet.house.advance(DAY);
    fleet.uses(&new);
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Overlap));
    for _ in 0..6 {
        fleet.house.advance(DAY);
        driver.turn().await.unwrap();
    }
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    assert!(fleet.house.accepts(&new) && fleet.delivered(0) == Some(new));
}

#[tokio::test]
async fn what_nobody_ever_used_fails_after_a_week_and_the_old_secret_is_what_consumers_find() {
    let fleet = due().await;
    let driver = fleet.driver();
    driver.turn().await.unwrap();
    for _ in 0..8 {
        fleet.house.advance(DAY);
        driver.turn().await.unwrap();
    }
    assert_eq!(fleet.state(0), Some(RotationState::Failed));
    assert!(fleet.house.accepts(&fleet.keys[0].1));
}

#[tokio::test]
async fn whoever_cancels_what_consumers_read_already_has_nobody_refused() {
    let fleet = due().await;
    fleet.driver().turn().await.unwrap();
    let new = fleet.delivered(0).unwrap();
    let request = cancel(&name(&fleet));
    let cancelled = fleet.house.root().rotation.cancel_rotation(request).await.unwrap().into_inner();
    assert_eq!(cancelled.rotation.unwrap().state(), v1::rotation::State::Cancelled);
    assert!(fleet.house.accepts(&new) && fleet.house.accepts(&fleet.keys[0].1), "{:?}", cancelled.regions);
    fleet.house.advance(DAY);
    assert!(!fleet.house.accepts(&new) && fleet.house.accepts(&fleet.keys[0].1));
}

#[tokio::test]
async fn the_only_secret_that_is_accepted_is_kept_by_its_store_until_its_consumers_have_it() {
    let fleet = due().await;
    let sticky = Sticky { store: fleet.store.clone(), ..Sticky::default() };
    sticky.stuck.store(true, Ordering::Relaxed);
    let driver = fleet.driver_to(Box::new(sticky.clone()), 10_000);
    for _ in 0..6 {
        driver.turn().await.unwrap();
        fleet.house.advance(DurationMillis::from_secs(60));
    }
    assert_eq!((fleet.state(0), held_for(&fleet)), (Some(RotationState::Held), Some(HoldCause::Delivery)));
    let rotation = fleet.rotation(0).unwrap();
    let version = rotation.old.map(|version| VersionName { key: fleet.keys[0].0.clone(), version }).unwrap();
    fleet.house.root().keys.revoke_key(revoke(&version.to_string())).await.unwrap();
    assert!(!fleet.house.accepts(&fleet.keys[0].1));
    for _ in 0..9 {
        fleet.house.advance(DAY);
        driver.turn().await.unwrap();
    }
    assert_eq!(fleet.state(0), Some(RotationState::Held), "there is nothing to go back to");

    sticky.stuck.store(false, Ordering::Relaxed);
    fleet.house.root().rotation.resume_rotation(resume(&name(&fleet))).await.unwrap();
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    assert!(fleet.house.accepts(&fleet.delivered(0).unwrap()));
}

#[tokio::test]
async fn what_is_planned_begins_no_more_once_its_policy_is_gone() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    fleet.driver().turn().await.unwrap();
    let fence = fleet.house.registry.state().rotation_claim().unwrap().fence;
    fleet.house.advance(DurationMillis::from_days(10));
    let plan = PlannedRotation {
        key: fleet.keys[0].0.clone(),
        rotation: RotationId::from_random([7; 12]),
        phase: 0,
        starts_at: Some(fleet.house.now().plus(HOUR)),
    };
    let operation = Operation::PlanRotations(PlanRotations { fence, plans: vec![plan] });
    let driver = Actor::Service(slug("rotation"));
    fleet.house.registry.carry_out(&Command::new(driver, [2; 32], operation)).unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Planned));
    let changes = KeyspaceChanges { rotation_policy: Some(None), ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: KeyspaceName::parse(KEYSPACE).unwrap(), changes, etag: None };
    let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    let update = Operation::UpdateKeyspace(Box::new(update));
    fleet.house.registry.carry_out(&Command::new(root, [3; 32], update)).unwrap();
    fleet.house.advance(HOUR);
    fleet.driver().turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Cancelled));
    let state = fleet.house.registry.state();
    assert_eq!(state.key(&fleet.keys[0].0).unwrap().versions.len(), 1, "nothing was made");
}
