//! How a value of any length lies in chunks that sled can keep.
//!
//! A node of sled that outgrows 128 KiB goes to a file that sled never syncs, so no value is longer than
//! [`VALUE_BYTES_MAX`]. The first chunk carries `format (1) || length (4) || CRC-32 (4)` before its share of the bytes.
//! The CRC covers the key, the length and the bytes: a chunk that is whole but lies under the wrong key is found too.

use bytes::{Bytes, BytesMut};

/// The longest value that is handed to sled.
pub const VALUE_BYTES_MAX: usize = 4_000;

/// The longest record, row or word: 4 MiB.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// What the store itself puts before a mark or a purge marker.
const OWN_BYTES_MAX: usize = 16;

const FRAME_FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 4 + 4;
const FIRST_BYTES_MAX: usize = VALUE_BYTES_MAX - HEAD_BYTES;

// A chunk number has two bytes, and a length four.
const _: () = assert!(RECORD_BYTES_MAX / VALUE_BYTES_MAX < u16::MAX as usize);
const _: () = assert!(RECORD_BYTES_MAX < u32::MAX as usize);

/// `bytes` in chunks, each with its number. The caller has checked [`RECORD_BYTES_MAX`].
pub(crate) fn split<'a>(key: &[u8], bytes: &'a [u8]) -> impl Iterator<Item = (u16, Vec<u8>)> + use<'a> {
    let (start, rest) = bytes.split_at(bytes.len().min(FIRST_BYTES_MAX));
    let length = u32::try_from(bytes.len()).expect("RECORD_BYTES_MAX fits four bytes");
    let mut first = Vec::with_capacity(HEAD_BYTES + start.len());
    first.push(FRAME_FORMAT);
    first.extend_from_slice(&length.to_be_bytes());
    first.extend_from_slice(&crc(key, length, bytes).to_be_bytes());
    first.extend_from_slice(start);
    let others = rest.chunks(VALUE_BYTES_MAX).map(<[u8]>::to_vec);
    (0..=u16::MAX).zip(core::iter::once(first).chain(others))
}

/// A value on its way back from its chunks.
pub(crate) struct Joining {
    length: u32,
    crc: u32,
    bytes: BytesMut,
    chunks: u16,
}

impl Joining {
    /// Begins with the first chunk. The error says what is wrong with it.
    pub(crate) fn begin(first: &[u8]) -> Result<Self, String> {
        let Some((head, start)) = first.split_first_chunk::<HEAD_BYTES>() else {
            return Err(format!("a first chunk of {} bytes", first.len()));
        };
        let [format, l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        if format != FRAME_FORMAT {
            return Err(format!("frame format {format}, expected {FRAME_FORMAT}"));
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length as usize > RECORD_BYTES_MAX + OWN_BYTES_MAX {
            return Err(format!("a length of {length}, at most {RECORD_BYTES_MAX}"));
        }
        let mut bytes = BytesMut::with_capacity(length as usize);
        bytes.extend_from_slice(start);
        Ok(Self { length, crc: u32::from_be_bytes([c0, c1, c2, c3]), bytes, chunks: 1 })
    }

    /// The number of the chunk that is missing next; `None` if all are there.
    pub(crate) fn wants(&self) -> Option<u16> {
        (self.bytes.len() < self.length as usize).then_some(self.chunks)
    }

    /// Adds the chunk that [`Self::wants`] named.
    pub(crate) fn add(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        self.chunks += 1;
    }

    /// How many chunks the value has after the first, by its length.
    pub(crate) fn rest_chunks(&self) -> u16 {
        let rest = (self.length as usize).saturating_sub(FIRST_BYTES_MAX);
        u16::try_from(rest.div_ceil(VALUE_BYTES_MAX)).expect("RECORD_BYTES_MAX bounds the chunks")
    }

    /// The value, if it is what was written under `key`.
    pub(crate) fn end(self, key: &[u8]) -> Result<Bytes, String> {
        if self.bytes.len() != self.length as usize {
            return Err(format!("{} bytes, expected {}", self.bytes.len(), self.length));
        }
        let found = crc(key, self.length, &self.bytes);
        if found != self.crc {
            return Err(format!("CRC {found:08x}, expected {:08x}", self.crc));
        }
        Ok(self.bytes.freeze())
    }
}

fn crc(key: &[u8], length: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&length.to_be_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(key: &[u8], chunks: &[(u16, Vec<u8>)]) -> Result<Bytes, String> {
        let mut joining = Joining::begin(&chunks[0].1)?;
        while let Some(number) = joining.wants() {
            joining.add(&chunks.get(usize::from(number)).ok_or("a chunk is missing")?.1);
        }
        joining.end(key)
    }

    #[test]
    fn values_at_every_border_come_back_whole_in_chunks_that_sled_can_keep() {
        for length in [0, 1, 3_990, 3_991, 3_992, 3_999, 4_000, 4_001, 7_990, 7_991, 7_992, RECORD_BYTES_MAX] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let chunks: Vec<_> = split(b"key", &bytes).collect();
            assert!(chunks.iter().all(|(_, chunk)| chunk.len() <= VALUE_BYTES_MAX), "{length}");
            let first = Joining::begin(&chunks[0].1).expect("a head");
            assert_eq!(usize::from(first.rest_chunks()), chunks.len() - 1, "{length}");
            assert_eq!(join(b"key", &chunks).as_deref(), Ok(&bytes[..]), "{length}");
        }
    }

    #[test]
    fn a_value_under_another_key_is_found() {
        let chunks: Vec<_> = split(b"key", b"value").collect();
        assert!(join(b"kez", &chunks).is_err());
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let chunks: Vec<_> = split(b"key", &[5; 4_100]).collect();
        for (number, (_, chunk)) in chunks.iter().enumerate() {
            for bit in 0..chunk.len() * 8 {
                let mut flipped = chunks.clone();
                flipped[number].1[bit / 8] ^= 1 << (bit % 8);
                assert!(join(b"key", &flipped).is_err(), "chunk {number}, bit {bit}");
            }
        }
    }
}
