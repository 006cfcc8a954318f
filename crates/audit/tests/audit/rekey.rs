//! The trail goes on, and stays readable, whatever rotates above the keys that seal it.

use crate::house::{House, World, everything, tenant};
use latchkey_crypto::draw;
use latchkey_domain::{Duty, NodeId, RingNumber};
use latchkey_kms::Kms as _;
use latchkey_link::Registry as _;
use latchkey_minting::contexts::{RingKeyPlace, RingKind};
use latchkey_minting::{DrawnKey, Numbered, rewrap, unwrap};
use latchkey_state::{Actor, Command, NewRingKey, Operation, RewrappedKey, RingPurpose};
use latchkey_telemetry::OsEntropy;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// What wraps the keys at the top.
const KEK: RingNumber = RingNumber(0);

/// As the duties of a leader do.
async fn as_replica(world: &World, operation: Operation) {
    let command = Command::new(Actor::Replica(NodeId(1)), draw(&mut OsEntropy), operation);
    let by = Instant::now() + Duration::from_secs(10);
    world.memory.propose(&command, by).await.unwrap().answer.unwrap();
}

/// Another key takes the place of the one of a tenant, which is destroyed.
async fn rotate_tenant_key(world: &World, id: &str) {
    let cluster = world.memory.cluster(Instant::now() + Duration::from_secs(10)).await.unwrap();
    let number = world.memory.state().tenant(&tenant(id)).unwrap().number;
    let purpose = RingPurpose::Tenant(number);
    let drawn = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Tenant);
    let wrapped = world.kms.wrap(&drawn.place().kek_context(), drawn.key()).await.unwrap();
    let new = drawn.wrapped(wrapped.into_bytes());
    let new = NewRingKey { id: new.id, purpose, wrapped_by: KEK, kek: None, wrapped: new.wrapped };
    world.does(Operation::RotateRingKey(new)).await;

    let keys: Vec<_> = world.memory.state().ring().cloned().collect();
    let of_tenant = || keys.iter().filter(|key| key.purpose == purpose);
    let (old, new) = (of_tenant().next().unwrap(), of_tenant().next_back().unwrap().number);
    let context = RingKeyPlace::new(cluster, purpose, old.id).kek_context();
    let parent = world.kms.unwrap(&context, &old.wrapped).await.unwrap();
    let rewrapped = keys.iter().filter(|key| key.wrapped_by == old.number).map(|key| {
        let place = RingKeyPlace::new(cluster, key.purpose, key.id);
        let plain = unwrap(&parent, &place, &key.wrapped).unwrap();
        let wrapped = rewrap(&plain, &place, Numbered::new(new, drawn.key()), &mut OsEntropy);
        RewrappedKey { number: key.number, wrapped_by: new, kek: None, wrapped }
    });
    as_replica(world, Operation::RewrapRingKeys(rewrapped.collect())).await;
    as_replica(world, Operation::DropRingKey(old.number)).await;
}

/// Another KEK takes the place of the first, which is taken away.
async fn move_to_kek(world: &World, kek: [u8; 32]) {
    let cluster = world.memory.cluster(Instant::now() + Duration::from_secs(10)).await.unwrap();
    world.kms.set_keks(&[kek, [1; 32]]);
    let keys: Vec<_> = world.memory.state().ring().filter(|key| key.wrapped_by == KEK).cloned().collect();
    let mut rewrapped = Vec::new();
    for key in keys {
        let context = RingKeyPlace::new(cluster, key.purpose, key.id).kek_context();
        let plain = world.kms.unwrap(&context, &key.wrapped).await.unwrap();
        let wrapped = world.kms.wrap(&context, &plain).await.unwrap().into_bytes().into();
        rewrapped.push(RewrappedKey { number: key.number, wrapped_by: KEK, kek: None, wrapped });
    }
    as_replica(world, Operation::RewrapRingKeys(rewrapped)).await;
    world.kms.set_keks(&[kek]);
}

#[tokio::test]
async fn entries_are_sealed_and_opened_whatever_rotates_above_their_key() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    world.knows("auditor", &[(Duty::Auditor, "")]);
    world.create_tenant("acme").await;
    world.create_owner("acme", "first").await;
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    // Under a life that holds keys of before, and with tenants that it has not met.
    world.create_tenant("other").await;
    for id in ["acme", "other", "system"] {
        rotate_tenant_key(&world, id).await;
    }
    world.create_owner("acme", "second").await;
    world.create_owner("other", "second").await;
    house.caught_up().await;
    move_to_kek(&world, [2; 32]).await;
    world.create_owner("other", "third").await;
    house.caught_up().await;
    house.stop().await;

    // A life that has unwrapped nothing yet, without the KEK and the keys of before.
    let house = House::over(&world, folder.path()).await;
    world.create_owner("acme", "third").await;
    house.caught_up().await;
    let entries = house.client("auditor").list_entries(everything()).await.unwrap().into_inner().entries;
    assert_eq!(entries.len() as u64, world.entries());
    assert!(entries.iter().all(|entry| !entry.action.is_empty()), "each of them opens");
    let owners = entries.iter().filter(|entry| entry.action == "owner.created").map(|entry| entry.subject.as_str());
    assert_eq!(
        owners.collect::<Vec<_>>(),
        [
            "tenants/acme/owners/first",
            "tenants/acme/owners/second",
            "tenants/other/owners/second",
            "tenants/other/owners/third",
            "tenants/acme/owners/third"
        ]
    );
    house.stop().await;
}
