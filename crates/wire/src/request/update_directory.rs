//! `UpdateTenant`, `UpdateKeyspace`, `UpdateOwner`, `UpdateRole`, `UpdateIdentity`.

use super::directory_fields::{self as read, resource};
use super::key_details::set;
use super::mask::{self, Mask};
use super::write::{Write, etag, said};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{
    DisplayName, IdentityName, KeyspaceName, Method, OwnerName, PermissionPattern, RoleName, TenantName,
};
use latchkey_state::{
    IdentityChanges, KeyspaceChanges, OwnerChanges, RoleChanges, StalenessPolicy, TenantChanges, UpdateIdentity,
    UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant,
};

/// The fields of a keyspace that can change. Prefix and environment never do.
const KEYSPACE_FIELDS: &[&str] = &[
    "display_name",
    "allowed_permissions",
    "allowed_roles",
    "default_lifetime",
    "maximum_lifetime",
    "networks",
    "staleness_max",
    "staleness_policy",
    "last_known_max",
    "dead_retention",
    "quotas",
    "self_revocation",
    "import_formats",
    "rotation_policy",
    "access_sample_ppm",
    "expiry_notices",
];

/// Reads `UpdateTenant`.
///
/// # Errors
/// All violations.
pub fn read_update_tenant(request: &v1::UpdateTenantRequest) -> Result<Write<UpdateTenant>, FieldViolations> {
    let mut fields = Fields::default();
    let tenant = resource(&mut fields, "tenant", request.tenant.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), &["display_name", "quotas", "contacts"]);
    let operation = fields.within("tenant", |fields| {
        let name = fields.take("name", TenantName::parse(&tenant.name));
        let display_name = display_name(fields, &mask, &tenant.display_name);
        let quotas = mask.change("quotas", || read::tenant_quotas(fields, tenant.quotas));
        let contacts = mask.change("contacts", || read::contacts(fields, &tenant.contacts));
        let changes = TenantChanges { display_name: display_name?, quotas: quotas?, contacts: contacts? };
        Some(UpdateTenant { name: name?, changes, etag: etag(&tenant.etag) })
    });
    let asked = v1::UpdateTenantRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateTenant", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

/// Reads `UpdateKeyspace`.
///
/// # Errors
/// All violations.
pub fn read_update_keyspace(request: &v1::UpdateKeyspaceRequest) -> Result<Write<UpdateKeyspace>, FieldViolations> {
    let mut fields = Fields::default();
    let keyspace = resource(&mut fields, "keyspace", request.keyspace.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), KEYSPACE_FIELDS);
    let operation = fields.within("keyspace", |fields| {
        let name = fields.take("name", KeyspaceName::parse(&keyspace.name));
        let changes = keyspace_changes(fields, &mask, &keyspace);
        Some(UpdateKeyspace { name: name?, changes: changes?, etag: etag(&keyspace.etag) })
    });
    let asked = v1::UpdateKeyspaceRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateKeyspace", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

fn keyspace_changes(fields: &mut Fields, mask: &Mask, keyspace: &v1::Keyspace) -> Option<KeyspaceChanges> {
    let display_name = display_name(fields, mask, &keyspace.display_name);
    let allowed_permissions = mask.change("allowed_permissions", || read::allowed_permissions(fields, keyspace));
    let allowed_roles = mask.change("allowed_roles", || read::allowed_roles(fields, keyspace));
    let default_lifetime = mask.change("default_lifetime", || read::default_lifetime(fields, keyspace));
    let maximum_lifetime = mask.change("maximum_lifetime", || read::maximum_lifetime(fields, keyspace));
    read::check_lifetimes(fields, default_lifetime.flatten().flatten(), maximum_lifetime.flatten().flatten());
    let networks = mask.change("networks", || read::networks(fields, keyspace));
    let staleness_max = mask.change("staleness_max", || read::staleness_max(fields, keyspace));
    let staleness_policy = staleness_policy(fields, mask, keyspace);
    let dead_retention = mask.change("dead_retention", || read::dead_retention(fields, keyspace));
    let self_revocation_off = mask.change("self_revocation", || read::self_revocation_off(fields, keyspace));
    let import_formats = mask.change("import_formats", || read::import_formats(fields, keyspace));
    let rotation_policy = mask.change("rotation_policy", || read::rotation_policy(fields, keyspace));
    let access_sample_ppm = mask.change("access_sample_ppm", || read::access_sample_ppm(fields, keyspace));
    let expiry_notices = mask.change("expiry_notices", || read::expiry_notices(fields, keyspace));
    let quotas = mask.names("quotas").then(|| read::keyspace_quotas(keyspace));
    Some(KeyspaceChanges {
        display_name: display_name?,
        allowed_permissions: allowed_permissions?,
        allowed_roles: allowed_roles?,
        default_lifetime: default_lifetime?,
        maximum_lifetime: maximum_lifetime?,
        networks: networks?,
        staleness_max: staleness_max?,
        staleness_policy: staleness_policy?,
        dead_retention: dead_retention?,
        keys_max: quotas.as_ref().map(|quotas| quotas.keys_max),
        versions_max: quotas.as_ref().map(|quotas| quotas.versions_max),
        metadata_bytes_max: quotas.as_ref().map(|quotas| quotas.metadata_bytes_max),
        self_revocation_off: self_revocation_off?,
        import_formats: import_formats?,
        rotation_policy: rotation_policy?,
        access_sample_ppm: access_sample_ppm?,
        expiry_notices: expiry_notices?,
    })
}

