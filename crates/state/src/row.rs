//! Rows: the state as a flat set of records, which is what lies at rest, what a snapshot carries and what is hashed.

mod request;
mod rotation;

use crate::backups::{Backup, ReplicaBackups};
use crate::encode::Encoder;
use crate::key::{Change, Holder, Key, Revocation, Version};
use crate::records::{
    Cluster, Identity, Keyspace, Owner, Progress, RememberedRequest, Replica, RingKey, RingPurpose, Role, ScopeCut,
    Tenant, TenantQuotas,
};
use crate::rotation::{Rotation, RotationClaim};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    IdentityNumber, ImportFormat, KeyId, KeyspaceNumber, NodeId, OwnerNumber, RingNumber, RoleNumber, RotationId,
    TenantNumber,
};

/// Which row. Sorted so that a load meets what others refer to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowId {
    /// The one row about progress.
    Progress,
    /// The one row about the cluster.
    Cluster,
    /// A wrapped key.
    RingKey(RingNumber),
    /// A tenant.
    Tenant(TenantNumber),
    /// A keyspace.
    Keyspace(KeyspaceNumber),
    /// An owner.
    Owner(OwnerNumber),
    /// An identity.
    Identity(IdentityNumber),
    /// A key.
    Key(KeyspaceNumber, KeyId),
    /// A remembered request.
    Request(IdentityNumber, [u8; 16]),
    /// A role.
    Role(RoleNumber),
    /// A rotation.
    Rotation(KeyspaceNumber, KeyId, RotationId),
    /// A replica.
    Replica(NodeId),
    /// The one row about who drives rotations.
    RotationClaim,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// See [`RowId::Progress`].
    Progress(Progress),
    /// See [`RowId::Cluster`].
    Cluster(Arc<Cluster>),
    /// See [`RowId::RingKey`].
    RingKey(Arc<RingKey>),
    /// See [`RowId::Tenant`].
    Tenant(Arc<Tenant>),
    /// See [`RowId::Keyspace`].
    Keyspace(Arc<Keyspace>),
    /// See [`RowId::Owner`].
    Owner(Arc<Owner>),
    /// See [`RowId::Identity`].
    Identity(Arc<Identity>),
    /// See [`RowId::Key`].
    Key(Arc<Key>),
    /// See [`RowId::Request`].
    Request(Arc<RememberedRequest>),
    /// See [`RowId::Role`].
    Role(Arc<Role>),
    /// See [`RowId::Rotation`].
    Rotation(Arc<Rotation>),
    /// See [`RowId::Replica`].
    Replica(Arc<Replica>),
    /// See [`RowId::RotationClaim`].
    RotationClaim(RotationClaim),
}

/// What one or more commands changed, by row: the new row, or `None` where it went. Later changes replace earlier ones.
pub type Changes = BTreeMap<RowId, Option<Row>>;

impl RowId {
    /// The table's number at rest. Never reused.
    #[must_use]
    pub const fn table(&self) -> u8 {
        match self {
            Self::Progress => 0,
            Self::Cluster => 1,
            Self::RingKey(_) => 2,
            Self::Tenant(_) => 3,
            Self::Keyspace(_) => 4,
            Self::Owner(_) => 5,
            Self::Identity(_) => 6,
            Self::Key(..) => 7,
            Self::Request(..) => 8,
            Self::Role(_) => 9,
            Self::Rotation(..) => 10,
            Self::Replica(_) => 11,
            Self::RotationClaim => 12,
        }
    }

