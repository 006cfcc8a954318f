//! Changing and deleting records of the directory, and what audit is told of it.

use crate::support::{
    HOUR, MINUTE, START, World, as_request, by, by_replica, by_root, command, create_identity, create_keys,
    create_keyspace, create_owner, create_role, create_tenant, cut, delete, grant, identity, key_id, key_name,
    keyspace, later, management_key, new_key, owned_key, owner, permissions, readings, revoke, role, settings, slug,
    stamped, tenant, text,
};
use latchkey_domain::{
    BuiltInRole, DurationMillis, Duty, Grant, KeyspaceName, Outcome, Quota, Refusal, ResourceKind, Revision,
    RingNumber, RoleNumber, Sequence, TenantName, TenantNumber, UnixMillis,
};
use latchkey_state::{
    Action, Actor, Answer, Applied, CutScope, Delete, DirectoryName, Explanation, GatheredRefusal, IdentityChanges,
    KeyspaceChanges, NewKey, Operation, OwnerChanges, Progress, REFUSALS_PER_COMMAND_MAX, RingPurpose, RoleChanges,
    Row, State, TenantChanges, TenantQuotas, Trimmed, UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateRole,
    UpdateTenant,
};
use latchkey_transparency::{Frontier, Hash};

const DAY: u64 = 24 * HOUR;

fn told(applied: &Applied) -> Vec<String> {
    let has = |event: &[u8], word: &str| event.windows(word.len()).any(|window| window == word.as_bytes());
    let word = |event: &[u8]| Action::ALL.iter().map(|action| action.as_str()).find(|word| has(event, word)).unwrap();
    applied.entries.iter().map(|entry| word(&entry.event).to_owned()).collect()
}

fn tells(applied: &Applied, part: &str) -> bool {
    applied.entries.iter().any(|entry| String::from_utf8_lossy(&entry.event).contains(part))
}

fn rename_tenant(id: &str, to: &str) -> UpdateTenant {
    let changes = TenantChanges { display_name: Some(text(to)), ..TenantChanges::default() };
    UpdateTenant { name: tenant(id), changes, etag: None }
}

fn update_keyspace(path: &str, changes: KeyspaceChanges) -> Operation {
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace(path), changes, etag: None }))
}

fn with_quotas(quotas: TenantQuotas) -> Operation {
    let changes = TenantChanges { quotas: Some(quotas), ..TenantChanges::default() };
    Operation::UpdateTenant(UpdateTenant { name: tenant("acme"), changes, etag: None })
}

#[test]
fn a_change_is_told_once_and_moves_the_etag() {
    let mut world = World::furnished();
    let etag = |world: &World| world.state.tenant(&tenant("acme")).unwrap().etag();
    let first = etag(&world);
    assert!(first.starts_with('n'), "{first}");
    let applied = world.apply(by_root(Operation::UpdateTenant(rename_tenant("acme", "Acme Ltd"))));
    assert_eq!(told(&applied), ["tenant.updated"]);
    assert!(tells(&applied, "A tenant -> Acme Ltd"));
    let second = etag(&world);
    assert_ne!(second, first);

    // The same again is no change.
    let applied = world.apply(by_root(Operation::UpdateTenant(rename_tenant("acme", "Acme Ltd"))));
    assert!(applied.entries.is_empty() && applied.answer.is_ok());
    assert_eq!(etag(&world), second);

    let stale = UpdateTenant { etag: Some(first.into()), ..rename_tenant("acme", "Other") };
    let refusal = world.refused(by_root(Operation::UpdateTenant(stale)));
    assert_eq!(refusal, Refusal::EtagMismatch { current: second.clone() });
    let current = UpdateTenant { etag: Some(second.into()), ..rename_tenant("acme", "Other") };
    world.done(by_root(Operation::UpdateTenant(current)));
}

