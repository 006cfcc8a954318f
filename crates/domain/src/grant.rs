//! Grants: what a management identity may do, and where.

use crate::{KeyspaceName, NameError, TenantName};
use core::fmt;

/// What a management identity may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// All that any duty may.
    Root,
    /// Directory and cluster.
    Admin,
    /// A key's life, and rotation.
    Issuer,
    /// Revoke, suspend, restrict, deny locally, explain.
    Operator,
    /// Audit and usage, reads only.
    Auditor,
    /// `ValidationService` without explain.
    Validator,
}

impl Duty {
    /// Every duty, in the order of their power.
    pub const ALL: [Self; 6] = [Self::Root, Self::Admin, Self::Issuer, Self::Operator, Self::Auditor, Self::Validator];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Admin => "admin",
            Self::Issuer => "issuer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Validator => "validator",
        }
    }

    /// Whether holding this duty is as good as holding `other`: the same one, or `root`.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::Root
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a grant holds, and where an operation takes place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole cluster. Written as the empty text.
    System,
    /// One tenant and all that is in it.
    Tenant(TenantName),
    /// One keyspace.
    Keyspace(KeyspaceName),
}

impl Scope {
    /// Reads the empty text, a tenant's name or a keyspace's name.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::System);
        }
        if let Ok(tenant) = TenantName::parse(text) {
            return Ok(Self::Tenant(tenant));
        }
        KeyspaceName::parse(text).map(Self::Keyspace).map_err(|error| NameError {
            expected: "\"\", tenants/{tenant} or tenants/{tenant}/keyspaces/{keyspace}",
            ..error
        })
    }

    /// Whether all that lies in `inner` lies in this scope.
    #[must_use]
    pub fn includes(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::System, _) => true,
            (Self::Tenant(outer), Self::Tenant(inner)) => outer == inner,
            (Self::Tenant(outer), Self::Keyspace(inner)) => outer.tenant == inner.tenant,
            (Self::Keyspace(outer), Self::Keyspace(inner)) => outer == inner,
            (Self::Tenant(_) | Self::Keyspace(_), Self::System) | (Self::Keyspace(_), Self::Tenant(_)) => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => Ok(()),
            Self::Tenant(tenant) => tenant.fmt(f),
            Self::Keyspace(keyspace) => keyspace.fmt(f),
        }
    }
}

/// One duty in one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// What may be done.
    pub duty: Duty,
    /// Where.
    pub scope: Scope,
}

impl Grant {
    /// Whether this grant is enough for `duty` in `scope`.
    #[must_use]
    pub fn covers(&self, duty: Duty, scope: &Scope) -> bool {
        self.duty.includes(duty) && self.scope.includes(scope)
    }
}

/// Whether one of `grants` is enough for `duty` in `scope`.
#[must_use]
pub fn covers(grants: &[Grant], duty: Duty, scope: &Scope) -> bool {
    grants.iter().any(|grant| grant.covers(duty, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_narrow_scope_does_not_reach_outwards_or_sideways() {
        let keyspace = Grant { duty: Duty::Issuer, scope: scope("tenants/a/keyspaces/x") };
        for outside in ["", "tenants/a", "tenants/a/keyspaces/y", "tenants/b/keyspaces/x"] {
            assert!(!keyspace.covers(Duty::Issuer, &scope(outside)), "{outside}");
        }
        let tenant = Grant { duty: Duty::Issuer, scope: scope("tenants/a") };
        assert!(tenant.covers(Duty::Issuer, &scope("tenants/a/keyspaces/y")));
        assert!(!tenant.covers(Duty::Issuer, &scope("tenants/ab/keyspaces/y")));
    }

    #[test]
    fn only_root_stands_for_another_duty() {
        for held in Duty::ALL {
            for asked in Duty::ALL {
                assert_eq!(held.includes(asked), held == asked || held == Duty::Root);
            }
        }
    }
}
