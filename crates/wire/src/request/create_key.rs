//! `CreateKey` and `BatchCreateKeys`.

use super::key_details;
use super::mark;
use super::rotation_policy::read_recipient;
use super::wait::{self, CREATE_WAIT_DEFAULT, Wait};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{KeyspaceName, RecipientKey};
use latchkey_minting::KeyDetails;
use latchkey_state::{KEYS_PER_COMMAND_MAX, RequestMark};

/// Keys to be made in one keyspace, all or none; one for `CreateKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKeys {
    /// Where.
    pub keyspace: KeyspaceName,
    /// What; at least one, at most [`KEYS_PER_COMMAND_MAX`].
    pub keys: Vec<KeyDetails>,
    /// For each key whom its text is sealed to, rather than shown.
    pub recipients: Vec<Option<RecipientKey>>,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// Whether to check only.
    pub validate_only: bool,
    /// How long to wait.
    pub wait: Wait,
}

/// Reads `CreateKey`.
///
/// # Errors
/// All violations.
pub fn read_create_key(request: &v1::CreateKeyRequest) -> Result<CreateKeys, FieldViolations> {
    let mut fields = Fields::default();
    let keyspace = fields.take("parent", KeyspaceName::parse(&request.parent));
    let key = key_details::read(&mut fields, request, keyspace.as_ref());
    let recipient = read_recipient(&mut fields, "recipient", request.recipient.as_ref());
    let wait = wait::read(&mut fields, request.wait_for, request.wait_timeout.as_ref(), CREATE_WAIT_DEFAULT);
    let mark = mark::read(&mut fields, &request.request_id, "CreateKey", &asked(request));
    let read = || {
        Some(CreateKeys {
            keyspace: keyspace?,
            keys: vec![key?],
            recipients: vec![recipient?],
            request: mark?,
            validate_only: request.validate_only,
            wait: wait?,
        })
    };
    fields.finish(read())
}

/// Reads `BatchCreateKeys`.
///
/// # Errors
/// The first [`VIOLATIONS_MAX`](crate::violation::VIOLATIONS_MAX) violations and how many there are.
pub fn read_batch_create_keys(request: &v1::BatchCreateKeysRequest) -> Result<CreateKeys, FieldViolations> {
    let mut fields = Fields::default();
    let count = request.requests.len();
    if count == 0 || count > KEYS_PER_COMMAND_MAX {
        fields.refuse("requests", format_args!("{count} items, 1 to {KEYS_PER_COMMAND_MAX} are allowed"));
        return fields.finish(None);
    }
    let keyspace = fields.take("parent", KeyspaceName::parse(&request.parent));
    let (mut keys, mut recipients) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (at, item) in request.requests.iter().enumerate() {
        fields.within(&format!("requests[{at}]"), |fields| {
            refuse_what_is_said_once(fields, item, &request.parent);
            keys.extend(key_details::read(fields, item, keyspace.as_ref()));
            recipients.extend(read_recipient(fields, "recipient", item.recipient.as_ref()));
        });
    }
    let wait = wait::read(&mut fields, request.wait_for, request.wait_timeout.as_ref(), CREATE_WAIT_DEFAULT);
    let asked =
        v1::BatchCreateKeysRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "BatchCreateKeys", &asked);
    let read = || {
        Some(CreateKeys {
            keyspace: keyspace?,
            keys,
            recipients,
            request: mark?,
            validate_only: request.validate_only,
            wait: wait?,
        })
    };
    fields.finish(read())
}

fn asked(request: &v1::CreateKeyRequest) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() }
}