#[test]
fn owners_and_identities_change_as_asked_and_the_first_identity_keeps_its_grants() {
    let mut world = World::furnished();
    let changes = OwnerChanges { display_name: None, contacts: Some(vec![text("keys@example.com")]) };
    let update = UpdateOwner { name: owner("acme/shop"), changes, etag: None };
    let applied = world.apply(by_root(Operation::UpdateOwner(update)));
    assert!(tells(&applied, "+keys@example.com") && told(&applied) == ["owner.updated"]);

    let update = |path: &str, grants: Vec<Grant>| {
        let changes = IdentityChanges { display_name: None, grants: Some(grants) };
        Operation::UpdateIdentity(UpdateIdentity { name: identity(path), changes, etag: None })
    };
    let applied = world.apply(by_root(update("acme/admin", vec![grant(Duty::Issuer, "acme/live")])));
    assert!(tells(&applied, "+issuer@tenants/acme/keyspaces/live,-admin@tenants/acme"));
    world.refused(by("acme/admin", create_owner("acme/new")));
    let refusal = world.refused(by_root(update("system/root", Vec::new())));
    assert_eq!(refusal, Refusal::Reserved { name: "tenants/system/identities/root".into() });
    let refusal = world.refused(by_root(update("acme/admin", vec![grant(Duty::Issuer, "nobody")])));
    assert!(matches!(refusal, Refusal::NotFound { kind: ResourceKind::Tenant, .. }));
}

#[test]
fn a_default_lifetime_beyond_the_maximum_is_refused() {
    let mut world = World::furnished();
    let (asked, maximum) = (DurationMillis::from_days(2), DurationMillis::from_days(1));
    let changes = KeyspaceChanges {
        default_lifetime: Some(Some(asked)),
        maximum_lifetime: Some(Some(maximum)),
        ..KeyspaceChanges::default()
    };
    let refusal = world.refused(by_root(update_keyspace("acme/live", changes)));
    assert_eq!(refusal, Refusal::LifetimeTooLong { asked, maximum });
}

#[test]
fn roles_have_numbers_beyond_the_built_in_ones_and_these_do_not_change() {
    let mut world = World::furnished();
    let Answer::Role(made) = world.done(by_root(create_role("acme/clerk", &["orders:*"]))) else { panic!() };
    assert_eq!(made.number, RoleNumber(BuiltInRole::NUMBER_MAX + 1));
    assert!(matches!(world.refused(by_root(create_role("acme/clerk", &[]))), Refusal::AlreadyExists { .. }));
    let update = |path: &str, patterns: &[&str]| {
        let changes = RoleChanges { permissions: Some(permissions(patterns)), ..RoleChanges::default() };
        Operation::UpdateRole(UpdateRole { name: role(path), changes, etag: None })
    };
    let applied = world.apply(by_root(update("acme/clerk", &["refunds:*"])));
    assert!(told(&applied) == ["role.updated"] && tells(&applied, "+refunds:*,-orders:*"));
    for built_in in BuiltInRole::ALL {
        let path = format!("acme/{}", built_in.as_str());
        let name = role(&path).to_string();
        for operation in [create_role(&path, &[]), update(&path, &[]), delete(DirectoryName::Role(role(&path)))] {
            assert_eq!(world.refused(by_root(operation)), Refusal::Reserved { name: name.clone() });
        }
    }
}

#[test]
fn a_role_stays_while_a_key_has_it_dead_or_not() {
    let mut world = World::furnished();
    world.done(by_root(create_role("acme/clerk", &[])));
    let key = NewKey { roles: vec![slug("clerk")], ..new_key(1) };
    world.done(by_root(create_keys("acme/live", vec![key])));
    let gone = || by_root(delete(DirectoryName::Role(role("acme/clerk"))));
    let not_empty = Refusal::NotEmpty {
        kind: ResourceKind::Role,
        name: "tenants/acme/roles/clerk".into(),
        holds: ResourceKind::Key,
        count: 1,
    };
    assert_eq!(world.refused(gone()), not_empty);
    world.done(by_root(Operation::RevokeKey(revoke("acme/live", 1))));
    assert_eq!(world.refused(gone()), not_empty);
    pass(&mut world, 91 * DAY);
    world.done(by_replica(Operation::RemoveDead(vec![at(&world, 1)])));
    assert_eq!(told(&world.apply(gone())), ["role.deleted"]);
    // A new one of the same name is another.
    let Answer::Role(made) = world.done(by_root(create_role("acme/clerk", &[]))) else { panic!() };
    assert_eq!(made.number, RoleNumber(BuiltInRole::NUMBER_MAX + 2));
}

