//! A key that seals records, or wraps other keys.
use crate::{Entropy, draw};
use core::fmt;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a key's id is derived for. No context begins with 0, since no suite has that number.
const ID: &[u8] = b"\0latchkey-key-id-1";

/// What a term is derived for, as above.
const TERM: &[u8] = b"\0latchkey-term-1";

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

    /// Eight bytes that tell this key from others and nothing of it: HKDF-Expand-SHA-256 of the key.
    ///
    /// # Panics
    /// Never: HKDF-SHA-256 gives up to 8,160 bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        self.prk.expand(ID, &mut id).expect("8 bytes are within the 8,160 that HKDF-SHA-256 gives");
        id
    }

    /// Eight bytes that stand for `value` among what lies under this key, and tell nothing of it without the key:
    /// HKDF-Expand-SHA-256 of the key.
    ///
    /// # Panics
    /// Never: HKDF-SHA-256 gives up to 8,160 bytes.
    #[must_use]
    pub fn term(&self, value: &[u8]) -> [u8; 8] {
        let mut term = [0; 8];
        let made = self.prk.expand_multi_info(&[TERM, value], &mut term);
        made.expect("8 bytes are within the 8,160 that HKDF-SHA-256 gives");
        term
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

    #[test]
    fn an_id_is_the_same_for_ever_and_another_for_each_key() {
        // Ids lie in the keyring of clusters: this one is a contract.
        let id = DataKey::new([0xAB; 32]).id();
        assert_eq!(id, [0xAA, 0x58, 0x90, 0x80, 0x19, 0xE7, 0x94, 0x33]);
        assert_ne!(id, DataKey::new([0xAA; 32]).id());
    }

    #[test]
    fn a_term_differs_by_key_and_by_value() {
        let term = DataKey::new([0xAB; 32]).term(b"actor");
        assert_eq!(term, DataKey::new([0xAB; 32]).term(b"actor"));
        assert_ne!(term, DataKey::new([0xAA; 32]).term(b"actor"));
        assert_ne!(term, DataKey::new([0xAB; 32]).term(b"actors"));
    }
}
