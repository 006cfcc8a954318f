use super::*;
use latchkey_crypto::{KeyText, Pepper, Secret, compose, parse};
use latchkey_decision::{Access, Ground, Peppers, Question, Undecided, decide};
use latchkey_domain::{
    BoundedSet, ClusterId, Duty, Grant, KeyspaceName, Metadata, Method, Network, NodeId, Outcome, PermissionPattern,
    Prefix, ReasonText, ResourcePattern, Revision, RevocationReason, Scope, UnixMillis,
};
use latchkey_minting::{Founding, FoundingWrapped};
use latchkey_state::{Actor, Command, Operation, Revocation, Row, bootstrap_ring};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::request::{ValidateKey, read_validate_key};
use prost::Message as _;
use std::sync::Arc;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const AGE: DurationMillis = DurationMillis::new(120);
const MANAGEMENT: &str = "tenants/system/keyspaces/management";

/// When a field of the answer is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Always,
    Names,
    Content,
}

/// The columns of the table outcome x field. A field that is not here has no test, and fails one.
const COLUMNS: [(&str, Column); 10] = [
    ("outcome", Column::Always),
    ("key", Column::Names),
    ("version", Column::Names),
    ("keyspace", Column::Names),
    ("owner", Column::Content),
    ("permissions", Column::Content),
    ("metadata", Column::Content),
    ("expire_time", Column::Content),
    ("checked_at", Column::Always),
    ("decision_basis", Column::Always),
];

/// A cluster just made, whose first key says all that a key can say.
struct World {
    state: State,
    peppers: Peppers,
    text: KeyText,
}

fn one<T: Ord, const MAX: usize>(value: T) -> BoundedSet<T, MAX> {
    BoundedSet::from_values([value]).unwrap()
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
        world.change(|key| {
            Arc::make_mut(&mut key.terms).permissions = one(PermissionPattern::parse("orders:*").unwrap());
            let metadata = Metadata::from_pairs([("team", "checkout")]).unwrap();
            key.details.change(|details| details.metadata = metadata);
            key.expires_at = Some(NOW.plus(DurationMillis::new(1)));
        });
        world
    }

    fn change(&mut self, change: impl FnOnce(&mut Key)) {
        let version = parse(self.text.expose()).unwrap().version;
        let mut key = (**self.state.version(version).unwrap().key).clone();
        change(&mut key);
        self.state.install(Row::Key(Arc::new(key)));
    }

    fn answer(&self, request: &v1::ValidateKeyRequest) -> v1::ValidateKeyResponse {
        let asked: ValidateKey<'_> = read_validate_key(request).unwrap();
        let grants = [Grant { duty: Duty::Validator, scope: Scope::System }];
        let question = Question::new(&grants, asked.keyspace.as_ref());
        let ground = Ground { state: &self.state, peppers: &self.peppers, now: NOW };
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        let decided = decide(asked.key_text, ground, question, access, || Ok::<_, Undecided>(AGE));
        let verdict = decided.unwrap().verdict(AGE).unwrap();
        Basis { state: &self.state, age: AGE }.answer(verdict)
    }

    fn request(&self) -> v1::ValidateKeyRequest {
        v1::ValidateKeyRequest { key_text: self.text.expose().to_owned(), ..Default::default() }
    }
}

/// One answer for each outcome that this release gives.
fn answers() -> Vec<(Outcome, v1::ValidateKeyResponse)> {
    let changed = |change: fn(&mut Key)| {
        let mut world = World::new();
        world.change(change);
        let request = world.request();
        world.answer(&request)
    };
    let asked = |change: fn(&mut v1::ValidateKeyRequest)| {
        let world = World::new();
        let mut request = world.request();
        change(&mut request);
        world.answer(&request)
    };
    let stranger = || {
        let secret = Secret::from_chars(&[b'0'; 32]).unwrap();
        let version = latchkey_domain::VersionId::from_random([1; 12]);
        compose(&Prefix::parse("lkm").unwrap(), version, &secret).expose().to_owned()
    };
    let revoked = |key: &mut Key| {
        let (reason, text) = (RevocationReason::Compromised, ReasonText::default());
        let revocation = Revocation { effective_at: NOW, asked_at: NOW, reason, text };
        key.details.change(|details| details.revocation = Some(Box::new(revocation)));
    };
    let unknown = World::new().answer(&v1::ValidateKeyRequest { key_text: stranger(), ..Default::default() });
    vec![
        (Outcome::Valid, asked(|request| request.keyspace = MANAGEMENT.to_owned())),
        (Outcome::Malformed, asked(|request| request.key_text.push('x'))),
        (Outcome::NotFound, unknown),
        (Outcome::WrongKeyspace, asked(|request| request.keyspace = "tenants/a/keyspaces/b".to_owned())),
        (Outcome::Revoked, changed(revoked)),
        (
            Outcome::NotYetValid,
            changed(|key| key.details.change(|details| details.not_before = Some(NOW.plus(DurationMillis::new(1))))),
        ),
        (Outcome::Expired, changed(|key| key.expires_at = Some(NOW))),
        (
            Outcome::NetworkNotAllowed,
            changed(|key| Arc::make_mut(&mut key.terms).networks = one(Network::parse("10.0.0.0/8").unwrap())),
        ),
        (
            Outcome::MethodNotAllowed,
            changed(|key| Arc::make_mut(&mut key.terms).methods = one(Method::parse("GET").unwrap())),
        ),
        (
            Outcome::ResourceNotAllowed,
            changed(|key| Arc::make_mut(&mut key.terms).resources = one(ResourcePattern::parse("/a").unwrap())),
        ),
        (
            Outcome::InsufficientPermissions,
            asked(|request| request.permission_query = "orders:read and billing:read".to_owned()),
        ),
    ]
}

fn is_set(answer: &v1::ValidateKeyResponse, field: &str) -> bool {
    match field {
        "outcome" => answer.outcome != 0,
        "key" => !answer.key.is_empty(),
        "version" => !answer.version.is_empty(),
        "keyspace" => !answer.keyspace.is_empty(),
        "owner" => !answer.owner.is_empty(),
        "permissions" => !answer.permissions.is_empty(),
        "metadata" => !answer.metadata.is_empty(),
        "expire_time" => answer.expire_time.is_some(),
        "checked_at" => answer.checked_at.is_some(),
        "decision_basis" => answer.decision_basis.is_some(),
        other => panic!("{other} is no field of the answer"),
    }
}

#[test]
fn every_field_of_the_answer_is_set_exactly_for_the_outcomes_of_its_column() {
    let answers = answers();
    let given: Vec<_> = answers.iter().map(|(outcome, _)| *outcome).collect();
    let expected: Vec<_> = Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Suspended).collect();
    assert_eq!(given, expected, "each outcome but SUSPENDED, which this release does not give");
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
        let version = latchkey_domain::VersionId::from_random([9; 12]);
        compose(&Prefix::parse("other").unwrap(), version, &secret).expose().to_owned()
    }];
    let [first, second] =
        texts.map(|key_text| world.answer(&v1::ValidateKeyRequest { key_text, ..Default::default() }).encode_to_vec());
    assert_eq!(first, second);
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
    assert_eq!(answer.permissions, ["orders:*"]);
    assert_eq!(answer.decision_basis.unwrap().age.unwrap(), write_span(AGE));
}