fn at(world: &World, number: u8) -> latchkey_state::KeyAt {
    (world.state.keyspace(&keyspace("acme/live")).unwrap().number, key_id(number))
}

fn pass(world: &mut World, millis: u64) {
    let time = later(world.state.clock(), millis);
    world.done(by_replica(readings(&[time; 3])));
}

#[test]
fn what_holds_a_living_key_stays_and_what_holds_dead_ones_takes_them_along() {
    for (name, kind) in [
        (DirectoryName::Owner(owner("acme/shop")), ResourceKind::Owner),
        (DirectoryName::Keyspace(keyspace("acme/live")), ResourceKind::Keyspace),
    ] {
        let mut world = World::furnished();
        let keys = vec![owned_key(1, "acme/shop"), owned_key(2, "acme/shop")];
        world.done(by_root(create_keys("acme/live", keys)));
        world.done(by_root(Operation::RevokeKey(revoke("acme/live", 1))));
        let refusal = world.refused(by_root(delete(name.clone())));
        assert!(
            matches!(refusal, Refusal::NotEmpty { kind: found, holds: ResourceKind::Key, count: 2, .. } if found == kind),
            "{refusal:?}"
        );
        world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
        let applied = world.apply(by_root(delete(name)));
        assert_eq!(told(&applied)[..2], ["key.removed", "key.removed"]);
        assert_eq!(world.state.key_count(), 1, "root's key alone");
    }
}

#[test]
fn an_identity_goes_with_its_dead_keys_and_the_first_one_never() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("system/management", vec![management_key(1, "acme/admin")])));
    let gone = |path: &str| by_root(delete(DirectoryName::Identity(identity(path))));
    assert!(matches!(world.refused(gone("acme/admin")), Refusal::NotEmpty { .. }));
    world.done(by_root(Operation::RevokeKey(revoke("system/management", 1))));
    assert_eq!(told(&world.apply(gone("acme/admin"))), ["key.removed", "identity.deleted"]);
    assert!(matches!(world.refused(gone("system/root")), Refusal::Reserved { .. }));
    assert!(matches!(world.refused(gone("acme/admin")), Refusal::NotFound { .. }));
}

#[test]
fn more_dead_keys_than_one_record_takes_away_wait_for_their_retention() {
    let mut world = World::furnished();
    for batch in 0..2_u32 {
        let keys = (0..501_u32).map(|number| {
            let mut random = [9; 12];
            random[8..].copy_from_slice(&(batch * 501 + number).to_be_bytes());
            let (id, version) =
                (latchkey_domain::KeyId::from_random(random), latchkey_domain::VersionId::from_random(random));
            NewKey { id, version, ..owned_key(1, "acme/shop") }
        });
        world.done(by_root(create_keys("acme/live", keys.collect())));
    }
    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    let refusal = world.refused(by_root(delete(DirectoryName::Owner(owner("acme/shop")))));
    assert!(matches!(refusal, Refusal::NotEmpty { count: 1_002, .. }), "{refusal:?}");
}

#[test]
fn a_name_that_is_given_again_inherits_nothing() {
    let mut world = World::furnished();
    world.done(by_root(create_identity("system/ann", &[grant(Duty::Issuer, "acme/live"), grant(Duty::Admin, "acme")])));
    let old = world.state.keyspace(&keyspace("acme/live")).unwrap().clone();
    let applied = world.apply(by_root(delete(DirectoryName::Keyspace(keyspace("acme/live")))));
    assert_eq!(told(&applied), ["identity.updated", "keyspace.deleted", "keyring.key_dropped"]);
    assert!(world.state.ring_key(old.data_key).is_none());

    // The prefix is free, the number is another, and nobody has kept a grant on the name.
    world.done(by_root(create_keyspace("acme/live", settings("acme_live"))));
    assert_ne!(world.state.keyspace(&keyspace("acme/live")).unwrap().number, old.number);
    let grants = &world.state.identity(&identity("system/ann")).unwrap().grants;
    assert_eq!(grants[..], [grant(Duty::Admin, "acme")]);
}

