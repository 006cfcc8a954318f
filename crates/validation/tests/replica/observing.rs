//! What a replica sees of the use of keys: all ways that lead to an answer are counted once, what is denied has its line, and
//! audit gets each of it once.

use crate::house::{ask, by, reason};
use latchkey_crypto::{Secret, compose, draw_version_id, parse};
use latchkey_domain::Prefix;
use latchkey_link::{Link, Observing as _, ObservingReplica};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::{ClusterSecret, Dialer, Proof};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::access_record::Kind;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Audit, which asks one replica.
struct Audit {
    link: Link,
    replica: ObservingReplica,
    known: (u64, u64),
}

impl Audit {
    async fn reach(address: SocketAddr, secret: &Path) -> Self {
        let proof = Proof::from(ClusterSecret::read(secret, None).unwrap());
        let link = Link::new([address], &Dialer::plain(), &proof);
        let [replica] = &link.replicas(soon()).await.unwrap()[..] else { panic!("there is one replica") };
        Self { replica: replica.clone(), link, known: (0, 0) }
    }

    async fn take(&self) -> pb::TakeObservationsResponse {
        self.link.take(&self.replica, self.known.0, self.known.1, soon()).await.unwrap()
    }

    /// Takes all that there is.
    async fn take_all(&mut self) -> pb::TakeObservationsResponse {
        let mut all = pb::TakeObservationsResponse::default();
        loop {
            let batch = self.take().await;
            assert_eq!((batch.node_id, batch.region.as_str()), (1, "eu"));
            if batch.batch == 0 {
                return all;
            }
            self.known = (batch.incarnation, batch.batch);
            all.cells.extend(batch.cells);
            all.records.extend(batch.records);
            all.names.extend(batch.names);
            all.lost_requests += batch.lost_requests;
            all.lost_records += batch.lost_records;
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn outcome_count(taken: &pb::TakeObservationsResponse, version: &[u8], outcome: v1::Outcome) -> u64 {
    let cells = taken.cells.iter().filter(|cell| cell.version_id == version);
    cells.filter_map(|cell| cell.outcomes.get(outcome as usize)).sum()
}

/// `key_text` is of a key that may not validate; `validator` calls.
pub(crate) async fn what_is_seen_is_handed_over_once(
    channel: &Channel,
    (address, secret): (SocketAddr, &Path),
    (validator, key_text): (&str, &str),
) {
    let mut audit = Audit::reach(address, secret).await;
    audit.take_all().await;
    let version = parse(key_text).unwrap().version;
    let (calls, report) = use_a_key(channel, validator, key_text).await;

    let first = audit.take().await;
    assert_eq!(audit.take().await, first, "it was not acknowledged");
    let taken = audit.take_all().await;
    assert_eq!((taken.lost_requests, taken.lost_records), (0, 0));
    let count = |outcome| outcome_count(&taken, version.bytes(), outcome);
    // One, one that asks for a recent state, two of a batch, and its own call with it.
    assert_eq!(count(v1::Outcome::Valid), 5);
    assert_eq!(outcome_count(&taken, parse(validator).unwrap().version.bytes(), v1::Outcome::Valid), calls);
    assert_eq!(outcome_count(&taken, &[], v1::Outcome::NotFound), 4);
    assert_eq!(outcome_count(&taken, &[], v1::Outcome::Malformed), 1);
    let cell = taken.cells.iter().find(|cell| cell.version_id == version.bytes() && !cell.networks.is_empty()).unwrap();
    assert_eq!(cell.networks[0].network, [192, 0, 2, 0, 24]);
    assert!(cell.last_used_unix_ms.is_some() && cell.latency.iter().sum::<u64>() > 0 && cell.identity.is_some());
    let reported: u64 = taken.cells.iter().filter_map(|cell| cell.reported.as_ref()).map(|one| one.requests).sum();
    assert_eq!((reported, report), (3, 1), "the repeat was not counted again");
    assert!(taken.names.iter().any(|name| name.name == "tenants/system/keyspaces/management"), "{:?}", taken.names);

    let lines = |kind: Kind| taken.records.iter().filter(move |line| line.kind() == kind).collect::<Vec<_>>();
    let [wrong] = lines(Kind::WrongSecret)[..] else { panic!("{:?}", taken.records) };
    assert_eq!((&wrong.version_id[..], wrong.outcome()), (&version.bytes()[..], v1::Outcome::NotFound));
    assert_eq!(wrong.caller, "tenants/system/identities/gateway");
    let denied = lines(Kind::Denied);
    assert_eq!(denied.len(), 2, "an unknown id, and what is no key text: {:?}", taken.records);
    assert!(denied.iter().all(|line| line.version_id.is_empty()));
    let [stranger] = lines(Kind::NoIdentity)[..] else { panic!("{:?}", taken.records) };
    assert_eq!(stranger.method, "latchkey.v1.ValidationService/ValidateKey");
    let told = format!("{taken:?}");
    assert!(!told.contains(key_text) && !told.contains(&key_text[20..]), "no text of a key, nor a part of it");
    assert!(!told.contains("/bot"), "nor what it was shown in");
    strangers_take_nothing(channel).await;
}

/// How often the validator called, and how many reports were counted.
async fn use_a_key(channel: &Channel, validator: &str, key_text: &str) -> (u64, u32) {
    let mut client = ValidationServiceClient::new(channel.clone());
    let version = parse(key_text).unwrap().version;
    let prefix = Prefix::parse("lkm").unwrap();
    let context = v1::RequestContext { client_ip: "192.0.2.77".to_owned(), ..Default::default() };
    let good = v1::ValidateKeyRequest { context: Some(context), ..ask(key_text) };
    let mut calls = 0;
    let mut validate = async |request: v1::ValidateKeyRequest| {
        calls += 1;
        client.validate_key(by(validator, request)).await.unwrap().into_inner()
    };
    let answer = validate(good.clone()).await;
    assert_eq!(answer.outcome(), v1::Outcome::Valid);
    let fully = v1::consistency::Requirement::FullyConsistent(v1::consistency::FullyConsistent {});
    validate(v1::ValidateKeyRequest {
        consistency: Some(v1::Consistency { requirement: Some(fully) }),
        ..good.clone()
    })
    .await;
    for _ in 0..3 {
        let wrong = compose(&prefix, version, &Secret::draw(&mut OsEntropy));
        assert_eq!(validate(ask(wrong.expose())).await.outcome(), v1::Outcome::NotFound);
    }
    let unknown = compose(&prefix, draw_version_id(&mut OsEntropy), &Secret::draw(&mut OsEntropy));
    // An API that takes keys in paths, and whose clients show them wherever they can.
    let shown = format!("/bot{}/send", unknown.expose());
    let context = v1::RequestContext {
        resource: shown.clone(),
        user_agent: shown.clone(),
        tags: [("path".to_owned(), shown)].into(),
        ..Default::default()
    };
    let asked = v1::ValidateKeyRequest { context: Some(context), ..ask(unknown.expose()) };
    assert_eq!(validate(asked).await.outcome(), v1::Outcome::NotFound);
    assert_eq!(validate(ask("no key\x1b[31m")).await.outcome(), v1::Outcome::Malformed);

    let item = |id: &str| v1::BatchValidateKeysItem { id: id.to_owned(), request: Some(good.clone()) };
    let batch = v1::BatchValidateKeysRequest { items: vec![item("a"), item("b")] };
    client.batch_validate_keys(by(validator, batch)).await.unwrap();
    let stranger = client.validate_key(Request::new(good.clone())).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);

    let report = |version: &str| v1::UsageReport {
        version: version.to_owned(),
        request_count: Some(3),
        status: Some(200),
        ..Default::default()
    };
    let request = v1::ReportUsageRequest {
        reports: vec![report(&answer.version), report("0000000000000000")],
        request_id: "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51".to_owned(),
    };
    let counted = client.report_usage(by(validator, request.clone())).await.unwrap().into_inner();
    assert_eq!((counted.counted_count, &counted.unknown_reports[..], counted.replayed), (1, &[1][..], false));
    let again = client.report_usage(by(validator, request.clone())).await.unwrap().into_inner();
    assert_eq!((again.counted_count, again.replayed), (1, true));
    let denied = client.report_usage(by(key_text, request)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "who validates nowhere reports nothing");
    let nothing = v1::ReportUsageRequest::default();
    let refused = client.report_usage(by(validator, nothing)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{}", reason(&refused));
    (calls + 4, counted.counted_count)
}

async fn strangers_take_nothing(channel: &Channel) {
    let mut client = RegistryServiceClient::new(channel.clone());
    let refused = client.take_observations(pb::TakeObservationsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
