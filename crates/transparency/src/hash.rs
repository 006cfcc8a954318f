//! A hash of the tree, and how two become one.
use core::fmt;
use sha2::{Digest as _, Sha256};

/// First byte of what an inner node hashes, so that no leaf can pass for a node. Source: RFC 6962, section 2.1.
const NODE_PREFIX: u8 = 0x01;

/// The hash of a leaf, of a node or of a whole tree: 32 bytes of SHA-256. Public; compared in ordinary time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash with these bytes, as loaded or received.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::finish(Sha256::new().chain_update([NODE_PREFIX]).chain_update(left.0).chain_update(right.0))
}

/// The root of the tree without leaves: `SHA-256("")`. Source: RFC 6962, section 2.1.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::finish(Sha256::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_sha_256_of_nothing() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty_root().to_string(), expected);
    }

    #[test]
    fn a_node_depends_on_the_order_of_its_children() {
        let (left, right) = (Hash::new([1; 32]), Hash::new([2; 32]));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }
}
