//! The sums of all versions by minute, and how much memory they may take.
//!
//! A minute that is over loses its index and waits to be handed over, cell by cell. What is seen of it later begins anew: the
//! receiver adds up.

use super::cell::{Cell, Full};
use super::one_use::{MINUTE_MS, Use, Whose};
use super::reported::Reported;
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

/// Cells that are allocated together. What is there never moves, however many come.
const CHUNK_CELLS: usize = 256;

/// Parts of an index. One that grows is built anew, and nobody waits for more than a part.
const PARTS: usize = 64;

/// So many cells are handed over before their minute is over: a cluster in which little happens shows it at once.
pub(super) const CELLS_AT_ONCE: usize = 1_024;

/// Cells that are allocated together, with all that is needed to find them.
const CHUNK_BYTES: usize = CHUNK_CELLS * size_of::<Cell>();

/// The sums.
#[derive(Debug)]
pub(super) struct Table {
    /// By minute. Nearly always one or two.
    open: BTreeMap<u64, Minute>,
    /// Those that are handed over, oldest first.
    leaving: VecDeque<Leaving>,
    hasher: RandomState,
    bytes: usize,
    bytes_max: usize,
    lost: u64,
}

#[derive(Debug)]
struct Minute {
    index: Vec<HashTable<Indexed>>,
    chunks: Vec<Vec<Cell>>,
}

/// Where a cell is, and what its hash ends with: most that is not looked for is passed over without looking at it.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u32,
    place: u32,
}

#[derive(Debug)]
struct Leaving {
    minute: u64,
    chunks: Vec<Vec<Cell>>,
}

impl Table {
    /// Takes at most about this many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            open: BTreeMap::new(),
            leaving: VecDeque::new(),
            hasher: RandomState::new(),
            bytes: 0,
            bytes_max,
            lost: 0,
        }
    }

    pub(super) const fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Counts uses; what does not fit is counted as lost.
    pub(super) fn count(&mut self, one: &Use) {
        let counted = self.with_cell(one.minute(), one.whose, |cell, room| cell.count(one, room));
        if counted.is_err() {
            self.lost = self.lost.saturating_add(one.count.into());
        }
    }

    /// Adds what was reported.
    ///
    /// # Errors
    /// [`Full`]: it does not fit, and is not counted as lost: whoever reported it is told.
    pub(super) fn report(&mut self, minute: u64, whose: Whose, reported: &Reported) -> Result<(), Full> {
        self.with_cell(minute, whose, |cell, room| cell.report(reported, room))
    }

    /// What it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many requests were lost since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Lets those minutes go that are over now; all of them where they are few.
    pub(super) fn close(&mut self, minute: u64) {
        let cells: usize = self.open.values().map(Minute::len).sum();
        let stays = if cells > CELLS_AT_ONCE { self.open.split_off(&minute) } else { BTreeMap::new() };
        for (minute, closed) in std::mem::replace(&mut self.open, stays) {
            self.bytes -= closed.index_bytes();
            self.leaving.push_back(Leaving { minute, chunks: closed.chunks });
        }
    }

    /// Takes one cell out that is to leave, with its minute.
    pub(super) fn pop(&mut self) -> Option<(u64, Cell)> {
        loop {
            let leaving = self.leaving.front_mut()?;
            let Some(chunk) = leaving.chunks.last_mut() else {
                self.leaving.pop_front();
                continue;
            };
            let Some(cell) = chunk.pop() else {
                leaving.chunks.pop();
                self.bytes -= CHUNK_BYTES;
                continue;
            };
            self.bytes -= cell.heap_bytes();
            return Some((leaving.minute, cell));
        }
    }

    /// Whether there is anything to be popped now.
    pub(super) fn leaves(&self) -> bool {
        self.leaving.iter().any(|minute| minute.chunks.iter().any(|chunk| !chunk.is_empty()))
    }

    /// When the oldest minute began that is not handed over. Milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let leaving = self.leaving.iter().filter(|one| one.chunks.iter().any(|chunk| !chunk.is_empty()));
        let oldest = leaving.map(|one| one.minute).chain(self.open.keys().copied()).min();
        oldest.map(|minute| minute * MINUTE_MS)
    }

    fn with_cell(
        &mut self,
        minute: u64,
        whose: Whose,
        count: impl FnOnce(&mut Cell, usize) -> Result<usize, Full>,
    ) -> Result<(), Full> {
        let room = self.bytes_max.saturating_sub(self.bytes);
        let hash = match whose.is_nobody() {
            true => self.hasher.hash_one((whose.tenant, whose.keyspace)),
            false => self.hasher.hash_one(whose.version),
        };
        let (cell, grown) = self.open.entry(minute).or_default().cell(hash, whose, room)?;
        let counted = count(cell, room - grown);
        self.bytes += grown + *counted.as_ref().unwrap_or(&0);
        counted.map(|_| ())
    }
}

impl Default for Minute {
    fn default() -> Self {
        Self { index: (0..PARTS).map(|_| HashTable::new()).collect(), chunks: Vec::new() }
    }
}

impl Minute {
    /// The cell of a version, a new one where there is none, and by how many bytes this has grown: at most `room`.
    fn cell(&mut self, hash: u64, whose: Whose, room: usize) -> Result<(&mut Cell, usize), Full> {
        let chunks = &self.chunks;
        let [_, _, _, _, low @ ..] = hash.to_be_bytes();
        let (part, short) = ((hash >> 58) as usize, u32::from_be_bytes(low));
        let index = &mut self.index[part];
        let is_it = |indexed: &Indexed| indexed.hash == short && cell_at(chunks, indexed.place).whose == whose;
        if let Some(found) = index.find(spread(short), is_it) {
            let place = found.place as usize;
            return Ok((&mut self.chunks[place / CHUNK_CELLS][place % CHUNK_CELLS], 0));
        }
        let is_full = chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_CELLS);
        let grows = index.len() == index.capacity();
        let before = index.allocation_size();
        // An index that grows has twice the places afterwards, and the first ones come four at a time.
        let needed = if is_full { CHUNK_BYTES } else { 0 } + if grows { before.max(128) * 2 } else { 0 };
        if needed > room {
            return Err(Full);
        }
        if is_full {
            self.chunks.push(Vec::with_capacity(CHUNK_CELLS));
        }
        let chunk = self.chunks.last_mut().expect("there is one");
        chunk.push(Cell::new(whose));
        let place = u32::try_from(self.len() - 1).map_err(|_| Full)?;
        let index = &mut self.index[part];
        // Built anew by hashes that are kept: the cells are not looked at.
        index.insert_unique(spread(short), Indexed { hash: short, place }, |indexed| spread(indexed.hash));
        let grown = if is_full { CHUNK_BYTES } else { 0 } + index.allocation_size().saturating_sub(before);
        let chunk = self.chunks.last_mut().expect("it was pushed to");
        Ok((chunk.last_mut().expect("it was pushed"), grown))
    }

    fn len(&self) -> usize {
        let whole = self.chunks.len().saturating_sub(1) * CHUNK_CELLS;
        whole + self.chunks.last().map_or(0, Vec::len)
    }

    fn index_bytes(&self) -> usize {
        self.index.iter().map(HashTable::allocation_size).sum()
    }
}

/// The half of a hash that is kept, over both halves: the index looks at the lowest bits and at the highest.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn cell_at(chunks: &[Vec<Cell>], place: u32) -> &Cell {
    let place = place as usize;
    &chunks[place / CHUNK_CELLS][place % CHUNK_CELLS]
}
