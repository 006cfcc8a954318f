//! Sets from literals, for the tests of this crate.

use latchkey_domain::{
    Method, MethodSet, Network, NetworkSet, PermissionPattern, PermissionSet, ResourcePattern, ResourceSet,
};

pub(crate) fn permissions(texts: &[&str]) -> PermissionSet {
    PermissionSet::from_values(texts.iter().map(|text| PermissionPattern::parse(text).unwrap())).unwrap()
}

pub(crate) fn networks(texts: &[&str]) -> NetworkSet {
    NetworkSet::from_values(texts.iter().map(|text| Network::parse(text).unwrap())).unwrap()
}

pub(crate) fn methods(texts: &[&str]) -> MethodSet {
    MethodSet::from_values(texts.iter().map(|text| Method::parse(text).unwrap())).unwrap()
}

pub(crate) fn resources(texts: &[&str]) -> ResourceSet {
    ResourceSet::from_values(texts.iter().map(|text| ResourcePattern::parse(text).unwrap())).unwrap()
}
