//! What is kept of a secret. Two steps, so that a pepper can be replaced without the secret being seen again.
use crate::Secret;
use core::fmt;
use hmac::{Hmac, KeyInit as _, Mac as _};
use latchkey_domain::VersionId;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Separates this hash from all others over the same bytes, and this way of hashing from a later one.
const INNER_LABEL: &[u8] = b"latchkey/1";

/// The first step, `SHA-256("latchkey/1" || version id || secret)`; for an imported key the SHA-256 that was imported.
///
/// With the pepper it gives the digest, so it is kept only sealed. Zeroed on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Inner([u8; 32]);

impl Inner {
    /// Of a secret that Latchkey drew. The version id is hashed as its 16 characters.
    #[must_use]
    pub fn of(version: VersionId, secret: &Secret) -> Self {
        let hasher = Sha256::new().chain_update(INNER_LABEL).chain_update(version.chars());
        Self(hasher.chain_update(secret.expose()).finalize().into())
    }

    /// Of what another system hashed of a key text: the text, or its last part.
    #[must_use]
    pub fn of_foreign(hashed: &str) -> Self {
        Self(Sha256::digest(hashed).into())
    }

    /// From bytes that were unsealed or imported.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for sealing.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inner(32 bytes)")
    }
}

/// The key of the second step. It is never beside the digests, so a stolen state cannot be searched. Zeroed on drop.
///
/// Holds the keyed hash state, not the key: two of the four compressions of each HMAC are done once, here.
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// From its 32 bytes.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The second step: `HMAC-SHA-256(pepper, inner)`.
    #[must_use]
    pub fn digest(&self, inner: &Inner) -> Digest {
        let mut mac = self.0.clone();
        mac.update(&inner.0);
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(32 bytes)")
    }
}

/// What is kept of a secret and compared: 32 bytes. `==` is [`Self::matches`], so that no comparison leaks.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From bytes that were stored.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for storing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same. The time does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        // Eight bytes at a time: subtle compares slices byte by byte, at eight times the price.
        words(self).zip(words(other)).fold(Choice::from(1), |same, (one, two)| same & one.ct_eq(&two)).into()
    }
}

fn words(digest: &Digest) -> impl Iterator<Item = u64> {
    digest.0.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word))
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(32 bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> VersionId {
        VersionId::parse(text).unwrap()
    }

    fn secret(char: u8) -> Secret {
        Secret::from_chars(&[char; 32]).unwrap()
    }

    #[test]
    fn another_secret_version_or_pepper_is_another_digest() {
        let (pepper, other) = (Pepper::new(&[1; 32]), Pepper::new(&[2; 32]));
        let inner = Inner::of(version("0000000000000001"), &secret(b'a'));
        let digest = pepper.digest(&inner);
        assert!(digest.matches(&pepper.digest(&inner)));
        assert!(!digest.matches(&other.digest(&inner)));
        assert!(!digest.matches(&pepper.digest(&Inner::of(version("0000000000000001"), &secret(b'b')))));
        assert!(!digest.matches(&pepper.digest(&Inner::of(version("0000000000000002"), &secret(b'a')))));
    }

    #[test]
    fn a_digest_differing_in_one_bit_anywhere_does_not_match() {
        let digest = Digest::new([0x5A; 32]);
        for bit in 0..256 {
            let mut bytes = [0x5A; 32];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!digest.matches(&Digest::new(bytes)), "bit {bit}");
        }
    }

    #[test]
    fn the_bytes_of_inner_and_digest_are_a_contract() {
        let inner = Inner::of(version("0123456789ABCDEF"), &secret(b'k'));
        let digest = Pepper::new(&[0x33; 32]).digest(&inner);
        assert_eq!(
            inner.expose(),
            &[
                0xdb, 0xd1, 0x6e, 0x14, 0x54, 0x99, 0x63, 0xd0, 0xea, 0xae, 0x22, 0x54, 0x53, 0xdd, 0xf5, 0xc4, 0x22,
                0x0b, 0x7c, 0x51, 0x19, 0x6a, 0x42, 0xfa, 0xd4, 0x4d, 0x43, 0x1e, 0x6f, 0x18, 0xd2, 0x3e
            ]
        );
        assert_eq!(
            digest.as_bytes(),
            &[
                0xb1, 0xcf, 0x68, 0x9a, 0xf2, 0x16, 0xfe, 0xcb, 0xee, 0xc2, 0x98, 0x3e, 0x33, 0x1b, 0x08, 0x67, 0xcd,
                0x4f, 0xdd, 0xf9, 0xa4, 0xf3, 0xdf, 0x8f, 0x8b, 0xa9, 0x00, 0x34, 0x57, 0xd8, 0x7a, 0x46
            ]
        );
    }

    #[test]
    fn what_another_system_hashed_is_a_plain_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = Inner::of_foreign("abc");
        assert_eq!(abc.expose()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(abc.expose()[28..], [0xf2, 0x00, 0x15, 0xad]);
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", Inner::new([0xAB; 32])), "Inner(32 bytes)");
        assert_eq!(format!("{:?}", Pepper::new(&[0xAB; 32])), "Pepper(32 bytes)");
        assert_eq!(format!("{:?}", Digest::new([0xAB; 32])), "Digest(32 bytes)");
    }
}
