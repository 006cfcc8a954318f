//! One of everything that lies at rest, with every field set somewhere.

use latchkey_crypto::Digest;
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Duty, Environment, Grant, IdentityName, IdentityNumber, KeyId, KeyName,
    KeyspaceName, KeyspaceNumber, Metadata, Method, MethodSet, Network, NetworkSet, NodeId, OwnerName, OwnerNumber,
    PermissionPattern, PermissionSet, Prefix, Purpose, ReasonText, ResourcePattern, ResourceSet, Revision,
    RevocationReason, RingNumber, RoleSet, Scope, Slug, TenantName, TenantNumber, Terms, UnixMillis, VersionId,
};
use latchkey_state::{
    Actor, Bootstrap, Change, Cluster, Command, CreateIdentity, CreateKeys, CreateKeyspace, CreateOwner, CreateTenant,
    Cut, CutScope, Details, Expiry, Holder, HolderName, Identity, Key, Keyspace, KeyspaceSettings, NewKey, NewRingKey,
    NextNumbers, Operation, Owner, Progress, Rare, RememberedRequest, RequestMark, RequestSubject, Revocation,
    RevokeKey, RingKey, RingPurpose, Row, ScopeCut, StalenessPolicy, Tenant, TenantQuotas, Version, VersionDetails,
    Versions, WrappedKey,
};
use latchkey_transparency::{Frontier, Hash};
use std::sync::Arc;

pub(crate) fn text(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(crate) fn keyspace_name() -> KeyspaceName {
    KeyspaceName::parse("tenants/acme/keyspaces/payments-live").unwrap()
}

pub(crate) fn key_id() -> KeyId {
    KeyId::parse("0123456789ABCDEF").unwrap()
}

pub(crate) fn version_id() -> VersionId {
    VersionId::parse("0123456789abcdef").unwrap()
}

pub(crate) fn wrapped(byte: u8) -> WrappedKey {
    WrappedKey { id: [byte; 16], wrapped: vec![byte; 101].into() }
}

pub(crate) fn terms() -> Terms {
    let permissions = ["orders:*", "billing:read"].map(|text| PermissionPattern::parse(text).unwrap());
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| Network::parse(text).unwrap());
    Terms {
        permissions: PermissionSet::from_values(permissions).unwrap(),
        networks: NetworkSet::from_values(networks).unwrap(),
        methods: MethodSet::from_values([Method::parse("GET").unwrap()]).unwrap(),
        resources: ResourceSet::from_values([ResourcePattern::parse("/v1/*/orders/**").unwrap()]).unwrap(),
        roles: RoleSet::default(),
    }
}

pub(crate) fn metadata() -> Metadata {
    Metadata::from_pairs([("team", "shop"), ("cost-centre", "42")]).unwrap()
}

