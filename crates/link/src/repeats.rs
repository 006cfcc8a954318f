//! Minting for a caller who may ask again: the key texts go with the command, sealed under a key that lives for two
//! hours, and a repeat of the request gets them back while that key lives.

use crate::{ClusterMaterial, KeyspaceMaterial, Material};
use latchkey_crypto::envelope::ring_number;
use latchkey_crypto::{DataKey, KeyText, Pepper};
use latchkey_minting::contexts::ReplayPlace;
use latchkey_minting::{Mint, Numbered, replay};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::status;
use std::sync::Arc;
use tokio::time::Instant;
use tonic::Status;

/// The unwrapped keys that minting takes; held as briefly as can be.
#[derive(Debug)]
pub struct MintKeys {
    data_key: Numbered<Arc<DataKey>>,
    pepper: Numbered<Pepper>,
}

impl MintKeys {
    /// What mints in the keyspace that the keys are of.
    #[must_use]
    pub fn mint<'a>(&'a self, material: &'a KeyspaceMaterial) -> Mint<'a> {
        Mint {
            cluster: material.tenant.cluster.cluster,
            tenant: material.tenant.tenant.number,
            prefix: &material.keyspace.settings.prefix,
            data_key: Numbered::new(self.data_key.number, &*self.data_key.key),
            pepper: Numbered::new(self.pepper.number, &self.pepper.key),
        }
    }
}

impl Material {
    /// Unwraps what it takes to mint in a keyspace.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn mint_keys(&self, of: &KeyspaceMaterial, by: Instant) -> Result<MintKeys, Status> {
        let data_key = self.data_key(of, by).await?;
        Ok(MintKeys { data_key, pepper: self.pepper(&of.tenant.cluster, by).await? })
    }

    /// The box that a command carries, so that a repeat of its request gets the texts again.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED` or `RING_KEY_GONE`.
    pub async fn seal_texts(
        &self,
        of: &ClusterMaterial,
        place: &ReplayPlace,
        texts: &[KeyText],
        by: Instant,
    ) -> Result<Box<[u8]>, Status> {
        let key = self.replay_key(of, by).await?;
        Ok(replay::seal(Numbered::new(key.number, &*key.key), place, texts, &mut OsEntropy))
    }

    /// The texts in the box of the first answer; none where the window is over.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOCKED`.
    pub async fn open_texts(
        &self,
        of: &ClusterMaterial,
        place: &ReplayPlace,
        sealed: &[u8],
        by: Instant,
    ) -> Result<Vec<KeyText>, Status> {
        let number = ring_number(sealed).map_err(|error| status::bug(&error.to_string()))?;
        let Some(key) = self.earlier_replay_key(of, number, by).await? else { return Ok(Vec::new()) };
        replay::open(&key, place, sealed).map_err(|error| status::bug(&error.to_string()))
    }
}
