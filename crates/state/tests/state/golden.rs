//! The bytes of events and rows are contracts: audit trees and state hashes depend on them. `golden/` holds a file for
//! each kind; `LATCHKEY_GOLDEN=write` adds those that are missing and never replaces one.

use crate::support::{
    START, grant, identity, key_id, key_name, keyspace, later, permissions, settings, slug, text, text as text_of,
    version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    ClusterId, DurationMillis, Duty, IdentityNumber, KeyspaceNumber, Metadata, Method, MethodSet, Network, NetworkSet,
    NodeId, OwnerNumber, Purpose, ReasonText, ResourcePattern, ResourceSet, Revision, RevocationReason, RingNumber,
    RoleNumber, RoleSet, RotationId, RotationState, Sequence, TenantNumber, Terms,
};
use latchkey_state::{
    Action, Actor, Change, Cluster, Details, Event, Holder, Identity, Key, Keyspace, KeyspaceSettings, NextNumbers,
    Owner, Progress, Rare, RememberedRequest, RequestMark, RequestSubject, Restriction, Revocation, RingKey,
    RingPurpose, Role, Rotation, Row, ScopeCut, Suspension, Tenant, TenantQuotas, Trimmed, Version, VersionDetails,
    Versions,
};
use latchkey_transparency::{Frontier, Hash};
use std::path::Path;
use std::sync::Arc;

#[test]
fn the_bytes_of_events_do_not_change() {
    for action in Action::ALL {
        let by_identity = Event {
            at: START,
            actor: Actor::Identity(identity("acme/ann")),
            action,
            subject: format!("{}/keys/{}", keyspace("acme/live"), key_id(1)),
            tenant: Some(TenantNumber(2)),
            reason: Some((RevocationReason::Compromised, ReasonText::parse("found").unwrap())),
            request: Some(RequestMark { id: [1; 16], hash: [2; 32] }),
            facts: vec![("expires_at_ms", "5".to_string()), ("owner", String::new())],
        };
        let by_replica = Event {
            actor: Actor::Replica(NodeId(7)),
            tenant: None,
            reason: None,
            request: None,
            facts: Vec::new(),
            ..by_identity.clone()
        };
        check(&format!("event/{}", action.as_str()), &[by_identity.encode(), by_replica.encode()]);
    }
}

#[test]
fn the_bytes_of_actors_do_not_change() {
    let by = |actor| Event { actor, ..plain_event() }.encode();
    let key = key_name("acme/live", 1);
    check("event/actors", &[by(Actor::Key(key)), by(Actor::Service(slug("audit")))]);
}

fn plain_event() -> Event {
    Event {
        at: START,
        actor: Actor::Replica(NodeId(7)),
        action: Action::KeyRevoked,
        subject: "x".to_owned(),
        tenant: None,
        reason: None,
        request: None,
        facts: Vec::new(),
    }
}

