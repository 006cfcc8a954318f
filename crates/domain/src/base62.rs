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

/// How many digits are written and read as one `u64`: arithmetic on 128 bits costs several times as much, and every answer
/// writes ids. 62^10 is below 2^60.
const CHUNK_DIGITS: usize = 10;

/// 62^[`CHUNK_DIGITS`].
const CHUNK: u64 = {
    let mut power = 1;
    let mut digits = 0;
    while digits < CHUNK_DIGITS {
        power *= 62;
        digits += 1;
    }
    power
};

/// The longest text that [`decode`] reads: the most digits of which every one fits 128 bits.
const DECODED_DIGITS_MAX: usize = 21;

/// Writes `value` into `out`, left-padded with `0`. What does not fit is cut at the high end, so callers choose the
/// width by the largest value: 16 digits hold 95 bits, 6 hold 35.
pub fn encode(mut value: u128, out: &mut [u8]) {
    for digits in out.rchunks_mut(CHUNK_DIGITS) {
        // What is below 2^64 needs no division of 128 bits, and after one chunk most values are.
        let (rest, mut chunk) = match u64::try_from(value) {
            Ok(low) => (u128::from(low / CHUNK), low % CHUNK),
            Err(_) => (value / u128::from(CHUNK), low_chunk(value)),
        };
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(chunk % 62) as usize];
            chunk /= 62;
        }
        value = rest;
    }
}

fn low_chunk(value: u128) -> u64 {
    u64::try_from(value % u128::from(CHUNK)).expect("a remainder is below its divisor")
}

/// Reads at most 21 digits. `None` for an empty or longer text and for any byte that is no digit.
#[must_use]
pub fn decode(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > DECODED_DIGITS_MAX {
        return None;
    }
    let mut value = 0_u128;
    for digits in text.chunks(CHUNK_DIGITS) {
        let (mut chunk, mut weight) = (0_u64, 1_u64);
        for byte in digits {
            let digit = VALUES[*byte as usize];
            if digit == NO_DIGIT {
                return None;
            }
            chunk = chunk * 62 + u64::from(digit);
            weight *= 62;
        }
        value = value * u128::from(weight) + u128::from(chunk);
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

    /// The definition, a digit at a time.
    fn spelled_out(mut value: u128, out: &mut [u8]) {
        for digit in out.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(value % 62).unwrap()];
            value /= 62;
        }
    }

    #[test]
    fn chunks_write_and_read_what_single_digits_would() {
        let edges = [0, 61, 62, u128::from(CHUNK) - 1, u128::from(CHUNK), u128::from(u64::MAX), u128::MAX];
        let mut value = 0x0123_4567_89AB_CDEF_u128;
        let drawn = core::iter::repeat_with(|| {
            value = value.wrapping_mul(0xDA94_2042_E4DD_58B5).wrapping_add(0x9E37_79B9_7F4A_7C15);
            value
        });
        for value in edges.into_iter().chain(drawn.take(2_000)) {
            for shift in [0, 32, 33, 64, 96] {
                for width in [0, 1, 6, 10, 11, 16, 20, 21, 22] {
                    let value = value >> shift;
                    let (mut found, mut expected) = ([b'#'; 22], [b'#'; 22]);
                    encode(value, &mut found[..width]);
                    spelled_out(value, &mut expected[..width]);
                    assert_eq!(found, expected, "{value} in {width} digits");
                }
            }
            // 21 digits hold up to 62^21, which is above 2^125.
            let (value, mut text) = (value >> 3, [0; 21]);
            encode(value, &mut text);
            assert_eq!(decode(&text), Some(value));
        }
        assert_eq!(decode(&[b'0'; 22]), None);
    }
}
