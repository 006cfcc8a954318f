//! Some items of one tenant, block by block, from either end.

use super::Item;
use super::error::RunError;
use super::reader::{Opened, Reader};
use std::vec::IntoIter;

/// Items in order. Holds one block at each end that was asked for.
#[derive(Debug)]
pub struct Range<'a> {
    reader: &'a Reader,
    opened: Option<Opened>,
    from: Vec<u8>,
    below: Option<Vec<u8>>,
    /// Blocks that neither end has reached.
    blocks: std::ops::Range<usize>,
    front: IntoIter<Item>,
    back: IntoIter<Item>,
}

impl<'a> Range<'a> {
    pub(super) fn new(reader: &'a Reader, opened: Option<Opened>, from: &[u8], below: Option<&[u8]>) -> Self {
        let blocks = opened.as_ref().map_or(0..0, |opened| {
            let (fences, last) = (&opened.section.fences, &opened.section.last);
            let start = fences.partition_point(|fence| fence.first.as_slice() <= from).saturating_sub(1);
            let end =
                below.map_or(fences.len(), |below| fences.partition_point(|fence| fence.first.as_slice() < below));
            if last.as_slice() < from { 0..0 } else { start..end.max(start) }
        });
        let (front, back) = (Vec::new().into_iter(), Vec::new().into_iter());
        Self { reader, opened, from: from.into(), below: below.map(<[u8]>::to_vec), blocks, front, back }
    }

    fn block(&mut self, at: usize) -> Result<IntoIter<Item>, RunError> {
        let opened = self.opened.as_ref().expect("without a section there are no blocks");
        let items = self.reader.block(opened, &opened.section.fences[at]);
        // What does not read now will not read later: one error, and the end.
        let mut items = items.inspect_err(|_| self.blocks = 0..0)?;
        if let Some(below) = &self.below {
            items.truncate(items.partition_point(|(key, _)| key < below));
        }
        items.drain(..items.partition_point(|(key, _)| *key < self.from));
        Ok(items.into_iter())
    }
}

impl Iterator for Range<'_> {
    type Item = Result<Item, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.front.next() {
                return Some(Ok(item));
            }
            let Some(at) = self.blocks.next() else { return self.back.next().map(Ok) };
            match self.block(at) {
                Ok(items) => self.front = items,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.back.next_back() {
                return Some(Ok(item));
            }
            let Some(at) = self.blocks.next_back() else { return self.front.next_back().map(Ok) };
            match self.block(at) {
                Ok(items) => self.back = items,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
