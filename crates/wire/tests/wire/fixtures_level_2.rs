//! One of everything that feature level 2 brought to what lies at rest, with every field set somewhere.

use crate::fixtures::{key_id, keyspace_name, metadata, new_key, revocation, settings, slug, terms, text, version_id};
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, Duty, Grant, IdentityName, IdentityNumber, KeyName, KeyspaceNumber, NodeId, Outcome, OwnerName,
    Purpose, ReasonText, Revision, RevocationReason, RingNumber, RoleName, RoleNumber, RoleSet, RotationId,
    RotationName, RotationState, Scope, Sequence, TenantName, TenantNumber, Terms, UnixMillis,
};
use latchkey_state::{
    Actor, Change, Command, CreateKeys, CreateRole, Cut, CutScope, Delete, Details, DirectoryName, End, Expiry,
    ExpiryChange, Explanation, GatheredRefusal, Holder, HolderName, Identity, IdentityChanges, Key, KeyChanges,
    Keyspace, KeyspaceChanges, KeyspaceSettings, MarkRevoked, NewKey, NewVersion, NextNumbers, Operation, Owner,
    OwnerChanges, PrepareStandby, Progress, Rare, RememberedRequest, RequestMark, RequestSubject, RestrictKey,
    Restriction, ResumeKey, RevokeKeys, RevokedScope, Role, RoleChanges, RotateKey, Rotation, RotationStep, Row,
    ScopeCut, StepRotation, SuspendKey, Suspension, Tenant, TenantChanges, TenantQuotas, Trimmed, UpdateIdentity,
    UpdateKey, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant, Version, VersionDetails, Versions,
};
use latchkey_transparency::Frontier;
use std::sync::Arc;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(1_750_000_000_000 + seconds * 1_000)
}

fn reason() -> ReasonText {
    ReasonText::parse("asked by the owner").unwrap()
}

fn key_name() -> KeyName {
    KeyName { keyspace: keyspace_name(), key: key_id() }
}

pub(crate) fn rotation_id() -> RotationId {
    RotationId::parse("0R0T0A0T0I0O0N00").unwrap()
}

fn role_name() -> RoleName {
    RoleName::parse("tenants/acme/roles/support").unwrap()
}

fn owner_name() -> OwnerName {
    OwnerName::parse("tenants/acme/owners/shop").unwrap()
}

fn identity_name() -> IdentityName {
    IdentityName::parse("tenants/acme/identities/deployer").unwrap()
}

fn tenant_name() -> TenantName {
    TenantName::parse("tenants/acme").unwrap()
}

fn quotas() -> TenantQuotas {
    TenantQuotas {
        keyspaces_max: Some(1),
        owners_max: Some(0),
        roles_max: Some(3),
        identities_max: None,
        writes_per_second_max: Some(50),
    }
}

fn settings_of_level_2() -> KeyspaceSettings {
    KeyspaceSettings {
        allowed_roles: [slug("admin"), slug("support")].into(),
        versions_max: 2_000,
        metadata_bytes_max: 0,
        self_revocation_off: true,
        ..settings()
    }
}

fn child_key() -> NewKey {
    NewKey {
        roles: vec![slug("admin"), slug("support")],
        parent: Some(key_id()),
        ..new_key(HolderName::None, Expiry::Default)
    }
}

fn keyspace_changes() -> KeyspaceChanges {
    let settings = settings_of_level_2();
    KeyspaceChanges {
        display_name: Some(settings.display_name),
        allowed_permissions: Some(settings.allowed_permissions),
        allowed_roles: Some(settings.allowed_roles),
        default_lifetime: Some(settings.default_lifetime),
        maximum_lifetime: Some(None),
        networks: Some(settings.networks),
        staleness_max: Some(settings.staleness_max),
        staleness_policy: None,
        dead_retention: Some(settings.dead_retention),
        keys_max: Some(settings.keys_max),
        versions_max: Some(settings.versions_max),
        metadata_bytes_max: Some(settings.metadata_bytes_max),
        self_revocation_off: Some(false),
        import_formats: None,
        rotation_policy: None,
        access_sample_ppm: None,
        expiry_notices: None,
    }
}

