//! What each ciphertext is bound to, declared once: minting seals with it, and whoever opens asks here too.
//!
//! | ciphertext | tenant | record | sealed under |
//! |---|---|---|---|
//! | ring key | 0 | kind (1) \|\| id (16) | the KEK, or its tenant's key |
//! | inner digest | the keyspace's | version id (12) | the keyspace's data key |
//! | replay box of new keys | 0 | request id (16) \|\| identity name | a replay key |
//! | replay box of a rotation | 0 | request id (16) \|\| identity name \|\| `/` \|\| version id (12) | a replay key |
//! | replay box of the driver | 0 | `rotation/` \|\| rotation id (12) \|\| `/` \|\| version id (12) | a replay key |
//! | audit entry, as the audit service keeps it | the entry's, 0 for the cluster's own | sequence (8) | that tenant's audit key |
//! | part of a sorted run of the audit service | the items', 0 for the cluster's own | run (16) \|\| part (1) \|\| offset (8) | that tenant's audit key |
//!
//! The commands, rows, entries and snapshot frames that only a replica seals are its own affair.

use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_crypto::envelope::{Context, Field};
use latchkey_domain::{ClusterId, IdentityName, RotationId, Sequence, TenantNumber, VersionId};
use latchkey_state::RingPurpose;

/// What belongs to no tenant, or to one whose number is not known when it is sealed.
const CLUSTER_WIDE: TenantNumber = TenantNumber(0);

/// Version of the plaintexts: 32 bytes of a key, 32 bytes of an inner digest, a list of key texts, an audit entry.
const SCHEMA: u16 = 1;

/// Begins what the KEK is told, so that it never mistakes it for another of its customers' contexts.
const KEK_LABEL: &[u8] = b"latchkey/ring-key/1";

/// What a ring key is for, without the number of whom it is for: that is given after the key was wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RingKind {
    /// Seals log records.
    Log = 1,
    /// Keys the digests of secrets.
    Pepper = 2,
    /// Seals what a repeat gets again.
    Replay = 3,
    /// Wraps a tenant's other keys.
    Tenant = 4,
    /// Seals a tenant's audit entries.
    Audit = 5,
    /// Seals a keyspace's records.
    Keyspace = 6,
}

impl From<RingPurpose> for RingKind {
    fn from(purpose: RingPurpose) -> Self {
        match purpose {
            RingPurpose::Log => Self::Log,
            RingPurpose::Pepper => Self::Pepper,
            RingPurpose::Replay => Self::Replay,
            RingPurpose::Tenant(_) => Self::Tenant,
            RingPurpose::Audit(_) => Self::Audit,
            RingPurpose::Keyspace(_) => Self::Keyspace,
        }
    }
}

/// The place of a ring key: its kind, so that a pepper never unwraps as a data key, and the random id drawn with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingKeyPlace {
    cluster: ClusterId,
    record: [u8; 17],
}

impl RingKeyPlace {
    /// Of the ring key with this kind and id.
    #[must_use]
    pub fn new(cluster: ClusterId, kind: impl Into<RingKind>, id: [u8; 16]) -> Self {
        let mut record = [0; 17];
        record[0] = kind.into() as u8;
        record[1..].copy_from_slice(&id);
        Self { cluster, record }
    }

    /// For a key that another ring key wraps.
    #[must_use]
    pub const fn context(&self) -> Context<'_> {
        Context {
            cluster: self.cluster,
            tenant: CLUSTER_WIDE,
            record: &self.record,
            field: Field::WRAPPED_KEY,
            schema: SCHEMA,
        }
    }

    /// For a key that the KEK wraps: what `Kms::wrap` and `Kms::unwrap` are told.
    #[must_use]
    pub fn kek_context(&self) -> Vec<u8> {
        [KEK_LABEL, &self.cluster.0, &self.record].concat()
    }
}

/// The place of a version's inner digest.
#[must_use]
pub const fn inner(cluster: ClusterId, tenant: TenantNumber, version: &VersionId) -> Context<'_> {
    Context { cluster, tenant, record: version.bytes(), field: Field::INNER, schema: SCHEMA }
}

/// The place of a replay box: who asked, and under which `request_id`. Nobody else's repeat opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPlace {
    cluster: ClusterId,
    record: Vec<u8>,
}

