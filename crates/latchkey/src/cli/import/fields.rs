//! The fields of one row. A reader takes out what it understands; what is left at the end was not understood, and no field is
//! ever left behind in silence.

use super::digest;
use super::row::{Refused, Row, reason};
use crate::cli::moment;
use prost_types::Timestamp;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of fields that Latchkey cannot keep, or does not know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    /// They become metadata; else their row is refused.
    pub(crate) as_metadata: bool,
    /// These are left behind, because somebody said so.
    pub(crate) ignored: BTreeSet<String>,
}

/// Fields that did not come in as what they were, and in how many rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Left behind: named to be, or of no meaning here.
    pub(crate) left_behind: BTreeMap<String, u64>,
    /// Kept as metadata.
    pub(crate) as_metadata: BTreeMap<String, u64>,
    /// Their rows are refused.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds what another part of the file showed.
    pub(crate) fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.left_behind, &other.left_behind),
            (&mut self.as_metadata, &other.as_metadata),
            (&mut self.refused, &other.refused),
        ];
        for (sum, more) in sums {
            more.iter().for_each(|(name, count)| *sum.entry(name.clone()).or_default() += count);
        }
    }
}

/// The fields of one row, as far as nobody took them.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    line: u64,
    source_id: String,
    left: Map<String, Value>,
    metadata: BTreeMap<String, String>,
    keep: &'a Keep,
    tally: &'a mut Tally,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(line: u64, fields: Map<String, Value>, keep: &'a Keep, tally: &'a mut Tally) -> Self {
        Self { line, source_id: String::new(), left: fields, metadata: BTreeMap::new(), keep, tally }
    }

    /// Says which row this is, in the words of the other system.
    pub(crate) fn identify(&mut self, source_id: &str) {
        source_id.clone_into(&mut self.source_id);
    }

    /// A refusal of the whole row for what one field is.
    pub(crate) fn refused(&self, field: &str, reason: &str, message: impl Into<String>) -> Refused {
        let (line, source_id) = (self.line, self.source_id.clone());
        Refused { line, source_id, field: field.to_owned(), reason: reason.to_owned(), message: message.into() }
    }

    fn invalid(&self, field: &str, expected: &str) -> Refused {
        self.refused(field, reason::FIELD_INVALID, format!("expected {expected}"))
    }

    /// A field, unless there is nothing in it.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !is_nothing(value))
    }

    /// The first of these names that has something.
    pub(crate) fn take_first(&mut self, names: &[&'static str]) -> Option<(&'static str, Value)> {
        let found: Vec<_> = names.iter().filter_map(|name| Some((*name, self.take(name)?))).collect();
        found.into_iter().next()
    }

    /// A text; numbers and words are read as what they look like.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Refused> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.trim().to_owned()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            Some(_) => Err(self.invalid(name, "a text")),
        }
    }

    /// Texts: a list, one text, or a text with commas, semicolons or spaces between.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Refused> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(words(&text)),
            Some(Value::Array(items)) => {
                let text = |item: &Value| match item {
                    Value::String(text) => Some(text.clone()),
                    // A role or a permission may be told with its id and its description.
                    Value::Object(fields) => {
                        let named = fields.get("name").or_else(|| fields.get("slug"))?;
                        named.as_str().map(str::to_owned)
                    }
                    _ => None,
                };
                let texts: Option<Vec<_>> = items.iter().map(text).collect();
                texts.ok_or_else(|| self.invalid(name, "a list of texts"))
            }
            Some(_) => Err(self.invalid(name, "a list of texts")),
        }
    }

    /// `true` or `false`, as JSON has it or as people write it.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Refused> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let word = match &value {
            Value::Bool(flag) => return Ok(Some(*flag)),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "true" | "yes" | "1" => Ok(Some(true)),
            "false" | "no" | "0" => Ok(Some(false)),
            _ => Err(self.invalid(name, "true or false")),
        }
    }

    /// A moment: RFC 3339, or seconds or milliseconds since 1970, which their size tells apart.
    pub(crate) fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, Refused> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = match &value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        let moment = match text.parse::<i64>() {
            Ok(number) => of_number(number),
            Err(_) => moment::parse(&text).ok(),
        };
        moment.map(Some).ok_or_else(|| self.invalid(name, "a moment of RFC 3339, or milliseconds since 1970"))
    }

    /// A SHA-256.
    pub(crate) fn digest(&mut self, name: &str) -> Result<Option<[u8; 32]>, Refused> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let digest = value.as_str().and_then(|text| digest::parse(text.trim()));
        let invalid = || self.refused(name, reason::DIGEST_INVALID, "expected a SHA-256: 64 digits, or base64");
        digest.map(Some).ok_or_else(invalid)
    }

    /// A field whose meaning Latchkey cannot keep: refused, or metadata where that was asked for.
    pub(crate) fn unsupported(&mut self, name: &str, why: &str) -> Result<(), Refused> {
        let Some(value) = self.take(name) else { return Ok(()) };
        self.set_aside(name, &value, reason::UNSUPPORTED, why)
    }

    /// A field that says nothing outside the other system.
    pub(crate) fn leave_behind(&mut self, name: &str) {
        if self.take(name).is_some() {
            *self.tally.left_behind.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// The other system's own metadata: an object, or a text with one.
    pub(crate) fn metadata(&mut self, name: &str) -> Result<(), Refused> {
        let object = match self.take(name) {
            None => return Ok(()),
            Some(Value::Object(object)) => Some(object),
            Some(Value::String(text)) => serde_json::from_str(&text).ok(),
            Some(_) => None,
        };
        let Some(object) = object else { return Err(self.invalid(name, "an object")) };
        for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            self.put(&metadata_key(key), text_of(value))
                .ok_or_else(|| self.invalid(name, "keys that differ in more than capitals"))?;
        }
        Ok(())
    }

    /// One pair of metadata.
    pub(crate) fn pair(&mut self, key: &str, value: String) -> Result<(), Refused> {
        self.put(key, value).ok_or_else(|| self.invalid("metadata", "keys that differ"))
    }

    /// The end: what is left was not understood.
    pub(crate) fn finish(mut self, row: Row) -> Result<Row, Refused> {
        let left = std::mem::take(&mut self.left);
        let mut first = Ok(());
        for (name, value) in left.iter().filter(|(_, value)| !is_nothing(value)) {
            let judged = self.set_aside(name, value, reason::FIELD_UNKNOWN, "nobody knows what this field means");
            first = first.and(judged);
        }
        first?;
        Ok(Row { line: self.line, source_id: self.source_id, metadata: self.metadata, ..row })
    }

    /// What has no place here, whatever it was part of: refused, kept as metadata or left behind, as was asked for.
    ///
    /// # Errors
    /// [`Refused`], unless something else was asked for.
    pub(crate) fn set_aside(&mut self, name: &str, value: &Value, reason: &str, why: &str) -> Result<(), Refused> {
        if is_nothing(value) {
            return Ok(());
        }
        if self.keep.ignored.contains(name) {
            *self.tally.left_behind.entry(name.to_owned()).or_default() += 1;
            return Ok(());
        }
        if !self.keep.as_metadata {
            *self.tally.refused.entry(name.to_owned()).or_default() += 1;
            return Err(self.refused(name, reason, why));
        }
        *self.tally.as_metadata.entry(name.to_owned()).or_default() += 1;
        let key = format!("source.{}", metadata_key(name));
        self.put(&key, text_of(value)).ok_or_else(|| self.invalid(name, "fields that differ in more than capitals"))
    }

    /// `None` where the key is taken.
    fn put(&mut self, key: &str, value: String) -> Option<()> {
        self.metadata.insert(key.to_owned(), value).is_none().then_some(())
    }
}

