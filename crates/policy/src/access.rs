//! From where, how and on what a key is used.

use core::net::IpAddr;

use latchkey_domain::{Method, NetworkSet, ResourcePath, ResourceSet};

/// What the caller tells about the end client's request.
///
/// An end client chooses method and path. What cannot be read as such is `None` here, not an error of the caller: a key that restricts
/// it is refused, any other never looks at it.
///
/// Over a key may stand several sets of each kind: its own, its keyspace's, a restriction's, its parent's. Each of them has to hold, so
/// each is asked alone. An empty set restricts nothing; one that is not empty refuses a request that names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessContext {
    /// The end client's address. Nobody guesses it: `None` where the caller did not tell.
    pub client_address: Option<IpAddr>,
    /// The method that the end client called.
    pub method: Option<Method>,
    /// The path that the end client called.
    pub resource: Option<ResourcePath>,
}

impl AccessContext {
    /// Whether the request comes from one of `networks`.
    #[must_use]
    pub fn is_from(&self, networks: &NetworkSet) -> bool {
        networks.is_empty() || self.client_address.is_some_and(|address| networks.contains(address))
    }

    /// Whether the request names a method, and `allowed` has it. Which methods roles allow together is no set that anybody has to
    /// build; where nothing restricts them, nobody asks.
    #[must_use]
    pub fn is_by(&self, allowed: impl FnOnce(&Method) -> bool) -> bool {
        self.method.as_ref().is_some_and(allowed)
    }

    /// Whether the request is about one of `resources`.
    #[must_use]
    pub fn is_on(&self, resources: &ResourceSet) -> bool {
        resources.is_empty() || self.resource.as_ref().is_some_and(|path| resources.matches(path))
    }
}

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

    #[test]
    fn a_request_that_names_nothing_is_refused_by_each_restriction() {
        let nothing = AccessContext::default();
        assert!(!nothing.is_from(&networks(&["0.0.0.0/0", "::/0"])));
        assert!(!nothing.is_by(|_| true));
        assert!(!nothing.is_on(&resources(&["/**"])));
    }

    #[test]
    fn a_request_outside_a_restriction_is_refused() {
        let (networks, methods) = (networks(&["10.0.0.0/8", "2001:db8::/32"]), methods(&["GET", "HEAD"]));
        for address in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1"] {
            assert!(!context(address, "GET", "/orders/7").is_from(&networks), "{address}");
        }
        for method in ["POST", "get"] {
            assert!(!context("10.0.0.1", method, "/orders/7").is_by(|method| methods.has(method)), "{method}");
        }
        for resource in ["/users", "/orders/../users", "/orders/7/items"] {
            assert!(!context("10.0.0.1", "GET", resource).is_on(&resources(&["/orders/*"])), "{resource}");
        }
    }

    #[test]
    fn a_request_within_a_restriction_passes() {
        for address in ["10.9.8.7", "::ffff:10.9.8.7", "2001:db8::1"] {
            let context = context(address, "HEAD", "/orders/7");
            assert!(context.is_from(&networks(&["10.0.0.0/8", "2001:db8::/32"])), "{address}");
            assert!(context.is_by(|method| methods(&["GET", "HEAD"]).has(method)));
            assert!(context.is_on(&resources(&["/orders/*"])));
        }
    }

    #[test]
    fn empty_sets_pass_whatever_was_asked() {
        for context in [AccessContext::default(), context("11.0.0.1", "POST", "/users")] {
            assert!(context.is_from(&NetworkSet::default()) && context.is_on(&ResourceSet::default()));
        }
    }
}
