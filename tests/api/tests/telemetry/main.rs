//! What the services tell of themselves, asked as an operator asks: a collector that they push to, and what they expose.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod cluster;
mod receiver;

use cluster::{Cluster, REPLICAS};
use latchkey_telemetry::names::{self, Kind, Metric, Where};
use latchkey_telemetry::{Options, TraceParent};
use latchkey_wire::pb::v1 as pb;
use opentelemetry_proto::tonic::trace::v1::Span;
use pb::directory_service_client::DirectoryServiceClient;
use pb::issuance_service_client::IssuanceServiceClient;
use pb::validation_service_client::ValidationServiceClient;
use receiver::{Receiver, attribute};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Request;

/// The trace that the caller begins.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Longer than anything here takes.
const WITHIN: Duration = Duration::from_secs(60);

/// A request of root, in a trace or in none.
fn asked<T>(root_text: &str, trace: Option<&'static str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {root_text}").parse().unwrap());
    if let Some(trace) = trace {
        request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    }
    request
}

/// Makes a key, in the caller's trace; all before it is in none. Gives its text and its name.
async fn make_key(cluster: &Cluster) -> (String, String) {
    let (root, channel) = (&cluster.root_text, latchkey_transport::channel(cluster.issuance.address()));
    let mut directory = DirectoryServiceClient::new(channel.clone());
    let tenant = pb::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        tenant: Some(pb::Tenant::default()),
        ..Default::default()
    };
    directory.create_tenant(asked(root, None, tenant)).await.unwrap();
    let keyspace = pb::Keyspace {
        prefix: "acme_live".to_owned(),
        environment: "production".to_owned(),
        ..pb::Keyspace::default()
    };
    let keyspace = pb::CreateKeyspaceRequest {
        parent: "tenants/acme".to_owned(),
        keyspace_id: "orders".to_owned(),
        keyspace: Some(keyspace),
        ..Default::default()
    };
    directory.create_keyspace(asked(root, None, keyspace)).await.unwrap();
    let key = pb::CreateKeyRequest { parent: "tenants/acme/keyspaces/orders".to_owned(), ..Default::default() };
    let made = IssuanceServiceClient::new(channel).create_key(asked(root, Some(TRACEPARENT), key)).await.unwrap();
    let made = made.into_inner();
    (made.key_text, made.key.unwrap().name)
}

async fn validate(cluster: &Cluster, key_text: &str, trace: Option<&'static str>) {
    let channel = latchkey_transport::channel(cluster.replicas[0].addresses().api);
    let request = pb::ValidateKeyRequest { key_text: key_text.to_owned(), ..Default::default() };
    ValidationServiceClient::new(channel).validate_key(asked(&cluster.root_text, trace, request)).await.unwrap();
}

async fn revoke(cluster: &Cluster, name: &str) {
    let channel = latchkey_transport::channel(cluster.issuance.address());
    let reason = pb::RevocationReason::Superseded.into();
    let request = pb::RevokeKeyRequest { name: name.to_owned(), reason, ..Default::default() };
    IssuanceServiceClient::new(channel).revoke_key(asked(&cluster.root_text, None, request)).await.unwrap();
}

