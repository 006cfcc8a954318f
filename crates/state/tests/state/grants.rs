//! Who may ask for what: every operation by every duty in every scope, and the ways around it that someone will try.

use crate::support::{
    World, by, by_replica, by_root, create_identity, create_keys, create_keyspace, create_owner, create_tenant, cut,
    grant, identity, key_name, keyspace, management_key, new_key, owner, readings, revoke, ring_key, scope, settings,
    tenant,
};
use latchkey_domain::{
    Duty, Grant, KeyspaceName, Network, NetworkSet, Refusal, ResourceKind, RingNumber, Scope, Sequence,
};
use latchkey_state::{
    Actor, Command, CutScope, GatheredRefusal, KeyChanges, KeyspaceChanges, Operation, RevokeKey, RingPurpose,
    UpdateKey, UpdateKeyspace, may_give,
};

/// Where a grant may lie, from the widest to the most remote.
const SCOPES: [&str; 6] = ["", "acme", "acme/live", "acme/test", "globex", "system"];

/// An operation in `acme/live` or around it, with the duties that may ask for it and the scopes where they are enough.
struct Row {
    name: &'static str,
    operation: fn() -> Operation,
    duties: &'static [Duty],
    scopes: &'static [&'static str],
}

const TABLE: [Row; 12] = [
    Row {
        name: "make a tenant",
        operation: || create_tenant("initech"),
        duties: &[Duty::Root, Duty::Admin],
        scopes: &[""],
    },
    Row {
        name: "make a keyspace",
        operation: || create_keyspace("acme/new", settings("new")),
        duties: &[Duty::Root, Duty::Admin],
        scopes: &["", "acme"],
    },
    Row {
        name: "make an owner",
        operation: || create_owner("acme/new"),
        duties: &[Duty::Root, Duty::Admin],
        scopes: &["", "acme"],
    },
    Row {
        name: "make an identity",
        operation: || create_identity("acme/new", &[]),
        duties: &[Duty::Root, Duty::Admin],
        scopes: &["", "acme"],
    },
    Row {
        name: "make a key",
        operation: || create_keys("acme/live", vec![new_key(9)]),
        duties: &[Duty::Root, Duty::Issuer],
        scopes: &["", "acme", "acme/live"],
    },
    Row {
        name: "make a key for an identity without grants",
        operation: || create_keys("system/management", vec![management_key(9, "acme/plain")]),
        duties: &[Duty::Root, Duty::Issuer],
        scopes: &["", "acme"],
    },
    Row {
        name: "make no management keys at all",
        operation: || create_keys("system/management", Vec::new()),
        duties: &[Duty::Root, Duty::Issuer],
        scopes: &[""],
    },
    Row {
        name: "revoke a key",
        operation: || Operation::RevokeKey(revoke("acme/live", 1)),
        duties: &[Duty::Root, Duty::Issuer, Duty::Operator],
        scopes: &["", "acme", "acme/live"],
    },
    Row {
        name: "revoke the key of an identity",
        operation: || Operation::RevokeKey(revoke("system/management", 2)),
        duties: &[Duty::Root, Duty::Issuer, Duty::Operator],
        scopes: &["", "acme"],
    },
    Row {
        name: "cut a tenant",
        operation: || cut(CutScope::Tenant(tenant("acme"))),
        duties: &[Duty::Root, Duty::Issuer, Duty::Operator],
        scopes: &["", "acme"],
    },
    Row {
        name: "cut a keyspace",
        operation: || cut(CutScope::Keyspace(keyspace("acme/live"))),
        duties: &[Duty::Root, Duty::Issuer, Duty::Operator],
        scopes: &["", "acme", "acme/live"],
    },
    Row {
        name: "cut an owner",
        operation: || cut(CutScope::Owner(owner("acme/shop"))),
        duties: &[Duty::Root, Duty::Issuer, Duty::Operator],
        scopes: &["", "acme"],
    },
];

/// The furnished cluster with key 1 in `acme/live`, and management key 2 of `acme/plain`, who may do nothing.
fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_identity("acme/plain", &[])));
    world.done(by_root(create_keys("acme/live", vec![new_key(1)])));
    world.done(by_root(create_keys("system/management", vec![management_key(2, "acme/plain")])));
    world
}

#[test]
fn each_operation_takes_its_duty_in_its_scope() {
    for row in TABLE {
        for duty in Duty::ALL {
            for place in SCOPES {
                let mut world = world();
                world.done(by_root(create_identity("system/someone", &[grant(duty, place)])));
                let applied = world.apply(by("system/someone", (row.operation)()));
                let expected = row.duties.contains(&duty) && row.scopes.contains(&place);
                let Row { name, .. } = row;
                assert_eq!(applied.answer.is_ok(), expected, "{name} as {duty} of \"{place}\": {:?}", applied.answer);
                if !expected {
                    assert!(matches!(applied.answer, Err(Refusal::PermissionDenied { .. })), "{name}");
                }
            }
        }
    }
}

