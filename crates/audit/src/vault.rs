//! Audit keys, kept once they were asked for, and what tenants are called.

use crate::cluster::{AuditKey, Cluster};
use crate::told::Told;
use latchkey_domain::{Revision, TenantNumber};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::Status;

/// Keys held at once: some 10 MiB. Beyond it one is forgotten for each that comes, and asked for again.
pub(crate) const KEYS_MAX: usize = 65_536;

/// The audit keys of one process.
#[derive(Debug)]
pub struct Vault<C> {
    cluster: Arc<C>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<Option<TenantNumber>, AuditKey>,
    /// Tenants whose key was had once: where it was destroyed since, `destroyed` says so.
    had: HashSet<TenantNumber>,
    /// Tenants whose key was destroyed: for good, as numbers are not used again.
    destroyed: HashSet<TenantNumber>,
    /// As their first entries tell: a tenant that was deleted has its name here alone. A name for each tenant there ever was.
    names: HashMap<TenantNumber, String>,
}

impl<C: Cluster> Vault<C> {
    /// Of this cluster.
    #[must_use]
    pub fn new(cluster: Arc<C>) -> Self {
        Self { cluster, known: Mutex::default() }
    }

    /// The key that seals and opens the entries of a tenant; `None`: it was destroyed, and its entries with it.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn key(
        &self,
        tenant: Option<TenantNumber>,
        revision: Revision,
        by: Instant,
    ) -> Result<Option<AuditKey>, Status> {
        if let Some(known) = self.known_key(tenant) {
            return Ok(known);
        }
        let key = self.cluster.audit_key(tenant, revision, by).await?;
        let mut known = self.known();
        match (&key, tenant) {
            (None, Some(tenant)) => known.destroyed.insert(tenant),
            // It was destroyed while the cluster was asked.
            (Some(key), _) if known.destroyed.contains(&key.tenant) => return Ok(None),
            _ => false,
        };
        if let Some(key) = &key {
            // Any: whoever goes round all tenants still finds most of them.
            if known.keys.len() >= KEYS_MAX
                && let Some(any) = known.keys.keys().next().copied()
            {
                known.keys.remove(&any);
            }
            known.had.insert(key.tenant);
            known.keys.insert(tenant, key.clone());
            if let Some(name) = &key.name {
                known.names.insert(key.tenant, name.to_string());
            }
        }
        Ok(key)
    }

    /// As [`Self::key`], where the cluster need not be asked.
    #[must_use]
    pub fn known_key(&self, tenant: Option<TenantNumber>) -> Option<Option<AuditKey>> {
        let known = self.known();
        if tenant.is_some_and(|tenant| known.destroyed.contains(&tenant)) {
            return Some(None);
        }
        known.keys.get(&tenant).cloned().map(Some)
    }

    /// Whether the key of a tenant was destroyed, where the cluster need not be asked.
    #[must_use]
    pub fn known_destroyed(&self, tenant: TenantNumber) -> Option<bool> {
        let known = self.known();
        if known.destroyed.contains(&tenant) { Some(true) } else { known.had.contains(&tenant).then_some(false) }
    }

    /// The key of a tenant was destroyed: what is left of it here goes at once.
    pub fn forget(&self, tenant: TenantNumber) {
        let mut known = self.known();
        known.keys.remove(&Some(tenant));
        known.destroyed.insert(tenant);
    }

    /// Learns from an entry what its tenant is called.
    pub fn learn(&self, told: &Told) {
        if let (Some(tenant), "tenant.created") = (told.tenant, told.action.as_str()) {
            self.known().names.entry(tenant).or_insert_with(|| told.subject.clone());
        }
    }

    /// What the tenant of an entry is called.
    #[must_use]
    pub fn name(&self, told: &Told) -> String {
        let Some(tenant) = told.tenant else { return String::new() };
        let known = self.known().names.get(&tenant).cloned();
        // A tenant that is gone, before its first entry was read again: what belonged to it is named under it. What a caller was
        // refused may belong to anybody, and he himself to the tenant.
        let place = if told.action == "access.refused" { told.actor.name() } else { &told.subject };
        known.unwrap_or_else(|| match place.split('/').collect::<Vec<_>>()[..] {
            ["tenants", id, ..] => format!("tenants/{id}"),
            _ => String::new(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
