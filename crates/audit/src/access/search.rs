//! Which lines a caller looks for.

use super::Line;
use crate::collect::outcome_word;
use crate::usage::countries::{address, network_text};
use crate::usage::request::{OUTCOME_EXPECTED, outcome_number};
use latchkey_domain::{Network, UnixMillis};
use latchkey_policy::{Comparison, Field, Filter, FilterError, Kind, Operator, Value};
use latchkey_wire::pb::internal::v1::access_record;
use std::ops::Range;

/// The kinds of lines, by the numbers of their messages.
pub(super) const KINDS: &[&str] = &["", "DENIED", "WRONG_SECRET", "STALE", "SAMPLED", "NO_IDENTITY", "COUNTED"];

const FIELDS: &[Field] = &[
    Field { name: "kind", kind: Kind::Word(&["DENIED", "WRONG_SECRET", "STALE", "SAMPLED", "NO_IDENTITY", "COUNTED"]) },
    Field { name: "outcome", kind: Kind::Text },
    Field { name: "keyspace", kind: Kind::Text },
    Field { name: "key", kind: Kind::Text },
    Field { name: "caller", kind: Kind::Text },
    Field { name: "network", kind: Kind::Text },
    Field { name: "method", kind: Kind::Text },
    Field { name: "region", kind: Kind::Text },
    Field { name: "time", kind: Kind::Time },
    Field { name: "age", kind: Kind::Span },
];

/// What is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    filter: Filter,
    /// From when `age` counts.
    now: UnixMillis,
}

/// A line, and what is told of it by name.
pub(crate) struct Named<'a> {
    pub(crate) line: &'a Line,
    pub(crate) keyspace: &'a str,
    pub(crate) key: &'a str,
}

impl Search {
    /// Reads the filter of a listing. `age` counts from `now`.
    ///
    /// # Errors
    /// [`FilterError`]; in its place a sentence where a network or an outcome is none.
    pub(crate) fn read(filter: &str, now: UnixMillis) -> Result<Self, String> {
        let filter = Filter::parse(filter, FIELDS).map_err(|error: FilterError| error.to_string())?;
        for one in filter.comparisons() {
            let expected = match (one.field, &one.value) {
                ("network", Value::Text(text)) if Network::parse(text).is_err() => {
                    "`network` must be an address or a CIDR such as 10.0.0.0/8, with no bits beyond its prefix"
                }
                // One that is mistyped would be met by nothing, and read as if nothing had happened.
                ("outcome", Value::Text(text)) if outcome_number(text).is_none() => OUTCOME_EXPECTED,
                _ => continue,
            };
            return Err(expected.to_owned());
        }
        Ok(Self { filter, now })
    }

    /// The times in which all that is looked for lies. Milliseconds since 1970.
    pub(crate) fn times(&self) -> Range<u64> {
        let mut times = 0..u64::MAX;
        for one in self.filter.comparisons() {
            let (operator, at) = match &one.value {
                Value::Time(time) => (one.operator, time.millis()),
                // Younger is later.
                Value::Span(age) => (turned(one.operator), self.now.millis().saturating_sub(age.millis())),
                Value::Word(_) | Value::Text(_) | Value::Prefix(_) => continue,
            };
            match operator {
                Operator::Less | Operator::LessOrEqual => times.end = times.end.min(at.saturating_add(1)),
                Operator::Greater | Operator::GreaterOrEqual => times.start = times.start.max(at),
                Operator::Equal => times = times.start.max(at)..times.end.min(at.saturating_add(1)),
                Operator::NotEqual => {}
            }
        }
        // What lies after `now` has no age.
        let is_aged = self.filter.comparisons().iter().any(|one| matches!(one.value, Value::Span(_)));
        if is_aged { times.start..u64::MAX } else { times }
    }

    /// Whether the line is one of those looked for.
    pub(crate) fn holds(&self, named: &Named<'_>) -> bool {
        self.filter.comparisons().iter().all(|one| self.compare(one, named))
    }

    fn compare(&self, one: &Comparison, Named { line, keyspace, key }: &Named<'_>) -> bool {
        let (record, at) = (&line.record, UnixMillis::new(line.record.last_unix_ms));
        match one.field {
            "kind" => one.holds_for_text(kind_word(record.kind)),
            "outcome" => one.holds_for_text(&outcome_word(record.outcome)),
            "keyspace" => one.holds_for_text(keyspace),
            "key" => one.holds_for_text(key),
            "caller" => one.holds_for_text(&record.caller),
            "method" => one.holds_for_text(&record.method),
            "region" => one.holds_for_text(&line.region),
            "network" => {
                let Value::Text(text) = &one.value else { return false };
                let within = Network::parse(text).is_ok_and(|network| is_within(&network, &record.client));
                within == (one.operator == Operator::Equal)
            }
            "time" => one.holds_for_time(at),
            "age" => one.holds_for_span(self.now.since(at)),
            _ => false,
        }
    }
}

/// The word of a kind; empty where this build knows none.
pub(super) fn kind_word(kind: i32) -> &'static str {
    usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or_default()
}

fn is_within(network: &Network, client: &[u8]) -> bool {
    let client = address(client).and_then(|address| Network::new(address, *client.last()?).ok());
    // A client that is told by its network lies within what holds that network.
    client.is_some_and(|client| network.covers(&client))
}

const fn turned(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        same @ (Operator::Equal | Operator::NotEqual) => same,
    }
}

const _: () = assert!(KINDS.len() == access_record::Kind::Counted as usize + 1, "each kind has a word");

/// Where the client of a line is, as text.
pub(super) fn client_text(client: &[u8]) -> String {
    network_text(client)
}
