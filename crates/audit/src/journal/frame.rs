//! How an entry lies in a segment.

use latchkey_domain::TenantNumber;
use latchkey_transparency::{Hash, LEAF_BYTES as PREIMAGE_BYTES, hash_preimage};

/// Longest frame, its head included. An entry is some hundred bytes; the longest carries every permission that a key can have.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Length and CRC.
const HEAD_BYTES: usize = 4 + 4;
const LEAF_BYTES: usize = 32;
const TENANT_BYTES: usize = 4;
/// Stands for a preimage that is not known: encodings of events are numbered from one, so no preimage begins with zero.
const UNKNOWN: Preimage = [0; PREIMAGE_BYTES];

/// What a leaf is the hash of.
pub type Preimage = [u8; PREIMAGE_BYTES];

/// How frames are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Format 1: the leaf alone.
    Leaf,
    /// Format 2: the leaf and its preimage.
    Preimage,
}

impl Encoding {
    /// The one that is written.
    pub const NEWEST: Self = Self::Preimage;

    /// The format byte of a file with such frames.
    #[must_use]
    pub const fn format(self) -> u8 {
        match self {
            Self::Leaf => 1,
            Self::Preimage => 2,
        }
    }

    /// The encoding of a file with this format byte; `None`: of a newer build.
    #[must_use]
    pub const fn of(format: u8) -> Option<Self> {
        match format {
            1 => Some(Self::Leaf),
            2 => Some(Self::Preimage),
            _ => None,
        }
    }

    /// What stands before the sealed entry, besides the head.
    const fn fixed_bytes(self) -> usize {
        match self {
            Self::Leaf => LEAF_BYTES + TENANT_BYTES,
            Self::Preimage => LEAF_BYTES + TENANT_BYTES + PREIMAGE_BYTES,
        }
    }
}

/// One entry as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its leaf in the audit tree.
    pub leaf: Hash,
    /// What the leaf is the hash of; absent where the frame was written without, before there was an archive.
    pub preimage: Option<Preimage>,
    /// The tenant that it belongs to, whose key opens it; absent: the cluster itself.
    pub tenant: Option<TenantNumber>,
    /// The entry, sealed under its tenant's audit key.
    pub sealed: Vec<u8>,
}

impl Frame {
    /// The entry with this preimage of a leaf.
    #[must_use]
    pub fn new(preimage: Preimage, tenant: Option<TenantNumber>, sealed: Vec<u8>) -> Self {
        Self { leaf: hash_preimage(&preimage), preimage: Some(preimage), tenant, sealed }
    }

    /// How many bytes it takes.
    pub(crate) const fn bytes(&self) -> usize {
        HEAD_BYTES + Encoding::NEWEST.fixed_bytes() + self.sealed.len()
    }

    /// Appends it to `out`, as the entry `sequence`, in the newest encoding. The caller has checked [`FRAME_BYTES_MAX`].
    pub(crate) fn encode(&self, sequence: u64, out: &mut Vec<u8>) {
        let length = Encoding::NEWEST.fixed_bytes() + self.sealed.len();
        let length = u32::try_from(length).expect("FRAME_BYTES_MAX fits four bytes");
        let tenant = self.tenant.map_or(0, |tenant| tenant.0).to_be_bytes();
        let preimage = self.preimage.as_ref().unwrap_or(&UNKNOWN);
        let parts: [&[u8]; 4] = [self.leaf.as_bytes(), &tenant, preimage, &self.sealed];
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&crc(sequence, length, &parts).to_be_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }

