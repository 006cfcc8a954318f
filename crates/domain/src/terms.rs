//! What a key may be used for.

use crate::{MethodSet, NetworkSet, PermissionSet, ResourceSet, RoleSet};

/// What a key may be used for, from where, and on what.
///
/// The two kinds of sets differ when empty: no permissions grant nothing; no networks, methods or resources restrict nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// What the key is granted. Empty: nothing.
    pub permissions: PermissionSet,
    /// Where the end client must be. Empty: anywhere.
    pub networks: NetworkSet,
    /// The methods that the end client may call. Empty: all.
    pub methods: MethodSet,
    /// The paths that the end client may call. Empty: all.
    pub resources: ResourceSet,
    /// The roles that the key has. Empty in a command, which names roles beside its terms: only apply knows their numbers.
    pub roles: RoleSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_say_nothing_are_five_empty_boxes() {
        assert_eq!(size_of::<Terms>(), 5 * size_of::<Box<[u8]>>());
    }
}
