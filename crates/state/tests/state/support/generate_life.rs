//! Histories of keys' lives: operations on keys, versions and rotations, with names from the pools of `generator`.

use super::build::{key_id, key_name, keyspace, owner, permissions, slug, text, version_id};
use super::generate_course::{new_course, policy};
use super::generator::{identity_path, keyspace_path, owner_path, reason, span, time};
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, KeyName, KeyspaceNumber, Metadata, Method, MethodSet, Network, NetworkSet, OwnerNumber,
    PermissionSet, Purpose, ReasonText, ResourcePattern, ResourceSet, RingNumber, RoleNumber, RotationId, RotationName,
    Slug, TenantNumber, UnixMillis,
};
use latchkey_state::{
    End, ExpiryChange, HolderName, KEYS_PER_COMMAND_MAX, KeyChanges, MarkRevoked, NewVersion, Operation,
    PrepareStandby, RestrictKey, ResumeKey, RevokeKeys, RevokedScope, RotateKey, RotationStep, StepRotation,
    SuspendKey, UpdateKey,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What identities ask for in the life of keys.
pub(super) fn operation_on_life() -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => (key(), changes(), etag()).prop_map(|(key, changes, etag)| {
            Operation::UpdateKey(Box::new(UpdateKey { key, changes, etag }))
        }),
        3 => (key(), etag()).prop_map(|(key, etag)| Operation::SuspendKey(SuspendKey { key, text: because(), etag })),
        3 => (key(), etag()).prop_map(|(key, etag)| Operation::ResumeKey(ResumeKey { key, text: because(), etag })),
        4 => restriction(),
        6 => (key(), rotation(), new_version(), overlap(), (etag(), replay()), (prop::bool::weighted(0.15), option::weighted(0.3, new_course()))).prop_map(
            |(key, rotation, new, overlap, (etag, replay), (emergency, course))| {
                let text = because();
                Operation::RotateKey(Box::new(RotateKey {
                    key,
                    rotation,
                    new,
                    overlap,
                    text,
                    etag,
                    replay,
                    emergency,
                    course,
                }))
            }
        ),
        4 => (key(), rotation(), new_version(), etag(), replay()).prop_map(|(key, rotation, new, etag, replay)| {
            let text = because();
            Operation::PrepareStandby(Box::new(PrepareStandby { key, rotation, new, text, etag, replay }))
        }),
        6 => (key(), rotation(), step(), etag()).prop_map(|(key, rotation, step, etag)| {
            let rotation = RotationName { key, rotation };
            Operation::StepRotation(StepRotation { rotation, step, text: because(), etag })
        }),
        2 => (keyspace_path(), key_numbers(), reason()).prop_map(|(path, keys, reason)| {
            let keys = keys.into_iter().map(key_id).collect();
            Operation::RevokeKeys(RevokeKeys { keyspace: keyspace(path), keys, reason, text: because(), operation: [5; 16] })
        }),
    ]
    .boxed()
}

/// What the leader asks for on its own account.
pub(super) fn operation_on_life_of_replica() -> BoxedStrategy<Operation> {
    let scope = prop_oneof![
        (0..4_u32).prop_map(|number| RevokedScope::Tenant(TenantNumber(number))),
        (0..5_u32).prop_map(|number| RevokedScope::Keyspace(KeyspaceNumber(number))),
        (0..4_u32).prop_map(|number| RevokedScope::Owner(OwnerNumber(number))),
        (14..18_u32).prop_map(|number| RevokedScope::Role(RoleNumber(number))),
    ];
    let keys = vec((0..5_u32, 0..8_u8).prop_map(|(keyspace, key)| (KeyspaceNumber(keyspace), key_id(key))), 0..8);
    prop_oneof![
        2 => Just(Operation::Settle),
        2 => (scope, keys, any::<bool>())
            .prop_map(|(scope, keys, done)| Operation::MarkRevoked(MarkRevoked { scope, keys, done })),
    ]
    .boxed()
}

/// The roles and the parent that a key to be made may ask for.
pub(super) fn roles_and_parent() -> impl Strategy<Value = (Vec<Slug>, Option<latchkey_domain::KeyId>)> {
    (prop_oneof![5 => Just(Vec::new()), 2 => roles()], option::weighted(0.15, (0..8_u8).prop_map(key_id)))
}

/// Mostly a key that was made.
fn key() -> impl Strategy<Value = KeyName> {
    prop_oneof![
        6 => (0..3_u8).prop_map(|number| key_name("acme/live", number)),
        1 => (keyspace_path(), 0..8_u8).prop_map(|(path, number)| key_name(path, number)),
    ]
}

fn key_numbers() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![30 => vec(0..8_u8, 0..5), 1 => Just(vec![1; KEYS_PER_COMMAND_MAX + 1])]
}

fn roles() -> impl Strategy<Value = Vec<Slug>> {
    vec(select(vec!["admin", "read-only", "standard", "standard", "auditor"]).prop_map(slug), 0..2)
}

