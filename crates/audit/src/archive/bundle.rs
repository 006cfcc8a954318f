//! A bundle: 256 entries that stand next to each other, each sealed under its tenant's audit key, with a table of where each begins.

use super::error::ArchiveError;
use crate::journal::{Encoding, Frame};
use latchkey_domain::ClusterId;
use latchkey_transparency::TileId;

const FORMAT: u8 = 1;
/// Format, cluster, sequence of the first entry, count.
const FIXED_BYTES: usize = 1 + 16 + 8 + 2;
const OFFSET_BYTES: usize = 4;
const CRC_BYTES: usize = 4;

/// Where the sealed entries of a tile of leaves lie: `sealed/x001/234`, or `sealed/x001/234.p/7`.
pub(super) fn sealed_path(id: TileId) -> String {
    id.entries_path().replacen("tile/entries/", "sealed/", 1)
}

/// What a bundle begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) cluster: ClusterId,
    first: u64,
    /// Where each entry begins, from the end of the head on; the last: where all end.
    offsets: Vec<u32>,
}

impl Head {
    /// How long the head of a bundle of `width` entries is.
    pub(super) const fn bytes_of(width: u16) -> usize {
        FIXED_BYTES + (width as usize + 1) * OFFSET_BYTES + CRC_BYTES
    }

    /// Reads the head of the bundle `id`.
    pub(super) fn read(id: TileId, bytes: &[u8]) -> Result<Self, ArchiveError> {
        let damaged = |what: &str| ArchiveError::damaged(&sealed_path(id), format!("its head: {what}"));
        let head = bytes.get(..Self::bytes_of(id.width())).ok_or_else(|| damaged("it is too short"))?;
        let (body, crc) = head.split_last_chunk::<CRC_BYTES>().ok_or_else(|| damaged("it is too short"))?;
        if *crc != crc32fast::hash(body).to_be_bytes() {
            return Err(damaged("its CRC differs"));
        }
        let (fixed, offsets) = body.split_at(FIXED_BYTES);
        if fixed[0] != FORMAT {
            return Err(damaged(&format!("its format is {}, this build reads {FORMAT}", fixed[0])));
        }
        let cluster = ClusterId(fixed[1..17].try_into().expect("sixteen bytes were taken"));
        let first = u64::from_be_bytes(fixed[17..25].try_into().expect("eight bytes were taken"));
        let count = u16::from_be_bytes(fixed[25..27].try_into().expect("two bytes were taken"));
        if (first, count) != (id.first(), id.width()) {
            return Err(damaged(&format!("it has {count} entries from {first} on, as it says")));
        }
        let offsets: Vec<_> = offsets.as_chunks().0.iter().map(|offset| u32::from_be_bytes(*offset)).collect();
        if !offsets.is_sorted() {
            return Err(damaged("its offsets are in disorder"));
        }
        Ok(Self { cluster, first, offsets })
    }

    /// Where the entry at this place in the bundle lies in the object.
    pub(super) fn range(&self, at: usize) -> std::ops::Range<u64> {
        let head =
            Self::bytes_of(u16::try_from(self.offsets.len() - 1).expect("a bundle has at most 256 entries")) as u64;
        head + u64::from(self.offsets[at])..head + u64::from(self.offsets[at + 1])
    }

    /// Reads the entry at this place in the bundle.
    pub(super) fn frame(&self, id: TileId, at: usize, bytes: &[u8]) -> Result<Frame, ArchiveError> {
        let sequence = self.first + at as u64;
        let damaged = |what: String| ArchiveError::damaged(&sealed_path(id), format!("entry {sequence}: {what}"));
        let (frame, length) = Frame::decode(Encoding::NEWEST, sequence, bytes).map_err(damaged)?;
        if length != bytes.len() {
            return Err(damaged(format!("{} bytes, expected {length}", bytes.len())));
        }
        Ok(frame)
    }
}

/// The bundle of these entries, which are as many as `id` is wide.
pub(super) fn encode(cluster: ClusterId, id: TileId, frames: &[Frame]) -> Vec<u8> {
    let (mut offsets, mut body) = (vec![0], Vec::with_capacity(frames.iter().map(Frame::bytes).sum()));
    for (sequence, frame) in (id.first()..).zip(frames) {
        frame.encode(sequence, &mut body);
        offsets.push(u32::try_from(body.len()).expect("256 frames of at most 1 MiB fit four bytes"));
    }
    let mut bytes = Vec::with_capacity(Head::bytes_of(id.width()) + body.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&cluster.0);
    bytes.extend_from_slice(&id.first().to_be_bytes());
    bytes.extend_from_slice(&id.width().to_be_bytes());
    offsets.iter().for_each(|offset: &u32| bytes.extend_from_slice(&offset.to_be_bytes()));
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.append(&mut body);
    bytes
}

/// Reads the bundle `id`: its head, and all of its entries.
pub(super) fn decode(id: TileId, bytes: &[u8]) -> Result<(Head, Vec<Frame>), ArchiveError> {
    let head = Head::read(id, bytes)?;
    let frames = (0..usize::from(id.width()))
        .map(|at| {
            let range = head.range(at);
            let slice = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let frame = slice.and_then(|(start, end)| bytes.get(start..end));
            let short =
                || ArchiveError::damaged(&sealed_path(id), format!("it ends within entry {}", id.first() + at as u64));
            head.frame(id, at, frame.ok_or_else(short)?)
        })
        .collect::<Result<_, _>>()?;
    if head.range(usize::from(id.width()) - 1).end != bytes.len() as u64 {
        return Err(ArchiveError::damaged(&sealed_path(id), "there is more behind its last entry"));
    }
    Ok((head, frames))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::TenantNumber;

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

    #[test]
    fn every_flipped_bit_of_a_bundle_is_found_and_every_other_place() {
        let id = TileId::new(0, 3, 3).unwrap();
        let frames: Vec<_> =
            (0..3_u8).map(|n| Frame::new([n + 1; 57], Some(TenantNumber(2)), vec![n; 9 + usize::from(n)])).collect();
        let bytes = encode(CLUSTER, id, &frames);
        assert_eq!(sealed_path(id), "sealed/003.p/3");
        let (head, found) = decode(id, &bytes).unwrap();
        assert_eq!((head.cluster, found), (CLUSTER, frames.clone()));
        let one = head.range(1);
        let one = &bytes[usize::try_from(one.start).unwrap()..usize::try_from(one.end).unwrap()];
        assert_eq!(head.frame(id, 1, one).unwrap(), frames[1]);
        assert!(decode(TileId::new(0, 4, 3).unwrap(), &bytes).is_err());
        assert!(decode(TileId::new(0, 3, 2).unwrap(), &bytes).is_err());
        // The cluster stands in the head, below its CRC.
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(id, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(id, &bytes[..length]).is_err(), "{length}");
        }
    }
}