impl ReplayPlace {
    /// Of the request that `identity` made under `request_id`.
    #[must_use]
    pub fn new(cluster: ClusterId, identity: &IdentityName, request_id: &[u8; 16]) -> Self {
        let name = identity.to_string();
        Self { cluster, record: [request_id.as_slice(), name.as_bytes()].concat() }
    }

    /// Of the request by which `identity` gave a key the new version `version`. It is none of new keys, whose places end
    /// with the name, and no name has a `/` behind its id.
    #[must_use]
    pub fn of_version(cluster: ClusterId, identity: &IdentityName, request_id: &[u8; 16], version: &VersionId) -> Self {
        let mut place = Self::new(cluster, identity, request_id);
        place.record.push(b'/');
        place.record.extend_from_slice(version.bytes());
        place
    }

    /// Of the version that whoever drives rotations made for one of them: nobody asked for it, and every driver opens it.
    /// A place of a request is longer, as it holds a name.
    #[must_use]
    pub fn of_rotation(cluster: ClusterId, rotation: &RotationId, version: &VersionId) -> Self {
        Self { cluster, record: [b"rotation/", &rotation.bytes()[..], b"/", version.bytes()].concat() }
    }

    /// Its context.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context {
            cluster: self.cluster,
            tenant: CLUSTER_WIDE,
            record: &self.record,
            field: Field::REPLAY,
            schema: SCHEMA,
        }
    }
}

/// The place of an audit entry in the audit service's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    cluster: ClusterId,
    tenant: TenantNumber,
    record: [u8; 8],
}

impl EntryPlace {
    /// Of the entry with this number; a tenant that is absent stands for the cluster itself.
    #[must_use]
    pub fn new(cluster: ClusterId, tenant: Option<TenantNumber>, sequence: Sequence) -> Self {
        Self { cluster, tenant: tenant.unwrap_or(CLUSTER_WIDE), record: sequence.0.to_be_bytes() }
    }

    /// Its context.
    #[must_use]
    pub const fn context(&self) -> Context<'_> {
        Context {
            cluster: self.cluster,
            tenant: self.tenant,
            record: &self.record,
            field: Field::ENTRY,
            schema: SCHEMA,
        }
    }
}

/// The place of a part of a sorted run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPlace {
    cluster: ClusterId,
    tenant: TenantNumber,
    record: [u8; 25],
}

impl RunPlace {
    /// Of the part of this kind at `offset` of the run that was given the random id `run`; the tenant 0 stands for the cluster.
    #[must_use]
    pub fn new(cluster: ClusterId, run: [u8; 16], tenant: TenantNumber, part: u8, offset: u64) -> Self {
        let mut record = [part; 25];
        record[..16].copy_from_slice(&run);
        record[17..].copy_from_slice(&offset.to_be_bytes());
        Self { cluster, tenant, record }
    }

    /// Its context.
    #[must_use]
    pub const fn context(&self) -> Context<'_> {
        Context { cluster: self.cluster, tenant: self.tenant, record: &self.record, field: Field::RUN, schema: SCHEMA }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::hex;
    use latchkey_domain::{KeyspaceNumber, Slug};

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

    fn identity(tenant: &str, id: &str) -> IdentityName {
        IdentityName::new(Slug::parse(tenant).unwrap(), Slug::parse(id).unwrap())
    }

    #[test]
    fn keys_of_two_kinds_with_one_id_have_two_places() {
        let pepper = RingKeyPlace::new(CLUSTER, RingKind::Pepper, [7; 16]);
        let replay = RingKeyPlace::new(CLUSTER, RingKind::Replay, [7; 16]);
        assert_ne!(pepper.context(), replay.context());
        assert_ne!(pepper.kek_context(), replay.kek_context());
    }

    #[test]
    fn the_place_does_not_depend_on_a_number_that_is_given_later() {
        let before = RingKeyPlace::new(CLUSTER, RingKind::Keyspace, [7; 16]);
        assert_eq!(RingKeyPlace::new(CLUSTER, RingPurpose::Keyspace(KeyspaceNumber(9)), [7; 16]), before);
    }

    #[test]
    fn neither_another_identity_nor_another_request_shares_a_replay() {
        let mine = ReplayPlace::new(CLUSTER, &identity("acme", "deploy"), &[1; 16]);
        assert_ne!(mine, ReplayPlace::new(CLUSTER, &identity("acme", "deploy"), &[2; 16]));
        assert_ne!(mine, ReplayPlace::new(CLUSTER, &identity("acme", "deploys"), &[1; 16]));
    }

