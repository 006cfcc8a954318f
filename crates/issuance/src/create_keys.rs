//! `CreateKey` and `BatchCreateKeys`: all of the request's keys, or none.

use crate::Handlers;
use latchkey_crypto::{Digest, KeyText, draw_key_id, draw_version_id};
use latchkey_delivery::check_recipient;
use latchkey_domain::{Duty, RecipientKey, RingNumber, Scope, VersionName};
use latchkey_link::answers::{self, told, unexpected};
use latchkey_link::{Authorized, Call, KeyspaceMaterial, ProvenIdentity, Registry, Time, visibility, wait_for};
use latchkey_minting::KeyDetails;
use latchkey_minting::contexts::ReplayPlace;
use latchkey_state::{HolderName, NewKey, Operation, SEALED_INNER_BYTES};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::Rejection;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::CreateKeys;
use latchkey_wire::violation::FieldViolations;
use std::fmt::Display;
use tokio::time::Instant;
use tonic::Status;

/// What was made.
pub(crate) struct Created {
    pub(crate) keys: Vec<v1::IssuedKey>,
    pub(crate) revision: v1::Revision,
    pub(crate) regions: Vec<v1::RegionVisibility>,
    pub(crate) replayed: bool,
}

impl<R: Registry> Handlers<R> {
    pub(crate) async fn create_keys(&self, call: Call<CreateKeys>) -> Result<Created, Status> {
        let by = Time::waiting(&call.extensions, call.asked.wait);
        let scopes = scopes(&call.asked);
        let authorized = Authorized::check_all(call.asked, call.identity, &[Duty::Issuer], &scopes)?;
        let (asked, identity) = authorized.into_parts();
        check_recipients(&asked.recipients)?;
        let material = self.material.keyspace(&*self.registry, &asked.keyspace, by).await?;
        if asked.validate_only {
            return self.rehearse_keys(&material, asked, &identity, by).await;
        }
        let CreateKeys { keyspace, keys, recipients, request, wait, .. } = asked;
        let mint_keys = self.material.mint_keys(&material, by).await?;
        let mint = mint_keys.mint(&material);
        let (keys, texts): (Vec<_>, Vec<_>) =
            keys.into_iter().map(|key| mint.key(&mut OsEntropy).into_new_key(key)).unzip();
        // A repeat may get the texts again, so they go with the command, sealed under a key that lives for two hours.
        let cluster = &material.tenant.cluster;
        let place = request.map(|mark| ReplayPlace::new(cluster.cluster, &identity.identity, &mark.id));
        let replay = match &place {
            Some(place) => Some(self.material.seal_texts(cluster, place, &texts, by).await?),
            None => None,
        };
        let operation = Operation::CreateKeys(latchkey_state::CreateKeys { keyspace, keys, replay });
        let proposed = self.registry.propose(&identity.command(request, operation), by).await?;

        let (told, revision, replayed) = told(proposed)?;
        let Told::Keys { keys, replay, bound } = told else { return Err(unexpected("new keys")) };
        let texts = match (replayed, &place, &replay) {
            (false, _, _) => texts,
            (true, Some(place), Some(replay)) => self.material.open_texts(cluster, place, replay, by).await?,
            // The window of the repeat is over.
            (true, _, _) => Vec::new(),
        };
        let replicas = wait_for(&*self.registry, wait, revision, bound, by).await;
        Ok(Created {
            keys: issued(keys, &texts, &recipients)?,
            revision: revision.into(),
            regions: visibility(&replicas),
            replayed,
        })
    }

