//! The opening of one audit entry, from the opening that its command carries.
use hmac::{Hmac, KeyInit as _, Mac as _};
use latchkey_domain::Sequence;
use sha2::Sha256;

/// `o = HMAC-SHA-256(opening, sequence)`, the sequence as 8 bytes, big-endian.
///
/// One command can make several events; each gets an `o` of its own, so showing one entry opens no other.
///
/// # Panics
/// Never: HMAC takes a key of any length.
#[must_use]
pub fn of_entry(opening: &[u8; 32], sequence: Sequence) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(opening).expect("HMAC takes a key of any length");
    mac.update(&sequence.0.to_be_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_command_have_openings_of_their_own() {
        let opening = [3; 32];
        assert_ne!(of_entry(&opening, Sequence(1)), of_entry(&opening, Sequence(2)));
        assert_ne!(of_entry(&opening, Sequence(1)), of_entry(&[4; 32], Sequence(1)));
    }

    #[test]
    fn the_bytes_of_an_opening_are_a_contract() {
        let o = of_entry(&[0x22; 32], Sequence(0x0102_0304));
        assert_eq!(
            o,
            [
                0xd6, 0xfd, 0x75, 0x27, 0x7a, 0x4a, 0x48, 0xb8, 0x9f, 0xbf, 0xc9, 0x76, 0xa0, 0x23, 0x00, 0x9b, 0xc7,
                0xde, 0x08, 0xb0, 0x82, 0xa4, 0x07, 0x15, 0x3e, 0x7f, 0xa1, 0xc9, 0x3e, 0x27, 0xc4, 0x60
            ]
        );
    }
}
