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

    fn is_destroyed(&self, tenant: TenantNumber) -> Result<bool, KeysAway> {
        match self.vault.known_destroyed(tenant) {
            Some(known) => Ok(known),
            None => Ok(self.key(tenant)?.is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Events;
    use crate::collect::tests::{CLUSTER, Ring, answer, open};
    use crate::collect::{Batch, Observed, Options};
    use latchkey_domain::{ClusterId, NodeId, Sequence};
    use latchkey_link::LogStanding;
    use latchkey_wire::pb::internal::v1 as pb;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use tonic::Status;

    const TENANTS: u32 = 5_000;

    /// The keys of [`Ring`], and how often each was asked for.
    #[derive(Debug, Default)]
    struct Counting(Mutex<BTreeMap<Option<TenantNumber>, u32>>);

    impl Cluster for Counting {
        async fn id(&self, _: Instant) -> Result<ClusterId, Status> {
            Ok(CLUSTER)
        }

        async fn standing(&self, _: Instant) -> Result<LogStanding, Status> {
            Err(Status::unavailable("nobody asks"))
        }

        async fn follow(&self, _: Sequence, _: Instant) -> Result<Events, Status> {
            Err(Status::unavailable("nobody asks"))
        }

        async fn trim(&self, _: Sequence, _: Instant) -> Result<(), Status> {
            Err(Status::unavailable("nobody asks"))
        }

        async fn audit_key(
            &self,
            tenant: Option<TenantNumber>,
            _: Revision,
            _: Instant,
        ) -> Result<Option<AuditKey>, Status> {
            *self.0.lock().unwrap().entry(tenant).or_default() += 1;
            let tenant = tenant.unwrap_or(run::CLUSTER);
            let key = Ring::default().key(tenant).unwrap();
            Ok(key.map(|SealingKey { number, key }| AuditKey { number, key, tenant, name: None }))
        }
    }

    /// What a replica saw of each tenant.
    fn batch(number: u64) -> Batch {
        let line = |tenant| pb::AccessRecord { tenant: Some(tenant), last_unix_ms: number, ..Default::default() };
        let records = (1..=TENANTS).map(line).collect();
        let answer = pb::TakeObservationsResponse { records, ..answer(1, 1, number, Vec::new()) };
        Batch::read(NodeId(1), answer).unwrap().unwrap()
    }

    #[test]
    fn looking_for_what_is_to_be_merged_asks_for_the_key_of_each_of_many_tenants_once() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), tokio::runtime::Runtime::new().unwrap());
        let ring = Arc::new(Ring::default());
        let observed = open(folder.path(), &ring);
        for number in 1..3 {
            observed.take(&batch(number)).unwrap();
            observed.flush().unwrap();
        }
        drop(observed);
        let cluster = Arc::new(Counting::default());
        let vault = Arc::new(Vault::new(cluster.clone()));
        let keys = Arc::new(VaultKeys::new(vault.clone(), runtime.handle().clone()));
        let observed = Observed::open(folder.path(), CLUSTER, keys, Options::default()).unwrap();
        observed.merge(0).unwrap();
        observed.merge(0).unwrap();
        let asked = cluster.0.lock().unwrap().clone();
        assert_eq!(asked.len(), TENANTS as usize + 1, "and that of the cluster itself");
        let often: Vec<_> = asked.iter().filter(|(_, times)| **times > 1).take(3).collect();
        assert!(often.is_empty(), "{often:?}");
        // What it knows of those that are there keeps nobody from being destroyed.
        let tenants = || observed.look(|_| {}).runs().flat_map(|run| run.reader.tenants().collect::<Vec<_>>()).count();
        assert_eq!(tenants(), 2 * TENANTS as usize);
        vault.forget(TenantNumber(7));
        observed.merge(0).unwrap();
        assert_eq!(tenants(), 2 * (TENANTS as usize - 1));
    }

    #[test]
    fn a_key_beyond_those_that_are_held_takes_the_place_of_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let vault = Arc::new(Vault::new(Arc::new(Counting::default())));
        let keys = VaultKeys::new(vault.clone(), runtime.handle().clone());
        let all = 1..=u32::try_from(crate::vault::KEYS_MAX).unwrap() + 1;
        let held = || all.clone().filter(|tenant| vault.known_key(Some(TenantNumber(*tenant))).is_some()).count();
        for tenant in all.clone() {
            keys.key(TenantNumber(tenant)).unwrap();
        }
        assert_eq!(held(), crate::vault::KEYS_MAX);
        assert!(all.clone().all(|tenant| vault.known_destroyed(TenantNumber(tenant)) == Some(false)));
    }
}
