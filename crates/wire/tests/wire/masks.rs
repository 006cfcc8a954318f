//! That an update mask takes exactly the paths that its comment names.

use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{
    read_update_identity, read_update_key, read_update_keyspace, read_update_owner, read_update_role,
    read_update_tenant,
};
use latchkey_wire::violation::FieldViolations;
use prost::Message as _;
use prost_types::{FieldMask, FileDescriptorSet};
use std::collections::BTreeSet;

/// A request, its resource, and how an update of nothing is read with a mask.
struct Update {
    request: &'static str,
    resource: &'static str,
    read: fn(Option<FieldMask>) -> Option<FieldViolations>,
}

macro_rules! update {
    ($request:ident, $resource:ident, $reader:ident) => {
        Update {
            request: stringify!($request),
            resource: stringify!($resource),
            read: |update_mask| $reader(&v1::$request { update_mask, ..Default::default() }).err(),
        }
    };
}

const UPDATES: [Update; 6] = [
    update!(UpdateKeyRequest, Key, read_update_key),
    update!(UpdateTenantRequest, Tenant, read_update_tenant),
    update!(UpdateKeyspaceRequest, Keyspace, read_update_keyspace),
    update!(UpdateOwnerRequest, Owner, read_update_owner),
    update!(UpdateRoleRequest, Role, read_update_role),
    update!(UpdateIdentityRequest, Identity, read_update_identity),
];

/// The names of the fields of a message.
fn fields_of(set: &FileDescriptorSet, message: &str) -> Vec<String> {
    let mut messages =
        set.file.iter().filter(|file| file.package() == "latchkey.v1").flat_map(|file| &file.message_type);
    let found = messages.find(|candidate| candidate.name() == message).unwrap();
    found.field.iter().map(|field| field.name().to_owned()).collect()
}

/// The paths that the comment of `update_mask` names: the words in backquotes before `*`.
fn promised(set: &FileDescriptorSet, request: &str) -> BTreeSet<String> {
    // 4 = message_type of a file, 2 = field of a message: descriptor.proto.
    let (file, at) = set
        .file
        .iter()
        .find_map(|file| Some((file, file.message_type.iter().position(|message| message.name() == request)?)))
        .unwrap();
    let field = file.message_type[at].field.iter().position(|field| field.name() == "update_mask").unwrap();
    let path = [4, i32::try_from(at).unwrap(), 2, i32::try_from(field).unwrap()];
    let comments = &file.source_code_info.as_ref().unwrap().location;
    let comment = comments.iter().find(|location| location.path == path).unwrap().leading_comments();
    let (named, _) = comment.split_once("Which fields change:").unwrap().1.split_once("`*`").unwrap();
    named.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn a_mask_takes_the_paths_that_its_comment_names_and_no_other_field() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    for Update { request, resource, read } in UPDATES {
        let promised = promised(&set, request);
        assert!(promised.len() >= 2, "{request}: {promised:?}");
        for field in fields_of(&set, resource) {
            let violations = read(Some(FieldMask { paths: vec![field.clone()] })).expect("the resource is missing");
            let refused = violations.list().iter().any(|one| one.field.starts_with("update_mask"));
            assert_eq!(refused, !promised.contains(&field), "{request}: {field}");
        }
    }
}