    /// The keys as they would be, without names, versions and texts.
    async fn rehearse_keys(
        &self,
        material: &KeyspaceMaterial,
        asked: CreateKeys,
        identity: &ProvenIdentity,
        by: Instant,
    ) -> Result<Created, Status> {
        let pepper = material.tenant.cluster.pepper.number;
        let keys = asked.keys.into_iter().map(|key| unminted(key, pepper)).collect();
        let operation = latchkey_state::CreateKeys { keyspace: asked.keyspace, keys, replay: None };
        let command = identity.command(None, Operation::CreateKeys(operation));
        let (told, revision) = answers::rehearse(&*self.registry, &command, by).await?;
        let Told::Keys { keys, .. } = told else { return Err(unexpected("new keys")) };
        let nameless = keys.into_iter().map(|key| v1::IssuedKey {
            key: Some(v1::Key { name: String::new(), versions: Vec::new(), etag: String::new(), ..key }),
            version: String::new(),
            key_text: String::new(),
            sealed_key_text: Vec::new(),
        });
        Ok(Created { keys: nameless.collect(), revision: revision.into(), regions: Vec::new(), replayed: false })
    }
}

/// Where the keys are made; management keys in the tenants of their identities.
fn scopes(asked: &CreateKeys) -> Vec<Scope> {
    if !asked.keyspace.is_management() {
        return vec![Scope::Keyspace(asked.keyspace.clone())];
    }
    let mut scopes: Vec<_> = asked
        .keys
        .iter()
        .map(|key| match &key.holder {
            HolderName::Identity(name) => Scope::Tenant(name.parent()),
            HolderName::None | HolderName::Owner(_) => Scope::System,
        })
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// A key for a rehearsal: it has ids, which nobody is shown, and no secret.
fn unminted(key: KeyDetails, pepper: RingNumber) -> NewKey {
    let KeyDetails {
        holder,
        display_name,
        purpose,
        terms,
        roles,
        parent,
        metadata,
        not_before,
        expiry,
        rotation_policy,
    } = key;
    NewKey {
        id: draw_key_id(&mut OsEntropy),
        version: draw_version_id(&mut OsEntropy),
        pepper,
        digest: Digest::new([0; 32]),
        inner: [0; SEALED_INNER_BYTES],
        holder,
        display_name,
        purpose,
        terms,
        roles,
        parent,
        metadata,
        not_before,
        expiry,
        rotation_policy,
    }
}

/// Each key with its first version and, where they are known, its text, or that sealed to whoever asked.
fn issued(
    keys: Vec<v1::Key>,
    texts: &[KeyText],
    recipients: &[Option<RecipientKey>],
) -> Result<Vec<v1::IssuedKey>, Status> {
    let count = recipients.len();
    let (mut texts, mut recipients) = (texts.iter(), recipients.iter());
    let issued = keys.into_iter().enumerate().map(|(at, key)| {
        let version = key.versions.first().map(|version| version.name.clone()).unwrap_or_default();
        let (key_text, sealed_key_text) = match (texts.next(), recipients.next().and_then(Option::as_ref)) {
            (None, _) => (String::new(), Vec::new()),
            (Some(text), None) => (text.expose().to_owned(), Vec::new()),
            (Some(text), Some(recipient)) => {
                let name = VersionName::parse(&version).map_err(|_| unexpected("new keys"))?;
                let sealed = latchkey_delivery::seal(recipient, &name, text);
                (String::new(), sealed.map_err(|error| refused(at, count, error))?)
            }
        };
        Ok(v1::IssuedKey { version, key: Some(key), key_text, sealed_key_text })
    });
    issued.collect()
}

/// Refuses keys that nothing can be sealed to, before there is a text that nobody could read.
fn check_recipients(recipients: &[Option<RecipientKey>]) -> Result<(), Status> {
    recipients.iter().enumerate().try_for_each(|(at, recipient)| match recipient {
        Some(recipient) => check_recipient(recipient).map_err(|error| refused(at, recipients.len(), error)),
        None => Ok(()),
    })
}

fn refused(at: usize, count: usize, error: impl Display) -> Status {
    let field = if count == 1 { "recipient".to_owned() } else { format!("requests[{at}].recipient") };
    Rejection::FieldsInvalid(FieldViolations::one(&field, error)).into()
}
