//! The thread that empties the queues: in batches, each tried a few times, with one connection for all.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use latchkey_domain::UnixMillis;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource as PbResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tracing::Dispatch;

use crate::clock::{Clock as _, SystemClock};
use crate::metrics::Recorder;
use crate::names;
use crate::otlp::log_layer::Logged;
use crate::otlp::{FLUSH_MAX, dropped, points};

/// Items that one message carries.
const BATCH_MAX: usize = 512;

/// How long the first of a batch waits for others.
const LINGER: Duration = Duration::from_millis(500);

/// How often metrics are pushed: as often as they are usually scraped.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);

/// How long one export may take before it is given up.
const EXPORT_MAX: Duration = Duration::from_secs(3);

/// How often a batch is tried, and how long is waited before the second time, the third, ...
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// All that the thread has.
pub(crate) struct Sender {
    endpoint: Endpoint,
    resource: PbResource,
    spans_of: ResourceAttributesWithSchema,
    recorder: Recorder,
    since: UnixMillis,
}

impl Sender {
    pub(crate) fn new(endpoint: Endpoint, resource: &Resource, recorder: Recorder) -> Self {
        let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
        Self {
            endpoint: endpoint.connect_timeout(EXPORT_MAX),
            resource: PbResource { attributes, ..PbResource::default() },
            spans_of: resource.into(),
            recorder,
            since: SystemClock.unix_millis(),
        }
    }

    /// Works until it is stopped, and then for as long as it takes to send what is left, within bounds. `outside` is where
    /// it logs.
    pub(crate) fn run(
        self,
        spans: mpsc::Receiver<SpanData>,
        logs: mpsc::Receiver<Logged>,
        stopped: watch::Receiver<bool>,
        outside: Arc<OnceLock<Dispatch>>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime needs a few file descriptors");
        runtime.block_on(async move {
            // Connects with the first export and again after each loss. Within the runtime, which it keeps.
            let channel = self.endpoint.connect_lazy();
            let pipe = |signal| Pipe { signal, stopped: stopped.clone(), outside: outside.clone(), away: false };
            let (traces, logging, pushing) = (
                self.export_spans(pipe("traces"), spans, channel.clone()),
                self.export_logs(pipe("logs"), logs, channel.clone()),
                self.push_metrics(pipe("metrics"), channel),
            );
            let all = async { tokio::join!(traces, logging, pushing) };
            let mut stopping = stopped.clone();
            tokio::select! {
                _ = all => {}
                () = async {
                    // An error means that nobody waits any more.
                    let _ = stopping.wait_for(|stopped| *stopped).await;
                    sleep(FLUSH_MAX).await;
                } => {}
            }
        });
        // A look-up of a name that hangs must not hold the process.
        runtime.shutdown_background();
    }

    async fn export_spans(&self, mut pipe: Pipe, mut spans: mpsc::Receiver<SpanData>, channel: Channel) {
        while let Some(batch) = pipe.batch(&mut spans).await {
            let count = batch.len();
            let resource_spans = group_spans_by_resource_and_scope(batch, &self.spans_of);
            let request = ExportTraceServiceRequest { resource_spans };
            pipe.send(count, || {
                let (mut client, request) = (TraceServiceClient::new(channel.clone()), request.clone());
                async move {
                    let partial = client.export(request).await?.into_inner().partial_success;
                    Ok(partial.map_or(0, |partial| partial.rejected_spans))
                }
            })
            .await;
        }
    }

    async fn export_logs(&self, mut pipe: Pipe, mut logs: mpsc::Receiver<Logged>, channel: Channel) {
        while let Some(batch) = pipe.batch(&mut logs).await {
            let count = batch.len();
            let resource_logs = vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: by_scope(batch),
                schema_url: String::new(),
            }];
            let request = ExportLogsServiceRequest { resource_logs };
            pipe.send(count, || {
                let (mut client, request) = (LogsServiceClient::new(channel.clone()), request.clone());
                async move {
                    let partial = client.export(request).await?.into_inner().partial_success;
                    Ok(partial.map_or(0, |partial| partial.rejected_log_records))
                }
            })
            .await;
        }
    }

    /// Metrics are cumulative: what did not arrive is in the next push, so that none is tried twice.
    async fn push_metrics(&self, mut pipe: Pipe, channel: Channel) {
        let mut ticks = interval(METRICS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            let stopping = tokio::select! {
                _ = pipe.stopped.wait_for(|stopped| *stopped) => true,
                _ = ticks.tick() => false,
            };
            let metrics = points::metrics(&self.recorder.gather(), self.since, SystemClock.unix_millis());
            let count = metrics.len();
            let resource_metrics = vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope("latchkey")),
                    metrics,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }];
            let request = ExportMetricsServiceRequest { resource_metrics };
            let mut client = MetricsServiceClient::new(channel.clone());
            let answer = timeout(EXPORT_MAX, client.export(request)).await;
            let partial = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            pipe.ended(
                count,
                partial.map(|answer| answer.into_inner().partial_success.map_or(0, |one| one.rejected_data_points)),
            );
            if stopping {
                return;
            }
        }
    }
}