async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: test\r\naccept: application/openmetrics-text\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One test, as one process has one log and one recorder.
#[tokio::test(flavor = "multi_thread")]
async fn one_call_is_one_trace_through_every_service_and_what_is_exposed_is_the_contract() {
    let (receiver, collector) = Receiver::start().await;
    let options = Options {
        log_filter: "error,openraft=off".to_owned(),
        otlp_endpoint: Some(format!("http://{collector}")),
        trace_sample_ratio: 0.0,
        ..Options::default()
    };
    let guard = latchkey_telemetry::init("latchkey-test", &options).unwrap();
    let cluster = Cluster::found().await;

    let (key_text, name) = make_key(&cluster).await;
    validate(&cluster, &key_text, None).await;
    validate(&cluster, &key_text, Some(TRACEPARENT)).await;
    revoke(&cluster, &name).await;

    let trace = TraceParent::from_header(TRACEPARENT).unwrap().to_bytes();
    let trace = &trace[..16];
    let whole = async {
        while !is_whole(&receiver.trace(trace)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let came = tokio::time::timeout(WITHIN, whole).await;
    let spans = receiver.trace(trace);
    assert!(came.is_ok(), "{:#?}", spans.iter().map(told).collect::<Vec<_>>());
    hangs_together(&spans);
    says_what_it_is_about(&spans, &key_text);
    assert!(receiver.others(trace).is_empty(), "what nobody traces has no span: {:#?}", receiver.others(trace));

    // A gauge may stand for what is known a little after the start, such as the voters' clocks.
    let metrics = cluster.replicas[0].addresses().metrics;
    let complete = async {
        while !missing(&scrape(metrics).await).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let complete = tokio::time::timeout(WITHIN, complete).await;
    let exposed = scrape(metrics).await;
    assert!(complete.is_ok(), "promised, and not exposed: {:?}", missing(&exposed));
    is_the_contract(&exposed);
    cluster.stop().await;
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();
}

fn told(span: &Span) -> String {
    format!("{} {:?}", span.name, span.attributes.iter().map(|one| (&one.key, &one.value)).collect::<Vec<_>>())
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Issuance, the leader, each replica that applied, audit, and a validation.
fn is_whole(spans: &[Span]) -> bool {
    let applied: BTreeSet<_> = named(spans, "apply").into_iter().map(|span| attribute(span, "latchkey.node")).collect();
    !named(spans, "latchkey.v1.IssuanceService/CreateKey").is_empty()
        && !named(spans, "latchkey.internal.v1.RegistryService/Propose").is_empty()
        && !named(spans, "latchkey.v1.ValidationService/ValidateKey").is_empty()
        && applied.len() == usize::try_from(REPLICAS).unwrap()
        && !named(spans, "store entry").is_empty()
}

/// Each span but those of the caller's own calls has its parent among the others, and each leads back to the caller.
fn hangs_together(spans: &[Span]) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let caller = &TraceParent::from_header(TRACEPARENT).unwrap().to_bytes()[16..24];
    for span in spans {
        let mut at = span;
        for _ in 0..spans.len() {
            match by_id.get(&at.parent_span_id) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        assert_eq!(at.parent_span_id, caller, "{} hangs in the air", span.name);
    }
    let parent = |span: &Span| by_id[&span.parent_span_id].name.clone();
    let propose = named(spans, "latchkey.internal.v1.RegistryService/Propose")[0];
    assert_eq!(parent(propose), "propose", "the link's, which is below issuance's");
    assert!(named(spans, "apply").into_iter().all(|span| parent(span) == "propose"), "the leader's");
    assert!(named(spans, "store entry").into_iter().all(|span| parent(span) == "apply"));
}

fn says_what_it_is_about(spans: &[Span], key_text: &str) {
    let create = named(spans, "latchkey.v1.IssuanceService/CreateKey")[0];
    assert_eq!(attribute(create, "rpc.response.status_code").as_deref(), Some("OK"));
    assert_eq!(attribute(create, "latchkey.tenant").as_deref(), Some("system"), "root calls");
    assert!(attribute(create, "latchkey.key").is_some());
    let validate = named(spans, "latchkey.v1.ValidationService/ValidateKey")[0];
    assert_eq!(attribute(validate, "latchkey.outcome").as_deref(), Some("VALID"));
    for span in spans.iter().filter(|span| ["apply", "store entry"].contains(&span.name.as_str())) {
        assert!(attribute(span, "latchkey.revision").is_some(), "{}", told(span));
    }
    let secret = key_text.rsplit('_').next().unwrap();
    assert!(!format!("{spans:?}").contains(secret), "a key text is in no span");
}

/// What the table promises of every replica and is not exposed.
fn missing(exposed: &str) -> Vec<&'static str> {
    let samples = exposed.lines().filter_map(|line| of_sample(&line[..line.find(['{', ' '])?]));
    let seen: BTreeSet<_> = samples.map(|metric| metric.name).collect();
    let promised = names::ALL.iter().filter(|metric| metric.place != Where::Happened);
    promised.map(|metric| metric.name).filter(|name| !seen.contains(name)).collect()
}

/// What is exposed is in the table as it stands there; [`missing`] is the other way.
fn is_the_contract(exposed: &str) {
    for line in exposed.lines().filter(|line| !line.starts_with('#') && line.contains(' ')) {
        let end = line.find(['{', ' ']).unwrap();
        let Some(metric) = of_sample(&line[..end]) else {
            assert!(!line.starts_with("latchkey_"), "{line} is not in the contract");
            continue;
        };
        let labels = line[end..].strip_prefix('{').map_or("", |rest| rest.split_once("} ").unwrap().0);
        let labels = labels.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(label, _)| label.to_owned());
        let labels: BTreeSet<_> = labels.filter(|label| label != "le").collect();
        let expected: BTreeSet<_> = metric.labels.iter().map(|label| Metric::scraped_label(label)).collect();
        assert_eq!(labels, expected, "{line}");
    }
    assert!(exposed.contains(&format!("trace_id=\"{}\"", &TRACEPARENT[3..35])), "no exemplar");
}

/// The metric that a line is of.
fn of_sample(name: &str) -> Option<&'static Metric> {
    let of_histogram = |suffix| names::find(name.strip_suffix(suffix)?).filter(|metric| metric.kind == Kind::Histogram);
    names::find(name).or_else(|| ["_bucket", "_sum", "_count"].into_iter().find_map(of_histogram))
}
