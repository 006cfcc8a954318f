//! Spans to OTLP over gRPC.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::init::{InitError, Options};

/// How long an exiting process waits for its last spans. Longer would hold up a restart for the sake of a trace.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(3);

/// How long one export may take before it is given up.
const EXPORT_MAX: Duration = Duration::from_secs(3);

/// The provider, if an endpoint is set.
pub(crate) fn provider(service: &'static str, options: &Options) -> Result<Option<SdkTracerProvider>, InitError> {
    let Some(endpoint) = &options.otlp_endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_MAX)
        .build()
        .map_err(|source| InitError::Otlp { endpoint: endpoint.clone(), source })?;
    let own_choice = Sampler::TraceIdRatioBased(options.trace_sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(own_choice)))
        .with_resource(Resource::builder().with_service_name(service).build())
        .build();
    Ok(Some(provider))
}

/// The layer that turns our spans into OTLP spans. It has a filter of its own: a validation's span is at `debug`, so
/// that it costs nothing when nobody exports, and is exported when somebody does.
pub(crate) fn layer<S>(provider: &SdkTracerProvider, service: &'static str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_filter(Targets::new().with_target("latchkey", Level::DEBUG))
}
