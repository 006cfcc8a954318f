//! Ids that Latchkey draws itself: 96-bit numbers written as 16 base62 digits.

use crate::base62;
use alloc::string::ToString;
use core::fmt;

/// How many characters an id has as text.
pub const ID_CHARS: usize = 16;

/// 62^16, the first number that no id text can say.
const ID_END: u128 = 47_672_401_706_823_533_450_263_330_816;

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    /// How long what was found is. Bytes. The text itself may be anything, a key text that went astray too.
    pub found_bytes: usize,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id of {ID_CHARS} characters 0-9A-Za-z, found {} bytes", self.found_bytes)
    }
}

impl core::error::Error for IdError {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 12 bytes, big-endian, below 62^16; as text 16 characters `0-9A-Za-z`. Bytes and texts sort alike.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// The lowest id: where a scan begins.
            pub const LOWEST: Self = Self([0; 12]);
            /// The highest id: where a scan ends.
            pub const HIGHEST: Self = Self::truncated(ID_END - 1);

            const fn truncated(number: u128) -> Self {
                let all = number.to_be_bytes();
                let mut bytes = [0; 12];
                let mut at = 0;
                while at < 12 {
                    bytes[at] = all[at + 4];
                    at += 1;
                }
                Self(bytes)
            }

            /// From its 12 bytes; `None` for a number that 16 digits cannot say.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 12]) -> Option<Self> {
                let id = Self(bytes);
                (id.number() < ID_END).then_some(id)
            }

            /// From 12 random bytes: the top bit is dropped, which leaves 95 bits, all of them valid ids.
            #[must_use]
            pub fn from_random(mut bytes: [u8; 12]) -> Self {
                bytes[0] &= 0x7F;
                Self(bytes)
            }

            /// Its 12 bytes, as kept at rest.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 12] {
                &self.0
            }

            fn number(self) -> u128 {
                let mut all = [0; 16];
                all[4..].copy_from_slice(&self.0);
                u128::from_be_bytes(all)
            }

            /// Its 16 characters.
            #[must_use]
            pub fn chars(self) -> [u8; ID_CHARS] {
                let mut out = [0; ID_CHARS];
                base62::encode(self.number(), &mut out);
                out
            }

            /// Reads exactly 16 characters; `None` for anything else. Allocates nothing: validation calls it.
            #[must_use]
            pub fn from_chars(text: &[u8]) -> Option<Self> {
                if text.len() != ID_CHARS {
                    return None;
                }
                base62::decode(text).map(Self::truncated)
            }

            /// Reads exactly 16 characters.
            ///
            /// # Errors
            /// [`IdError`] with the length found.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Self::from_chars(text.as_bytes()).ok_or_else(|| IdError { found_bytes: text.len() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let chars = self.chars();
                f.write_str(core::str::from_utf8(&chars).expect("base62 digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_string())
            }
        }
    };
}

id!(
    /// The id of a key: drawn when it is made, never used again.
    KeyId
);
id!(
    /// The id of one version of a key; it is the public part of the key text.
    VersionId
);

id!(
    /// The id of a rotation: drawn when it is made, never used again.
    RotationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_sixteen_digits_are_refused() {
        assert_eq!(KeyId::from_bytes([0xFF; 12]), None);
        assert_eq!(KeyId::from_bytes(*KeyId::HIGHEST.bytes()), Some(KeyId::HIGHEST));
        assert_eq!(KeyId::HIGHEST.to_string(), "zzzzzzzzzzzzzzzz");
    }

    #[test]
    fn text_and_bytes_round_trip() {
        let id = VersionId::from_random([0xAB; 12]);
        assert_eq!(VersionId::parse(&id.to_string()), Ok(id));
        assert_eq!(VersionId::from_bytes(*id.bytes()), Some(id));
        assert!(VersionId::parse("short").is_err());
        assert!(VersionId::parse("0000000000000_00").is_err());
    }
}
