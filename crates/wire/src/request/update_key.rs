//! `UpdateKey`.

use super::directory_fields::resource;
use super::key_details::{holder, roles, set};
use super::mask::{self, Mask};
use super::rotation_policy::{self, Whose};
use super::write::{Write, etag, said};
use crate::pb::v1;
use crate::time::read_time;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{DisplayName, KeyName, Metadata, Method, Network, PermissionPattern, Purpose, ResourcePattern};
use latchkey_state::{ExpiryChange, KeyChanges, UpdateKey};

/// The fields of a key that can change.
const FIELDS: &[&str] = &[
    "display_name",
    "owner",
    "purpose",
    "permissions",
    "networks",
    "methods",
    "resources",
    "metadata",
    "not_before",
    "expire_time",
    "roles",
    "rotation_policy",
];

/// Reads `UpdateKey`.
///
/// # Errors
/// All violations.
pub fn read_update_key(request: &v1::UpdateKeyRequest) -> Result<Write<UpdateKey>, FieldViolations> {
    let mut fields = Fields::default();
    let key = resource(&mut fields, "key", request.key.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), FIELDS);
    let operation = fields.within("key", |fields| {
        let name = fields.take("name", KeyName::parse(&key.name));
        let changes = changes(fields, &mask, &key, name.as_ref());
        Some(UpdateKey { key: name?, changes: changes?, etag: etag(&key.etag) })
    });
    let asked = v1::UpdateKeyRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateKey", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

fn changes(fields: &mut Fields, mask: &Mask, key: &v1::Key, name: Option<&KeyName>) -> Option<KeyChanges> {
    let display_name =
        mask.change("display_name", || fields.take("display_name", DisplayName::parse(&key.display_name)));
    let holder = mask.change("owner", || fields.take("owner", holder(&key.owner)));
    let purpose = mask.change("purpose", || fields.take("purpose", Purpose::parse(&key.purpose)));
    let permissions =
        mask.change("permissions", || set(fields, "permissions", &key.permissions, PermissionPattern::parse));
    let networks = mask.change("networks", || set(fields, "networks", &key.networks, Network::parse));
    let methods = mask.change("methods", || set(fields, "methods", &key.methods, Method::parse));
    let resources = mask.change("resources", || set(fields, "resources", &key.resources, ResourcePattern::parse));
    let tenant = name.map(|name| &name.keyspace.tenant);
    let roles = mask.change("roles", || roles(fields, "roles", &key.roles, tenant));
    let metadata = mask.change("metadata", || fields.take("metadata", Metadata::from_pairs(&key.metadata)));
    let not_before =
        mask.change("not_before", || fields.take_optional("not_before", key.not_before.as_ref().map(read_time)));
    let rotation_policy =
        mask.change("rotation_policy", || rotation_policy::read(fields, key.rotation_policy.as_ref(), Whose::Key));
    let expiry = mask.change("expire_time", || match &key.expire_time {
        None => Some(ExpiryChange::Latest),
        Some(time) => fields.take("expire_time", read_time(time)).map(ExpiryChange::At),
    });
    Some(KeyChanges {
        display_name: display_name?,
        holder: holder?,
        purpose: purpose?,
        permissions: permissions?,
        networks: networks?,
        methods: methods?,
        resources: resources?,
        roles: roles?,
        metadata: metadata?,
        not_before: not_before?,
        expiry: expiry?,
        rotation_policy: rotation_policy?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::UnixMillis;
    use prost_types::{FieldMask, Timestamp};

    fn request(paths: &[&str], key: v1::Key) -> v1::UpdateKeyRequest {
        v1::UpdateKeyRequest {
            key: Some(v1::Key { name: "tenants/acme/keyspaces/live/keys/0000000000000001".to_owned(), ..key }),
            update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
            ..Default::default()
        }
    }

    /// A key of which no field is right.
    fn wrong() -> v1::Key {
        v1::Key {
            display_name: "two\nlines".to_owned(),
            owner: "shop".to_owned(),
            purpose: "x".repeat(257),
            permissions: vec!["or*ders".to_owned()],
            networks: vec!["10.0.0.1/8".to_owned()],
            methods: vec!["G E T".to_owned()],
            resources: vec!["/a/../b".to_owned()],
            metadata: [("Upper".to_owned(), String::new())].into(),
            not_before: Some(Timestamp { seconds: 0, nanos: 1 }),
            expire_time: Some(Timestamp { seconds: -1, nanos: 0 }),
            roles: vec!["tenants/other/roles/reader".to_owned()],
            rotation_policy: Some(v1::RotationPolicy { mode: 1, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named_where_the_mask_names_it_and_nowhere_else() {
        let wrong_request = v1::UpdateKeyRequest { request_id: "1".to_owned(), ..request(&["*"], wrong()) };
        let violations = read_update_key(&wrong_request).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            [
                "key.display_name",
                "key.owner",
                "key.purpose",
                "key.permissions[0]",
                "key.networks[0]",
                "key.methods[0]",
                "key.resources[0]",
                "key.roles[0]",
                "key.metadata",
                "key.not_before",
                "key.rotation_policy.risk_class",
                "key.expire_time",
                "request_id"
            ]
        );
        for field in FIELDS {
            let violations = read_update_key(&request(&[field], wrong())).unwrap_err();
            assert_eq!(violations.count(), 1, "{field}");
            assert!(violations.list()[0].field.starts_with(&format!("key.{field}")), "{field}");
        }
    }

    #[test]
    fn a_missing_key_mask_and_name_are_told_at_once() {
        let violations = read_update_key(&v1::UpdateKeyRequest::default()).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["key", "update_mask", "key.name"]);
    }

    #[test]
    fn what_is_named_and_not_set_is_cleared_and_what_is_not_named_stays() {
        let cleared = read_update_key(&request(&["*"], v1::Key::default())).unwrap().operation.changes;
        assert_eq!(cleared.expiry, Some(ExpiryChange::Latest));
        assert_eq!((cleared.not_before, cleared.holder), (Some(None), Some(latchkey_state::HolderName::None)));
        assert!(cleared.permissions.is_some_and(|permissions| permissions.is_empty()));
        let end = v1::Key {
            expire_time: Some(Timestamp { seconds: 7, nanos: 0 }),
            etag: "3-7".to_owned(),
            purpose: "not named".to_owned(),
            ..Default::default()
        };
        let moved = read_update_key(&request(&["expire_time"], end)).unwrap().operation;
        let expected = KeyChanges { expiry: Some(ExpiryChange::At(UnixMillis::new(7_000))), ..KeyChanges::default() };
        assert_eq!((moved.changes, moved.etag.as_deref()), (expected, Some("3-7")));
    }
}
