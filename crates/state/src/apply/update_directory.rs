//! Changing tenants, keyspaces, owners and identities. What is as asked already changes nothing and tells nothing.

use super::Answer;
use super::change::{self, check_etag, facts, not_found, of_grants};
use super::directory::{check_lifetimes, scopes_exist, staleness_max};
use super::key_facts::{from_to, of_policy, of_sets, texts};
use super::transaction::{Telling, Transaction};
use crate::command::{KeyspaceChanges, UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateTenant};
use crate::event::Action;
use crate::records::{Identity, Keyspace, KeyspaceSettings, Owner, Tenant, TenantQuotas};
use crate::row::Row;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{DisplayName, DurationMillis, LastKnownMax, Refusal, ResourceKind, TenantNumber, UnixMillis};

pub(super) fn update_tenant(transaction: &mut Transaction<'_>, operation: &UpdateTenant) -> Result<Answer, Refusal> {
    let name = &operation.name;
    let old = transaction.state().tenant(name).ok_or_else(|| not_found(ResourceKind::Tenant, name))?.clone();
    check_etag(operation.etag.as_deref(), old.etag())?;
    let mut new = Tenant::clone(&old);
    set(&mut new.display_name, operation.changes.display_name.as_ref());
    set(&mut new.quotas, operation.changes.quotas.as_ref());
    set(&mut new.contacts, operation.changes.contacts.as_ref());
    if new == *old {
        return Ok(Answer::Tenant(old));
    }
    new.changed = Some(change::now(transaction));
    let facts = facts([
        ("contacts", of_sets(&contacts(&old.contacts), &contacts(&new.contacts))),
        ("display_name", from_to(&old.display_name.as_str(), &new.display_name.as_str())),
        ("quotas", from_to(&quotas(&old.quotas), &quotas(&new.quotas))),
    ]);
    let new = Arc::new(new);
    transaction.put(Row::Tenant(new.clone()));
    tell(transaction, Action::TenantUpdated, name, new.number, facts);
    Ok(Answer::Tenant(new))
}

pub(super) fn update_keyspace(
    transaction: &mut Transaction<'_>,
    operation: &UpdateKeyspace,
) -> Result<Answer, Refusal> {
    let name = &operation.name;
    let old = transaction.state().keyspace(name).ok_or_else(|| not_found(ResourceKind::Keyspace, name))?.clone();
    check_etag(operation.etag.as_deref(), old.etag())?;
    let mut new = Keyspace::clone(&old);
    change_settings(&mut new.settings, &operation.changes);
    if new == *old {
        return Ok(Answer::Keyspace(old));
    }
    check_lifetimes(&new.settings)?;
    need_formats_kept(transaction, &old, &new.settings)?;
    let bound = staleness_max(transaction, &new.settings)?;
    new.staleness_max = bound;
    new.staleness_before = before(transaction, &old, new.bound());
    new.changed = Some(change::now(transaction));
    let facts = facts_of_keyspace(&old, &new);
    let new = Arc::new(new);
    transaction.put(Row::Keyspace(new.clone()));
    tell(transaction, Action::KeyspaceUpdated, name, new.tenant, facts);
    Ok(Answer::Keyspace(new))
}

/// What keys were imported by stays as it was: a text is looked up by the form that its keyspace declares.
fn need_formats_kept(transaction: &Transaction<'_>, old: &Keyspace, new: &KeyspaceSettings) -> Result<(), Refusal> {
    for format in old.settings.import_formats.iter().filter(|format| !new.import_formats.contains(format)) {
        let count = transaction.state().keys_of_format(old.number, format.id());
        if count > 0 {
            return Err(Refusal::FormatInUse { format: format.id().clone(), count });
        }
    }
    Ok(())
}

/// What counts of the bound that was in force before, for as long as a replica that has not heard of a shorter one may
/// still answer by it.
fn before(
    transaction: &Transaction<'_>,
    old: &Keyspace,
    bound: DurationMillis,
) -> Option<(DurationMillis, UnixMillis)> {
    if bound == old.bound() {
        return old.staleness_before;
    }
    let (longest, now) = (old.bound_at(transaction.now()), transaction.now());
    let slack = if transaction.progress().feature_level < SLACK_LEVEL { DurationMillis::ZERO } else { BEFORE_SLACK };
    (longest > bound).then(|| (longest, now.plus(longest).plus(slack)))
}

