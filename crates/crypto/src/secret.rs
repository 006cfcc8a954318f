//! The hidden half of a key text.
use crate::Entropy;
use core::fmt;
use latchkey_domain::base62;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many base62 characters a secret has: about 190 bits.
pub const SECRET_CHARS: usize = 32;

/// The largest multiple of 62 that a byte can count to. Bytes from here on are dropped, since keeping them would
/// make the first eight digits more likely than the others.
const FAIR_END: u8 = 248;

/// Random bytes taken at a time: enough for a secret but once in 10^25 draws.
const DRAW_BYTES: usize = 64;

/// Draws before the source is taken for broken. A good one needs two about once in 10^25 secrets.
const DRAWS_MAX: usize = 16;

/// A secret: 32 base62 characters that only the holder of the key knows. Zeroed on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; SECRET_CHARS]);

impl Secret {
    /// A fresh secret, each digit equally likely.
    ///
    /// # Panics
    /// Where `entropy` is broken: 1,024 bytes of which hardly one is below 248.
    pub fn draw(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut secret = Self([0; SECRET_CHARS]);
        let mut random = Zeroizing::new([0; DRAW_BYTES]);
        let mut filled = 0;
        for _ in 0..DRAWS_MAX {
            entropy.fill(random.as_mut());
            let fair = random.iter().filter(|byte| **byte < FAIR_END);
            for (digit, byte) in secret.0[filled..].iter_mut().zip(fair) {
                *digit = base62::DIGITS[usize::from(byte % 62)];
                filled += 1;
            }
            if filled == SECRET_CHARS {
                return secret;
            }
        }
        panic!("random bytes are below {FAIR_END} in 31 cases of 32")
    }

    /// Reads exactly 32 base62 characters; `None` for anything else.
    #[must_use]
    pub fn from_chars(text: &[u8]) -> Option<Self> {
        let chars: &[u8; SECRET_CHARS] = text.try_into().ok()?;
        chars.iter().all(|byte| base62::is_digit(*byte)).then(|| Self(*chars))
    }

    /// Its characters, for hashing and for the one text that shows them.
    #[must_use]
    pub(crate) const fn expose(&self) -> &[u8; SECRET_CHARS] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({SECRET_CHARS} characters)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Seeded;

    #[test]
    #[should_panic(expected = "31 cases of 32")]
    fn a_source_that_is_stuck_stops_rather_than_loops() {
        struct Stuck;
        impl Entropy for Stuck {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(0xFF);
            }
        }
        let _ = Secret::draw(&mut Stuck);
    }

    #[test]
    fn unfair_bytes_are_dropped_and_the_draw_goes_on() {
        struct Mixed;
        impl Entropy for Mixed {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(0xF8);
                bytes[5] = 61;
                bytes[9] = 62;
                bytes[60] = 247;
            }
        }
        assert_eq!(&Secret::draw(&mut Mixed).expose()[..6], b"z0zz0z");
    }

    #[test]
    fn every_digit_is_about_equally_likely() {
        let mut counts = [0_u32; 256];
        let mut entropy = Seeded(7);
        for _ in 0..20_000 {
            Secret::draw(&mut entropy).expose().iter().for_each(|digit| counts[usize::from(*digit)] += 1);
        }
        // 640,000 characters over 62 digits: 10,323 each, with a standard deviation of about 101.
        for digit in base62::DIGITS {
            let count = counts[usize::from(*digit)];
            assert!((9_800..=10_850).contains(&count), "{} came {count} times", char::from(*digit));
        }
    }

    #[test]
    fn a_text_of_another_length_or_alphabet_is_no_secret() {
        assert!(Secret::from_chars(&[b'a'; 31]).is_none());
        assert!(Secret::from_chars(&[b'a'; 33]).is_none());
        assert!(Secret::from_chars(b"aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaa").is_none());
        assert!(Secret::from_chars(&[b'a'; 32]).is_some());
    }

    #[test]
    fn debug_shows_no_character() {
        let secret = Secret::from_chars(&[b'Q'; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(32 characters)");
    }
}
