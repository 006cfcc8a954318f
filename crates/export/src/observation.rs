//! What replicas observed, as it is handed out: sums of usage, and lines of the access log.

use crate::format::{Format, access_ecs, access_ocsf, cloud_events, object};
use crate::item::Item;
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use serde_json::{Map, Value};
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;

/// Where an observation stands: what tells it from all others, also after its tenant's neighbours were destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its batch among all that audit took.
    pub sequence: u64,
    /// The origin of the cluster's tree, `latchkey/{cluster}`.
    pub origin: Arc<str>,
    /// The replica that saw it.
    pub node: u64,
    /// In which of its process lives.
    pub incarnation: u64,
    /// The number of the batch in that life.
    pub batch: u64,
    /// The number of the tenant; the cluster's own have 0.
    pub tenant: u32,
    /// Where it stands among those of its tenant in its batch.
    pub at: u32,
    /// The region of the replica.
    pub region: String,
}

impl Place {
    fn cluster(&self) -> &str {
        self.origin.split('/').nth(1).unwrap_or(&self.origin)
    }

    fn word(&self) -> String {
        format!("{}-{:x}-{}-{}-{}", self.node, self.incarnation, self.batch, self.tenant, self.at)
    }
}

/// What one replica counted of one version in one minute. Several of the same are to be added up. Names are empty where there is
/// none, or where it is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// What tells it from all others.
    pub place: Place,
    /// When its minute begins.
    pub minute: UnixMillis,
    /// The resource name of the tenant.
    pub tenant: String,
    /// That of the keyspace.
    pub keyspace: String,
    /// That of the owner.
    pub owner: String,
    /// That of the key.
    pub key: String,
    /// That of the version.
    pub version: String,
    /// Validations by the word of their outcome.
    pub outcomes: Vec<(String, u64)>,
    /// How long they took, in 20 buckets: bucket b from 2^b to 2^(b+1) microseconds.
    pub latency: Vec<u64>,
    /// Validations by the network of the end client, the most frequent ones.
    pub networks: Vec<(String, u64)>,
    /// Validations from all other networks.
    pub other_networks: u64,
    /// When the last validation was.
    pub last_used: Option<UnixMillis>,
    /// What the protected API reported.
    pub reported: Option<Reported>,
}

/// What a protected API reported of the requests that it served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    /// Requests.
    pub requests: u64,
    /// Requests by status class: 1xx to 5xx.
    pub status_classes: Vec<u64>,
    /// Bytes of the bodies of requests.
    pub request_bytes: u64,
    /// Bytes of the bodies of answers.
    pub response_bytes: u64,
    /// How long the requests took, in buckets as above.
    pub latency: Vec<u64>,
    /// The sum of the load that they were, times 1,000.
    pub load_milli: u64,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// What tells it from all others.
    pub place: Place,
    /// The line, as the API shows it.
    pub line: v1::Access,
}

fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Value {
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(counts.map(|(word, count)| (word.to_owned(), count.into())).collect::<Map<_, _>>())
}

fn named(pairs: &[(String, u64)]) -> Value {
    counts(pairs.iter().map(|(word, count)| (word.as_str(), *count)))
}

impl Usage {
    /// The row: flat, counts as numbers, so that a column can stand for each field.
    fn row(&self) -> Value {
        let valid = |(word, _): &&(String, u64)| word == "VALID";
        let requests: u64 = self.outcomes.iter().map(|(_, count)| count).sum();
        let allowed: u64 = self.outcomes.iter().filter(valid).map(|(_, count)| count).sum();
        let time = |time: UnixMillis| Value::from(write_time(time).to_string());
        let mut fields = vec![
            ("id", self.id().into()),
            ("minute", time(self.minute)),
            ("tenant", self.tenant.clone().into()),
            ("keyspace", self.keyspace.clone().into()),
            ("owner", self.owner.clone().into()),
            ("key", self.key.clone().into()),
            ("version", self.version.clone().into()),
            ("region", self.place.region.clone().into()),
            ("node", self.place.node.into()),
            ("requests", requests.into()),
            ("denials", (requests - allowed).into()),
            ("outcomes", named(&self.outcomes)),
            ("latency", self.latency.clone().into()),
            ("networks", named(&self.networks)),
            ("otherNetworks", self.other_networks.into()),
            ("lastUsed", self.last_used.map_or(Value::Null, time)),
        ];
        if let Some(reported) = &self.reported {
            let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(reported.status_classes.iter().copied());
            fields.extend([
                ("reportedRequests", reported.requests.into()),
                ("reportedStatusClasses", counts(classes)),
                ("reportedRequestBytes", reported.request_bytes.into()),
                ("reportedResponseBytes", reported.response_bytes.into()),
                ("reportedLatency", reported.latency.clone().into()),
                ("reportedLoad", (reported.load_milli as f64 / 1_000.0).into()),
            ]);
        }
        fields.push(("origin", (*self.place.origin).into()));
        object(fields)
    }
}

