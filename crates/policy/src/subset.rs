//! What a new key may be given: no more than its keyspace allows, and no more than its parent key has.

use core::fmt;

use latchkey_domain::{
    BoundedSet, Method, Network, PermissionPattern, PermissionSet, ResourcePattern, RoleNumber, Terms,
};

/// The first thing that a key would have beyond what it may.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Excess {
    /// A permission that is not covered.
    Permission(PermissionPattern),
    /// A network that is not covered; `None`: all, since the key names none where it must.
    Network(Option<Network>),
    /// A method that is not allowed; `None`: all, since the key names none where it must.
    Method(Option<Method>),
    /// A resource pattern that is not covered; `None`: all, since the key names none where it must.
    Resource(Option<ResourcePattern>),
    /// A role that the parent key does not have.
    Role(RoleNumber),
}

/// Checks that `allowed` covers each of `permissions`. An empty `allowed` covers none.
///
/// # Errors
/// [`Excess::Permission`] with the first pattern that is not covered.
pub fn check_permissions_within(permissions: &PermissionSet, allowed: &PermissionSet) -> Result<(), Excess> {
    check_permissions_where(permissions, |pattern| allowed.covers(pattern))
}

/// As [`check_permissions_within`], where what is allowed comes from several places.
///
/// # Errors
/// [`Excess::Permission`] with the first pattern that `covered` refuses.
pub fn check_permissions_where(
    permissions: &PermissionSet,
    covered: impl Fn(&PermissionPattern) -> bool,
) -> Result<(), Excess> {
    match permissions.iter().find(|pattern| !covered(pattern)) {
        Some(pattern) => Err(Excess::Permission(pattern.clone())),
        None => Ok(()),
    }
}

/// Checks that whatever `terms` let pass, `parent` lets pass too.
///
/// # Errors
/// The first [`Excess`], in the order permissions, networks, methods, resources, roles.
pub fn check_terms_within(terms: &Terms, parent: &Terms) -> Result<(), Excess> {
    check_terms_where(terms, parent, |pattern| parent.permissions.covers(pattern))
}

/// As [`check_terms_within`], where `covered` says what the parent permits: its roles permit more than it does by
/// itself. Methods of roles are no concern of this: the child has no role that its parent has not, and both are asked
/// whenever the child is used.
///
/// # Errors
/// As [`check_terms_within`].
pub fn check_terms_where(
    terms: &Terms,
    parent: &Terms,
    covered: impl Fn(&PermissionPattern) -> bool,
) -> Result<(), Excess> {
    check_permissions_where(&terms.permissions, covered)?;
    check_restriction(&terms.networks, &parent.networks, |network| parent.networks.covers(network))
        .map_err(Excess::Network)?;
    check_restriction(&terms.methods, &parent.methods, |method| parent.methods.has(method)).map_err(Excess::Method)?;
    check_restriction(&terms.resources, &parent.resources, |pattern| parent.resources.covers(pattern))
        .map_err(Excess::Resource)?;
    match terms.roles.iter().find(|role| !parent.roles.has(role)) {
        Some(role) => Err(Excess::Role(*role)),
        None => Ok(()),
    }
}

/// For sets that restrict nothing when empty: empty within empty is fine, empty within a restriction is everything.
fn check_restriction<T: Clone, const MAX: usize>(
    ours: &BoundedSet<T, MAX>,
    theirs: &BoundedSet<T, MAX>,
    covered: impl Fn(&T) -> bool,
) -> Result<(), Option<T>> {
    if theirs.is_empty() {
        return Ok(());
    }
    if ours.is_empty() {
        return Err(None);
    }
    match ours.iter().find(|value| !covered(value)) {
        Some(value) => Err(Some(value.clone())),
        None => Ok(()),
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(pattern) => write!(f, "permission {pattern} is not allowed"),
            Self::Network(Some(network)) => write!(f, "network {network} is not allowed"),
            Self::Method(Some(method)) => write!(f, "method {method} is not allowed"),
            Self::Resource(Some(pattern)) => write!(f, "resource {pattern} is not allowed"),
            Self::Role(RoleNumber(number)) => write!(f, "the parent key does not have the role {number}"),
            Self::Network(None) => f.write_str("networks must be restricted"),
            Self::Method(None) => f.write_str("methods must be restricted"),
            Self::Resource(None) => f.write_str("resources must be restricted"),
        }
    }
}

impl core::error::Error for Excess {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{methods, networks, permissions, resources};
    use latchkey_domain::RoleSet;