    /// Its id within the table, at most 28 bytes, sorting as the rows do.
    #[must_use]
    pub fn id_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(28);
        match self {
            Self::Progress | Self::Cluster | Self::RotationClaim => {}
            Self::RingKey(RingNumber(number))
            | Self::Tenant(TenantNumber(number))
            | Self::Keyspace(KeyspaceNumber(number))
            | Self::Owner(OwnerNumber(number))
            | Self::Role(RoleNumber(number))
            | Self::Identity(IdentityNumber(number)) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Key(keyspace, key) => {
                out.extend_from_slice(&keyspace.0.to_be_bytes());
                out.extend_from_slice(key.bytes());
            }
            Self::Request(identity, id) => {
                out.extend_from_slice(&identity.0.to_be_bytes());
                out.extend_from_slice(id);
            }
            Self::Replica(node) => out.extend_from_slice(&node.0.to_be_bytes()),
            Self::Rotation(keyspace, key, rotation) => {
                out.extend_from_slice(&keyspace.0.to_be_bytes());
                out.extend_from_slice(key.bytes());
                out.extend_from_slice(rotation.bytes());
            }
        }
        out
    }
}

impl Row {
    /// Which row it is.
    #[must_use]
    pub fn id(&self) -> RowId {
        match self {
            Self::Progress(_) => RowId::Progress,
            Self::Cluster(_) => RowId::Cluster,
            Self::RingKey(row) => RowId::RingKey(row.number),
            Self::Tenant(row) => RowId::Tenant(row.number),
            Self::Keyspace(row) => RowId::Keyspace(row.number),
            Self::Owner(row) => RowId::Owner(row.number),
            Self::Identity(row) => RowId::Identity(row.number),
            Self::Key(row) => RowId::Key(row.keyspace, row.id),
            Self::Request(row) => RowId::Request(row.identity, row.id),
            Self::Role(row) => RowId::Role(row.number),
            Self::Rotation(row) => RowId::Rotation(row.keyspace, row.key, row.id),
            Self::Replica(row) => RowId::Replica(row.node),
            Self::RotationClaim(_) => RowId::RotationClaim,
        }
    }

    /// One byte string for one row: what the state hash sums.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u8(self.id().table());
        match self {
            Self::Progress(row) => progress(&mut out, row),
            Self::Cluster(row) => cluster(&mut out, row),
            Self::RingKey(row) => ring_key(&mut out, row),
            Self::Tenant(row) => tenant(&mut out, row),
            Self::Keyspace(row) => keyspace(&mut out, row),
            Self::Owner(row) => owner(&mut out, row),
            Self::Identity(row) => identity(&mut out, row),
            Self::Key(row) => key(&mut out, row),
            Self::Request(row) => request::request(&mut out, row),
            Self::Role(row) => role(&mut out, row),
            Self::Rotation(row) => rotation::rotation(&mut out, row),
            Self::Replica(row) => replica(&mut out, row),
            Self::RotationClaim(row) => rotation::claim(&mut out, row),
        }
        out.finish()
    }
}

// What levels 2 and 3 brought stands behind the rest, each part under a tag of its own and only where it says something: a record
// that uses none of it hashes as it did at level 1.

fn progress(out: &mut Encoder, row: &Progress) {
    out.revision(row.last);
    out.time(row.clock);
    out.u32(row.feature_level);
    for next in [row.next.tenant, row.next.keyspace, row.next.owner, row.next.identity, row.next.ring] {
        out.u32(next);
    }
    out.u64(row.frontier.size());
    out.list(row.frontier.peaks().iter(), |out, peak| out.fixed(peak.as_bytes()));
    out.tagged(1, (row.next.role != 0).then_some(row.next.role), Encoder::u32);
    out.tagged(2, row.trimmed, |out, trimmed| {
        out.u64(trimmed.next.0);
        out.time(trimmed.at);
    });
    out.tagged(3, row.checkpoint, |out, checkpoint| {
        out.u64(checkpoint.size);
        out.fixed(checkpoint.root.as_bytes());
        out.fixed(&checkpoint.key);
    });
    out.tagged(4, (row.tree_epoch != 0).then_some(row.tree_epoch), Encoder::u64);
    out.tagged(5, row.tenant_keys_gone, Encoder::revision);
    out.tagged(6, (row.tree_index != 0).then_some(row.tree_index), Encoder::u64);
}

fn cluster(out: &mut Encoder, row: &Cluster) {
    out.fixed(&row.id.0);
    out.u64(row.staleness_floor.millis());
    out.u64(row.staleness_default.millis());
    out.time(row.created_at);
}