    #[test]
    fn neither_another_tenant_nor_another_sequence_shares_an_entry() {
        let mine = EntryPlace::new(CLUSTER, Some(TenantNumber(2)), Sequence(7));
        assert_ne!(mine.context(), EntryPlace::new(CLUSTER, Some(TenantNumber(3)), Sequence(7)).context());
        assert_ne!(mine.context(), EntryPlace::new(CLUSTER, None, Sequence(7)).context());
        assert_ne!(mine.context(), EntryPlace::new(CLUSTER, Some(TenantNumber(2)), Sequence(8)).context());
    }

    #[test]
    fn no_two_parts_of_runs_share_a_place() {
        let mine = RunPlace::new(CLUSTER, [1; 16], TenantNumber(2), 1, 7);
        assert_eq!(hex(mine.context().record), format!("{}010000000000000007", "01".repeat(16)));
        for other in [
            RunPlace::new(CLUSTER, [2; 16], TenantNumber(2), 1, 7),
            RunPlace::new(CLUSTER, [1; 16], TenantNumber(3), 1, 7),
            RunPlace::new(CLUSTER, [1; 16], TenantNumber(2), 2, 7),
            RunPlace::new(CLUSTER, [1; 16], TenantNumber(2), 1, 8),
        ] {
            assert_ne!(mine.context(), other.context());
        }
    }

    #[test]
    fn a_rotation_shares_its_replay_with_no_new_key_and_with_no_other_version() {
        let version = |text: &str| VersionId::parse(text).unwrap();
        let of = |id: &str| ReplayPlace::of_version(CLUSTER, &identity("acme", "deploy"), &[1; 16], &version(id));
        assert_ne!(of("0000000000000010"), ReplayPlace::new(CLUSTER, &identity("acme", "deploy"), &[1; 16]));
        assert_ne!(of("0000000000000010"), of("0000000000000011"));
    }

    #[test]
    fn a_driver_shares_its_replay_with_nobody_who_asked_for_something() {
        let version = VersionId::parse("0000000000000010").unwrap();
        let driven = ReplayPlace::of_rotation(CLUSTER, &RotationId::LOWEST, &version);
        // The shortest name there can be.
        let asked = ReplayPlace::new(CLUSTER, &identity("a", "b"), b"rotation/0123456");
        assert!(driven.context().record.len() < asked.context().record.len());
    }

    #[test]
    fn the_places_are_a_contract() {
        let place = RingKeyPlace::new(CLUSTER, RingKind::Audit, [0xA0; 16]);
        let record = "05a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";
        assert_eq!(hex(place.context().record), record);
        assert_eq!(
            hex(&place.kek_context()),
            format!("6c617463686b65792f72696e672d6b65792f31{}{record}", "c1".repeat(16))
        );
        let replay = ReplayPlace::new(CLUSTER, &identity("a", "b"), &[0xB0; 16]);
        assert_eq!(hex(replay.context().record), format!("{}{}", "b0".repeat(16), hex(b"tenants/a/identities/b")));
        let entry = EntryPlace::new(CLUSTER, Some(TenantNumber(3)), Sequence(0x0102));
        assert_eq!((hex(entry.context().record).as_str(), entry.context().tenant.0), ("0000000000000102", 3));
        let version = VersionId::parse("0000000000000010").unwrap();
        let rotated = ReplayPlace::of_version(CLUSTER, &identity("a", "b"), &[0xB0; 16], &version);
        assert_eq!(
            hex(rotated.context().record),
            format!("{}{}2f00000000000000000000003e", "b0".repeat(16), hex(b"tenants/a/identities/b"))
        );
        let driven = ReplayPlace::of_rotation(CLUSTER, &RotationId::parse("0000000000000011").unwrap(), &version);
        let expected = format!("{}{}2f{}", hex(b"rotation/"), "00000000000000000000003f", "00000000000000000000003e");
        assert_eq!(hex(driven.context().record), expected);
        let inner = inner(CLUSTER, TenantNumber(3), &version);
        assert_eq!((hex(inner.record).as_str(), inner.tenant.0), ("00000000000000000000003e", 3));
    }
}
