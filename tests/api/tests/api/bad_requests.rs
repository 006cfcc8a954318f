//! A bad request is told by code, reason and field, and changes nothing.

use latchkey_api::requests::{self, KEYSPACE, request_id, seconds};
use latchkey_api::{Furniture, House, Why, World, is_upkeep, methods, raw};
use latchkey_transport::channel;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::consistency::{AtLeastAsFresh, Requirement};
use latchkey_wire::pb::v1::create_key_request::Expiry;
use prost::Message as _;
use prost_types::{Duration, Timestamp};
use tonic::Code::{self, Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted};
use tonic::metadata::{MetadataMap, MetadataValue};

/// A page token that is none of the listing.
fn page(what: &'static str, method: &'static str, message: Vec<u8>) -> Bad {
    Bad { what, method, message, expected: Why::new(InvalidArgument, "PAGE_TOKEN_INVALID", &["page_token"]) }
}

/// What is wrong, the method and message, and what has to be answered.
struct Bad {
    what: &'static str,
    method: &'static str,
    message: Vec<u8>,
    expected: Why,
}

/// A request with a field that is wrong.
fn field(what: &'static str, method: &'static str, message: Vec<u8>, fields: &[&str]) -> Bad {
    Bad { what, method, message, expected: Why::new(InvalidArgument, "FIELD_INVALID", fields) }
}

/// A request that is refused for what there is.
fn refused(what: &'static str, method: &'static str, message: Vec<u8>, code: Code, reason: &str) -> Bad {
    Bad { what, method, message, expected: Why::new(code, reason, &[]) }
}

const CREATE_KEY: &str = "latchkey.v1.IssuanceService/CreateKey";
const BATCH: &str = "latchkey.v1.IssuanceService/BatchCreateKeys";
const LIST_KEYS: &str = "latchkey.v1.IssuanceService/ListKeys";
const GET_KEY: &str = "latchkey.v1.IssuanceService/GetKey";
const REVOKE_KEY: &str = "latchkey.v1.IssuanceService/RevokeKey";
const CREATE_TENANT: &str = "latchkey.v1.DirectoryService/CreateTenant";
const CREATE_KEYSPACE: &str = "latchkey.v1.DirectoryService/CreateKeyspace";
const CREATE_OWNER: &str = "latchkey.v1.DirectoryService/CreateOwner";
const CREATE_IDENTITY: &str = "latchkey.v1.DirectoryService/CreateIdentity";
const LIST_TENANTS: &str = "latchkey.v1.DirectoryService/ListTenants";
const VALIDATE_KEY: &str = "latchkey.v1.ValidationService/ValidateKey";
const BATCH_VALIDATE: &str = "latchkey.v1.ValidationService/BatchValidateKeys";

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// `CreateKey` with something changed.
fn key(change: impl FnOnce(&mut v1::CreateKeyRequest)) -> Vec<u8> {
    let mut request = requests::key();
    change(&mut request);
    request.encode_to_vec()
}

/// `CreateKeyspace` with something of the keyspace changed.
fn keyspace(change: impl FnOnce(&mut v1::Keyspace)) -> Vec<u8> {
    let mut request = requests::keyspace("acme", "new", "new");
    change(request.keyspace.as_mut().expect("it has one"));
    request.encode_to_vec()
}

