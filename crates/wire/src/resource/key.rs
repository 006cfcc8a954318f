//! Keys and their versions.

use super::{View, rotation_policy, texts};
use crate::pb::v1;
use crate::time::write_time;
use latchkey_domain::{KeyName, RotationName, Slug, UnixMillis, VersionName};
use latchkey_state::{Imported, Key, Restriction, Revocation, Suspension, Version, Worth};

impl View<'_> {
    /// Shows a key with its versions. A key whose keyspace the state does not hold has no name.
    #[must_use]
    pub fn key(&self, key: &Key) -> v1::Key {
        let name = self.key_name(key);
        let tenant = name.as_ref().map(|name| &name.keyspace.tenant);
        v1::Key {
            name: name.as_ref().map(ToString::to_string).unwrap_or_default(),
            display_name: key.display_name.to_string(),
            owner: self.holder_name(key.holder),
            purpose: key.purpose().to_owned(),
            state: self.key_state(key).into(),
            permissions: texts(key.terms.permissions.iter()),
            networks: texts(key.terms.networks.iter()),
            methods: texts(key.terms.methods.iter()),
            resources: texts(key.terms.resources.iter()),
            roles: tenant.map(|tenant: &Slug| self.role_names(tenant, key.terms.roles.iter())).unwrap_or_default(),
            parent_key: self.parent_name(name.as_ref(), key),
            metadata: key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect(),
            create_time: Some(write_time(key.created_at)),
            update_time: Some(write_time(key.changed().at)),
            not_before: key.not_before().map(write_time),
            expire_time: key.expires_at.map(write_time),
            revocation: key.revocation().map(revocation),
            suspension: key.suspension().map(suspension),
            restriction: key.restriction(self.now).map(restriction),
            rotation: self.live_rotation_name(name.as_ref(), key),
            versions: key.versions.iter().map(|version| self.version(name.as_ref(), key, version)).collect(),
            etag: key.etag(),
            revision: Some(self.revision.into()),
            imported: key.imported().map(|imported| self.imported(key, imported)),
            rotation_policy: key.rotation_policy().map(rotation_policy),
            rotation_due_time: self.due_at(key).map(write_time),
        }
    }

    /// When a key is due to be rotated, by the policy in force; none while it is rotating.
    fn due_at(&self, key: &Key) -> Option<UnixMillis> {
        if key.rotation().is_some_and(|id| {
            let record = self.state.rotation_at(key.keyspace, key.id, id);
            record.is_some_and(|record| !record.is_standby() && !record.state_at(self.now).is_final())
        }) {
            return None;
        }
        let keyspace = self.state.keyspaces().by_number(key.keyspace)?;
        self.state.rotation_due_at(keyspace, key, self.now)
    }

    fn imported(&self, key: &Key, imported: &Imported) -> v1::Imported {
        v1::Imported {
            format: imported.format.to_string(),
            start: imported.start.as_str().to_owned(),
            source_id: imported.source_id.to_string(),
            import_time: Some(write_time(key.created_at)),
            source_create_time: imported.source_created_at.map(write_time),
        }
    }

    /// The name of a key; none where the state does not hold its keyspace.
    #[must_use]
    pub fn key_name(&self, key: &Key) -> Option<KeyName> {
        let keyspace = self.state.keyspaces().by_number(key.keyspace)?;
        Some(KeyName { keyspace: self.state.keyspace_name(keyspace), key: key.id })
    }

    fn parent_name(&self, name: Option<&KeyName>, key: &Key) -> String {
        let parent = name.zip(key.parent());
        parent.map(|(name, key)| KeyName { key, ..name.clone() }.to_string()).unwrap_or_default()
    }

    /// The name of the rotation in progress; one whose overlap the clock has ended is none.
    fn live_rotation_name(&self, name: Option<&KeyName>, key: &Key) -> String {
        let rotation = key.rotation().filter(|id| {
            let record = self.state.rotation_at(key.keyspace, key.id, *id);
            record.is_some_and(|record| !record.state_at(self.now).is_final())
        });
        let named = name.zip(rotation);
        named.map(|(key, rotation)| RotationName { key: key.clone(), rotation }.to_string()).unwrap_or_default()
    }

    fn version(&self, name: Option<&KeyName>, key: &Key, version: &Version) -> v1::Version {
        let name = name.map(|key| VersionName { key: key.clone(), version: version.id }.to_string());
        v1::Version {
            name: name.unwrap_or_default(),
            state: self.version_state(key, version).into(),
            create_time: Some(write_time(version.created_at)),
            revocation: version.revocation().map(revocation),
            retire_time: version.retires_at().map(write_time),
            expire_time: version.expires_at().map(write_time),
        }
    }

    /// What a version is worth apart from its key; but what ends a key ends each of its versions.
    fn version_state(&self, key: &Key, version: &Version) -> v1::version::State {
        match self.state.version_worth(key, version, self.now) {
            Worth::Revoked(_) => v1::version::State::Revoked,
            Worth::Expired(_) => v1::version::State::Retired,
            Worth::Accepted | Worth::Suspended(_) | Worth::NotYetValid(_) => match version.retires_at() {
                _ if version.is_pending() => v1::version::State::Pending,
                None => v1::version::State::Active,
                Some(at) if at <= self.now => v1::version::State::Retired,
                Some(_) => v1::version::State::Retiring,
            },
        }
    }

    fn key_state(&self, key: &Key) -> v1::key::State {
        match self.state.key_worth(key, self.now) {
            Worth::Accepted | Worth::NotYetValid(_) => v1::key::State::Active,
            Worth::Revoked(_) => v1::key::State::Revoked,
            Worth::Suspended(_) => v1::key::State::Suspended,
            Worth::Expired(_) => v1::key::State::Expired,
        }
    }
}

fn revocation(revocation: &Revocation) -> v1::Revocation {
    v1::Revocation {
        reason: v1::RevocationReason::from(revocation.reason).into(),
        reason_text: revocation.text.to_string(),
        revoke_time: Some(write_time(revocation.effective_at)),
    }
}

fn suspension(suspension: &Suspension) -> v1::Suspension {
    v1::Suspension { suspend_time: Some(write_time(suspension.at)), reason_text: suspension.text.to_string() }
}

fn restriction(restriction: &Restriction) -> v1::Restriction {
    let permissions = restriction.permissions.as_ref();
    v1::Restriction {
        permissions: permissions.map(|set| v1::PermissionList { permissions: texts(set.iter()) }),
        networks: texts(restriction.networks.iter()),
        end_time: Some(write_time(restriction.ends_at)),
        restrict_time: Some(write_time(restriction.at)),
        reason_text: restriction.text.to_string(),
    }
}
