//! Resource names: `tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/versions/{version}` and its siblings.

use crate::{KeyId, RotationId, VersionId};
use alloc::boxed::Box;
use alloc::string::ToString;
use core::fmt;

/// Longest slug. Characters.
pub const SLUG_CHARS_MAX: usize = 63;

/// The tenant that holds what belongs to the cluster itself.
pub const SYSTEM_TENANT: &str = "system";
/// The keyspace, in the system tenant, of management keys.
pub const MANAGEMENT_KEYSPACE: &str = "management";

/// A text that is no resource name of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// The form that was expected.
    pub expected: &'static str,
    /// How long what was found is. Bytes. The text itself may be anything, a key text that went astray too, and errors
    /// are logged.
    pub found_bytes: usize,
}

impl NameError {
    fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found_bytes: found.len() }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {} bytes of another form", self.expected, self.found_bytes)
    }
}

impl core::error::Error for NameError {}

/// An id that a person chose: `[a-z]([a-z0-9-]{0,61}[a-z0-9])?` (AIP-122).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(Box<str>);

impl Slug {
    /// Sorts before every slug: where a scan begins. Not itself a slug that parses.
    #[must_use]
    pub fn lowest() -> Self {
        Self("".into())
    }

    /// The only way to make one.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let well_formed = bytes.len() <= SLUG_CHARS_MAX
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|byte| *byte != b'-')
            && bytes.iter().all(inner);
        if !well_formed {
            return Err(NameError::new("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", text));
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits `a/x/b/y` into the ids that follow the given collections; `None` where the shape differs.
fn ids<'a, const N: usize>(text: &'a str, collections: [&str; N]) -> Option<[&'a str; N]> {
    let mut parts = text.split('/');
    let mut found = [""; N];
    for (collection, id) in collections.iter().zip(found.iter_mut()) {
        if parts.next()? != *collection {
            return None;
        }
        *id = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// `tenants/{tenant}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName {
    /// The tenant's id.
    pub tenant: Slug,
}

impl TenantName {
    const FORM: &'static str = "tenants/{tenant}";

    /// From its id.
    #[must_use]
    pub const fn new(tenant: Slug) -> Self {
        Self { tenant }
    }

    /// The tenant of the cluster itself.
    #[must_use]
    pub fn system() -> Self {
        Self { tenant: Slug(SYSTEM_TENANT.into()) }
    }

    /// Reads the full name.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let [tenant] = ids(text, ["tenants"]).ok_or_else(|| NameError::new(Self::FORM, text))?;
        Ok(Self { tenant: Slug::parse(tenant)? })
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenants/{}", self.tenant)
    }
}

macro_rules! child_of_tenant {
    ($(#[$doc:meta])* $name:ident, $collection:literal, $id:ident, $form:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The tenant's id.
            pub tenant: Slug,
            /// The id within the tenant.
            pub $id: Slug,
        }

        impl $name {
            /// From its ids.
            #[must_use]
            pub const fn new(tenant: Slug, $id: Slug) -> Self {
                Self { tenant, $id }
            }

            /// Reads the full name.
            ///
            /// # Errors
            /// [`NameError`] with the form expected.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let [tenant, id] =
                    ids(text, ["tenants", $collection]).ok_or_else(|| NameError::new($form, text))?;
                Ok(Self { tenant: Slug::parse(tenant)?, $id: Slug::parse(id)? })
            }

            /// The tenant it belongs to.
            #[must_use]
            pub fn parent(&self) -> TenantName {
                TenantName::new(self.tenant.clone())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("tenants/{}/", $collection, "/{}"), self.tenant, self.$id)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_string())
            }
        }
    };
}

impl fmt::Debug for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

child_of_tenant!(
    /// `tenants/{tenant}/keyspaces/{keyspace}`.
    KeyspaceName,
    "keyspaces",
    keyspace,
    "tenants/{tenant}/keyspaces/{keyspace}"
);
child_of_tenant!(
    /// `tenants/{tenant}/owners/{owner}`.
    OwnerName,
    "owners",
    owner,
    "tenants/{tenant}/owners/{owner}"
);
child_of_tenant!(
    /// `tenants/{tenant}/identities/{identity}`.
    IdentityName,
    "identities",
    identity,
    "tenants/{tenant}/identities/{identity}"
);

child_of_tenant!(
    /// `tenants/{tenant}/roles/{role}`.
    RoleName,
    "roles",
    role,
    "tenants/{tenant}/roles/{role}"
);

