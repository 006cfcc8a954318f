//! An entry as it is handed out.

use crate::format::{Format, cloud_events, ecs, json, ocsf};
use crate::item::Item;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::entry::actor::Actor;
use serde_json::Value;
use std::sync::Arc;

/// An entry, its leaf, and the tree that the leaf stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The entry.
    pub entry: v1::Entry,
    /// Its leaf in the tree.
    pub leaf: [u8; 32],
    /// The origin of the tree, `latchkey/{cluster}`.
    pub origin: Arc<str>,
}

impl Record {
    /// Its number.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.entry.sequence
    }

    /// Its id among all clusters and all their logs: what receivers tell a repeat by. Where another log began, its entries have
    /// the same sequences as those of the one before, and other leaves.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.cluster(), self.place())
    }

    /// The id of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.origin.split('/').nth(1).unwrap_or(&self.origin)
    }

    /// The leaf as hexadecimal digits.
    #[must_use]
    pub fn leaf_hex(&self) -> String {
        self.leaf.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it happened, as RFC 3339 in UTC.
    #[must_use]
    pub fn time(&self) -> String {
        self.entry.time.unwrap_or_default().to_string()
    }

    /// When it happened, in milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> i64 {
        let time = self.entry.time.unwrap_or_default();
        time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos / 1_000_000))
    }

    /// Who did it.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.entry.actor.as_ref()?.actor.as_ref()
    }

    /// Who did it, as one name: a resource name, `replicas/{id}` or `services/{word}`.
    #[must_use]
    pub fn actor_name(&self) -> String {
        match self.actor() {
            Some(Actor::Identity(name) | Actor::Key(name)) => name.clone(),
            Some(Actor::Replica(node)) => format!("replicas/{node}"),
            Some(Actor::Service(word)) => format!("services/{word}"),
            None => String::new(),
        }
    }

    /// What it happened to; the cluster where nothing is named.
    #[must_use]
    pub fn subject(&self) -> &str {
        if self.entry.subject.is_empty() { &self.origin } else { &self.entry.subject }
    }

    /// Why, in words; the word for it where nobody said more. Empty: no reason belongs to it.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self.entry.reason() {
            _ if !self.entry.reason_text.is_empty() => &self.entry.reason_text,
            v1::RevocationReason::Unspecified => self.entry.facts.get("reason").map_or("", String::as_str),
            reason => reason.as_str_name().trim_start_matches("REVOCATION_REASON_"),
        }
    }

    /// What else there is to know, in the order of its names.
    #[must_use]
    pub fn facts(&self) -> Vec<(&str, &str)> {
        let mut facts: Vec<_> = self.entry.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        facts.sort_unstable();
        facts
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{} {} by {}", self.entry.action, self.subject(), self.actor_name());
        if !self.reason().is_empty() {
            line.push_str(": ");
            line.push_str(self.reason());
        }
        line
    }
}

impl Item for Record {
    fn sequence(&self) -> u64 {
        self.entry.sequence
    }

    fn cluster(&self) -> &str {
        self.cluster()
    }

    fn place(&self) -> String {
        let [a, b, c, d, ..] = self.leaf;
        format!("{}-{:08x}", self.sequence(), u32::from_be_bytes([a, b, c, d]))
    }

    fn millis(&self) -> i64 {
        self.millis()
    }

    fn value(&self, format: Format) -> Value {
        match format {
            Format::Ecs => ecs::document(self),
            Format::Ocsf => ocsf::event(self),
            Format::CloudEvents => cloud_events::structured(self),
            Format::Json => json::entry(self),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        cloud_events::attributes(self)
    }
}
