//! The answer of a validation.

use core::fmt;

/// The answer of a validation, in the order in which the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The key is good for this request.
    Valid,
    /// The text has not the shape of a key text, or its checksum is wrong. Nothing was looked up.
    Malformed,
    /// No such key within the caller's grant, or the secret is wrong.
    NotFound,
    /// The key is of another keyspace, which the caller may validate too.
    WrongKeyspace,
    /// The version, its key, parent, owner, keyspace or tenant is revoked.
    Revoked,
    /// The key is suspended.
    Suspended,
    /// The key or version is not accepted yet.
    NotYetValid,
    /// The key or version has ended.
    Expired,
    /// The end client's address is not among the key's networks.
    NetworkNotAllowed,
    /// The method is not among the key's methods.
    MethodNotAllowed,
    /// The resource is not among the key's resources.
    ResourceNotAllowed,
    /// The permission query is not satisfied.
    InsufficientPermissions,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::Valid,
        Self::Malformed,
        Self::NotFound,
        Self::WrongKeyspace,
        Self::Revoked,
        Self::Suspended,
        Self::NotYetValid,
        Self::Expired,
        Self::NetworkNotAllowed,
        Self::MethodNotAllowed,
        Self::ResourceNotAllowed,
        Self::InsufficientPermissions,
    ];

    /// The word that documents, logs and the command line use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Malformed => "MALFORMED",
            Self::NotFound => "NOT_FOUND",
            Self::WrongKeyspace => "WRONG_KEYSPACE",
            Self::Revoked => "REVOKED",
            Self::Suspended => "SUSPENDED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::Expired => "EXPIRED",
            Self::NetworkNotAllowed => "NETWORK_NOT_ALLOWED",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::ResourceNotAllowed => "RESOURCE_NOT_ALLOWED",
            Self::InsufficientPermissions => "INSUFFICIENT_PERMISSIONS",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
