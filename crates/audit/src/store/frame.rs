//! How an entry lies in a segment.

use latchkey_domain::TenantNumber;
use latchkey_transparency::Hash;

/// Longest frame, its head included. An entry is some hundred bytes; the longest carries every permission that a key can have.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Length and CRC.
const HEAD_BYTES: usize = 4 + 4;
const LEAF_BYTES: usize = 32;
const TENANT_BYTES: usize = 4;
/// What stands before the sealed entry, besides the head.
const FIXED_BYTES: usize = LEAF_BYTES + TENANT_BYTES;

/// One entry as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its leaf in the audit tree.
    pub leaf: Hash,
    /// The tenant that it belongs to, whose key opens it; absent: the cluster itself.
    pub tenant: Option<TenantNumber>,
    /// The entry, sealed under its tenant's audit key.
    pub sealed: Vec<u8>,
}

impl Frame {
    /// How many bytes it takes.
    pub(super) const fn bytes(&self) -> usize {
        HEAD_BYTES + FIXED_BYTES + self.sealed.len()
    }

    /// Appends it to `out`, as the entry `sequence`. The caller has checked [`FRAME_BYTES_MAX`].
    pub(super) fn encode(&self, sequence: u64, out: &mut Vec<u8>) {
        let length = u32::try_from(FIXED_BYTES + self.sealed.len()).expect("FRAME_BYTES_MAX fits four bytes");
        let tenant = self.tenant.map_or(0, |tenant| tenant.0).to_be_bytes();
        let parts: [&[u8]; 3] = [self.leaf.as_bytes(), &tenant, &self.sealed];
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&crc(sequence, length, &parts).to_be_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }

    /// Reads the frame that `bytes` begin with, as the entry `sequence`, and how many bytes it takes.
    pub(super) fn decode(sequence: u64, bytes: &[u8]) -> Result<(Self, usize), String> {
        let (leaf, tenant, sealed) = parts(sequence, bytes)?;
        // Numbers of tenants begin at one.
        let tenant = Some(TenantNumber(u32::from_be_bytes(*tenant))).filter(|tenant| tenant.0 > 0);
        let frame = Self { leaf: Hash::new(*leaf), tenant, sealed: sealed.to_vec() };
        let length = frame.bytes();
        Ok((frame, length))
    }

    /// As [`Self::decode`], the leaf alone.
    pub(super) fn leaf(sequence: u64, bytes: &[u8]) -> Result<(Hash, usize), String> {
        let (leaf, _, sealed) = parts(sequence, bytes)?;
        Ok((Hash::new(*leaf), HEAD_BYTES + FIXED_BYTES + sealed.len()))
    }
}

type Parts<'a> = (&'a [u8; LEAF_BYTES], &'a [u8; TENANT_BYTES], &'a [u8]);

fn parts(sequence: u64, bytes: &[u8]) -> Result<Parts<'_>, String> {
    let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("{} bytes, expected a frame", bytes.len()));
    };
    let (length, expected) = (u32::from_be_bytes([l0, l1, l2, l3]), u32::from_be_bytes([c0, c1, c2, c3]));
    let bytes_max = FRAME_BYTES_MAX - HEAD_BYTES;
    if !(FIXED_BYTES..=bytes_max).contains(&(length as usize)) {
        return Err(format!("a length of {length}, expected {FIXED_BYTES} to {bytes_max}"));
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
        let frame = Frame { leaf: Hash::new([7; 32]), tenant: Some(TenantNumber(3)), sealed: vec![9; 40] };
        let mut bytes = Vec::new();
        frame.encode(5, &mut bytes);
        assert_eq!(Frame::decode(5, &bytes), Ok((frame.clone(), bytes.len())));
        assert!(Frame::decode(6, &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(5, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert!(Frame::leaf(0, &[0; 64]).is_err());
    }
}
