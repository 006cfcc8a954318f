//! The service as a whole, without any replica to reach.

use crate::house::{is, why};
use latchkey_delivery::Stores;
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::service;
use latchkey_link::testing::Seeded;
use latchkey_rotation::driver::DriverOptions;
use latchkey_rotation::{Options, Rotation};
use latchkey_transport::{ClusterSecret, channel};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation_service_client::RotationServiceClient;
use std::sync::Arc;
use tonic::{Code, Request};

#[tokio::test]
async fn without_a_replica_it_serves_says_that_it_cannot_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let secret = ClusterSecret::generate(&folder.path().join("secret"), &mut Seeded(1)).unwrap();
    let nobody = latchkey_testkit::nobody();
    let service = service::Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        replicas: vec![nobody.into()],
        security: secret.into(),
        kms: Arc::new(SwitchableKms::new([1; 32])),
    };
    let driver = Some(DriverOptions::default());
    let running = Rotation::start(Options { service, stores: Stores::default(), driver }).await.unwrap();
    assert!(running.metrics_address().is_some_and(|address| address.port() != 0));

    let mut client = RotationServiceClient::new(channel(running.address()));
    let mut request = Request::new(v1::GetRotationRequest::default());
    request.metadata_mut().insert("authorization", "Bearer lkm_x".parse().unwrap());
    request.set_timeout(std::time::Duration::from_millis(500));
    let answer = client.get_rotation(request).await;
    assert_eq!(why(answer), is(Code::Unavailable, "NO_LEADER"));
    running.stop().await.unwrap();
}
