//! What must hold in every state. Checked after each record in tests and simulation: it reads everything.

use crate::hash::StateHash;
use crate::key::Version;
use crate::records::RingPurpose;
use crate::ring::{RingUses, sealed_under};
use crate::rotation::Rotation;
use crate::state::State;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use latchkey_domain::RingNumber;
use latchkey_domain::RotationState;

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
        self.check_vouching()?;
        self.check_ring()?;
        self.check_ring_uses()?;
        self.check_rotations()?;
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

    /// No checkpoint is of more than there is, and no two replicas vouch with one key.
    fn check_vouching(&self) -> Result<(), String> {
        let progress = self.progress();
        let (entries, tree) = (progress.frontier.size(), progress.frontier.root());
        if let Some(last) = progress.checkpoint
            && (last.size > entries || (last.size == entries && last.root != tree))
        {
            return Err(format!("the checkpoint of {} entries is none of a tree of {entries}", last.size));
        }
        let mut keys = BTreeMap::new();
        for replica in self.replicas() {
            let Some(key) = replica.node_key else { continue };
            if let Some(other) = keys.insert(key, replica.node) {
                return Err(format!("replicas {other} and {} have the same node key", replica.node));
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
            let parent = self.ring_key(keyspace.data_key).map(|key| key.wrapped_by);
            if parent.and_then(purpose) != Some(RingPurpose::Tenant(keyspace.tenant)) {
                return Err(format!("what wraps the data key of keyspace {} is gone", keyspace.id));
            }
        }
        Ok(())
    }

    /// What each key of the keyring is used for, counted anew over everything.
    fn check_ring_uses(&self) -> Result<(), String> {
        let mut uses: BTreeMap<RingNumber, RingUses> = BTreeMap::new();
        for key in self.all_keys() {
            for version in &key.versions {
                uses.entry(version.pepper).or_default().versions += 1;
                let Some(number) = sealed_under(&version.inner) else { continue };
                uses.entry(number).or_default().inners += 1;
                let was_given = (1..=self.progress().next.ring).contains(&number.0);
                let purpose = self.ring_key(number).map(|key| key.purpose);
                if was_given && purpose != Some(RingPurpose::Keyspace(key.keyspace)) {
                    return Err(format!("the data key of version {} is {purpose:?}", version.id));
                }
            }
        }
        for key in self.ring() {
            uses.entry(key.wrapped_by).or_default().ring_keys += 1;
        }
        let counted = self.ring().map(|key| key.number).chain(uses.keys().copied());
        for number in counted {
            let (counted, found) = (self.ring_uses(number), uses.get(&number).copied().unwrap_or_default());
            if counted != found {
                return Err(format!("key {} of the keyring counts {counted:?}, and there are {found:?}", number.0));
            }
        }
        Ok(())
    }

    /// What a rotation says of its versions is what they say of themselves.
    fn check_rotations(&self) -> Result<(), String> {
        for rotation in self.all_rotations() {
            let (id, course) = (rotation.id, rotation.course.as_deref());
            let held = course.is_some_and(|course| course.hold.is_some());
            if held != (rotation.state == RotationState::Held) {
                return Err(format!("rotation {id} is {} and has a hold: {held}", rotation.state));
            }
            let waits = matches!(rotation.effective_state(), RotationState::Planned | RotationState::Prepared);
            if !waits && course.is_some_and(|course| course.replay.is_some()) {
                return Err(format!("rotation {id} keeps its secret although it is {}", rotation.state));
            }
            let Some(key) = self.key_at(rotation.keyspace, rotation.key) else { continue };
            let old = rotation.old.and_then(|old| key.version(old));
            if let Some((end, old)) = rotation.clock_end().zip(old)
                && old.retires_at() != Some(end)
            {
                return Err(format!("rotation {id} ends at {end}, its old version at {:?}", old.retires_at()));
            }
            let new = rotation.new.and_then(|new| key.version(new));
            let is_accepted = new.is_some_and(|new| !new.is_pending());
            let is_told = course.is_none_or(|course| course.activated_at.is_some() == is_accepted);
            if !rotation.state.is_final() && new.is_some() && !is_told {
                return Err(format!("rotation {id} and its new version differ in whether that is accepted"));
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
                let lives = version.expires_at().is_none_or(|end| self.clock() < end);
                lives && !version.is_pending() && version.retires_at().is_none() && version.revocation().is_none()
            };
            // Between its delivery and its overlap a rotation has two of them.
            let two = self.rotation_in_progress(key).is_some_and(Rotation::has_two_active);
            if key.versions.iter().filter(is_active).count() > 1 + usize::from(two) {
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
