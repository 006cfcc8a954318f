//! Which key-encryption key wrapped a key.

use core::fmt;

/// Names a key-encryption key: derived from it, and telling nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(pub [u8; 8]);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn it_is_shown_as_sixteen_digits() {
        assert_eq!(KekId([0, 1, 2, 3, 4, 5, 6, 0xFF]).to_string(), "00010203040506ff");
    }
}
