//! Builders: short words for the commands that tests send.

use latchkey_crypto::Digest;
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Duty, Environment, Grant, IdentityName, ImportAlphabet, ImportDigest,
    ImportFormat, ImportFormatId, ImportPart, ImportStart, KeyId, KeyName, KeyspaceName, Metadata, MethodSet, NodeId,
    OwnerName, PermissionPattern, PermissionSet, Prefix, Purpose, ReasonText, RevocationReason, RingNumber, RoleName,
    Scope, Slug, SourceId, TenantName, Terms, UnixMillis, VersionId,
};
use latchkey_state::{
    Actor, Bootstrap, Command, CreateIdentity, CreateKeys, CreateKeyspace, CreateOwner, CreateRole, CreateTenant, Cut,
    CutScope, Delete, DirectoryName, Expiry, HolderName, ImportKeys, Imported, KeyToImport, KeyspaceChanges,
    KeyspaceSettings, NewKey, NewRingKey, Operation, RequestMark, RevokeKey, RingPurpose, StalenessPolicy,
    UpdateKeyspace, WrappedKey, bootstrap_ring,
};

/// When the clusters of the tests are made.
pub(crate) const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// A minute in milliseconds.
pub(crate) const MINUTE: u64 = 60_000;
/// An hour in milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(crate) fn text(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

pub(crate) fn tenant(id: &str) -> TenantName {
    TenantName::new(slug(id))
}

/// From `tenant/keyspace`.
pub(crate) fn keyspace(path: &str) -> KeyspaceName {
    let (tenant, id) = path.split_once('/').unwrap();
    KeyspaceName::new(slug(tenant), slug(id))
}

/// From `tenant/owner`.
pub(crate) fn owner(path: &str) -> OwnerName {
    let (tenant, id) = path.split_once('/').unwrap();
    OwnerName::new(slug(tenant), slug(id))
}

/// From `tenant/identity`.
pub(crate) fn identity(path: &str) -> IdentityName {
    let (tenant, id) = path.split_once('/').unwrap();
    IdentityName::new(slug(tenant), slug(id))
}

/// From an empty text, `tenant` or `tenant/keyspace`.
pub(crate) fn scope(path: &str) -> Scope {
    match path {
        "" => Scope::System,
        path if path.contains('/') => Scope::Keyspace(keyspace(path)),
        path => Scope::Tenant(tenant(path)),
    }
}

pub(crate) fn grant(duty: Duty, path: &str) -> Grant {
    Grant { duty, scope: scope(path) }
}

pub(crate) fn key_id(number: u8) -> KeyId {
    KeyId::from_random([number; 12])
}

pub(crate) fn version_id(number: u8) -> VersionId {
    VersionId::from_random([number; 12])
}

/// From `tenant/keyspace` and a number.
pub(crate) fn key_name(path: &str, number: u8) -> KeyName {
    KeyName { keyspace: keyspace(path), key: key_id(number) }
}

pub(crate) fn wrapped(byte: u8) -> WrappedKey {
    WrappedKey { id: [byte; 16], wrapped: Box::new([byte; 60]) }
}

pub(crate) fn permissions(patterns: &[&str]) -> PermissionSet {
    PermissionSet::from_values(patterns.iter().map(|text| PermissionPattern::parse(text).unwrap())).unwrap()
}

pub(crate) fn terms(patterns: &[&str]) -> Terms {
    Terms { permissions: permissions(patterns), ..Terms::default() }
}

pub(crate) fn settings(prefix: &str) -> KeyspaceSettings {
    KeyspaceSettings {
        display_name: text("Payments"),
        prefix: Prefix::parse(prefix).unwrap(),
        environment: Environment::parse(Environment::PRODUCTION).unwrap(),
        allowed_permissions: PermissionSet::default(),
        default_lifetime: None,
        maximum_lifetime: None,
        networks: Default::default(),
        staleness_max: None,
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DurationMillis::from_days(90),
        keys_max: 1_000_000,
        allowed_roles: Box::default(),
        versions_max: u64::MAX,
        metadata_bytes_max: u64::MAX,
        self_revocation_off: false,
        import_formats: Box::default(),
        rotation_policy: None,
        access_sample_ppm: 0,
        expiry_notices: None,
    }
}

/// A key of nobody's whose id and version id come from one number.
pub(crate) fn new_key(number: u8) -> NewKey {
    NewKey {
        id: key_id(number),
        version: version_id(number),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([number; 32]),
        inner: [number; 101],
        holder: HolderName::None,
        display_name: text("Checkout"),
        purpose: Purpose::default(),
        terms: terms(&["orders:read"]),
        roles: Vec::new(),
        parent: None,
        metadata: Metadata::default(),
        not_before: None,
        expiry: Expiry::Default,
        rotation_policy: None,
    }
}

/// A management key for an identity.
pub(crate) fn management_key(number: u8, of: &str) -> NewKey {
    NewKey { holder: HolderName::Identity(identity(of)), ..new_key(number) }
}

/// A key of an owner's.
pub(crate) fn owned_key(number: u8, of: &str) -> NewKey {
    NewKey { holder: HolderName::Owner(owner(of)), ..new_key(number) }
}

pub(crate) fn bootstrap() -> Bootstrap {
    Bootstrap {
        cluster: ClusterId([0xC1; 16]),
        staleness_floor: DurationMillis::from_secs(2),
        staleness_default: DurationMillis::from_secs(5),
        log_key: wrapped(1),
        pepper: wrapped(2),
        replay_key: wrapped(3),
        tenant_key: wrapped(4),
        audit_key: wrapped(5),
        keyspace_key: wrapped(6),
        management: settings("lkm"),
        root_key: management_key(0, "system/root"),
    }
}