impl Access {
    /// When it was, as RFC 3339 in UTC.
    pub(crate) fn time(&self) -> String {
        self.line.time.unwrap_or_default().to_string()
    }

    /// The word of why there is a line, such as `DENIED`.
    pub(crate) fn kind(&self) -> &'static str {
        self.line.kind().as_str_name().trim_start_matches("KIND_")
    }

    /// The word of the outcome; empty: several, or none.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.line.outcome() {
            v1::Outcome::Unspecified => "",
            outcome => outcome.as_str_name().trim_start_matches("OUTCOME_"),
        }
    }

    /// Whether a validation succeeded, as far as one line tells.
    pub(crate) fn is_success(&self) -> bool {
        self.line.outcome() == v1::Outcome::Valid
    }

    /// One line for people.
    pub(crate) fn message(&self) -> String {
        let what = if self.line.key.is_empty() { &self.line.method } else { &self.line.key };
        format!("{} {} {what}", self.kind(), self.outcome()).trim_end().replace("  ", " ")
    }

    /// Our own form: names in lowerCamelCase, nothing that is empty.
    fn row(&self) -> Value {
        let line = &self.line;
        let counted = match line.counted_kind() {
            v1::access::Kind::Unspecified => Value::Null,
            kind => kind.as_str_name().trim_start_matches("KIND_").into(),
        };
        let sample = if line.sample_ppm == 0 { Value::Null } else { line.sample_ppm.into() };
        object(vec![
            ("id", self.id().into()),
            ("time", self.time().into()),
            ("kind", self.kind().into()),
            ("countedKind", counted),
            ("outcome", self.outcome().into()),
            ("tenant", line.tenant.clone().into()),
            ("keyspace", line.keyspace.clone().into()),
            ("key", line.key.clone().into()),
            ("version", line.version.clone().into()),
            ("caller", line.caller.clone().into()),
            ("client", line.client.clone().into()),
            ("userAgent", line.user_agent.clone().into()),
            ("method", line.method.clone().into()),
            ("resource", line.resource.clone().into()),
            ("tags", line.tags.clone().into()),
            ("count", line.count.into()),
            ("firstTime", line.first_time.map_or(Value::Null, |time| time.to_string().into())),
            ("region", line.region.clone().into()),
            ("node", self.place.node.into()),
            ("samplePpm", sample),
            ("origin", (*self.place.origin).into()),
        ])
    }
}

impl Item for Usage {
    fn sequence(&self) -> u64 {
        self.place.sequence
    }

    fn cluster(&self) -> &str {
        self.place.cluster()
    }

    fn place(&self) -> String {
        self.place.word()
    }

    /// The end of the minute: before that nobody waits for it.
    fn millis(&self) -> i64 {
        i64::try_from(self.minute.millis().saturating_add(MINUTE_MS)).unwrap_or(i64::MAX)
    }

    /// Sums have one form; the settings allow no other.
    fn value(&self, format: Format) -> Value {
        match format {
            Format::CloudEvents => cloud_events::structured(self),
            Format::Json | Format::Ecs | Format::Ocsf => self.row(),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let time = write_time(self.minute).to_string();
        cloud_events::filled([
            ("specversion", "1.0".to_owned()),
            ("id", self.id()),
            ("source", self.place.origin.to_string()),
            ("type", format!("{}usage", cloud_events::TYPE)),
            ("subject", self.version.clone()),
            ("time", time),
            ("partitionkey", self.tenant.clone()),
        ])
    }
}

impl Item for Access {
    fn sequence(&self) -> u64 {
        self.place.sequence
    }

    fn cluster(&self) -> &str {
        self.place.cluster()
    }

    fn place(&self) -> String {
        self.place.word()
    }

    fn millis(&self) -> i64 {
        let time = self.line.time.unwrap_or_default();
        time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos / 1_000_000))
    }

    fn value(&self, format: Format) -> Value {
        match format {
            Format::Ecs => access_ecs::document(self),
            Format::Ocsf => access_ocsf::event(self),
            Format::CloudEvents => cloud_events::structured(self),
            Format::Json => self.row(),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let subject = if self.line.key.is_empty() { self.line.keyspace.clone() } else { self.line.key.clone() };
        cloud_events::filled([
            ("specversion", "1.0".to_owned()),
            ("id", self.id()),
            ("source", self.place.origin.to_string()),
            ("type", format!("{}access.{}", cloud_events::TYPE, self.kind().to_lowercase())),
            ("subject", subject),
            ("time", self.time()),
            ("authid", self.line.caller.clone()),
            ("partitionkey", self.line.tenant.clone()),
        ])
    }
}
