//! A key that seals records, or wraps other keys.
use crate::{Entropy, draw};
use core::fmt;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 random bytes, from which each record's own key is made. Zeroed on drop.
///
/// Keeps the keyed hash state beside the bytes, so that the two compressions of keying are not paid for each record.
pub struct DataKey {
    bytes: Zeroizing<[u8; 32]>,
    prk: Hkdf<Sha256>,
}

impl DataKey {
    /// From its bytes, as unwrapped.
    ///
    /// # Panics
    /// Never: 32 bytes are as many as HKDF-SHA-256 asks for.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let prk = Hkdf::from_prk(bytes.as_ref()).expect("32 bytes are as many as HKDF-SHA-256 asks for");
        Self { bytes, prk }
    }

    /// A fresh key. Being uniformly random it needs no extraction. Source: RFC 5869, section 3.3.
    pub fn draw(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self::new(draw(entropy))
    }

    /// Its bytes, for wrapping, and for making a `Pepper` of one that was unwrapped.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(super) const fn prk(&self) -> &Hkdf<Sha256> {
        &self.prk
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(32 bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", DataKey::new([0xAB; 32])), "DataKey(32 bytes)");
    }
}
