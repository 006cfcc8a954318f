//! Keys with texts that are known beforehand.

use super::apply::SeedError;
use super::entropy::SeededEntropy;
use super::file::{SeedKey, word};
use latchkey_crypto::{Secret, compose, draw, draw_key_id, draw_version_id};
use latchkey_domain::{KeyName, KeyspaceName, Prefix};
use latchkey_link::{Link, Material, ProvenIdentity, Registry as _, answers};
use latchkey_minting::{Mint, Numbered};
use latchkey_state::{Command, CreateKeys, Operation};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1 as pb;
use latchkey_wire::request::read_create_key;
use pb::Outcome;
use prost_types::{Duration as Span, Timestamp};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long one step of a seed may take. The replica is there, and leads.
const STEP_MAX: Duration = Duration::from_secs(10);

/// The shortest life that there is: over by the time that anybody asks.
const SHORTEST_LIFE: Span = Span { seconds: 0, nanos: 1_000_000 };

/// The year 2100.
const NOT_SOON: Timestamp = Timestamp { seconds: 4_102_444_800, nanos: 0 };

/// A key of the seed, and where its text lies.
#[derive(Clone, Debug)]
pub struct SeededKey {
    /// Its word in the file.
    pub name: String,
    /// What a validation of it gives, with what the seed says where that is something else.
    pub outcome: String,
    /// The file with its text, mode 0600.
    pub file: PathBuf,
}

/// What mints keys of a seed.
pub(super) struct Mints<'a> {
    pub(super) word: &'a str,
    pub(super) link: &'a Link,
    pub(super) material: &'a Material,
    pub(super) root: &'a ProvenIdentity,
}

/// A key as it was made, or as it was before.
pub(super) struct MadeKey {
    /// Its resource name.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
}

impl Mints<'_> {
    /// The text for a key that is never made, with the prefix of a keyspace.
    pub(super) async fn unmade(&self, keyspace: &KeyspaceName, name: &str) -> Result<String, SeedError> {
        let by = Instant::now() + STEP_MAX;
        let material = self.material.keyspace(self.link, keyspace, by).await.map_err(SeedError::Status)?;
        Ok(text_of_nothing(self.word, name, &material.keyspace.settings.prefix))
    }

    /// Makes a key, unless it is there: its id follows from the seed, as its text does.
    pub(super) async fn make(&self, name: &str, request: &pb::CreateKeyRequest) -> Result<MadeKey, SeedError> {
        let by = Instant::now() + STEP_MAX;
        let asked = read_create_key(request).map_err(|fields| SeedError::Field(name.to_owned(), fields.to_string()))?;
        let details = asked.keys.into_iter().next().expect("a request for one key reads as one key");
        let keyspace = asked.keyspace;
        let material = self.material.keyspace(self.link, &keyspace, by).await.map_err(SeedError::Status)?;
        let pepper = self.material.pepper(&material.tenant.cluster, by).await.map_err(SeedError::Status)?;
        let data_key = self.material.data_key(&material, by).await.map_err(SeedError::Status)?;
        let mint = Mint {
            cluster: material.tenant.cluster.cluster,
            tenant: material.tenant.tenant.number,
            prefix: &material.keyspace.settings.prefix,
            data_key: Numbered::new(data_key.number, &*data_key.key),
            pepper: Numbered::new(pepper.number, &pepper.key),
        };
        let (new, text) = mint.key(&mut SeededEntropy::new(self.word, name)).into_new_key(details);
        let key_name = KeyName { keyspace: keyspace.clone(), key: new.id };
        let made = MadeKey { name: key_name.to_string(), text: text.expose().to_owned() };
        if answers::key(self.link, &key_name, by).await.is_ok() {
            return Ok(made);
        }
        let operation = Operation::CreateKeys(CreateKeys { keyspace, keys: vec![new], replay: None });
        let command = Command::new(self.root.actor(), draw(&mut OsEntropy), operation);
        let proposed = self.link.propose(&command, by).await.map_err(SeedError::Status)?;
        answers::told(proposed).map_err(SeedError::Status)?;
        Ok(made)
    }
}

/// A well-formed text that belongs to nothing.
fn text_of_nothing(word: &str, name: &str, prefix: &Prefix) -> String {
    let mut entropy = SeededEntropy::new(word, name);
    // As minting draws, so that a key which is made later under this name has this text.
    let _ = draw_key_id(&mut entropy);
    let version = draw_version_id(&mut entropy);
    compose(prefix, version, &Secret::draw(&mut entropy)).expose().to_owned()
}

/// A text whose checksum is wrong.
pub(super) fn malformed(text: &str) -> String {
    let last = if text.ends_with('0') { '1' } else { '0' };
    let mut text = text.to_owned();
    text.pop();
    text.push(last);
    text
}

/// What is asked for, so that a validation has the outcome of the seed. What the file says itself stays.
pub(super) fn request(key: &SeedKey, parent: String, owner: String, roles: Vec<String>) -> pb::CreateKeyRequest {
    use pb::create_key_request::Expiry;
    let outcome = key.outcome();
    let or = |given: &[String], when: Outcome, other: &str| {
        if given.is_empty() && outcome == when { vec![other.to_owned()] } else { given.to_vec() }
    };
    pb::CreateKeyRequest {
        parent,
        display_name: format!("seed: {}", key.name),
        owner,
        purpose: format!("answers {}", word(outcome)),
        permissions: key.permissions.clone(),
        roles,
        // Kept for documents (RFC 5737): nobody calls from there.
        networks: or(&key.networks, Outcome::NetworkNotAllowed, "192.0.2.0/24"),
        methods: or(&key.methods, Outcome::MethodNotAllowed, "OPTIONS"),
        resources: or(&key.resources, Outcome::ResourceNotAllowed, "/nowhere"),
        metadata: key.metadata.clone(),
        not_before: (outcome == Outcome::NotYetValid).then_some(NOT_SOON),
        expiry: (outcome == Outcome::Expired).then_some(Expiry::Lifetime(SHORTEST_LIFE)),
        ..pb::CreateKeyRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_crypto::parse;

    #[test]
    fn a_text_of_nothing_is_well_formed_and_a_malformed_one_is_not() {
        let prefix = Prefix::parse("acme_live").unwrap();
        let text = text_of_nothing("try", "unknown", &prefix);
        assert!(parse(&text).is_some());
        assert_eq!(text, text_of_nothing("try", "unknown", &prefix));
        assert!(parse(&malformed(&text)).is_none());
    }
}