/// A policy and its span change together: with one of them alone, nobody could say what the other was meant to be.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn staleness_policy(fields: &mut Fields, mask: &Mask, keyspace: &v1::Keyspace) -> Option<Option<StalenessPolicy>> {
    let is_last_known = keyspace.staleness_policy() == v1::StalenessPolicy::LastKnown;
    let is_half = match (mask.names("staleness_policy"), mask.names("last_known_max")) {
        (true, false) => is_last_known,
        (false, names_max) => names_max,
        (true, true) => false,
    };
    if is_half {
        fields.refuse("last_known_max", "changes together with `staleness_policy`: name both in the mask");
        return None;
    }
    // What the mask does not name is not there.
    let last_known_max = keyspace.last_known_max.filter(|_| mask.names("last_known_max"));
    let keyspace = v1::Keyspace { staleness_policy: keyspace.staleness_policy, last_known_max, ..Default::default() };
    mask.change("staleness_policy", || read::staleness_policy(fields, &keyspace))
}

/// Reads `UpdateOwner`.
///
/// # Errors
/// All violations.
pub fn read_update_owner(request: &v1::UpdateOwnerRequest) -> Result<Write<UpdateOwner>, FieldViolations> {
    let mut fields = Fields::default();
    let owner = resource(&mut fields, "owner", request.owner.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), &["display_name", "contacts"]);
    let operation = fields.within("owner", |fields| {
        let name = fields.take("name", OwnerName::parse(&owner.name));
        let display_name = display_name(fields, &mask, &owner.display_name);
        let contacts = mask.change("contacts", || read::contacts(fields, &owner.contacts));
        let changes = OwnerChanges { display_name: display_name?, contacts: contacts? };
        Some(UpdateOwner { name: name?, changes, etag: etag(&owner.etag) })
    });
    let asked = v1::UpdateOwnerRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateOwner", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

/// Reads `UpdateRole`. A role has no etag that may be set, since it is shown only.
///
/// # Errors
/// All violations.
pub fn read_update_role(request: &v1::UpdateRoleRequest) -> Result<Write<UpdateRole>, FieldViolations> {
    let mut fields = Fields::default();
    let role = resource(&mut fields, "role", request.role.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), &["display_name", "permissions", "methods"]);
    let operation = fields.within("role", |fields| {
        let name = fields.take("name", RoleName::parse(&role.name));
        let display_name = display_name(fields, &mask, &role.display_name);
        let permissions =
            mask.change("permissions", || set(fields, "permissions", &role.permissions, PermissionPattern::parse));
        let methods = mask.change("methods", || set(fields, "methods", &role.methods, Method::parse));
        let changes = RoleChanges { display_name: display_name?, permissions: permissions?, methods: methods? };
        Some(UpdateRole { name: name?, changes, etag: etag(&role.etag) })
    });
    let asked = v1::UpdateRoleRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateRole", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

