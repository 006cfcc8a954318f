//! Where a new secret goes.

use crate::name::Slug;
use alloc::boxed::Box;
use core::fmt;

/// Bits of the modulus of an RSA key.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The content of an algorithm identifier that says RSA, without parameters but NULL.
const RSA_ALGORITHM: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Bytes of an X25519 key.
const X25519_BYTES: usize = 32;

/// The points of low order: whatever is agreed with one of them is zero, and what is sealed to it everybody opens. Each is
/// one with and without its highest bit, which X25519 does not look at.
const LOW_ORDER: [[u8; X25519_BYTES]; 7] = [
    [0; X25519_BYTES],
    ended(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // One below the prime, the prime, and one above it.
    ended(0xec, 0xff, 0x7f),
    ended(0xed, 0xff, 0x7f),
    ended(0xee, 0xff, 0x7f),
];

const fn ended(first: u8, middle: u8, last: u8) -> [u8; X25519_BYTES] {
    let mut bytes = [middle; X25519_BYTES];
    bytes[0] = first;
    bytes[X25519_BYTES - 1] = last;
    bytes
}

/// Where a new secret goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It is sealed to a public key, and whoever holds the private one fetches it.
    Recipient(RecipientKey),
    /// A store that the settings of the rotation service name: a tenant can never name a path or a command of our hosts.
    Store(Slug),
}

/// A public key that secrets are sealed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKey {
    /// X25519, for HPKE.
    X25519([u8; 32]),
    /// RSA, for OAEP: a `SubjectPublicKeyInfo` in DER.
    Rsa(RsaKey),
}

/// The `SubjectPublicKeyInfo` of an RSA key in DER, with a modulus of 2,048 to 8,192 bits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RsaKey(Box<[u8]>);

/// A key that nothing can be sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKeyError {
    /// Not 32 bytes, or a point of low order.
    X25519,
    /// Not a `SubjectPublicKeyInfo` of an RSA key in DER.
    NotRsa,
    /// A modulus of so many bits.
    Bits(usize),
}

impl fmt::Display for RecipientKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X25519 => f.write_str("an X25519 key has 32 bytes, and is no point of low order"),
            Self::NotRsa => f.write_str("an RSA key is a SubjectPublicKeyInfo in DER"),
            Self::Bits(bits) => write!(f, "an RSA key has a modulus of 2048 to 8192 bits, not of {bits}"),
        }
    }
}

impl core::error::Error for RecipientKeyError {}

impl RecipientKey {
    /// Reads an X25519 key.
    ///
    /// # Errors
    /// [`RecipientKeyError`] where nothing can be sealed to it.
    pub fn x25519(bytes: &[u8]) -> Result<Self, RecipientKeyError> {
        let bytes: [u8; X25519_BYTES] = bytes.try_into().map_err(|_| RecipientKeyError::X25519)?;
        let mut point = bytes;
        point[X25519_BYTES - 1] &= 0x7f;
        if LOW_ORDER.contains(&point) { Err(RecipientKeyError::X25519) } else { Ok(Self::X25519(bytes)) }
    }

    /// Reads an RSA key: a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`RecipientKeyError`] where it is none, or its modulus is too short or too long.
    pub fn rsa(der: &[u8]) -> Result<Self, RecipientKeyError> {
        let modulus = modulus_of(der).ok_or(RecipientKeyError::NotRsa)?;
        let bits = match modulus.first() {
            Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
            None => 0,
        };
        if RSA_BITS.contains(&bits) { Ok(Self::Rsa(RsaKey(der.into()))) } else { Err(RecipientKeyError::Bits(bits)) }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::X25519(bytes) => bytes,
            Self::Rsa(key) => key.der(),
        }
    }
}

impl RsaKey {
    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({} bytes)", self.0.len())
    }
}