#[test]
fn a_tenant_whose_data_is_destroyed_takes_its_ring_keys_along_and_leaves_an_entry_of_the_cluster() {
    let mut world = World::furnished();
    world.done(by_root(create_tenant("brief")));
    let number = world.state.tenant(&tenant("brief")).unwrap().number;
    let of_tenant = |state: &State| {
        let purposes = [RingPurpose::Tenant(number), RingPurpose::Audit(number)];
        purposes.into_iter().flat_map(|purpose| state.ring_keys_of(purpose)).count()
    };
    assert_eq!(of_tenant(&world.state), 2);
    let destroying = Operation::Delete(Delete {
        name: DirectoryName::Tenant(tenant("brief")),
        etag: None,
        destroy: true,
        number: None,
    });
    assert_eq!(destroying.feature_level(), 6);
    let applied = world.apply(by_root(destroying));
    assert_eq!(applied.answer, Ok(Answer::Done));
    assert_eq!(of_tenant(&world.state), 0);
    // Whose key is gone cannot be told of under it.
    assert_eq!(told(&applied), ["tenant.deleted"]);
    assert!(tells(&applied, "destroyed") && tells(&applied, &number.0.to_string()));
    // What is made again under the name has keys of its own.
    world.done(by_root(create_tenant("brief")));
    assert_eq!(of_tenant(&world.state), 0);
    world.state.check_invariants().unwrap();
}

#[test]
fn the_data_of_a_tenant_that_was_deleted_before_is_destroyed_by_its_number_whoever_has_its_name() {
    let mut world = World::furnished();
    world.done(by_root(create_tenant("brief")));
    world.done(by_root(create_identity("system/ann", &[grant(Duty::Admin, "system")])));
    let number = world.state.tenant(&tenant("brief")).unwrap().number;
    let destroying = |number, destroy| {
        let name = DirectoryName::Tenant(tenant("brief"));
        Operation::Delete(Delete { name, etag: None, destroy, number: Some(number) })
    };
    assert_eq!(destroying(number, false).feature_level(), 6);
    // One that is there is deleted, if it has this number.
    let other = TenantNumber(number.0 - 1);
    assert!(matches!(world.refused(by_root(destroying(other, true))), Refusal::NotFound { .. }));
    world.done(by_root(delete(DirectoryName::Tenant(tenant("brief")))));
    world.done(by_root(create_tenant("brief")));
    let heir = world.state.tenant(&tenant("brief")).unwrap().number;
    let of_tenant = |state: &State, number| {
        let purposes = [RingPurpose::Tenant(number), RingPurpose::Audit(number)];
        purposes.into_iter().flat_map(|purpose| state.ring_keys_of(purpose)).count()
    };
    assert_eq!((of_tenant(&world.state, number), of_tenant(&world.state, heir)), (2, 2));

    assert!(matches!(world.refused(by_root(destroying(number, false))), Refusal::NotFound { .. }), "it is deleted");
    assert!(matches!(world.refused(by_root(destroying(TenantNumber(900), true))), Refusal::NotFound { .. }));
    let admin = world.refused(by("system/ann", destroying(number, true)));
    assert!(matches!(admin, Refusal::PermissionDenied { duty: Duty::Root, .. }), "{admin:?}");

    let applied = world.apply(by_root(destroying(number, true)));
    assert_eq!((&applied.answer, told(&applied)), (&Ok(Answer::Done), vec!["tenant.data_destroyed".to_owned()]));
    assert!(tells(&applied, "destroyed") && tells(&applied, &number.0.to_string()));
    assert_eq!((of_tenant(&world.state, number), of_tenant(&world.state, heir)), (0, 2), "its heir is another");
    let again = world.apply(by_root(destroying(number, true)));
    assert_eq!((again.answer, again.entries.len()), (Ok(Answer::Done), 0), "a repeat changes nothing");
    world.state.check_invariants().unwrap();
}

