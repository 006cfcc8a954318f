//! Who a replica is: written once, when its folder is made.

/// The format of everything in a data folder.
pub const FORMAT: u8 = 1;

/// Bytes of an encoded [`Facts`]: format, node id, cluster id, epoch, CRC-32.
pub(crate) const FACTS_BYTES: usize = 1 + 8 + 16 + 8 + 4;

/// Who a replica is. A node id is never used again: a folder that was wiped comes back under a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The raft node id.
    pub node_id: u64,
    /// The cluster that this replica belongs to.
    pub cluster_id: [u8; 16],
    /// The cluster epoch in which the folder was made.
    pub epoch: u64,
}

/// Why bytes are no facts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FactsError {
    Format(u8),
    Damaged(String),
}

impl Facts {
    pub(crate) fn encode(&self) -> [u8; FACTS_BYTES] {
        let mut bytes = [0; FACTS_BYTES];
        bytes[0] = FORMAT;
        bytes[1..9].copy_from_slice(&self.node_id.to_be_bytes());
        bytes[9..25].copy_from_slice(&self.cluster_id);
        bytes[25..33].copy_from_slice(&self.epoch.to_be_bytes());
        let crc = crc32fast::hash(&bytes[..33]);
        bytes[33..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FactsError> {
        let Ok(bytes) = <&[u8; FACTS_BYTES]>::try_from(bytes) else {
            return match bytes.first() {
                Some(format) if *format > FORMAT => Err(FactsError::Format(*format)),
                _ => Err(FactsError::Damaged(format!("facts of {} bytes, expected {FACTS_BYTES}", bytes.len()))),
            };
        };
        let expected = crc32fast::hash(&bytes[..33]);
        let found = u32::from_be_bytes(field(bytes, 33));
        if found != expected && bytes[0] == FORMAT {
            return Err(FactsError::Damaged(format!("facts with CRC {found:08x}, expected {expected:08x}")));
        }
        if bytes[0] != FORMAT {
            return Err(FactsError::Format(bytes[0]));
        }
        Ok(Self {
            node_id: u64::from_be_bytes(field(bytes, 1)),
            cluster_id: field(bytes, 9),
            epoch: u64::from_be_bytes(field(bytes, 25)),
        })
    }
}

/// `N` bytes at `start`. The caller has checked the length.
pub(crate) fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes[start..start + N].try_into().expect("a slice of N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts { node_id: 3, cluster_id: [9; 16], epoch: 2 };

    #[test]
    fn facts_decode_to_what_was_encoded() {
        assert_eq!(Facts::decode(&FACTS.encode()), Ok(FACTS));
    }

    #[test]
    fn every_flipped_bit_in_the_facts_is_found() {
        for bit in 0..FACTS_BYTES * 8 {
            let mut bytes = FACTS.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Facts::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
