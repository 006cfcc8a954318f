//! What a key may do: the conjunction of its own terms and roles, its restriction, and the same of its parent.

use crate::support::{START, World, by_root, create_keys, key_name, later, new_key, permissions, slug, text};
use latchkey_domain::{
    BuiltInRole, Method, MethodSet, Network, NetworkSet, PermissionPattern, PermissionRef, ReasonText, RoleNumber,
    RoleSet, Terms, UnixMillis,
};
use latchkey_state::{By, Details, Key, Keyspace, KeyspaceSettings, Rare, Restriction, Role, Row, State};
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::borrow::Cow;
use std::sync::Arc;

const KEY: &str = "acme/live";
const WRITER: RoleNumber = RoleNumber(16);
const READER: RoleNumber = RoleNumber(17);
const PATTERNS: [&str; 7] = ["*", "a:*", "a:b", "a:b:*", "a:b:c", "b", "b:*"];
const WORDS: [&str; 7] = ["a", "a:b", "a:c", "a:b:c", "a:b:c:d", "b", "b:x"];

/// One key of a random world.
#[derive(Clone, Debug)]
struct Given {
    own: Vec<&'static str>,
    roles: Vec<RoleNumber>,
    restriction: Option<Vec<&'static str>>,
}

/// A random world: what the keyspace allows, what two roles permit, a key and its parent.
#[derive(Clone, Debug)]
struct Setting {
    allowed: Vec<&'static str>,
    writer: Vec<&'static str>,
    reader: Vec<&'static str>,
    key: Given,
    parent: Option<Given>,
}

fn patterns() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(PATTERNS.to_vec(), 0..4)
}

fn given() -> impl Strategy<Value = Given> {
    let roles = subsequence(vec![RoleNumber(1), BuiltInRole::Admin.number(), WRITER, READER, RoleNumber(99)], 0..3);
    (patterns(), roles, prop::option::of(patterns())).prop_map(|(own, roles, restriction)| Given {
        own,
        roles,
        restriction,
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    (patterns(), patterns(), patterns(), given(), prop::option::of(given()))
        .prop_map(|(allowed, writer, reader, key, parent)| Setting { allowed, writer, reader, key, parent })
}

impl Setting {
    /// What is asked, word by word, of texts alone.
    fn permits(&self, word: &str) -> bool {
        let grants = |patterns: &[&str]| {
            patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(above) => word.starts_with(above),
                None => *pattern == word,
            })
        };
        let by_role = |role: &RoleNumber| match *role {
            WRITER => grants(&self.writer),
            READER => grants(&self.reader),
            number => number == BuiltInRole::Admin.number(),
        };
        let of_key = |key: &Given| {
            let by_roles = key.roles.iter().any(by_role) && (self.allowed.is_empty() || grants(&self.allowed));
            (grants(&key.own) || by_roles) && key.restriction.as_ref().is_none_or(|patterns| grants(patterns))
        };
        of_key(&self.key) && self.parent.as_ref().is_none_or(of_key)
    }

    fn state(&self) -> State {
        let mut state = made().clone();
        let settings = |keyspace: &Keyspace| KeyspaceSettings {
            allowed_permissions: permissions(&self.allowed),
            ..keyspace.settings.clone()
        };
        let keyspace = state.keyspace(&crate::support::keyspace(KEY)).unwrap();
        let keyspace = Keyspace { settings: settings(keyspace), ..(**keyspace).clone() };
        state.install(Row::Keyspace(Arc::new(keyspace)));
        for (number, patterns) in [(WRITER, &self.writer), (READER, &self.reader)] {
            state.install(Row::Role(role(&state, number, patterns, &[])));
        }
        put(&mut state, 1, &self.key, self.parent.as_ref().map(|_| 2));
        if let Some(parent) = &self.parent {
            put(&mut state, 2, parent, None);
        }
        state
    }
}

/// Two keys in one keyspace.
fn made() -> &'static State {
    static MADE: std::sync::OnceLock<State> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let mut world = World::furnished();
        world.done(by_root(create_keys(KEY, vec![new_key(1), new_key(2)])));
        world.state
    })
}

fn role(state: &State, number: RoleNumber, patterns: &[&str], methods: &[&str]) -> Arc<Role> {
    Arc::new(Role {
        number,
        tenant: state.tenant(&crate::support::tenant("acme")).unwrap().number,
        id: slug(if number == WRITER { "writer" } else { "reader" }),
        display_name: text("A role"),
        permissions: permissions(patterns),
        methods: MethodSet::from_values(methods.iter().map(|text| Method::parse(text).unwrap())).unwrap(),
        created_at: START,
        created: state.revision(),
        changed: None,
        cut: None,
    })
}

fn put(state: &mut State, number: u8, given: &Given, parent: Option<u8>) {
    let terms = Terms {
        permissions: permissions(&given.own),
        roles: RoleSet::from_values(given.roles.iter().copied()).unwrap(),
        ..Terms::default()
    };
    let restriction = given.restriction.as_ref().map(|patterns| Box::new(restriction(patterns, &[])));
    let parent = parent.map(|parent| key_name(KEY, parent).key);
    change(state, number, |key| {
        key.terms = Arc::new(terms);
        key.details = Rare::from(Details { restriction, parent, ..Details::default() });
    });
}

fn change(state: &mut State, number: u8, change: impl FnOnce(&mut Key)) {
    let mut key = (**state.key(&key_name(KEY, number)).unwrap()).clone();
    change(&mut key);
    state.install(Row::Key(Arc::new(key)));
}

fn restriction(patterns: &[&str], networks: &[&str]) -> Restriction {
    Restriction {
        permissions: Some(permissions(patterns)),
        networks: network_set(networks),
        ends_at: later(START, 10),
        at: START,
        text: ReasonText::default(),
    }
}

