//! Checking the bytes of a snapshot as they stream by.

use latchkey_domain::planted::{self, Plant};
use sha2::{Digest as _, Sha256};

use super::{HASH_BYTES, SNAPSHOT_FORMAT, TRAILER_BYTES};
use crate::facts::field;

/// Hashes all but the last 32 bytes, whichever those turn out to be.
#[derive(Default)]
pub(super) struct Check {
    hasher: Sha256,
    format: Option<u8>,
    bytes: u64,
    /// The last bytes seen, at most a trailer; of these all but the last 32 are hashed when more come.
    tail: Vec<u8>,
}

impl Check {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.format = self.format.or_else(|| bytes.first().copied());
        self.bytes += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        let settled = self.tail.len().saturating_sub(TRAILER_BYTES);
        self.hasher.update(&self.tail[..settled]);
        self.tail.drain(..settled);
    }

    /// The length of the payload, if format, length and hash agree; else what does not.
    pub(super) fn end(mut self) -> Result<u64, String> {
        let Some(payload_bytes) = self.bytes.checked_sub(1 + TRAILER_BYTES as u64) else {
            return Err(format!("{} bytes, too short for a snapshot", self.bytes));
        };
        if self.format != Some(SNAPSHOT_FORMAT) {
            return Err(format!("snapshot format {:?}, expected {SNAPSHOT_FORMAT}", self.format));
        }
        let stated = u64::from_be_bytes(field(&self.tail, 0));
        if stated != payload_bytes {
            return Err(format!("a payload of {payload_bytes} bytes, expected {stated}"));
        }
        self.hasher.update(&self.tail[..TRAILER_BYTES - HASH_BYTES]);
        let hash = self.hasher.finalize();
        if hash[..] != self.tail[TRAILER_BYTES - HASH_BYTES..] && !planted::is(Plant::SnapshotWithoutHash) {
            return Err("a SHA-256 that differs from the trailer's".into());
        }
        Ok(payload_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::Encoder;
    use super::*;

    fn encoded(payload: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new()).expect("a Vec takes all");
        encoder.write_all(payload).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all").0
    }

    fn checked(bytes: &[u8], piece: usize) -> Result<u64, String> {
        let mut check = Check::default();
        bytes.chunks(piece).for_each(|piece| check.update(piece));
        check.end()
    }

    #[test]
    fn a_snapshot_is_whole_however_it_is_cut_into_pieces() {
        for length in [0, 1, 39, 40, 41, 1_000] {
            for piece in [1, 7, 40, 41, 5_000] {
                assert_eq!(checked(&encoded(&vec![3; length]), piece), Ok(length as u64), "{length} by {piece}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_found() {
        let whole = encoded(&[3; 50]);
        for length in 0..whole.len() {
            assert!(checked(&whole[..length], 16).is_err(), "{length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(checked(&flipped, 16).is_err(), "bit {bit}");
        }
    }
}
