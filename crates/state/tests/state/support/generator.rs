//! Histories: commands that make sense, commands that do not, and values that nobody would send. Names come from small
//! pools, so that commands meet each other.

use super::build::{
    as_request, bootstrap, by, by_replica, command, create_keys, create_keyspace, create_owner, create_tenant,
    declare_formats, identity, import_keys, key_id, key_name, key_to_import, keyspace, later, new_key, owner,
    permissions, readings, ring_key, role, scope, settings, slug, tenant, terms, text, version_id,
};
use super::generate_course::{course, driving, ending, expiry_notices, policy};
use super::generate_directory::{operation_on_directory, upkeep};
use super::generate_life::{operation_on_life, operation_on_life_of_replica, roles_and_parent};
use super::generate_ring::{rekeying, rotation};
use latchkey_domain::{
    DurationMillis, Duty, Grant, ImportFormatId, KeyspaceNumber, Metadata, NodeId, OwnerName, Purpose, ReasonText,
    ReplicaRole, Revision, RevocationReason, RingNumber, RotationPolicy, SourceId, TenantNumber, UnixMillis,
};
use latchkey_state::{
    Actor, Backup, Command, CreateIdentity, CreateKeys, Cut, CutScope, Delete, DirectoryName, Expiry,
    FEATURE_LEVEL_NEWEST, HolderName, KeyToImport, KeyspaceChanges, KeyspaceSettings, NewKey, Operation,
    ReplicaBackups, ReplicaStep, RevokeKey, RingPurpose, UpdateKeyspace,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A clock reading, told from the replicated clock, which the generator does not know.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Ahead(u64),
    Behind(u64),
    Absolute(u64),
}

/// One record of a history, before its times are known.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    command: Command,
    stamp: Reading,
    readings: Vec<Reading>,
}

impl Step {
    /// The command, stamped by a leader who knows the replicated clock.
    pub(crate) fn at(&self, clock: UnixMillis) -> Command {
        let mut command = self.command.clone();
        command.at = self.stamp.at(clock);
        if let Operation::AdvanceClock { .. } = command.operation {
            let times: Vec<_> = self.readings.iter().map(|reading| reading.at(clock)).collect();
            command.operation = readings(&times);
        }
        command
    }
}

impl Reading {
    fn at(self, clock: UnixMillis) -> UnixMillis {
        match self {
            Self::Ahead(millis) => later(clock, millis),
            Self::Behind(millis) => UnixMillis::new(clock.millis().saturating_sub(millis)),
            Self::Absolute(millis) => UnixMillis::new(millis),
        }
    }
}

/// Up to `steps_max` records.
pub(crate) fn history(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    let one = step().prop_map(|step| vec![step]);
    let steps = vec(prop_oneof![30 => one, 2 => driven(), 1 => destroyed_later(), 1 => came_and_went()], 1..=steps_max);
    (prop::bool::weighted(0.9), policy(), steps).prop_map(move |(with_keys, policy, steps)| {
        // What happens to keys happens rarely where each has to be made first.
        let first = with_keys.then(|| [some_policy(policy), some_keys(), some_formats()]).into_iter().flatten();
        first.chain(steps.into_iter().flatten()).take(steps_max).collect()
    })
}

/// Three keys in `acme/live`, the last a child of the first.
fn some_keys() -> Step {
    let parent = Some(key_id(0));
    let terms = terms(&["orders:*"]);
    let keys = vec![
        // The version 0 is that of the first key of `root`.
        NewKey { version: version_id(70), terms, ..new_key(0) },
        NewKey { holder: HolderName::Owner(owner("acme/shop")), roles: vec![slug("standard")], ..new_key(1) },
        NewKey { parent, ..new_key(2) },
    ];
    Step { command: by("system/root", create_keys("acme/live", keys)), stamp: Reading::Ahead(0), readings: Vec::new() }
}

