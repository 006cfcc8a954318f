//! The section of a tenant: which prefixes of keys it may have, and where its blocks stand.

use super::bloom::Bloom;
use super::codec::{Taker, put, put_bytes};

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) items: u64,
    pub(super) first: Vec<u8>,
}

/// All blocks of one tenant, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) bloom: Bloom,
    pub(super) fences: Vec<Fence>,
    pub(super) last: Vec<u8>,
}

impl Section {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.bloom.encode(&mut out);
        put(&mut out, self.fences.len() as u64);
        for fence in &self.fences {
            put(&mut out, fence.offset);
            put(&mut out, fence.length as u64);
            put(&mut out, fence.items);
            put_bytes(&mut out, &fence.first);
        }
        put_bytes(&mut out, &self.last);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker(bytes);
        let bloom = Bloom::decode(&mut taker)?;
        let count = taker.number()?;
        let mut fences = Vec::new();
        for _ in 0..count {
            let (offset, length, items) = (taker.number()?, taker.length()?, taker.number()?);
            fences.push(Fence { offset, length, items, first: taker.bytes()?.to_vec() });
        }
        let last = taker.bytes()?.to_vec();
        (taker.is_empty() && !fences.is_empty()).then_some(Self { bloom, fences, last })
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let fences = self.fences.iter().map(|fence| size_of::<Fence>() + fence.first.capacity());
        self.bloom.bytes() + fences.sum::<usize>()
    }
}