/// What level 2 brought, in files of its own: those of level 1 must not change.
#[test]
fn the_bytes_of_rows_of_level_2_do_not_change() {
    let moved = Change { revision: Revision::new(1, 12), at: later(START, 9) };
    let change = Some(moved);
    let text = || ReasonText::parse("found").unwrap();
    let cut = |marked| {
        let (revision, at, reason) = (Revision::new(1, 9), later(START, 8), RevocationReason::Compromised);
        Some(Box::new(ScopeCut { revision, at, reason, text: text(), marked }))
    };
    let with = |row: Row, change: &dyn Fn(&mut Row)| {
        let mut row = row;
        change(&mut row);
        bytes(&row)
    };
    let progress = with(progress(), &|row| {
        let Row::Progress(row) = row else { return };
        row.next.role = 17;
        row.trimmed = Some(Trimmed { next: Sequence(2), at: START });
    });
    let tenant = with(tenant_row(cut(false)), &|row| {
        let Row::Tenant(row) = row else { return };
        let tenant = Arc::make_mut(row);
        tenant.changed = change;
        tenant.quotas = TenantQuotas { roles_max: Some(3), ..TenantQuotas::default() };
    });
    let keyspace = with(keyspace_with(settings("acme_live"), cut(true)), &|row| {
        let Row::Keyspace(row) = row else { return };
        let keyspace = Arc::make_mut(row);
        keyspace.changed = change;
        keyspace.staleness_before = Some((DurationMillis::from_secs(30), later(START, 30_000)));
        keyspace.settings.allowed_roles = Box::new([slug("clerk"), slug("read-only")]);
        keyspace.settings.versions_max = 5;
        keyspace.settings.metadata_bytes_max = 6;
        keyspace.settings.self_revocation_off = true;
    });
    let owner = with(owner_row(), &|row| {
        let Row::Owner(row) = row else { return };
        *row = Arc::new(Owner { changed: change, cut: cut(false), ..(**row).clone() });
    });
    let identity = with(identity_row(), &|row| {
        let Row::Identity(row) = row else { return };
        Arc::make_mut(row).changed = change;
    });
    check("row/level_2", &[progress, tenant, keyspace, owner, identity]);

    let role = Role {
        number: RoleNumber(16),
        tenant: TenantNumber(2),
        id: slug("clerk"),
        display_name: text_of("Clerk"),
        permissions: permissions(&["orders:*"]),
        methods: MethodSet::from_values([Method::parse("GET").unwrap()]).unwrap(),
        created_at: START,
        created: Revision::new(1, 5),
        changed: None,
        cut: None,
    };
    let changed = Role { changed: change, cut: cut(true), methods: MethodSet::default(), ..role.clone() };
    check("row/role", &[bytes(&Row::Role(Arc::new(role))), bytes(&Row::Role(Arc::new(changed)))]);

    let prepared = Rotation {
        id: RotationId::from_random([3; 12]),
        keyspace: KeyspaceNumber(3),
        key: key_id(2),
        state: RotationState::Prepared,
        old: None,
        new: Some(version_id(3)),
        overlap: None,
        overlap_ends_at: None,
        created_at: START,
        changed: moved,
        ended_at: None,
        text: ReasonText::default(),
        course: None,
    };
    let ended = Rotation {
        state: RotationState::Completed,
        old: Some(version_id(2)),
        overlap: Some(DurationMillis::from_secs(60)),
        overlap_ends_at: Some(later(START, 60_000)),
        ended_at: Some(later(START, 60_000)),
        text: text(),
        ..prepared.clone()
    };
    check("row/rotation", &[prepared, ended].map(|rotation| bytes(&Row::Rotation(Arc::new(rotation)))));
}

/// A key that was suspended, restricted, given to another, rotated; a child that has a role.
#[test]
fn the_bytes_of_keys_of_level_2_do_not_change() {
    let text = || ReasonText::parse("found").unwrap();
    let restriction = |permissions| Restriction {
        permissions,
        networks: networks(),
        ends_at: later(START, 9),
        at: later(START, 8),
        text: text(),
    };
    let examples = [Some(permissions(&["orders:read"])), None].map(|permissions| {
        let retiring = VersionDetails { retires_at: Some(later(START, 60_000)), ..VersionDetails::default() };
        let pending = VersionDetails { pending: true, ..VersionDetails::default() };
        let with = |number, details: VersionDetails| Version { details: details.into(), ..version(number, None) };
        let terms = Terms { roles: RoleSet::from_values([RoleNumber(1), RoleNumber(16)]).unwrap(), ..Terms::default() };
        bytes(&Row::Key(Arc::new(Key {
            terms: Arc::new(terms),
            details: Rare::from(Details {
                suspension: permissions.is_some().then(|| Box::new(Suspension { at: START, text: text() })),
                restriction: Some(Box::new(restriction(permissions))),
                parent: Some(key_id(7)),
                placed: Some(Revision::new(1, 8)),
                rotation: Some(RotationId::from_random([3; 12])),
                ..Details::default()
            }),
            versions: Versions::of(vec![with(2, retiring), with(3, pending)]).unwrap(),
            ..key()
        })))
    });
    check("row/key_level_2", &examples);
}

#[test]
fn the_bytes_of_requests_of_level_2_do_not_change() {
    let (of, id, at) = (KeyspaceNumber(3), key_id(1), version_id(1));
    let rotation = RotationId::from_random([3; 12]);
    let subjects = [
        RequestSubject::Role(RoleNumber(16)),
        RequestSubject::Key(of, id),
        RequestSubject::Counted(5),
        RequestSubject::Rotation(of, id, rotation, None),
        RequestSubject::Rotation(of, id, rotation, Some(at)),
    ];
    let [Row::Request(first), ..] = requests() else { panic!("requests are requests") };
    let of_subject = |subject| bytes(&Row::Request(Arc::new(RememberedRequest { subject, ..(*first).clone() })));
    check("row/request_level_2", &subjects.map(of_subject));
}