/// The secrets of `acme/live` are to be replaced, and somebody is to be told before its keys end.
fn some_policy(policy: Box<RotationPolicy>) -> Step {
    let (rotation_policy, expiry_notices) = (Some(Some(policy)), Some(Some(expiry_notices())));
    let changes = KeyspaceChanges { rotation_policy, expiry_notices, ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: keyspace("acme/live"), changes, etag: None };
    let command = by("system/root", Operation::UpdateKeyspace(Box::new(update)));
    Step { command, stamp: Reading::Ahead(0), readings: Vec::new() }
}

/// A rotation, one step after the other, or a key that nears its end.
fn driven() -> impl Strategy<Value = Vec<Step>> {
    let stamp = || prop_oneof![Just(0), 0..3 * 60_000_u64].prop_map(Reading::Ahead);
    (prop_oneof![4 => course(), 1 => ending()], stamp()).prop_map(|(operations, stamp)| {
        let call = |operation| match operation {
            Operation::StepRotation(_) | Operation::UpdateKey(_) => by("system/root", operation),
            _ => command(Actor::Service(slug("rotation")), operation),
        };
        let step = |operation| Step { command: call(operation), stamp, readings: Vec::new() };
        operations.into_iter().map(step).collect()
    })
}

/// A tenant that is deleted, and whose data is destroyed when somebody asks for that: by its number, which has to be found.
fn destroyed_later() -> impl Strategy<Value = Vec<Step>> {
    (tenant_id(), 1..4_u32).prop_map(|(id, first)| {
        let delete = |destroy, number| {
            Operation::Delete(Delete { name: DirectoryName::Tenant(tenant(id)), etag: None, destroy, number })
        };
        let step =
            |operation| Step { command: by("system/root", operation), stamp: Reading::Ahead(0), readings: Vec::new() };
        let numbers = (first..first + 4).map(|number| delete(true, Some(TenantNumber(number))));
        [create_tenant(id), delete(false, None)].into_iter().chain(numbers).map(step).collect()
    })
}

/// A replica that is admitted, keeps one backup and then another, and leaves.
fn came_and_went() -> impl Strategy<Value = Vec<Step>> {
    (1..4_u64, 1..9_u64).prop_map(|(node, index)| {
        let backup = |index| {
            let (revision, taken_at) = (Revision::new(1, index), UnixMillis::new(index));
            Backup { revision, taken_at, node: NodeId(node) }
        };
        let keeps = |index| {
            let folder = Box::new(ReplicaBackups::of_folder(1, 0, vec![backup(index)]));
            command(Actor::Replica(NodeId(node)), Operation::RecordKeptBackups { node: NodeId(node), folder })
        };
        let root = |operation| by("system/root", operation);
        let calls = [
            root(crate::replicas::admit(node, ReplicaRole::Learner)),
            keeps(index),
            keeps(index + 1),
            root(crate::replicas::step(node, ReplicaStep::Remove)),
            by_replica(crate::replicas::step(node, ReplicaStep::Retire)),
        ];
        let step = |command| Step { command, stamp: Reading::Ahead(0), readings: Vec::new() };
        calls.into_iter().map(step).collect()
    })
}

/// `acme/live` takes keys of other systems.
fn some_formats() -> Step {
    let command = by("system/root", declare_formats("acme/live"));
    Step { command, stamp: Reading::Ahead(0), readings: Vec::new() }
}

fn step() -> impl Strategy<Value = Step> {
    let request = option::weighted(0.5, (0..6_u8, 0..5_u8));
    let level = prop_oneof![60 => Just(3), 1 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(u32::MAX)];
    (call(), request, level, any::<[u8; 32]>(), stamp(), vec(reading(), 0..5)).prop_map(
        |(call, request, level, opening, stamp, readings)| {
            let command = match request {
                // Most repeats are honest: one body in five differs.
                Some((id, body)) => as_request(call, id, body / 4),
                None => call,
            };
            Step { command: Command { feature_level: level, opening, ..command }, stamp, readings }
        },
    )
}

