//! What clients are shown of the life of a key, and of the directory that it lives in.

use crate::fixtures::{key_id, rows, slug, terms, text, version_id};
use crate::fixtures_level_3::{formats, imported, outcomes};
use latchkey_crypto::Digest;
use latchkey_domain::{
    BuiltInRole, DurationMillis, KeyId, KeyspaceNumber, ReasonText, Revision, RevocationReason, RingNumber, RoleNumber,
    RoleSet, RotationId, RotationState, TenantNumber, Terms, UnixMillis, VersionId,
};
use latchkey_state::{
    Answer, Applied, Change, Details, Holder, Key, Keyspace, KeyspaceSettings, Rare, Restriction, Revocation, Role,
    Rotation, RotationClaim, Row, State, Suspension, Tenant, TenantQuotas, Version, VersionDetails, Versions,
};
use latchkey_wire::applied::{Told, read_applied, write_applied};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::key::State as KeyState;
use latchkey_wire::pb::v1::rotation::State as PbRotationState;
use latchkey_wire::pb::v1::version::State as VersionState;
use latchkey_wire::resource::View;
use latchkey_wire::time::{write_span, write_time};
use std::sync::Arc;

const MADE_AT: UnixMillis = UnixMillis::new(1_750_000_000_000);
pub(crate) const KEY: &str = "tenants/acme/keyspaces/payments-live/keys/0123456789ABCDEF";

pub(crate) fn at(seconds: u64) -> UnixMillis {
    MADE_AT.plus(DurationMillis::from_secs(seconds))
}

pub(crate) fn why() -> ReasonText {
    ReasonText::parse("asked by the owner").unwrap()
}

fn changed() -> Change {
    Change { revision: Revision::new(3, 1_042), at: at(5) }
}

pub(crate) fn rotation_id() -> RotationId {
    RotationId::parse("0R0T0A0T0I0O0N00").unwrap()
}

pub(crate) fn version(details: VersionDetails) -> Version {
    Version {
        id: version_id(),
        pepper: RingNumber(2),
        digest: Digest::new([0xD1; 32]),
        inner: [0x1E; 101],
        created_at: MADE_AT,
        details: Rare::from(details),
    }
}

pub(crate) fn key(details: Details, version: Version) -> Key {
    Key {
        id: key_id(),
        keyspace: KeyspaceNumber(2),
        holder: Holder::None,
        display_name: text("Shop backend"),
        terms: Arc::new(Terms {
            roles: RoleSet::from_values([RoleNumber(16), BuiltInRole::ReadOnly.number()]).unwrap(),
            ..terms()
        }),
        created: Revision::new(3, 1_000),
        created_at: MADE_AT,
        expires_at: Some(at(1_000)),
        details: Rare::from(details),
        versions: Versions::from(version),
    }
}

fn role() -> Role {
    Role {
        number: RoleNumber(16),
        tenant: TenantNumber(1),
        id: slug("support"),
        display_name: text("Support"),
        permissions: terms().permissions,
        methods: terms().methods,
        created_at: MADE_AT,
        created: Revision::new(3, 1_000),
        changed: None,
        cut: None,
    }
}

pub(crate) fn rotation(
    state: RotationState,
    overlap: Option<DurationMillis>,
    ended_at: Option<UnixMillis>,
) -> Rotation {
    Rotation {
        id: rotation_id(),
        keyspace: KeyspaceNumber(2),
        key: key_id(),
        state,
        old: Some(VersionId::HIGHEST),
        new: Some(version_id()),
        overlap,
        overlap_ends_at: overlap.map(|overlap| at(5).plus(overlap)),
        created_at: MADE_AT,
        changed: changed(),
        ended_at,
        text: why(),
        course: None,
    }
}

/// A directory in which nothing is cut, with these rows besides.
pub(crate) fn state(more: impl IntoIterator<Item = Row>) -> State {
    let directory = rows().into_iter().filter(|(name, _)| ["progress", "cluster", "tenant", "keyspace"].contains(name));
    let directory = directory.map(|(_, row)| match row {
        Row::Tenant(tenant) => Row::Tenant(Arc::new(Tenant { cut: None, ..(*tenant).clone() })),
        row => row,
    });
    State::load(directory.chain([Row::Role(Arc::new(role()))]).chain(more)).unwrap()
}