#[test]
fn a_tenant_goes_when_it_holds_nothing_and_its_ring_keys_stay() {
    let mut world = World::furnished();
    let gone = |id: &str| by_root(delete(DirectoryName::Tenant(tenant(id))));
    assert!(matches!(world.refused(gone("system")), Refusal::Reserved { .. }));
    assert!(matches!(
        world.refused(by_root(delete(DirectoryName::Keyspace(KeyspaceName::management())))),
        Refusal::Reserved { .. }
    ));
    let mut holds = Vec::new();
    let mut names: Vec<_> = ["live", "test"].map(|id| DirectoryName::Keyspace(keyspace(&format!("acme/{id}")))).into();
    names.push(DirectoryName::Owner(owner("acme/shop")));
    names.extend(Duty::ALL.map(|duty| DirectoryName::Identity(identity(&format!("acme/{duty}")))));
    for name in names {
        let Refusal::NotEmpty { holds: kind, .. } = world.refused(gone("acme")) else { panic!() };
        holds.push(kind);
        world.done(by_root(delete(name)));
    }
    holds.dedup();
    assert_eq!(holds, [ResourceKind::Keyspace, ResourceKind::Owner, ResourceKind::Identity]);
    let tenant = world.state.tenant(&tenant("acme")).unwrap().clone();
    let again = as_request(gone("acme"), 1, 1);
    assert_eq!(told(&world.apply(again.clone())), ["tenant.deleted"]);
    assert!([tenant.tenant_key, tenant.audit_key].iter().all(|key: &RingNumber| world.state.ring_key(*key).is_some()));
    // A repeat gets the first answer, though the tenant is gone.
    assert!(world.apply(again).repeated);
}

#[test]
fn a_tenant_holds_no_more_than_its_own_quotas() {
    let mut world = World::furnished();
    let quotas = TenantQuotas {
        keyspaces_max: Some(2),
        owners_max: Some(1),
        roles_max: Some(0),
        identities_max: Some(0),
        writes_per_second_max: None,
    };
    // Below what is there already: it stops what adds, and nothing else.
    world.done(by_root(with_quotas(quotas)));
    let limits = [
        (create_keyspace("acme/new", settings("new")), Quota::KeyspacesOfTenant, 2),
        (create_owner("acme/new"), Quota::OwnersOfTenant, 1),
        (create_role("acme/new", &[]), Quota::RolesOfTenant, 0),
        (create_identity("acme/new", &[]), Quota::IdentitiesOfTenant, 0),
    ];
    for (operation, quota, limit) in limits.clone() {
        assert_eq!(world.refused(by_root(operation)), Refusal::QuotaExceeded { quota, limit });
    }
    // An admin of the tenant does not lift them.
    assert!(matches!(
        world.refused(by("acme/admin", with_quotas(TenantQuotas::default()))),
        Refusal::PermissionDenied { .. }
    ));
    world.done(by_root(with_quotas(TenantQuotas::default())));
    for (operation, ..) in limits {
        world.done(by_root(operation));
    }
}

