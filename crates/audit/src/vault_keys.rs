//! The keys of a vault, for threads that may block: whoever reads and writes sorted runs.

use crate::cluster::{AuditKey, Cluster};
use crate::run::{self, Keys, KeysAway, SealingKey};
use crate::vault::Vault;
use latchkey_domain::{Revision, TenantNumber};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// How long the cluster is waited for, where it has to be asked.
const CALL_MAX: Duration = Duration::from_secs(5);

/// The keys of a vault. Asked within `spawn_blocking` only: a key that is not known yet blocks the thread until the cluster has answered.
pub struct VaultKeys<C> {
    vault: Arc<Vault<C>>,
    runtime: Handle,
}

impl<C: Cluster> VaultKeys<C> {
    /// Of this vault, asking on this runtime.
    #[must_use]
    pub const fn new(vault: Arc<Vault<C>>, runtime: Handle) -> Self {
        Self { vault, runtime }
    }
}

impl<C> fmt::Debug for VaultKeys<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKeys")
    }
}

impl<C: Cluster> Keys for VaultKeys<C> {
    fn key(&self, tenant: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        let whose = Some(tenant).filter(|tenant| *tenant != run::CLUSTER);
        let sealing = |AuditKey { number, key, .. }: AuditKey| SealingKey { number, key };
        if let Some(known) = self.vault.known_key(whose) {
            return Ok(known.map(sealing));
        }
        let asked = async { self.vault.key(whose, Revision::default(), Instant::now() + CALL_MAX).await };
        match self.runtime.block_on(asked) {
            Ok(key) => Ok(key.map(sealing)),
            Err(status) => Err(KeysAway { tenant, why: status.message().to_owned() }),
        }
    }
}
