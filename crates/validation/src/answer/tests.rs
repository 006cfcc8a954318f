use super::*;
use latchkey_crypto::{KeyText, Pepper, Secret, compose, parse};
use latchkey_decision::{Access, Ground, Peppers, Question, Undecided, decide, explain};
use latchkey_domain::{
    BoundedSet, ClusterId, Duty, Grant, KeyId, KeyspaceName, KeyspaceNumber, Metadata, Method, Network, NodeId,
    Outcome, PermissionPattern, Prefix, ReasonText, ResourcePattern, Revision, RevocationReason, RoleNumber,
    RotationState, Scope, TenantNumber, UnixMillis, VersionId,
};
use latchkey_minting::{Founding, FoundingWrapped};
use latchkey_state::{
    Actor, Change, Command, Key, Operation, Restriction, Revocation, Role, Rotation, Row, ScopeCut, Suspension,
    bootstrap_ring,
};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::request::{ValidateKey, read_validate_key};
use latchkey_wire::verdict::write_explanation;
use prost::Message as _;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const AGE: DurationMillis = DurationMillis::new(120);
const MANAGEMENT: &str = "tenants/system/keyspaces/management";
const SIBLING: &str = "tenants/system/keyspaces/sibling";
const OTHER: &str = "tenants/other/keyspaces/live";
const ROLE: RoleNumber = RoleNumber(16);

/// When a field of the answer is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Always,
    Names,
    Content,
}

/// The columns of the table outcome x field. A field that is not here has no test, and fails one.
const COLUMNS: [(&str, Column); 12] = [
    ("outcome", Column::Always),
    ("key", Column::Names),
    ("version", Column::Names),
    ("keyspace", Column::Names),
    ("owner", Column::Content),
    ("permissions", Column::Content),
    ("roles", Column::Content),
    ("metadata", Column::Content),
    ("expire_time", Column::Content),
    ("rotation", Column::Content),
    ("checked_at", Column::Always),
    ("decision_basis", Column::Always),
];

/// A cluster just made, whose first key says all that a key can say. Beside its keyspace there is a sibling, and a keyspace
/// of another tenant; both are empty.
struct World {
    state: State,
    peppers: Peppers,
    text: KeyText,
}

