//! Listings: the pages of any order and filter add up to what filtering and sorting all keys gives, and a write between
//! two pages neither repeats nor hides a key that it did not change.

use crate::support::{
    START, World, by_replica, by_root, create_keys, create_role, key_id, key_name, later, new_key, owner, readings,
    revoke, slug,
};
use latchkey_domain::{BuiltInRole, KeyId, KeyspaceNumber, UnixMillis};
use latchkey_policy::Filter;
use latchkey_state::listing::{KeyFilter, KeyOrder, Position};
use latchkey_state::{Expiry, HolderName, Key, KeyChanges, NewKey, Operation, State, SuspendKey, UpdateKey, Worth};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

const ORDERS: [&str; 8] = [
    "",
    "name desc",
    "create_time",
    "create_time desc",
    "update_time",
    "update_time desc",
    "expire_time",
    "expire_time desc",
];

const FILTERS: [&str; 14] = [
    "",
    "owner = \"tenants/acme/owners/shop\"",
    "owner != \"tenants/acme/owners/shop\"",
    "owner = \"tenants/acme/owners/nobody\"",
    "role = \"tenants/acme/roles/clerk\"",
    "role = \"tenants/acme/roles/read-only\" AND owner = \"tenants/acme/owners/shop\"",
    "parent_key = \"tenants/acme/keyspaces/live/keys/PARENT\"",
    "state = ACTIVE",
    "state != REVOKED AND display_name = \"Check*\"",
    "state = SUSPENDED",
    "create_time >= \"2027-01-15T08:00:30Z\"",
    "expire_time < \"2030-01-01T00:00:00Z\"",
    "age < 45s",
    "unchanged >= 30s",
];

/// The number of the key that children have.
const PARENT: u8 = 50;

/// What a step does to the keyspace.
#[derive(Clone, Copy, Debug)]
enum Step {
    Make { number: u8, owned: bool, role: Option<&'static str>, child: bool, life: Option<u64> },
    Rename(u8),
    Suspend(u8),
    Revoke(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 1..40_u8;
    let role = prop::option::weighted(0.4, select(vec!["clerk", "read-only"]));
    let life = prop::option::weighted(0.5, 1..90_u64);
    prop_oneof![
        6 => (number.clone(), any::<bool>(), role, prop::bool::weighted(0.3), life)
            .prop_map(|(number, owned, role, child, life)| Step::Make { number, owned, role, child, life }),
        2 => number.clone().prop_map(Step::Rename),
        1 => number.clone().prop_map(Step::Suspend),
        1 => number.prop_map(Step::Revoke),
        2 => (1..20_u64).prop_map(Step::Wait),
    ]
}

/// Carries a step out; one that makes no sense here is refused, and that is fine.
fn take(world: &mut World, step: Step) {
    let seconds = |count: u64| latchkey_domain::DurationMillis::from_secs(count);
    let operation = match step {
        Step::Make { number, owned, role, child, life } => {
            let holder = if owned { HolderName::Owner(owner("acme/shop")) } else { HolderName::None };
            let key = NewKey {
                holder,
                roles: role.map(slug).into_iter().collect(),
                parent: child.then(|| key_id(PARENT)),
                expiry: life.map_or(Expiry::Default, |life| Expiry::After(seconds(life))),
                ..new_key(number)
            };
            create_keys("acme/live", vec![key])
        }
        Step::Rename(number) => Operation::UpdateKey(Box::new(UpdateKey {
            key: key_name("acme/live", number),
            changes: KeyChanges { display_name: Some(crate::support::text("Billing")), ..KeyChanges::default() },
            etag: None,
        })),
        Step::Suspend(number) => Operation::SuspendKey(SuspendKey {
            key: key_name("acme/live", number),
            text: Default::default(),
            etag: None,
        }),
        Step::Revoke(number) => Operation::RevokeKey(revoke("acme/live", number)),
        Step::Wait(count) => {
            let time = later(world.state.clock(), count * 1_000);
            world.apply(by_replica(readings(&[time; 3])));
            return;
        }
    };
    world.apply(by_root(operation));
}

fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_role("acme/clerk", &["orders:read"])));
    let mut parent = new_key(PARENT);
    parent.roles = vec![slug("clerk"), slug("read-only")];
    world.done(by_root(create_keys("acme/live", vec![parent])));
    world
}