fn fields_of_a_key() -> Vec<Bad> {
    let pairs = |count: usize| (0..count).map(|at| (format!("word{at}"), String::new())).collect();
    let too_fine = Duration { seconds: 1, nanos: 1 };
    vec![
        field("no parent", CREATE_KEY, key(|key| key.parent.clear()), &["parent"]),
        field("a parent of another kind", CREATE_KEY, key(|key| key.parent = "tenants/acme".to_owned()), &["parent"]),
        field("an owner that is no name", CREATE_KEY, key(|key| key.owner = "shop".to_owned()), &["owner"]),
        field("a line break", CREATE_KEY, key(|key| key.display_name = "a\nb".to_owned()), &["display_name"]),
        field("a long purpose", CREATE_KEY, key(|key| key.purpose = "x".repeat(257)), &["purpose"]),
        field("33 pairs", CREATE_KEY, key(|key| key.metadata = pairs(33)), &["metadata"]),
        field(
            "5 KiB of metadata",
            CREATE_KEY,
            key(|key| key.metadata = [("note".to_owned(), "x".repeat(5_000))].into()),
            &["metadata"],
        ),
        field(
            "a word that is no permission",
            CREATE_KEY,
            key(|key| key.permissions = words(["orders:read", "orders:re*d"])),
            &["permissions[1]"],
        ),
        field(
            "an empty permission",
            CREATE_KEY,
            key(|key| key.permissions = words(["", "orders:read"])),
            &["permissions[0]"],
        ),
        field(
            "129 permissions",
            CREATE_KEY,
            key(|key| key.permissions = (0..129).map(|at| format!("orders:p{at}")).collect()),
            &["permissions"],
        ),
        field(
            "networks that are none",
            CREATE_KEY,
            key(|key| key.networks = words(["10.0.0.0/33", "10.0.0.0/8", "everywhere", "10.0.0.1/8"])),
            &["networks[0]", "networks[2]", "networks[3]"],
        ),
        field("a method with a space", CREATE_KEY, key(|key| key.methods = words(["G ET"])), &["methods[0]"]),
        field("a way out", CREATE_KEY, key(|key| key.resources = words(["/a/../b"])), &["resources[0]"]),
        field(
            "no lifetime at all",
            CREATE_KEY,
            key(|key| key.expiry = Some(Expiry::Lifetime(Duration::default()))),
            &["lifetime"],
        ),
        field(
            "a negative lifetime",
            CREATE_KEY,
            key(|key| key.expiry = seconds(-1).map(Expiry::Lifetime)),
            &["lifetime"],
        ),
        field(
            "a lifetime finer than a millisecond",
            CREATE_KEY,
            key(|key| key.expiry = Some(Expiry::Lifetime(too_fine))),
            &["lifetime"],
        ),
        field("no UUID", CREATE_KEY, key(|key| key.request_id = "1".to_owned()), &["request_id"]),
        field("61 s", CREATE_KEY, key(|key| key.wait_timeout = seconds(61)), &["wait_timeout"]),
        field("no such wait", CREATE_KEY, key(|key| key.wait_for = 9), &["wait_for"]),
        field(
            "two mistakes at once",
            CREATE_KEY,
            key(|key| (key.parent, key.owner) = (String::new(), "shop".to_owned())),
            &["parent", "owner"],
        ),
        field("an empty batch", BATCH, requests::keys(0).encode_to_vec(), &["requests"]),
        field("1,001 keys", BATCH, requests::keys(1_001).encode_to_vec(), &["requests"]),
    ]
}