/// A command at time zero, which never moves the clock: for what is not about time.
pub(crate) fn command(actor: Actor, operation: Operation) -> Command {
    Command::new(actor, [7; 32], operation)
}

/// By an identity, `tenant/identity`.
pub(crate) fn by(path: &str, operation: Operation) -> Command {
    command(Actor::Identity(identity(path)), operation)
}

pub(crate) fn by_root(operation: Operation) -> Command {
    by("system/root", operation)
}

pub(crate) fn by_replica(operation: Operation) -> Command {
    command(Actor::Replica(NodeId(1)), operation)
}

/// The same command as a request that can be repeated.
pub(crate) fn as_request(command: Command, id: u8, body: u8) -> Command {
    Command { request: Some(RequestMark { id: [id; 16], hash: [body; 32] }), ..command }
}

/// The same command, stamped.
pub(crate) fn stamped(command: Command, at: UnixMillis) -> Command {
    Command { at, ..command }
}

pub(crate) fn later(than: UnixMillis, millis: u64) -> UnixMillis {
    than.plus(DurationMillis::new(millis))
}

pub(crate) fn create_tenant(id: &str) -> Operation {
    Operation::CreateTenant(CreateTenant {
        contacts: Vec::new(),
        tenant: slug(id),
        display_name: text("A tenant"),
        tenant_key: wrapped(10),
        audit_key: wrapped(11),
    })
}

pub(crate) fn create_keyspace(path: &str, settings: KeyspaceSettings) -> Operation {
    Operation::CreateKeyspace(Box::new(CreateKeyspace { name: keyspace(path), settings, data_key: wrapped(12) }))
}

pub(crate) fn create_owner(path: &str) -> Operation {
    Operation::CreateOwner(CreateOwner { name: owner(path), display_name: text("An owner"), contacts: Vec::new() })
}

pub(crate) fn create_identity(path: &str, grants: &[Grant]) -> Operation {
    Operation::CreateIdentity(CreateIdentity {
        name: identity(path),
        display_name: text("An identity"),
        grants: grants.to_vec(),
    })
}

pub(crate) fn create_keys(path: &str, keys: Vec<NewKey>) -> Operation {
    Operation::CreateKeys(CreateKeys { keyspace: keyspace(path), keys, replay: None })
}

pub(crate) fn revoke(path: &str, number: u8) -> RevokeKey {
    RevokeKey {
        key: key_name(path, number),
        version: None,
        reason: RevocationReason::Compromised,
        text: ReasonText::parse("found in a public repository").unwrap(),
        grace: DurationMillis::ZERO,
        etag: None,
    }
}

pub(crate) fn cut(scope: CutScope) -> Operation {
    Operation::Cut(Cut { scope, reason: RevocationReason::Compromised, text: ReasonText::default() })
}

pub(crate) fn ring_key(purpose: RingPurpose) -> NewRingKey {
    NewRingKey { id: [20; 16], purpose, wrapped_by: RingNumber(0), kek: None, wrapped: Box::new([20; 60]) }
}

/// Readings of the nodes 1, 2, 3, ...
pub(crate) fn readings(times: &[UnixMillis]) -> Operation {
    Operation::AdvanceClock { readings: (1..).map(NodeId).zip(times.iter().copied()).collect() }
}

/// From `tenant/role`.
pub(crate) fn role(path: &str) -> RoleName {
    let (tenant, id) = path.split_once('/').unwrap();
    RoleName::new(slug(tenant), slug(id))
}

pub(crate) fn create_role(path: &str, patterns: &[&str]) -> Operation {
    Operation::CreateRole(CreateRole {
        name: role(path),
        display_name: text("A role"),
        permissions: permissions(patterns),
        methods: MethodSet::default(),
    })
}

pub(crate) fn delete(name: DirectoryName) -> Operation {
    Operation::Delete(Delete { name, etag: None, destroy: false, number: None })
}

/// Keys of another system whose texts are hashed whole, and of one that hashes the last part.
pub(crate) fn import_formats() -> Box<[ImportFormat]> {
    let part = |length_min, length_max| ImportPart { alphabet: ImportAlphabet::Base58, length_min, length_max };
    let format = |id, digest, prefix, parts| {
        ImportFormat::new(ImportFormatId::parse(id).unwrap(), digest, prefix, parts).unwrap()
    };
    Box::new([
        format("unkey", ImportDigest::Sha256OfText, "unkey_", vec![part(22, 24)]),
        format("seam", ImportDigest::Sha256OfLastPart, "seam_", vec![part(4, 4), part(22, 24)]),
    ])
}

/// Declares [`import_formats`].
pub(crate) fn declare_formats(path: &str) -> Operation {
    let changes = KeyspaceChanges { import_formats: Some(import_formats()), ..KeyspaceChanges::default() };
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace(path), changes, etag: None }))
}

/// A key whose ids come from one number, its digest and its source id from another.
pub(crate) fn key_to_import(number: u8, source: u8) -> KeyToImport {
    let key = NewKey { digest: Digest::new([source; 32]), ..new_key(number) };
    let imported = Imported {
        format: ImportFormatId::parse("unkey").unwrap(),
        start: ImportStart::parse("unkey_3ZZ7").unwrap(),
        source_id: SourceId::parse(&format!("key_{source}")).unwrap(),
        source_created_at: None,
        version: key.version,
    };
    KeyToImport { index: number.into(), key, imported, suspended: false, also: Vec::new() }
}

pub(crate) fn import_keys(path: &str, keys: Vec<KeyToImport>) -> Operation {
    Operation::ImportKeys(ImportKeys { keyspace: keyspace(path), formats: import_formats().into_vec(), keys })
}
