//! What a validation answers, and what it tells with each answer.

use latchkey_api::requests::{self, KEYSPACE, seconds};
use latchkey_api::{Clients, Furniture, House};
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1::create_key_request::Expiry;
use latchkey_wire::pb::v1::{self, Outcome};
use prost::Message as _;
use prost_types::{Duration, FileDescriptorSet, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

async fn make(clients: &mut Clients, change: impl FnOnce(&mut v1::CreateKeyRequest)) -> v1::CreateKeyResponse {
    let mut request = requests::key();
    change(&mut request);
    clients.keys.create_key(request).await.unwrap().into_inner()
}

async fn ask(clients: &mut Clients, text: &str, context: v1::RequestContext) -> v1::ValidateKeyResponse {
    let request = v1::ValidateKeyRequest { context: Some(context), ..requests::validate(text) };
    clients.validation.validate_key(request).await.unwrap().into_inner()
}

fn from(client_ip: &str) -> v1::RequestContext {
    v1::RequestContext { client_ip: client_ip.to_owned(), ..Default::default() }
}

fn with(method: &str, resource: &str) -> v1::RequestContext {
    v1::RequestContext { method: method.to_owned(), resource: resource.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_bound_to_networks_works_from_them_only() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(str::to_owned).to_vec();
    let text = make(&mut root, |key| key.networks = networks).await.key_text;
    for (address, expected) in [
        ("10.1.2.3", Outcome::Valid),
        ("::ffff:10.1.2.3", Outcome::Valid),
        ("2001:db8::1", Outcome::Valid),
        ("11.0.0.1", Outcome::NetworkNotAllowed),
        ("::ffff:11.0.0.1", Outcome::NetworkNotAllowed),
        ("2001:db9::1", Outcome::NetworkNotAllowed),
        ("", Outcome::NetworkNotAllowed),
    ] {
        assert_eq!(ask(&mut root, &text, from(address)).await.outcome(), expected, "from {address:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_bound_to_methods_and_resources_works_for_them_only() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let made = make(&mut root, |key| {
        key.methods = vec!["GET".to_owned()];
        key.resources = ["/orders/*", "/public/**"].map(str::to_owned).to_vec();
    });
    let text = made.await.key_text;
    for (method, resource, expected) in [
        ("GET", "/orders/7", Outcome::Valid),
        ("GET", "/public/a/b/c", Outcome::Valid),
        ("GET", "/orders/7/lines", Outcome::ResourceNotAllowed),
        ("GET", "/orders/../admin", Outcome::ResourceNotAllowed),
        ("GET", "/orders/%2F", Outcome::ResourceNotAllowed),
        ("GET", "", Outcome::ResourceNotAllowed),
        ("POST", "/orders/7", Outcome::MethodNotAllowed),
        ("", "/orders/7", Outcome::MethodNotAllowed),
        ("G T", "/orders/7", Outcome::MethodNotAllowed),
    ] {
        let found = ask(&mut root, &text, with(method, resource)).await.outcome();
        assert_eq!(found, expected, "{method} {resource}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_answered_as_it_is_bracketed_and_wildcards_match_what_they_say() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let narrow = make(&mut root, |_| {}).await.key_text;
    let wide = make(&mut root, |key| key.permissions = vec!["orders:*".to_owned()]).await.key_text;
    let none = make(&mut root, |key| key.permissions.clear()).await.key_text;
    let (yes, no) = (Outcome::Valid, Outcome::InsufficientPermissions);
    for (query, of_narrow, of_wide, of_none) in [
        ("", yes, yes, yes),
        ("orders:read", yes, yes, no),
        ("orders:read:lines", no, yes, no),
        ("orders", no, no, no),
        ("ordersx:read", no, no, no),
        ("orders:read or billing:read and billing:write", yes, yes, no),
        ("(orders:read or billing:read) and billing:write", no, no, no),
        ("orders:read and orders:write", no, yes, no),
    ] {
        for (text, expected) in [(&narrow, of_narrow), (&wide, of_wide), (&none, of_none)] {
            let request = v1::ValidateKeyRequest { permission_query: query.to_owned(), ..requests::validate(text) };
            let found = root.validation.validate_key(request).await.unwrap().into_inner().outcome();
            assert_eq!(found, expected, "{query:?} of {}", text.len());
        }
    }
}

/// One request for each outcome that this release gives, and the text of a key that lives for a millisecond.
pub(crate) async fn requests_of_each(house: &House, furniture: &Furniture) -> (Vec<v1::ValidateKeyRequest>, String) {
    let mut root = house.root();
    let all = |key: &mut v1::CreateKeyRequest| {
        key.metadata = [("team".to_owned(), "checkout".to_owned())].into();
        key.expiry = seconds(3_600).map(Expiry::Lifetime);
        key.roles = vec!["tenants/acme/roles/admin".to_owned()];
    };
    let revoked = make(&mut root, all).await;
    root.keys.revoke_key(requests::revoke(&revoked.key.unwrap().name)).await.unwrap();
    let later = Timestamp { seconds: 8_000_000_000, nanos: 0 };
    let early = make(&mut root, |key| key.not_before = Some(later)).await.key_text;
    let brief = |key: &mut v1::CreateKeyRequest| {
        all(key);
        key.expiry = Some(Expiry::Lifetime(Duration { seconds: 0, nanos: 1_000_000 }));
    };
    let brief = make(&mut root, brief).await.key_text;
    let networks = make(&mut root, |key| key.networks = vec!["10.0.0.0/8".to_owned()]).await.key_text;
    let methods = make(&mut root, |key| key.methods = vec!["GET".to_owned()]).await.key_text;
    let resources = make(&mut root, |key| key.resources = vec!["/a".to_owned()]).await.key_text;
    let suspended = make(&mut root, all).await;
    root.keys.suspend_key(requests::suspend(&suspended.key.unwrap().name)).await.unwrap();
    let rotated = make(&mut root, all).await;
    root.rotation.rotate_key(requests::rotate(&rotated.key.unwrap().name)).await.unwrap();
    let writes = make(&mut root, |key| key.permissions = vec!["orders:write".to_owned()]).await.key_text;
    let (_, elsewhere) = Furniture::house().await;
    let keyspace = KEYSPACE.to_owned();
    let asked = vec![
        requests::validate(&rotated.key_text),
        requests::validate("no key text"),
        requests::validate(&elsewhere.made.key_text),
        v1::ValidateKeyRequest { keyspace, ..requests::validate(&furniture.rival.key_text) },
        requests::validate(&revoked.key_text),
        requests::validate(&suspended.key_text),
        requests::validate(&early),
        requests::validate(&brief),
        requests::validate(&networks),
        requests::validate(&methods),
        requests::validate(&resources),
        requests::validate(&writes),
    ];
    // A key that lives for a millisecond may still live when it is asked for the first time.
    let fully = v1::consistency::Requirement::FullyConsistent(v1::consistency::FullyConsistent {});
    let consistency = Some(v1::Consistency { requirement: Some(fully) });
    (asked.into_iter().map(|request| v1::ValidateKeyRequest { consistency, ..request }).collect(), brief)
}

/// One answer for each outcome that this release gives.
async fn one_of_each(house: &House, furniture: &Furniture) -> BTreeMap<Outcome, v1::ValidateKeyResponse> {
    let mut root = house.root();
    let (asked, brief) = requests_of_each(house, furniture).await;
    let mut answers = BTreeMap::new();
    for request in asked {
        let mut answer = root.validation.validate_key(request.clone()).await.unwrap().into_inner();
        while request.key_text == brief && answer.outcome() == Outcome::Valid {
            answer = root.validation.validate_key(request.clone()).await.unwrap().into_inner();
        }
        let twice = answers.insert(answer.outcome(), answer);
        assert!(twice.is_none(), "each request has an outcome of its own: {twice:?}");
    }
    answers
}

/// The numbers of the fields that are set in a message.
fn fields_set(mut message: &[u8]) -> BTreeSet<u32> {
    let mut set = BTreeSet::new();
    while !message.is_empty() {
        let (number, wire_type) = prost::encoding::decode_key(&mut message).unwrap();
        prost::encoding::skip_field(wire_type, number, &mut message, Default::default()).unwrap();
        set.insert(number);
    }
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_sets_the_fields_that_the_manual_says_and_no_other() {
    let (house, furniture) = Furniture::house().await;
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let messages = set.file.iter().flat_map(|file| &file.message_type);
    let response = messages.into_iter().find(|message| message.name() == "ValidateKeyResponse").unwrap();
    let names: BTreeMap<u32, &str> =
        response.field.iter().map(|field| (u32::try_from(field.number()).unwrap(), field.name())).collect();

    let always = ["outcome", "checked_at", "decision_basis"];
    let named = ["key", "version", "keyspace"];
    let valid = ["owner", "permissions", "roles", "metadata", "expire_time", "rotation"];
    let known: BTreeSet<&str> = always.iter().chain(&named).chain(&valid).copied().collect();
    assert_eq!(names.values().copied().collect::<BTreeSet<_>>(), known, "say on which outcomes a new field is set");

    let answers = one_of_each(&house, &furniture).await;
    // Those of later releases are never given by this one.
    let later = [Outcome::Unspecified, Outcome::RateLimited, Outcome::UsageExceeded];
    let all: BTreeSet<_> = (0..=14).map(|number| Outcome::try_from(number).unwrap()).collect();
    let given: BTreeSet<_> = answers.keys().copied().chain(later).collect();
    assert_eq!(given, all);

    for (outcome, answer) in answers {
        let mut expected: BTreeSet<&str> = always.into();
        // From where on the secret matched, within the grant of the caller.
        if outcome >= Outcome::WrongKeyspace || outcome == Outcome::Valid {
            expected.extend(named);
        }
        if outcome == Outcome::Valid {
            expected.extend(valid);
        }
        let found: BTreeSet<&str> = fields_set(&answer.encode_to_vec()).iter().map(|number| names[number]).collect();
        assert_eq!(found, expected, "{outcome:?}");
    }
}
