//! Requests that are right. A test takes one and changes what it is about.

use latchkey_wire::pb::v1;
use prost_types::Duration;

/// The keyspace of most tests.
pub const KEYSPACE: &str = "tenants/acme/keyspaces/orders";
/// The keyspace of management keys.
pub const MANAGEMENT: &str = "tenants/system/keyspaces/management";
/// An owner of the tenant of [`KEYSPACE`].
pub const OWNER: &str = "tenants/acme/owners/shop";

/// A UUID for `request_id`, another for each `number`.
#[must_use]
pub fn request_id(number: u32) -> String {
    format!("6f1c6f0e-8a53-4c55-9c7b-0000{number:08x}")
}

/// Whole seconds.
#[must_use]
pub fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// A replica to add, which nobody starts.
#[must_use]
pub fn replica(id: u64) -> v1::AddReplicaRequest {
    let address = |port: u16| format!("replica-{id}.invalid:{port}");
    let (address, raft_address) = (address(7_720), address(7_721));
    v1::AddReplicaRequest { id, region: "spare".to_owned(), address, raft_address, ..Default::default() }
}

/// A tenant.
#[must_use]
pub fn tenant(id: &str) -> v1::CreateTenantRequest {
    let tenant = Some(v1::Tenant::default());
    v1::CreateTenantRequest { tenant_id: id.to_owned(), tenant, ..Default::default() }
}