pub(crate) fn settings() -> KeyspaceSettings {
    KeyspaceSettings {
        display_name: text("Payments, live"),
        prefix: Prefix::parse("acme_live").unwrap(),
        environment: Environment::parse("production").unwrap(),
        allowed_permissions: terms().permissions,
        default_lifetime: Some(DurationMillis::from_days(30)),
        maximum_lifetime: Some(DurationMillis::from_days(365)),
        networks: terms().networks,
        staleness_max: Some(DurationMillis::from_secs(5)),
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DurationMillis::from_days(90),
        keys_max: u64::MAX,
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

pub(crate) fn revocation() -> Revocation {
    Revocation {
        effective_at: UnixMillis::new(1_800_000_000_000),
        asked_at: UnixMillis::new(1_799_999_999_999),
        reason: RevocationReason::Compromised,
        text: ReasonText::parse("found in a public repository").unwrap(),
    }
}

pub(crate) fn new_key(holder: HolderName, expiry: Expiry) -> NewKey {
    NewKey {
        id: key_id(),
        version: version_id(),
        pepper: RingNumber(2),
        digest: Digest::new([0xD1; 32]),
        inner: [0x1E; 101],
        holder,
        display_name: text("Shop backend"),
        purpose: Purpose::parse("charges cards").unwrap(),
        terms: terms(),
        roles: Vec::new(),
        parent: None,
        metadata: metadata(),
        not_before: Some(UnixMillis::new(1_750_000_000_000)),
        expiry,
        rotation_policy: None,
    }
}

pub(crate) fn operations() -> Vec<(&'static str, Operation)> {
    let owner = OwnerName::parse("tenants/acme/owners/shop").unwrap();
    let identity = IdentityName::parse("tenants/acme/identities/deployer").unwrap();
    let reason = RevocationReason::OwnerLeft;
    let bootstrap = Bootstrap {
        cluster: ClusterId([0xC1; 16]),
        staleness_floor: DurationMillis::from_secs(5),
        staleness_default: DurationMillis::from_secs(10),
        log_key: wrapped(1),
        pepper: wrapped(2),
        replay_key: wrapped(3),
        tenant_key: wrapped(4),
        audit_key: wrapped(5),
        keyspace_key: wrapped(6),
        management: settings(),
        root_key: new_key(HolderName::Identity(identity.clone()), Expiry::Default),
    };
    let keys = vec![
        new_key(HolderName::Owner(owner.clone()), Expiry::After(DurationMillis::from_days(1))),
        new_key(HolderName::None, Expiry::At(UnixMillis::new(1_800_000_000_000))),
    ];
    let cut = |scope| Operation::Cut(Cut { scope, reason, text: ReasonText::parse("").unwrap() });
    let revoke = |version, etag: Option<&str>| {
        Operation::RevokeKey(RevokeKey {
            key: KeyName { keyspace: keyspace_name(), key: key_id() },
            version,
            reason: RevocationReason::Compromised,
            text: ReasonText::parse("leaked").unwrap(),
            grace: DurationMillis::from_secs(60),
            etag: etag.map(Into::into),
        })
    };
    let tenant = CreateTenant {
        contacts: Vec::new(),
        tenant: slug("acme"),
        display_name: text("Acme"),
        tenant_key: wrapped(7),
        audit_key: wrapped(8),
    };
    let grants = vec![
        Grant { duty: Duty::Root, scope: Scope::System },
        Grant { duty: Duty::Validator, scope: Scope::Keyspace(keyspace_name()) },
    ];
    let ring_key = |purpose| {
        let key =
            NewRingKey { id: [9; 16], purpose, wrapped_by: RingNumber(0), kek: None, wrapped: vec![9; 101].into() };
        Operation::AddRingKey(key)
    };
    vec![
        ("bootstrap", Operation::Bootstrap(Box::new(bootstrap))),
        ("advance_clock", Operation::AdvanceClock { readings: vec![(NodeId(3), UnixMillis::new(1_750_000_000_000))] }),
        ("create_tenant", Operation::CreateTenant(tenant)),
        (
            "create_keyspace",
            Operation::CreateKeyspace(Box::new(CreateKeyspace {
                name: keyspace_name(),
                settings: settings(),
                data_key: wrapped(9),
            })),
        ),
        (
            "create_owner",
            Operation::CreateOwner(CreateOwner {
                name: owner.clone(),
                display_name: text("The shop"),
                contacts: vec![text("ops@shop.example")],
            }),
        ),
        (
            "create_identity",
            Operation::CreateIdentity(CreateIdentity { name: identity, display_name: text("Deployer"), grants }),
        ),
        (
            "create_keys",
            Operation::CreateKeys(CreateKeys { keyspace: keyspace_name(), keys, replay: Some(vec![0x5E; 150].into()) }),
        ),
        ("revoke_key", revoke(None, Some("3-1042"))),
        ("revoke_version", revoke(Some(version_id()), None)),
        ("cut_tenant", cut(CutScope::Tenant(TenantName::parse("tenants/acme").unwrap()))),
        ("cut_keyspace", cut(CutScope::Keyspace(keyspace_name()))),
        ("cut_owner", cut(CutScope::Owner(owner))),
        ("add_ring_key_log", ring_key(RingPurpose::Log)),
        ("add_ring_key_pepper", ring_key(RingPurpose::Pepper)),
        ("add_ring_key_replay", ring_key(RingPurpose::Replay)),
        ("add_ring_key_tenant", ring_key(RingPurpose::Tenant(TenantNumber(7)))),
        ("add_ring_key_audit", ring_key(RingPurpose::Audit(TenantNumber(0)))),
        ("add_ring_key_keyspace", ring_key(RingPurpose::Keyspace(KeyspaceNumber(8)))),
        ("drop_ring_key", Operation::DropRingKey(RingNumber(17))),
        ("raise_feature_level", Operation::RaiseFeatureLevel(2)),
    ]
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let command = |(name, operation): (&'static str, Operation)| {
        let of_replica = Command::new(Actor::Replica(NodeId(3)), [0x0E; 32], operation);
        let command = match of_replica.is_of_replica() {
            true => of_replica,
            false => Command {
                actor: Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap()),
                request: Some(RequestMark { id: [0x1D; 16], hash: [0x4A; 32] }),
                ..of_replica
            },
        };
        // The first command says the newest level of the build, and this was the first one.
        (name, Command { at: UnixMillis::new(1_750_000_000_000), feature_level: 1, ..command })
    };
    operations().into_iter().map(command).collect()
}

/// What is read of a cut that feature level 1 made: it kept the revision only.
fn cut_of_level_1(revision: Revision) -> Box<ScopeCut> {
    Box::new(ScopeCut {
        revision,
        at: UnixMillis::new(0),
        reason: RevocationReason::Other,
        text: ReasonText::default(),
        marked: false,
    })
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let at = UnixMillis::new(1_750_000_000_000);
    let revision = Revision::new(3, 1_042);
    let mut frontier = Frontier::new();
    (0..11).for_each(|leaf| frontier.push(Hash::new([leaf; 32])));
    let progress = Progress {
        last: revision,
        clock: at,
        feature_level: 1,
        next: NextNumbers { tenant: 2, keyspace: 3, owner: 4, identity: 5, role: 0, ring: 6 },
        frontier,
        trimmed: None,
        checkpoint: None,
        tree_epoch: 0,
        tree_index: 0,
        tenant_keys_gone: None,
    };
    let cluster = Cluster {
        id: ClusterId([0xC1; 16]),
        staleness_floor: DurationMillis::from_secs(5),
        staleness_default: DurationMillis::from_secs(10),
        created_at: at,
    };
    let ring_key = RingKey {
        number: RingNumber(6),
        id: [6; 16],
        purpose: RingPurpose::Keyspace(KeyspaceNumber(2)),
        wrapped_by: RingNumber(4),
        kek: None,
        wrapped: vec![6; 101].into(),
        created_at: at,
    };
    let tenant = Tenant {
        contacts: Vec::new(),
        number: TenantNumber(1),
        id: slug("acme"),
        display_name: text("Acme"),
        quotas: TenantQuotas::default(),
        created_at: at,
        changed: None,
        cut: Some(cut_of_level_1(revision)),
        tenant_key: RingNumber(4),
        audit_key: RingNumber(5),
    };
    let keyspace = Keyspace {
        number: KeyspaceNumber(2),
        tenant: TenantNumber(1),
        id: slug("payments-live"),
        settings: settings(),
        staleness_max: DurationMillis::from_secs(5),
        staleness_before: None,
        created_at: at,
        changed: None,
        cut: None,
        data_key: RingNumber(6),
        keys: 1_000_000,
    };
    let owner = Owner {
        number: OwnerNumber(3),
        tenant: TenantNumber(1),
        id: slug("shop"),
        display_name: text("The shop"),
        contacts: vec![text("ops@shop.example"), text("https://shop.example/notices")],
        created_at: at,
        changed: None,
        cut: None,
    };
    let identity = Identity {
        number: IdentityNumber(4),
        tenant: TenantNumber(1),
        id: slug("deployer"),
        display_name: text(""),
        grants: vec![Grant { duty: Duty::Issuer, scope: Scope::Keyspace(keyspace_name()) }],
        created_at: at,
        changed: None,
    };
    let version = |revocation: Option<Revocation>| Version {
        id: version_id(),
        pepper: RingNumber(2),
        digest: Digest::new([0xD1; 32]),
        inner: [0x1E; 101],
        created_at: at,
        details: Rare::from(VersionDetails { revocation: revocation.map(Box::new), ..VersionDetails::default() }),
    };
    let changed = Some(Change { revision, at });
    let key = Key {
        id: key_id(),
        keyspace: KeyspaceNumber(2),
        holder: Holder::Owner(OwnerNumber(3)),
        display_name: text("Shop backend"),
        terms: Arc::new(terms()),
        created: Revision::new(3, 1_000),
        created_at: at,
        expires_at: Some(UnixMillis::new(1_800_000_000_000)),
        details: Rare::from(Details {
            purpose: Purpose::parse("charges cards").unwrap(),
            metadata: metadata(),
            not_before: Some(at),
            changed,
            revocation: Some(Box::new(revocation())),
            ..Details::default()
        }),
        versions: Versions::of(vec![version(None), version(Some(revocation()))]).unwrap(),
    };
    let plain_key = Key {
        holder: Holder::None,
        display_name: text(""),
        terms: Arc::default(),
        expires_at: None,
        details: Rare::from(Details { changed, ..Details::default() }),
        versions: version(None).into(),
        ..key.clone()
    };
    let request = |subject, replay: Option<Box<[u8]>>| {
        Row::Request(Arc::new(RememberedRequest {
            identity: IdentityNumber(4),
            id: [0x1D; 16],
            hash: [0x4A; 32],
            at,
            revision,
            subject,
            replay,
        }))
    };
    let made = RequestSubject::Keys(KeyspaceNumber(2), [(key_id(), version_id()); 2].into());
    vec![
        ("progress", Row::Progress(progress)),
        ("cluster", Row::Cluster(Arc::new(cluster))),
        ("ring_key", Row::RingKey(Arc::new(ring_key))),
        ("tenant", Row::Tenant(Arc::new(tenant))),
        ("keyspace", Row::Keyspace(Arc::new(keyspace))),
        ("owner", Row::Owner(Arc::new(owner))),
        ("identity", Row::Identity(Arc::new(identity))),
        ("key", Row::Key(Arc::new(key))),
        ("plain_key", Row::Key(Arc::new(plain_key))),
        ("request_tenant", request(RequestSubject::Tenant(TenantNumber(1)), None)),
        ("request_keyspace", request(RequestSubject::Keyspace(KeyspaceNumber(2)), None)),
        ("request_owner", request(RequestSubject::Owner(OwnerNumber(3)), None)),
        ("request_identity", request(RequestSubject::Identity(IdentityNumber(4)), None)),
        ("request_keys", request(made, Some(vec![0x5E; 150].into()))),
        ("request_revoked", request(RequestSubject::Revoked(KeyspaceNumber(2), key_id(), Some(version_id())), None)),
        ("request_nothing", request(RequestSubject::Nothing, None)),
    ]
}