/// A field that stands for the whole batch would be ignored in an item, so it must not be there.
fn refuse_what_is_said_once(fields: &mut Fields, item: &v1::CreateKeyRequest, parent: &str) {
    if !item.parent.is_empty() && item.parent != parent {
        fields.refuse("parent", "must be empty or the parent of the batch");
    }
    for (field, set) in [
        ("request_id", !item.request_id.is_empty()),
        ("validate_only", item.validate_only),
        ("wait_for", item.wait_for != 0),
        ("wait_timeout", item.wait_timeout.is_some()),
    ] {
        if set {
            fields.refuse(field, "must not be set in an item: say it once for the batch");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::v1::create_key_request::Expiry as PbExpiry;
    use latchkey_domain::{DurationMillis, KeyId, ROLES_MAX};
    use latchkey_state::{Expiry, HolderName};
    use prost_types::{Duration, Timestamp};

    fn request() -> v1::CreateKeyRequest {
        v1::CreateKeyRequest {
            parent: "tenants/acme/keyspaces/payments-live".to_owned(),
            owner: "tenants/acme/owners/shop".to_owned(),
            permissions: vec!["orders:*".to_owned()],
            expiry: Some(PbExpiry::Lifetime(Duration { seconds: 3_600, nanos: 0 })),
            request_id: "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::CreateKeyRequest {
            parent: "tenants/acme".to_owned(),
            display_name: "two\nlines".to_owned(),
            owner: "shop".to_owned(),
            purpose: "x".repeat(257),
            permissions: vec!["orders:read".to_owned(), "or*ders".to_owned()],
            networks: vec!["10.0.0.1/8".to_owned()],
            methods: vec!["G E T".to_owned()],
            resources: vec!["/a/../b".to_owned()],
            metadata: [("Upper".to_owned(), String::new())].into(),
            not_before: Some(Timestamp { seconds: 0, nanos: 1 }),
            expiry: Some(PbExpiry::Lifetime(Duration { seconds: 0, nanos: 0 })),
            request_id: "1".to_owned(),
            validate_only: false,
            wait_for: 9,
            wait_timeout: Some(Duration { seconds: 61, nanos: 0 }),
            roles: vec!["tenants/acme/roles/reader".to_owned(), "reader".to_owned()],
            parent_key: "0000000000000001".to_owned(),
            rotation_policy: Some(v1::RotationPolicy { mode: 1, ..Default::default() }),
            recipient: Some(v1::RecipientKey::default()),
        };
        let violations = read_create_key(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            [
                "parent",
                "owner",
                "display_name",
                "purpose",
                "permissions[1]",
                "networks[0]",
                "methods[0]",
                "resources[0]",
                "roles[1]",
                "parent_key",
                "metadata",
                "not_before",
                "lifetime",
                "rotation_policy.risk_class",
                "recipient",
                "wait_timeout",
                "wait_for",
                "request_id"
            ]
        );
    }

    #[test]
    fn a_field_of_the_batch_is_refused_in_its_items() {
        let batch = v1::BatchCreateKeysRequest {
            parent: request().parent,
            requests: vec![request(), v1::CreateKeyRequest { parent: "tenants/b/keyspaces/c".to_owned(), ..request() }],
            ..Default::default()
        };
        let violations = read_batch_create_keys(&batch).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["requests[0].request_id", "requests[1].parent", "requests[1].request_id"]);
        assert!(read_batch_create_keys(&v1::BatchCreateKeysRequest { requests: Vec::new(), ..batch }).is_err());
    }

    #[test]
    fn roles_and_the_parent_are_of_the_same_house_and_are_passed_on_by_their_ids() {
        let wrong = v1::CreateKeyRequest {
            roles: vec!["tenants/other/roles/reader".to_owned()],
            parent_key: "tenants/acme/keyspaces/other/keys/0000000000000001".to_owned(),
            ..request()
        };
        let violations = read_create_key(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["roles[0]", "parent_key"]);
        let right = v1::CreateKeyRequest {
            roles: ["writer", "read-only", "writer"].map(|role| format!("tenants/acme/roles/{role}")).into(),
            parent_key: "tenants/acme/keyspaces/payments-live/keys/0000000000000001".to_owned(),
            ..request()
        };
        let read = read_create_key(&right).unwrap();
        let roles: Vec<_> = read.keys[0].roles.iter().map(ToString::to_string).collect();
        assert_eq!(roles, ["read-only", "writer"]);
        assert_eq!(read.keys[0].parent, KeyId::from_chars(b"0000000000000001"));
        let many = (0..=ROLES_MAX).map(|number| format!("tenants/acme/roles/r{number}")).collect();
        assert!(read_create_key(&v1::CreateKeyRequest { roles: many, ..request() }).is_err());
    }

    #[test]
    fn a_request_reads_into_domain_types() {
        let read = read_create_key(&request()).unwrap();
        assert_eq!(read.keys[0].expiry, Expiry::After(DurationMillis::from_secs(3_600)));
        assert!(matches!(&read.keys[0].holder, HolderName::Owner(owner) if owner.to_string() == request().owner));
        assert_eq!(read.wait, Wait::AllRegions(CREATE_WAIT_DEFAULT));
    }

    #[test]
    fn another_wait_is_the_same_request_and_another_permission_is_not() {
        let mark = |request: &v1::CreateKeyRequest| read_create_key(request).unwrap().request.unwrap();
        let first = mark(&request());
        let patient = v1::CreateKeyRequest { wait_timeout: Some(Duration { seconds: 5, nanos: 0 }), ..request() };
        let wider = v1::CreateKeyRequest { permissions: vec!["*".to_owned()], ..request() };
        assert_eq!(mark(&patient), first);
        assert_ne!(mark(&wider).hash, first.hash);
        assert_eq!(mark(&wider).id, first.id);
    }
}
