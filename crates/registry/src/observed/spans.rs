//! Counts by how long something took: few of many buckets, so a list of those that have something.

use super::cell::without_trailing_zeros;
use latchkey_wire::latency::{COARSE_BUCKETS, coarse_of};
use latchkey_wire::pb::internal::v1 as pb;

/// Counts by bucket of `latchkey_wire::latency`, in their order, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u8, u32)>);

/// Places that it grows by.
const PLACES: usize = 8;

impl Spans {
    /// What it grows by, when it does. Bytes.
    pub(super) const GROWS_BY: usize = PLACES * size_of::<(u8, u32)>();

    /// Whether it has to grow to count in this bucket.
    pub(super) fn grows(&self, bucket: u8) -> bool {
        self.0.len() == self.0.capacity() && self.0.binary_search_by_key(&bucket, |(known, _)| *known).is_err()
    }

    pub(super) fn add(&mut self, bucket: u8, count: u32) {
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(PLACES);
                }
                self.0.insert(at, (bucket, count));
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, u32)> {
        self.0.iter().copied()
    }

    /// By how many bytes something grows at most that this is added to.
    pub(super) const fn adds_at_most(&self) -> usize {
        self.0.len().div_ceil(PLACES) * Self::GROWS_BY
    }

    /// Bytes of memory beside its own size.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u8, u32)>()
    }

    /// In coarse buckets, trailing zeros left out.
    pub(super) fn coarse(&self) -> Vec<u64> {
        let mut coarse = [0; COARSE_BUCKETS as usize];
        for (bucket, count) in self.iter() {
            coarse[usize::from(coarse_of(bucket))] += u64::from(count);
        }
        without_trailing_zeros(&coarse)
    }

    /// As it is handed over.
    pub(super) fn write(&self) -> Vec<pb::LatencyCount> {
        self.iter().map(|(bucket, count)| pb::LatencyCount { bucket: bucket.into(), count: count.into() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_places_and_says_so_before() {
        let (mut spans, mut bytes) = (Spans::default(), 0);
        for turn in 0..400_u32 {
            let bucket = u8::try_from(turn * 7 % 104).unwrap();
            let grows = spans.grows(bucket);
            spans.add(bucket, turn);
            bytes += if grows { Spans::GROWS_BY } else { 0 };
            assert_eq!(spans.heap_bytes(), bytes, "{turn}");
        }
        assert_eq!((spans.iter().count(), bytes), (104, 13 * Spans::GROWS_BY));
        assert_eq!(spans.adds_at_most(), bytes);
        let sum: u64 = spans.iter().map(|(_, count)| u64::from(count)).sum();
        assert_eq!((sum, spans.coarse().iter().sum::<u64>()), ((0..400).sum(), (0..400).sum()));
        assert!(spans.write().is_sorted_by_key(|one| one.bucket));
    }
}
