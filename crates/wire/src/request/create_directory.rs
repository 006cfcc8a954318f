//! `CreateTenant`, `CreateKeyspace`, `CreateOwner`, `CreateRole`, `CreateIdentity`.
//!
//! Output-only fields of the resource, its name and its etag are not read (AIP-203).

use super::directory_fields::{self, resource};
use super::key_details::set;
use super::mark;
use super::write::{Write, said};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{
    DisplayName, Grant, IdentityName, KeyspaceName, Method, OwnerName, PermissionPattern, RoleName, Slug, TenantName,
};
use latchkey_state::{CreateRole, KeyspaceSettings, RequestMark};

macro_rules! creation {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
            /// Set where a repeat has to get the first answer.
            pub request: Option<RequestMark>,
            /// Whether to check only.
            pub validate_only: bool,
        }
    };
}
creation!(
    /// A tenant to be made.
    CreateTenant {
        /// Its name.
        name: TenantName,
        /// What people call it.
        display_name: DisplayName,
        /// Where notices go.
        contacts: Vec<DisplayName>,
    }
);
creation!(
    /// A keyspace to be made.
    CreateKeyspace {
        /// Its name.
        name: KeyspaceName,
        /// What it chooses.
        settings: KeyspaceSettings,
    }
);
creation!(
    /// An owner to be made.
    CreateOwner {
        /// Its name.
        name: OwnerName,
        /// What people call it.
        display_name: DisplayName,
        /// Where notices go.
        contacts: Vec<DisplayName>,
    }
);
creation!(
    /// An identity to be made.
    CreateIdentity {
        /// Its name.
        name: IdentityName,
        /// What people call it.
        display_name: DisplayName,
        /// What it may do, and where.
        grants: Vec<Grant>,
    }
);

/// Reads `CreateTenant`.
///
/// # Errors
/// All violations.
pub fn read_create_tenant(request: &v1::CreateTenantRequest) -> Result<CreateTenant, FieldViolations> {
    let mut fields = Fields::default();
    let tenant = fields.take("tenant_id", Slug::parse(&request.tenant_id));
    let resource = resource(&mut fields, "tenant", request.tenant.as_ref());
    let display_name = fields.take("tenant.display_name", DisplayName::parse(&resource.display_name));
    let contacts = fields.within("tenant", |fields| directory_fields::contacts(fields, &resource.contacts));
    if resource.quotas.is_some() {
        fields.refuse("tenant.quotas", "must not be set when a tenant is made: UpdateTenant sets it");
    }
    let asked = v1::CreateTenantRequest { request_id: String::new(), ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "CreateTenant", &asked);
    let read = || {
        let name = TenantName::new(tenant?);
        let validate_only = request.validate_only;
        Some(CreateTenant { name, display_name: display_name?, contacts: contacts?, request: mark?, validate_only })
    };
    fields.finish(read())
}

/// Reads `CreateKeyspace`.
///
/// # Errors
/// All violations.
pub fn read_create_keyspace(request: &v1::CreateKeyspaceRequest) -> Result<CreateKeyspace, FieldViolations> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", TenantName::parse(&request.parent));
    let id = fields.take("keyspace_id", Slug::parse(&request.keyspace_id));
    let resource = resource(&mut fields, "keyspace", request.keyspace.as_ref());
    let settings = fields.within("keyspace", |fields| directory_fields::settings(fields, &resource));
    let asked = v1::CreateKeyspaceRequest { request_id: String::new(), ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "CreateKeyspace", &asked);
    let read = || {
        let name = KeyspaceName::new(parent?.tenant, id?);
        Some(CreateKeyspace { name, settings: settings?, request: mark?, validate_only: request.validate_only })
    };
    fields.finish(read())
}

