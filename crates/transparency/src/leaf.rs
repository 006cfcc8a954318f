//! The leaf of one audit entry. It binds the entry's place and content, and shows only the place.
use crate::Hash;
use latchkey_domain::{Revision, Sequence};
use sha2::{Digest as _, Sha256};

/// First byte of what a leaf hashes, so that no node can pass for a leaf. Source: RFC 6962, section 2.1.
const LEAF_PREFIX: u8 = 0x00;

/// The commitment to an event: `SHA-256(o || event)`.
///
/// `o` is 32 bytes that nobody can guess, so a short or likely `event` cannot be found by trying, and a tree whose
/// events were destroyed still verifies. Its length is fixed, so `o || event` reads in one way only.
#[must_use]
pub fn commitment(o: &[u8; 32], event: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(o).chain_update(event).finalize().into()
}

/// The leaf of the entry with number `sequence`, made at `revision` in the event encoding `format`.
///
/// All integers are big-endian and every field has a fixed width: 1 + 1 + 8 + 8 + 8 + 32 bytes.
#[must_use]
pub fn leaf_hash(format: u8, sequence: Sequence, revision: Revision, commitment: &[u8; 32]) -> Hash {
    let hasher = Sha256::new()
        .chain_update([LEAF_PREFIX, format])
        .chain_update(sequence.0.to_be_bytes())
        .chain_update(revision.epoch.to_be_bytes())
        .chain_update(revision.index.to_be_bytes())
        .chain_update(commitment);
    Hash::finish(hasher)
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
}