fn live(state: &State) -> KeyspaceNumber {
    state.keyspace(&crate::support::keyspace("acme/live")).unwrap().number
}

fn filter(text: &str) -> Filter {
    Filter::parse(&text.replace("PARENT", &key_id(PARENT).to_string()), KeyFilter::FIELDS).unwrap()
}

/// All pages, in which between two pages `between` happens.
fn pages(
    world: &mut World,
    filter: &Filter,
    order: KeyOrder,
    (limit, scan): (usize, usize),
    now: Option<UnixMillis>,
    mut between: impl FnMut(&mut World),
) -> Vec<KeyId> {
    let mut after: Option<Position> = None;
    let mut found = Vec::new();
    loop {
        let state = &world.state;
        let now = now.unwrap_or(state.clock());
        let filter = KeyFilter::from_filter(state, filter);
        let page = state.list_keys(live(state), &filter, order, after, now, limit, scan);
        assert!(page.keys.len() <= limit);
        found.extend(page.keys.iter().map(|key| key.id));
        let Some(next) = page.next else { return found };
        assert_ne!(Some(next), after, "a page got nowhere");
        after = Position::decode(&next.encode());
        assert_eq!(after, Some(next));
        between(world);
    }
}

/// The same by the book: every key looked at, then sorted.
fn naive(state: &State, filter: &Filter, order: &str, now: UnixMillis) -> Vec<KeyId> {
    let mut keys: Vec<_> = state.keys_of(live(state), None).filter(|key| shows(state, filter, key, now)).collect();
    let (by, descending) = order.strip_suffix(" desc").map_or((order, false), |by| (by, true));
    let place = |key: &Arc<Key>| {
        let time = match by {
            "create_time" => Some(key.created_at),
            "update_time" => Some(key.changed().at),
            "expire_time" => key.expires_at,
            _ => None,
        };
        (time.map_or(0, UnixMillis::millis), key.id)
    };
    keys.sort_by_key(|key| place(key));
    if descending {
        keys.reverse();
    }
    if by == "expire_time" {
        keys.sort_by_key(|key| key.expires_at.is_none());
    }
    keys.into_iter().map(|key| key.id).collect()
}

