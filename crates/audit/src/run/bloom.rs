//! Bloom filters of which prefixes of keys there are. Built in one pass over any number of them, in bounded memory: a filter of a power
//! of two of bits is folded into half of them by laying its halves over each other.

use super::codec::{Taker, put};
use std::hash::Hasher as _;

/// Bits for each prefix: one in a hundred is looked for in vain.
const BITS_PER_PREFIX: u64 = 10;
/// How many bits each sets, best for [`BITS_PER_PREFIX`].
const BITS_SET: u64 = 7;
/// Most bits: 8 MiB. Beyond 6 million prefixes of one tenant more are looked for in vain.
const BITS_MAX: u64 = 1 << 26;
/// Hashes that are kept as they are. Beyond it they go into a filter of [`BITS_MAX`], which is folded at the end.
const KEPT_MAX: usize = 1 << 16;

/// A filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bloom {
    words: Vec<u64>,
}

/// Collects a [`Bloom`].
#[derive(Debug, Default)]
pub(super) struct Collector {
    last: Option<Vec<u8>>,
    count: u64,
    kept: Vec<u64>,
    full: Option<Bloom>,
}

impl Collector {
    /// Adds a prefix. They come in order, so one that comes again comes at once.
    pub(super) fn add(&mut self, prefix: &[u8]) {
        if self.last.as_deref() == Some(prefix) {
            return;
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(prefix);
        self.count += 1;
        let hash = hash(prefix);
        match &mut self.full {
            Some(full) => full.set(hash),
            None => self.kept.push(hash),
        }
        if self.kept.len() == KEPT_MAX {
            let mut full = Bloom::with_bits(BITS_MAX);
            self.kept.drain(..).for_each(|hash| full.set(hash));
            self.full = Some(full);
        }
    }

    pub(super) fn finish(self) -> Bloom {
        let bits = (self.count * BITS_PER_PREFIX).next_power_of_two().clamp(64, BITS_MAX);
        match self.full {
            Some(mut full) => {
                while full.bits() > bits {
                    full.fold();
                }
                full
            }
            None => {
                let mut bloom = Bloom::with_bits(bits);
                self.kept.into_iter().for_each(|hash| bloom.set(hash));
                bloom
            }
        }
    }
}

impl Bloom {
    fn with_bits(bits: u64) -> Self {
        Self { words: vec![0; usize::try_from(bits / 64).expect("BITS_MAX fits the memory")] }
    }

    const fn bits(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    fn set(&mut self, hash: u64) {
        for (word, bit) in places(hash, self.bits()) {
            self.words[word] |= bit;
        }
    }

    fn fold(&mut self) {
        let upper = self.words.split_off(self.words.len() / 2);
        self.words.iter_mut().zip(upper).for_each(|(word, upper)| *word |= upper);
    }

    /// Whether a key with this prefix may be there. Where one is, it says so.
    pub(super) fn may_hold(&self, prefix: &[u8]) -> bool {
        places(hash(prefix), self.bits()).all(|(word, bit)| self.words[word] & bit != 0)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.words.len() as u64);
        self.words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    pub(super) fn decode(taker: &mut Taker<'_>) -> Option<Self> {
        let words = taker.length().filter(|words| words.is_power_of_two())?;
        let bytes = taker.take(words.checked_mul(8)?)?;
        let (words, _) = bytes.as_chunks();
        Some(Self { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
}

/// FNV-1a with a finish that spreads it: at rest, so it is the same for ever. Source: draft-eastlake-fnv; the finish is of MurmurHash3.
fn hash(prefix: &[u8]) -> u64 {
    let mut hasher = Fnv(0xCBF2_9CE4_8422_2325);
    hasher.write(prefix);
    hasher.finish()
}

struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        hash ^ (hash >> 33)
    }
}

/// Source: A. Kirsch and M. Mitzenmacher, "Less Hashing, Same Performance", 2006.
fn places(hash: u64, bits: u64) -> impl Iterator<Item = (usize, u64)> {
    let (start, step) = (hash, hash.rotate_left(32) | 1);
    (0..BITS_SET).map(move |turn| {
        let place = start.wrapping_add(turn.wrapping_mul(step)) & (bits - 1);
        (usize::try_from(place / 64).expect("below the number of words"), 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Bloom {
        let mut collector = Collector::default();
        (0..count).for_each(|n| collector.add(&n.to_be_bytes()));
        collector.finish()
    }

    fn vain(bloom: &Bloom, count: u64) -> usize {
        (count..count + 10_000).filter(|n| bloom.may_hold(&n.to_be_bytes())).count()
    }

    #[test]
    fn no_prefix_is_missed_and_few_are_found_in_vain_folded_or_not() {
        for count in [1, 10_000, 70_000] {
            let bloom = of(count);
            assert!((0..count).all(|n| bloom.may_hold(&n.to_be_bytes())), "{count}");
            assert!(vain(&bloom, count) < 150, "{} of 10,000 at {count}", vain(&bloom, count));
            assert!(bloom.bits() <= (count * BITS_PER_PREFIX).next_power_of_two().max(64));
        }
    }

    #[test]
    fn a_folded_filter_is_the_one_that_would_have_been_made() {
        let mut full = Bloom::with_bits(1 << 16);
        let mut small = Bloom::with_bits(1 << 12);
        for n in 0..200_u64 {
            full.set(hash(&n.to_be_bytes()));
            small.set(hash(&n.to_be_bytes()));
        }
        (0..4).for_each(|_| full.fold());
        assert_eq!(full, small);
    }

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let mut out = Vec::new();
        of(1_000).encode(&mut out);
        assert_eq!(Bloom::decode(&mut Taker(&out)), Some(of(1_000)));
        assert_eq!(Bloom::decode(&mut Taker(&out[..out.len() - 1])), None);
        assert_eq!(Bloom::decode(&mut Taker(&[3])), None);
    }
}
