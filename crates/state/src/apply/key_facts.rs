//! What the audit trail is told of a change of a key: from what to what, and of sets what came and went.

use super::within::role_name;
use crate::key::{Holder, Key};
use crate::state::State;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use latchkey_domain::{IdentityName, OwnerName, RotationPolicy, TenantNumber, UnixMillis};

/// The facts, sorted by name.
pub(super) fn of_change(state: &State, old: &Key, new: &Key) -> Vec<(&'static str, String)> {
    let (old_terms, new_terms) = (&*old.terms, &*new.terms);
    let roles = |key: &Key| names_of_roles(state, key);
    [
        ("display_name", from_to(&old.display_name.as_str(), &new.display_name.as_str())),
        ("expires_at_ms", from_to(&millis(old.expires_at), &millis(new.expires_at))),
        ("metadata", of_metadata(old, new)),
        ("methods", of_sets(&texts(&old_terms.methods), &texts(&new_terms.methods))),
        ("networks", of_sets(&texts(&old_terms.networks), &texts(&new_terms.networks))),
        ("not_before_ms", from_to(&millis(old.not_before()), &millis(new.not_before()))),
        ("owner", from_to(&holder_name(state, old.holder), &holder_name(state, new.holder))),
        ("permissions", of_sets(&texts(&old_terms.permissions), &texts(&new_terms.permissions))),
        ("purpose", from_to(&old.purpose(), &new.purpose())),
        ("resources", of_sets(&texts(&old_terms.resources), &texts(&new_terms.resources))),
        ("roles", of_sets(&roles(old), &roles(new))),
        ("rotation_policy", of_policy(old.rotation_policy(), new.rotation_policy())),
    ]
    .into_iter()
    .filter_map(|(name, change)| Some((name, change?)))
    .collect()
}

/// The roles of a key by name, sorted.
pub(super) fn names_of_roles(state: &State, key: &Key) -> BTreeSet<String> {
    let keyspace = state.keyspaces().by_number(key.keyspace);
    let tenant = keyspace.and_then(|keyspace| state.tenants().by_number(keyspace.tenant));
    let names = tenant.into_iter().flat_map(|tenant| key.terms.roles.iter().map(move |number| (tenant, number)));
    names.map(|(tenant, number)| role_name(state, &tenant.id, *number)).collect()
}

pub(super) fn from_to<T: Display + Eq>(old: &T, new: &T) -> Option<String> {
    (old != new).then(|| format!("{old} -> {new}"))
}

/// The gist of a policy: what else of it changed is in the record.
pub(super) fn of_policy(old: Option<&RotationPolicy>, new: Option<&RotationPolicy>) -> Option<String> {
    let gist = |policy: Option<&RotationPolicy>| match policy {
        None => "none".to_string(),
        Some(RotationPolicy { risk, mode, interval, terms, .. }) => {
            let (interval, overlap) = (interval.millis(), terms.overlap.millis());
            format!("{} {} interval_ms={interval} overlap_ms={overlap}", risk.as_str(), mode.as_str())
        }
    };
    (old != new).then(|| format!("{} -> {}", gist(old), gist(new)))
}

fn millis(time: Option<UnixMillis>) -> String {
    time.map_or_else(|| "none".to_string(), |time| time.millis().to_string())
}

pub(super) fn texts<'a, T: Display + 'a>(values: impl IntoIterator<Item = &'a T>) -> BTreeSet<String> {
    values.into_iter().map(ToString::to_string).collect()
}

/// `+` what came, `-` what went.
pub(super) fn of_sets(old: &BTreeSet<String>, new: &BTreeSet<String>) -> Option<String> {
    let gone = old.difference(new).map(|value| format!("-{value}"));
    let come = new.difference(old).map(|value| format!("+{value}"));
    let changes: Vec<_> = come.chain(gone).collect();
    (!changes.is_empty()).then(|| changes.join(","))
}

/// The words alone: what a tenant writes beside them may be about people.
fn of_metadata(old: &Key, new: &Key) -> Option<String> {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (old.metadata().collect(), new.metadata().collect());
    let come = new.iter().filter_map(|(word, value)| match old.get(word) {
        None => Some(format!("+{word}")),
        Some(before) => (before != value).then(|| format!("~{word}")),
    });
    let gone = old.keys().filter(|word| !new.contains_key(*word)).map(|word| format!("-{word}"));
    let changes: Vec<_> = come.chain(gone).collect();
    (!changes.is_empty()).then(|| changes.join(","))
}

fn holder_name(state: &State, holder: Holder) -> String {
    let tenant_id = |number: TenantNumber| state.tenants().by_number(number).map(|tenant| tenant.id.clone());
    let name = match holder {
        Holder::None => None,
        Holder::Owner(number) => state
            .owners()
            .by_number(number)
            .and_then(|owner| Some(OwnerName::new(tenant_id(owner.tenant)?, owner.id.clone()).to_string())),
        Holder::Identity(number) => state
            .identities()
            .by_number(number)
            .and_then(|identity| Some(IdentityName::new(tenant_id(identity.tenant)?, identity.id.clone()).to_string())),
    };
    name.unwrap_or_else(|| "none".to_string())
}