fn refusals_of_a_key() -> Vec<Bad> {
    let past = Timestamp { seconds: 1_000_000_000, nanos: 0 };
    let (soon, later) =
        (Timestamp { seconds: 8_000_000_000, nanos: 0 }, Timestamp { seconds: 8_000_000_001, nanos: 0 });
    vec![
        refused(
            "an expiry in the past",
            CREATE_KEY,
            key(|key| key.expiry = Some(Expiry::ExpireTime(past))),
            FailedPrecondition,
            "EXPIRY_PAST",
        ),
        refused(
            "an end before the beginning",
            CREATE_KEY,
            key(|key| (key.not_before, key.expiry) = (Some(later), Some(Expiry::ExpireTime(soon)))),
            FailedPrecondition,
            "NOT_BEFORE_AFTER_EXPIRY",
        ),
        refused(
            "a life that is too long",
            CREATE_KEY,
            key(|key| {
                key.parent = "tenants/acme/keyspaces/brief".to_owned();
                key.expiry = seconds(3_601).map(Expiry::Lifetime);
            }),
            FailedPrecondition,
            "LIFETIME_TOO_LONG",
        ),
        refused(
            "a permission that the keyspace does not allow",
            CREATE_KEY,
            key(|key| key.permissions = words(["billing:read"])),
            FailedPrecondition,
            "PERMISSION_NOT_ALLOWED",
        ),
        refused(
            "no such keyspace",
            CREATE_KEY,
            key(|key| key.parent = "tenants/acme/keyspaces/none".to_owned()),
            NotFound,
            "NOT_FOUND",
        ),
        refused(
            "no such owner",
            CREATE_KEY,
            key(|key| key.owner = "tenants/acme/owners/nobody".to_owned()),
            NotFound,
            "NOT_FOUND",
        ),
        refused(
            "an owner of another tenant",
            CREATE_KEY,
            key(|key| key.owner = "tenants/rival/owners/shop".to_owned()),
            FailedPrecondition,
            "OWNER_NOT_ALLOWED",
        ),
        refused(
            "an identity as the owner of an ordinary key",
            CREATE_KEY,
            key(|key| key.owner = "tenants/system/identities/root".to_owned()),
            FailedPrecondition,
            "OWNER_NOT_ALLOWED",
        ),
        refused(
            "the request_id of another request",
            CREATE_KEY,
            key(|key| key.request_id = request_id(7)),
            AlreadyExists,
            "REQUEST_ID_REUSED",
        ),
        refused(
            "1 MiB, which is more than even a batch may have",
            CREATE_KEY,
            key(|key| key.metadata = [("note".to_owned(), "x".repeat(1 << 20))].into()),
            ResourceExhausted,
            "MESSAGE_TOO_LONG",
        ),
    ]
}

fn directory() -> Vec<Bad> {
    let tenant = |id: &str| requests::tenant(id).encode_to_vec();
    let taken = |id: &str, prefix: &str| requests::keyspace("acme", id, prefix).encode_to_vec();
    let nothing = v1::CreateTenantRequest { tenant: None, ..requests::tenant("new") }.encode_to_vec();
    let mut contact = requests::owner("acme", "new");
    contact.owner.as_mut().expect("it has one").contacts = words(["a@example.com", ""]);
    let no_duty = requests::identity("acme", "new", &[(v1::Duty::Unspecified, "tenants/acme")]);
    let no_scope = requests::identity("acme", "new", &[(v1::Duty::Issuer, "acme")]);
    vec![
        field("a capital", CREATE_TENANT, tenant("Acme"), &["tenant_id"]),
        field("no id", CREATE_TENANT, tenant(""), &["tenant_id"]),
        field("no tenant", CREATE_TENANT, nothing, &["tenant"]),
        refused("a tenant that is there", CREATE_TENANT, tenant("acme"), AlreadyExists, "ALREADY_EXISTS"),
        field(
            "a prefix with a space",
            CREATE_KEYSPACE,
            keyspace(|one| one.prefix = "a b".to_owned()),
            &["keyspace.prefix"],
        ),
        field("no environment", CREATE_KEYSPACE, keyspace(|one| one.environment.clear()), &["keyspace.environment"]),
        field(
            "a default above the maximum",
            CREATE_KEYSPACE,
            keyspace(|one| (one.default_lifetime, one.maximum_lifetime) = (seconds(2), seconds(1))),
            &["keyspace.default_lifetime"],
        ),
        field(
            "no such policy",
            CREATE_KEYSPACE,
            keyspace(|one| one.staleness_policy = 9),
            &["keyspace.staleness_policy"],
        ),
        refused("a keyspace that is there", CREATE_KEYSPACE, taken("orders", "new"), AlreadyExists, "ALREADY_EXISTS"),
        refused("a prefix that is there", CREATE_KEYSPACE, taken("new", "rival_live"), AlreadyExists, "PREFIX_TAKEN"),
        refused("the prefix of management keys", CREATE_KEYSPACE, taken("new", "lkm"), AlreadyExists, "PREFIX_TAKEN"),
        refused(
            "a staleness below the floor",
            CREATE_KEYSPACE,
            keyspace(|one| one.staleness_max = seconds(1)),
            FailedPrecondition,
            "STALENESS_TOO_SHORT",
        ),
        refused(
            "a keyspace of the system",
            CREATE_KEYSPACE,
            requests::keyspace("system", "new", "new").encode_to_vec(),
            FailedPrecondition,
            "RESERVED",
        ),
        field("an empty contact", CREATE_OWNER, contact.encode_to_vec(), &["owner.contacts[1]"]),
        refused(
            "an owner in no tenant",
            CREATE_OWNER,
            requests::owner("nobody", "new").encode_to_vec(),
            NotFound,
            "NOT_FOUND",
        ),
        field("no duty", CREATE_IDENTITY, no_duty.encode_to_vec(), &["identity.grants[0].duty"]),
        field("no scope", CREATE_IDENTITY, no_scope.encode_to_vec(), &["identity.grants[0].scope"]),
    ]
}