#[test]
fn the_bytes_of_rows_do_not_change() {
    check("row/progress", &[bytes(&progress())]);
    check("row/cluster", &[bytes(&cluster())]);
    check("row/ring_key", &ring_keys().each_ref().map(bytes));
    check("row/tenant", &[bytes(&tenant_row(None)), bytes(&tenant_row(cut_of_level_1()))]);
    check("row/keyspace", &[bytes(&plain_keyspace()), bytes(&full_keyspace())]);
    check("row/owner", &[bytes(&owner_row())]);
    check("row/identity", &[bytes(&identity_row())]);
    check("row/key", &[bytes(&plain_key()), bytes(&full_key())]);
    check("row/request", &requests().each_ref().map(bytes));
}

#[test]
fn the_ids_of_rows_sort_as_the_rows_do() {
    let mut rows = vec![progress(), cluster(), tenant_row(None), plain_keyspace(), owner_row(), identity_row()];
    rows.extend([plain_key(), full_key()]);
    rows.extend(ring_keys());
    rows.extend(requests());
    let mut by_id: Vec<_> = rows.iter().map(Row::id).collect();
    let mut by_bytes = by_id.clone();
    by_id.sort();
    by_bytes.sort_by_key(|id| (id.table(), id.id_bytes()));
    assert_eq!(by_id, by_bytes);
}

fn bytes(row: &Row) -> Vec<u8> {
    row.canonical_bytes()
}