fn shown(key: &Key, now: UnixMillis) -> v1::Key {
    let state = state([Row::Key(Arc::new(key.clone()))]);
    View::new(&state, now).key(key)
}

fn applied(answer: Answer) -> Applied {
    Applied {
        answer: Ok(answer),
        revision: Revision::new(3, 7),
        repeated: false,
        changes: latchkey_state::Changes::new(),
        entries: Vec::new(),
        more_to_sweep: false,
    }
}

#[test]
fn roles_and_the_parent_are_shown_by_name() {
    let parent = Key {
        id: KeyId::HIGHEST,
        versions: Version { id: VersionId::HIGHEST, ..version(VersionDetails::default()) }.into(),
        ..key(Details::default(), version(VersionDetails::default()))
    };
    let child = key(Details { parent: Some(parent.id), ..Details::default() }, version(VersionDetails::default()));
    let state = state([Row::Key(Arc::new(parent)), Row::Key(Arc::new(child.clone()))]);
    let shown = View::new(&state, at(0)).key(&child);
    assert_eq!(shown.roles, ["tenants/acme/roles/read-only", "tenants/acme/roles/support"]);
    assert_eq!(shown.parent_key, "tenants/acme/keyspaces/payments-live/keys/zzzzzzzzzzzzzzzz");
    assert_eq!((shown.name.as_str(), shown.state()), (KEY, KeyState::Active));
}

#[test]
fn a_version_is_shown_as_what_it_is_worth_by_the_clock_and_apart_from_a_suspension() {
    let revocation =
        Revocation { effective_at: at(100), asked_at: at(5), reason: RevocationReason::Superseded, text: why() };
    let pending = VersionDetails { pending: true, ..VersionDetails::default() };
    let retiring = VersionDetails { retires_at: Some(at(100)), ..VersionDetails::default() };
    let revoked = VersionDetails { revocation: Some(Box::new(revocation.clone())), ..VersionDetails::default() };
    let suspension = Some(Box::new(Suspension { at: at(4), text: why() }));
    let suspended = Details { suspension, ..Details::default() };
    let dead = Details { revocation: Some(Box::new(revocation)), ..Details::default() };
    for (details, version_details, now, key_state, version_state) in [
        (Details::default(), VersionDetails::default(), 0, KeyState::Active, VersionState::Active),
        (Details::default(), VersionDetails::default(), 999, KeyState::Active, VersionState::Active),
        (Details::default(), VersionDetails::default(), 1_000, KeyState::Expired, VersionState::Retired),
        (Details::default(), pending.clone(), 0, KeyState::Active, VersionState::Pending),
        (Details::default(), pending.clone(), 1_000, KeyState::Expired, VersionState::Retired),
        (Details::default(), retiring.clone(), 99, KeyState::Active, VersionState::Retiring),
        (Details::default(), retiring.clone(), 100, KeyState::Active, VersionState::Retired),
        (Details::default(), revoked.clone(), 99, KeyState::Active, VersionState::Active),
        (Details::default(), revoked, 100, KeyState::Active, VersionState::Revoked),
        (suspended.clone(), VersionDetails::default(), 5, KeyState::Suspended, VersionState::Active),
        (suspended.clone(), pending.clone(), 5, KeyState::Suspended, VersionState::Pending),
        (suspended.clone(), retiring.clone(), 99, KeyState::Suspended, VersionState::Retiring),
        (suspended, retiring.clone(), 100, KeyState::Suspended, VersionState::Retired),
        (dead.clone(), retiring, 99, KeyState::Active, VersionState::Retiring),
        (dead, pending, 100, KeyState::Revoked, VersionState::Revoked),
    ] {
        let key = key(details, version(version_details));
        let shown = shown(&key, at(now));
        assert_eq!((shown.state(), shown.versions[0].state()), (key_state, version_state), "{now}: {key:?}");
    }
}