/// What a leader stamps: mostly the time, sometimes nonsense.
fn stamp() -> impl Strategy<Value = Reading> {
    prop_oneof![
        30 => (0..10 * 60_000_u64).prop_map(Reading::Ahead),
        1 => (0..2 * 3_600_000_u64).prop_map(Reading::Ahead),
        2 => (0..3_600_000_u64).prop_map(Reading::Behind),
        1 => select(vec![0, u64::MAX]).prop_map(Reading::Absolute),
    ]
}

/// What a voter reads: hours may have passed since the last record.
fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        12 => (0..10 * 60_000_u64).prop_map(Reading::Ahead),
        4 => (0..14 * 3_600_000_u64).prop_map(Reading::Ahead),
        2 => (0..3_600_000_u64).prop_map(Reading::Behind),
        1 => Just(Reading::Ahead(365 * 86_400_000)),
        1 => select(vec![0, u64::MAX]).prop_map(Reading::Absolute),
    ]
}

/// An operation by someone who might ask for it, or by anyone.
fn call() -> BoxedStrategy<Command> {
    prop_oneof![
        6 => operation().prop_map(|operation| by("system/root", operation)),
        3 => (identity_path(), operation()).prop_map(|(who, operation)| by(who, operation)),
        5 => operation_of_replica().prop_map(by_replica),
        2 => upkeep().prop_map(|(actor, operation)| command(actor, operation)),
        2 => driving().prop_map(|operation| command(Actor::Service(slug("rotation")), operation)),
        1 => (any_actor(), prop_oneof![operation(), operation_of_replica(), driving()])
            .prop_map(|(actor, operation)| command(actor, operation)),
    ]
    .boxed()
}

fn any_actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        any::<u64>().prop_map(|node| Actor::Replica(NodeId(node))),
        identity_path().prop_map(|path| Actor::Identity(identity(path))),
        (keyspace_path(), 0..8_u8).prop_map(|(path, key)| Actor::Key(key_name(path, key))),
        select(vec!["audit", "issuance", "rotation"]).prop_map(|word| Actor::Service(slug(word))),
    ]
}

/// Boxed, as are the two around it: together they would not fit on the stack of a test.
fn operation_of_replica() -> BoxedStrategy<Operation> {
    prop_oneof![
        1 => (new_keys(), Just(bootstrap())).prop_map(|(root_key, mut bootstrap)| {
            bootstrap.root_key = root_key;
            Operation::Bootstrap(Box::new(bootstrap))
        }),
        1 => Just(Operation::Bootstrap(Box::new(bootstrap()))),
        5 => Just(Operation::AdvanceClock { readings: Vec::new() }),
        3 => (purpose(), 0..10_u32).prop_map(|(purpose, wrapped_by)| {
            let mut new = ring_key(purpose);
            new.wrapped_by = RingNumber(wrapped_by);
            Operation::AddRingKey(new)
        }),
        2 => prop_oneof![4 => Just(3), 4 => 0..40_u32, 1 => Just(u32::MAX)]
            .prop_map(|number| Operation::DropRingKey(RingNumber(number))),
        1 => prop_oneof![0..FEATURE_LEVEL_NEWEST + 2, Just(u32::MAX)].prop_map(Operation::RaiseFeatureLevel),
        2 => (1..4_u64).prop_map(|node| crate::replicas::admit(node, ReplicaRole::Voter)),
        14 => (1..4_u64).prop_map(|node| crate::replicas::step(node, ReplicaStep::Retire)),
        9 => operation_on_life_of_replica(),
        8 => rekeying(),
    ]
    .boxed()
}

