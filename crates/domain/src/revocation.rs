//! Why a key was revoked.

/// Why a key or version was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevocationReason {
    /// The secret is, or may be, in the wrong hands.
    Compromised,
    /// Another key or version took its place.
    Superseded,
    /// Its holder may no longer do this.
    PrivilegeWithdrawn,
    /// Its owner has left.
    OwnerLeft,
    /// Nobody used it.
    Unused,
    /// Said in the text.
    Other,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Compromised, Self::Superseded, Self::PrivilegeWithdrawn, Self::OwnerLeft, Self::Unused, Self::Other];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compromised => "COMPROMISED",
            Self::Superseded => "SUPERSEDED",
            Self::PrivilegeWithdrawn => "PRIVILEGE_WITHDRAWN",
            Self::OwnerLeft => "OWNER_LEFT",
            Self::Unused => "UNUSED",
            Self::Other => "OTHER",
        }
    }
}
