//! Who is told before keys end, by the driver over the real state machine: each notice once, whoever dies at whichever
//! step, and so many at a time.

use crate::fragile::{Dies, Fragile, Fuse, Victim, When};
use crate::house::{House, KEYSPACE};
use latchkey_delivery::Stores;
use latchkey_domain::{DurationMillis, Sequence};
use latchkey_link::{FollowItem, Material, Registry as _};
use latchkey_rotation::driver::{Driver, DriverOptions};
use latchkey_state::DecodedEvent;
use latchkey_wire::pb::v1;
use prost_types::{Duration, FieldMask};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

const DAY_S: i64 = 86_400;

fn days(days: i64) -> Duration {
    Duration { seconds: days * DAY_S, nanos: 0 }
}

/// A house whose keyspace gives notice so many days before.
async fn house(notices: &[i64]) -> House {
    let house = House::new().await;
    let before = notices.iter().copied().map(days).collect();
    let expiry_notices = Some(v1::ExpiryNotices { before });
    let request = v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: KEYSPACE.to_owned(), expiry_notices, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["expiry_notices".to_owned()] }),
        ..Default::default()
    };
    house.root().directory.update_keyspace(request).await.unwrap();
    house
}

fn key_of(life_days: Option<i64>) -> v1::CreateKeyRequest {
    let expiry = life_days.map(|life| v1::create_key_request::Expiry::Lifetime(days(life)));
    v1::CreateKeyRequest { parent: KEYSPACE.to_owned(), expiry, ..Default::default() }
}

fn driver(house: &House, fuse: &Arc<Fuse>) -> Driver<Fragile> {
    let (registry, fuse) = (house.registry.clone(), fuse.clone());
    let options = DriverOptions { writes_per_second_max: 10_000, ..DriverOptions::default() };
    let material = Arc::new(Material::new(house.kms.clone()));
    Driver::new(Arc::new(Fragile { registry, fuse }), material, Stores::of([]), options)
}

/// How often what was told of keys that soon end: by key, and how many days before.
async fn told(house: &House) -> BTreeMap<(String, u64), u64> {
    let by = Instant::now() + std::time::Duration::from_secs(60);
    let mut following = house.registry.follow(Sequence(0), by).await.unwrap();
    let mut counts = BTreeMap::new();
    while let Some(Ok(FollowItem::Event(entry))) = following.next().await {
        let event = DecodedEvent::decode(&entry.event).unwrap();
        if event.action.as_str() == "key.expires_soon" {
            let before =
                event.facts.iter().find(|(name, _)| name == "before_ms").map(|(_, value)| value.parse::<u64>());
            let before = before.unwrap().unwrap() / DurationMillis::from_days(1).millis();
            *counts.entry((event.subject, before)).or_default() += 1;
        }
    }
    counts
}

/// Drives for 31 days, by as many processes as it takes, and tells after how many steps.
async fn month(dies: Option<Dies>) -> usize {
    let house = house(&[20, 5]).await;
    let mut expected = BTreeMap::new();
    for life in [Some(30), Some(30), Some(25), Some(5), None] {
        let (name, _) = house.key_of(key_of(life)).await;
        let owed = [20, 5].into_iter().filter(|before| life.is_some_and(|life| life > *before));
        expected.extend(owed.map(|before| ((name.clone(), before.unsigned_abs()), 1)));
    }
    let fuse = Arc::new(Fuse::new(dies));
    let mut driving = driver(&house, &fuse);
    for _ in 0..31 {
        tokio::select! {
            // Nobody who is away is told.
            _told = driving.turn() => {}
            () = fuse.burnt() => {
                driving = driver(&house, &fuse);
                // Its claim is another's once it is over, and not before.
                house.advance(DurationMillis::from_secs(10));
            }
        }
        house.advance(DurationMillis::from_days(1));
    }
    assert_eq!(told(&house).await, expected, "{dies:?}");
    house.registry.state().check_invariants().unwrap();
    fuse.points()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_notice_is_given_once_whoever_is_killed_at_whichever_step() {
    let points = month(None).await;
    assert!(points >= 3, "a claim, and two notices at least: {points}");
    for point in 0..points {
        for victim in [Victim::Leader, Victim::Service] {
            for when in [When::Before, When::After] {
                month(Some(Dies { point, victim, when })).await;
            }
        }
    }
}

#[tokio::test]
async fn of_very_many_keys_that_end_at_one_moment_a_turn_tells_so_many_and_those_that_end_first_before_the_rest() {
    let house = house(&[7]).await;
    let mut near = Vec::new();
    for (life, count) in [(30, 600), (30, 600), (29, 5)] {
        let requests = vec![key_of(Some(life)); count];
        let request = v1::BatchCreateKeysRequest { parent: KEYSPACE.to_owned(), requests, ..Default::default() };
        let made = house.root().keys.batch_create_keys(request).await.unwrap().into_inner().keys;
        let names = made.into_iter().map(|issued| issued.key.unwrap().name);
        near = names.collect();
    }
    house.advance(DurationMillis::from_days(24));
    let driving = driver(&house, &Arc::new(Fuse::new(None)));
    driving.turn().await.unwrap();
    let first = told(&house).await;
    assert_eq!(first.len(), 1_000);
    assert!(near.iter().all(|name| first.contains_key(&(name.clone(), 7))), "those that end first come first");
    driving.turn().await.unwrap();
    let all = told(&house).await;
    assert_eq!((all.len(), all.values().max()), (1_205, Some(&1)));
    driving.turn().await.unwrap();
    assert_eq!(told(&house).await, all, "there is nothing left to tell");
}

#[tokio::test]
async fn a_keyspace_shows_what_is_in_force_and_refuses_what_is_out_of_order() {
    let house = House::new().await;
    let mut root = house.root();
    let get = || v1::GetKeyspaceRequest { name: KEYSPACE.to_owned() };
    let shown = root.directory.get_keyspace(get()).await.unwrap().into_inner().expiry_notices.unwrap();
    assert_eq!(shown.before, [30, 7, 1].map(days), "the default");
    let of = |before: Vec<Duration>| v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace {
            name: KEYSPACE.to_owned(),
            expiry_notices: Some(v1::ExpiryNotices { before }),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["expiry_notices".to_owned()] }),
        ..Default::default()
    };
    let refused = root.directory.update_keyspace(of([1, 7].map(days).into())).await;
    assert_eq!(crate::house::fields(refused), ["keyspace.expiry_notices.before[1]"]);
    for chosen in [vec![days(14), days(2)], Vec::new()] {
        let changed = root.directory.update_keyspace(of(chosen.clone())).await.unwrap().into_inner();
        assert_eq!(changed.expiry_notices.unwrap().before, chosen);
    }
}
