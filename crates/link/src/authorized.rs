//! A request whose caller holds the grant for it.

use crate::{ProvenIdentity, Registry, answers, scope_of_key};
use latchkey_domain::{Duty, KeyName, Refusal, Scope, covers};
use latchkey_state::Actor;
use latchkey_transport::status;
use tokio::time::Instant;
use tonic::{Code, Status};

/// The duties with which one reads: all but `validator`.
pub const READERS: [Duty; 4] = [Duty::Admin, Duty::Issuer, Duty::Operator, Duty::Auditor];

/// A request together with the identity that may make it. The only way to one is [`Self::check`].
///
/// Apply checks the grants again, in the state that the command meets; this refuses early and guards what is only read.
#[derive(Debug)]
pub struct Authorized<T> {
    request: T,
    identity: ProvenIdentity,
}

impl<T> Authorized<T> {
    /// Checks that `identity` holds one of `duties` on `scope`.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, naming the first of the duties.
    ///
    /// # Panics
    /// Where `duties` is empty: a method that nobody may call is a mistake of its author.
    pub fn check(request: T, identity: ProvenIdentity, duties: &[Duty], scope: &Scope) -> Result<Self, Status> {
        Self::check_all(request, identity, duties, [scope])
    }

    /// As [`Self::check`], on each of several scopes.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, naming the first scope that is not covered.
    ///
    /// # Panics
    /// Where `duties` or `scopes` is empty.
    pub fn check_all<'a>(
        request: T,
        identity: ProvenIdentity,
        duties: &[Duty],
        scopes: impl IntoIterator<Item = &'a Scope>,
    ) -> Result<Self, Status> {
        let first = *duties.first().expect("a method names the duties that it needs");
        let mut scopes = scopes.into_iter().peekable();
        assert!(scopes.peek().is_some(), "what is asked takes place somewhere");
        for scope in scopes {
            if !duties.iter().any(|duty| covers(&identity.grants, *duty, scope)) {
                return Err(status::refused(&Refusal::PermissionDenied { duty: first, scope: scope.clone() }));
            }
        }
        Ok(Self { request, identity })
    }

    /// Checks that `identity` may do with a key what one of `duties` may, wherever that key lies for its authority.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`; `UNAVAILABLE`.
    ///
    /// # Panics
    /// Where `duties` is empty.
    pub async fn check_key(
        registry: &impl Registry,
        request: T,
        identity: ProvenIdentity,
        key: &KeyName,
        duties: &[Duty],
        by: Instant,
    ) -> Result<Self, Status> {
        let scope = scope_of_key(registry, key, &identity, duties, by).await?;
        Self::check(request, identity, duties, &scope)
    }

    /// Checks that `identity` may give a key another secret: an `issuer`, and an identity with its own
    /// management keys. That an issuer may give all that another's management key proves is for apply to say.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`; `UNAVAILABLE`.
    pub async fn check_issuing(
        registry: &impl Registry,
        request: T,
        identity: ProvenIdentity,
        key: &KeyName,
        by: Instant,
    ) -> Result<Self, Status> {
        if key.keyspace.is_management() {
            match answers::key(registry, key, by).await {
                Ok((found, _)) if found.owner == identity.identity.to_string() => {
                    return Ok(Self { request, identity });
                }
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        Self::check_key(registry, request, identity, key, &[Duty::Issuer], by).await
    }

    /// What is asked.
    #[must_use]
    pub const fn request(&self) -> &T {
        &self.request
    }

    /// Who asks.
    #[must_use]
    pub const fn identity(&self) -> &ProvenIdentity {
        &self.identity
    }

    /// Who asks, as the actor of a command.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.identity.actor()
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (T, ProvenIdentity) {
        (self.request, self.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{Grant, IdentityName, KeyName, Revision};
    use tonic::Code;

    fn identity(grants: &[(Duty, &str)]) -> ProvenIdentity {
        let grants = grants.iter().map(|(duty, scope)| Grant { duty: *duty, scope: Scope::parse(scope).unwrap() });
        ProvenIdentity {
            identity: IdentityName::parse("tenants/acme/identities/deploy").unwrap(),
            grants: grants.collect(),
            key: KeyName::parse("tenants/system/keyspaces/management/keys/0000000000000001").unwrap(),
            revision: Revision::new(1, 1),
        }
    }

    #[test]
    fn a_validator_reads_nothing_and_another_duty_reads_its_own_scope_only() {
        let acme = Scope::parse("tenants/acme").unwrap();
        let refused = |grants: &[(Duty, &str)]| Authorized::check((), identity(grants), &READERS, &acme).is_err();
        assert!(refused(&[]));
        assert!(refused(&[(Duty::Validator, "")]));
        assert!(refused(&[(Duty::Auditor, "tenants/other"), (Duty::Admin, "tenants/acme/keyspaces/live")]));
        for duty in READERS.into_iter().chain([Duty::Root]) {
            assert!(!refused(&[(duty, "tenants/acme")]) && !refused(&[(duty, "")]), "{duty}");
        }
    }

    #[test]
    fn the_refusal_names_the_duty_that_would_have_been_enough() {
        let status = Authorized::check((), identity(&[]), &[Duty::Issuer, Duty::Operator], &Scope::System).unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("issuer"), "{}", status.message());
    }
}