fn rotation() -> impl Strategy<Value = RotationId> {
    prop_oneof![3 => 0..2_u8, 1 => 2..9_u8, 3 => 80..83_u8].prop_map(|number| RotationId::from_random([number; 12]))
}

fn new_version() -> impl Strategy<Value = NewVersion> {
    let pepper = prop_oneof![20 => Just(2), 1 => Just(0), 1 => Just(u32::MAX)];
    (prop_oneof![1 => 0..8_u8, 4 => 8..60_u8], pepper).prop_map(|(number, pepper)| NewVersion {
        id: version_id(number),
        pepper: RingNumber(pepper),
        digest: Digest::new([number; 32]),
        inner: [number; 101],
    })
}

fn overlap() -> impl Strategy<Value = DurationMillis> {
    let millis = prop_oneof![4 => 0..600_000_u64, 1 => Just(0), 2 => 0..86_400_000_u64, 1 => Just(u64::MAX)];
    millis.prop_map(DurationMillis::new)
}

fn step() -> impl Strategy<Value = RotationStep> {
    prop_oneof![
        1 => Just(RotationStep::Complete),
        1 => Just(RotationStep::Cancel),
        2 => Just(RotationStep::Hold),
        2 => Just(RotationStep::Resume),
        3 => option::of(overlap()).prop_map(|overlap| RotationStep::RollBack { overlap }),
    ]
}

fn etag() -> impl Strategy<Value = Option<Box<str>>> {
    option::weighted(0.1, select(vec!["", "1-3", "1-30"]).prop_map(Into::into))
}

fn replay() -> impl Strategy<Value = Option<Box<[u8]>>> {
    option::of(Just(Box::<[u8]>::from([9; 40])))
}

fn because() -> ReasonText {
    ReasonText::parse("because").unwrap()
}

fn restriction() -> impl Strategy<Value = Operation> {
    let end = prop_oneof![
        6 => (1..3_600_000_u64).prop_map(|millis| End::After(DurationMillis::new(millis))),
        1 => time().prop_map(End::At),
        1 => span().prop_map(End::After),
    ];
    (key(), option::of(patterns()), networks(), end, etag()).prop_map(|(key, permissions, networks, end, etag)| {
        Operation::RestrictKey(RestrictKey { key, permissions, networks, end, text: because(), etag })
    })
}

fn patterns() -> impl Strategy<Value = PermissionSet> {
    select(vec![vec![], vec!["orders:read"], vec!["orders:*"], vec!["refunds:write", "orders:read"]])
        .prop_map(|texts| permissions(&texts))
}

fn networks() -> impl Strategy<Value = NetworkSet> {
    vec(select(vec!["10.0.0.0/8", "10.1.0.0/16"]), 0..2)
        .prop_map(|texts| NetworkSet::from_values(texts.into_iter().map(|text| Network::parse(text).unwrap())).unwrap())
}

fn changes() -> impl Strategy<Value = KeyChanges> {
    let holder = prop_oneof![
        1 => Just(HolderName::None),
        3 => owner_path().prop_map(|path| HolderName::Owner(owner(path))),
        1 => identity_path().prop_map(|path| HolderName::Identity(super::build::identity(path))),
    ];
    let expiry = prop_oneof![Just(ExpiryChange::Latest), time().prop_map(ExpiryChange::At)];
    let methods = select(vec![vec![], vec!["GET"]])
        .prop_map(|texts| MethodSet::from_values(texts.into_iter().map(|text| Method::parse(text).unwrap())).unwrap());
    let resources = select(vec![vec![], vec!["/orders/**"]]).prop_map(|texts| {
        ResourceSet::from_values(texts.into_iter().map(|text| ResourcePattern::parse(text).unwrap())).unwrap()
    });
    let metadata = select(vec![Metadata::default(), Metadata::from_pairs([("team", "payments")]).unwrap()]);
    let not_before = option::of(time());
    (
        (option::weighted(0.2, Just(text("Another name"))), option::weighted(0.2, holder)),
        (option::weighted(0.2, patterns()), option::weighted(0.2, networks()), option::weighted(0.2, methods)),
        (option::weighted(0.2, resources), option::weighted(0.3, roles()), option::weighted(0.3, metadata)),
        (option::weighted(0.2, not_before), option::weighted(0.3, expiry), option::weighted(0.2, Just(purpose()))),
        option::weighted(0.2, option::of(policy())),
    )
        .prop_map(|(who, first, second, third, rotation_policy)| {
            let ((display_name, holder), (permissions, networks, methods)) = (who, first);
            let ((resources, roles, metadata), (not_before, expiry, purpose)) = (second, third);
            let not_before: Option<Option<UnixMillis>> = not_before;
            KeyChanges {
                display_name,
                holder,
                purpose,
                permissions,
                networks,
                methods,
                resources,
                roles,
                metadata,
                not_before,
                expiry,
                rotation_policy,
            }
        })
}

fn purpose() -> Purpose {
    Purpose::parse("another thing").unwrap()
}