/// The modulus of an RSA key, without leading zeros.
fn modulus_of(der: &[u8]) -> Option<&[u8]> {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    let (info, rest) = element(der, SEQUENCE)?;
    let (algorithm, bits) = element(info, SEQUENCE)?;
    let (bits, after) = element(bits, BIT_STRING)?;
    // The first byte counts the bits of the last one that do not belong to it.
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    let (key, after_key) = element(key, SEQUENCE)?;
    let (modulus, exponent) = element(key, INTEGER)?;
    let (_, after_exponent) = element(exponent, INTEGER)?;
    let is_whole = [rest, after, after_key, after_exponent].iter().all(|rest| rest.is_empty());
    // A number whose first bit is set has a zero before it, else it would be negative.
    let modulus = match modulus {
        [0, positive @ ..] => positive,
        [first, ..] if *first < 0x80 => modulus,
        _ => return None,
    };
    (is_whole && algorithm == RSA_ALGORITHM).then_some(modulus)
}

/// The content of the element with this tag that `der` begins with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, der) = der.split_first()?;
    let (length, der) = match der {
        [short, der @ ..] if *short < 0x80 => (usize::from(*short), der),
        [0x81, length, der @ ..] if *length >= 0x80 => (usize::from(*length), der),
        [0x82, high, low, der @ ..] if *high > 0 => (usize::from(u16::from_be_bytes([*high, *low])), der),
        _ => return None,
    };
    (*found == tag).then(|| der.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut out = vec![tag];
        match length {
            0..=0x7f => out.push(u8::try_from(length).unwrap()),
            0x80..=0xff => out.extend([0x81, u8::try_from(length).unwrap()]),
            _ => {
                out.push(0x82);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend(content);
        out
    }

    /// A key with a modulus of so many bits, as far as its shape goes.
    fn rsa(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        if modulus[0] >= 0x80 {
            modulus.insert(0, 0);
        }
        let key = [wrap(0x02, &modulus), wrap(0x02, &[1, 0, 1])].concat();
        let bits = [vec![0], wrap(0x30, &key)].concat();
        wrap(0x30, &[wrap(0x30, &RSA_ALGORITHM), wrap(0x03, &bits)].concat())
    }

    #[test]
    fn what_everybody_would_open_is_refused() {
        for mut point in LOW_ORDER {
            for _ in 0..2 {
                assert_eq!(RecipientKey::x25519(&point), Err(RecipientKeyError::X25519), "{point:?}");
                point[31] ^= 0x80;
            }
        }
        for length in [0, 31, 33] {
            assert_eq!(RecipientKey::x25519(&vec![9; length]), Err(RecipientKeyError::X25519));
        }
        assert!(RecipientKey::x25519(&ended(9, 0, 0)).is_ok(), "the base point");
    }

    #[test]
    fn rsa_keys_are_read_by_the_length_of_their_modulus() {
        for bits in [2_048, 3_072, 4_096, 8_192] {
            assert_eq!(RecipientKey::rsa(&rsa(bits)).unwrap().as_bytes(), rsa(bits));
        }
        for bits in [1_024, 2_047, 8_193, 16_384] {
            assert_eq!(RecipientKey::rsa(&rsa(bits)), Err(RecipientKeyError::Bits(bits)));
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_wherever_it_breaks() {
        let whole = rsa(2_048);
        for length in 0..whole.len() {
            assert_eq!(RecipientKey::rsa(&whole[..length]), Err(RecipientKeyError::NotRsa), "{length} bytes");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert_eq!(RecipientKey::rsa(&longer), Err(RecipientKeyError::NotRsa));
        let mut of_curve = whole;
        of_curve[10] ^= 1;
        assert_eq!(RecipientKey::rsa(&of_curve), Err(RecipientKeyError::NotRsa));
    }

    #[test]
    fn an_x25519_key_has_32_bytes() {
        assert_eq!(RecipientKey::x25519(&[7; 32]), Ok(RecipientKey::X25519([7; 32])));
        for bytes in [&[7; 31][..], &[7; 33], &[0; 32], &[]] {
            assert_eq!(RecipientKey::x25519(bytes), Err(RecipientKeyError::X25519));
        }
    }
}