fn shows(state: &State, filter: &Filter, key: &Key, now: UnixMillis) -> bool {
    filter.comparisons().iter().all(|comparison| match comparison.field {
        "owner" => {
            let shop = state.owner(&owner("acme/shop")).unwrap().number;
            let name = match key.holder {
                latchkey_state::Holder::Owner(number) if number == shop => "tenants/acme/owners/shop",
                _ => "",
            };
            comparison.holds_for_text(name)
        }
        "role" => {
            let roles = key.terms.roles.iter().map(|number| match BuiltInRole::by_number(*number) {
                Some(role) => role.as_str().to_owned(),
                None => state.roles().by_number(*number).unwrap().id.to_string(),
            });
            let mut roles = roles.map(|id| format!("tenants/acme/roles/{id}"));
            roles.any(|role| comparison.holds_for_text(&role))
        }
        "parent_key" => {
            key.parent().is_some_and(|id| comparison.holds_for_text(&format!("tenants/acme/keyspaces/live/keys/{id}")))
        }
        "state" => comparison.holds_for_text(match state.key_worth(key, now) {
            Worth::Accepted | Worth::NotYetValid(_) => "ACTIVE",
            Worth::Suspended(_) => "SUSPENDED",
            Worth::Revoked(_) => "REVOKED",
            Worth::Expired(_) => "EXPIRED",
        }),
        "display_name" => comparison.holds_for_text(key.display_name.as_str()),
        "create_time" => comparison.holds_for_time(key.created_at),
        "update_time" => comparison.holds_for_time(key.changed().at),
        "expire_time" => key.expires_at.is_some_and(|end| comparison.holds_for_time(end)),
        "age" => comparison.holds_for_span(now.since(key.created_at)),
        "unchanged" => comparison.holds_for_span(now.since(key.changed().at)),
        other => panic!("no field {other}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pages_add_up_to_what_filtering_and_sorting_all_keys_gives(
        steps in prop::collection::vec(step(), 1..30),
        sizes in (1..7_usize, select(vec![1, 2, 5, 1_000])),
    ) {
        let mut world = world();
        steps.into_iter().for_each(|step| take(&mut world, step));
        let now = world.state.clock();
        for order in ORDERS {
            for text in FILTERS {
                let filter = filter(text);
                let expected = naive(&world.state, &filter, order, now);
                let found = pages(&mut world, &filter, KeyOrder::parse(order).unwrap(), sizes, None, |_| ());
                prop_assert_eq!(&found, &expected, "{:?} by {:?}", text, order);
            }
            let all = KeyFilter::default();
            let selected = world.state.select_keys(live(&world.state), &all, now, None, usize::MAX);
            prop_assert_eq!(selected, naive(&world.state, &Filter::default(), "", now));
        }
    }

    #[test]
    fn a_key_that_did_not_change_is_neither_repeated_nor_hidden_by_writes_between_pages(
        first in prop::collection::vec(step(), 1..25),
        later in prop::collection::vec(step(), 1..25),
        sizes in (1..5_usize, select(vec![1, 3, 1_000])),
        order in select(ORDERS.to_vec()),
        text in select(vec!["", "owner = \"tenants/acme/owners/shop\"", "role = \"tenants/acme/roles/clerk\""]),
    ) {
        let mut world = world();
        first.into_iter().for_each(|step| take(&mut world, step));
        let (before, filter) = (world.state.clone(), filter(text));
        let mut writes = later.into_iter();
        let order_of = KeyOrder::parse(order).unwrap();
        let found = pages(&mut world, &filter, order_of, sizes, None, |world| {
            writes.next().into_iter().for_each(|step| take(world, step));
        });
        let same = |id: &KeyId| {
            let keyspace = live(&before);
            before.key_at(keyspace, *id).is_some_and(|key| world.state.key_at(keyspace, *id) == Some(key))
        };
        let expected: Vec<_> =
            naive(&before, &filter, order, before.clock()).into_iter().filter(|id| same(id)).collect();
        let found: Vec<_> = found.into_iter().filter(|id| same(id)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_filter_that_matches_nothing_looks_at_no_more_than_its_bound() {
    let mut world = world();
    world.done(by_root(create_keys("acme/live", (1..40).map(new_key).collect())));
    let state = &world.state;
    let none = KeyFilter::parse(state, "display_name = nobody").unwrap();
    for order in ORDERS {
        let order = KeyOrder::parse(order).unwrap();
        let page = state.list_keys(live(state), &none, order, None, START, 10, 30);
        assert!(page.keys.is_empty() && page.next.is_some());
    }
    // Of an owner's keys an index knows all.
    let owned = KeyFilter::parse(state, "owner = \"tenants/acme/owners/shop\"").unwrap();
    assert_eq!(state.list_keys(live(state), &owned, KeyOrder::NAME, None, START, 10, 30).next, None);
}

#[test]
fn an_order_is_one_of_four_with_its_reverse() {
    assert!(ORDERS.iter().chain(&["name"]).all(|order| KeyOrder::parse(order).is_some()));
    for wrong in [" desc", "id", "name asc", "name  desc", "Name", "create_time desc desc"] {
        assert_eq!(KeyOrder::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn the_built_in_roles_lie_among_the_others_by_id() {
    let mut world = World::furnished();
    for id in ["acme/aa", "acme/night", "acme/zz"] {
        world.done(by_root(create_role(id, &[])));
    }
    let tenant = world.state.tenant(&crate::support::tenant("acme")).unwrap().number;
    let ids = |after: Option<&str>| -> Vec<String> {
        let after = after.map(slug);
        world.state.list_roles(tenant, after.as_ref()).map(|role| role.id().to_owned()).collect()
    };
    assert_eq!(ids(None), ["aa", "admin", "night", "read-only", "standard", "zz"]);
    assert_eq!(ids(Some("admin")), ["night", "read-only", "standard", "zz"]);
    assert_eq!(ids(Some("b")), ["night", "read-only", "standard", "zz"]);
    assert_eq!(ids(Some("zz")), Vec::<String>::new());
}
