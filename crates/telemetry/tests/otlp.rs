//! The export against a receiver, in a process of its own: there is one log and one recorder a process.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use latchkey_telemetry::trace::{self, Decision};
use latchkey_telemetry::{LogFormat, Options, names, serve_metrics, span, span_after};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A trace that a caller began.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// One that he does not want kept.
const UNSAMPLED: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[derive(Clone, Debug, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    metrics: Vec<Metric>,
    services: Vec<String>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            received.services.extend(attributes.into_iter().map(|one| format!("{}={:?}", one.key, one.value)));
            received.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        self.0.lock().unwrap().logs.extend(scopes.flat_map(|scope| scope.log_records));
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        self.0.lock().unwrap().metrics = scopes.flat_map(|scope| scope.metrics).collect();
        Ok(Response::new(Default::default()))
    }
}

async fn receive(listener: TcpListener, receiver: Receiver) {
    let server = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(receiver.clone()))
        .add_service(LogsServiceServer::new(receiver.clone()))
        .add_service(MetricsServiceServer::new(receiver));
    server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
}

fn headers(traceparent: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("traceparent".parse().unwrap(), HeaderValue::from_static(traceparent))])
}

async fn put(address: SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (method, length) = (if body.is_empty() { "GET" } else { "PUT" }, body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\naccept: application/openmetrics-text\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One test, as one process has one of each: a collector that is away, then there; spans, log records and metrics that
/// belong together; the filter changed while it runs; and the end, which loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_arrives_as_one_whole_once_there_is_a_collector() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = Options {
        log_format: LogFormat::Json,
        otlp_endpoint: Some(format!("http://{address}")),
        trace_sample_ratio: 0.0,
        ..Options::default()
    };
    let guard = latchkey_telemetry::init("latchkey-test", &options).unwrap();
    let endpoint = serve_metrics((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();

    // A call that is traced, with what is below it, while nobody listens.
    let Decision::Follows(parent) = trace::decide(&headers(CALLER), true) else { panic!("its caller traces it") };
    let call = tracing::info_span!(target: trace::TARGET, "rpc", otel.name = "Service/Call", otel.kind = "server");
    trace::follow(&call, &parent);
    let (passed_on, kept) = call.in_scope(|| {
        trace::note("latchkey.tenant", || "tenants/acme");
        span!("propose").in_scope(|| {
            tracing::info!(kind = "test", "within the call");
            metrics::histogram!(names::PROPOSE_SECONDS).record(0.003);
            let mut leaving = HeaderMap::new();
            trace::pass_on(&mut leaving);
            (leaving["traceparent"].to_str().unwrap().to_owned(), latchkey_telemetry::TraceParent::current())
        })
    });
    drop(call);
    assert_eq!(passed_on[..36], CALLER[..36], "the same trace");
    assert_ne!(passed_on[36..52], CALLER[36..52], "our own span");
    // A replica, later, with what lay in the record.
    drop(span_after!(kept, "apply", latchkey.revision = 7_u64).entered());

    // One that is not, whatever is below it.
    assert_eq!(trace::decide(&headers(UNSAMPLED), true), Decision::Not);
    assert_eq!(trace::decide(&HeaderMap::new(), true), Decision::Not, "a share of 0");
    assert!(span!("propose").is_disabled() && span_after!(None, "apply").is_disabled());
    tracing::info!("outside of any call");
    tracing::debug!("below the filter");

    // The filter, changed and back.
    let metrics_at = endpoint.address();
    assert!(put(metrics_at, "/log-level", "").await.ends_with("\r\n\r\ninfo\n"));
    assert!(put(metrics_at, "/log-level?for=1s", "otlp=debug").await.ends_with("otlp=debug\n"));
    tracing::debug!("told for a second");
    for (path, body) in [("/log-level", "a=loud"), ("/log-level?for=25h", "info"), ("/log-level?x", "info")] {
        assert!(put(metrics_at, path, body).await.starts_with("HTTP/1.1 400"), "{path} {body}");
    }
    let scraped = put(metrics_at, "/metrics", "").await;
    let exemplar = format!("# {{trace_id=\"{}\"", &CALLER[3..35]);
    assert!(scraped.contains(&exemplar), "{scraped}");

    // What the health service says, for whoever has no certificate to ask it.
    assert!(put(metrics_at, "/health", "").await.starts_with("HTTP/1.1 200"), "it answers, so it is up");
    assert!(put(metrics_at, "/health/latchkey.validate", "").await.starts_with("HTTP/1.1 404"), "nobody has said");
    for (says, status) in [(0.0, "HTTP/1.1 503"), (1.0, "HTTP/1.1 200")] {
        metrics::gauge!(names::SERVES, "probe" => "latchkey.validate").set(says);
        assert!(put(metrics_at, "/health/latchkey.validate", "").await.starts_with(status), "{status}");
    }

    // The first attempt, half a second after the first item, finds nobody.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let receiver = Receiver::default();
    let receiving = tokio::spawn(receive(listener, receiver.clone()));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(put(metrics_at, "/log-level", "").await.ends_with("\r\n\r\ninfo\n"), "the time is over");
    tracing::info!("the last words");
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();
    receiving.abort();

    let received = receiver.0.lock().unwrap();
    let trace_id: Vec<u8> = kept.unwrap().to_bytes()[..16].to_vec();
    let span = |name: &str| received.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}"));
    let (call, propose, apply) = (span("Service/Call"), span("propose"), span("apply"));
    assert!([call, propose, apply].iter().all(|span| span.trace_id == trace_id), "{:?}", received.spans);
    assert_eq!(propose.parent_span_id, call.span_id);
    assert_eq!(apply.parent_span_id, propose.span_id);
    assert_eq!(received.spans.len(), 3);
    assert!(call.attributes.iter().any(|one| one.key == "latchkey.tenant"), "{call:?}");
    assert!(received.services.iter().any(|one| one.contains("service.name") && one.contains("latchkey-test")));

    let said = |words: &str| {
        received
            .logs
            .iter()
            .find(|record| format!("{:?}", record.body).contains(words))
            .unwrap_or_else(|| panic!("{words}: {:?}", received.logs))
    };
    assert_eq!(said("within the call").trace_id, trace_id);
    assert_eq!(said("within the call").span_id, propose.span_id);
    assert!(said("outside of any call").trace_id.is_empty());
    said("told for a second");
    said("the last words");
    assert!(!received.logs.iter().any(|record| format!("{:?}", record.body).contains("below the filter")));

    let histogram = received.metrics.iter().find(|metric| metric.name == "latchkey.propose").expect("it was recorded");
    assert_eq!(histogram.unit, "s");
    let Some(metric::Data::Histogram(histogram)) = &histogram.data else { panic!("{histogram:?}") };
    assert_eq!((histogram.data_points[0].count, histogram.data_points[0].exemplars.len()), (1, 1));
    assert_eq!(histogram.data_points[0].exemplars[0].trace_id, trace_id);
}
