//! What still uses a key of the keyring. Rotating one is adding another, making anew whatever was made with the old
//! one, and destroying the old one once these questions say that nothing is left.

use crate::key::Key;
use crate::records::{RingKey, RingPurpose};
use crate::state::State;
use crate::upkeep::KeyAt;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_crypto::envelope;
use latchkey_domain::{RingNumber, TenantNumber};

/// What was made with a key of the keyring, and is still there. Exact: kept with each row that comes or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingUses {
    /// Versions whose digest it keys.
    pub versions: u64,
    /// Versions whose inner digest it seals.
    pub inners: u64,
    /// Keys of the keyring that it wraps.
    pub ring_keys: u64,
}

impl RingUses {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.versions + self.inners + self.ring_keys
    }
}

/// The key that something is sealed under, as its header says; none where it has no such header.
pub(crate) fn sealed_under(sealed: &[u8]) -> Option<RingNumber> {
    envelope::ring_number(sealed).ok()
}

impl State {
    /// What still uses a key of the keyring.
    #[must_use]
    pub fn ring_uses(&self, number: RingNumber) -> RingUses {
        self.index().ring_uses(number)
    }

    /// The keys of one purpose, oldest first.
    pub fn ring_keys_of(&self, purpose: RingPurpose) -> impl DoubleEndedIterator<Item = &Arc<RingKey>> {
        let numbers = (purpose, RingNumber(0))..=(purpose, RingNumber(u32::MAX));
        self.index().purposes.range(numbers).filter_map(|(_, number)| self.ring_key(*number))
    }

    /// Whether a key of the keyring is the one that what is made now is made with.
    #[must_use]
    pub fn is_current_ring_key(&self, key: &RingKey) -> bool {
        let chosen = match key.purpose {
            RingPurpose::Tenant(number) => self.tenants().by_number(number).map(|tenant| tenant.tenant_key),
            RingPurpose::Audit(number) => self.tenants().by_number(number).map(|tenant| tenant.audit_key),
            RingPurpose::Keyspace(number) => self.keyspaces().by_number(number).map(|keyspace| keyspace.data_key),
            RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay => None,
        };
        let newest = || self.newest_ring_key(key.purpose).map(|newest| newest.number);
        chosen.or_else(newest) == Some(key.number)
    }

    /// The key that wraps what is added for this purpose now; 0 is the KEK. The keys of a tenant outlive it.
    #[must_use]
    pub fn wrapping_key(&self, purpose: RingPurpose) -> RingNumber {
        let Some(number) = self.wrapping_tenant(purpose) else { return RingNumber(0) };
        let living = self.tenants().by_number(number).map(|tenant| tenant.tenant_key);
        let newest = || self.newest_ring_key(RingPurpose::Tenant(number)).map(|key| key.number);
        living.or_else(newest).unwrap_or(RingNumber(0))
    }

    /// The tenant whose key wraps keys of this purpose; none where the KEK does.
    fn wrapping_tenant(&self, purpose: RingPurpose) -> Option<TenantNumber> {
        match purpose {
            RingPurpose::Audit(tenant) => Some(tenant),
            RingPurpose::Keyspace(number) => self.keyspaces().by_number(number).map(|keyspace| keyspace.tenant),
            RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay | RingPurpose::Tenant(_) => None,
        }
    }

    /// How many versions have a digest under a pepper that is not the newest, and how many an inner digest under a data
    /// key that is not their keyspace's: what a rotation still has to make anew.
    #[must_use]
    pub fn versions_to_rekey(&self) -> (u64, u64) {
        let old = |counts: &imbl::OrdMap<RingNumber, u64>| -> u64 {
            let is_old = |number: RingNumber| self.ring_key(number).is_some_and(|key| !self.is_current_ring_key(key));
            counts.iter().filter(|(number, _)| is_old(**number)).map(|(_, count)| count).sum()
        };
        (old(&self.index().peppers), old(&self.index().inners))
    }

    /// Whether a version of this key is still under an old pepper or data key.
    #[must_use]
    pub fn needs_rekeying(&self, key: &Key) -> bool {
        let pepper = self.newest_ring_key(RingPurpose::Pepper).map(|pepper| pepper.number);
        let data_key = self.keyspaces().by_number(key.keyspace).map(|keyspace| keyspace.data_key);
        let is_old = |number: RingNumber| self.ring_key(number).is_some();
        key.versions.iter().any(|version| {
            let sealed_by = sealed_under(&version.inner).filter(|number| is_old(*number));
            Some(version.pepper) != pepper || sealed_by.is_some_and(|number| Some(number) != data_key)
        })
    }

    /// Among the next `scan` keys after `after`, at most `limit` of which versions are still under an old pepper or data
    /// key; and where to go on, absent at the end of all keys.
    #[must_use]
    pub fn keys_to_rekey(&self, after: Option<KeyAt>, scan: usize, limit: usize) -> (Vec<Arc<Key>>, Option<KeyAt>) {
        let mut keys = self.all_keys_after(after);
        let (mut found, mut last) = (Vec::new(), None);
        for key in keys.by_ref().take(scan) {
            last = Some((key.keyspace, key.id));
            if self.needs_rekeying(key) {
                found.push(key.clone());
            }
            if found.len() == limit {
                break;
            }
        }
        let more = keys.next().is_some();
        (found, last.filter(|_| more))
    }

    /// At most `limit` keys of the keyring that an older key of their tenant wraps than the one it has now.
    #[must_use]
    pub fn ring_keys_to_rewrap(&self, limit: usize) -> Vec<Arc<RingKey>> {
        let is_old_tenant_key = |number: &RingNumber| {
            self.ring_key(*number)
                .is_some_and(|key| matches!(key.purpose, RingPurpose::Tenant(_)) && !self.is_current_ring_key(key))
        };
        if !self.index().wrapped.keys().any(is_old_tenant_key) {
            return Vec::new();
        }
        self.ring().filter(|key| is_old_tenant_key(&key.wrapped_by)).take(limit).cloned().collect()
    }

    /// The keys of the keyring that were replaced, and that nothing in the state uses any more.
    #[must_use]
    pub fn unused_ring_keys(&self) -> Vec<Arc<RingKey>> {
        let is_over = |key: &&Arc<RingKey>| {
            key.purpose != RingPurpose::Replay
                && !self.is_current_ring_key(key)
                && self.ring_uses(key.number).total() == 0
        };
        self.ring().filter(is_over).cloned().collect()
    }
}