impl KeyspaceName {
    /// The keyspace of management keys.
    #[must_use]
    pub fn management() -> Self {
        Self { tenant: Slug(SYSTEM_TENANT.into()), keyspace: Slug(MANAGEMENT_KEYSPACE.into()) }
    }

    /// Whether keys of this keyspace prove identities.
    #[must_use]
    pub fn is_management(&self) -> bool {
        self.tenant.as_str() == SYSTEM_TENANT && self.keyspace.as_str() == MANAGEMENT_KEYSPACE
    }
}

/// `tenants/{tenant}/keyspaces/{keyspace}/keys/{key}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// The keyspace it is in.
    pub keyspace: KeyspaceName,
    /// The key's id.
    pub key: KeyId,
}

impl KeyName {
    const FORM: &'static str = "tenants/{tenant}/keyspaces/{keyspace}/keys/{key}";

    /// Reads the full name.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::new(Self::FORM, text);
        let [tenant, keyspace, key] = ids(text, ["tenants", "keyspaces", "keys"]).ok_or_else(refused)?;
        let keyspace = KeyspaceName::new(Slug::parse(tenant)?, Slug::parse(keyspace)?);
        Ok(Self { keyspace, key: KeyId::from_chars(key.as_bytes()).ok_or_else(refused)? })
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/keys/{}", self.keyspace, self.key)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

/// `tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/versions/{version}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionName {
    /// The key it belongs to.
    pub key: KeyName,
    /// The version's id.
    pub version: VersionId,
}

impl VersionName {
    const FORM: &'static str = "tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/versions/{version}";

    /// Reads the full name.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::new(Self::FORM, text);
        let (key, version) = text.rsplit_once("/versions/").ok_or_else(refused)?;
        let version = VersionId::from_chars(version.as_bytes()).ok_or_else(refused)?;
        Ok(Self { key: KeyName::parse(key)?, version })
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/versions/{}", self.key, self.version)
    }
}

impl fmt::Debug for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

/// `tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/rotations/{rotation}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RotationName {
    /// The key it belongs to.
    pub key: KeyName,
    /// The rotation's id.
    pub rotation: RotationId,
}

impl RotationName {
    const FORM: &'static str = "tenants/{tenant}/keyspaces/{keyspace}/keys/{key}/rotations/{rotation}";

    /// Reads the full name.
    ///
    /// # Errors
    /// [`NameError`] with the form expected.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refused = || NameError::new(Self::FORM, text);
        let (key, rotation) = text.rsplit_once("/rotations/").ok_or_else(refused)?;
        let rotation = RotationId::from_chars(rotation.as_bytes()).ok_or_else(refused)?;
        Ok(Self { key: KeyName::parse(key)?, rotation })
    }
}

impl fmt::Display for RotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/rotations/{}", self.key, self.rotation)
    }
}

impl fmt::Debug for RotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_name_is_refused() {
        for text in ["", "tenants", "tenants/", "tenants/A", "tenants/a-", "tenants/1a", "tenants/a/b", "x/a"] {
            assert!(TenantName::parse(text).is_err(), "{text}");
        }
        let long = alloc::format!("tenants/{}", "a".repeat(64));
        assert!(TenantName::parse(&long).is_err());
        assert!(KeyspaceName::parse("tenants/a/owners/b").is_err());
        assert!(KeyName::parse("tenants/a/keyspaces/b/keys/short").is_err());
        assert!(VersionName::parse("tenants/a/keyspaces/b/keys/0000000000000000").is_err());
    }

    #[test]
    fn names_print_as_they_parse() {
        let text = "tenants/acme/keyspaces/payments-live/keys/0000000000000001/versions/zzzzzzzzzzzzzzzz";
        let name = VersionName::parse(text).unwrap();
        assert_eq!(name.to_string(), text);
        assert_eq!(KeyName::parse(&name.key.to_string()), Ok(name.key.clone()));
        assert_eq!(KeyspaceName::parse("tenants/system/keyspaces/management"), Ok(KeyspaceName::management()));
        let text = "tenants/acme/keyspaces/payments-live/keys/0000000000000001/rotations/0000000000000002";
        assert_eq!(RotationName::parse(text).unwrap().to_string(), text);
        assert_eq!(
            RoleName::parse("tenants/acme/roles/read-only").unwrap().to_string(),
            "tenants/acme/roles/read-only"
        );
    }
}