/// How much longer a bound counts than its own length after the record that shortened it was stamped. A lease that was
/// granted before this record took effect, seconds after its stamp, runs from then; clocks of leaders differ, and rates of
/// clocks.
const BEFORE_SLACK: DurationMillis = DurationMillis::from_secs(60);

/// The feature level from which on that is so.
const SLACK_LEVEL: u32 = 4;

pub(super) fn update_owner(transaction: &mut Transaction<'_>, operation: &UpdateOwner) -> Result<Answer, Refusal> {
    let name = &operation.name;
    let old = transaction.state().owner(name).ok_or_else(|| not_found(ResourceKind::Owner, name))?.clone();
    check_etag(operation.etag.as_deref(), old.etag())?;
    let mut new = Owner::clone(&old);
    set(&mut new.display_name, operation.changes.display_name.as_ref());
    set(&mut new.contacts, operation.changes.contacts.as_ref());
    if new == *old {
        return Ok(Answer::Owner(old));
    }
    new.changed = Some(change::now(transaction));
    let facts = facts([
        ("contacts", of_sets(&contacts(&old.contacts), &contacts(&new.contacts))),
        ("display_name", from_to(&old.display_name.as_str(), &new.display_name.as_str())),
    ]);
    let new = Arc::new(new);
    transaction.put(Row::Owner(new.clone()));
    tell(transaction, Action::OwnerUpdated, name, new.tenant, facts);
    Ok(Answer::Owner(new))
}

pub(super) fn update_identity(
    transaction: &mut Transaction<'_>,
    operation: &UpdateIdentity,
) -> Result<Answer, Refusal> {
    let (name, changes) = (&operation.name, &operation.changes);
    let old = transaction.state().identity(name).ok_or_else(|| not_found(ResourceKind::Identity, name))?.clone();
    check_etag(operation.etag.as_deref(), old.etag())?;
    let mut new = Identity::clone(&old);
    set(&mut new.display_name, changes.display_name.as_ref());
    set(&mut new.grants, changes.grants.as_ref());
    if new == *old {
        return Ok(Answer::Identity(old));
    }
    if new.grants != old.grants {
        if change::is_root(name) {
            return Err(Refusal::Reserved { name: name.to_string() });
        }
        scopes_exist(transaction, &new.grants)?;
    }
    new.changed = Some(change::now(transaction));
    let facts = facts([
        ("display_name", from_to(&old.display_name.as_str(), &new.display_name.as_str())),
        ("grants", of_grants(&old.grants, &new.grants)),
    ]);
    let new = Arc::new(new);
    transaction.put(Row::Identity(new.clone()));
    tell(transaction, Action::IdentityUpdated, name, new.tenant, facts);
    Ok(Answer::Identity(new))
}

fn change_settings(settings: &mut KeyspaceSettings, changes: &KeyspaceChanges) {
    set(&mut settings.display_name, changes.display_name.as_ref());
    set(&mut settings.allowed_permissions, changes.allowed_permissions.as_ref());
    set(&mut settings.allowed_roles, changes.allowed_roles.as_ref());
    set(&mut settings.default_lifetime, changes.default_lifetime.as_ref());
    set(&mut settings.maximum_lifetime, changes.maximum_lifetime.as_ref());
    set(&mut settings.networks, changes.networks.as_ref());
    set(&mut settings.staleness_max, changes.staleness_max.as_ref());
    set(&mut settings.staleness_policy, changes.staleness_policy.as_ref());
    set(&mut settings.dead_retention, changes.dead_retention.as_ref());
    set(&mut settings.keys_max, changes.keys_max.as_ref());
    set(&mut settings.versions_max, changes.versions_max.as_ref());
    set(&mut settings.metadata_bytes_max, changes.metadata_bytes_max.as_ref());
    set(&mut settings.self_revocation_off, changes.self_revocation_off.as_ref());
    set(&mut settings.import_formats, changes.import_formats.as_ref());
    set(&mut settings.rotation_policy, changes.rotation_policy.as_ref());
    set(&mut settings.access_sample_ppm, changes.access_sample_ppm.as_ref());
    set(&mut settings.expiry_notices, changes.expiry_notices.as_ref());
}