/// A keyspace that allows `orders:*`.
#[must_use]
pub fn keyspace(tenant: &str, id: &str, prefix: &str) -> v1::CreateKeyspaceRequest {
    v1::CreateKeyspaceRequest {
        parent: format!("tenants/{tenant}"),
        keyspace_id: id.to_owned(),
        keyspace: Some(v1::Keyspace {
            prefix: prefix.to_owned(),
            environment: "production".to_owned(),
            allowed_permissions: vec!["orders:*".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// An owner.
#[must_use]
pub fn owner(tenant: &str, id: &str) -> v1::CreateOwnerRequest {
    v1::CreateOwnerRequest {
        parent: format!("tenants/{tenant}"),
        owner_id: id.to_owned(),
        owner: Some(v1::Owner::default()),
        ..Default::default()
    }
}

/// An identity with grants.
#[must_use]
pub fn identity(tenant: &str, id: &str, grants: &[(v1::Duty, &str)]) -> v1::CreateIdentityRequest {
    let grants = grants.iter().map(|(duty, scope)| v1::Grant { duty: (*duty).into(), scope: (*scope).to_owned() });
    v1::CreateIdentityRequest {
        parent: format!("tenants/{tenant}"),
        identity_id: id.to_owned(),
        identity: Some(v1::Identity { grants: grants.collect(), ..Default::default() }),
        ..Default::default()
    }
}

/// A management key of an identity.
#[must_use]
pub fn management_key(identity: &str) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest { parent: MANAGEMENT.to_owned(), owner: identity.to_owned(), ..Default::default() }
}

/// A key of [`KEYSPACE`] that permits `orders:read`.
#[must_use]
pub fn key() -> v1::CreateKeyRequest {
    v1::CreateKeyRequest {
        parent: KEYSPACE.to_owned(),
        owner: OWNER.to_owned(),
        permissions: vec!["orders:read".to_owned()],
        ..Default::default()
    }
}

/// A batch of such keys.
#[must_use]
pub fn keys(count: usize) -> v1::BatchCreateKeysRequest {
    let item = v1::CreateKeyRequest { parent: String::new(), ..key() };
    v1::BatchCreateKeysRequest { parent: KEYSPACE.to_owned(), requests: vec![item; count], ..Default::default() }
}

/// Declares two forms of foreign key texts in a keyspace: `unkey`, hashed whole, and `seam`, hashed by the last part.
#[must_use]
pub fn declare_formats(keyspace: &str) -> v1::UpdateKeyspaceRequest {
    let base58 =
        |length_min, length_max| v1::ImportPart { alphabet: v1::ImportAlphabet::Base58.into(), length_min, length_max };
    let format = |id: &str, digest: v1::ImportDigest, prefix: &str, parts| v1::ImportFormat {
        id: id.to_owned(),
        digest: digest.into(),
        prefix: prefix.to_owned(),
        parts,
    };
    let import_formats = vec![
        format("unkey", v1::ImportDigest::Sha256OfText, "unkey_live_", vec![base58(22, 24)]),
        format("seam", v1::ImportDigest::Sha256OfLastPart, "mycompany_", vec![base58(8, 8), base58(22, 24)]),
    ];
    v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: keyspace.to_owned(), import_formats, ..Default::default() }),
        update_mask: mask(&["import_formats"]),
        ..Default::default()
    }
}

/// A foreign text of the format `unkey`, another for each `number`.
#[must_use]
pub fn foreign_text(number: u32) -> String {
    let digits: String = format!("{number:08}").chars().map(|digit| if digit == '0' { 'z' } else { digit }).collect();
    format!("unkey_live_3ZZ7ABCDEFGHJK{digits}")
}

/// A row for that text, by value, whose key permits `orders:read`.
#[must_use]
pub fn key_to_import(number: u32) -> v1::ImportedKey {
    v1::ImportedKey {
        format: "unkey".to_owned(),
        material: Some(v1::imported_key::Material::KeyText(foreign_text(number))),
        start: "unkey_live_3ZZ7".to_owned(),
        source_id: format!("key_{number}"),
        permissions: vec!["orders:read".to_owned()],
        ..Default::default()
    }
}

/// A batch for [`KEYSPACE`].
#[must_use]
pub fn import(keys: Vec<v1::ImportedKey>) -> v1::ImportKeysRequest {
    v1::ImportKeysRequest { parent: KEYSPACE.to_owned(), keys, ..Default::default() }
}

/// Revokes a key or version.
#[must_use]
pub fn revoke(name: &str) -> v1::RevokeKeyRequest {
    v1::RevokeKeyRequest {
        name: name.to_owned(),
        reason: v1::RevocationReason::Compromised.into(),
        ..Default::default()
    }
}

/// Gives a key a new version.
#[must_use]
pub fn rotate(name: &str) -> v1::RotateKeyRequest {
    v1::RotateKeyRequest { name: name.to_owned(), ..Default::default() }
}

/// Suspends a key.
#[must_use]
pub fn suspend(name: &str) -> v1::SuspendKeyRequest {
    v1::SuspendKeyRequest { name: name.to_owned(), ..Default::default() }
}

/// Resumes a key.
#[must_use]
pub fn resume(name: &str) -> v1::ResumeKeyRequest {
    v1::ResumeKeyRequest { name: name.to_owned(), ..Default::default() }
}

/// Lets a key do nothing for an hour.
#[must_use]
pub fn restrict(name: &str) -> v1::RestrictKeyRequest {
    v1::RestrictKeyRequest {
        name: name.to_owned(),
        permissions: Some(v1::PermissionList::default()),
        end: seconds(3_600).map(v1::restrict_key_request::End::Duration),
        ..Default::default()
    }
}

/// Revokes what matches a filter in [`KEYSPACE`].
#[must_use]
pub fn revoke_matching(filter: &str) -> v1::RevokeKeysRequest {
    let selection = v1::revoke_keys_request::Selection {
        parent: KEYSPACE.to_owned(),
        filter: filter.to_owned(),
        ..Default::default()
    };
    v1::RevokeKeysRequest {
        target: Some(v1::revoke_keys_request::Target::Selection(selection)),
        reason: v1::RevocationReason::Compromised.into(),
        ..Default::default()
    }
}

/// Revokes all keys of a scope.
#[must_use]
pub fn revoke_scope(scope: &str) -> v1::RevokeKeysRequest {
    v1::RevokeKeysRequest {
        target: Some(v1::revoke_keys_request::Target::Scope(scope.to_owned())),
        reason: v1::RevocationReason::Compromised.into(),
        ..Default::default()
    }
}

/// A role that permits `orders:write`.
#[must_use]
pub fn role(tenant: &str, id: &str) -> v1::CreateRoleRequest {
    v1::CreateRoleRequest {
        parent: format!("tenants/{tenant}"),
        role_id: id.to_owned(),
        role: Some(v1::Role { permissions: vec!["orders:write".to_owned()], ..Default::default() }),
        ..Default::default()
    }
}

/// The fields that an update changes.
#[must_use]
pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().copied().map(str::to_owned).collect() })
}

/// Asks whether a key permits `orders:read`.
#[must_use]
pub fn validate(key_text: &str) -> v1::ValidateKeyRequest {
    v1::ValidateKeyRequest {
        key_text: key_text.to_owned(),
        permission_query: "orders:read".to_owned(),
        ..Default::default()
    }
}

/// Reports three requests with a version.
#[must_use]
pub fn report(version: &str) -> v1::ReportUsageRequest {
    let report = v1::UsageReport {
        version: version.to_owned(),
        request_count: Some(3),
        status: Some(200),
        ..Default::default()
    };
    v1::ReportUsageRequest { reports: vec![report], ..Default::default() }
}

/// Lists the keys of a keyspace.
#[must_use]
pub fn list_keys(parent: &str) -> v1::ListKeysRequest {
    v1::ListKeysRequest { parent: parent.to_owned(), ..Default::default() }
}

/// Denies a key on one replica.
#[must_use]
pub fn deny_locally(name: &str, then: v1::local_denial::FollowUp) -> v1::DenyKeyLocallyRequest {
    v1::DenyKeyLocallyRequest {
        name: name.to_owned(),
        reason: v1::RevocationReason::Compromised.into(),
        reason_text: "found in a paste".to_owned(),
        then: then.into(),
    }
}
