//! What `GetRotation` tells of the use of both versions.

use crate::house::{House, KEYSPACE, OVERLAP};
use latchkey_domain::{
    DurationMillis, IdentityName, KeyspaceName, Network, NodeId, ReplicaPlace, ReplicaRole, VersionName,
};
use latchkey_state::{
    Actor, AdmitReplica, Command, KeyspaceChanges, Operation, ReplicaStep, StepReplica, UpdateKeyspace,
};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;

const MINUTE: DurationMillis = DurationMillis::from_secs(60);

/// A key in its overlap: the rotation, and the ids of its old and new version.
async fn rotated(house: &House) -> (v1::Rotation, VersionName, VersionName) {
    let (name, _) = house.key().await;
    let overlap = OVERLAP.map(|overlap| prost_types::Duration { seconds: 3_600, ..overlap });
    let request = v1::RotateKeyRequest { name, overlap, ..Default::default() };
    let rotation = house.root().rotation.rotate_key(request).await.unwrap().into_inner().rotation.unwrap();
    let version = |name: &str| VersionName::parse(name).unwrap();
    let (old, new) = (version(&rotation.old_version), version(&rotation.new_version));
    (rotation, old, new)
}

async fn shown(house: &House, rotation: &v1::Rotation) -> v1::Rotation {
    let request = v1::GetRotationRequest { name: rotation.name.clone() };
    house.root().rotation.get_rotation(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn both_curves_and_the_callers_that_remain_are_shown() {
    let house = House::new().await;
    let (rotation, old, new) = rotated(&house).await;
    let network = Network::parse("192.0.2.0/24").ok();
    house.registry.saw(old.version, network, "curl/8.5");
    house.advance(MINUTE);
    house.registry.saw(old.version, network, "curl/8.5");
    house.registry.saw(old.version, None, "");
    house.registry.saw(new.version, network, "python");
    let seen = shown(&house, &rotation).await.evidence.expect("it is in progress");
    assert_eq!(seen.time, Some(write_time(house.now())));
    let (of_old, of_new) = (seen.old.unwrap(), seen.new.unwrap());
    assert_eq!((of_old.version.as_str(), of_old.count), (rotation.old_version.as_str(), 3));
    assert_eq!((of_new.version.as_str(), of_new.count), (rotation.new_version.as_str(), 1));
    assert_eq!(of_old.last_use_time, Some(write_time(house.now())));
    assert_eq!(of_old.curve_bucket, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
    assert_eq!((of_old.curve_counts.len(), of_old.curve_counts[0], of_old.curve_counts[60]), (61, 1, 2));
    let callers: Vec<_> = of_old
        .callers
        .iter()
        .map(|one| (one.region.as_str(), one.network.as_str(), one.user_agent.as_str(), one.count))
        .collect();
    assert_eq!(callers, [("eu", "192.0.2.0/24", "curl/8.5", 2), ("eu", "", "", 1)]);
    assert!(seen.unheard.is_empty() && seen.watched_since_time.is_some());
}

#[tokio::test]
async fn a_region_that_tells_nothing_is_named_and_nothing_is_taken_for_silence() {
    let house = House::new().await;
    let (rotation, ..) = rotated(&house).await;
    house.advance(MINUTE);
    house.registry.set_deaf(true);
    let seen = shown(&house, &rotation).await.evidence.unwrap();
    assert_eq!(seen.watched_since_time, None);
    assert_eq!(seen.unheard, [v1::rotation_evidence::Unheard { region: "us".to_owned(), replica: 2 }]);
    house.registry.set_deaf(false);
    house.registry.restart_watching();
    let seen = shown(&house, &rotation).await.evidence.unwrap();
    assert_eq!(seen.watched_since_time, Some(write_time(house.now())), "what it saw before is lost");
}

#[tokio::test]
async fn nobody_claims_to_have_watched_what_a_replica_may_answer_that_knows_nothing_of_it() {
    let house = House::new().await;
    let staleness = |seconds: u64| {
        let changes = KeyspaceChanges {
            staleness_max: Some(Some(DurationMillis::from_secs(seconds))),
            ..KeyspaceChanges::default()
        };
        let name = KeyspaceName::parse(KEYSPACE).unwrap();
        Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name, changes, etag: None }))
    };
    let by_root = |operation| {
        let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
        house.registry.carry_out(&Command::new(root, [7; 32], operation)).unwrap();
    };
    let by_replica = |operation| {
        house.registry.carry_out(&Command::new(Actor::Replica(NodeId(1)), [7; 32], operation)).unwrap();
    };
    let since = async |rotation: &v1::Rotation| shown(&house, rotation).await.evidence.unwrap().watched_since_time;
    by_root(staleness(60));
    let (rotation, ..) = rotated(&house).await;
    let made = house.now();
    let counted = Some(write_time(made.plus(MINUTE)));
    assert_eq!(since(&rotation).await, counted);
    // A replica that was cut off before the rotation was made answers by the longer bound, and counts nothing.
    by_root(staleness(5));
    house.advance(DurationMillis::from_secs(600));
    assert_eq!(since(&rotation).await, counted);

    // So does one that was left behind, from then on.
    let place = ReplicaPlace::new("eu", "127.0.0.1:7721", "127.0.0.1:7720").unwrap();
    let step = |step| Operation::StepReplica(StepReplica { node: NodeId(9), step });
    by_root(Operation::AdmitReplica(AdmitReplica { node: NodeId(9), place, role: ReplicaRole::Learner }));
    by_root(step(ReplicaStep::Remove));
    by_replica(step(ReplicaStep::Retire));
    assert_eq!(since(&rotation).await, Some(write_time(house.now().plus(MINUTE))));
}

#[tokio::test]
async fn a_rotation_that_is_over_has_none() {
    let house = House::new().await;
    let (rotation, ..) = rotated(&house).await;
    let request = v1::CompleteRotationRequest { name: rotation.name.clone(), ..Default::default() };
    house.root().rotation.complete_rotation(request).await.unwrap();
    assert_eq!(shown(&house, &rotation).await.evidence, None);
}
