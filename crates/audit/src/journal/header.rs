//! How a segment begins.

use super::error::OpenError;
use super::frame::Encoding;
use latchkey_domain::ClusterId;
use latchkey_transparency::{Frontier, Hash};
use std::path::Path;

const FIXED_BYTES: usize = 1 + 16 + 8;
const HASH_BYTES: usize = 32;
const CRC_BYTES: usize = 4;

/// The head of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// How its frames are encoded.
    pub(super) encoding: Encoding,
    pub(super) cluster: ClusterId,
    /// The tree before the segment; its size is the sequence of the segment's first entry.
    pub(super) before: Frontier,
}

impl Header {
    /// How long the header of the segment that begins with `first` is.
    pub(super) const fn bytes_before(first: u64) -> u64 {
        (FIXED_BYTES + HASH_BYTES * first.count_ones() as usize + CRC_BYTES) as u64
    }

    /// Of a segment that begins after this tree.
    pub(super) const fn new(cluster: ClusterId, before: Frontier) -> Self {
        Self { encoding: Encoding::NEWEST, cluster, before }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.encoding.format()];
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
        let Some(encoding) = Encoding::of(fixed[0]) else {
            let newest = Encoding::NEWEST.format();
            return Err(OpenError::Format { path: path.into(), found: fixed[0], newest });
        };
        let peaks = body[FIXED_BYTES..].as_chunks::<HASH_BYTES>().0.iter().map(|peak| Hash::new(*peak)).collect();
        let before = Frontier::from_parts(first, peaks).expect("as many peaks were read as there are ones in the size");
        Ok((Self { encoding, cluster, before }, bytes))
    }
}
