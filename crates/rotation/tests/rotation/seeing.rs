//! Whom a driver takes for a consumer: never the check of the store itself.

use crate::driving::{Fleet, policy};
use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{BoxFuture, DeliveryError, Ending, Item, Store};
use latchkey_domain::{
    DurationMillis, OverlapStart, RotationName, RotationPolicy, RotationState, RotationTerms, VersionName,
};
use latchkey_link::testing::MemoryRegistry;
use std::fmt;
use std::sync::Arc;

const HOUR: DurationMillis = DurationMillis::from_secs(3_600);

/// A store whose check validates what is staged, as a careful one does.
struct Checked {
    store: MemoryStore,
    registry: Arc<MemoryRegistry>,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked")
    }
}

impl Store for Checked {
    fn place(&self) -> &str {
        "checked"
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
        self.store.finish(rotation, ending)
    }

    fn staged_at(&self, rotation: &RotationName) -> Vec<(&'static str, String)> {
        let new = self.registry.state().rotation(rotation).and_then(|rotation| rotation.new);
        self.registry.saw(new.expect("it is staged"), None, "check");
        Vec::new()
    }
}

/// A fleet of one key whose new secret is where its consumer finds it, and was used by the check alone.
async fn verified(overlap_start: OverlapStart) -> Fleet {
    let terms = RotationTerms { overlap_start, ..policy().terms };
    let fleet = Fleet::new(RotationPolicy { terms, ..policy() }, &["one"]).await;
    fleet.house.advance(DurationMillis::from_days(10));
    turn(&fleet).await;
    assert!(fleet.delivered(0).is_some());
    fleet
}

async fn turn(fleet: &Fleet) {
    let store = Checked { store: fleet.store.clone(), registry: fleet.house.registry.clone() };
    // Each is another process: it waits until the claim of the one before is over.
    fleet.house.advance(DurationMillis::from_secs(11));
    assert!(fleet.driver_to(Box::new(store), 10_000).turn().await.unwrap().drives);
}

#[tokio::test]
async fn an_old_version_is_not_ended_where_its_stores_check_alone_used_the_new_one() {
    let fleet = verified(OverlapStart::AtOnce).await;
    let old = fleet.keys[0].1.clone();
    // A quiet consumer calls every three hours, with the old secret.
    for hours in 1..=5 {
        fleet.house.advance(HOUR);
        turn(&fleet).await;
        assert_eq!(fleet.state(0), Some(RotationState::Overlap), "after {hours} h");
        assert!(fleet.house.accepts(&old));
    }
    fleet.uses(&fleet.delivered(0).unwrap());
    turn(&fleet).await;
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
}

#[tokio::test]
async fn an_overlap_that_begins_with_the_first_use_does_not_begin_with_a_check() {
    let fleet = verified(OverlapStart::FirstUse).await;
    assert_eq!(fleet.state(0), Some(RotationState::Verified));
    fleet.house.advance(HOUR);
    turn(&fleet).await;
    assert_eq!(fleet.state(0), Some(RotationState::Verified));
    fleet.uses(&fleet.delivered(0).unwrap());
    turn(&fleet).await;
    assert_eq!(fleet.state(0), Some(RotationState::Overlap));
}
