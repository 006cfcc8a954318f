use std::sync::LazyLock;

use http::uri::PathAndQuery;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use super::*;
use crate::test_support::{Running, TestService, descriptors, run};
use crate::{ClusterSecret, channel};

static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| descriptors().encode_to_vec());

async fn test_server() -> Running {
    run(|server| server.descriptors(&DESCRIPTORS).service(TestService)).await
}

async fn call(channel: Channel, path: &'static str, request: Request<()>) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("the server is there");
    let codec = ProstCodec::<(), ()>::default();
    client.unary(request, PathAndQuery::from_static(path), codec).await.expect_err("the test service only fails")
}

/// tonic's client ends a call itself when its timeout is over; this one waits for the server's answer.
async fn call_without_a_timer(address: SocketAddr, path: &str, timeout: &str) -> Status {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(Body::empty());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).expect("an error is all head")
}

#[tokio::test]
async fn a_handler_finds_the_peer_the_bearer_and_the_deadline_and_no_authorization_header() {
    let server = test_server().await;
    let mut request = Request::new(());
    request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer lkm_1"));

    let status = call(channel(server.address), "/test.v1.TestService/Facts", request).await;

    assert_eq!(status.message(), r#"peer=true bearer=Some("lkm_1") deadline=true hidden=true"#);
    server.stop().await;
}

#[tokio::test]
async fn a_panic_costs_its_own_call_and_no_other() {
    let server = test_server().await;
    let channel = channel(server.address);

    let panicked = call(channel.clone(), "/test.v1.TestService/Panic", Request::new(())).await;
    let next = call(channel, "/test.v1.TestService/Facts", Request::new(())).await;

    assert_eq!(panicked.code(), Code::Internal);
    assert_eq!(panicked.get_details_error_info().unwrap().reason, "INTERNAL");
    assert_eq!(next.code(), Code::AlreadyExists, "the same connection goes on");
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_overruns_is_answered_with_the_reason() {
    let server = test_server().await;
    let status = call_without_a_timer(server.address, "/test.v1.TestService/Hang", "20m").await;

    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DEADLINE_EXCEEDED");
    server.stop().await;
}

#[tokio::test]
async fn a_full_server_sheds_with_a_reason_and_still_answers_probes() {
    let full = Limits { calls_max: 0, ..Limits::PUBLIC };
    let server = run(|server| server.limits(full).descriptors(&DESCRIPTORS).service(TestService)).await;
    let channel = channel(server.address);

    let shed = call(channel.clone(), "/test.v1.TestService/Facts", Request::new(())).await;
    let probe = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;

    assert_eq!(shed.code(), Code::Unavailable);
    let info = shed.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["class"].as_str()), ("OVERLOADED", "management"));
    assert_eq!(probe.unwrap().into_inner().status, 1);
    server.stop().await;
}

#[tokio::test]
async fn health_knows_the_names_that_were_set_and_tells_its_watchers() {
    let bound = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (health, address) = (bound.health(), bound.address());
    let serving = tokio::spawn(bound.serve(std::future::pending()));
    let mut client = HealthClient::new(channel(address));
    let ask = |name: &str| HealthCheckRequest { service: name.to_owned() };

    let unknown = client.check(ask("latchkey.validate")).await.unwrap_err();
    health.set(Probe::Validate, false).await;
    let mut watched = client.watch(ask("latchkey.validate")).await.unwrap().into_inner();
    let before = watched.next().await.unwrap().unwrap().status;
    health.set(Probe::Validate, true).await;
    let after = watched.next().await.unwrap().unwrap().status;

    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!((before, after), (2, 1), "NOT_SERVING, then SERVING");
    serving.abort();
}

#[tokio::test]
async fn an_internal_service_is_called_with_the_cluster_secret_only() {
    let folder = tempfile::tempdir().unwrap();
    let make =
        |name: &str| ClusterSecret::generate(&folder.path().join(name), &mut latchkey_telemetry::OsEntropy).unwrap();
    let (secret, other) = (make("ours"), make("theirs"));
    let guarded = secret.guard(TestService);
    let server = run(|server| server.descriptors(&DESCRIPTORS).service(guarded)).await;
    let attached = |secret: &ClusterSecret| {
        use tonic::service::Interceptor as _;
        secret.attach().call(Request::new(())).unwrap()
    };

    let mut answers = Vec::new();
    for request in [Request::new(()), attached(&other), attached(&secret)] {
        let status = call(channel(server.address), "/test.v1.TestService/Facts", request).await;
        answers.push((status.code(), status.get_details_error_info().map(|info| info.reason)));
    }

    assert_eq!(
        answers,
        [
            (Code::Unauthenticated, Some("IDENTITY_MISSING".to_owned())),
            (Code::Unauthenticated, Some("IDENTITY_UNKNOWN".to_owned())),
            (Code::AlreadyExists, None),
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_listener_with_its_full_number_closes_the_next_connection_and_takes_one_again_later() {
    use tokio::io::AsyncReadExt as _;
    let one = Limits { connections_max: 1, ..Limits::PUBLIC };
    let server = run(|server| server.limits(one).descriptors(&DESCRIPTORS).service(TestService)).await;
    let first = channel(server.address);
    call(first.clone(), "/test.v1.TestService/Facts", Request::new(())).await;

    let mut second = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let read = second.read(&mut [0; 1]).await;

    assert!(matches!(read, Ok(0) | Err(_)), "closed at once: {read:?}");
    drop(first);
    server.stop().await;
}

#[tokio::test]
async fn stopping_ends_although_a_stream_is_open() {
    let server = test_server().await;
    let mut client = HealthClient::new(channel(server.address));
    let mut watched = client.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status, 1);

    let stopped = tokio::spawn(server.stop());

    assert_eq!(watched.next().await.unwrap().unwrap().status, 2, "watchers hear of it");
    drop((watched, client));
    stopped.await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let error = Server::bind(first.address()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", first.address()));
}
