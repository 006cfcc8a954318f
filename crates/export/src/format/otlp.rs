//! OTLP log records.

use crate::meaning::{Meaning, Outcome};
use crate::record::Record;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// The records as one request. All are of one origin.
#[must_use]
pub fn request(records: &[Record]) -> ExportLogsServiceRequest {
    let origin = records.first().map(|record| record.origin.to_string()).unwrap_or_default();
    let attributes = vec![attribute("service.name", text("latchkey")), attribute("service.namespace", text(&origin))];
    let scope = InstrumentationScope { name: "latchkey.audit".to_owned(), ..InstrumentationScope::default() };
    let scope_logs = ScopeLogs {
        scope: Some(scope),
        log_records: records.iter().map(log_record).collect(),
        schema_url: String::new(),
    };
    let resource = Resource { attributes, ..Resource::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], schema_url: String::new() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

/// The record as a log record.
#[must_use]
pub fn log_record(record: &Record) -> LogRecord {
    let (entry, meaning) = (&record.entry, Meaning::of(&record.entry.action));
    let (severity, word) = match (meaning.outcome, meaning.severity) {
        (Outcome::Failure, _) | (_, 3..) => (SeverityNumber::Warn, "WARN"),
        _ => (SeverityNumber::Info, "INFO"),
    };
    let nanos = u64::try_from(record.millis()).unwrap_or_default().saturating_mul(1_000_000);
    let sequence = Value::IntValue(i64::try_from(entry.sequence).unwrap_or(i64::MAX));
    let mut attributes = vec![
        attribute("log.record.uid", text(&record.id())),
        attribute("latchkey.sequence", sequence),
        attribute("latchkey.outcome", text(meaning.outcome.as_str())),
        attribute("latchkey.leaf", text(&record.leaf_hex())),
    ];
    let texts = [
        ("latchkey.actor", record.actor_name()),
        ("latchkey.subject", record.subject().to_owned()),
        ("latchkey.tenant", entry.tenant.clone()),
        ("latchkey.reason", record.reason().to_owned()),
        ("latchkey.request_id", entry.request_id.clone()),
    ];
    attributes
        .extend(texts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| attribute(name, text(value))));
    attributes.extend(
        record.facts().into_iter().map(|(name, value)| attribute(&format!("latchkey.fact.{name}"), text(value))),
    );
    LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        severity_number: severity.into(),
        severity_text: word.to_owned(),
        body: Some(AnyValue { value: Some(text(&record.line())) }),
        attributes,
        event_name: format!("latchkey.{}", entry.action),
        ..LogRecord::default()
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
