//! From where, how and on what a key may be used, in that order.

use core::fmt;
use core::net::IpAddr;

use latchkey_domain::{Method, MethodSet, NetworkSet, Outcome, ResourcePath, ResourceSet, Terms};

/// What the caller tells about the end client's request.
///
/// An end client chooses method and path. What cannot be read as such is `None` here, not an error of the caller: a key that restricts
/// it is refused, any other never looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessContext {
    /// The end client's address. Nobody guesses it: `None` where the caller did not tell.
    pub client_address: Option<IpAddr>,
    /// The method that the end client called.
    pub method: Option<Method>,
    /// The path that the end client called.
    pub resource: Option<ResourcePath>,
}

/// The first restriction that the request does not meet, or says nothing about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessDenied {
    /// The address is not in the key's networks.
    Network,
    /// The method is not one of the key's.
    Method,
    /// No resource pattern of the key allows the path.
    Resource,
}

/// Checks the restrictions of `terms`: networks, then methods, then resources. An empty set restricts nothing; a set that is not empty
/// refuses a request that names none.
///
/// # Errors
/// [`AccessDenied`] names the first restriction that is not met.
pub fn check_access(terms: &Terms, context: &AccessContext) -> Result<(), AccessDenied> {
    let Terms { permissions: _, networks, methods, resources, roles: _ } = terms;
    if !context.is_from(networks) {
        return Err(AccessDenied::Network);
    }
    if !context.is_by(methods) {
        return Err(AccessDenied::Method);
    }
    if !context.is_on(resources) {
        return Err(AccessDenied::Resource);
    }
    Ok(())
}

/// One set at a time, for keys over which several stand: each of them must hold.
impl AccessContext {
    /// Whether the request comes from one of `networks`, where these restrict anything.
    #[must_use]
    pub fn is_from(&self, networks: &NetworkSet) -> bool {
        networks.is_empty() || self.client_address.is_some_and(|address| networks.contains(address))
    }

    /// Whether it uses one of `methods`, where these restrict anything.
    #[must_use]
    pub fn is_by(&self, methods: &MethodSet) -> bool {
        methods.is_empty() || self.method.is_some_and(|method| methods.has(&method))
    }

    /// Whether it is about one of `resources`, where these restrict anything.
    #[must_use]
    pub fn is_on(&self, resources: &ResourceSet) -> bool {
        resources.is_empty() || self.resource.as_ref().is_some_and(|path| resources.matches(path))
    }
}

impl From<AccessDenied> for Outcome {
    fn from(denied: AccessDenied) -> Self {
        match denied {
            AccessDenied::Network => Self::NetworkNotAllowed,
            AccessDenied::Method => Self::MethodNotAllowed,
            AccessDenied::Resource => Self::ResourceNotAllowed,
        }
    }
}

impl fmt::Display for AccessDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "the address is not in the key's networks",
            Self::Method => "the method is not one of the key's",
            Self::Resource => "no resource pattern of the key allows the path",
        })
    }
}

impl core::error::Error for AccessDenied {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{methods, networks, resources};

    fn context(address: &str, method: &str, resource: &str) -> AccessContext {
        AccessContext {
            client_address: address.parse().ok(),
            method: Method::parse(method).ok(),
            resource: ResourcePath::parse(resource).ok(),
        }
    }

    fn restricted() -> Terms {
        Terms {
            networks: networks(&["10.0.0.0/8", "2001:db8::/32"]),
            methods: methods(&["GET", "HEAD"]),
            resources: resources(&["/orders/*"]),
            ..Terms::default()
        }
    }

    #[test]
    fn a_request_that_names_nothing_is_refused_by_each_restriction() {
        let nothing = AccessContext::default();
        let Terms { networks, methods, resources, .. } = restricted();
        let with_networks = Terms { networks, ..Terms::default() };
        let with_methods = Terms { methods, ..Terms::default() };
        let with_resources = Terms { resources, ..Terms::default() };
        assert_eq!(check_access(&with_networks, &nothing), Err(AccessDenied::Network));
        assert_eq!(check_access(&with_methods, &nothing), Err(AccessDenied::Method));
        assert_eq!(check_access(&with_resources, &nothing), Err(AccessDenied::Resource));
    }

    #[test]
    fn the_first_restriction_that_is_not_met_answers() {
        for (asked, denied) in [
            (context("11.0.0.1", "POST", "/users"), AccessDenied::Network),
            (context("", "GET", "/orders/7"), AccessDenied::Network),
            (context("10.0.0.1", "POST", "/users"), AccessDenied::Method),
            (context("10.0.0.1", "get", "/orders/7"), AccessDenied::Method),
            (context("10.0.0.1", "GET", "/users"), AccessDenied::Resource),
            (context("10.0.0.1", "GET", "/orders/../users"), AccessDenied::Resource),
        ] {
            assert_eq!(check_access(&restricted(), &asked), Err(denied), "{asked:?}");
        }
    }

    #[test]
    fn a_request_within_all_restrictions_passes() {
        for address in ["10.9.8.7", "::ffff:10.9.8.7", "2001:db8::1"] {
            assert_eq!(check_access(&restricted(), &context(address, "HEAD", "/orders/7")), Ok(()), "{address}");
        }
    }

    #[test]
    fn terms_without_restrictions_pass_whatever_was_asked() {
        assert_eq!(check_access(&Terms::default(), &AccessContext::default()), Ok(()));
        assert_eq!(check_access(&Terms::default(), &context("11.0.0.1", "POST", "/users")), Ok(()));
    }

    #[test]
    fn each_denial_is_its_own_outcome() {
        assert_eq!(Outcome::from(AccessDenied::Network), Outcome::NetworkNotAllowed);
        assert_eq!(Outcome::from(AccessDenied::Method), Outcome::MethodNotAllowed);
        assert_eq!(Outcome::from(AccessDenied::Resource), Outcome::ResourceNotAllowed);
    }
}