/// What one signal goes through.
struct Pipe {
    signal: &'static str,
    stopped: watch::Receiver<bool>,
    outside: Arc<OnceLock<Dispatch>>,
    /// The collector took nothing the last time: said once, and once when it takes again.
    away: bool,
}

impl Pipe {
    /// The next batch; `None` when it was stopped and nothing is left.
    async fn batch<T>(&mut self, items: &mut mpsc::Receiver<T>) -> Option<Vec<T>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            taken = items.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { return None },
            _ = self.stopped.wait_for(|stopped| *stopped) => items.close(),
        }
        if batch.is_empty() {
            return (items.recv_many(&mut batch, BATCH_MAX).await > 0).then_some(batch);
        }
        let full = async {
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                if items.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        };
        tokio::select! {
            () = full => {}
            () = sleep(LINGER) => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
        Some(batch)
    }

    /// Sends a batch, again where that may help, once only where the process ends.
    async fn send<A: Future<Output = Result<i64, Status>>>(&mut self, count: usize, send: impl Fn() -> A) {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = timeout(EXPORT_MAX, send()).await;
            let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            let again = answer.as_ref().is_err_and(may_pass) && !*self.stopped.borrow();
            match pauses.next() {
                Some(pause) if again => {
                    tokio::select! {
                        () = sleep(*pause) => {}
                        _ = self.stopped.wait_for(|stopped| *stopped) => {}
                    }
                }
                _ => return self.ended(count, answer),
            }
        }
    }

    /// Counts, and says what has changed. `refused`: how many the collector did not want.
    fn ended(&mut self, count: usize, answer: Result<i64, Status>) {
        let count = count as u64;
        let refused = answer.as_ref().map_or(count, |refused| u64::try_from(*refused).unwrap_or(0).min(count));
        if refused > 0 {
            dropped(self.signal, "not_taken", refused);
        }
        ::metrics::counter!(names::TELEMETRY_EXPORTED_TOTAL, "signal" => self.signal).increment(count - refused);
        let (was_away, signal) = (std::mem::replace(&mut self.away, answer.is_err()), self.signal);
        let Some(outside) = self.outside.get() else { return };
        tracing::dispatcher::with_default(outside, || match answer {
            Err(status) if !was_away => {
                tracing::warn!(signal, code = ?status.code(), message = status.message(), "the collector takes nothing");
            }
            Ok(_) if was_away => tracing::info!(signal, "the collector takes again"),
            _ => {}
        });
    }
}

/// What the protocol says may be sent again.
fn may_pass(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, ResourceExhausted, Unavailable};
    matches!(
        status.code(),
        Aborted | Cancelled | DataLoss | DeadlineExceeded | OutOfRange | ResourceExhausted | Unavailable
    )
}

fn scope(name: &str) -> InstrumentationScope {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    InstrumentationScope { name: name.to_owned(), version, ..InstrumentationScope::default() }
}

/// The records by what logged them.
fn by_scope(batch: Vec<Logged>) -> Vec<ScopeLogs> {
    let mut scopes: Vec<ScopeLogs> = Vec::new();
    for Logged { target, record } in batch {
        let at = scopes.iter().position(|logs| logs.scope.as_ref().is_some_and(|scope| scope.name == target));
        let at = at.unwrap_or_else(|| {
            scopes.push(ScopeLogs { scope: Some(scope(target)), log_records: Vec::new(), schema_url: String::new() });
            scopes.len() - 1
        });
        scopes[at].log_records.push(record);
    }
    scopes
}