pub(super) fn set<T: Clone>(value: &mut T, change: Option<&T>) {
    if let Some(change) = change {
        value.clone_from(change);
    }
}

fn facts_of_keyspace(old: &Keyspace, new: &Keyspace) -> Vec<(&'static str, String)> {
    let (was, is) = (&old.settings, &new.settings);
    facts([
        ("access_sample_ppm", from_to(&was.access_sample_ppm, &is.access_sample_ppm)),
        ("allowed_permissions", of_sets(&texts(&was.allowed_permissions), &texts(&is.allowed_permissions))),
        ("allowed_roles", of_sets(&texts(&was.allowed_roles), &texts(&is.allowed_roles))),
        ("dead_retention_ms", from_to(&was.dead_retention.millis(), &is.dead_retention.millis())),
        ("default_lifetime_ms", from_to(&span(was.default_lifetime), &span(is.default_lifetime))),
        ("display_name", from_to(&was.display_name.as_str(), &is.display_name.as_str())),
        ("expiry_notices_ms", from_to(&notices(was), &notices(is))),
        ("import_formats", of_sets(&texts(&was.import_formats), &texts(&is.import_formats))),
        ("keys_max", from_to(&most(was.keys_max), &most(is.keys_max))),
        ("last_known_max_ms", from_to(&beyond(was), &beyond(is))),
        ("maximum_lifetime_ms", from_to(&span(was.maximum_lifetime), &span(is.maximum_lifetime))),
        ("metadata_bytes_max", from_to(&most(was.metadata_bytes_max), &most(is.metadata_bytes_max))),
        ("networks", of_sets(&texts(&was.networks), &texts(&is.networks))),
        ("rotation_policy", of_policy(was.rotation_policy.as_deref(), is.rotation_policy.as_deref())),
        ("self_revocation_off", from_to(&was.self_revocation_off, &is.self_revocation_off)),
        ("staleness_max_ms", from_to(&old.staleness_max.millis(), &new.staleness_max.millis())),
        ("versions_max", from_to(&most(was.versions_max), &most(is.versions_max))),
    ])
}

fn contacts(contacts: &[DisplayName]) -> BTreeSet<String> {
    contacts.iter().map(|contact| contact.as_str().to_string()).collect()
}

fn span(span: Option<DurationMillis>) -> String {
    span.map_or_else(|| "none".to_string(), |span| span.millis().to_string())
}

/// `default`, `none`, or the spans.
fn notices(settings: &KeyspaceSettings) -> String {
    let Some(notices) = &settings.expiry_notices else { return "default".to_string() };
    let spans: Vec<_> = notices.spans().iter().map(|span| span.millis().to_string()).collect();
    if spans.is_empty() { "none".to_string() } else { spans.join(",") }
}

fn beyond(settings: &KeyspaceSettings) -> String {
    span(settings.staleness_policy.beyond().map(LastKnownMax::span))
}

fn most(bound: u64) -> String {
    if bound == u64::MAX { "none".to_string() } else { bound.to_string() }
}

fn quotas(quotas: &TenantQuotas) -> String {
    let TenantQuotas { keyspaces_max, owners_max, roles_max, identities_max, writes_per_second_max } = quotas;
    let bounds = [
        ("keyspaces", keyspaces_max),
        ("owners", owners_max),
        ("roles", roles_max),
        ("identities", identities_max),
        ("writes_per_second", writes_per_second_max),
    ];
    let bounds = bounds.map(|(name, bound)| Some(alloc::format!("{name}={}", (*bound)?)));
    bounds.into_iter().flatten().collect::<Vec<_>>().join(",")
}

fn tell(
    transaction: &mut Transaction<'_>,
    action: Action,
    name: &impl ToString,
    tenant: TenantNumber,
    facts: Vec<(&'static str, String)>,
) {
    transaction.emit(action, name.to_string(), Telling { tenant: Some(tenant), facts, ..Telling::default() });
}