fn operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => tenant_id().prop_map(create_tenant),
        6 => (keyspace_path(), keyspace_settings())
            .prop_map(|(path, settings)| create_keyspace(path, settings)),
        3 => owner_path().prop_map(create_owner),
        4 => (identity_path(), vec(any_grant(), 0..3)).prop_map(|(path, grants)| {
            Operation::CreateIdentity(CreateIdentity { name: identity(path), display_name: text("x"), grants })
        }),
        12 => (keyspace_path(), vec(new_keys(), 0..3), option::of(Just(Box::<[u8]>::from([9; 40]))))
            .prop_map(|(path, keys, replay)| {
                Operation::CreateKeys(CreateKeys { keyspace: keyspace(path), keys, replay })
            }),
        12 => (keyspace_path(), vec(keys_to_import(), 0..4)).prop_map(|(path, keys)| import_keys(path, keys)),
        8 => revocation(),
        40 => operation_on_life(),
        20 => operation_on_directory(),
        7 => rotation(),
        2 => (1..4_u64).prop_map(|node| crate::replicas::admit(node, ReplicaRole::Learner)),
        5 => (1..4_u64, select(ReplicaStep::ALL.to_vec())).prop_map(|(node, step)| crate::replicas::step(node, step)),
        3 => (cut_scope(), reason()).prop_map(|(scope, reason)| {
            Operation::Cut(Cut { scope, reason, text: ReasonText::default() })
        }),
    ]
    .boxed()
}

pub(super) fn tenant_id() -> impl Strategy<Value = &'static str> {
    select(vec!["acme", "initech", "initech", "system"])
}

pub(super) fn keyspace_path() -> impl Strategy<Value = &'static str> {
    let others = vec!["acme/test", "globex/live", "initech/new", "system/management", "system/new"];
    prop_oneof![5 => Just("acme/live"), 4 => Just("acme/new"), 3 => select(others)]
}

pub(super) fn owner_path() -> impl Strategy<Value = &'static str> {
    select(vec!["acme/shop", "acme/bank", "globex/shop", "system/shop"])
}

pub(super) fn identity_path() -> impl Strategy<Value = &'static str> {
    select(vec!["system/root", "system/ann", "acme/issuer", "acme/admin", "acme/eve", "globex/operator"])
}

pub(super) fn any_grant() -> impl Strategy<Value = Grant> {
    let scopes = select(vec!["", "acme", "globex", "acme/live", "system", "system/management"]);
    (select(Duty::ALL.to_vec()), scopes).prop_map(|(duty, path)| Grant { duty, scope: scope(path) })
}

pub(super) fn span() -> impl Strategy<Value = DurationMillis> {
    prop_oneof![8 => 0..48 * 3_600_000_u64, 1 => Just(0), 1 => Just(u64::MAX)].prop_map(DurationMillis::new)
}

pub(super) fn time() -> impl Strategy<Value = UnixMillis> {
    prop_oneof![8 => 1_800_000_000_000..1_800_200_000_000_u64, 1 => Just(0), 1 => Just(u64::MAX)]
        .prop_map(UnixMillis::new)
}

fn keyspace_settings() -> impl Strategy<Value = KeyspaceSettings> {
    let prefix = select(vec!["acme_live", "new", "other", "same"]);
    let bounds = (option::of(span()), option::of(span()), option::of(span()));
    let keys_max = select(vec![0, 1, 2, 2, u64::MAX]);
    (prefix, bounds, keys_max, any::<bool>()).prop_map(|(prefix, bounds, keys_max, orders_only)| KeyspaceSettings {
        default_lifetime: bounds.0,
        maximum_lifetime: bounds.1,
        staleness_max: bounds.2,
        keys_max,
        allowed_permissions: if orders_only { permissions(&["orders:*"]) } else { permissions(&[]) },
        ..settings(prefix)
    })
}