/// Reads `CreateOwner`.
///
/// # Errors
/// All violations.
pub fn read_create_owner(request: &v1::CreateOwnerRequest) -> Result<CreateOwner, FieldViolations> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", TenantName::parse(&request.parent));
    let id = fields.take("owner_id", Slug::parse(&request.owner_id));
    let resource = resource(&mut fields, "owner", request.owner.as_ref());
    let (display_name, contacts) = fields.within("owner", |fields| {
        let display_name = fields.take("display_name", DisplayName::parse(&resource.display_name));
        (display_name, directory_fields::contacts(fields, &resource.contacts))
    });
    let asked = v1::CreateOwnerRequest { request_id: String::new(), ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "CreateOwner", &asked);
    let read = || {
        Some(CreateOwner {
            name: OwnerName::new(parent?.tenant, id?),
            display_name: display_name?,
            contacts: contacts?,
            request: mark?,
            validate_only: request.validate_only,
        })
    };
    fields.finish(read())
}

/// Reads `CreateIdentity`.
///
/// # Errors
/// All violations.
pub fn read_create_identity(request: &v1::CreateIdentityRequest) -> Result<CreateIdentity, FieldViolations> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", TenantName::parse(&request.parent));
    let id = fields.take("identity_id", Slug::parse(&request.identity_id));
    let resource = resource(&mut fields, "identity", request.identity.as_ref());
    let (display_name, grants) = fields.within("identity", |fields| {
        let display_name = fields.take("display_name", DisplayName::parse(&resource.display_name));
        (display_name, directory_fields::grants(fields, &resource.grants))
    });
    let asked = v1::CreateIdentityRequest { request_id: String::new(), ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "CreateIdentity", &asked);
    let read = || {
        Some(CreateIdentity {
            name: IdentityName::new(parent?.tenant, id?),
            display_name: display_name?,
            grants: grants?,
            request: mark?,
            validate_only: request.validate_only,
        })
    };
    fields.finish(read())
}