fn ring_key(out: &mut Encoder, row: &RingKey) {
    out.u32(row.number.0);
    out.fixed(&row.id);
    let (purpose, scope) = match row.purpose {
        RingPurpose::Log => (0, 0),
        RingPurpose::Pepper => (1, 0),
        RingPurpose::Replay => (2, 0),
        RingPurpose::Tenant(tenant) => (3, tenant.0),
        RingPurpose::Audit(tenant) => (4, tenant.0),
        RingPurpose::Keyspace(keyspace) => (5, keyspace.0),
    };
    out.u8(purpose);
    out.u32(scope);
    out.u32(row.wrapped_by.0);
    out.bytes(&row.wrapped);
    out.time(row.created_at);
    out.tagged(1, row.kek, |out, kek| out.fixed(&kek.0));
}

fn tenant(out: &mut Encoder, row: &Tenant) {
    out.u32(row.number.0);
    out.text(row.id.as_str());
    out.text(row.display_name.as_str());
    out.time(row.created_at);
    out.option(row.cut.as_ref().map(|cut| cut.revision), Encoder::revision);
    out.u32(row.tenant_key.0);
    out.u32(row.audit_key.0);
    changed(out, row.changed);
    cut(out, row.cut.as_deref());
    out.tagged(3, (row.quotas != TenantQuotas::default()).then_some(row.quotas), |out, quotas| {
        let TenantQuotas { keyspaces_max, owners_max, roles_max, identities_max, writes_per_second_max } = quotas;
        for quota in [keyspaces_max, owners_max, roles_max, identities_max, writes_per_second_max] {
            out.option(quota, Encoder::u32);
        }
    });
    out.tagged(4, (!row.contacts.is_empty()).then_some(&row.contacts), |out, contacts| {
        out.list(contacts.iter(), |out, contact| out.text(contact.as_str()));
    });
}

fn changed(out: &mut Encoder, changed: Option<Change>) {
    out.tagged(1, changed, |out, change| {
        out.revision(change.revision);
        out.time(change.at);
    });
}

/// All of a cut but its revision, which stood there before.
fn cut(out: &mut Encoder, cut: Option<&ScopeCut>) {
    let known = cut.filter(|cut| **cut != ScopeCut::of_level_1(cut.revision));
    out.tagged(2, known, |out, cut| {
        out.time(cut.at);
        out.text(cut.reason.as_str());
        out.text(cut.text.as_str());
        out.u8(cut.marked.into());
    });
}

fn keyspace(out: &mut Encoder, row: &Keyspace) {
    let settings = &row.settings;
    out.u32(row.number.0);
    out.u32(row.tenant.0);
    out.text(row.id.as_str());
    out.text(settings.display_name.as_str());
    out.text(settings.prefix.as_str());
    out.text(settings.environment.as_str());
    out.list(settings.allowed_permissions.iter(), |out, permission| out.text(permission.as_str()));
    out.option(settings.default_lifetime, |out, span| out.u64(span.millis()));
    out.option(settings.maximum_lifetime, |out, span| out.u64(span.millis()));
    out.list(settings.networks.iter(), Encoder::printed);
    out.option(settings.staleness_max, |out, span| out.u64(span.millis()));
    out.u8(settings.staleness_policy.is_of_level_4().into());
    out.u64(settings.dead_retention.millis());
    out.u64(settings.keys_max);
    out.u64(row.staleness_max.millis());
    out.time(row.created_at);
    out.option(row.cut.as_ref().map(|cut| cut.revision), Encoder::revision);
    out.u32(row.data_key.0);
    out.u64(row.keys);
    changed(out, row.changed);
    cut(out, row.cut.as_deref());
    out.tagged(3, (!settings.allowed_roles.is_empty()).then_some(&settings.allowed_roles), |out, roles| {
        out.list(roles.iter(), |out, role| out.text(role.as_str()));
    });
    out.tagged(4, (settings.versions_max != u64::MAX).then_some(settings.versions_max), Encoder::u64);
    out.tagged(5, (settings.metadata_bytes_max != u64::MAX).then_some(settings.metadata_bytes_max), Encoder::u64);
    out.tagged(6, settings.self_revocation_off.then_some(1), Encoder::u8);
    out.tagged(7, row.staleness_before, |out, (span, until)| {
        out.u64(span.millis());
        out.time(until);
    });
    out.tagged(8, (!settings.import_formats.is_empty()).then_some(&settings.import_formats), |out, formats| {
        out.list(formats.iter(), import_format);
    });
    out.tagged(9, settings.staleness_policy.beyond(), |out, max| out.u64(max.span().millis()));
    out.tagged(10, settings.rotation_policy.as_deref(), rotation::policy);
    out.tagged(11, (settings.access_sample_ppm != 0).then_some(settings.access_sample_ppm), Encoder::u32);
    out.tagged(12, settings.expiry_notices.as_ref(), |out, notices| {
        out.list(notices.spans().iter(), |out, span| out.u64(span.millis()));
    });
}

