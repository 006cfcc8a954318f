//! The secret that a roll-back gives back is there for its consumers, whatever begins next.

use crate::driving::{Fleet, policy, slug};
use crate::house::{cancel, complete, roll_back, rotate};
use latchkey_config::{CommandLine, KeyspacePattern};
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{BoxFuture, DeliveryError, Ending, Item, Outlet, Store, Stores};
use latchkey_domain::{DurationMillis, RotationName, RotationState, VersionName};
use latchkey_link::Material;
use latchkey_link::testing::MemoryRegistry;
use latchkey_rotation::driver::{Driver, DriverOptions};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation_delivery::Target;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A store that takes new secrets, and for a while hears nothing of what has ended.
#[derive(Clone, Debug)]
struct Deaf {
    store: MemoryStore,
    hears: Arc<AtomicBool>,
}

impl Store for Deaf {
    fn place(&self) -> &str {
        "deaf"
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.store.stage(item)
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        self.store.deliver(rotation, version)
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        if self.hears.load(Ordering::Relaxed) {
            return self.store.finish(rotation, ending);
        }
        let source = io::Error::other("it hears nothing");
        Box::pin(ready(Err(DeliveryError::File { verb: "write", path: "deaf".into(), source })))
    }
}

fn driver(fleet: &Fleet, store: &Deaf, check: &str) -> Driver<MemoryRegistry> {
    let everything = vec![KeyspacePattern::parse("acme/live").unwrap()];
    let outlet = Outlet::of(slug("vault"), everything, Box::new(store.clone()));
    let outlet = outlet.checked_by(CommandLine::parse(check).unwrap(), Duration::from_secs(20));
    let material = Arc::new(Material::new(fleet.house.kms.clone()));
    Driver::new(fleet.house.registry.clone(), material, Stores::of([outlet]), DriverOptions::default())
}

fn last(fleet: &Fleet) -> String {
    RotationName { key: fleet.keys[0].0.clone(), rotation: fleet.rotation(0).unwrap().id }.to_string()
}

/// The second of two secrets, which the store shows; it keeps the first.
async fn rotated_twice(fleet: &Fleet, driver: &Driver<MemoryRegistry>) -> String {
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    fleet.house.root().rotation.complete_rotation(complete(&last(fleet))).await.unwrap();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Overlap));
    // What follows is younger.
    fleet.house.advance(DurationMillis::from_secs(1));
    fleet.delivered(0).unwrap()
}

#[tokio::test]
async fn a_rotation_right_after_a_roll_back_destroys_no_secret_that_is_to_be_put_back() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let (key, _) = &fleet.keys[0];
    let store = Deaf { store: fleet.store.clone(), hears: Arc::new(AtomicBool::new(true)) };
    let passes = driver(&fleet, &store, "/bin/true");
    let new = rotated_twice(&fleet, &passes).await;
    store.hears.store(false, Ordering::Relaxed);
    let mut root = fleet.house.root();
    root.rotation.roll_back_rotation(roll_back(&last(&fleet))).await.unwrap();
    let delivery = Some(v1::RotationDelivery { target: Some(Target::Store("vault".to_owned())) });
    let request = v1::RotateKeyRequest { delivery, overlap: None, ..rotate(&key.to_string()) };
    root.rotation.rotate_key(request).await.unwrap();
    passes.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Prepared), "nothing is laid over what is not put back");

    store.hears.store(true, Ordering::Relaxed);
    fleet.house.advance(DurationMillis::from_secs(60));
    let fails = driver(&fleet, &store, "/bin/false");
    fails.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Delivered), "its check does not pass");
    root.rotation.cancel_rotation(cancel(&last(&fleet))).await.unwrap();
    fails.turn().await.unwrap();
    fleet.house.advance(DurationMillis::from_days(2));
    let read = fleet.delivered(0).unwrap();
    assert!(read != new && fleet.house.accepts(&read), "consumers read a version that is accepted");
}

#[tokio::test]
async fn a_store_that_is_away_for_longer_than_a_day_is_told_of_a_roll_back() {
    let fleet = Fleet::new(policy(), &["one"]).await;
    let store = Deaf { store: fleet.store.clone(), hears: Arc::new(AtomicBool::new(true)) };
    let driving = driver(&fleet, &store, "/bin/true");
    let new = rotated_twice(&fleet, &driving).await;
    let mut root = fleet.house.root();
    root.rotation.roll_back_rotation(roll_back(&last(&fleet))).await.unwrap();
    // What is suspended is not due, so that no other rotation tells the store.
    let name = fleet.keys[0].0.to_string();
    root.keys.suspend_key(v1::SuspendKeyRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    fleet.house.advance(DurationMillis::from_days(3));
    driving.turn().await.unwrap();
    root.keys.resume_key(v1::ResumeKeyRequest { name, ..Default::default() }).await.unwrap();
    let read = fleet.delivered(0).unwrap();
    assert!(read != new && fleet.house.accepts(&read));
}
