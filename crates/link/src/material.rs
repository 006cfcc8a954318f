//! What it takes to mint: rows of the state and their keys, unwrapped with this process's own access to the KEK.

use crate::answers::{read, unexpected};
use crate::{Query, Registry};
use latchkey_crypto::{DataKey, Pepper};
use latchkey_domain::{ClusterId, DurationMillis, KeyspaceName, Refusal, Revision, RingNumber, TenantName, UnixMillis};
use latchkey_kms::{Kms, KmsError};
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_minting::{DrawnKey, Numbered, unwrap};
use latchkey_state::{Keyspace, RingKey, Tenant, WrappedKey};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::disk::{DecodeError, read_keyspace_row, read_ring_key_row, read_tenant_row};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::material_query::Scope;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// Unwrapped keys held at once: more keyspaces than one service is busy with in an hour. Beyond it all are forgotten and
/// asked for again.
const UNWRAPPED_MAX: usize = 4_096;

/// Unwrapped keys of one process.
#[derive(Debug)]
pub struct Material {
    kms: Arc<dyn Kms>,
    unwrapped: Mutex<HashMap<KeptAs, Arc<DataKey>>>,
}

/// The number of a key in the keyring, and what it was wrapped under: a cluster that goes on from a backup gives numbers
/// again that it gave since, and what is made with the key of before opens nowhere.
type KeptAs = (RingNumber, [u8; 16]);

/// What belongs to no tenant.
#[derive(Debug)]
pub struct ClusterMaterial {
    /// The cluster.
    pub cluster: ClusterId,
    /// The revision of the state that was read.
    pub revision: Revision,
    /// The time of the cluster.
    pub now: UnixMillis,
    /// The feature level of the cluster.
    pub feature_level: u32,
    /// The lowest `staleness_max` that a keyspace may choose.
    pub staleness_floor: DurationMillis,
    /// The `staleness_max` of a keyspace that chooses none.
    pub staleness_default: DurationMillis,
    /// The newest pepper, wrapped.
    pub pepper: RingKey,
    /// The other peppers that digests are under, wrapped, while the pepper rotates.
    pub other_peppers: Vec<RingKey>,
    /// The replay keys that are live, wrapped, oldest first.
    pub replay_keys: Vec<RingKey>,
}

/// What it takes to make a keyspace.
#[derive(Debug)]
pub struct TenantMaterial {
    /// What belongs to no tenant.
    pub cluster: ClusterMaterial,
    /// The tenant.
    pub tenant: Tenant,
    /// Its key, wrapped; where a keyspace was asked for, the one that wraps the data key.
    pub tenant_key: RingKey,
}

/// What it takes to make keys.
#[derive(Debug)]
pub struct KeyspaceMaterial {
    /// The tenant, and what belongs to none.
    pub tenant: TenantMaterial,
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Its data key, wrapped.
    pub data_key: RingKey,
}

impl Material {
    /// With this access to the KEK.
    #[must_use]
    pub fn new(kms: Arc<dyn Kms>) -> Self {
        Self { kms, unwrapped: Mutex::default() }
    }

