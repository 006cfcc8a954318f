//! That what is wrong with a request is told without a word of it: whatever a caller sends, and wherever, may be a key
//! text that went astray, and errors are logged.

use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1;
use latchkey_wire::request as read;
use prost::Message;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use std::fmt::Debug;

const ASTRAY: &str = "acme_live_0000000000000001SECRETsecretSECRETsecretSECRETse000000";
/// Messages within messages that are filled; deeper than any request is.
const DEPTH_MAX: usize = 4;

/// A request in which every text, also in lists, maps and messages within, is the one that went astray.
fn filled(descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if descriptor.package_name() == "latchkey.v1" || descriptor.full_name() == "google.protobuf.FieldMask" {
        for field in descriptor.fields() {
            if let Some(value) = value(&field, depth) {
                message.set_field(&field, value);
            }
        }
    }
    message
}

fn value(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    if field.is_map() {
        let texts = [(MapKey::String(ASTRAY.to_owned()), Value::String(ASTRAY.to_owned()))];
        return Some(Value::Map(texts.into()));
    }
    let one = match field.kind() {
        Kind::String => Value::String(ASTRAY.to_owned()),
        Kind::Message(inner) if depth < DEPTH_MAX => Value::Message(filled(&inner, depth + 1)),
        _ => return None,
    };
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

/// The request of this type, filled.
fn request<R: Message + Default>(pool: &DescriptorPool, name: &str) -> R {
    let descriptor = pool.get_message_by_name(&format!("latchkey.v1.{name}")).unwrap();
    R::decode(filled(&descriptor, 0).encode_to_vec().as_slice()).unwrap()
}

/// What is told of a refused request.
fn told<T: Debug, E: Debug + ToString>(read: Result<T, E>) -> String {
    let error = read.expect_err("every name in it is wrong");
    format!("{error:?} {}", error.to_string())
}

macro_rules! all_told {
    ($pool:ident: $($request:ident => $reader:ident,)+) => {
        vec![$((stringify!($request), told(read::$reader(&request::<v1::$request>(&$pool, stringify!($request)))))),+]
    };
}

#[test]
fn no_reader_echoes_a_text_of_its_request() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let all = all_told! { pool:
        CreateKeyRequest => read_create_key,
        BatchCreateKeysRequest => read_batch_create_keys,
        ListKeysRequest => read_list_keys,
        UpdateKeyRequest => read_update_key,
        SuspendKeyRequest => read_suspend_key,
        ResumeKeyRequest => read_resume_key,
        RestrictKeyRequest => read_restrict_key,
        RevokeKeyRequest => read_revoke_key,
        RevokeKeyRequest => read_self_revocation,
        RevokeKeysRequest => read_revoke_keys,
        RotateKeyRequest => read_rotate_key,
        PrepareStandbyRequest => read_prepare_standby,
        CompleteRotationRequest => read_complete_rotation,
        CancelRotationRequest => read_cancel_rotation,
        RollBackRotationRequest => read_roll_back_rotation,
        HoldRotationRequest => read_hold_rotation,
        ResumeRotationRequest => read_resume_rotation,
        ListRotationsRequest => read_list_rotations,
        ListDueRotationsRequest => read_list_due_rotations,
        CreateTenantRequest => read_create_tenant,
        CreateKeyspaceRequest => read_create_keyspace,
        CreateOwnerRequest => read_create_owner,
        CreateRoleRequest => read_create_role,
        CreateIdentityRequest => read_create_identity,
        UpdateTenantRequest => read_update_tenant,
        UpdateKeyspaceRequest => read_update_keyspace,
        UpdateOwnerRequest => read_update_owner,
        UpdateRoleRequest => read_update_role,
        UpdateIdentityRequest => read_update_identity,
        DeleteTenantRequest => read_delete_tenant,
        DeleteKeyspaceRequest => read_delete_keyspace,
        DeleteOwnerRequest => read_delete_owner,
        DeleteRoleRequest => read_delete_role,
        DeleteIdentityRequest => read_delete_identity,
        ListTenantsRequest => read_list_tenants,
        ListKeyspacesRequest => read_list_keyspaces,
        ListOwnersRequest => read_list_owners,
        ListRolesRequest => read_list_roles,
        ListIdentitiesRequest => read_list_identities,
        ValidateKeyRequest => read_validate_key,
        ExplainValidationRequest => read_explain_validation,
        ListEntriesRequest => read_list_entries,
        WatchEntriesRequest => read_watch_entries,
    };
    for (request, told) in all {
        let words = ["SECRET", "secret", "acme_live", "0000000000000001"];
        assert!(!words.iter().any(|word| told.contains(word)), "{request}: {told}");
    }
    let item: v1::StreamValidateKeysRequest = request(&pool, "StreamValidateKeysRequest");
    let item = format!("{:?}", read::read_stream_item(&item).request);
    assert!(!item.contains("SECRET"), "{item}");
}
