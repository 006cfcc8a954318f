//! Spans into their queue, at their end.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::otlp::queue::Queue;

/// What the tracer hands its spans to.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    queue: Queue<SpanData>,
}

impl SpanQueue {
    pub(crate) const fn new(queue: Queue<SpanData>) -> Self {
        Self { queue }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.queue.put(span);
    }

    /// The export's own end flushes.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