fn key_changes() -> KeyChanges {
    let Terms { permissions, networks, methods, resources, .. } = terms();
    KeyChanges {
        display_name: Some(text("Shop")),
        holder: Some(HolderName::Owner(owner_name())),
        purpose: Some(Purpose::parse("refunds").unwrap()),
        permissions: Some(permissions),
        networks: Some(networks),
        methods: Some(methods),
        resources: Some(resources),
        roles: Some(vec![slug("admin")]),
        metadata: Some(metadata()),
        not_before: Some(Some(at(1))),
        expiry: Some(ExpiryChange::At(at(9))),
        rotation_policy: None,
    }
}

fn key_cleared() -> KeyChanges {
    KeyChanges {
        holder: Some(HolderName::None),
        permissions: Some(Default::default()),
        roles: Some(Vec::new()),
        metadata: Some(Default::default()),
        not_before: Some(None),
        expiry: Some(ExpiryChange::Latest),
        ..KeyChanges::default()
    }
}

pub(crate) fn new_version() -> NewVersion {
    NewVersion { id: version_id(), pepper: RingNumber(2), digest: Digest::new([0xD1; 32]), inner: [0x1E; 101] }
}

fn etag() -> Option<Box<str>> {
    Some("3-1042".into())
}

fn directory_operations() -> Vec<(&'static str, Operation)> {
    let grants = vec![Grant { duty: Duty::Auditor, scope: Scope::Tenant(tenant_name()) }];
    let delete = |name| Operation::Delete(Delete { name, etag: etag(), destroy: false, number: None });
    let keyspace =
        |changes| Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace_name(), changes, etag: etag() }));
    vec![
        (
            "update_tenant",
            Operation::UpdateTenant(UpdateTenant {
                name: tenant_name(),
                changes: TenantChanges { display_name: Some(text("Acme Ltd")), quotas: Some(quotas()), contacts: None },
                etag: etag(),
            }),
        ),
        ("update_keyspace", keyspace(keyspace_changes())),
        ("update_keyspace_nothing", keyspace(KeyspaceChanges::default())),
        (
            "update_owner",
            Operation::UpdateOwner(UpdateOwner {
                name: owner_name(),
                changes: OwnerChanges { display_name: None, contacts: Some(Vec::new()) },
                etag: None,
            }),
        ),
        (
            "create_role",
            Operation::CreateRole(CreateRole {
                name: role_name(),
                display_name: text("Support"),
                permissions: terms().permissions,
                methods: terms().methods,
            }),
        ),
        (
            "update_role",
            Operation::UpdateRole(UpdateRole {
                name: role_name(),
                changes: RoleChanges {
                    display_name: Some(text("")),
                    permissions: Some(terms().permissions),
                    methods: Some(Default::default()),
                },
                etag: etag(),
            }),
        ),
        (
            "update_identity",
            Operation::UpdateIdentity(UpdateIdentity {
                name: identity_name(),
                changes: IdentityChanges { display_name: Some(text("Deployer")), grants: Some(grants) },
                etag: etag(),
            }),
        ),
        ("delete_tenant", delete(DirectoryName::Tenant(tenant_name()))),
        ("delete_keyspace", delete(DirectoryName::Keyspace(keyspace_name()))),
        ("delete_owner", delete(DirectoryName::Owner(owner_name()))),
        ("delete_role", delete(DirectoryName::Role(role_name()))),
        ("delete_identity", delete(DirectoryName::Identity(identity_name()))),
        (
            "cut_role",
            Operation::Cut(Cut {
                scope: CutScope::Role(role_name()),
                reason: RevocationReason::Compromised,
                text: reason(),
            }),
        ),
    ]
}

