//! The leaf of one audit entry. It binds the entry's place and content, and shows only the place.
use crate::Hash;
use latchkey_domain::{Revision, Sequence};
use sha2::{Digest as _, Sha256};

/// First byte of what a leaf hashes, so that no node can pass for a leaf. Source: RFC 6962, section 2.1.
const LEAF_PREFIX: u8 = 0x00;

/// The bytes of a leaf's preimage: 1 + 8 + 8 + 8 + 32.
pub const LEAF_BYTES: usize = 57;

/// The commitment to an event: `SHA-256(o || event)`.
///
/// `o` is 32 bytes that nobody can guess, so a short or likely `event` cannot be found by trying, and a tree whose
/// events were destroyed still verifies. Its length is fixed, so `o || event` reads in one way only.
#[must_use]
pub fn commitment(o: &[u8; 32], event: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(o).chain_update(event).finalize().into()
}

/// The leaf of the entry with number `sequence`, made at `revision` in the event encoding `format`.
#[must_use]
pub fn leaf_hash(format: u8, sequence: Sequence, revision: Revision, commitment: &[u8; 32]) -> Hash {
    hash_preimage(&leaf_preimage(format, sequence, revision, commitment))
}

/// What a leaf is the hash of: `format (1) || sequence (8) || epoch (8) || index (8) || commitment (32)`, big-endian.
#[must_use]
pub fn leaf_preimage(format: u8, sequence: Sequence, revision: Revision, commitment: &[u8; 32]) -> [u8; LEAF_BYTES] {
    Leaf { format, sequence, revision, commitment: *commitment }.preimage()
}

/// The leaf with this preimage: `SHA-256(0x00 || preimage)`.
#[must_use]
pub fn hash_preimage(preimage: &[u8; LEAF_BYTES]) -> Hash {
    Hash::finish(Sha256::new().chain_update([LEAF_PREFIX]).chain_update(preimage))
}

/// What a leaf tells: its place, and the commitment to its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The encoding of the event.
    pub format: u8,
    /// The number of the entry, which is the index of the leaf.
    pub sequence: Sequence,
    /// The revision that made it.
    pub revision: Revision,
    /// [`commitment`] to the event.
    pub commitment: [u8; 32],
}

impl Leaf {
    /// Reads a preimage. Each combination of bytes is one.
    #[must_use]
    pub fn read(preimage: &[u8; LEAF_BYTES]) -> Self {
        let number = |at: usize| {
            let bytes = preimage[at..at + 8].try_into().expect("eight bytes were taken");
            u64::from_be_bytes(bytes)
        };
        Self {
            format: preimage[0],
            sequence: Sequence(number(1)),
            revision: Revision::new(number(9), number(17)),
            commitment: preimage[25..].try_into().expect("32 bytes are left of 57"),
        }
    }

    /// Its preimage: every field has a fixed width, so it reads in one way only.
    #[must_use]
    pub fn preimage(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[0] = self.format;
        bytes[1..9].copy_from_slice(&self.sequence.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.revision.epoch.to_be_bytes());
        bytes[17..25].copy_from_slice(&self.revision.index.to_be_bytes());
        bytes[25..].copy_from_slice(&self.commitment);
        bytes
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash_preimage(&self.preimage())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_changes_with_each_of_its_fields() {
        let content = commitment(&[7; 32], b"event");
        let leaf = leaf_hash(1, Sequence(2), Revision::new(3, 4), &content);
        let others = [
            leaf_hash(9, Sequence(2), Revision::new(3, 4), &content),
            leaf_hash(1, Sequence(9), Revision::new(3, 4), &content),
            leaf_hash(1, Sequence(2), Revision::new(9, 4), &content),
            leaf_hash(1, Sequence(2), Revision::new(3, 9), &content),
            leaf_hash(1, Sequence(2), Revision::new(4, 3), &content),
            leaf_hash(1, Sequence(2), Revision::new(3, 4), &commitment(&[8; 32], b"event")),
            leaf_hash(1, Sequence(2), Revision::new(3, 4), &commitment(&[7; 32], b"event ")),
        ];
        assert!(!others.contains(&leaf));
    }

    #[test]
    fn the_bytes_of_a_leaf_are_a_contract() {
        let content = commitment(&[0x11; 32], b"latchkey");
        let leaf = leaf_hash(1, Sequence(0x0102), Revision::new(3, 1042), &content);
        assert_eq!(leaf.to_string(), "7cce1c2deb049e846cf1bc526bff1370cbd42e55d53d303ec9a4dd2669eb6ec3");
    }

    #[test]
    fn a_preimage_reads_as_it_was_written() {
        let content = commitment(&[7; 32], b"event");
        let leaf = Leaf { format: 1, sequence: Sequence(2), revision: Revision::new(3, 4), commitment: content };
        assert_eq!(Leaf::read(&leaf.preimage()), leaf);
        assert_eq!(leaf.hash(), leaf_hash(1, Sequence(2), Revision::new(3, 4), &content));
        assert_eq!(leaf.preimage(), leaf_preimage(1, Sequence(2), Revision::new(3, 4), &content));
    }
}