/// Compares with the file, one line of hexadecimal digits for each example.
pub(crate) fn check(name: &str, examples: &[Vec<u8>]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.hex"));
    let found: String = examples.iter().map(|bytes| hex(bytes) + "\n").collect();
    if !path.exists() && std::env::var("LATCHKEY_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found, golden, "{name} is encoded in another way than before");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn progress() -> Row {
    let mut frontier = Frontier::new();
    (0..3).for_each(|byte| frontier.push(Hash::new([byte; 32])));
    let next = NextNumbers { tenant: 1, keyspace: 2, owner: 3, identity: 4, role: 0, ring: 5 };
    let (last, trimmed) = (Revision::new(1, 2), None);
    Row::Progress(Progress {
        last,
        clock: START,
        feature_level: 1,
        next,
        frontier,
        trimmed,
        checkpoint: None,
        tree_epoch: 0,
        tree_index: 0,
        tenant_keys_gone: None,
    })
}

fn cluster() -> Row {
    Row::Cluster(Arc::new(Cluster {
        id: ClusterId([0xC1; 16]),
        staleness_floor: DurationMillis::from_secs(2),
        staleness_default: DurationMillis::from_secs(5),
        created_at: START,
    }))
}

fn ring_keys() -> [Row; 6] {
    let purposes = [
        RingPurpose::Log,
        RingPurpose::Pepper,
        RingPurpose::Replay,
        RingPurpose::Tenant(TenantNumber(2)),
        RingPurpose::Audit(TenantNumber(2)),
        RingPurpose::Keyspace(KeyspaceNumber(3)),
    ];
    purposes.map(|purpose| {
        let (number, wrapped_by) = (RingNumber(8), RingNumber(4));
        let wrapped = Box::new([6; 60]);
        Row::RingKey(Arc::new(RingKey {
            number,
            id: [5; 16],
            purpose,
            wrapped_by,
            kek: None,
            wrapped,
            created_at: START,
        }))
    })
}

/// A cut as it lay at level 1: of its details nobody knew.
fn cut_of_level_1() -> Option<Box<ScopeCut>> {
    Some(Box::new(ScopeCut::of_level_1(Revision::new(1, 9))))
}

fn tenant_row(cut: Option<Box<ScopeCut>>) -> Row {
    Row::Tenant(Arc::new(Tenant {
        contacts: Vec::new(),
        number: TenantNumber(2),
        id: slug("acme"),
        display_name: text("Acme"),
        quotas: TenantQuotas::default(),
        created_at: START,
        changed: None,
        cut,
        tenant_key: RingNumber(7),
        audit_key: RingNumber(8),
    }))
}

pub(crate) fn keyspace_with(settings: KeyspaceSettings, cut: Option<Box<ScopeCut>>) -> Row {
    Row::Keyspace(Arc::new(Keyspace {
        number: KeyspaceNumber(3),
        tenant: TenantNumber(2),
        id: slug("live"),
        settings,
        staleness_max: DurationMillis::from_secs(5),
        staleness_before: None,
        created_at: START,
        changed: None,
        cut,
        data_key: RingNumber(9),
        keys: 12,
    }))
}

fn plain_keyspace() -> Row {
    keyspace_with(settings("acme_live"), None)
}

fn full_keyspace() -> Row {
    let settings = KeyspaceSettings {
        allowed_permissions: permissions(&["orders:*", "refunds:read"]),
        default_lifetime: Some(DurationMillis::from_days(30)),
        maximum_lifetime: Some(DurationMillis::from_days(90)),
        networks: networks(),
        staleness_max: Some(DurationMillis::from_secs(9)),
        ..settings("acme_live")
    };
    keyspace_with(settings, cut_of_level_1())
}

fn networks() -> NetworkSet {
    let texts = ["192.0.2.0/24", "2001:db8::/32"];
    NetworkSet::from_values(texts.map(|text| Network::parse(text).unwrap())).unwrap()
}

fn owner_row() -> Row {
    Row::Owner(Arc::new(Owner {
        number: OwnerNumber(4),
        tenant: TenantNumber(2),
        id: slug("shop"),
        display_name: text("Shop"),
        contacts: vec![text("keys@example.com"), text("https://example.com/hook")],
        created_at: START,
        changed: None,
        cut: cut_of_level_1(),
    }))
}

fn identity_row() -> Row {
    Row::Identity(Arc::new(Identity {
        number: IdentityNumber(5),
        tenant: TenantNumber(2),
        id: slug("ann"),
        display_name: text("Ann"),
        grants: [(Duty::Root, ""), (Duty::Admin, "acme"), (Duty::Issuer, "acme/live")]
            .map(|(duty, place)| grant(duty, place))
            .to_vec(),
        created_at: START,
        changed: None,
    }))
}

fn version(number: u8, revocation: Option<Box<Revocation>>) -> Version {
    Version {
        id: version_id(number),
        pepper: RingNumber(2),
        digest: Digest::new([number; 32]),
        inner: [number; 101],
        created_at: START,
        details: Rare::from(VersionDetails { revocation, ..VersionDetails::default() }),
    }
}

pub(crate) fn key() -> Key {
    Key {
        id: key_id(1),
        keyspace: KeyspaceNumber(3),
        holder: Holder::None,
        display_name: text(""),
        terms: Arc::default(),
        created: Revision::new(1, 6),
        created_at: START,
        expires_at: None,
        details: Rare::from(Details {
            changed: Some(Change { revision: Revision::new(1, 7), at: later(START, 1) }),
            ..Details::default()
        }),
        versions: version(1, None).into(),
    }
}

fn plain_key() -> Row {
    Row::Key(Arc::new(key()))
}

fn full_key() -> Row {
    let revocation = |reason| {
        let text = ReasonText::parse("found").unwrap();
        Some(Box::new(Revocation { effective_at: later(START, 5), asked_at: later(START, 2), reason, text }))
    };
    let terms = Terms {
        permissions: permissions(&["orders:read"]),
        networks: networks(),
        methods: MethodSet::from_values(["GET", "POST"].map(|text| Method::parse(text).unwrap())).unwrap(),
        resources: ResourceSet::from_values([ResourcePattern::parse("/orders/*").unwrap()]).unwrap(),
        ..Terms::default()
    };
    Row::Key(Arc::new(Key {
        id: key_id(2),
        holder: Holder::Owner(OwnerNumber(4)),
        display_name: text("Checkout"),
        terms: Arc::new(terms),
        expires_at: Some(later(START, 4)),
        details: Rare::from(Details {
            purpose: Purpose::parse("reads orders").unwrap(),
            metadata: Metadata::from_pairs([("team", "checkout"), ("ticket", "")]).unwrap(),
            not_before: Some(later(START, 3)),
            changed: Some(key().changed()),
            revocation: revocation(RevocationReason::Compromised),
            ..Details::default()
        }),
        versions: Versions::of(vec![version(2, revocation(RevocationReason::Superseded)), version(3, None)]).unwrap(),
        ..key()
    }))
}

fn requests() -> [Row; 8] {
    let (of, id, at) = (KeyspaceNumber(3), key_id(1), version_id(1));
    let subjects = [
        RequestSubject::Tenant(TenantNumber(2)),
        RequestSubject::Keyspace(of),
        RequestSubject::Owner(OwnerNumber(4)),
        RequestSubject::Identity(IdentityNumber(5)),
        RequestSubject::Keys(of, Box::new([(id, at)])),
        RequestSubject::Revoked(of, id, None),
        RequestSubject::Revoked(of, id, Some(at)),
        RequestSubject::Nothing,
    ];
    subjects.map(request)
}

pub(crate) fn request(subject: RequestSubject) -> Row {
    let replay = matches!(subject, RequestSubject::Keys(..)).then(|| Box::<[u8]>::from([9; 40]));
    Row::Request(Arc::new(RememberedRequest {
        identity: IdentityNumber(5),
        id: [1; 16],
        hash: [2; 32],
        at: START,
        revision: Revision::new(1, 6),
        subject,
        replay,
    }))
}