#[test]
fn what_the_leader_asks_for_nobody_else_may_and_the_other_way_round() {
    let mut world = world();
    for operation in [
        Operation::Bootstrap(Box::new(crate::support::bootstrap())),
        readings(&[crate::support::START]),
        Operation::AddRingKey(ring_key(RingPurpose::Replay)),
        Operation::DropRingKey(RingNumber(3)),
        Operation::RaiseFeatureLevel(1),
    ] {
        assert!(matches!(world.refused(by_root(operation)), Refusal::PermissionDenied { .. }));
    }
    let takes_away = |operation: &Operation| {
        matches!(operation, Operation::RevokeKey(_) | Operation::Cut(_) | Operation::SuspendKey(_))
    };
    for row in TABLE.iter().filter(|row| !takes_away(&(row.operation)())) {
        assert!(
            matches!(world.refused(by_replica((row.operation)())), Refusal::PermissionDenied { .. }),
            "{}",
            row.name
        );
    }
}

#[test]
fn what_a_service_asks_for_on_its_own_account_no_identity_may() {
    let mut world = world();
    let refusal = GatheredRefusal {
        identity: identity("acme/plain"),
        method: "IssuanceService/CreateKey".to_owned(),
        reason: "PERMISSION_DENIED".to_owned(),
        subject: String::new(),
        count: 1,
    };
    for operation in [Operation::Trim(Sequence(3)), Operation::RecordRefusals(vec![refusal])] {
        let refused = world.refused(by_root(operation.clone()));
        assert!(matches!(refused, Refusal::PermissionDenied { .. }), "{operation:?}");
        let refused = world.refused(by("acme/nobody", operation.clone()));
        assert!(matches!(refused, Refusal::PermissionDenied { .. }), "{operation:?}");
    }
}

#[test]
fn an_admin_of_the_system_tenant_does_not_change_the_keyspace_of_all_management_keys() {
    let mut world = world();
    world.done(by_root(create_identity("system/someone", &[grant(Duty::Admin, "system")])));
    let change = |changes| {
        let update = UpdateKeyspace { name: keyspace("system/management"), changes, etag: None };
        Operation::UpdateKeyspace(Box::new(update))
    };
    let networks = NetworkSet::from_values([Network::parse("192.0.2.1/32").unwrap()]).unwrap();
    let locks_out = || KeyspaceChanges { networks: Some(networks.clone()), ..KeyspaceChanges::default() };
    let refused = world.refused(by("system/someone", change(locks_out())));
    assert_eq!(refused, Refusal::PermissionDenied { duty: Duty::Admin, scope: Scope::System });
    let bounds = || KeyspaceChanges { keys_max: Some(3), ..KeyspaceChanges::default() };
    let refused = world.refused(by("system/someone", change(bounds())));
    assert_eq!(refused, Refusal::PermissionDenied { duty: Duty::Admin, scope: Scope::System });
    world.done(by_root(change(bounds())));
}

#[test]
fn what_only_newer_builds_know_needs_their_level_whatever_says_so() {
    let revoke = || Operation::RevokeKey(revoke("acme/live", 1));
    let of_key = Command::new(Actor::Key(key_name("acme/live", 1)), [0; 32], revoke());
    assert_eq!((by_root(revoke()).feature_level, of_key.feature_level), (1, 2));
    assert_eq!(Command { feature_level: 1, ..of_key }.feature_level_needed(), 2);
}

#[test]
fn an_identity_that_does_not_exist_may_do_nothing() {
    let mut world = world();
    for row in TABLE {
        let refusal = world.refused(by("acme/ghost", (row.operation)()));
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{}", row.name);
    }
}

#[test]
fn an_issuer_mints_no_key_for_someone_who_may_more() {
    let mut world = world();
    let keys = vec![management_key(9, "acme/root")];
    let exceeds = |duty, place| Refusal::GrantExceedsCaller { duty, scope: scope(place) };
    assert_eq!(world.refused(by("acme/issuer", create_keys("system/management", keys))), exceeds(Duty::Root, "acme"));
    let keys = vec![management_key(9, "acme/admin")];
    assert_eq!(world.refused(by("acme/issuer", create_keys("system/management", keys))), exceeds(Duty::Admin, "acme"));

    // One such key in a batch is enough to refuse the whole.
    let keys = vec![management_key(8, "acme/plain"), management_key(9, "acme/operator")];
    world.refused(by("acme/issuer", create_keys("system/management", keys)));
    world.done(by("acme/issuer", create_keys("system/management", vec![management_key(8, "acme/issuer")])));
}

#[test]
fn an_issuer_of_a_tenant_mints_no_key_for_the_first_identity() {
    let mut world = world();
    let keys = vec![management_key(9, "system/root")];
    let refusal = world.refused(by("acme/issuer", create_keys("system/management", keys.clone())));
    assert_eq!(refusal, Refusal::PermissionDenied { duty: Duty::Issuer, scope: scope("system") });

    // Nor does an issuer of the whole cluster.
    world.done(by_root(create_identity("system/ivan", &[grant(Duty::Issuer, "")])));
    let refusal = world.refused(by("system/ivan", create_keys("system/management", keys)));
    assert_eq!(refusal, Refusal::GrantExceedsCaller { duty: Duty::Root, scope: Scope::System });
}

