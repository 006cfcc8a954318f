//! `wait_for: ALL_REGIONS` with one region cut off: what each method that waits says of it, and by when.

use crate::cluster::Cluster;
use latchkey_api::requests::{self, seconds};
use latchkey_wire::pb::v1;
use tokio::time::Instant;
use v1::region_status::Acceptance;
use v1::replica_status::State;

/// The region that is cut off.
const GONE: &str = "region-3";

/// Every region is there; those that are not gone have applied it.
fn regions_named(regions: &[v1::RegionStatus]) -> &v1::RegionStatus {
    let names: Vec<_> = regions.iter().map(|region| region.region.as_str()).collect();
    assert_eq!(names, ["region-1", "region-2", GONE]);
    for region in &regions[..2] {
        assert!(region.replicas.iter().all(|replica| replica.state() == State::Applied), "{region:?}");
        assert!(matches!(region.acceptance, Some(Acceptance::StopTime(_))), "{region:?}");
    }
    &regions[2]
}

/// Nobody there can accept it any more, since no lease of it can run.
fn has_ended(regions: &[v1::RegionStatus]) {
    let gone = regions_named(regions);
    assert_eq!(gone.replicas.iter().map(v1::ReplicaStatus::state).collect::<Vec<_>>(), [State::LeaseEnded]);
    assert!(matches!(gone.acceptance, Some(Acceptance::StopTime(_))), "{gone:?}");
}

/// What is made is not visible there, and cannot be missed there either from that time on.
fn is_not_visible(regions: &[v1::RegionVisibility]) {
    let told: Vec<_> = regions.iter().map(|one| (one.region.as_str(), one.visible)).collect();
    assert_eq!(told, [("region-1", true), ("region-2", true), (GONE, false)]);
    assert!(regions[2].visible_by_time.is_some() && regions[0].visible_by_time.is_none(), "{regions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_cut_off_is_named_and_waited_for_no_longer_than_its_bound() {
    let mut cluster = Cluster::found().await;
    let mut root = cluster.root(0);
    root.directory.create_tenant(requests::tenant("acme")).await.unwrap();
    root.directory.create_keyspace(requests::keyspace("acme", "orders", "acme_live")).await.unwrap();
    let key = || v1::CreateKeyRequest {
        parent: requests::KEYSPACE.to_owned(),
        permissions: vec!["orders:*".to_owned()],
        ..Default::default()
    };
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(root.keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name);
    }
    cluster.stop_one(2).await;
    cluster.until_whole().await;

    // Where the caller does not wait that long, he is told by when it cannot be accepted there any more.
    let wait_timeout = Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 });
    let hasty = v1::RevokeKeyRequest { wait_timeout, ..requests::revoke(&keys[0]) };
    let answer = root.keys.revoke_key(hasty).await.unwrap().into_inner();
    let gone = regions_named(&answer.regions);
    assert!(matches!(gone.acceptance, Some(Acceptance::StopByTime(_) | Acceptance::StopTime(_))), "{gone:?}");

    let wait_timeout = seconds(30);
    let began = Instant::now();
    let patient = v1::RevokeKeyRequest { wait_timeout, ..requests::revoke(&keys[1]) };
    has_ended(&root.keys.revoke_key(patient).await.unwrap().into_inner().regions);
    println!("one region cut off: confirmed after {:?}", began.elapsed());
    // The same without issuance, by whoever of the replicas is asked.
    for (at, key) in [(0, &keys[2]), (1, &keys[3])] {
        let suspend = v1::SuspendKeyRequest { wait_timeout, ..requests::suspend(key) };
        has_ended(&cluster.root(at).revocation.suspend_key(suspend).await.unwrap().into_inner().regions);
    }
    let resume = v1::ResumeKeyRequest { wait_timeout, ..requests::resume(&keys[2]) };
    is_not_visible(&root.keys.resume_key(resume).await.unwrap().into_inner().regions);
    let restrict = v1::RestrictKeyRequest { wait_timeout, ..requests::restrict(&keys[4]) };
    has_ended(&root.keys.restrict_key(restrict).await.unwrap().into_inner().regions);
    let create = v1::CreateKeyRequest { wait_timeout, ..key() };
    is_not_visible(&root.keys.create_key(create).await.unwrap().into_inner().regions);
    let revoke = v1::RevokeKeysRequest { wait_timeout, ..requests::revoke_scope("tenants/acme") };
    has_ended(&root.keys.revoke_keys(revoke).await.unwrap().into_inner().regions);
    cluster.stop().await;
}
