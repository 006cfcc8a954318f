//! `CreateKey` and `BatchCreateKeys`: all of the request's keys, or none.

use crate::handlers::{Call, Handlers, command};
use crate::rehearsal::Rehearsal;
use latchkey_crypto::envelope::ring_number;
use latchkey_crypto::{Digest, KeyText, draw_key_id, draw_version_id};
use latchkey_domain::{Duty, Scope};
use latchkey_link::answers::{told, unexpected};
use latchkey_link::{Authorized, KeyspaceMaterial, ProvenIdentity, Registry, Time, answers, visibility, wait_for};
use latchkey_minting::contexts::ReplayPlace;
use latchkey_minting::{KeyDetails, Mint, Numbered, replay};
use latchkey_state::{HolderName, NewKey, Operation, RequestMark, SEALED_INNER_BYTES};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::status;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::CreateKeys;
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
        let material = self.material.keyspace(&*self.registry, &asked.keyspace, by).await?;
        if asked.validate_only {
            return self.rehearse_keys(&material, asked, &identity, by).await;
        }
        let CreateKeys { keyspace, keys, request, wait, .. } = asked;
        let (keys, texts) = self.mint(&material, keys, by).await?;
        let replay = match &request {
            Some(mark) => Some(self.seal_replay(&material, &identity, mark, &texts, by).await?),
            None => None,
        };
        let operation = Operation::CreateKeys(latchkey_state::CreateKeys { keyspace, keys, replay });
        let proposed = self.registry.propose(&command(&identity, request, operation), by).await?;

        let (told, revision, replayed) = told(proposed)?;
        let Told::Keys { keys, replay, bound } = told else { return Err(unexpected("new keys")) };
        let texts = if replayed {
            self.open_replay(&material, &identity, request.as_ref(), replay.as_deref(), by).await?
        } else {
            texts
        };
        let replicas = wait_for(&*self.registry, wait, revision, bound, by).await;
        Ok(Created { keys: issued(keys, &texts), revision: revision.into(), regions: visibility(&replicas), replayed })
    }

    async fn mint(
        &self,
        material: &KeyspaceMaterial,
        keys: Vec<KeyDetails>,
        by: Instant,
    ) -> Result<(Vec<NewKey>, Vec<KeyText>), Status> {
        let data_key = self.material.data_key(material, by).await?;
        let pepper = self.material.pepper(&material.tenant.cluster, by).await?;
        let mint = Mint {
            cluster: material.tenant.cluster.cluster,
            tenant: material.tenant.tenant.number,
            prefix: &material.keyspace.settings.prefix,
            data_key: Numbered::new(data_key.number, &*data_key.key),
            pepper: Numbered::new(pepper.number, &pepper.key),
        };
        Ok(keys.into_iter().map(|key| mint.key(&mut OsEntropy).into_new_key(key)).unzip())
    }

    /// A repeat may get the texts again, so they go with the command, sealed under a key that lives for two hours.
    async fn seal_replay(
        &self,
        material: &KeyspaceMaterial,
        identity: &ProvenIdentity,
        mark: &RequestMark,
        texts: &[KeyText],
        by: Instant,
    ) -> Result<Box<[u8]>, Status> {
        let cluster = &material.tenant.cluster;
        let key = self.material.replay_key(cluster, by).await?;
        let place = ReplayPlace::new(cluster.cluster, &identity.identity, &mark.id);
        Ok(replay::seal(Numbered::new(key.number, &*key.key), &place, texts, &mut OsEntropy))
    }

    /// The texts of the first answer; none where the window is over.
    async fn open_replay(
        &self,
        material: &KeyspaceMaterial,
        identity: &ProvenIdentity,
        mark: Option<&RequestMark>,
        sealed: Option<&[u8]>,
        by: Instant,
    ) -> Result<Vec<KeyText>, Status> {
        let (Some(mark), Some(sealed)) = (mark, sealed) else { return Ok(Vec::new()) };
        let cluster = &material.tenant.cluster;
        let number = ring_number(sealed).map_err(|error| status::bug(&error.to_string()))?;
        let Some(key) = self.material.earlier_replay_key(cluster, number, by).await? else { return Ok(Vec::new()) };
        let place = ReplayPlace::new(cluster.cluster, &identity.identity, &mark.id);
        replay::open(&key, &place, sealed).map_err(|error| status::bug(&error.to_string()))
    }

    /// The keys as they would be, without names, versions and texts.
    async fn rehearse_keys(
        &self,
        material: &KeyspaceMaterial,
        asked: CreateKeys,
        identity: &ProvenIdentity,
        by: Instant,
    ) -> Result<Created, Status> {
        let mut rehearsal = Rehearsal::new(&material.tenant.cluster, identity);
        rehearsal.keyspace(&material.tenant, &material.keyspace);
        for holder in asked.keys.iter().map(|key| &key.holder) {
            match holder {
                HolderName::None => {}
                HolderName::Owner(name) if !rehearsal.knows_owner(name) => {
                    answers::owner(&*self.registry, name, by).await?;
                    rehearsal.owner(name);
                }
                HolderName::Identity(name) if !rehearsal.knows_identity(name) => {
                    let identity = answers::identity(&*self.registry, name, by).await?;
                    rehearsal.identity(name, &identity)?;
                }
                HolderName::Owner(_) | HolderName::Identity(_) => {}
            }
        }
        let pepper = material.tenant.cluster.pepper.number;
        let keys = asked.keys.into_iter().map(|key| unminted(key, pepper)).collect();
        let operation = latchkey_state::CreateKeys { keyspace: asked.keyspace, keys, replay: None };
        let Told::Keys { keys, .. } = rehearsal.perform(command(identity, None, Operation::CreateKeys(operation)))?
        else {
            return Err(unexpected("new keys"));
        };
        let nameless = keys.into_iter().map(|key| v1::IssuedKey {
            key: Some(v1::Key { name: String::new(), versions: Vec::new(), etag: String::new(), ..key }),
            version: String::new(),
            key_text: String::new(),
        });
        Ok(Created {
            keys: nameless.collect(),
            revision: material.tenant.cluster.revision.into(),
            regions: Vec::new(),
            replayed: false,
        })
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
fn unminted(key: KeyDetails, pepper: latchkey_domain::RingNumber) -> NewKey {
    let KeyDetails { holder, display_name, purpose, terms, metadata, not_before, expiry } = key;
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
        metadata,
        not_before,
        expiry,
    }
}

/// Each key with its first version and, where they are known, its text.
fn issued(keys: Vec<v1::Key>, texts: &[KeyText]) -> Vec<v1::IssuedKey> {
    let mut texts = texts.iter().map(|text| text.expose().to_owned());
    keys.into_iter()
        .map(|key| v1::IssuedKey {
            version: key.versions.first().map(|version| version.name.clone()).unwrap_or_default(),
            key: Some(key),
            key_text: texts.next().unwrap_or_default(),
        })
        .collect()
}