#[test]
fn a_grant_on_what_nobody_has_yet_is_refused() {
    // It would have come into force for whoever made a tenant of that name later.
    let mut world = world();
    for (place, kind) in [("initech", ResourceKind::Tenant), ("acme/later", ResourceKind::Keyspace)] {
        let refusal = world.refused(by_root(create_identity("system/early", &[grant(Duty::Admin, place)])));
        assert_eq!(refusal, Refusal::NotFound { kind, name: scope(place).to_string() });
    }
}

#[test]
fn an_admin_gives_any_duty_but_root_and_only_where_he_is_admin() {
    let admin = [grant(Duty::Admin, "acme")];
    for duty in Duty::ALL {
        for place in SCOPES {
            let inside = ["acme", "acme/live", "acme/test"].contains(&place);
            assert_eq!(may_give(&admin, &grant(duty, place)), inside && duty != Duty::Root, "{duty} of \"{place}\"");
        }
    }
    let mut world = world();
    let refusal = world.refused(by("acme/admin", create_identity("acme/new", &[grant(Duty::Root, "acme")])));
    assert_eq!(refusal, Refusal::GrantExceedsCaller { duty: Duty::Root, scope: scope("acme") });
    for place in ["", "globex", "globex/live", "system", "system/management"] {
        let grants = [grant(Duty::Auditor, "acme"), grant(Duty::Auditor, place)];
        let refusal = world.refused(by("acme/admin", create_identity("acme/new", &grants)));
        assert_eq!(refusal, Refusal::GrantExceedsCaller { duty: Duty::Auditor, scope: scope(place) });
    }
}

#[test]
fn whoever_holds_a_duty_may_give_it_where_he_holds_it() {
    for held in Duty::ALL {
        for given in Duty::ALL {
            let holder = [Grant { duty: held, scope: scope("acme/live") }];
            let expected = held == given || held == Duty::Root || (held == Duty::Admin && given != Duty::Root);
            assert_eq!(may_give(&holder, &grant(given, "acme/live")), expected, "{held} gives {given}");
            assert!(!may_give(&holder, &grant(given, "acme")), "{held} gives {given} outwards");
        }
    }
}

#[test]
fn an_admin_of_a_tenant_reaches_nothing_outside() {
    let mut world = world();
    for operation in [
        create_tenant("initech"),
        create_keyspace("globex/new", settings("new")),
        create_keyspace("system/new", settings("new")),
        create_owner("globex/new"),
        create_identity("globex/new", &[]),
        create_identity("system/new", &[]),
    ] {
        assert!(matches!(world.refused(by("acme/admin", operation)), Refusal::PermissionDenied { .. }));
    }
}

#[test]
fn a_stranger_learns_nothing_of_a_management_key_from_the_refusal() {
    let mut world = world();
    let of_acme = Operation::RevokeKey(revoke("system/management", 2));
    let of_nobody =
        Operation::RevokeKey(RevokeKey { key: key_name("system/management", 77), ..revoke("acme/live", 1) });
    let refusals = [of_acme, of_nobody].map(|operation| world.refused(by("globex/operator", operation)));
    assert_eq!(refusals[0], refusals[1]);
}

#[test]
fn an_identity_does_not_lift_the_bounds_of_its_own_management_key() {
    let mut world = world();
    world.done(by_root(create_keys("system/management", vec![management_key(9, "acme/plain")])));
    let changes = KeyChanges { networks: Some(NetworkSet::default()), ..KeyChanges::default() };
    let lift = UpdateKey { key: key_name("system/management", 9), changes, etag: None };
    let lift = Operation::UpdateKey(Box::new(lift));
    let refusal = world.refused(by("acme/plain", lift.clone()));
    assert!(matches!(refusal, Refusal::PermissionDenied { duty: Duty::Issuer, .. }), "{refusal:?}");
    world.done(by_root(lift));
}

#[test]
fn nobody_makes_what_is_latchkeys_own() {
    let mut world = world();
    for operation in [create_tenant("system"), create_keyspace("system/new", settings("new"))] {
        assert!(matches!(world.refused(by_root(operation)), Refusal::Reserved { .. }));
    }
    assert!(world.state.keyspace(&KeyspaceName::management()).is_some());
}

#[test]
fn keys_belong_to_owners_of_their_tenant_and_management_keys_to_identities() {
    let mut world = world();
    let not_allowed = |world: &mut World, path: &str, key| {
        let refusal = world.refused(by_root(create_keys(path, vec![key])));
        assert!(matches!(refusal, Refusal::OwnerNotAllowed { .. }), "{refusal:?}");
    };
    not_allowed(&mut world, "acme/live", crate::support::owned_key(9, "globex/shop"));
    not_allowed(&mut world, "acme/live", management_key(9, "acme/plain"));
    not_allowed(&mut world, "system/management", crate::support::owned_key(9, "system/shop"));
    not_allowed(&mut world, "system/management", new_key(9));
}