fn import_format(out: &mut Encoder, format: &ImportFormat) {
    out.text(format.id().as_str());
    out.text(format.digest().as_str());
    out.text(format.prefix());
    out.list(format.parts().iter(), |out, part| {
        out.text(part.alphabet.as_str());
        out.fixed(&[part.length_min, part.length_max]);
    });
}

fn owner(out: &mut Encoder, row: &Owner) {
    out.u32(row.number.0);
    out.u32(row.tenant.0);
    out.text(row.id.as_str());
    out.text(row.display_name.as_str());
    out.list(row.contacts.iter(), |out, contact| out.text(contact.as_str()));
    out.time(row.created_at);
    out.option(row.cut.as_ref().map(|cut| cut.revision), Encoder::revision);
    changed(out, row.changed);
    cut(out, row.cut.as_deref());
}

fn role(out: &mut Encoder, row: &Role) {
    out.u32(row.number.0);
    out.u32(row.tenant.0);
    out.text(row.id.as_str());
    out.text(row.display_name.as_str());
    out.list(row.permissions.iter(), |out, permission| out.text(permission.as_str()));
    out.list(row.methods.iter(), |out, method| out.text(method.as_str()));
    out.time(row.created_at);
    out.revision(row.created);
    out.option(row.cut.as_ref().map(|cut| cut.revision), Encoder::revision);
    changed(out, row.changed);
    cut(out, row.cut.as_deref());
}

fn replica(out: &mut Encoder, row: &Replica) {
    out.u64(row.node.0);
    for text in [row.place.region(), row.place.raft_address(), row.place.address(), row.role.as_str()] {
        out.text(text);
    }
    for change in [row.admitted, row.changed] {
        out.revision(change.revision);
        out.time(change.at);
    }
    out.tagged(1, row.node_key, |out, key| out.fixed(&key));
    out.tagged(2, row.backups.as_deref(), |out, ReplicaBackups { given, keep, kept, older }| {
        out.option(given.as_ref(), backup);
        out.u32(*keep);
        out.list(kept.iter(), backup);
        out.u32(*older);
    });
}

fn backup(out: &mut Encoder, Backup { revision, taken_at, node }: &Backup) {
    out.revision(*revision);
    out.time(*taken_at);
    out.u64(node.0);
}

fn identity(out: &mut Encoder, row: &Identity) {
    out.u32(row.number.0);
    out.u32(row.tenant.0);
    out.text(row.id.as_str());
    out.text(row.display_name.as_str());
    out.list(row.grants.iter(), |out, grant| {
        out.text(grant.duty.as_str());
        out.printed(&grant.scope);
    });
    out.time(row.created_at);
    changed(out, row.changed);
}