#[test]
fn a_dead_key_leaves_at_the_end_of_its_retention_and_not_a_millisecond_before() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", (1..=4).map(new_key).collect())));
    let child = NewKey { parent: Some(key_id(1)), ..new_key(5) };
    world.done(by_root(create_keys("acme/live", vec![child])));
    world.done(by_root(Operation::RevokeKey(revoke("acme/live", 1))));
    let retention = 90 * DAY;
    let all: Vec<_> = (1..=5).map(|number| at(&world, number)).collect();
    pass(&mut world, retention - 1);
    assert!(world.state.dead_keys(None, world.state.clock(), 100).0.is_empty());
    assert!(world.apply(by_replica(Operation::RemoveDead(all.clone()))).entries.is_empty());
    pass(&mut world, 1);
    // The parent is dead, so is its child: both leave.
    let (mut dead, next) = world.state.dead_keys(None, world.state.clock(), 100);
    dead.sort_unstable();
    assert_eq!((dead, next), (vec![at(&world, 1), at(&world, 5)], None));
    let applied = world.apply(by_replica(Operation::RemoveDead(all)));
    assert_eq!((told(&applied), applied.answer), (vec!["key.removed".to_owned(); 2], Ok(Answer::Counted(2))));
    assert_eq!(world.state.keyspace(&keyspace("acme/live")).unwrap().keys, 3);
    // A walk over all goes in parts.
    let (_, next) = world.state.dead_keys(None, world.state.clock(), 1);
    assert!(next.is_some());
}

#[test]
fn a_child_whose_parent_has_left_is_dead() {
    let mut world = World::furnished();
    let parent = owned_key(1, "acme/shop");
    let child = NewKey { parent: Some(key_id(1)), ..new_key(2) };
    world.done(by_root(create_keys("acme/live", vec![parent])));
    world.done(by_root(create_keys("acme/live", vec![child])));
    world.done(by_root(Operation::RevokeKey(revoke("acme/live", 1))));
    world.done(by_root(delete(DirectoryName::Owner(owner("acme/shop")))));
    let key = world.state.key(&key_name("acme/live", 2)).unwrap();
    assert!(world.state.death_of(key, world.state.clock()).is_some());
    assert_eq!(world.state.dead_keys(None, later(START, 91 * DAY), 100).0, [at(&world, 2)]);
}

#[test]
fn a_version_that_is_dead_leaves_and_the_last_one_stays() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![new_key(1)])));
    let only = latchkey_state::RevokeKey { version: Some(crate::support::version_id(1)), ..revoke("acme/live", 1) };
    world.done(by_root(Operation::RevokeKey(only)));
    pass(&mut world, 100 * DAY);
    assert!(world.apply(by_replica(Operation::RemoveDead(vec![at(&world, 1)]))).entries.is_empty());
}

#[test]
fn refusals_are_told_with_whoever_was_refused_as_the_actor() {
    let mut world = World::furnished();
    let refusal = |path: &str, subject: &str| GatheredRefusal {
        identity: identity(path),
        method: "IssuanceService/CreateKey".into(),
        reason: "PERMISSION_DENIED".into(),
        subject: subject.into(),
        count: 3,
    };
    let service = || Actor::Service(slug("issuance"));
    let long = "é".repeat(300);
    let refusals =
        vec![refusal("acme/admin", "tenants/globex"), refusal("gone/gone", ""), refusal("acme/admin", &long)];
    let applied = world.apply(command(service(), Operation::RecordRefusals(refusals)));
    assert_eq!(told(&applied), ["access.refused"; 3]);
    assert!(applied.changes.keys().all(|id| matches!(id, latchkey_state::RowId::Progress)));
    let acme = world.state.tenant(&tenant("acme")).unwrap().number;
    assert_eq!(applied.entries.iter().map(|entry| entry.tenant).collect::<Vec<_>>(), [Some(acme), None, Some(acme)]);
    assert!(tells(&applied, "tenants/acme/identities/admin") && tells(&applied, "issuance"));
    assert!(tells(&applied, &"é".repeat(128)) && !tells(&applied, &"é".repeat(129)));
    let many = vec![refusal("acme/admin", ""); REFUSALS_PER_COMMAND_MAX + 1];
    assert!(matches!(
        world.refused(command(service(), Operation::RecordRefusals(many))),
        Refusal::QuotaExceeded { .. }
    ));
}