fn one<T: Ord, const MAX: usize>(value: T) -> BoundedSet<T, MAX> {
    BoundedSet::from_values([value]).unwrap()
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn after(millis: u64) -> UnixMillis {
    NOW.plus(DurationMillis::new(millis))
}

fn revocation() -> Option<Box<Revocation>> {
    let (reason, text) = (RevocationReason::Compromised, ReasonText::default());
    Some(Box::new(Revocation { effective_at: NOW, asked_at: NOW, reason, text }))
}

fn suspension() -> Option<Box<Suspension>> {
    Some(Box::new(Suspension { at: NOW, text: ReasonText::default() }))
}

fn cut() -> Option<Box<ScopeCut>> {
    let (reason, text) = (RevocationReason::OwnerLeft, ReasonText::default());
    Some(Box::new(ScopeCut { revision: Revision::new(1, 1), at: NOW, reason, text, marked: false }))
}

impl World {
    fn new() -> Self {
        let founding = Founding::draw(&mut OsEntropy, ClusterId([7; 16]));
        let pepper = Arc::new(Pepper::new(founding.pepper.key().expose()));
        let wrapped = || Box::from([0; 60].as_slice());
        let wrapped = FoundingWrapped { log: wrapped(), pepper: wrapped(), replay: wrapped(), tenant: wrapped() };
        let bound = DurationMillis::from_secs(5);
        let (bootstrap, text) = founding.into_bootstrap(wrapped, bound, bound, &mut OsEntropy);
        let operation = Operation::Bootstrap(Box::new(bootstrap));
        let command = Command { at: NOW, ..Command::new(Actor::Replica(NodeId(1)), [0; 32], operation) };
        let mut state = State::default();
        assert!(state.apply(Revision::new(1, 1), &command).answer.is_ok());
        let mut world = Self { state, peppers: Peppers::from([(bootstrap_ring::PEPPER, pepper)]), text };
        world.install_neighbours();
        world.install_role_and_rotation();
        world.change(|key| {
            let terms = Arc::make_mut(&mut key.terms);
            terms.permissions = one(PermissionPattern::parse("orders:*").unwrap());
            terms.roles = one(ROLE);
            let metadata = Metadata::from_pairs([("team", "checkout")]).unwrap();
            key.details.change(|details| {
                details.metadata = metadata;
                details.rotation = Some(RotationId::LOWEST);
            });
            key.versions[0].details.change(|details| details.retires_at = Some(after(1)));
            key.expires_at = Some(after(1));
        });
        world
    }

    fn install_neighbours(&mut self) {
        let management = (**self.state.keyspace(&KeyspaceName::management()).unwrap()).clone();
        let mut tenant = (**self.state.tenants().by_number(management.tenant).unwrap()).clone();
        (tenant.number, tenant.id) = (TenantNumber(2), slug("other"));
        self.state.install(Row::Tenant(Arc::new(tenant)));
        for (number, name, prefix) in [(2, SIBLING, "sibling"), (3, OTHER, "other")] {
            let name = KeyspaceName::parse(name).unwrap();
            let mut keyspace = management.clone();
            (keyspace.number, keyspace.id) = (KeyspaceNumber(number), name.keyspace);
            keyspace.tenant = if number == 2 { management.tenant } else { TenantNumber(2) };
            keyspace.settings.prefix = Prefix::parse(prefix).unwrap();
            self.state.install(Row::Keyspace(Arc::new(keyspace)));
        }
    }

    fn install_role_and_rotation(&mut self) {
        let key = self.key();
        let role = Role {
            number: ROLE,
            tenant: TenantNumber(1),
            id: slug("reader"),
            display_name: Default::default(),
            permissions: one(PermissionPattern::parse("reports:read").unwrap()),
            methods: Default::default(),
            created_at: NOW,
            created: Revision::new(1, 1),
            changed: None,
            cut: None,
        };
        let rotation = Rotation {
            id: RotationId::LOWEST,
            keyspace: key.keyspace,
            key: key.id,
            state: RotationState::Overlap,
            old: Some(key.versions[0].id),
            new: Some(VersionId::LOWEST),
            overlap: Some(DurationMillis::new(1)),
            overlap_ends_at: Some(after(1)),
            created_at: NOW,
            changed: Change { revision: Revision::new(1, 1), at: NOW },
            ended_at: None,
            text: ReasonText::default(),
            course: None,
        };
        self.state.install(Row::Role(Arc::new(role)));
        self.state.install(Row::Rotation(Arc::new(rotation)));
    }

    fn key(&self) -> Key {
        (**self.state.version(parse(self.text.expose()).unwrap().version).unwrap().key).clone()
    }

    fn change(&mut self, change: impl FnOnce(&mut Key)) {
        let mut key = self.key();
        change(&mut key);
        self.state.install(Row::Key(Arc::new(key)));
    }

    /// Makes the key the child of one that is as it was, but for a change.
    fn change_parent(&mut self, change: impl FnOnce(&mut Key)) {
        let mut parent = self.key();
        (parent.id, parent.versions[0].id) = (KeyId::LOWEST, VersionId::LOWEST);
        change(&mut parent);
        self.state.install(Row::Key(Arc::new(parent)));
        self.change(|key| key.details.change(|details| details.parent = Some(KeyId::LOWEST)));
    }

    fn change_role(&mut self, change: impl FnOnce(&mut Role)) {
        let mut role = (**self.state.roles().by_number(ROLE).unwrap()).clone();
        change(&mut role);
        self.state.install(Row::Role(Arc::new(role)));
    }

    /// As a validator of `scope` is answered.
    fn answer_within(&self, scope: &str, request: &v1::ValidateKeyRequest) -> v1::ValidateKeyResponse {
        let asked: ValidateKey<'_> = read_validate_key(request).unwrap();
        let grants = [Grant { duty: Duty::Validator, scope: Scope::parse(scope).unwrap() }];
        let question = Question::new(&grants, asked.keyspace.as_ref());
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        let decided = decide(asked.key_text, self.ground(), question, access, || Ok::<_, Undecided>(AGE));
        let verdict = decided.unwrap().verdict(AGE).unwrap();
        let basis = Basis { state: &self.state, age: AGE };
        let answer = basis.answer(verdict);
        assert_eq!(Encoder::bytes_of(basis, verdict), answer.encode_to_vec(), "encoded as it is written");
        answer
    }

    /// As an operator of `scope` has it explained.
    fn explain_within(&self, scope: &str, request: &v1::ValidateKeyRequest) -> v1::ExplainValidationResponse {
        let asked: ValidateKey<'_> = read_validate_key(request).unwrap();
        let grants = [Grant { duty: Duty::Operator, scope: Scope::parse(scope).unwrap() }];
        let question = Question::explaining(&grants, asked.keyspace.as_ref());
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        let explained = explain(asked.key_text, self.ground(), question, access, || Ok::<_, Undecided>(AGE));
        let explanation = explained.unwrap().explanation(AGE).unwrap();
        write_explanation(&latchkey_wire::resource::View::new(&self.state, NOW), &explanation, AGE)
    }

    fn answer(&self, request: &v1::ValidateKeyRequest) -> v1::ValidateKeyResponse {
        self.answer_within("", request)
    }

    fn ground(&self) -> Ground<'_> {
        Ground { state: &self.state, peppers: &self.peppers, now: NOW, denials: None }
    }

    fn request(&self) -> v1::ValidateKeyRequest {
        v1::ValidateKeyRequest { key_text: self.text.expose().to_owned(), ..Default::default() }
    }
}