fn key_operations() -> Vec<(&'static str, Operation)> {
    let update = |changes| Operation::UpdateKey(Box::new(UpdateKey { key: key_name(), changes, etag: etag() }));
    let restrict = |permissions, end| {
        Operation::RestrictKey(RestrictKey {
            key: key_name(),
            permissions,
            networks: terms().networks,
            end,
            text: reason(),
            etag: None,
        })
    };
    vec![
        (
            "create_child_keys",
            Operation::CreateKeys(CreateKeys { keyspace: keyspace_name(), keys: vec![child_key()], replay: None }),
        ),
        ("update_key", update(key_changes())),
        ("update_key_clear", update(key_cleared())),
        (
            "update_key_holder",
            update(KeyChanges { holder: Some(HolderName::Identity(identity_name())), ..KeyChanges::default() }),
        ),
        ("suspend_key", Operation::SuspendKey(SuspendKey { key: key_name(), text: reason(), etag: etag() })),
        ("resume_key", Operation::ResumeKey(ResumeKey { key: key_name(), text: reason(), etag: None })),
        ("restrict_key", restrict(Some(terms().permissions), End::At(at(60)))),
        ("restrict_key_to_nothing", restrict(Some(Default::default()), End::After(DurationMillis::from_secs(60)))),
        ("restrict_key_networks", restrict(None, End::At(at(60)))),
        (
            "revoke_keys",
            Operation::RevokeKeys(RevokeKeys {
                keyspace: keyspace_name(),
                keys: vec![key_id(), key_id()],
                reason: RevocationReason::Unused,
                text: reason(),
                operation: [0x0F; 16],
            }),
        ),
    ]
}

fn rotation_operations() -> Vec<(&'static str, Operation)> {
    let step = |step| {
        Operation::StepRotation(StepRotation {
            rotation: RotationName { key: key_name(), rotation: rotation_id() },
            step,
            text: reason(),
            etag: etag(),
        })
    };
    let day = DurationMillis::from_days(1);
    vec![
        (
            "rotate_key",
            Operation::RotateKey(Box::new(RotateKey {
                key: key_name(),
                rotation: rotation_id(),
                new: new_version(),
                overlap: day,
                text: reason(),
                etag: etag(),
                replay: Some(vec![0x5E; 150].into()),
                emergency: false,
                course: None,
            })),
        ),
        (
            "prepare_standby",
            Operation::PrepareStandby(Box::new(PrepareStandby {
                key: key_name(),
                rotation: rotation_id(),
                new: new_version(),
                text: reason(),
                etag: None,
                replay: None,
            })),
        ),
        ("complete_rotation", step(RotationStep::Complete)),
        ("cancel_rotation", step(RotationStep::Cancel)),
        ("roll_back_rotation", step(RotationStep::RollBack { overlap: Some(day) })),
        ("roll_back_rotation_as_planned", step(RotationStep::RollBack { overlap: None })),
    ]
}

fn upkeep_operations() -> Vec<(&'static str, Operation)> {
    let keys = || {
        let (one, other) = (KeyspaceNumber(2), KeyspaceNumber(5));
        vec![(one, key_id()), (one, key_id()), (other, key_id()), (one, key_id())]
    };
    let marks = |scope, done| Operation::MarkRevoked(MarkRevoked { scope, keys: keys(), done });
    let refusal = GatheredRefusal {
        identity: identity_name(),
        method: "IssuanceService/CreateKey".to_owned(),
        reason: "PERMISSION_DENIED".to_owned(),
        subject: keyspace_name().to_string(),
        count: 65,
    };
    let explanation =
        |key, keyspace, outcome| Operation::RecordExplanation(Explanation { key, keyspace, outcome, text: reason() });
    vec![
        ("settle", Operation::Settle),
        ("remove_dead", Operation::RemoveDead(keys())),
        ("mark_revoked_tenant", marks(RevokedScope::Tenant(TenantNumber(1)), false)),
        ("mark_revoked_keyspace", marks(RevokedScope::Keyspace(KeyspaceNumber(2)), true)),
        ("mark_revoked_owner", marks(RevokedScope::Owner(latchkey_domain::OwnerNumber(3)), true)),
        ("mark_revoked_role", marks(RevokedScope::Role(RoleNumber(16)), true)),
        ("trim", Operation::Trim(Sequence(1_042))),
        ("record_refusals", Operation::RecordRefusals(vec![refusal])),
        ("record_explanation", explanation(Some(key_name()), None, Outcome::InsufficientPermissions)),
        ("record_explanation_of_nothing", explanation(None, Some(keyspace_name()), Outcome::NotFound)),
    ]
}

