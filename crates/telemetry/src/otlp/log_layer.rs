//! Log events as OTLP's log records, with the trace that they belong to.

use std::fmt::Debug;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::{Clock as _, SystemClock};
use crate::otlp::queue::Queue;
use crate::trace::TraceParent;

/// A record, and what logged it.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) target: &'static str,
    pub(crate) record: LogRecord,
}

/// The layer. It is told which events by the same filter as the log on stderr.
pub(crate) struct LogLayer {
    queue: Queue<Logged>,
}

impl LogLayer {
    pub(crate) const fn new(queue: Queue<Logged>) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let nanos = SystemClock.unix_millis().millis().saturating_mul(1_000_000);
        let (number, text) = severity(*metadata.level());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let trace = TraceParent::current();
        let record = LogRecord {
            time_unix_nano: nanos,
            observed_time_unix_nano: nanos,
            severity_number: number.into(),
            severity_text: text.to_owned(),
            body: fields.message.map(|text| AnyValue { value: Some(Value::StringValue(text)) }),
            attributes: fields.others,
            flags: trace.map_or(0, |trace| u32::from(trace.is_sampled())),
            trace_id: trace.map_or_else(Vec::new, |trace| trace.trace_bytes().to_vec()),
            span_id: trace.map_or_else(Vec::new, |trace| trace.span_bytes().to_vec()),
            ..LogRecord::default()
        };
        self.queue.put(Logged { target: metadata.target(), record });
    }
}

const fn severity(level: Level) -> (SeverityNumber, &'static str) {
    match level {
        Level::ERROR => (SeverityNumber::Error, "ERROR"),
        Level::WARN => (SeverityNumber::Warn, "WARN"),
        Level::INFO => (SeverityNumber::Info, "INFO"),
        Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    }
}

/// The message, and what it is about.
#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Vec<KeyValue>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::StringValue(text)) => self.message = Some(text),
            (name, value) => {
                let value = Some(AnyValue { value: Some(value) });
                self.others.push(KeyValue { key: name.to_owned(), value, ..KeyValue::default() });
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::StringValue(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::StringValue(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::BoolValue(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::IntValue(value));
    }

    /// OTLP has no number that is so large without a sign.
    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).map_or_else(|_| Value::StringValue(value.to_string()), Value::IntValue);
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::DoubleValue(value));
    }
}
