//! A witness of what was acknowledged, beside sled.
//!
//! sled cuts what it takes for a torn tail, and cannot tell it from acknowledged bytes that have rotted since. So each
//! sync has a number; sled keeps it within the batch, and the witness gets it after the sync. Opening finds
//! damage where sled remembers less than the witness saw. The witness is never synced itself: after a power cut it may
//! be old, which weakens the check, but it is never ahead of a disk that kept its word. Two slots, so that one torn
//! write leaves the other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::facts::field;

const SLOT_BYTES: usize = 8 + 4;
/// Apart by a sector, so that no write touches both.
const SLOT_STRIDE: u64 = 4_096;

pub(super) struct Witness {
    file: File,
    seen: u64,
}

impl Witness {
    /// Both slots, for a new folder. The caller syncs.
    pub(super) fn begin(file: &File) -> io::Result<()> {
        for number in 0..2 {
            file.write_all_at(&encode(0), slot(number))?;
        }
        Ok(())
    }

    /// The highest number that was witnessed; `None` if neither slot is whole.
    pub(super) fn load(file: File) -> io::Result<Option<Self>> {
        let mut seen = None;
        for number in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            match file.read_exact_at(&mut bytes, slot(number)) {
                Ok(()) => seen = seen.max(decode(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen.map(|seen| Self { file, seen }))
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Sync `number` is about to be acknowledged.
    pub(super) fn see(&mut self, number: u64) -> io::Result<()> {
        self.file.write_all_at(&encode(number), slot(number))?;
        self.seen = number;
        Ok(())
    }
}

fn slot(number: u64) -> u64 {
    number % 2 * SLOT_STRIDE
}

fn encode(number: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<u64> {
    let whole = crc32fast::hash(&bytes[..8]) == u32::from_be_bytes(field(bytes, 8));
    whole.then(|| u64::from_be_bytes(field(bytes, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_number_before() {
        let file = tempfile::tempfile().expect("a temporary file");
        Witness::begin(&file).expect("writes");
        let mut witness = Witness::load(file.try_clone().unwrap()).expect("reads").expect("whole");
        witness.see(2).expect("writes");
        witness.see(3).expect("writes");
        file.write_all_at(&[0xFF; 5], slot(3)).expect("writes");
        let witness = Witness::load(file.try_clone().unwrap()).expect("reads").expect("one slot is whole");
        assert_eq!(witness.seen(), 2);
        file.set_len(0).expect("truncates");
        assert!(Witness::load(file).expect("reads").is_none());
    }
}