    fn roles(numbers: &[u32]) -> RoleSet {
        RoleSet::from_values(numbers.iter().copied().map(RoleNumber)).unwrap()
    }

    fn parent() -> Terms {
        Terms {
            permissions: permissions(&["orders:*", "billing:read"]),
            networks: networks(&["10.0.0.0/8"]),
            methods: methods(&["GET", "POST"]),
            resources: resources(&["/orders/**"]),
            roles: roles(&[1, 20]),
        }
    }

    #[test]
    fn a_permission_beyond_what_is_allowed_is_named() {
        let allowed = permissions(&["orders:*", "billing:read"]);
        for beyond in ["orders", "billing:*", "*", "billing:read:own"] {
            let asked = permissions(&["orders:read", beyond]);
            let expected = Excess::Permission(PermissionPattern::parse(beyond).unwrap());
            assert_eq!(check_permissions_within(&asked, &allowed), Err(expected));
        }
        assert!(check_permissions_within(&permissions(&["a"]), &PermissionSet::default()).is_err());
    }

    #[test]
    fn permissions_within_what_is_allowed_pass() {
        let allowed = permissions(&["orders:*", "billing:read"]);
        let asked = permissions(&["orders:*", "orders:read:*", "orders:write", "billing:read"]);
        assert_eq!(check_permissions_within(&asked, &allowed), Ok(()));
        assert_eq!(check_permissions_within(&PermissionSet::default(), &PermissionSet::default()), Ok(()));
    }

    #[test]
    fn a_child_that_drops_a_restriction_of_its_parent_is_refused() {
        let without = |change: fn(&mut Terms)| {
            let mut terms = parent();
            change(&mut terms);
            check_terms_within(&terms, &parent())
        };
        assert_eq!(without(|terms| terms.networks = networks(&[])), Err(Excess::Network(None)));
        assert_eq!(without(|terms| terms.methods = methods(&[])), Err(Excess::Method(None)));
        assert_eq!(without(|terms| terms.resources = resources(&[])), Err(Excess::Resource(None)));
    }

    #[test]
    fn a_child_that_widens_a_restriction_of_its_parent_is_refused() {
        let wider = Network::parse("10.0.0.0/7").unwrap();
        let terms = Terms { networks: networks(&["10.0.0.0/7"]), ..parent() };
        assert_eq!(check_terms_within(&terms, &parent()), Err(Excess::Network(Some(wider))));

        let terms = Terms { methods: methods(&["DELETE", "GET"]), ..parent() };
        let expected = Excess::Method(Some(Method::parse("DELETE").unwrap()));
        assert_eq!(check_terms_within(&terms, &parent()), Err(expected));

        let terms = Terms { resources: resources(&["/orders/7", "/**"]), ..parent() };
        let expected = Excess::Resource(Some(ResourcePattern::parse("/**").unwrap()));
        assert_eq!(check_terms_within(&terms, &parent()), Err(expected));
    }

    #[test]
    fn a_child_with_a_role_that_its_parent_lacks_is_refused() {
        let terms = Terms { roles: roles(&[1, 21]), ..parent() };
        assert_eq!(check_terms_within(&terms, &parent()), Err(Excess::Role(RoleNumber(21))));
    }

    #[test]
    fn what_the_roles_of_the_parent_permit_is_within_it() {
        let terms = Terms { permissions: permissions(&["billing:write", "orders:read"]), ..parent() };
        let of_roles = permissions(&["billing:*"]);
        let covered = |pattern: &PermissionPattern| parent().permissions.covers(pattern) || of_roles.covers(pattern);
        assert!(check_terms_within(&terms, &parent()).is_err());
        assert_eq!(check_terms_where(&terms, &parent(), covered), Ok(()));
    }

    #[test]
    fn a_child_within_its_parent_passes() {
        let child = Terms {
            permissions: permissions(&["orders:read"]),
            networks: networks(&["10.1.0.0/16", "10.2.3.4"]),
            methods: methods(&["GET"]),
            resources: resources(&["/orders/*/items"]),
            roles: roles(&[20]),
        };
        assert_eq!(check_terms_within(&child, &parent()), Ok(()));
        assert_eq!(check_terms_within(&parent(), &parent()), Ok(()));
        let free = Terms { permissions: permissions(&["*"]), roles: roles(&[20]), ..Terms::default() };
        assert_eq!(check_terms_within(&child, &free), Ok(()));
    }
}
