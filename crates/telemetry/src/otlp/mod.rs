//! Spans, log records and metrics to a collector, over OTLP and gRPC.
//!
//! Whoever has something to tell puts it into a bounded queue and goes on: a full queue drops, and counts what it dropped.
//! One thread of its own empties the queues, so that a collector that is slow, or away, costs nobody else a moment.

mod log_layer;
mod points;
mod queue;
mod sender;
mod span_queue;

pub(crate) use log_layer::LogLayer;

use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use latchkey_crypto::Entropy as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::sync::watch;
use tonic::transport::Endpoint;
use tracing::Dispatch;

use crate::entropy::OsEntropy;
use crate::init::{InitError, Options};
use crate::otlp::queue::queue;
use crate::otlp::sender::Sender;
use crate::otlp::span_queue::SpanQueue;
use crate::{metrics, names, trace};

/// How long an exiting process waits for its last spans. Longer would hold up a restart for the sake of a trace.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(3);

/// The export, while it runs.
#[derive(Debug)]
pub(crate) struct Export {
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    /// Where its thread logs, once there is a log.
    outside: Arc<OnceLock<Dispatch>>,
    // Whoever ends it ends its tracers: it has to live as long as they are used.
    _provider: SdkTracerProvider,
}

/// What hands over to the export.
pub(crate) struct Sources {
    pub(crate) tracer: SdkTracer,
    pub(crate) logs: LogLayer,
}

/// Starts the export, if an endpoint is set.
pub(crate) fn start(service: &'static str, options: &Options) -> Result<Option<(Export, Sources)>, InitError> {
    let Some(address) = &options.otlp_endpoint else { return Ok(None) };
    let refused = || InitError::Otlp { endpoint: address.clone() };
    let uri: http::Uri = address.parse().map_err(|_| refused())?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err(refused());
    }
    let resource = resource(service);
    let (spans, span_items) = queue("traces");
    let (logs, log_items) = queue("logs");
    let provider = SdkTracerProvider::builder()
        .with_span_processor(SpanQueue::new(spans))
        // What is sampled was decided before its span was made.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource.clone())
        .build();
    let tracer = provider.tracer(service);

    let (stop, stopped) = watch::channel(false);
    let (ending, ended) = mpsc::channel();
    let sender = Sender::new(Endpoint::from(uri), &resource, metrics::recorder().clone());
    let outside = Arc::<OnceLock<Dispatch>>::default();
    let log = outside.clone();
    let work = move || {
        // What the export's own connection has to say must not be exported.
        let silent = Dispatch::none();
        tracing::dispatcher::with_default(&silent, || sender.run(span_items, log_items, stopped, log));
        drop(ending);
    };
    let thread = std::thread::Builder::new().name("otlp".into()).spawn(work).map_err(InitError::Thread)?;
    trace::start(options.trace_sample_ratio);
    let export = Export { stop, ended, thread: Some(thread), outside, _provider: provider };
    Ok(Some((export, Sources { tracer, logs: LogLayer::new(logs) })))
}

impl Export {
    /// What it has to say goes into the log that there is now.
    pub(crate) fn log_here(&self) {
        // Said once, right after the log was made.
        let _ = self.outside.set(tracing::dispatcher::get_default(Clone::clone));
    }
}

impl Drop for Export {
    /// Sends what is queued, within [`FLUSH_MAX`].
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // The other half is dropped at the thread's end, which is the answer.
        if self.ended.recv_timeout(FLUSH_MAX + Duration::from_millis(200)) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the collector did not take what was left in time");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the export panicked");
        }
    }
}

/// Who this is, by the conventions; `OTEL_RESOURCE_ATTRIBUTES` may add to it.
fn resource(service: &'static str) -> Resource {
    let mut id = [0; 16];
    OsEntropy.fill(&mut id);
    id[6] = (id[6] & 0x0F) | 0x40;
    id[8] = (id[8] & 0x3F) | 0x80;
    let id = id.iter().enumerate().fold(String::new(), |text, (at, byte)| {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        format!("{text}{dash}{byte:02x}")
    });
    Resource::builder()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", id),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .build()
}

/// Counts what no collector will see.
pub(crate) fn dropped(signal: &'static str, reason: &'static str, count: u64) {
    ::metrics::counter!(names::TELEMETRY_DROPPED_TOTAL, "signal" => signal, "reason" => reason).increment(count);
}