/// Reads `CreateRole`.
///
/// # Errors
/// All violations.
pub fn read_create_role(request: &v1::CreateRoleRequest) -> Result<Write<CreateRole>, FieldViolations> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", TenantName::parse(&request.parent));
    let id = fields.take("role_id", Slug::parse(&request.role_id));
    let role = resource(&mut fields, "role", request.role.as_ref());
    let operation = fields.within("role", |fields| {
        let display_name = fields.take("display_name", DisplayName::parse(&role.display_name));
        let permissions = set(fields, "permissions", &role.permissions, PermissionPattern::parse);
        let methods = set(fields, "methods", &role.methods, Method::parse);
        Some(CreateRole {
            name: RoleName::new(parent?.tenant, id?),
            display_name: display_name?,
            permissions: permissions?,
            methods: methods?,
        })
    });
    let asked = v1::CreateRoleRequest { request_id: String::new(), ..request.clone() };
    let write = said!("CreateRole", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

#[cfg(test)]
mod tests {
    use super::super::directory_fields::{DEAD_RETENTION_DEFAULT, GRANTS_MAX};
    use super::*;
    use prost_types::Duration;

    #[test]
    fn every_field_of_a_keyspace_that_is_wrong_is_named() {
        let wrong = v1::CreateKeyspaceRequest {
            parent: "acme".to_owned(),
            keyspace_id: "Live".to_owned(),
            keyspace: Some(v1::Keyspace {
                prefix: "acme live".to_owned(),
                environment: String::new(),
                default_lifetime: Some(Duration { seconds: 2, nanos: 0 }),
                maximum_lifetime: Some(Duration { seconds: 1, nanos: 0 }),
                staleness_max: Some(Duration { seconds: 0, nanos: 0 }),
                staleness_policy: 7,
                allowed_roles: vec!["read-only".to_owned(), "tenants/acme/roles/x".to_owned()],
                self_revocation: 7,
                networks: vec!["everywhere".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let violations = read_create_keyspace(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            [
                "parent",
                "keyspace_id",
                "keyspace.prefix",
                "keyspace.environment",
                "keyspace.allowed_roles[1]",
                "keyspace.default_lifetime",
                "keyspace.networks[0]",
                "keyspace.staleness_max",
                "keyspace.staleness_policy",
                "keyspace.self_revocation"
            ]
        );
    }

    #[test]
    fn a_keyspace_that_asks_for_no_limit_gets_none() {
        let request = v1::CreateKeyspaceRequest {
            parent: "tenants/acme".to_owned(),
            keyspace_id: "live".to_owned(),
            keyspace: Some(v1::Keyspace {
                prefix: "acme_live".to_owned(),
                environment: "production".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let read = read_create_keyspace(&request).unwrap();
        assert_eq!(read.name.to_string(), "tenants/acme/keyspaces/live");
        assert_eq!((read.settings.keys_max, read.settings.maximum_lifetime), (u64::MAX, None));
        assert_eq!((read.settings.versions_max, read.settings.metadata_bytes_max), (u64::MAX, u64::MAX));
        assert_eq!(read.settings.dead_retention, DEAD_RETENTION_DEFAULT);
        assert!(!read.settings.self_revocation_off && read.settings.allowed_roles.is_empty());
    }

    #[test]
    fn a_keyspace_gets_the_bounds_and_roles_that_it_asks_for() {
        let keyspace = v1::Keyspace {
            prefix: "acme_live".to_owned(),
            environment: "production".to_owned(),
            quotas: Some(v1::KeyspaceQuotas { keys: Some(0), metadata_bytes: Some(1), versions: Some(2) }),
            allowed_roles: ["writer", "read-only", "writer"].map(str::to_owned).into(),
            self_revocation: v1::SelfRevocation::Off.into(),
            ..Default::default()
        };
        let request = v1::CreateKeyspaceRequest {
            parent: "tenants/acme".to_owned(),
            keyspace_id: "live".to_owned(),
            keyspace: Some(keyspace),
            ..Default::default()
        };
        let settings = read_create_keyspace(&request).unwrap().settings;
        assert_eq!((settings.keys_max, settings.metadata_bytes_max, settings.versions_max), (0, 1, 2));
        assert_eq!(settings.allowed_roles.iter().map(Slug::as_str).collect::<Vec<_>>(), ["read-only", "writer"]);
        assert!(settings.self_revocation_off);
    }

    #[test]
    fn the_quotas_of_a_tenant_are_not_accepted_and_ignored() {
        let request = v1::CreateTenantRequest {
            tenant_id: "acme".to_owned(),
            tenant: Some(v1::Tenant { quotas: Some(v1::TenantQuotas::default()), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(read_create_tenant(&request).unwrap_err().list()[0].field, "tenant.quotas");
    }

    #[test]
    fn every_field_of_a_role_that_is_wrong_is_named() {
        let wrong = v1::CreateRoleRequest {
            parent: "acme".to_owned(),
            role_id: "Reader".to_owned(),
            role: Some(v1::Role {
                display_name: "two\nlines".to_owned(),
                permissions: vec!["or*ders".to_owned()],
                methods: vec!["G E T".to_owned()],
                ..Default::default()
            }),
            request_id: "1".to_owned(),
            ..Default::default()
        };
        let violations = read_create_role(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            ["parent", "role_id", "role.display_name", "role.permissions[0]", "role.methods[0]", "request_id"]
        );
    }

    #[test]
    fn a_grant_without_a_duty_and_a_grant_too_many_are_refused() {
        let request = |grants| v1::CreateIdentityRequest {
            parent: "tenants/acme".to_owned(),
            identity_id: "deployer".to_owned(),
            identity: Some(v1::Identity { grants, ..Default::default() }),
            ..Default::default()
        };
        let issuer = v1::Grant { duty: v1::Duty::Issuer.into(), scope: "tenants/acme".to_owned() };
        let violations = read_create_identity(&request(vec![v1::Grant::default()])).unwrap_err();
        assert_eq!(violations.list()[0].field, "identity.grants[0].duty");
        assert!(read_create_identity(&request(vec![issuer.clone(); GRANTS_MAX + 1])).is_err());
        assert_eq!(read_create_identity(&request(vec![issuer])).unwrap().grants[0].duty, latchkey_domain::Duty::Issuer);
    }
}