/// What is so with the key, the outcome that its own validator gets, and how it came to be.
type Standing = (&'static str, Outcome, fn(&mut World));

/// What can be so with a key, and what its own validator is then answered.
fn standings() -> Vec<Standing> {
    vec![
        ("as it is", Outcome::Valid, |_| ()),
        ("restricted to what is not asked for", Outcome::Valid, |world| {
            let restriction = Restriction {
                permissions: Some(one(PermissionPattern::parse("nothing").unwrap())),
                networks: Default::default(),
                ends_at: after(1),
                at: NOW,
                text: ReasonText::default(),
            };
            world.change(|key| key.details.change(|details| details.restriction = Some(Box::new(restriction))));
        }),
        ("a child", Outcome::Valid, |world| world.change_parent(|_| ())),
        ("a version revoked", Outcome::Revoked, |world| {
            world.change(|key| key.versions[0].details.change(|details| details.revocation = revocation()));
        }),
        ("revoked", Outcome::Revoked, |world| {
            world.change(|key| key.details.change(|details| details.revocation = revocation()));
        }),
        ("cut with its role", Outcome::Revoked, |world| world.change_role(|role| role.cut = cut())),
        ("a child of a revoked key", Outcome::Revoked, |world| {
            world.change_parent(|key| key.details.change(|details| details.revocation = revocation()));
        }),
        ("suspended", Outcome::Suspended, |world| {
            world.change(|key| key.details.change(|details| details.suspension = suspension()));
        }),
        ("a child of a suspended key", Outcome::Suspended, |world| {
            world.change_parent(|key| key.details.change(|details| details.suspension = suspension()));
        }),
        ("not yet valid", Outcome::NotYetValid, |world| {
            world.change(|key| key.details.change(|details| details.not_before = Some(after(1))));
        }),
        ("a standby", Outcome::NotYetValid, |world| {
            world.change(|key| key.versions[0].details.change(|details| details.pending = true));
        }),
        ("expired", Outcome::Expired, |world| world.change(|key| key.expires_at = Some(NOW))),
        ("retired", Outcome::Expired, |world| {
            world.change(|key| key.versions[0].details.change(|details| details.retires_at = Some(NOW)));
        }),
        ("bound to networks", Outcome::NetworkNotAllowed, |world| {
            world.change(|key| Arc::make_mut(&mut key.terms).networks = one(Network::parse("10.0.0.0/8").unwrap()));
        }),
        ("bound to methods", Outcome::MethodNotAllowed, |world| {
            world.change(|key| Arc::make_mut(&mut key.terms).methods = one(Method::parse("GET").unwrap()));
        }),
        ("bound to the methods of its role", Outcome::MethodNotAllowed, |world| {
            world.change_role(|role| role.methods = one(Method::parse("GET").unwrap()));
        }),
        ("bound to resources", Outcome::ResourceNotAllowed, |world| {
            world.change(|key| Arc::make_mut(&mut key.terms).resources = one(ResourcePattern::parse("/a").unwrap()));
        }),
    ]
}

/// A text of no key.
fn stranger() -> String {
    let secret = Secret::from_chars(&[b'0'; 32]).unwrap();
    compose(&Prefix::parse("lkm").unwrap(), VersionId::from_random([1; 12]), &secret).expose().to_owned()
}

/// At least one answer for each outcome that this release gives.
fn answers() -> Vec<(Outcome, v1::ValidateKeyResponse)> {
    let asked = |change: fn(&mut v1::ValidateKeyRequest)| {
        let world = World::new();
        let mut request = world.request();
        change(&mut request);
        world.answer(&request)
    };
    let unknown = World::new().answer(&v1::ValidateKeyRequest { key_text: stranger(), ..Default::default() });
    let mut answers = vec![
        (Outcome::Valid, asked(|request| request.keyspace = MANAGEMENT.to_owned())),
        (Outcome::Malformed, asked(|request| request.key_text.push('x'))),
        (Outcome::NotFound, unknown),
        (Outcome::WrongKeyspace, asked(|request| request.keyspace = "tenants/a/keyspaces/b".to_owned())),
        (
            Outcome::InsufficientPermissions,
            asked(|request| request.permission_query = "orders:read and billing:read".to_owned()),
        ),
    ];
    // A key that is restricted to nothing that its own permissions have permits nothing, so the table has nothing to see.
    for (what, outcome, plant) in standings().into_iter().filter(|(what, ..)| !what.starts_with("restricted")) {
        let mut world = World::new();
        plant(&mut world);
        let answer = world.answer(&world.request());
        assert_eq!(answer.outcome, i32::from(v1::Outcome::from(outcome)), "{what}");
        answers.push((outcome, answer));
    }
    answers
}

fn is_set(answer: &v1::ValidateKeyResponse, field: &str) -> bool {
    match field {
        "outcome" => answer.outcome != 0,
        "key" => !answer.key.is_empty(),
        "version" => !answer.version.is_empty(),
        "keyspace" => !answer.keyspace.is_empty(),
        "owner" => !answer.owner.is_empty(),
        "permissions" => !answer.permissions.is_empty(),
        "roles" => !answer.roles.is_empty(),
        "metadata" => !answer.metadata.is_empty(),
        "expire_time" => answer.expire_time.is_some(),
        "rotation" => answer.rotation.is_some(),
        "checked_at" => answer.checked_at.is_some(),
        "decision_basis" => answer.decision_basis.is_some(),
        other => panic!("{other} is no field of the answer"),
    }
}

#[test]
fn every_field_of_the_answer_is_set_exactly_for_the_outcomes_of_its_column() {
    let answers = answers();
    let given: BTreeSet<_> = answers.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(given, BTreeSet::from(Outcome::ALL));
    for (outcome, answer) in &answers {
        assert_eq!(answer.outcome, i32::from(v1::Outcome::from(*outcome)), "{outcome}");
        for (field, column) in COLUMNS {
            let expected = match column {
                Column::Always => true,
                Column::Names => !matches!(outcome, Outcome::Malformed | Outcome::NotFound),
                Column::Content => *outcome == Outcome::Valid,
            };
            assert_eq!(is_set(answer, field), expected, "{outcome} {field}");
        }
    }
}

#[test]
fn the_table_has_every_field_of_the_descriptors() {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut messages =
        files.file.iter().filter(|file| file.package() == "latchkey.v1").flat_map(|file| &file.message_type);
    let answer = messages.find(|message| message.name() == "ValidateKeyResponse").unwrap();
    let described: Vec<_> = answer.field.iter().map(prost_types::FieldDescriptorProto::name).collect();
    assert_eq!(described, COLUMNS.map(|(field, _)| field));
}

#[test]
fn what_is_not_found_has_the_same_bytes_whatever_the_reason() {
    let world = World::new();
    let wrong = compose(
        &Prefix::parse("lkm").unwrap(),
        parse(world.text.expose()).unwrap().version,
        &Secret::from_chars(&[b'0'; 32]).unwrap(),
    );
    let texts = [wrong.expose().to_owned(), {
        let secret = Secret::from_chars(&[b'1'; 32]).unwrap();
        let version = VersionId::from_random([9; 12]);
        compose(&Prefix::parse("other").unwrap(), version, &secret).expose().to_owned()
    }];
    let [first, second] =
        texts.map(|key_text| world.answer(&v1::ValidateKeyRequest { key_text, ..Default::default() }).encode_to_vec());
    assert_eq!(first, second);
}

/// What whoever may validate (and operate) in `scope` alone learns of a key elsewhere.
fn assert_nothing_is_learned(scope: &str) {
    for (what, _, plant) in standings() {
        let mut world = World::new();
        plant(&mut world);
        for keyspace in ["", SIBLING, OTHER, MANAGEMENT, "tenants/nobody/keyspaces/nothing"] {
            for query in ["", "orders:read", "billing:read"] {
                let (keyspace, permission_query) = (keyspace.to_owned(), query.to_owned());
                let asked = v1::ValidateKeyRequest { keyspace, permission_query, ..world.request() };
                let unknown = v1::ValidateKeyRequest { key_text: stranger(), ..asked.clone() };
                let answers = [&asked, &unknown].map(|request| world.answer_within(scope, request).encode_to_vec());
                assert_eq!(answers[0], answers[1], "{what}: {asked:?}");
                let told = [&asked, &unknown].map(|request| world.explain_within(scope, request).encode_to_vec());
                assert_eq!(told[0], told[1], "{what}: {asked:?}");
            }
        }
        let outcome = world.answer_within(scope, &world.request()).outcome();
        assert_eq!(outcome, v1::Outcome::NotFound, "{what}");
    }
}

#[test]
fn a_validator_of_a_sibling_keyspace_learns_nothing_of_a_key_whatever_is_so_with_it() {
    assert_nothing_is_learned(SIBLING);
}

#[test]
fn a_validator_of_another_tenant_learns_nothing_of_a_key_whatever_is_so_with_it() {
    assert_nothing_is_learned(OTHER);
    assert_nothing_is_learned("tenants/other");
}

#[test]
fn an_explanation_and_the_answer_have_one_outcome_and_the_same_names() {
    for (what, outcome, plant) in standings() {
        let mut world = World::new();
        plant(&mut world);
        let (answer, told) = (world.answer(&world.request()), world.explain_within("", &world.request()));
        assert_eq!(told.outcome(), v1::Outcome::from(outcome), "{what}");
        assert_eq!((&told.key, &told.version), (&answer.key, &answer.version), "{what}");
        assert_eq!((told.checked_at, told.decision_basis), (answer.checked_at, answer.decision_basis), "{what}");
        assert_eq!(told.now, Some(write_time(NOW)), "{what}");
        assert!(told.checks.len() >= 11, "{what}");
    }
}

#[test]
fn the_names_of_an_answer_are_those_of_the_resources() {
    let world = World::new();
    let answer = world.answer(&world.request());
    let found = world.state.version(parse(world.text.expose()).unwrap().version).unwrap();
    let name = latchkey_domain::VersionName::parse(&answer.version).unwrap();
    assert_eq!((name.version, name.key.key), (found.version.id, found.key.id));
    assert_eq!(answer.key, name.key.to_string());
    assert_eq!(answer.keyspace, KeyspaceName::management().to_string());
    assert_eq!(answer.owner, "tenants/system/identities/root");
    assert_eq!(answer.permissions, ["orders:*", "reports:read"]);
    assert_eq!(answer.roles, ["tenants/system/roles/reader"]);
    let rotation = latchkey_domain::RotationName::parse(&answer.rotation.unwrap().rotation).unwrap();
    assert_eq!((rotation.key, rotation.rotation), (name.key.clone(), RotationId::LOWEST));
    assert_eq!(answer.decision_basis.unwrap().age.unwrap(), latchkey_wire::time::write_span(AGE));
}