#[test]
fn a_suspension_is_shown_and_a_restriction_only_while_it_holds() {
    let details = Details {
        changed: Some(changed()),
        suspension: Some(Box::new(Suspension { at: at(4), text: why() })),
        restriction: Some(Box::new(Restriction {
            permissions: Some(Default::default()),
            networks: terms().networks,
            ends_at: at(60),
            at: at(5),
            text: why(),
        })),
        ..Details::default()
    };
    let key = key(details, version(VersionDetails::default()));
    let before = shown(&key, at(59));
    let restriction = before.restriction.unwrap();
    assert_eq!(restriction.permissions, Some(v1::PermissionList::default()), "nothing, which differs from not said");
    assert_eq!(restriction.networks, ["10.0.0.0/8", "2001:db8::/32"]);
    assert_eq!((restriction.end_time, restriction.restrict_time), (Some(write_time(at(60))), Some(write_time(at(5)))));
    let suspension = before.suspension.unwrap();
    assert_eq!((suspension.suspend_time, suspension.reason_text.as_str()), (Some(write_time(at(4))), why().as_str()));
    assert_eq!((before.update_time, before.etag.as_str()), (Some(write_time(at(5))), "3-1042"));
    let after = shown(&key, at(60));
    assert_eq!((after.state(), after.restriction), (KeyState::Suspended, None));
}

#[test]
fn an_overlap_is_completed_by_the_clock_before_anybody_wrote_it_down() {
    let live = key(
        Details { rotation: Some(rotation_id()), ..Details::default() },
        version(VersionDetails { retires_at: None, ..VersionDetails::default() }),
    );
    let record = rotation(RotationState::Overlap, Some(DurationMillis::from_secs(60)), None);
    let state = state([Row::Key(Arc::new(live.clone())), Row::Rotation(Arc::new(record.clone()))]);
    let (during, over) = (View::new(&state, at(64)), View::new(&state, at(65)));
    let name = format!("{KEY}/rotations/0R0T0A0T0I0O0N00");

    let shown = during.rotation(&record);
    assert_eq!((shown.name.as_str(), shown.state(), shown.end_time), (name.as_str(), PbRotationState::Overlap, None));
    assert_eq!(shown.old_version, format!("{KEY}/versions/zzzzzzzzzzzzzzzz"));
    assert_eq!(shown.new_version, format!("{KEY}/versions/0123456789abcdef"));
    assert_eq!(shown.overlap, Some(write_span(DurationMillis::from_secs(60))));
    assert_eq!((shown.etag.as_str(), shown.reason_text.as_str()), ("3-1042", why().as_str()));
    assert_eq!(during.key(&live).rotation, name);

    let shown = over.rotation(&record);
    assert_eq!((shown.state(), shown.end_time), (PbRotationState::Completed, Some(write_time(at(65)))));
    assert_eq!(over.key(&live).rotation, "", "it is not in progress any more");
}

#[test]
fn a_standby_shows_no_overlap_and_an_end_is_shown_as_it_was_written_down() {
    let state = state([]);
    let view = View::new(&state, at(1_000_000));
    let prepared = view.rotation(&rotation(RotationState::Prepared, None, None));
    assert_eq!(
        (prepared.state(), prepared.overlap, prepared.overlap_end_time),
        (PbRotationState::Prepared, None, None)
    );
    let day = Some(DurationMillis::from_days(1));
    let rolled_back = view.rotation(&rotation(RotationState::RolledBack, day, Some(at(7))));
    assert_eq!((rolled_back.state(), rolled_back.end_time), (PbRotationState::RolledBack, Some(write_time(at(7)))));
}

