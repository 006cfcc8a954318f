//! A management key names an identity, and nothing else does.

use crate::world::{MANAGEMENT, OTHER_BOUND, World, before, revocation, suspension, text};
use latchkey_decision::{NotIdentified, Stale, Undecided, authenticate};
use latchkey_domain::{DurationMillis, IdentityNumber, Network, NetworkSet};
use latchkey_state::{Holder, Key};
use std::net::IpAddr;
use std::sync::Arc;

fn refused(world: &World, key_text: &str, client: Option<IpAddr>) -> bool {
    match authenticate(key_text, client, world.ground(), world.age) {
        Ok(_) => false,
        Err(NotIdentified::Unknown) => true,
        Err(NotIdentified::Undecided(undecided)) => panic!("{undecided}"),
    }
}

#[test]
fn no_other_key_and_no_other_text_proves_an_identity() {
    let world = World::new();
    for key_text in [text("acme_live", 1), text("rival", 4), text("lkm", 77), text("acme_live", 9)] {
        assert!(refused(&world, key_text.expose(), None));
    }
    assert!(refused(&world, "", None) && refused(&world, "lkm_", None));
}

#[test]
fn a_management_key_that_would_not_be_valid_proves_nothing() {
    let client: IpAddr = "192.0.2.1".parse().unwrap();
    let changes: [fn(&mut Key); 5] = [
        |key| key.details.change(|details| details.revocation = revocation(before(0))),
        |key| key.details.change(|details| details.suspension = suspension()),
        |key| key.expires_at = Some(before(0)),
        |key| key.holder = Holder::Identity(IdentityNumber(99)),
        |key| {
            let networks = NetworkSet::from_values([Network::parse("10.0.0.0/8").unwrap()]).unwrap();
            Arc::make_mut(&mut key.terms).networks = networks;
        },
    ];
    for change in changes {
        let mut world = World::new();
        world.change_key(MANAGEMENT, 9, change);
        assert!(refused(&world, text("lkm", 9).expose(), Some(client)));
    }
}

#[test]
fn on_an_old_state_nobody_is_known_and_nobody_is_a_stranger() {
    let mut world = World::new();
    let (age, bound) = (DurationMillis::new(OTHER_BOUND.millis() + 1), OTHER_BOUND);
    world.age = age;
    for key_text in [text("lkm", 9), text("lkm", 77)] {
        let stale = NotIdentified::Undecided(Undecided::Stale(Stale { age, bound }));
        assert_eq!(authenticate(key_text.expose(), None, world.ground(), age).unwrap_err(), stale);
    }
}

#[test]
fn a_management_key_names_its_identity_with_its_grants() {
    let world = World::new();
    let key_text = text("lkm", 9);
    let identified = authenticate(key_text.expose(), None, world.ground(), world.age).unwrap();
    assert_eq!(identified.name().to_string(), "tenants/acme/identities/gateway");
    assert_eq!(identified.grants(), &identified.identity().grants[..]);
    assert!(identified.key_name().keyspace.is_management());
}
