//! What must hold in every state. Checked after each record in tests and simulation: it reads everything.

use crate::hash::StateHash;
use crate::key::Version;
use crate::records::RingPurpose;
use crate::state::State;
use alloc::format;
use alloc::string::String;

impl State {
    /// Reads the whole state and tells the first thing that is wrong with it.
    ///
    /// # Errors
    /// A sentence that names the record and what was expected of it.
    pub fn check_invariants(&self) -> Result<(), String> {
        let hash = self.rows().fold(StateHash::default(), |hash, row| hash.plus(&row));
        if hash != self.hash() {
            return Err("the state hash is not the sum over its rows".into());
        }
        // Loading also checks that all references are met and that no two rows claim the same.
        let rebuilt = Self::load(self.rows()).map_err(|error| format!("{error:?}"))?;
        if rebuilt != *self {
            return Err("the state differs from what its rows make".into());
        }
        self.check_numbers()?;
        self.check_ring()?;
        self.check_keys()
    }

    /// No number that was given lies beyond the last one given, else it would be given again.
    fn check_numbers(&self) -> Result<(), String> {
        let next = self.progress().next;
        let newest = [
            ("tenant", next.tenant, self.tenants().iter().map(|record| record.number.0).max()),
            ("keyspace", next.keyspace, self.keyspaces().iter().map(|record| record.number.0).max()),
            ("owner", next.owner, self.owners().iter().map(|record| record.number.0).max()),
            ("identity", next.identity, self.identities().iter().map(|record| record.number.0).max()),
            ("role", next.role, self.roles().iter().map(|record| record.number.0).max()),
            ("ring key", next.ring, self.ring().map(|record| record.number.0).max()),
        ];
        for (kind, given, newest) in newest {
            if newest.is_some_and(|newest| newest > given) {
                return Err(format!("a {kind} has a number beyond {given}, the last one given"));
            }
        }
        Ok(())
    }

    /// Whatever is sealed under a key of the keyring finds it.
    fn check_ring(&self) -> Result<(), String> {
        let purpose = |number| self.ring_key(number).map(|key| key.purpose);
        for tenant in self.tenants().iter() {
            let found = (purpose(tenant.tenant_key), purpose(tenant.audit_key));
            if found != (Some(RingPurpose::Tenant(tenant.number)), Some(RingPurpose::Audit(tenant.number))) {
                return Err(format!("the keys of tenant {} are {found:?}", tenant.id));
            }
        }
        for keyspace in self.keyspaces().iter() {
            let found = purpose(keyspace.data_key);
            if found != Some(RingPurpose::Keyspace(keyspace.number)) {
                return Err(format!("the data key of keyspace {} is {found:?}", keyspace.id));
            }
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), String> {
        for keyspace in self.keyspaces().iter() {
            let keys = self.keys_of(keyspace.number, None).count() as u64;
            if keys != keyspace.keys {
                return Err(format!("keyspace {} counts {} keys and holds {keys}", keyspace.id, keyspace.keys));
            }
        }
        for key in self.all_keys() {
            let changed = key.changed();
            if key.created > changed.revision || changed.revision > self.revision() || changed.at > self.clock() {
                return Err(format!("key {} comes from the future", key.id));
            }
            let is_active = |version: &&Version| {
                !version.is_pending() && version.retires_at().is_none() && version.revocation().is_none()
            };
            if key.versions.iter().filter(is_active).count() > 1 {
                return Err(format!("key {} has more than one active version", key.id));
            }
            for version in &key.versions {
                if self.ring_key(version.pepper).is_none_or(|pepper| pepper.purpose != RingPurpose::Pepper) {
                    return Err(format!("the pepper of version {} is gone", version.id));
                }
            }
        }
        Ok(())
    }
}
