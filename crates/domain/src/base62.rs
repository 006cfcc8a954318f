//! Base62 in the order `0-9A-Za-z`, big-endian, left-padded: how ids, secrets and checksums are written.

/// The digits in order; comparing two equally long texts compares their numbers.
pub const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Marks a byte that is no digit in [`VALUES`].
const NO_DIGIT: u8 = 0xFF;

/// Digit value by byte, so that parsing is one load a character.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 62 {
        values[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

/// Whether `byte` is one of [`DIGITS`].
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    VALUES[byte as usize] != NO_DIGIT
}

/// Writes `value` into `out`, left-padded with `0`. What does not fit is cut at the high end, so callers choose the
/// width by the largest value: 16 digits hold 95 bits, 6 hold 35.
pub fn encode(mut value: u128, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
}

/// Reads at most 21 digits. `None` for an empty or longer text and for any byte that is no digit.
#[must_use]
pub fn decode(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 21 {
        return None;
    }
    let mut value = 0_u128;
    for byte in text {
        let digit = VALUES[*byte as usize];
        if digit == NO_DIGIT {
            return None;
        }
        value = value * 62 + u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_outside_the_alphabet_is_refused() {
        for byte in 0..=255_u8 {
            assert_eq!(decode(&[byte]).is_some(), byte.is_ascii_alphanumeric(), "{byte}");
        }
    }

    #[test]
    fn text_order_is_number_order() {
        let (mut low, mut high) = ([0; 6], [0; 6]);
        for value in [0_u128, 9, 10, 35, 36, 61, 62, 3_843, 3_844, 4_294_967_294] {
            encode(value, &mut low);
            encode(value + 1, &mut high);
            assert!(low < high);
            assert_eq!(decode(&low), Some(value));
        }
    }
}