    /// Reads the frame that `bytes` begin with, as the entry `sequence`, and how many bytes it takes.
    pub(crate) fn decode(encoding: Encoding, sequence: u64, bytes: &[u8]) -> Result<(Self, usize), String> {
        let (leaf, tenant, mut sealed) = parts(encoding, sequence, bytes)?;
        let mut preimage = None;
        if encoding == Encoding::Preimage {
            let (found, rest) = sealed.split_first_chunk().expect("the length was checked");
            (preimage, sealed) = (Some(*found).filter(|found| *found != UNKNOWN), rest);
        }
        let leaf = Hash::new(*leaf);
        if preimage.as_ref().is_some_and(|preimage| hash_preimage(preimage) != leaf) {
            return Err("its leaf is not the hash of its preimage".to_owned());
        }
        // Numbers of tenants begin at one.
        let tenant = Some(TenantNumber(u32::from_be_bytes(*tenant))).filter(|tenant| tenant.0 > 0);
        let length = HEAD_BYTES + encoding.fixed_bytes() + sealed.len();
        Ok((Self { leaf, preimage, tenant, sealed: sealed.to_vec() }, length))
    }

    /// As [`Self::decode`], the leaf alone.
    pub(super) fn leaf(encoding: Encoding, sequence: u64, bytes: &[u8]) -> Result<(Hash, usize), String> {
        let (leaf, _, rest) = parts(encoding, sequence, bytes)?;
        Ok((Hash::new(*leaf), HEAD_BYTES + LEAF_BYTES + TENANT_BYTES + rest.len()))
    }
}

/// Whether bytes end before the frame does that they begin with.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    let Some(length) = bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) else { return true };
    (1..=FRAME_BYTES_MAX - HEAD_BYTES).contains(&length) && bytes.len() < HEAD_BYTES + length
}

type Parts<'a> = (&'a [u8; LEAF_BYTES], &'a [u8; TENANT_BYTES], &'a [u8]);

/// The leaf, the tenant, and what comes after them.
fn parts(encoding: Encoding, sequence: u64, bytes: &[u8]) -> Result<Parts<'_>, String> {
    let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("{} bytes, expected a frame", bytes.len()));
    };
    let (length, expected) = (u32::from_be_bytes([l0, l1, l2, l3]), u32::from_be_bytes([c0, c1, c2, c3]));
    let bytes_max = FRAME_BYTES_MAX - HEAD_BYTES;
    let fixed_bytes = encoding.fixed_bytes();
    if !(fixed_bytes..=bytes_max).contains(&(length as usize)) {
        return Err(format!("a length of {length}, expected {fixed_bytes} to {bytes_max}"));
    }
    let body = rest.get(..length as usize).ok_or_else(|| format!("{} bytes, expected {length}", rest.len()))?;
    let found = crc(sequence, length, &[body]);
    if found != expected {
        return Err(format!("CRC {found:08x}, expected {expected:08x}"));
    }
    let (leaf, body) = body.split_first_chunk().expect("the length was checked");
    let (tenant, sealed) = body.split_first_chunk().expect("the length was checked");
    Ok((leaf, tenant, sealed))
}

fn crc(sequence: u64, length: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_be_bytes());
    hasher.update(&length.to_be_bytes());
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_other_place_is_found() {
        let frame = Frame::new([7; PREIMAGE_BYTES], Some(TenantNumber(3)), vec![9; 40]);
        let unknown = Frame { preimage: None, ..frame.clone() };
        for frame in [frame, unknown] {
            let mut bytes = Vec::new();
            frame.encode(5, &mut bytes);
            assert_eq!(Frame::decode(Encoding::NEWEST, 5, &bytes), Ok((frame.clone(), bytes.len())));
            assert!(Frame::decode(Encoding::NEWEST, 6, &bytes).is_err());
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(Frame::decode(Encoding::NEWEST, 5, &flipped).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_leaf_that_is_not_the_hash_of_its_preimage_is_refused() {
        let mut bytes = Vec::new();
        let frame = Frame::new([7; PREIMAGE_BYTES], None, vec![9; 40]);
        Frame { leaf: Hash::new([1; 32]), ..frame }.encode(5, &mut bytes);
        let refused = Frame::decode(Encoding::NEWEST, 5, &bytes).unwrap_err();
        assert_eq!(refused, "its leaf is not the hash of its preimage");
    }

    #[test]
    fn zeros_are_no_frame() {
        assert!(
            Frame::leaf(Encoding::Leaf, 0, &[0; 64]).is_err() && Frame::leaf(Encoding::NEWEST, 0, &[0; 128]).is_err()
        );
    }
}
