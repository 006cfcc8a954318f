//! `RevokeKeys`.

use super::filter::key_filter;
use super::wait::REVOKE_WAIT_DEFAULT;
use super::write::{AwaitedWrite, reason_text, said};
use crate::pb::v1;
use crate::pb::v1::revoke_keys_request::Target;
use crate::violation::{FieldViolations, Fields};
use crate::words;
use latchkey_domain::{
    BuiltInRole, KeyspaceName, NameError, OwnerName, ReasonText, RevocationReason, RoleName, TenantName,
};
use latchkey_state::CutScope;

/// Longest name of a set of keys. Bytes.
const SELECTION_BYTES_MAX: usize = 128;

/// Keys to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKeys {
    /// Which.
    pub target: RevokeTarget,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
}

/// Which keys are to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeTarget {
    /// All of a scope.
    Scope(CutScope),
    /// Those of a keyspace that match a filter.
    Selection {
        /// Where.
        keyspace: KeyspaceName,
        /// Which; it reads, and it is not empty.
        filter: String,
        /// Refuse unless exactly the set of keys with this name matches.
        selection: Option<String>,
    },
}

/// Reads `RevokeKeys`.
///
/// # Errors
/// All violations.
pub fn read_revoke_keys(request: &v1::RevokeKeysRequest) -> Result<AwaitedWrite<RevokeKeys>, FieldViolations> {
    let mut fields = Fields::default();
    let target = match &request.target {
        None => {
            fields.refuse("scope", "must be set, or else selection");
            None
        }
        Some(Target::Scope(scope)) => read_scope(&mut fields, scope).map(RevokeTarget::Scope),
        Some(Target::Selection(selection)) => fields.within("selection", |fields| read_selection(fields, selection)),
    };
    let reason = fields.take("reason", words::revocation_reason(request.reason));
    let text = reason_text(&mut fields, &request.reason_text);
    let operation = || Some(RevokeKeys { target: target?, reason: reason?, text: text? });
    let asked = v1::RevokeKeysRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("RevokeKeys", request, REVOKE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

fn read_scope(fields: &mut Fields, text: &str) -> Option<CutScope> {
    if let Ok(tenant) = TenantName::parse(text) {
        return Some(CutScope::Tenant(tenant));
    }
    if let Ok(keyspace) = KeyspaceName::parse(text) {
        return Some(CutScope::Keyspace(keyspace));
    }
    if let Ok(owner) = OwnerName::parse(text) {
        return Some(CutScope::Owner(owner));
    }
    let role = fields.take(
        "scope",
        RoleName::parse(text).map_err(|error| NameError {
            expected: "tenants/{tenant}, tenants/{tenant}/keyspaces/{keyspace}, tenants/{tenant}/owners/{owner} or \
                       tenants/{tenant}/roles/{role}",
            ..error
        }),
    )?;
    if BuiltInRole::parse(role.role.as_str()).is_some() {
        fields.refuse("scope", "must not be a built-in role: use a selection by role");
        return None;
    }
    Some(CutScope::Role(role))
}

fn read_selection(fields: &mut Fields, selection: &v1::revoke_keys_request::Selection) -> Option<RevokeTarget> {
    let keyspace = fields.take("parent", KeyspaceName::parse(&selection.parent));
    let filter = key_filter(fields, &selection.filter);
    if selection.filter.trim().is_empty() {
        fields.refuse("filter", "must not be empty: all keys of a keyspace are revoked by scope");
    }
    if selection.selection.len() > SELECTION_BYTES_MAX {
        fields.refuse("selection", "must be the selection that a dry run gave");
    }
    let name = (!selection.selection.is_empty()).then(|| selection.selection.clone());
    Some(RevokeTarget::Selection { keyspace: keyspace?, filter: filter?, selection: name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::v1::revoke_keys_request::Selection;

    fn request(target: Option<Target>) -> v1::RevokeKeysRequest {
        v1::RevokeKeysRequest { target, reason: v1::RevocationReason::OwnerLeft.into(), ..Default::default() }
    }

    fn scope(text: &str) -> v1::RevokeKeysRequest {
        request(Some(Target::Scope(text.to_owned())))
    }

    fn selection(filter: &str, selection: &str) -> v1::RevokeKeysRequest {
        request(Some(Target::Selection(Selection {
            parent: "tenants/acme/keyspaces/live".to_owned(),
            filter: filter.to_owned(),
            selection: selection.to_owned(),
        })))
    }

    fn named(violations: &FieldViolations) -> Vec<&str> {
        violations.list().iter().map(|one| one.field.as_str()).collect()
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::RevokeKeysRequest {
            reason: 0,
            reason_text: "x".repeat(513),
            request_id: "1".to_owned(),
            ..request(None)
        };
        assert_eq!(named(&read_revoke_keys(&wrong).unwrap_err()), ["scope", "reason", "reason_text", "request_id"]);
        for text in ["", "tenants/acme/identities/i", "tenants/acme/keyspaces/live/keys/0000000000000001"] {
            assert_eq!(named(&read_revoke_keys(&scope(text)).unwrap_err()), ["scope"], "{text}");
        }
        let mut wrong = selection("owner = ", &"x".repeat(129));
        if let Some(Target::Selection(selection)) = &mut wrong.target {
            selection.parent = "tenants/acme".to_owned();
        }
        assert_eq!(
            named(&read_revoke_keys(&wrong).unwrap_err()),
            ["selection.parent", "selection.filter", "selection.selection"]
        );
    }

    #[test]
    fn a_filter_that_would_match_everything_is_refused() {
        for filter in ["", "  "] {
            assert_eq!(named(&read_revoke_keys(&selection(filter, "")).unwrap_err()), ["selection.filter"]);
        }
    }

    #[test]
    fn every_scope_that_can_be_cut_reads_and_a_built_in_role_does_not() {
        for text in ["tenants/a", "tenants/a/keyspaces/b", "tenants/a/owners/b", "tenants/a/roles/b"] {
            let read = read_revoke_keys(&scope(text)).unwrap().operation;
            let RevokeTarget::Scope(scope) = read.target else { panic!("{text}") };
            let printed = match scope {
                CutScope::Tenant(name) => name.to_string(),
                CutScope::Keyspace(name) => name.to_string(),
                CutScope::Owner(name) => name.to_string(),
                CutScope::Role(name) => name.to_string(),
            };
            assert_eq!(printed, text);
        }
        assert_eq!(named(&read_revoke_keys(&scope("tenants/a/roles/read-only")).unwrap_err()), ["scope"]);
    }

    #[test]
    fn a_selection_is_passed_on_as_it_was_given() {
        let read = read_revoke_keys(&selection("state = ACTIVE", "7f")).unwrap().operation;
        let keyspace = KeyspaceName::parse("tenants/acme/keyspaces/live").unwrap();
        let (filter, selection) = ("state = ACTIVE".to_owned(), Some("7f".to_owned()));
        assert_eq!(read.target, RevokeTarget::Selection { keyspace, filter, selection });
        assert_eq!(read.reason, RevocationReason::OwnerLeft);
    }
}