    /// Wraps a new key under the KEK that wraps the keyring now, whichever the settings of this process name first: while a
    /// KEK takes the place of another, a replica that does not have it yet must not be locked out.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn wrap(&self, of: &ClusterMaterial, drawn: &DrawnKey, by: Instant) -> Result<WrappedKey, Status> {
        let context = drawn.place().kek_context();
        let wrap = async {
            let under = match of.pepper.kek {
                Some(kek) => kek,
                // Older records do not say so.
                None => {
                    let pepper = RingKeyPlace::new(of.cluster, of.pepper.purpose, of.pepper.id).kek_context();
                    self.kms.identify(&pepper, &of.pepper.wrapped).await?
                }
            };
            self.kms.wrap_under(under, &context, drawn.key()).await
        };
        match timeout_at(by, wrap).await.unwrap_or(Err(KmsError::Unavailable)) {
            Ok(wrapped) => Ok(drawn.wrapped(wrapped.into_bytes())),
            Err(error) => {
                tracing::error!(kms = self.kms.name(), %error, "a new key cannot be wrapped");
                Err(Unavailable::Locked.into())
            }
        }
    }

    /// Reads what belongs to no tenant.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn cluster(&self, registry: &impl Registry, by: Instant) -> Result<ClusterMaterial, Status> {
        let (material, revision) = query(registry, None, by).await?;
        cluster(registry.cluster(by).await?, revision, &material).map_err(damaged)
    }

    /// Reads what it takes to make a keyspace of a tenant.
    ///
    /// # Errors
    /// `NOT_FOUND`; `UNAVAILABLE`.
    pub async fn tenant(
        &self,
        registry: &impl Registry,
        name: &TenantName,
        by: Instant,
    ) -> Result<TenantMaterial, Status> {
        let (material, revision) = query(registry, Some(Scope::Tenant(name.to_string())), by).await?;
        tenant(registry.cluster(by).await?, revision, &material).map_err(damaged)
    }

    /// Reads what it takes to make keys of a keyspace.
    ///
    /// # Errors
    /// `NOT_FOUND`; `UNAVAILABLE`.
    pub async fn keyspace(
        &self,
        registry: &impl Registry,
        name: &KeyspaceName,
        by: Instant,
    ) -> Result<KeyspaceMaterial, Status> {
        let (material, revision) = query(registry, Some(Scope::Keyspace(name.to_string())), by).await?;
        keyspace(registry.cluster(by).await?, revision, &material).map_err(damaged)
    }

    /// The newest pepper.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn pepper(&self, of: &ClusterMaterial, by: Instant) -> Result<Numbered<Pepper>, Status> {
        let key = self.by_kek(of.cluster, &of.pepper, by).await?;
        Ok(Numbered::new(of.pepper.number, Pepper::new(key.expose())))
    }

    /// The other peppers that digests are under: a text that was imported before may be found by them only.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn other_peppers(&self, of: &ClusterMaterial, by: Instant) -> Result<Vec<Numbered<Pepper>>, Status> {
        let mut peppers = Vec::with_capacity(of.other_peppers.len());
        for row in &of.other_peppers {
            let key = self.by_kek(of.cluster, row, by).await?;
            peppers.push(Numbered::new(row.number, Pepper::new(key.expose())));
        }
        Ok(peppers)
    }

    /// The replay key to seal with.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`, or `RING_KEY_GONE` while the leader is late to add one.
    pub async fn replay_key(&self, of: &ClusterMaterial, by: Instant) -> Result<Numbered<Arc<DataKey>>, Status> {
        let newest = of.replay_keys.last().ok_or_else(|| status::refused(&Refusal::RingKeyGone { number: 0 }))?;
        Ok(Numbered::new(newest.number, self.by_kek(of.cluster, newest, by).await?))
    }

    /// The replay key that sealed something earlier; `None` where it was destroyed since.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn earlier_replay_key(
        &self,
        of: &ClusterMaterial,
        number: RingNumber,
        by: Instant,
    ) -> Result<Option<Arc<DataKey>>, Status> {
        match of.replay_keys.iter().find(|key| key.number == number) {
            Some(key) => self.by_kek(of.cluster, key, by).await.map(Some),
            None => Ok(None),
        }
    }

    /// The key of a tenant.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn tenant_key(&self, of: &TenantMaterial, by: Instant) -> Result<Numbered<Arc<DataKey>>, Status> {
        Ok(Numbered::new(of.tenant_key.number, self.by_kek(of.cluster.cluster, &of.tenant_key, by).await?))
    }

    /// The data key of a keyspace.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn data_key(&self, of: &KeyspaceMaterial, by: Instant) -> Result<Numbered<Arc<DataKey>>, Status> {
        let (cluster, row) = (of.tenant.cluster.cluster, &of.data_key);
        if let Some(key) = self.kept(row) {
            return Ok(Numbered::new(row.number, key));
        }
        let parent = self.by_kek(cluster, &of.tenant.tenant_key, by).await?;
        let place = RingKeyPlace::new(cluster, row.purpose, row.id);
        let key = unwrap(&parent, &place, &row.wrapped).map_err(|error| {
            tracing::error!(number = row.number.0, %error, "a data key does not open under its tenant's key");
            Status::from(Unavailable::Locked)
        })?;
        Ok(Numbered::new(row.number, self.keep(row, key)))
    }

    /// A key that the KEK wraps.
    async fn by_kek(&self, cluster: ClusterId, row: &RingKey, by: Instant) -> Result<Arc<DataKey>, Status> {
        if let Some(key) = self.kept(row) {
            return Ok(key);
        }
        let context = RingKeyPlace::new(cluster, row.purpose, row.id).kek_context();
        let unwrapped = timeout_at(by, self.kms.unwrap(&context, &row.wrapped)).await;
        match unwrapped.unwrap_or(Err(KmsError::Unavailable)) {
            Ok(key) => Ok(self.keep(row, key)),
            Err(error) => {
                let kms = self.kms.name();
                tracing::error!(number = row.number.0, kms, %error, "a key of the keyring cannot be unwrapped");
                Err(Unavailable::Locked.into())
            }
        }
    }

    fn kept(&self, row: &RingKey) -> Option<Arc<DataKey>> {
        self.unwrapped().get(&(row.number, row.id)).cloned()
    }

    fn keep(&self, row: &RingKey, key: DataKey) -> Arc<DataKey> {
        let mut unwrapped = self.unwrapped();
        if unwrapped.len() >= UNWRAPPED_MAX {
            unwrapped.clear();
        }
        unwrapped.entry((row.number, row.id)).or_insert_with(|| Arc::new(key)).clone()
    }

    fn unwrapped(&self) -> MutexGuard<'_, HashMap<KeptAs, Arc<DataKey>>> {
        self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn query(
    registry: &impl Registry,
    scope: Option<Scope>,
    by: Instant,
) -> Result<(pb::Material, Revision), Status> {
    match read(registry, Query::Material(pb::MaterialQuery { scope }), by).await? {
        (Answer::Material(material), revision) => Ok((material, revision)),
        _ => Err(unexpected("material")),
    }
}

