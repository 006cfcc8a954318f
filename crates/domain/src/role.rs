//! Roles: the sets of them that a key carries, and those that every tenant has.

use crate::{BoundedSet, RoleNumber};

/// Most roles of one key.
pub const ROLES_MAX: usize = 16;

/// The roles of a key, by number.
pub type RoleSet = BoundedSet<RoleNumber, ROLES_MAX>;

/// A role that every tenant has and that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltInRole {
    /// `GET` and `HEAD`; permits no word.
    ReadOnly,
    /// `GET`, `HEAD` and `POST`; permits no word.
    Standard,
    /// Any method; permits every word that the keyspace allows.
    Admin,
}

impl BuiltInRole {
    /// Every built-in role, by number.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Standard, Self::Admin];

    /// The highest number of a built-in role: numbers are given to others from the next one on.
    pub const NUMBER_MAX: u32 = 15;

    /// Its id, the same in every tenant.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Standard => "standard",
            Self::Admin => "admin",
        }
    }

    /// Its number, the same in every tenant.
    #[must_use]
    pub const fn number(self) -> RoleNumber {
        match self {
            Self::ReadOnly => RoleNumber(1),
            Self::Standard => RoleNumber(2),
            Self::Admin => RoleNumber(3),
        }
    }

    /// The built-in role with this id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == id)
    }

    /// The built-in role with this number.
    #[must_use]
    pub fn by_number(number: RoleNumber) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    /// The methods with which its keys may be used; empty: any.
    #[must_use]
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::ReadOnly => &["GET", "HEAD"],
            Self::Standard => &["GET", "HEAD", "POST"],
            Self::Admin => &[],
        }
    }

    /// Whether it permits every word.
    #[must_use]
    pub const fn permits_all(self) -> bool {
        matches!(self, Self::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_role_is_found_by_its_id_and_its_number() {
        for role in BuiltInRole::ALL {
            assert_eq!(BuiltInRole::parse(role.as_str()), Some(role));
            assert_eq!(BuiltInRole::by_number(role.number()), Some(role));
            assert!(role.number().0 <= BuiltInRole::NUMBER_MAX);
        }
        assert_eq!(BuiltInRole::parse("owner"), None);
        assert_eq!(BuiltInRole::by_number(RoleNumber(4)), None);
    }
}
