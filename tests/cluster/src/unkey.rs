//! An export as Unkey's API pages it, of keys that a seed makes: the same seed makes the same texts.

use crate::random::Random;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// What every text begins with.
pub(crate) const PREFIX: &str = "sk_live_";

/// Signs behind it, as base58 of 16 random bytes has them.
const SIGNS: usize = 22;

/// Keys of a page: what `apis.listKeys` gives at most.
const PAGE_KEYS: u64 = 100;

/// Every so many keys one has a budget, which cannot come in.
const BUDGET_EVERY: u64 = 997;

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The keys of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Export {
    /// How many.
    pub(crate) count: u64,
    /// What makes them.
    pub(crate) seed: u64,
}

impl Export {
    /// The text of one of them.
    pub(crate) fn text(self, number: u64) -> String {
        let mut random = Random::new(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let signs = (0..SIGNS).map(|_| char::from(*random.one(BASE58).expect("an alphabet has signs")));
        PREFIX.chars().chain(signs).collect()
    }

    /// Its id.
    pub(crate) fn id(number: u64) -> String {
        format!("key_{number:09}")
    }

    /// Whether it can come in.
    pub(crate) const fn is_good(number: u64) -> bool {
        number % BUDGET_EVERY != BUDGET_EVERY - 1
    }

    /// How many can.
    pub(crate) const fn good(self) -> u64 {
        self.count - self.count / BUDGET_EVERY
    }

    /// Writes all of them, a page on each line.
    pub(crate) fn write(self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for first in (0..self.count).step_by(usize::try_from(PAGE_KEYS).expect("a page is small")) {
            write!(file, "{{\"meta\":{{\"requestId\":\"req_{first}\"}},\"data\":[")?;
            for number in first..(first + PAGE_KEYS).min(self.count) {
                let comma = if number == first { "" } else { "," };
                let text = self.text(number);
                let hash = base64(&Sha256::digest(text.as_bytes()));
                let (id, start) = (Self::id(number), &text[..PREFIX.len() + 4]);
                let credits = if Self::is_good(number) { "null" } else { "{\"remaining\":100,\"refill\":null}" };
                let enabled = number % 50 != 7;
                write!(
                    file,
                    "{comma}{{\"keyId\":\"{id}\",\"start\":\"{start}\",\"hash\":\"{hash}\",\"name\":\"Key {number}\",\
                     \"enabled\":{enabled},\"createdAt\":1701425400000,\"expires\":4102444800000,\
                     \"permissions\":[\"orders.read\"],\"meta\":{{\"plan\":\"pro\"}},\"credits\":{credits}}}"
                )?;
            }
            writeln!(file, "],\"pagination\":{{\"hasMore\":true}}}}")?;
        }
        file.flush()
    }
}

/// 32 bytes as 44 signs.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(44);
    for group in bytes.chunks(3) {
        let held = group.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let sign = usize::try_from(held >> (18 - 6 * at) & 63).expect("6 bits");
            text.push(if at > group.len() { '=' } else { char::from(BASE64[sign]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_unkey_writes_it() {
        let empty = base64(&Sha256::digest(b""));
        assert_eq!(empty, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn a_seed_repeats_its_texts_and_good_ones_are_counted() {
        let export = Export { count: 3_000, seed: 7 };
        assert_eq!(export.text(5), export.text(5));
        assert_ne!(export.text(5), export.text(6));
        let good = (0..export.count).filter(|number| Export::is_good(*number)).count();
        assert_eq!(u64::try_from(good), Ok(export.good()));
    }
}
