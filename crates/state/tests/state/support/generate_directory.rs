//! Histories of the directory: changes, roles, deletions, what audit has, and who was refused.

use super::build::{
    create_role, identity, import_formats, key_id, key_name, keyspace, owner, permissions, role, settings, slug,
    tenant, text,
};
use super::generate_course::{expiry_notices, policy};
use super::generator::{any_grant, identity_path, keyspace_path, owner_path, span, tenant_id};
use latchkey_domain::{
    DisplayName, KeyspaceName, KeyspaceNumber, Method, MethodSet, Outcome, ReasonText, RevocationReason, Sequence,
    TenantNumber, UnixMillis,
};
use latchkey_state::{
    Actor, AuditCheckpoint, Backup, BeginAuditLog, Delete, DenialStep, DirectoryName, Explanation, GatheredRefusal,
    IdentityChanges, KeyspaceChanges, Operation, OwnerChanges, RecordedDenial, ReplicaBackups, RoleChanges,
    TenantChanges, TenantQuotas, UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant,
};
use latchkey_transparency::Hash;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What identities ask of the directory.
pub(super) fn operation_on_directory() -> BoxedStrategy<Operation> {
    prop_oneof![
        2 => (tenant_id(), quotas(), etag()).prop_map(|(id, quotas, etag)| {
            let changes = TenantChanges { display_name: Some(text("Another")), quotas, contacts: contacts(id) };
            Operation::UpdateTenant(UpdateTenant { name: tenant(id), changes, etag })
        }),
        4 => (keyspace_path(), keyspace_changes(), etag()).prop_map(|(path, changes, etag)| {
            Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace(path), changes, etag }))
        }),
        2 => (owner_path(), etag()).prop_map(|(path, etag)| {
            let changes = OwnerChanges { display_name: None, contacts: Some(vec![text("keys@example.com")]) };
            Operation::UpdateOwner(UpdateOwner { name: owner(path), changes, etag })
        }),
        2 => (identity_path(), vec(any_grant(), 0..3), etag()).prop_map(|(path, grants, etag)| {
            let changes = IdentityChanges { display_name: Some(text("Another")), grants: Some(grants) };
            Operation::UpdateIdentity(UpdateIdentity { name: identity(path), changes, etag })
        }),
        4 => role_path().prop_map(|path| create_role(path, &["orders:*"])),
        3 => (role_path(), etag()).prop_map(|(path, etag)| {
            let methods = MethodSet::from_values([Method::parse("GET").unwrap()]).unwrap();
            let changes = RoleChanges { permissions: Some(permissions(&["a"])), methods: Some(methods), display_name: None };
            Operation::UpdateRole(UpdateRole { name: role(path), changes, etag })
        }),
        10 => (directory_name(), etag(), any::<bool>(), option::weighted(0.2, (1..6_u32).prop_map(TenantNumber)))
            .prop_map(|(name, etag, destroy, number)| Operation::Delete(Delete { name, etag, destroy, number })),
        1 => backup().prop_map(Operation::RecordBackup),
        1 => any::<bool>().prop_map(|force| Operation::BeginAuditLog(BeginAuditLog { force })),
        1 => (keyspace_path(), 0..8_u8, any::<bool>()).prop_map(|(path, key, found)| {
            let key = found.then(|| key_name(path, key));
            let keyspace = (path != "system/new").then(|| keyspace(path));
            let (outcome, text) = (Outcome::Revoked, ReasonText::parse("because").unwrap());
            Operation::RecordExplanation(Explanation { key, keyspace, outcome, text })
        }),
    ]
    .boxed()
}