/// A key of metadata the way Latchkey wants it, `[a-z][a-z0-9_.-]*`: `billingTier` becomes `billing_tier`.
pub(crate) fn metadata_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + 4);
    let mut before = '_';
    for sign in text.chars() {
        if sign.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            key.push('_');
        }
        key.push(match sign.to_ascii_lowercase() {
            sign @ ('a'..='z' | '0'..='9' | '_' | '.' | '-') => sign,
            _ => '_',
        });
        before = sign;
    }
    if !key.starts_with(|first: char| first.is_ascii_lowercase()) {
        key.insert(0, 'x');
    }
    key
}

/// What stands between words: commas or semicolons, else blanks.
pub(crate) fn words(text: &str) -> Vec<String> {
    let marks = |sign: char| matches!(sign, ',' | ';');
    let parts: Vec<&str> =
        if text.contains(marks) { text.split(marks).collect() } else { text.split_whitespace().collect() };
    parts.into_iter().map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Nobody means the year 5138 in seconds or March 1973 in milliseconds.
fn of_number(number: i64) -> Option<Timestamp> {
    const SECONDS_MAX: i64 = 100_000_000_000;
    let millis = if number < SECONDS_MAX { number.checked_mul(1_000)? } else { number };
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).ok()?;
    (millis >= 0).then_some(Timestamp { seconds: millis / 1_000, nanos })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    #[test]
    fn what_nobody_takes_refuses_the_row_unless_it_was_spoken_for() {
        let fields = || object(json!({"a": 1, "b": {"c": null}, "lastSeen": [2], "d": ""}));
        let mut tally = Tally::default();
        let keep = Keep::default();
        let refused = Fields::new(7, fields(), &keep, &mut tally).finish(Row::default()).unwrap_err();
        assert_eq!((refused.line, refused.field.as_str(), refused.reason.as_str()), (7, "a", "FIELD_UNKNOWN"));
        assert_eq!(tally.refused, [("a".to_owned(), 1), ("lastSeen".to_owned(), 1)].into());

        let keep = Keep { as_metadata: true, ignored: ["a".to_owned()].into() };
        let row = Fields::new(7, fields(), &keep, &mut tally).finish(Row::default()).unwrap();
        assert_eq!(row.metadata, [("source.last_seen".to_owned(), "[2]".to_owned())].into());
        assert_eq!((tally.left_behind["a"], tally.as_metadata["lastSeen"]), (1, 1));
    }

    #[test]
    fn values_are_read_as_other_systems_write_them() {
        let (keep, mut tally) = (Keep::default(), Tally::default());
        let fields = object(json!({"s": 1_700_000_000_u64, "ms": "1700000000500", "rfc": "2023-11-14T22:13:20Z",
            "no": "soon", "flag": "TRUE", "odd": "maybe", "list": "a, b;c", "roles": [{"id": "r", "name": "x"}, "y"]}));
        let mut fields = Fields::new(1, fields, &keep, &mut tally);
        let second = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
        assert_eq!((fields.moment("s").unwrap(), fields.moment("rfc").unwrap()), (second, second));
        assert_eq!(fields.moment("ms").unwrap().unwrap().nanos, 500_000_000);
        assert!(fields.moment("no").unwrap_err().message.contains("RFC 3339"));
        assert_eq!((fields.flag("flag").unwrap(), fields.flag("none").unwrap()), (Some(true), None));
        assert!(!fields.flag("odd").unwrap_err().message.contains("maybe"));
        assert_eq!(fields.texts("list").unwrap(), ["a", "b", "c"]);
        assert_eq!(fields.texts("roles").unwrap(), ["x", "y"]);
    }

    #[test]
    fn keys_of_metadata_are_written_the_way_they_must_be() {
        let keys = ["billingTier", "HTTPPort", "trial ends", "1st", "a.b-c", "é"].map(metadata_key);
        assert_eq!(keys, ["billing_tier", "httpport", "trial_ends", "x1st", "a.b-c", "x_"]);
        let (keep, mut tally) = (Keep::default(), Tally::default());
        let mut fields = Fields::new(1, object(json!({"meta": {"aB": 1, "a_b": 2}})), &keep, &mut tally);
        assert!(fields.metadata("meta").is_err(), "nothing is overwritten");
    }
}