fn reading_and_revoking(key_name: &str, foreign_page: &str) -> Vec<Bad> {
    let revoke = |change: fn(&mut v1::RevokeKeyRequest)| {
        let mut request = requests::revoke(key_name);
        change(&mut request);
        request.encode_to_vec()
    };
    let list = |page_size: i32, token: &str| {
        let page_token = token.to_owned();
        v1::ListKeysRequest { page_size, page_token, ..requests::list_keys(KEYSPACE) }.encode_to_vec()
    };
    let none = format!("{KEYSPACE}/keys/0000000000000000");
    vec![
        field(
            "a name of another kind",
            GET_KEY,
            v1::GetKeyRequest { name: KEYSPACE.to_owned() }.encode_to_vec(),
            &["name"],
        ),
        refused(
            "no such key",
            GET_KEY,
            v1::GetKeyRequest { name: none.clone() }.encode_to_vec(),
            NotFound,
            "NOT_FOUND",
        ),
        field("a negative page", LIST_KEYS, list(-1, ""), &["page_size"]),
        page("no page token", LIST_KEYS, list(0, "zz")),
        page("a page of another listing", LIST_KEYS, list(0, foreign_page)),
        page(
            "a page of another collection",
            LIST_TENANTS,
            v1::ListTenantsRequest { page_token: foreign_page.to_owned(), page_size: 0 }.encode_to_vec(),
        ),
        field("nothing to revoke", REVOKE_KEY, revoke(|one| one.name.clear()), &["name"]),
        field("no reason", REVOKE_KEY, revoke(|one| one.reason = 0), &["reason"]),
        field("a long reason", REVOKE_KEY, revoke(|one| one.reason_text = "x".repeat(513)), &["reason_text"]),
        field("91 days of grace", REVOKE_KEY, revoke(|one| one.grace = seconds(91 * 86_400)), &["grace"]),
        refused("a stale etag", REVOKE_KEY, revoke(|one| one.etag = "stale".to_owned()), Aborted, "ETAG_MISMATCH"),
        refused("no such key", REVOKE_KEY, requests::revoke(&none).encode_to_vec(), NotFound, "NOT_FOUND"),
    ]
}