/// What replicas and services ask on their own account.
pub(super) fn upkeep() -> BoxedStrategy<(Actor, Operation)> {
    // All that the pools can name: what is dead for long enough among them is taken.
    let dead = (0..7_u32).flat_map(|keyspace| (0..8_u8).map(move |key| (KeyspaceNumber(keyspace), key_id(key))));
    let dead = Just(Operation::RemoveDead(dead.collect()));
    let refusals = vec((identity_path(), select(vec!["", "tenants/acme", "nonsense"])), 0..3).prop_map(|refusals| {
        let gathered = |(path, subject): (&str, &str)| GatheredRefusal {
            identity: identity(path),
            method: "IssuanceService/CreateKey".to_owned(),
            reason: "PERMISSION_DENIED".to_owned(),
            subject: subject.to_owned(),
            count: 1,
        };
        Operation::RecordRefusals(refusals.into_iter().map(gathered).collect())
    });
    let denials = vec((keyspace_path(), 0..8_u8, any::<bool>()), 0..3).prop_map(|denials| {
        let recorded = |(path, key, denied): (&str, u8, bool)| RecordedDenial {
            replica: latchkey_domain::NodeId(2),
            key: key_name(path, key),
            version: None,
            step: if denied { DenialStep::Denied } else { DenialStep::Allowed },
            reason: RevocationReason::Compromised,
            text: ReasonText::parse("because").unwrap(),
            by: identity("acme/operator"),
            at: UnixMillis::new(0),
        };
        Operation::RecordDenials(denials.into_iter().map(recorded).collect())
    });
    let trim = prop_oneof![4 => 0..200_u64, 1 => Just(u64::MAX)].prop_map(|through| Operation::Trim(Sequence(through)));
    // A tree of this history has no root that can be guessed, so what passes is of a size that is no more.
    let through = option::of((0..40_u64).prop_map(Sequence));
    let checkpoint = (0..60_u64, 0..2_u8, 1..3_u8, through).prop_map(|(size, root, key, through)| {
        let checkpoint = AuditCheckpoint { size, root: Hash::new([root; 32]), key: [key; 32] };
        Operation::RecordCheckpoint { checkpoint, through }
    });
    let node_key = (1..4_u64, 0..3_u8).prop_map(|(node, key)| {
        let node = latchkey_domain::NodeId(node);
        (Actor::Replica(node), Operation::SetNodeKey { node, key: [key; 32] })
    });
    let folder =
        (1..4_u64, prop_oneof![4 => Just(0), 1 => 1..3_u32], vec(backup(), 0..4)).prop_map(|(node, older, kept)| {
            let (node, folder) = (latchkey_domain::NodeId(node), Box::new(ReplicaBackups::of_folder(7, older, kept)));
            (Actor::Replica(node), Operation::RecordKeptBackups { node, folder })
        });
    let by_service = |operation| (Actor::Service(slug("audit")), operation);
    prop_oneof![
        8 => dead.prop_map(|operation| (Actor::Replica(latchkey_domain::NodeId(1)), operation)),
        2 => refusals.prop_map(by_service),
        1 => denials.prop_map(by_service),
        1 => trim.prop_map(by_service),
        1 => checkpoint.prop_map(by_service),
        1 => node_key,
        1 => folder,
    ]
    .boxed()
}

fn backup() -> BoxedStrategy<Backup> {
    (1..9_u64, 1..4_u64)
        .prop_map(|(index, node)| {
            let (revision, node) = (latchkey_domain::Revision::new(1, index), latchkey_domain::NodeId(node));
            Backup { revision, taken_at: UnixMillis::new(index), node }
        })
        .boxed()
}

fn contacts(id: &str) -> Option<Vec<DisplayName>> {
    (id == "acme").then(|| vec![text("security@acme.example")])
}

fn role_path() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("acme/clerk"), 1 => select(vec!["acme/auditor", "acme/read-only", "globex/clerk"])]
}

fn directory_name() -> impl Strategy<Value = DirectoryName> {
    prop_oneof![
        3 => tenant_id().prop_map(|id| DirectoryName::Tenant(tenant(id))),
        2 => keyspace_path().prop_map(|path| DirectoryName::Keyspace(keyspace(path))),
        1 => Just(DirectoryName::Keyspace(KeyspaceName::management())),
        2 => owner_path().prop_map(|path| DirectoryName::Owner(owner(path))),
        2 => role_path().prop_map(|path| DirectoryName::Role(role(path))),
        2 => identity_path().prop_map(|path| DirectoryName::Identity(identity(path))),
    ]
}

fn quotas() -> impl Strategy<Value = Option<TenantQuotas>> {
    option::weighted(
        0.3,
        (option::of(0..4_u32), option::of(0..4_u32)).prop_map(|(keyspaces_max, roles_max)| TenantQuotas {
            keyspaces_max,
            roles_max,
            ..TenantQuotas::default()
        }),
    )
}

fn keyspace_changes() -> impl Strategy<Value = KeyspaceChanges> {
    let retention = option::of(select(vec![0, 0, 60_000, 90 * 86_400_000_u64]));
    let formats = option::weighted(0.3, select(vec![Box::default(), import_formats(), import_formats()]));
    let spans = (option::of(option::of(span())), option::of(option::of(span())), retention);
    let policy = option::weighted(0.2, option::of(policy()));
    let notices = option::weighted(0.1, option::of(Just(expiry_notices())));
    (spans, any::<bool>(), any::<bool>(), formats, (policy, notices)).prop_map(
        |(
            (staleness_max, maximum_lifetime, retention),
            off,
            clerks_only,
            formats,
            (rotation_policy, expiry_notices),
        )| KeyspaceChanges {
            expiry_notices,
            staleness_max,
            maximum_lifetime,
            dead_retention: retention.map(latchkey_domain::DurationMillis::new),
            self_revocation_off: Some(off),
            import_formats: formats,
            rotation_policy,
            allowed_roles: clerks_only.then(|| Box::from([slug("clerk")])),
            display_name: Some(settings("x").display_name),
            ..KeyspaceChanges::default()
        },
    )
}

/// Mostly none: an etag that is guessed is seldom right.
fn etag() -> impl Strategy<Value = Option<Box<str>>> {
    option::weighted(0.15, select(vec!["n1", "n2", "1-30", ""]).prop_map(Into::into))
}