pub(crate) fn operations() -> Vec<(&'static str, Operation)> {
    [directory_operations(), key_operations(), rotation_operations(), upkeep_operations()].concat()
}

fn actor(operation: &Operation) -> Actor {
    match operation {
        Operation::Settle | Operation::RemoveDead(_) | Operation::MarkRevoked(_) => Actor::Replica(NodeId(3)),
        Operation::Trim(_) | Operation::RecordRefusals(_) => Actor::Service(slug("audit")),
        Operation::RevokeKeys(_) => Actor::Key(key_name()),
        _ => Actor::Identity(identity_name()),
    }
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let command = |(name, operation): (&'static str, Operation)| {
        let actor = actor(&operation);
        let request = matches!(actor, Actor::Identity(_)).then_some(RequestMark { id: [0x1D; 16], hash: [0x4A; 32] });
        (name, Command { at: at(0), request, ..Command::new(actor, [0x0E; 32], operation) })
    };
    operations().into_iter().map(command).collect()
}

fn revision() -> Revision {
    Revision::new(3, 1_042)
}

fn changed() -> Change {
    Change { revision: revision(), at: at(5) }
}

fn cut(marked: bool) -> Option<Box<ScopeCut>> {
    let reason_word = RevocationReason::Compromised;
    Some(Box::new(ScopeCut { revision: revision(), at: at(5), reason: reason_word, text: reason(), marked }))
}

fn directory_rows() -> Vec<(&'static str, Row)> {
    let tenant = Tenant {
        contacts: Vec::new(),
        number: TenantNumber(1),
        id: slug("acme"),
        display_name: text("Acme"),
        quotas: quotas(),
        created_at: at(0),
        changed: Some(changed()),
        cut: cut(true),
        tenant_key: RingNumber(4),
        audit_key: RingNumber(5),
    };
    let keyspace = Keyspace {
        number: KeyspaceNumber(2),
        tenant: TenantNumber(1),
        id: slug("payments-live"),
        settings: settings_of_level_2(),
        staleness_max: DurationMillis::from_secs(5),
        staleness_before: Some((DurationMillis::from_secs(30), at(35))),
        created_at: at(0),
        changed: Some(changed()),
        cut: cut(false),
        data_key: RingNumber(6),
        keys: 1_000_000,
    };
    let owner = Owner {
        number: latchkey_domain::OwnerNumber(3),
        tenant: TenantNumber(1),
        id: slug("shop"),
        display_name: text("The shop"),
        contacts: Vec::new(),
        created_at: at(0),
        changed: Some(changed()),
        cut: cut(false),
    };
    let identity = Identity {
        number: IdentityNumber(4),
        tenant: TenantNumber(1),
        id: slug("deployer"),
        display_name: text(""),
        grants: Vec::new(),
        created_at: at(0),
        changed: Some(changed()),
    };
    let role = Role {
        number: RoleNumber(16),
        tenant: TenantNumber(1),
        id: slug("support"),
        display_name: text("Support"),
        permissions: terms().permissions,
        methods: terms().methods,
        created_at: at(0),
        created: Revision::new(3, 1_000),
        changed: Some(changed()),
        cut: cut(true),
    };
    let plain_role =
        Role { permissions: Default::default(), methods: Default::default(), changed: None, cut: None, ..role.clone() };
    vec![
        ("tenant_of_level_2", Row::Tenant(Arc::new(tenant))),
        ("keyspace_of_level_2", Row::Keyspace(Arc::new(keyspace))),
        ("owner_of_level_2", Row::Owner(Arc::new(owner))),
        ("identity_of_level_2", Row::Identity(Arc::new(identity))),
        ("role", Row::Role(Arc::new(role))),
        ("plain_role", Row::Role(Arc::new(plain_role))),
    ]
}