fn network_set(texts: &[&str]) -> NetworkSet {
    NetworkSet::from_values(texts.iter().map(|text| Network::parse(text).unwrap())).unwrap()
}

fn key_of(state: &State) -> &Arc<Key> {
    state.key(&key_name(KEY, 1)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_word_is_permitted_where_each_layer_permits_it(setting in setting()) {
        let state = setting.state();
        let layers = state.terms_of(key_of(&state), START);
        let effective = layers.effective_permissions();
        prop_assert!(effective.is_sorted());
        for word in WORDS {
            let read = PermissionRef::parse(word).unwrap();
            prop_assert_eq!(layers.permits(read), setting.permits(word), "{}", word);
            let shown = effective.iter().any(|pattern| pattern.grants(read));
            prop_assert_eq!(shown, setting.permits(word), "{} in {:?}", word, effective);
        }
    }

    #[test]
    fn a_key_covers_a_pattern_only_where_it_permits_all_its_words(setting in setting(), pattern in 0..PATTERNS.len()) {
        let alone = Setting { key: Given { restriction: None, ..setting.key.clone() }, parent: None, ..setting };
        let state = alone.state();
        let pattern = PermissionPattern::parse(PATTERNS[pattern]).unwrap();
        if state.terms_of(key_of(&state), START).key_covers(&pattern) {
            for word in WORDS.iter().filter(|word| pattern.grants(PermissionRef::parse(word).unwrap())) {
                prop_assert!(alone.permits(word), "{} of {}", word, pattern);
            }
        }
    }
}

#[test]
fn the_permissions_of_a_plain_key_are_shown_as_they_are() {
    let state = made();
    let key = key_of(state);
    let shown = state.terms_of(key, START).effective_permissions();
    assert!(matches!(shown, Cow::Borrowed(patterns) if patterns == key.terms.permissions.as_slice()));
}

#[test]
fn a_restriction_restricts_until_its_very_millisecond() {
    let mut state = made().clone();
    change(&mut state, 1, |key| {
        let restriction = Some(Box::new(restriction(&[], &["10.0.0.0/8"])));
        key.details.change(|details| details.restriction = restriction);
    });
    let read = PermissionRef::parse("orders:read").unwrap();
    for (now, permitted) in [(later(START, 9), false), (later(START, 10), true)] {
        let layers = state.terms_of(key_of(&state), now);
        assert_eq!((layers.permits(read), layers.networks().count() == 0), (permitted, permitted));
    }
}

#[test]
fn networks_and_resources_of_each_layer_count_and_empty_ones_do_not() {
    let mut state = made().clone();
    let with_networks = |text: &str| Arc::new(Terms { networks: network_set(&[text]), ..Terms::default() });
    let parent = Some(key_name(KEY, 2).key);
    change(&mut state, 1, |key| {
        key.terms = with_networks("10.1.0.0/16");
        key.details.change(|details| details.parent = parent);
    });
    change(&mut state, 2, |key| {
        key.terms = with_networks("10.0.0.0/8");
        let restriction = restriction(&[], &["10.1.2.0/24"]);
        key.details.change(|details| details.restriction = Some(Box::new(restriction)));
    });
    let networks = |now: UnixMillis| {
        let layers = state.terms_of(key_of(&state), now);
        layers.networks().map(|(by, networks)| (by, networks.as_slice()[0].to_string())).collect::<Vec<_>>()
    };
    let own = [(By::Key, "10.1.0.0/16".to_owned()), (By::Parent, "10.0.0.0/8".to_owned())];
    assert_eq!(networks(later(START, 10)), own);
    assert_eq!(networks(START), [&own[..], &[(By::Parent, "10.1.2.0/24".to_owned())]].concat());
    assert_eq!(state.terms_of(key_of(&state), START).resources().count(), 0);
}

#[test]
fn methods_are_those_of_any_role_and_a_role_without_any_lets_all_pass() {
    let mut state = made().clone();
    let (get, post) = (Method::parse("GET").unwrap(), Method::parse("POST").unwrap());
    for (roles, methods_of_writer, expected) in [
        (vec![], &[][..], (true, true)),
        (vec![BuiltInRole::ReadOnly.number()], &[], (true, false)),
        (vec![BuiltInRole::ReadOnly.number(), WRITER], &["POST"], (true, true)),
        (vec![WRITER], &["POST"], (false, true)),
        (vec![BuiltInRole::ReadOnly.number(), WRITER], &[], (true, true)),
        (vec![BuiltInRole::Admin.number(), BuiltInRole::ReadOnly.number()], &[], (true, true)),
    ] {
        state.install(Row::Role(role(&state, WRITER, &[], methods_of_writer)));
        put(&mut state, 1, &Given { own: vec![], roles: roles.clone(), restriction: None }, None);
        let allows = |method| state.terms_of(key_of(&state), START).methods().all(|(_, methods)| methods.has(method));
        assert_eq!((allows(&get), allows(&post)), expected, "{roles:?} {methods_of_writer:?}");
    }
}

#[test]
fn a_child_whose_parent_is_gone_may_do_nothing_and_is_dead() {
    let mut state = made().clone();
    let gone = Some(key_name(KEY, 99).key);
    change(&mut state, 1, |key| key.details.change(|details| details.parent = gone));
    let layers = state.terms_of(key_of(&state), START);
    assert!(!layers.permits(PermissionRef::parse("orders:read").unwrap()));
    assert!(layers.effective_permissions().is_empty());
    assert_eq!(state.key_worth(key_of(&state), START), latchkey_state::Worth::Revoked(By::Parent));
}