/// Reads `UpdateIdentity`.
///
/// # Errors
/// All violations.
pub fn read_update_identity(request: &v1::UpdateIdentityRequest) -> Result<Write<UpdateIdentity>, FieldViolations> {
    let mut fields = Fields::default();
    let identity = resource(&mut fields, "identity", request.identity.as_ref());
    let mask = mask::read(&mut fields, request.update_mask.as_ref(), &["display_name", "grants"]);
    let operation = fields.within("identity", |fields| {
        let name = fields.take("name", IdentityName::parse(&identity.name));
        let display_name = display_name(fields, &mask, &identity.display_name);
        let grants = mask.change("grants", || read::grants(fields, &identity.grants));
        let changes = IdentityChanges { display_name: display_name?, grants: grants? };
        Some(UpdateIdentity { name: name?, changes, etag: etag(&identity.etag) })
    });
    let asked = v1::UpdateIdentityRequest { request_id: String::new(), ..request.clone() };
    let write = said!("UpdateIdentity", request).read(&mut fields, &asked, || operation);
    fields.finish(write)
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn display_name(fields: &mut Fields, mask: &Mask, text: &str) -> Option<Option<DisplayName>> {
    mask.change("display_name", || fields.take("display_name", DisplayName::parse(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{DurationMillis, LastKnownMax};
    use latchkey_state::TenantQuotas;
    use prost_types::{Duration, FieldMask};

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
    }

    fn named(violations: &FieldViolations) -> Vec<&str> {
        violations.list().iter().map(|one| one.field.as_str()).collect()
    }

    fn keyspace(paths: &[&str], keyspace: v1::Keyspace) -> v1::UpdateKeyspaceRequest {
        v1::UpdateKeyspaceRequest {
            keyspace: Some(v1::Keyspace { name: "tenants/acme/keyspaces/live".to_owned(), ..keyspace }),
            update_mask: mask(paths),
            ..Default::default()
        }
    }

    #[test]
    fn every_field_of_a_keyspace_that_is_wrong_is_named_where_the_mask_names_it() {
        let zero = Some(Duration::default());
        let wrong = || v1::Keyspace {
            display_name: "two\nlines".to_owned(),
            allowed_permissions: vec!["or*ders".to_owned()],
            allowed_roles: vec!["Reader".to_owned()],
            default_lifetime: zero,
            maximum_lifetime: zero,
            networks: vec!["everywhere".to_owned()],
            staleness_max: zero,
            staleness_policy: 7,
            dead_retention: zero,
            self_revocation: 7,
            ..Default::default()
        };
        let violations = read_update_keyspace(&keyspace(&["*"], wrong())).unwrap_err();
        assert_eq!(
            named(&violations),
            [
                "keyspace.display_name",
                "keyspace.allowed_permissions[0]",
                "keyspace.allowed_roles[0]",
                "keyspace.default_lifetime",
                "keyspace.maximum_lifetime",
                "keyspace.networks[0]",
                "keyspace.staleness_max",
                "keyspace.staleness_policy",
                "keyspace.dead_retention",
                "keyspace.self_revocation"
            ]
        );
        assert!(read_update_keyspace(&keyspace(&["quotas"], wrong())).is_ok());
        for immutable in ["prefix", "environment", "name", "create_time", "quotas.keys"] {
            let violations = read_update_keyspace(&keyspace(&[immutable], v1::Keyspace::default())).unwrap_err();
            assert_eq!(named(&violations), ["update_mask.paths[0]"], "{immutable}");
        }
    }

    #[test]
    fn a_staleness_policy_changes_together_with_its_span() {
        let of = |policy: v1::StalenessPolicy, seconds: Option<i64>| v1::Keyspace {
            staleness_policy: policy.into(),
            last_known_max: seconds.map(|seconds| Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        let (both, policy, span) =
            (&["staleness_policy", "last_known_max"][..], &["staleness_policy"][..], &["last_known_max"][..]);
        let (refuse, last_known) = (v1::StalenessPolicy::Refuse, v1::StalenessPolicy::LastKnown);
        let read = |paths: &[&str], of| read_update_keyspace(&keyspace(paths, of)).map(|read| read.operation.changes);
        for (paths, wrong) in [
            (policy, of(last_known, Some(60))),
            (span, of(last_known, Some(60))),
            (span, of(refuse, None)),
            (both, of(last_known, None)),
            (both, of(last_known, Some(0))),
            (both, of(last_known, Some(901))),
            (both, of(refuse, Some(60))),
            (&["*"], of(refuse, Some(60))),
        ] {
            let violations = read(paths, wrong).unwrap_err();
            assert_eq!(named(&violations), ["keyspace.last_known_max"], "{paths:?} {violations}");
        }
        let max = LastKnownMax::new(DurationMillis::from_secs(60)).unwrap();
        let changes = read(both, of(last_known, Some(60))).unwrap();
        assert_eq!(changes.staleness_policy, Some(StalenessPolicy::LastKnown(max)));
        for (paths, of) in [(policy, of(refuse, None)), (policy, of(refuse, Some(60))), (both, of(refuse, None))] {
            assert_eq!(read(paths, of).unwrap().staleness_policy, Some(StalenessPolicy::Refuse), "{paths:?}");
        }
    }

    #[test]
    fn lifetimes_that_contradict_each_other_are_told_where_both_are_said() {
        let spans = |default, maximum| v1::Keyspace {
            default_lifetime: Some(Duration { seconds: default, nanos: 0 }),
            maximum_lifetime: Some(Duration { seconds: maximum, nanos: 0 }),
            ..Default::default()
        };
        let both = &["default_lifetime", "maximum_lifetime"];
        let violations = read_update_keyspace(&keyspace(both, spans(2, 1))).unwrap_err();
        assert_eq!(named(&violations), ["keyspace.default_lifetime"]);
        let changes = read_update_keyspace(&keyspace(&both[..1], spans(2, 1))).unwrap().operation.changes;
        let default_lifetime = Some(Some(DurationMillis::from_secs(2)));
        assert_eq!(changes, KeyspaceChanges { default_lifetime, ..KeyspaceChanges::default() });
    }

    #[test]
    fn a_keyspace_whose_every_field_is_cleared_is_as_new() {
        let changes = read_update_keyspace(&keyspace(&["*"], v1::Keyspace::default())).unwrap().operation.changes;
        assert_eq!((changes.keys_max, changes.maximum_lifetime), (Some(u64::MAX), Some(None)));
        assert_eq!((changes.staleness_max, changes.self_revocation_off), (Some(None), Some(false)));
        assert_eq!(changes.dead_retention, Some(read::DEAD_RETENTION_DEFAULT));
    }

    #[test]
    fn every_field_of_the_others_that_is_wrong_is_named() {
        let display_name = || "two\nlines".to_owned();
        let quotas = Some(v1::TenantQuotas { writes_per_second: Some(0), ..Default::default() });
        let tenant = v1::Tenant { display_name: display_name(), quotas, ..Default::default() };
        let tenant = v1::UpdateTenantRequest {
            tenant: Some(tenant),
            update_mask: mask(&["*"]),
            request_id: "1".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            named(&read_update_tenant(&tenant).unwrap_err()),
            ["tenant.name", "tenant.display_name", "tenant.quotas.writes_per_second", "request_id"]
        );
        let owner = v1::Owner { display_name: display_name(), contacts: vec![String::new()], ..Default::default() };
        let owner = v1::UpdateOwnerRequest { owner: Some(owner), update_mask: mask(&["*"]), ..Default::default() };
        assert_eq!(
            named(&read_update_owner(&owner).unwrap_err()),
            ["owner.name", "owner.display_name", "owner.contacts[0]"]
        );
        let role = v1::Role {
            display_name: display_name(),
            permissions: vec!["or*ders".to_owned()],
            methods: vec!["G E T".to_owned()],
            ..Default::default()
        };
        let role = v1::UpdateRoleRequest { role: Some(role), update_mask: mask(&["*"]), ..Default::default() };
        assert_eq!(
            named(&read_update_role(&role).unwrap_err()),
            ["role.name", "role.display_name", "role.permissions[0]", "role.methods[0]"]
        );
        let grants = vec![v1::Grant { duty: 0, scope: "acme".to_owned() }];
        let identity = v1::Identity { display_name: display_name(), grants, ..Default::default() };
        let identity =
            v1::UpdateIdentityRequest { identity: Some(identity), update_mask: mask(&["*"]), ..Default::default() };
        assert_eq!(
            named(&read_update_identity(&identity).unwrap_err()),
            ["identity.name", "identity.display_name", "identity.grants[0].duty", "identity.grants[0].scope"]
        );
    }

    #[test]
    fn a_change_names_what_it_changes_and_the_etag_that_it_counts_on() {
        let tenant = v1::Tenant {
            name: "tenants/acme".to_owned(),
            display_name: "not named".to_owned(),
            quotas: Some(v1::TenantQuotas { roles: Some(0), ..Default::default() }),
            etag: "n3".to_owned(),
            ..Default::default()
        };
        let request = v1::UpdateTenantRequest {
            tenant: Some(tenant),
            update_mask: mask(&["quotas"]),
            validate_only: true,
            ..Default::default()
        };
        let read = read_update_tenant(&request).unwrap();
        let quotas = Some(TenantQuotas { roles_max: Some(0), ..TenantQuotas::default() });
        assert_eq!(read.operation.changes, TenantChanges { display_name: None, quotas, contacts: None });
        assert_eq!((read.operation.etag.as_deref(), read.validate_only), (Some("n3"), true));
    }

    #[test]
    fn contacts_of_a_tenant_are_read_as_those_of_an_owner() {
        let of = |contacts: &[&str]| {
            let contacts = contacts.iter().map(|contact| (*contact).to_owned()).collect();
            let tenant = Some(v1::Tenant { name: "tenants/acme".to_owned(), contacts, ..Default::default() });
            read_update_tenant(&v1::UpdateTenantRequest {
                tenant,
                update_mask: mask(&["contacts"]),
                ..Default::default()
            })
        };
        let read = of(&["security@acme.example"]).unwrap().operation.changes;
        assert_eq!(read.contacts, Some(vec![DisplayName::parse("security@acme.example").unwrap()]));
        let told = of(&["a@b.example", ""]).unwrap_err().to_string();
        assert!(told.contains("tenant.contacts[1]"), "{told}");
        assert!(of(&["a@b.example"; 17]).unwrap_err().to_string().contains("at most 16"));
    }

    #[test]
    fn a_sample_of_more_than_all_is_refused() {
        let of = |access_sample_ppm| {
            let name = "tenants/acme/keyspaces/live".to_owned();
            let keyspace = Some(v1::Keyspace { name, access_sample_ppm, ..Default::default() });
            let update_mask = mask(&["access_sample_ppm"]);
            read_update_keyspace(&v1::UpdateKeyspaceRequest { keyspace, update_mask, ..Default::default() })
        };
        assert_eq!(of(1_000_000).unwrap().operation.changes.access_sample_ppm, Some(1_000_000));
        assert!(of(1_000_001).unwrap_err().to_string().contains("keyspace.access_sample_ppm"));
    }

    #[test]
    fn notices_of_expiry_are_told_by_field_and_rule_and_absent_is_the_default() {
        let of = |seconds: Option<&[i64]>| {
            let span = |seconds: &i64| Duration { seconds: *seconds, nanos: 0 };
            let expiry_notices = seconds.map(|of| v1::ExpiryNotices { before: of.iter().map(span).collect() });
            let name = "tenants/acme/keyspaces/live".to_owned();
            let keyspace = Some(v1::Keyspace { name, expiry_notices, ..Default::default() });
            let update_mask = mask(&["expiry_notices"]);
            let request = v1::UpdateKeyspaceRequest { keyspace, update_mask, ..Default::default() };
            read_update_keyspace(&request).map(|write| write.operation.changes.expiry_notices)
        };
        let chosen = of(Some(&[604_800, 86_400])).unwrap().flatten().unwrap();
        assert_eq!(chosen.spans(), [7, 1].map(DurationMillis::from_days));
        assert_eq!(of(None).unwrap(), Some(None));
        assert!(of(Some(&[])).unwrap().flatten().unwrap().spans().is_empty());
        for (wrong, field, rule) in [
            (&[86_400, 86_400][..], "before[1]", "the longest comes first"),
            (&[0], "before[0]", "not between"),
            (&[-1], "before[0]", ""),
            (&[9; 9], "before", "at most 8"),
        ] {
            let told = of(Some(wrong)).unwrap_err().to_string();
            assert!(told.starts_with(&format!("keyspace.expiry_notices.{field}: ")) && told.contains(rule), "{told}");
        }
    }
}