fn validating(key_text: &str) -> Vec<Bad> {
    let validate = |change: &dyn Fn(&mut v1::ValidateKeyRequest)| {
        let mut request = requests::validate(key_text);
        change(&mut request);
        request.encode_to_vec()
    };
    let query = |text: &'static str| validate(&move |asked| asked.permission_query = text.to_owned());
    let context = |context: v1::RequestContext| validate(&move |asked| asked.context = Some(context.clone()));
    let fresh = |revision: Option<v1::Revision>| {
        let requirement = Some(Requirement::AtLeastAsFresh(AtLeastAsFresh { revision }));
        validate(&move |asked| asked.consistency = Some(v1::Consistency { requirement }))
    };
    let item = |id: &str| v1::BatchValidateKeysItem { id: id.to_owned(), request: Some(requests::validate("x")) };
    let batch = |items| v1::BatchValidateKeysRequest { items }.encode_to_vec();
    let tags = (0..17).map(|at| (at.to_string(), String::new())).collect();
    vec![
        field("half a query", VALIDATE_KEY, query("orders:read and"), &["permission_query"]),
        field("a wildcard in a query", VALIDATE_KEY, query("orders:*"), &["permission_query"]),
        field("an open parenthesis", VALIDATE_KEY, query("(orders:read"), &["permission_query"]),
        field("no keyspace", VALIDATE_KEY, validate(&|asked| asked.keyspace = "orders".to_owned()), &["keyspace"]),
        field(
            "no address",
            VALIDATE_KEY,
            context(v1::RequestContext { client_ip: "10.0.0".to_owned(), ..Default::default() }),
            &["context.client_ip"],
        ),
        field("17 tags", VALIDATE_KEY, context(v1::RequestContext { tags, ..Default::default() }), &["context.tags"]),
        field("as fresh as what", VALIDATE_KEY, fresh(None), &["consistency.at_least_as_fresh.revision"]),
        refused(
            "a revision of an epoch to come",
            VALIDATE_KEY,
            fresh(Some(v1::Revision { epoch: 9, index: 1 })),
            Code::Unavailable,
            "EPOCH_AHEAD",
        ),
        refused(
            "70 KiB",
            VALIDATE_KEY,
            validate(&|asked| asked.permission_query = "x".repeat(70_000)),
            ResourceExhausted,
            "MESSAGE_TOO_LONG",
        ),
        field("no item", BATCH_VALIDATE, batch(Vec::new()), &["items"]),
        field("201 items", BATCH_VALIDATE, batch((0..201).map(|at| item(&at.to_string())).collect()), &["items"]),
        field("an id twice", BATCH_VALIDATE, batch(vec![item("a"), item("a")]), &["items[1].id"]),
    ]
}

async fn furnish(house: &House) -> String {
    let mut root = house.root();
    let mut brief = requests::keyspace("acme", "brief", "brief");
    brief.keyspace.as_mut().unwrap().maximum_lifetime = seconds(3_600);
    root.directory.create_keyspace(brief).await.unwrap();
    let first = v1::CreateKeyRequest { request_id: request_id(7), display_name: "first".to_owned(), ..requests::key() };
    root.keys.create_key(first).await.unwrap();
    let theirs =
        v1::CreateKeyRequest { parent: KEYSPACE.replace("acme", "rival"), owner: String::new(), ..requests::key() };
    root.keys.create_key(theirs.clone()).await.unwrap();
    let list = v1::ListKeysRequest { page_size: 1, ..requests::list_keys(&theirs.parent) };
    root.keys.list_keys(list).await.unwrap().into_inner().next_page_token
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_says_what_is_wrong_and_changes_nothing() {
    let (house, furniture) = Furniture::house().await;
    let foreign_page = furnish(&house).await;
    assert!(!foreign_page.is_empty());
    let mut root = house.root();
    let (world, events) = (World::see(&mut root).await, house.entry_count().await);
    let mut metadata = MetadataMap::new();
    let value: MetadataValue<_> = format!("Bearer {}", house.root_text()).parse().unwrap();
    metadata.insert("authorization", value);

    let (mut wrong, mut asked) = (Vec::new(), 0);
    let groups = [
        fields_of_a_key(),
        refusals_of_a_key(),
        directory(),
        reading_and_revoking(furniture.key_name(), &foreign_page),
        validating(&furniture.made.key_text),
    ];
    for Bad { what, method, message, expected } in groups.into_iter().flatten() {
        let served = methods::all().into_iter().find(|one| one.path() == method).unwrap();
        for address in served.served_by(house.ports()) {
            asked += 1;
            let answer = raw::call(channel(address), method, metadata.clone(), message.clone()).await;
            match answer.map_err(|status| (Why::read(&status), status.message().to_owned())) {
                Err((why, _)) if why == expected => {}
                answer => wrong.push(format!("{what}: {method}: expected {expected:?}, found {answer:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));

    let after = World::see(&mut root).await;
    assert_eq!(after, world, "{:?} and {:?}", after.beyond(&world), world.beyond(&after));
    // That root was refused is written down a moment later, whenever that is.
    let later = house.entries().await.into_iter().filter(|entry| entry.sequence >= events);
    let changes: Vec<_> = later.filter(|entry| entry.action != "access.refused" && !is_upkeep(entry)).collect();
    assert!(changes.is_empty(), "what is refused changes nothing: {changes:?}");
}
