//! Which fields of an answer become columns, and how each is written.

use crate::cli::{moment, names};
use latchkey_domain::UnixMillis;
use serde_json::Value;

/// A table over messages of one kind.
#[derive(Debug)]
pub(crate) struct View {
    /// Its columns.
    pub(crate) columns: &'static [Column],
    /// What to print where there is no row.
    pub(crate) none: &'static str,
}

/// One column.
#[derive(Debug)]
pub(crate) struct Column {
    /// What stands above it.
    pub(crate) header: &'static str,
    /// The JSON names from the message to the value, joined by points.
    pub(crate) path: &'static str,
    /// How the value is written.
    pub(crate) shape: Shape,
}

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "-";

/// How a value is written in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is; lists joined by commas.
    Plain,
    /// A resource name in its short form.
    Name,
    /// A word with a colour.
    Word,
    /// A moment as it is.
    Time,
    /// How long ago, or in how long.
    Age,
    /// How many.
    Count,
    /// A number; where it is left out it is 0.
    Number,
    /// `epoch:index`.
    Revision,
    /// Duties and what they are on: `issuer:acme/orders`, as the arguments take them.
    Grants,
    /// Who did something: the one value of an `Entry.Actor`.
    Actor,
    /// A span of canonical JSON, `3600s`, in its two largest units.
    Span,
}

impl Column {
    pub(crate) const fn new(header: &'static str, path: &'static str, shape: Shape) -> Self {
        Self { header, path, shape }
    }

    /// The cell of a row; a dash where there is nothing.
    pub(crate) fn cell(&self, row: &Value, now: UnixMillis) -> String {
        let value = self.path.split('.').try_fold(row, |value, name| value.get(name));
        let text = value.map(|value| self.shape.write(value, now)).unwrap_or_default();
        match (text.is_empty(), self.shape) {
            (false, _) => text,
            (true, Shape::Number) => "0".to_owned(),
            (true, _) => NOTHING.to_owned(),
        }
    }
}

impl Shape {
    /// Whether it may be broken where a terminal is narrow: names are there to be copied, words to be searched for.
    pub(super) const fn may_wrap(self) -> bool {
        matches!(self, Self::Plain | Self::Grants)
    }

    fn write(self, value: &Value, now: UnixMillis) -> String {
        match self {
            Self::Plain | Self::Word | Self::Number | Self::Time => plain(value),
            Self::Name => match value {
                Value::Array(items) => {
                    items.iter().map(|item| names::short(&plain(item))).collect::<Vec<_>>().join(", ")
                }
                _ => names::short(&plain(value)),
            },
            Self::Age => value.as_str().and_then(moment::of_json).map(|at| moment::age(at, now)).unwrap_or_default(),
            Self::Count => value.as_array().map(|items| items.len().to_string()).unwrap_or_default(),
            Self::Revision => revision(value).unwrap_or_default(),
            Self::Grants => {
                value.as_array().map(|items| items.iter().map(grant).collect::<Vec<_>>().join(", ")).unwrap_or_default()
            }
            Self::Actor => actor(value).unwrap_or_default(),
            Self::Span => value.as_str().and_then(span).unwrap_or_default(),
        }
    }
}

/// Scalars as they are, lists joined, pairs as `key=value`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => revision(value).unwrap_or_else(|| {
            fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(", ")
        }),
    }
}

/// A revision, in the form of the manuals.
pub(super) fn revision(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    Some(format!("{}:{}", fields.get("epoch")?.as_str()?, fields.get("index")?.as_str()?))
}

/// Identities and keys by their short names, replicas and services with the word for what they are.
fn actor(value: &Value) -> Option<String> {
    let (kind, who) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "identity" | "key" => names::short(&plain(who)),
        kind => format!("{kind} {}", plain(who)),
    })
}

/// A duty and what it is on.
fn grant(value: &Value) -> String {
    let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let duty = word("duty").to_ascii_lowercase();
    match word("scope") {
        "" => duty,
        scope => format!("{duty}:{}", names::short(scope)),
    }
}

/// A span as canonical JSON writes it, in its two largest units.
pub(super) fn span(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, part) = digits.strip_suffix('s')?.split_once('.').unwrap_or((digits.strip_suffix('s')?, ""));
    let millis = format!("{part:0<3}").get(..3)?.parse::<u64>().ok()?;
    let millis = whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(millis)?;
    Some(format!("{sign}{}", crate::cli::span::show(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_written_by_its_shape() {
        let row = json!({
            "name": "tenants/acme/keyspaces/orders", "permissions": ["a", "b"], "at": "1970-01-01T00:00:10Z",
            "revision": {"epoch": "1", "index": "42"}, "inner": {"word": "ACTIVE"},
        });
        let cell = |path, shape| Column::new("", path, shape).cell(&row, UnixMillis::new(70_000));
        assert_eq!(cell("name", Shape::Name), "acme/orders");
        assert_eq!(cell("permissions", Shape::Plain), "a, b");
        assert_eq!(cell("permissions", Shape::Count), "2");
        assert_eq!(cell("at", Shape::Age), "1m ago");
        assert_eq!(cell("revision", Shape::Revision), "1:42");
        assert_eq!(cell("sequence", Shape::Number), "0");
        assert_eq!(cell("inner.word", Shape::Word), "ACTIVE");
        let grants =
            json!({"grants": [{"duty": "ROOT"}, {"duty": "ISSUER", "scope": "tenants/acme/keyspaces/orders"}]});
        let cells = Column::new("", "grants", Shape::Grants).cell(&grants, UnixMillis::new(0));
        assert_eq!(cells, "root, issuer:acme/orders");
        assert_eq!(cell("inner.nothing", Shape::Plain), "-");
    }

    #[test]
    fn spans_of_json_are_read_with_sign_and_parts() {
        let shown = ["7776000s", "-0.012s", "1.5s", "0s"].map(|text| span(text).unwrap());
        assert_eq!(shown, ["90d", "-12ms", "1s 500ms", "0s"]);
        assert_eq!(span("orders"), None);
    }
}