#[test]
fn an_explanation_is_told_to_the_tenant_of_the_key() {
    let mut world = World::furnished();
    let explanation = Explanation {
        key: Some(key_name("acme/live", 1)),
        keyspace: None,
        outcome: Outcome::Revoked,
        text: latchkey_domain::ReasonText::parse("a customer asked").unwrap(),
    };
    let applied = world.apply(by("acme/operator", Operation::RecordExplanation(explanation)));
    assert_eq!(told(&applied), ["validation.explained"]);
    assert!(tells(&applied, "a customer asked") && tells(&applied, "REVOKED"));
    assert_eq!(applied.entries[0].tenant, Some(world.state.tenant(&tenant("acme")).unwrap().number));
}

/// The furnished cluster whose tree has `size` entries, of which audit has the first `next` since `at`.
fn behind(size: u64, next: u64, at: UnixMillis) -> State {
    let mut state = World::furnished().state;
    let peaks = vec![Hash::new([1; 32]); size.count_ones() as usize];
    let frontier = Frontier::from_parts(size, peaks).unwrap();
    let trimmed = Some(Trimmed { next: Sequence(next), at });
    state.install(Row::Progress(Progress { frontier, trimmed, ..state.progress().clone() }));
    state
}

#[test]
fn what_can_wait_is_refused_at_nine_tenths_of_what_audit_may_lag() {
    let now = later(START, MINUTE);
    let refused = |mut state: State, operation: Operation, at: UnixMillis| {
        state.apply(Revision::new(1, 99), &stamped(by_root(operation), at)).answer.err()
    };
    let wait = || create_owner("acme/new");
    assert_eq!(refused(behind(900_099, 100, START), wait(), now), None);
    let entries = 900_000;
    assert_eq!(refused(behind(900_100, 100, START), wait(), now), Some(Refusal::AuditBehind { entries }));

    // One entry that waits for 54 minutes is as bad; none may wait as long as it likes.
    let end = later(START, 54 * MINUTE);
    assert_eq!(refused(behind(101, 100, START), wait(), later(START, 54 * MINUTE - 1)), None);
    assert_eq!(refused(behind(101, 100, START), wait(), end), Some(Refusal::AuditBehind { entries: 1 }));
    assert_eq!(refused(behind(100, 100, START), wait(), end), None);

    // What cannot wait passes: what ends something, what the leader asks, and audit itself.
    let cut = cut(CutScope::Tenant(TenantName::new(slug("acme"))));
    assert_eq!(refused(behind(2_000_000, 100, START), cut, now), None);
    let mut state = behind(2_000_000, 100, START);
    let by_others =
        [by_replica(readings(&[now; 3])), command(Actor::Service(slug("audit")), Operation::Trim(Sequence(1_999_999)))];
    for (index, command) in (99..).zip(by_others) {
        assert!(state.apply(Revision::new(1, index), &stamped(command, now)).answer.is_ok());
    }
    assert_eq!(state.progress().entries_waiting(), 0);
    assert_eq!(refused(state, wait(), now), None);
}

#[test]
fn an_entry_begins_to_wait_when_it_is_made_and_not_when_audit_last_said_so() {
    let mut world = World::furnished();
    let trim = |through| command(Actor::Service(slug("audit")), Operation::Trim(Sequence(through)));
    // Nobody has more than there is, and nothing takes back what was said.
    let size = world.state.progress().frontier.size();
    assert!(matches!(world.refused(trim(size)), Refusal::CheckpointConflict { .. }));
    let applied = world.apply(trim(size - 1));
    assert!(applied.entries.is_empty());
    assert_eq!(world.state.progress().trimmed.unwrap().next, Sequence(size));
    world.done(trim(3));
    assert_eq!(world.state.progress().trimmed.unwrap().next, Sequence(size));
    // Two idle hours later the first entry is new.
    pass(&mut world, 2 * HOUR);
    world.done(by_root(create_tenant("initech")));
    assert_eq!(world.state.progress().trimmed.unwrap().at, world.state.clock());
    world.done(by_root(create_owner("acme/new")));
    assert!(matches!(
        world.refused(command(Actor::Service(slug("issuance")), Operation::Trim(Sequence(1)))),
        Refusal::PermissionDenied { .. }
    ));
}
