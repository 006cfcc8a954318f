//! The service as a whole, without any replica to reach.

use crate::house::{is, why};
use latchkey_issuance::{Issuance, Options};
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::testing::Seeded;
use latchkey_transport::{ClusterSecret, channel};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use std::sync::Arc;
use tonic::{Code, Request};

#[tokio::test]
async fn without_a_replica_it_serves_says_that_it_cannot_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let secret = ClusterSecret::generate(&folder.path().join("secret"), &mut Seeded(1)).unwrap();
    let nobody = latchkey_testkit::nobody();
    let running = Issuance::start(Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        replicas: vec![nobody.into()],
        security: secret.into(),
        kms: Arc::new(SwitchableKms::new([1; 32])),
    })
    .await
    .unwrap();
    assert!(running.metrics_address().is_some_and(|address| address.port() != 0));

    let mut client = DirectoryServiceClient::new(channel(running.address()));
    let mut request = Request::new(v1::ListTenantsRequest::default());
    request.metadata_mut().insert("authorization", "Bearer lkm_x".parse().unwrap());
    request.set_timeout(std::time::Duration::from_millis(500));
    let answer = client.list_tenants(request).await;
    assert_eq!(why(answer), is(Code::Unavailable, "NO_LEADER"));
    running.stop().await.unwrap();
}
