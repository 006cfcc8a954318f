//! The keys that runs are sealed under.

use super::CLUSTER;
use latchkey_crypto::DataKey;
use latchkey_domain::{RingNumber, TenantNumber};
use std::fmt;
use std::sync::Arc;

/// The key of a tenant.
#[derive(Clone, Debug)]
pub struct SealingKey {
    /// Its number in the keyring.
    pub number: RingNumber,
    /// The key.
    pub key: Arc<DataKey>,
}

/// A key cannot be had now. It may later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit key of tenant {} is away: {why}", tenant.0)]
pub struct KeysAway {
    /// Whose key.
    pub tenant: TenantNumber,
    /// Why, for the log.
    pub why: String,
}

/// Whoever has the audit keys of tenants. Asked for every block, so it keeps what it knows; may block the thread.
pub trait Keys: fmt::Debug + Send + Sync {
    /// The audit key of a tenant, that of the cluster itself for [`CLUSTER`]; `None`: it was destroyed, for good.
    ///
    /// # Errors
    /// [`KeysAway`].
    fn key(&self, tenant: TenantNumber) -> Result<Option<SealingKey>, KeysAway>;

    /// Whether the audit key of a tenant was destroyed. Asked for each tenant of each run, so it is answered from what is known.
    ///
    /// # Errors
    /// [`KeysAway`].
    fn is_destroyed(&self, tenant: TenantNumber) -> Result<bool, KeysAway> {
        Ok(self.key(tenant)?.is_none())
    }

    /// That of the cluster, which is never destroyed.
    ///
    /// # Errors
    /// [`KeysAway`].
    fn cluster_key(&self) -> Result<SealingKey, KeysAway> {
        let why = || "the cluster has none".to_owned();
        self.key(CLUSTER)?.ok_or_else(|| KeysAway { tenant: CLUSTER, why: why() })
    }
}
