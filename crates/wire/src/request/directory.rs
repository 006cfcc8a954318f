//! `CreateTenant`, `CreateKeyspace`, `CreateOwner`, `CreateIdentity`.
//!
//! Output-only fields of the resource, and its name, are not read (AIP-203).

use super::key_details::{positive_span, set};
use super::mark;
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use crate::words;
use latchkey_domain::{
    DisplayName, DurationMillis, Environment, Grant, IdentityName, KeyspaceName, Network, OwnerName, PermissionPattern,
    Prefix, Scope, Slug, TenantName,
};
use latchkey_state::{KeyspaceSettings, RequestMark, StalenessPolicy};

/// Grants of one identity.
pub const GRANTS_MAX: usize = 32;
/// Contacts of one owner.
pub const OWNER_CONTACTS_MAX: usize = 16;
/// How long dead keys of a keyspace stay readable that says nothing of it.
pub const DEAD_RETENTION_DEFAULT: DurationMillis = DurationMillis::from_days(90);

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
    let asked = v1::CreateTenantRequest { request_id: String::new(), ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "CreateTenant", &asked);
    let read = || {
        let name = TenantName::new(tenant?);
        let validate_only = request.validate_only;
        Some(CreateTenant { name, display_name: display_name?, request: mark?, validate_only })
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
    let settings = fields.within("keyspace", |fields| read_settings(fields, &resource));
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
    let display_name = fields.take("owner.display_name", DisplayName::parse(&resource.display_name));
    let contacts =
        list(&mut fields, "owner.contacts", &resource.contacts, OWNER_CONTACTS_MAX, |fields, at, contact| {
            let field = format!("owner.contacts[{at}]");
            if contact.is_empty() {
                fields.refuse(&field, "must not be empty");
            }
            fields.take(&field, DisplayName::parse(contact))
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
    let display_name = fields.take("identity.display_name", DisplayName::parse(&resource.display_name));
    let grants = list(&mut fields, "identity.grants", &resource.grants, GRANTS_MAX, |fields, at, grant| {
        let duty = fields.take(&format!("identity.grants[{at}].duty"), words::duty(grant.duty));
        let scope = fields.take(&format!("identity.grants[{at}].scope"), Scope::parse(&grant.scope));
        Some(Grant { duty: duty?, scope: scope? })
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

fn read_settings(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<KeyspaceSettings> {
    let display_name = fields.take("display_name", DisplayName::parse(&keyspace.display_name));
    let prefix = fields.take("prefix", Prefix::parse(&keyspace.prefix));
    let environment = fields.take("environment", Environment::parse(&keyspace.environment));
    let allowed = set(fields, "allowed_permissions", &keyspace.allowed_permissions, PermissionPattern::parse);
    let default_lifetime = optional_span(fields, "default_lifetime", keyspace.default_lifetime.as_ref());
    let maximum_lifetime = optional_span(fields, "maximum_lifetime", keyspace.maximum_lifetime.as_ref());
    if let (Some(Some(default)), Some(Some(maximum))) = (default_lifetime, maximum_lifetime)
        && default > maximum
    {
        fields.refuse("default_lifetime", format_args!("{default} is longer than the maximum_lifetime, {maximum}"));
    }
    let networks = set(fields, "networks", &keyspace.networks, Network::parse);
    let staleness_max = optional_span(fields, "staleness_max", keyspace.staleness_max.as_ref());
    let staleness_policy = match keyspace.staleness_policy {
        0 => Some(StalenessPolicy::Refuse),
        number => fields.take("staleness_policy", words::staleness_policy(number)),
    };
    let dead_retention = optional_span(fields, "dead_retention", keyspace.dead_retention.as_ref());
    Some(KeyspaceSettings {
        display_name: display_name?,
        prefix: prefix?,
        environment: environment?,
        allowed_permissions: allowed?,
        default_lifetime: default_lifetime?,
        maximum_lifetime: maximum_lifetime?,
        networks: networks?,
        staleness_max: staleness_max?,
        staleness_policy: staleness_policy?,
        dead_retention: dead_retention?.unwrap_or(DEAD_RETENTION_DEFAULT),
        keys_max: keyspace.quotas.and_then(|quotas| quotas.keys).unwrap_or(u64::MAX),
    })
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn optional_span(
    fields: &mut Fields,
    field: &str,
    span: Option<&prost_types::Duration>,
) -> Option<Option<DurationMillis>> {
    match span {
        None => Some(None),
        Some(span) => positive_span(fields, field, span).map(Some),
    }
}

/// The resource to be made; an empty one where it is missing, whose mistakes are then told as well.
fn resource<T: Clone + Default>(fields: &mut Fields, field: &str, resource: Option<&T>) -> T {
    if resource.is_none() {
        fields.refuse(field, "must be set");
    }
    resource.cloned().unwrap_or_default()
}

/// Reads a bounded list, item by item.
fn list<T, R>(
    fields: &mut Fields,
    field: &str,
    items: &[T],
    max: usize,
    mut read: impl FnMut(&mut Fields, usize, &T) -> Option<R>,
) -> Option<Vec<R>> {
    if items.len() > max {
        fields.refuse(field, format_args!("{} items, at most {max} are allowed", items.len()));
        return None;
    }
    // Each is read, also after one that was wrong.
    let read: Vec<Option<R>> = items.iter().enumerate().map(|(at, item)| read(fields, at, item)).collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
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
                "keyspace.default_lifetime",
                "keyspace.networks[0]",
                "keyspace.staleness_max",
                "keyspace.staleness_policy"
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
        assert_eq!(read.settings.dead_retention, DEAD_RETENTION_DEFAULT);
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