fn cluster(cluster: ClusterId, revision: Revision, material: &pb::Material) -> Result<ClusterMaterial, DecodeError> {
    Ok(ClusterMaterial {
        cluster,
        revision,
        now: UnixMillis::new(material.now_unix_ms),
        feature_level: material.feature_level,
        staleness_floor: DurationMillis::new(material.staleness_floor_ms),
        staleness_default: DurationMillis::new(material.staleness_default_ms),
        pepper: read_ring_key_row(present(material.pepper.as_ref(), "material.pepper")?)?,
        other_peppers: material.other_peppers.iter().map(read_ring_key_row).collect::<Result<_, _>>()?,
        replay_keys: material.replay_keys.iter().map(read_ring_key_row).collect::<Result<_, _>>()?,
    })
}

fn tenant(id: ClusterId, revision: Revision, material: &pb::Material) -> Result<TenantMaterial, DecodeError> {
    Ok(TenantMaterial {
        cluster: cluster(id, revision, material)?,
        tenant: read_tenant_row(present(material.tenant.as_ref(), "material.tenant")?)?,
        tenant_key: read_ring_key_row(present(material.tenant_key.as_ref(), "material.tenant_key")?)?,
    })
}

fn keyspace(id: ClusterId, revision: Revision, material: &pb::Material) -> Result<KeyspaceMaterial, DecodeError> {
    Ok(KeyspaceMaterial {
        tenant: tenant(id, revision, material)?,
        keyspace: read_keyspace_row(present(material.keyspace.as_ref(), "material.keyspace")?)?,
        data_key: read_ring_key_row(present(material.data_key.as_ref(), "material.data_key")?)?,
    })
}

fn present<'a, T>(part: Option<&'a T>, field: &'static str) -> Result<&'a T, DecodeError> {
    part.ok_or_else(|| DecodeError { field, problem: "missing".to_owned() })
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of the error in `map_err`")]
fn damaged(error: DecodeError) -> Status {
    status::bug(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_kms::OsEntropy;
    use latchkey_kms::testing::SwitchableKms;
    use latchkey_minting::contexts::RingKind;
    use latchkey_state::RingPurpose;
    use std::time::Duration;

    #[tokio::test]
    async fn a_key_that_got_the_number_of_a_lost_one_is_not_taken_for_it() {
        // Number 9 was given, the cluster went on from a backup of before, and 9 was given again.
        let (kms, cluster) = (Arc::new(SwitchableKms::new([1; 32])), ClusterId([7; 16]));
        let material = Material::new(kms.clone());
        for _ in 0..2 {
            let drawn = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Replay);
            let wrapped =
                drawn.wrapped(kms.wrap(&drawn.place().kek_context(), drawn.key()).await.unwrap().into_bytes());
            let row = RingKey {
                number: RingNumber(9),
                id: wrapped.id,
                purpose: RingPurpose::Replay,
                wrapped_by: RingNumber(0),
                kek: None,
                wrapped: wrapped.wrapped,
                created_at: UnixMillis::default(),
            };
            let unwrapped = material.by_kek(cluster, &row, Instant::now() + Duration::from_secs(1)).await.unwrap();
            assert_eq!(unwrapped.expose(), drawn.key().expose());
        }
    }
}