#[test]
fn an_etag_of_the_directory_changes_with_its_record_and_a_bound_that_nobody_asked_for_is_not_shown() {
    let state = state([]);
    let view = View::new(&state, at(0));
    let tenant = state.tenants().iter().next().unwrap();
    let new = Tenant { changed: None, quotas: TenantQuotas::default(), ..(**tenant).clone() };
    let shown = view.tenant(&new);
    assert_eq!((shown.etag.as_str(), shown.update_time, shown.quotas), ("n1", shown.create_time, None));
    let quotas = TenantQuotas { roles_max: Some(0), ..TenantQuotas::default() };
    let shown = view.tenant(&Tenant { changed: Some(changed()), quotas, ..new });
    assert_eq!((shown.etag.as_str(), shown.update_time), ("3-1042", Some(write_time(at(5)))));
    assert_eq!(shown.quotas, Some(v1::TenantQuotas { roles: Some(0), ..Default::default() }));

    let keyspace = state.keyspaces().iter().next().unwrap();
    let shown = view.keyspace(keyspace);
    assert_eq!((shown.quotas, shown.self_revocation()), (None, v1::SelfRevocation::Allowed));
    let mut bounded = Keyspace::clone(keyspace);
    bounded.settings.versions_max = 7;
    bounded.settings.self_revocation_off = true;
    bounded.settings.allowed_roles = [slug("read-only"), slug("support")].into();
    let shown = view.keyspace(&bounded);
    assert_eq!(shown.quotas, Some(v1::KeyspaceQuotas { versions: Some(7), ..Default::default() }));
    assert_eq!((shown.self_revocation(), shown.allowed_roles.len()), (v1::SelfRevocation::Off, 2));
}

#[test]
fn a_built_in_role_is_shown_under_each_tenant_and_as_what_it_is() {
    let state = state([]);
    let view = View::new(&state, at(0));
    let made = view.role(&role());
    assert_eq!((made.name.as_str(), made.built_in, made.etag.as_str()), ("tenants/acme/roles/support", false, "n16"));
    let read_only = view.built_in_role(&slug("acme"), BuiltInRole::ReadOnly);
    assert_eq!((read_only.name.as_str(), read_only.built_in), ("tenants/acme/roles/read-only", true));
    assert_eq!((read_only.methods, read_only.permissions), (vec!["GET".to_owned(), "HEAD".to_owned()], Vec::new()));
    let admin = view.built_in_role(&slug("acme"), BuiltInRole::Admin);
    assert_eq!((admin.methods, admin.permissions), (Vec::new(), vec!["*".to_owned()]));
    assert_eq!((admin.create_time, admin.update_time), (None, None));
}

#[test]
fn every_answer_of_the_key_life_reads_as_it_was_written() {
    let key = Arc::new(key(Details::default(), version(VersionDetails::default())));
    let state = state([Row::Key(key.clone())]);
    let view = View { revision: Revision::new(3, 7), ..View::new(&state, at(0)) };
    let bound = DurationMillis::from_secs(5);
    let record = Arc::new(rotation(RotationState::Prepared, None, None));
    let role = Arc::new(role());
    let claim = RotationClaim { holder: [8; 16], fence: 41, ends_at: at(9) };
    for (answer, told) in [
        (Answer::Role(role.clone()), Told::Role(view.role(&role))),
        (Answer::Key(key.clone()), Told::Key { key: view.key(&key), bound }),
        (Answer::Counted(3_000), Told::Counted(3_000)),
        (Answer::Claim(claim), Told::Claim(claim)),
        (Answer::Imported { keyspace: key.keyspace, rows: outcomes() }, Told::Imported(outcomes())),
        (
            Answer::Rotation {
                rotation: record.clone(),
                key: key.clone(),
                made: Some(version_id()),
                replay: Some([1, 2].into()),
            },
            Told::Rotation {
                rotation: view.rotation(&record),
                key: view.key(&key),
                made: Some(version_id()),
                replay: Some(vec![1, 2]),
                bound,
            },
        ),
        (
            Answer::Rotation { rotation: record.clone(), key: key.clone(), made: None, replay: None },
            Told::Rotation { rotation: view.rotation(&record), key: view.key(&key), made: None, replay: None, bound },
        ),
    ] {
        assert_eq!(read_applied(write_applied(&state, at(0), &applied(answer))).unwrap().answer, Ok(told));
    }
}

#[test]
fn a_longer_bound_that_was_in_force_before_counts_until_its_time_is_over() {
    let (key, before) = (key(Details::default(), version(VersionDetails::default())), DurationMillis::from_secs(30));
    let mut state = state([Row::Key(Arc::new(key.clone()))]);
    let keyspace = state.keyspaces().iter().next().unwrap();
    let shortened = Keyspace { staleness_before: Some((before, at(35))), ..Keyspace::clone(keyspace) };
    state.install(Row::Keyspace(Arc::new(shortened)));
    for (now, expected) in [(at(34), before), (at(35), DurationMillis::from_secs(5))] {
        let told = read_applied(write_applied(&state, now, &applied(Answer::Key(Arc::new(key.clone())))));
        let Ok(Told::Key { bound, .. }) = told.unwrap().answer else { panic!("a key") };
        assert_eq!(bound, expected);
    }
}

