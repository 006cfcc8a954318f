//! `DeleteTenant`, `DeleteKeyspace`, `DeleteOwner`, `DeleteRole`, `DeleteIdentity`.

use super::write::{Write, etag, said};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{IdentityName, KeyspaceName, OwnerName, RoleName, TenantName, TenantNumber};
use latchkey_state::{Delete, DirectoryName};

/// Only the data of a tenant is destroyed as a whole.
macro_rules! destroys {
    (Tenant, $request:ident) => {
        ($request.destroy, $request.number.map(TenantNumber))
    };
    ($kind:ident, $request:ident) => {
        (false, None)
    };
}

macro_rules! read_delete {
    ($($reader:ident, $request:ident, $name:ident, $kind:ident, $method:literal;)+) => {$(
        #[doc = concat!("Reads `", $method, "`.")]
        ///
        /// # Errors
        /// All violations.
        pub fn $reader(request: &v1::$request) -> Result<Write<Delete>, FieldViolations> {
            let mut fields = Fields::default();
            let name = fields.take("name", $name::parse(&request.name));
            let (destroy, number) = destroys!($kind, request);
            let etag = etag(&request.etag);
            let operation = name.map(|name| Delete { name: DirectoryName::$kind(name), etag, destroy, number });
            let asked = v1::$request { request_id: String::new(), ..request.clone() };
            let write = said!($method, request).read(&mut fields, &asked, || operation);
            fields.finish(write)
        }
    )+};
}
read_delete! {
    read_delete_tenant, DeleteTenantRequest, TenantName, Tenant, "DeleteTenant";
    read_delete_keyspace, DeleteKeyspaceRequest, KeyspaceName, Keyspace, "DeleteKeyspace";
    read_delete_owner, DeleteOwnerRequest, OwnerName, Owner, "DeleteOwner";
    read_delete_role, DeleteRoleRequest, RoleName, Role, "DeleteRole";
    read_delete_identity, DeleteIdentityRequest, IdentityName, Identity, "DeleteIdentity";
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST_ID: &str = "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51";

    #[test]
    fn a_name_of_another_kind_and_a_request_id_that_is_none_are_told_at_once() {
        let request = v1::DeleteOwnerRequest {
            name: "tenants/acme/roles/reader".to_owned(),
            request_id: "1".to_owned(),
            ..Default::default()
        };
        let violations = read_delete_owner(&request).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["name", "request_id"]);
        assert!(read_delete_tenant(&v1::DeleteTenantRequest::default()).is_err());
    }

    #[test]
    fn the_deletions_of_an_owner_and_of_a_role_are_two_requests() {
        let owner = v1::DeleteOwnerRequest {
            name: "tenants/acme/owners/shop".to_owned(),
            etag: "n3".to_owned(),
            request_id: REQUEST_ID.to_owned(),
            ..Default::default()
        };
        let role = v1::DeleteRoleRequest {
            name: "tenants/acme/roles/shop".to_owned(),
            etag: "n3".to_owned(),
            request_id: REQUEST_ID.to_owned(),
            ..Default::default()
        };
        let (owner, role) = (read_delete_owner(&owner).unwrap(), read_delete_role(&role).unwrap());
        assert_eq!(owner.operation.etag.as_deref(), Some("n3"));
        assert!(matches!(role.operation.name, DirectoryName::Role(_)));
        assert_ne!(owner.request.unwrap().hash, role.request.unwrap().hash);
    }
}