fn key_rows() -> Vec<(&'static str, Row)> {
    let version = |details| Version {
        id: version_id(),
        pepper: RingNumber(2),
        digest: Digest::new([0xD1; 32]),
        inner: [0x1E; 101],
        created_at: at(0),
        details: Rare::from(details),
    };
    let versions = vec![
        version(VersionDetails { retires_at: Some(at(9)), ..VersionDetails::default() }),
        version(VersionDetails {
            pending: true,
            revocation: Some(Box::new(revocation())),
            ..VersionDetails::default()
        }),
    ];
    let restriction = |permissions| Restriction {
        permissions,
        networks: terms().networks,
        ends_at: at(60),
        at: at(5),
        text: reason(),
    };
    let key = Key {
        id: key_id(),
        keyspace: KeyspaceNumber(2),
        holder: Holder::None,
        display_name: text("Shop backend"),
        terms: Arc::new(Terms {
            roles: RoleSet::from_values([RoleNumber(3), RoleNumber(16)]).unwrap(),
            ..Terms::default()
        }),
        created: Revision::new(3, 1_000),
        created_at: at(0),
        expires_at: None,
        details: Rare::from(Details {
            changed: Some(changed()),
            suspension: Some(Box::new(Suspension { at: at(4), text: reason() })),
            restriction: Some(Box::new(restriction(Some(terms().permissions)))),
            parent: Some(key_id()),
            placed: Some(revision()),
            rotation: Some(rotation_id()),
            ..Details::default()
        }),
        versions: Versions::of(versions).unwrap(),
    };
    let restricted = |permissions| Key {
        details: Rare::from(Details { restriction: Some(Box::new(restriction(permissions))), ..Details::default() }),
        ..key.clone()
    };
    vec![
        ("key_restricted_to_nothing", Row::Key(Arc::new(restricted(Some(Default::default()))))),
        ("key_restricted_to_networks", Row::Key(Arc::new(restricted(None)))),
        ("key_of_level_2", Row::Key(Arc::new(key))),
    ]
}

fn rotation_rows() -> Vec<(&'static str, Row)> {
    let rotation = |state, old, overlap: Option<DurationMillis>, ended_at| {
        Row::Rotation(Arc::new(Rotation {
            id: rotation_id(),
            keyspace: KeyspaceNumber(2),
            key: key_id(),
            state,
            old,
            new: Some(version_id()),
            overlap,
            overlap_ends_at: overlap.map(|overlap| at(5).plus(overlap)),
            created_at: at(0),
            changed: changed(),
            ended_at,
            text: reason(),
            course: None,
        }))
    };
    let day = Some(DurationMillis::from_days(1));
    vec![
        ("rotation_prepared", rotation(RotationState::Prepared, None, None, None)),
        ("rotation_overlap", rotation(RotationState::Overlap, Some(version_id()), day, None)),
        ("rotation_completed", rotation(RotationState::Completed, Some(version_id()), day, Some(at(99)))),
    ]
}

fn request_rows() -> Vec<(&'static str, Row)> {
    let request = |subject, replay: Option<Box<[u8]>>| {
        Row::Request(Arc::new(RememberedRequest {
            identity: IdentityNumber(4),
            id: [0x1D; 16],
            hash: [0x4A; 32],
            at: at(0),
            revision: revision(),
            subject,
            replay,
        }))
    };
    let keyspace = KeyspaceNumber(2);
    let rotation = |version| RequestSubject::Rotation(keyspace, key_id(), rotation_id(), version);
    vec![
        ("request_role", request(RequestSubject::Role(RoleNumber(16)), None)),
        ("request_key", request(RequestSubject::Key(keyspace, key_id()), None)),
        ("request_counted", request(RequestSubject::Counted(3_000), None)),
        ("request_rotation", request(rotation(Some(version_id())), Some(vec![0x5E; 150].into()))),
        ("request_rotation_of_standby", request(rotation(None), None)),
    ]
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let progress = Progress {
        last: revision(),
        clock: at(5),
        feature_level: 2,
        next: NextNumbers { tenant: 2, keyspace: 3, owner: 4, identity: 5, role: 17, ring: 6 },
        frontier: Frontier::new(),
        trimmed: Some(Trimmed { next: Sequence(0), at: at(4) }),
        checkpoint: None,
        tree_epoch: 0,
        tree_index: 0,
        tenant_keys_gone: None,
    };
    let progress = vec![("progress_of_level_2", Row::Progress(progress))];
    [progress, directory_rows(), key_rows(), rotation_rows(), request_rows()].concat()
}