#[test]
fn an_imported_key_shows_where_it_came_from_and_one_made_here_nothing() {
    let details = Details { imported: Some(Box::new(imported())), ..Details::default() };
    let key_of = |details| key(details, version(VersionDetails::default()));
    let imported = key_of(details);
    let made = state([]);
    let keyspace = made.keyspaces().iter().next().unwrap();
    let settings = KeyspaceSettings { import_formats: formats(), ..keyspace.settings.clone() };
    let keyspace = Arc::new(Keyspace { settings, ..Keyspace::clone(keyspace) });
    let state = state([Row::Keyspace(keyspace), Row::Key(Arc::new(imported.clone()))]);
    let shown = View::new(&state, at(5)).key(&imported).imported.unwrap();
    assert_eq!((shown.format.as_str(), shown.start.as_str()), ("seam", "mycompany_BRTRKFsL"));
    assert_eq!(shown.source_id, "key_2vGnR");
    assert!(shown.import_time.is_some() && shown.source_create_time.is_some());
    let made_here = self::shown(&key_of(Details::default()), at(5));
    assert_eq!(made_here.imported, None);
}

#[test]
fn the_formats_of_a_keyspace_are_shown_as_they_are_declared() {
    let state = state([]);
    let keyspace = state.keyspaces().iter().next().unwrap();
    let settings = KeyspaceSettings { import_formats: formats(), ..keyspace.settings.clone() };
    let shown = View::new(&state, at(5)).keyspace(&Keyspace { settings, ..Keyspace::clone(keyspace) });
    let asked = v1::UpdateKeyspaceRequest {
        keyspace: Some(shown),
        update_mask: Some(prost_types::FieldMask { paths: vec!["import_formats".to_owned()] }),
        ..Default::default()
    };
    let read = latchkey_wire::request::read_update_keyspace(&asked).unwrap();
    assert_eq!(read.operation.changes.import_formats, Some(formats()));
}

#[test]
fn every_mistake_in_a_format_is_told_where_it_is() {
    let state = state([]);
    let keyspace = state.keyspaces().iter().next().unwrap();
    let settings = KeyspaceSettings { import_formats: formats(), ..keyspace.settings.clone() };
    let shown = View::new(&state, at(5)).keyspace(&Keyspace { settings, ..Keyspace::clone(keyspace) });
    let told = |change: &dyn Fn(&mut Vec<v1::ImportFormat>)| {
        let mut keyspace = shown.clone();
        change(&mut keyspace.import_formats);
        let asked = v1::UpdateKeyspaceRequest {
            keyspace: Some(keyspace),
            update_mask: Some(prost_types::FieldMask { paths: vec!["import_formats".to_owned()] }),
            ..Default::default()
        };
        let violations = latchkey_wire::request::read_update_keyspace(&asked).unwrap_err();
        violations.list().iter().map(|one| one.field.clone()).collect::<Vec<_>>().join(" ")
    };
    for (change, fields) in [
        (&(|formats: &mut Vec<v1::ImportFormat>| formats[1].id = "seam".to_owned()) as &dyn Fn(&mut _), "[1].id"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[0].id = String::new(), "[0].id"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[0].digest = 0, "[0].digest"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[0].prefix = "a b".to_owned(), "[0].prefix"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[1].parts.clear(), "[1].parts"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[1].parts[1].alphabet = 9, "[1].parts[1].alphabet"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[1].parts[1].length_max = 300, "[1].parts"),
        (&|formats: &mut Vec<v1::ImportFormat>| formats[0].parts[1].length_min = 15, "[0].parts"),
    ] {
        assert_eq!(told(change), format!("keyspace.import_formats{fields}"));
    }
    assert_eq!(told(&|formats| *formats = vec![formats[0].clone(); 9]), "keyspace.import_formats");
}