fn key(out: &mut Encoder, row: &Key) {
    out.fixed(row.id.bytes());
    out.u32(row.keyspace.0);
    let (kind, holder) = match row.holder {
        Holder::None => (0, 0),
        Holder::Owner(owner) => (1, owner.0),
        Holder::Identity(identity) => (2, identity.0),
    };
    out.u8(kind);
    out.u32(holder);
    out.text(row.display_name.as_str());
    out.text(row.purpose());
    out.list(row.terms.permissions.iter(), |out, permission| out.text(permission.as_str()));
    out.list(row.terms.networks.iter(), Encoder::printed);
    out.list(row.terms.methods.iter(), |out, method| out.text(method.as_str()));
    out.list(row.terms.resources.iter(), |out, resource| out.text(resource.as_str()));
    out.length(row.metadata().count());
    row.metadata().for_each(|(name, value)| {
        out.text(name);
        out.text(value);
    });
    out.revision(row.created);
    out.time(row.created_at);
    out.revision(row.changed().revision);
    out.time(row.changed().at);
    out.option(row.not_before(), Encoder::time);
    out.option(row.expires_at, Encoder::time);
    out.option(row.revocation(), revocation);
    out.list(row.versions.iter(), version);
    let Some(details) = row.details.as_ref() else {
        key_roles(out, row);
        return version_times(out, row);
    };
    out.tagged(1, details.suspension.as_deref(), |out, suspension| {
        out.time(suspension.at);
        out.text(suspension.text.as_str());
    });
    out.tagged(2, details.restriction.as_deref(), |out, restriction| {
        out.option(restriction.permissions.as_ref(), |out, permissions| {
            out.list(permissions.iter(), |out, permission| out.text(permission.as_str()));
        });
        out.list(restriction.networks.iter(), Encoder::printed);
        out.time(restriction.ends_at);
        out.time(restriction.at);
        out.text(restriction.text.as_str());
    });
    out.tagged(3, details.parent, |out, parent| out.fixed(parent.bytes()));
    out.tagged(4, details.placed, Encoder::revision);
    out.tagged(5, details.rotation, |out, rotation| out.fixed(rotation.bytes()));
    key_roles(out, row);
    out.tagged(9, details.imported.as_deref(), |out, imported| {
        out.text(imported.format.as_str());
        out.text(imported.start.as_str());
        out.text(imported.source_id.as_str());
        out.option(imported.source_created_at, Encoder::time);
        out.fixed(imported.version.bytes());
    });
    out.tagged(10, details.rotation_policy.as_deref(), rotation::policy);
    out.tagged(11, details.noticed_through, Encoder::time);
    version_times(out, row);
    out.tagged(14, details.expiry_told_through, Encoder::time);
}

/// What level 5 brought to versions.
fn version_times(out: &mut Encoder, row: &Key) {
    for version in &row.versions {
        let details = version.details.as_ref();
        let times = [details.and_then(|details| details.expires_at), details.and_then(|details| details.activated_at)];
        for (tag, time) in (12..).zip(times) {
            out.tagged(tag, time, |out, time| {
                out.fixed(version.id.bytes());
                out.time(time);
            });
        }
    }
}

fn key_roles(out: &mut Encoder, row: &Key) {
    let roles = &row.terms.roles;
    out.tagged(6, (!roles.is_empty()).then_some(roles), |out, roles| {
        out.list(roles.iter(), |out, role| out.u32(role.0));
    });
    for version in &row.versions {
        out.tagged(7, version.retires_at(), |out, time| {
            out.fixed(version.id.bytes());
            out.time(time);
        });
        out.tagged(8, version.is_pending().then_some(version.id), |out, id| out.fixed(id.bytes()));
    }
}

fn version(out: &mut Encoder, version: &Version) {
    out.fixed(version.id.bytes());
    out.u32(version.pepper.0);
    out.fixed(version.digest.as_bytes());
    out.bytes(&version.inner);
    out.time(version.created_at);
    out.option(version.revocation(), revocation);
}

fn revocation(out: &mut Encoder, revocation: &Revocation) {
    out.time(revocation.effective_at);
    out.time(revocation.asked_at);
    out.text(revocation.reason.as_str());
    out.text(revocation.text.as_str());
}
