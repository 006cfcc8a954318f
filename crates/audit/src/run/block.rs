//! Blocks: items in the order of their keys, each key without what it shares with the one before.

use super::Item;
use super::codec::{Taker, put};

/// Makes one block.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    last: Vec<u8>,
    items: u64,
}

impl Builder {
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        // The first key is whole, so that a block is read by itself.
        let both = self.last.iter().zip(key);
        let shared = if self.items == 0 { 0 } else { both.take_while(|(before, now)| before == now).count() };
        put(&mut self.bytes, shared as u64);
        put(&mut self.bytes, (key.len() - shared) as u64);
        put(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last.clear();
        self.last.extend_from_slice(key);
        self.items += 1;
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn items(&self) -> u64 {
        self.items
    }

    /// The bytes of the block; what is pushed then begins another.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.items = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// The items of a block; `None` where it does not read.
pub(super) fn items(block: &[u8]) -> Option<Vec<Item>> {
    let (mut taker, mut items) = (Taker(block), Vec::<Item>::new());
    while !taker.is_empty() {
        let (shared, own, value) = (taker.length()?, taker.length()?, taker.length()?);
        let before = items.last().map_or(&[][..], |(key, _)| key).get(..shared)?;
        let own = taker.take(own)?;
        let mut key = Vec::with_capacity(shared + own.len());
        key.extend_from_slice(before);
        key.extend_from_slice(own);
        items.push((key, taker.take(value)?.to_vec()));
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::{Builder, items as read};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_are_read_as_they_were_pushed(items in prop::collection::btree_map(prop::collection::vec(0..4_u8, 0..9), prop::collection::vec(any::<u8>(), 0..9), 0..40)) {
            let mut builder = Builder::default();
            items.iter().for_each(|(key, value)| builder.push(key, value));
            let block = builder.take();
            prop_assert_eq!(read(&block), Some(items.into_iter().collect::<Vec<_>>()));
        }

        #[test]
        fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&noise);
        }
    }
}
