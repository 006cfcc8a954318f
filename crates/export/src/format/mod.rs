//! The forms that a record can have.

pub mod access_ecs;
pub mod access_ocsf;
pub mod cloud_events;
pub mod ecs;
pub mod json;
pub mod ocsf;
pub mod otlp;
pub mod rfc5424;

use crate::item::Item;
use latchkey_config::SinkFormat;
use serde_json::Value;

/// A form in JSON: one object for each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
    /// CloudEvents, the structured mode.
    CloudEvents,
    /// Our own: the JSON of the API.
    Json,
}

impl Format {
    /// The item in this form.
    #[must_use]
    pub fn value(self, item: &impl Item) -> Value {
        item.value(self)
    }

    /// A line for each item.
    #[must_use]
    pub fn lines<T: Item>(self, items: &[T]) -> Vec<u8> {
        let mut lines = Vec::new();
        for item in items {
            lines.extend_from_slice(item.value(self).to_string().as_bytes());
            lines.push(b'\n');
        }
        lines
    }
}

impl From<SinkFormat> for Format {
    fn from(format: SinkFormat) -> Self {
        match format {
            SinkFormat::Ecs => Self::Ecs,
            SinkFormat::Ocsf => Self::Ocsf,
            SinkFormat::CloudEvents => Self::CloudEvents,
            SinkFormat::Json => Self::Json,
        }
    }
}

/// An object without what is empty: a field that says nothing is not there.
pub(crate) fn object(fields: Vec<(&str, Value)>) -> Value {
    let told = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    Value::Object(
        fields.into_iter().filter(|(_, value)| told(value)).map(|(name, value)| (name.to_owned(), value)).collect(),
    )
}

/// The last part of a resource name.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
