//! Making roles, and deleting records of the directory.

use super::{read_etag, write_etag};
use crate::disk::parts::{read_methods, read_permissions, texts};
use crate::disk::{DecodeError, parsed, required};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{DisplayName, IdentityName, KeyspaceName, OwnerName, RoleName, TenantName, TenantNumber};
use latchkey_state::{CreateRole, Delete, DirectoryName};

pub(super) fn write_create_role(operation: &CreateRole) -> disk::CreateRole {
    disk::CreateRole {
        name: operation.name.to_string(),
        display_name: operation.display_name.to_string(),
        permissions: texts(operation.permissions.iter()),
        methods: texts(operation.methods.iter()),
    }
}

pub(super) fn read_create_role(operation: &disk::CreateRole) -> Result<CreateRole, DecodeError> {
    Ok(CreateRole {
        name: parsed(RoleName::parse(&operation.name), "name")?,
        display_name: parsed(DisplayName::parse(&operation.display_name), "display_name")?,
        permissions: read_permissions(&operation.permissions, "permissions")?,
        methods: read_methods(&operation.methods, "methods")?,
    })
}

pub(super) fn write_delete(operation: &Delete) -> disk::Delete {
    use disk::delete::Name;
    let name = match &operation.name {
        DirectoryName::Tenant(name) => Name::Tenant(name.to_string()),
        DirectoryName::Keyspace(name) => Name::Keyspace(name.to_string()),
        DirectoryName::Owner(name) => Name::Owner(name.to_string()),
        DirectoryName::Role(name) => Name::Role(name.to_string()),
        DirectoryName::Identity(name) => Name::Identity(name.to_string()),
    };
    let etag = write_etag(operation.etag.as_deref());
    let number = operation.number.map(|number| number.0);
    disk::Delete { name: Some(name), etag, destroy: operation.destroy, number }
}

pub(super) fn read_delete(operation: &disk::Delete) -> Result<Delete, DecodeError> {
    use disk::delete::Name;
    let name = match required(operation.name.as_ref(), "name")? {
        Name::Tenant(name) => DirectoryName::Tenant(parsed(TenantName::parse(name), "tenant")?),
        Name::Keyspace(name) => DirectoryName::Keyspace(parsed(KeyspaceName::parse(name), "keyspace")?),
        Name::Owner(name) => DirectoryName::Owner(parsed(OwnerName::parse(name), "owner")?),
        Name::Role(name) => DirectoryName::Role(parsed(RoleName::parse(name), "role")?),
        Name::Identity(name) => DirectoryName::Identity(parsed(IdentityName::parse(name), "identity")?),
    };
    let etag = read_etag(operation.etag.as_ref());
    Ok(Delete { name, etag, destroy: operation.destroy, number: operation.number.map(TenantNumber) })
}
