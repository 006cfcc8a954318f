//! The services that the command line speaks to.

use std::fmt;

/// A service of Latchkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Keys and the directory.
    Issuance,
    /// Validating, and the cluster.
    Validation,
    /// Rotations.
    Rotation,
    /// The audit log.
    Audit,
}

impl Service {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Issuance, Self::Validation, Self::Rotation, Self::Audit];

    /// Its word, as in the name of its process.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issuance => "issuance",
            Self::Validation => "validation",
            Self::Rotation => "rotation",
            Self::Audit => "audit",
        }
    }

    /// The variable with its address.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Issuance => "LATCHKEY_ISSUANCE_ADDRESS",
            Self::Validation => "LATCHKEY_VALIDATION_ADDRESS",
            Self::Rotation => "LATCHKEY_ROTATION_ADDRESS",
            Self::Audit => "LATCHKEY_AUDIT_ADDRESS",
        }
    }

    /// Its port on loopback where nothing else is said.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Issuance => 7_710,
            Self::Validation => 7_720,
            Self::Rotation => 7_730,
            Self::Audit => 7_740,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