fn new_keys() -> BoxedStrategy<NewKey> {
    let holder = prop_oneof![
        4 => Just(HolderName::None),
        2 => owner_path().prop_map(|path| HolderName::Owner(owner(path))),
        2 => identity_path().prop_map(|path| HolderName::Identity(identity(path))),
        1 => Just(HolderName::Owner(OwnerName::new(slug("nobody"), slug("here")))),
    ];
    let expiry = prop_oneof![
        6 => Just(Expiry::Default),
        1 => time().prop_map(Expiry::At),
        1 => span().prop_map(Expiry::After),
    ];
    let words = select(vec!["orders:read", "orders:*", "refunds:write"]);
    let pepper = prop_oneof![20 => Just(2), 1 => Just(0), 1 => Just(3), 1 => Just(u32::MAX)];
    let metadata = select(vec![Metadata::default(), Metadata::from_pairs([("team", "checkout")]).unwrap()]);
    (
        0..8_u8,
        0..8_u8,
        prop::bool::weighted(0.8),
        holder,
        expiry,
        option::weighted(0.2, time()),
        words,
        pepper,
        (metadata, roles_and_parent()),
    )
        .prop_map(|(id, other, same, holder, expiry, not_before, word, pepper, (metadata, (roles, parent)))| NewKey {
            roles,
            parent,
            version: version_id(if same { id } else { other }),
            pepper: RingNumber(pepper),
            holder,
            expiry,
            not_before,
            metadata,
            purpose: Purpose::parse("one thing").unwrap(),
            terms: terms(&[word]),
            ..new_key(id)
        })
        .boxed()
}

/// Keys of few sources, so that they meet each other again.
fn keys_to_import() -> BoxedStrategy<KeyToImport> {
    let format = prop_oneof![8 => Just("unkey"), 1 => Just("seam"), 1 => Just("other")];
    let source_id = prop_oneof![6 => Just(None), 1 => Just(Some("")), 1 => Just(Some("key_1"))];
    (new_keys(), 0..4_u8, format, source_id, prop::bool::weighted(0.2))
        .prop_map(|(key, source, format, source_id, suspended)| {
            let KeyToImport { index, key: NewKey { digest, .. }, mut imported, .. } = key_to_import(0, source);
            imported.format = ImportFormatId::parse(format).unwrap();
            if let Some(source_id) = source_id {
                imported.source_id = SourceId::parse(source_id).unwrap();
            }
            KeyToImport { index, key: NewKey { digest, ..key }, imported, suspended, also: Vec::new() }
        })
        .boxed()
}

fn revocation() -> impl Strategy<Value = Operation> {
    // Most ask for the version that the key is likely to have.
    let version = option::of(prop_oneof![4 => Just(None), 1 => (0..8_u8).prop_map(Some)]);
    let etag = option::weighted(0.3, select(vec!["", "1-3", "1-30"]));
    (keyspace_path(), 0..8_u8, version, reason(), span(), etag).prop_map(|(path, key, version, reason, grace, etag)| {
        let text = ReasonText::parse("because").unwrap();
        let version = version.map(|version| version_id(version.unwrap_or(key)));
        let key = key_name(path, key);
        Operation::RevokeKey(RevokeKey { key, version, reason, text, grace, etag: etag.map(Into::into) })
    })
}

pub(super) fn reason() -> impl Strategy<Value = RevocationReason> {
    select(RevocationReason::ALL.to_vec())
}

fn cut_scope() -> impl Strategy<Value = CutScope> {
    prop_oneof![
        tenant_id().prop_map(|id| CutScope::Tenant(tenant(id))),
        keyspace_path().prop_map(|path| CutScope::Keyspace(keyspace(path))),
        owner_path().prop_map(|path| CutScope::Owner(owner(path))),
        select(vec!["acme/clerk", "acme/admin"]).prop_map(|path| CutScope::Role(role(path))),
    ]
}

fn purpose() -> impl Strategy<Value = RingPurpose> {
    prop_oneof![
        1 => Just(RingPurpose::Log),
        1 => Just(RingPurpose::Pepper),
        3 => Just(RingPurpose::Replay),
        1 => (0..5_u32).prop_map(|number| RingPurpose::Tenant(TenantNumber(number))),
        1 => (0..5_u32).prop_map(|number| RingPurpose::Audit(TenantNumber(number))),
        1 => (0..5_u32).prop_map(|number| RingPurpose::Keyspace(KeyspaceNumber(number))),
    ]
}
