//! Where a page ended.

use alloc::vec::Vec;
use latchkey_domain::{KeyId, UnixMillis};

/// Bytes of an id.
const ID_BYTES: usize = 12;

/// The place of the last key of a page in its order: its time, where the order is one of times and the key has one, and
/// its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its time in the order.
    pub time: Option<UnixMillis>,
    /// Its id.
    pub key: KeyId,
}

impl Position {
    /// Its bytes, for a page token: the id, behind the time where there is one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let time = self.time.map(|time| time.millis().to_be_bytes());
        time.iter().flatten().chain(self.key.bytes()).copied().collect()
    }

    /// From its bytes; `None` for what [`Self::encode`] never gives.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, id) = bytes.split_at_checked(bytes.len().checked_sub(ID_BYTES)?)?;
        let key = KeyId::from_bytes(id.try_into().ok()?)?;
        let time = match time {
            [] => None,
            time => Some(u64::from_be_bytes(time.try_into().ok()?)),
        };
        match time {
            Some(millis) if millis > UnixMillis::LAST.millis() => None,
            Some(millis) => Some(Self { time: Some(UnixMillis::new(millis)), key }),
            None => Some(Self { time: None, key }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_was_written_and_nothing_else_does() {
        let key = KeyId::from_random([7; 12]);
        for time in [None, Some(UnixMillis::new(0)), Some(UnixMillis::LAST)] {
            let position = Position { time, key };
            assert_eq!(Position::decode(&position.encode()), Some(position));
        }
        let beyond = [&(UnixMillis::LAST.millis() + 1).to_be_bytes()[..], key.bytes()].concat();
        for wrong in [&[][..], &[0; 11], &[0; 13], &[0; 21], &[0xff; 12], &beyond] {
            assert_eq!(Position::decode(wrong), None, "{wrong:?}");
        }
    }
}
