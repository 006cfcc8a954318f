//! One replica, from `init` to a restart, over gRPC.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod auditing;
mod counting;
mod denying;
mod explaining;
mod house;
mod observing;
mod revoking;
mod streaming;
mod validating;

use crate::house::{ask, by, make_identity, ready, settings};
use crate::validating::validate;
use latchkey_domain::{Duty, Grant, Scope};
use latchkey_validation::{Purpose, Validation, init};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient;
use std::fs;
use tonic::Code;
use tonic::transport::Channel;

async fn the_cluster_is_shown(channel: &Channel, root: &str, validator: &str, id: &str) {
    let mut client = ClusterServiceClient::new(channel.clone());
    let cluster = client.get_cluster(by(root, v1::GetClusterRequest {})).await.unwrap().into_inner();
    assert_eq!((cluster.cluster_id.as_str(), cluster.leader, cluster.answered_by), (id, Some(1), 1));
    let [replica] = &cluster.replicas[..] else { panic!("{:?}", cluster.replicas) };
    assert_eq!((replica.region.as_str(), replica.state()), ("eu", v1::replica::State::Serving));
    let denied = client.get_cluster(by(validator, v1::GetClusterRequest {})).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_made_answers_revokes_and_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let bootstrap_file = folder.path().join("root");
    let purpose = Purpose::Found { bootstrap_file: bootstrap_file.clone() };
    let id = init(&settings, &purpose).await.unwrap().to_string();
    let root = fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();

    let running = Validation::start(&settings).await.unwrap();
    let channel = ready(&running).await;
    let grant = |duty| vec![Grant { duty, scope: Scope::System }];
    let validator = make_identity(running.registry(), "gateway", grant(Duty::Validator)).await;
    let auditor = make_identity(running.registry(), "auditor", grant(Duty::Auditor)).await;
    let operator = make_identity(running.registry(), "operator", grant(Duty::Operator)).await;
    validating::callers_are_told_apart(&channel, &root, &auditor).await;
    validating::keys_are_validated(&channel, &root, &validator).await;
    validating::batches_are_validated(&channel, &root, &validator).await;
    streaming::strangers_open_no_stream(&channel, &root, &auditor).await;
    streaming::items_are_answered_in_order_each_on_its_own(&channel, &root, &validator).await;
    explaining::an_explanation_is_for_operators_and_leaves_an_entry(
        &channel,
        running.registry(),
        (&root, &operator, &validator),
    )
    .await;
    the_cluster_is_shown(&channel, &root, &validator, &id).await;
    let old = make_identity(running.registry(), "mover", grant(Duty::Auditor)).await;
    counting::each_use_of_a_key_that_rotates_is_counted_once(
        &channel,
        running.registry(),
        (&root, &validator, &old, &auditor),
    )
    .await;
    observing::what_is_seen_is_handed_over_once(
        &channel,
        (running.addresses().api, &folder.path().join("secret")),
        (&validator, &auditor),
    )
    .await;
    let streams = [
        streaming::opened(&channel, &validator, &root).await,
        streaming::opened(&channel, &validator, &root).await,
        streaming::opened(&channel, &validator, &root).await,
    ];
    revoking::a_key_is_revoked_without_issuance(&channel, &root, &validator).await;
    streaming::streams_end_with_the_key_of_their_caller(streams, &root).await;
    revoking::a_key_is_suspended_without_issuance(&channel, &root, &auditor).await;
    let revoked = revoking::whoever_holds_a_key_revokes_it_by_its_text(&channel, &root, &operator).await;
    let key_texts = [&*root, &*validator, &*auditor, &*operator];
    auditing::it_names_who_was_refused_who_looked_and_which_key_revoked_itself(
        running.registry(),
        &revoked,
        &key_texts,
    )
    .await;

    let (_items, answers) = streaming::opened(&channel, &root, &root).await;
    let told = tokio::spawn(streaming::a_stream_is_told_that_the_process_stops(answers));
    drop(channel);
    running.shutdown().await.unwrap();
    told.await.unwrap();

    let running = Validation::start(&settings).await.unwrap();
    let channel = ready(&running).await;
    assert_eq!(validate(&channel, &root, ask(&root)).await.outcome(), v1::Outcome::Valid);
    assert_eq!(validate(&channel, &root, ask(&validator)).await.outcome(), v1::Outcome::Revoked);
    drop(channel);
    running.shutdown().await.unwrap();
}
