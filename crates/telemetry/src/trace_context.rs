//! W3C trace context: the caller's `traceparent` becomes the parent of our span, and ours travels on.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes the caller's span the parent of `span`, if `headers` name one. Without OTLP this does nothing.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key("traceparent") {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    // A span that is not exported has no context to set; that is no failure.
    let _ = span.set_parent(context);
}

/// Writes the context of `span` into `headers` for the next service. Without OTLP this does nothing.
pub fn pass_on(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_trace_of_the_caller_goes_on_in_the_next_service() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let mut arrived = HeaderMap::new();
        arrived.insert("traceparent", HeaderValue::from_static(PARENT));

        let span = tracing::info_span!("call");
        adopt(&span, &arrived);
        let mut leaving = HeaderMap::new();
        pass_on(&span, &mut leaving);

        let passed_on = leaving["traceparent"].to_str().unwrap();
        assert_eq!(passed_on[..36], PARENT[..36], "the same trace");
        assert_ne!(passed_on[36..52], PARENT[36..52], "our own span");
    }

    #[test]
    fn nothing_is_written_where_nobody_traces() {
        let mut leaving = HeaderMap::new();
        pass_on(&Span::none(), &mut leaving);
        assert!(leaving.is_empty());
    }
}
