//! How a segment begins.

use super::error::OpenError;
use latchkey_domain::ClusterId;
use latchkey_transparency::{Frontier, Hash};
use std::path::Path;

/// The newest format of segments.
const FORMAT: u8 = 1;
const FIXED_BYTES: usize = 1 + 16 + 8;
const HASH_BYTES: usize = 32;
const CRC_BYTES: usize = 4;

/// The head of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cluster: ClusterId,
    /// The tree before the segment; its size is the sequence of the segment's first entry.
    pub(super) before: Frontier,
}

impl Header {
    /// How long the header of the segment that begins with `first` is.
    pub(super) const fn bytes_before(first: u64) -> u64 {
        (FIXED_BYTES + HASH_BYTES * first.count_ones() as usize + CRC_BYTES) as u64
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.cluster.0);
        bytes.extend_from_slice(&self.before.size().to_be_bytes());
        for peak in self.before.peaks() {
            bytes.extend_from_slice(peak.as_bytes());
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the header of the segment in `path`, and how long it is.
    pub(super) fn read(path: &Path, segment: &[u8]) -> Result<(Self, usize), OpenError> {
        let damaged = |what: &str| OpenError::Damaged { path: path.into(), what: format!("its header: {what}") };
        let Some(fixed) = segment.first_chunk::<FIXED_BYTES>() else { return Err(damaged("too short")) };
        let (cluster, first) = fixed[1..].split_at(16);
        let first = u64::from_be_bytes(first.try_into().expect("eight of the fixed bytes are left"));
        let cluster = ClusterId(cluster.try_into().expect("sixteen bytes were cut off"));
        let bytes = FIXED_BYTES + HASH_BYTES * first.count_ones() as usize + CRC_BYTES;
        let whole = segment.get(..bytes).and_then(<[u8]>::split_last_chunk::<CRC_BYTES>);
        let Some((body, crc)) = whole else { return Err(damaged("too short")) };
        let expected = crc32fast::hash(body).to_be_bytes();
        if *crc != expected {
            return Err(damaged("its CRC differs"));
        }
        if fixed[0] != FORMAT {
            return Err(OpenError::Format { path: path.into(), found: fixed[0], newest: FORMAT });
        }
        let peaks = body[FIXED_BYTES..].as_chunks::<HASH_BYTES>().0.iter().map(|peak| Hash::new(*peak)).collect();
        let before = Frontier::from_parts(first, peaks).expect("as many peaks were read as there are ones in the size");
        Ok((Self { cluster, before }, bytes))
    }
}
