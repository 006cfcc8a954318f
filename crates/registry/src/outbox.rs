//! Entries of the audit tree that nobody has taken yet: on disk, and in memory until they are there.

use crate::sealing::{OUTBOX_TABLE, Sealer, UnsealError};
use latchkey_domain::{Revision, Sequence};
use latchkey_link::write_entry;
use latchkey_state::{Entry, Progress};
use latchkey_storage::{Store, StoreError};
use latchkey_wire::disk::decode_message;
use latchkey_wire::pb::internal::v1 as pb;
use prost::Message;
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Entries that one read returns.
const ENTRIES_PER_READ_MAX: usize = 256;

/// Reads that may be overtaken by the thread that writes rows, each time by another write.
const READ_TRIES: usize = 4;

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxError {
    /// The disk.
    #[error("cannot read the outbox")]
    Store(#[from] StoreError),
    /// The bytes.
    #[error("cannot open an entry of the outbox")]
    Unseal(#[from] UnsealError),
    /// There is a hole: entries below the first that is kept were asked for.
    #[error("the first entry kept is {first}, asked for {asked}")]
    Gone {
        /// What was asked for.
        asked: u64,
        /// What there is.
        first: u64,
    },
}

/// The entries by sequence.
pub(crate) struct Outbox {
    kept: Mutex<Kept>,
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// Those that may not be on disk yet, in order and without holes.
    recent: VecDeque<Arc<Entry>>,
    /// Of which log they are, by the epoch and the record that began it.
    tree: (u64, u64),
    /// Since this record it is another log than the one whose entries lie on disk; they go before its first one is written.
    begun: Option<Revision>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Tells how many entries there are, and of which log, when the state was loaded or replaced.
    pub(crate) fn start_at(&self, progress: &Progress) {
        *self.kept() = Kept { tree: progress.tree(), ..Kept::default() };
        self.next.send_replace(progress.frontier.size());
    }

    pub(crate) fn extend(&self, entries: &[Arc<Entry>]) {
        let Some(last) = entries.last() else { return };
        let mut kept = self.kept();
        let newest = of_newest_log(entries);
        if let Some(first) = newest.first().filter(|first| first.sequence.0 == 0) {
            kept.recent.clear();
            kept.begun = Some(first.revision);
            if *self.next.borrow() > 0 {
                kept.tree = (first.revision.epoch, first.revision.index);
            }
        }
        kept.recent.extend(newest.iter().cloned());
        drop(kept);
        self.next.send_replace(last.sequence.0 + 1);
    }

    /// Which log it is of, by the epoch and the record that began it. What was read before it changed is of the one before.
    pub(crate) fn tree(&self) -> (u64, u64) {
        self.kept().tree
    }

    /// Nothing is on disk of the log before the one that `first` begins.
    pub(crate) fn begun_on_disk(&self, first: &Entry) {
        let mut kept = self.kept();
        kept.begun = kept.begun.filter(|begun| *begun != first.revision);
    }

    /// Forgets what is on disk now: all up to a record.
    pub(crate) fn written_through(&self, revision: Revision) {
        let recent = &mut self.kept().recent;
        while recent.front().is_some_and(|entry| entry.revision <= revision) {
            recent.pop_front();
        }
    }

    /// Follows the number of entries.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Some entries from `from` on, as messages; empty where there are none yet. What lies below `trimmed` is not given
    /// any more, whether it is on disk still or not.
    pub(crate) async fn read(
        &self,
        store: &dyn Store,
        sealer: &Sealer,
        from: u64,
        trimmed: u64,
    ) -> Result<Vec<pb::Event>, OutboxError> {
        if from < trimmed {
            return Err(OutboxError::Gone { asked: from, first: trimmed });
        }
        for _ in 0..READ_TRIES {
            let start = from.to_be_bytes();
            let rows = match self.kept().begun {
                // They are of the log before, whose sequences are these too.
                Some(_) => Vec::new(),
                None => store.read_rows(OUTBOX_TABLE, &start[..]..&u64::MAX.to_be_bytes()[..], ENTRIES_PER_READ_MAX)?,
            };
            let mut on_disk = Vec::with_capacity(rows.len());
            for row in rows {
                let Ok(id) = <[u8; 8]>::try_from(&row.key.id[..]) else { continue };
                let plain = sealer.open_entry(Sequence(u64::from_be_bytes(id)), &row.bytes).await?;
                let event = decode_message::<pb::Event>(&plain);
                on_disk.push(event.map_err(|error| UnsealError::Content { what: "entry", error })?);
            }
            let first = on_disk.first().map(|event| event.sequence);
            let kept = self.kept();
            let recent = &kept.recent;
            let first = first.or_else(|| recent.front().map(|entry| entry.sequence.0)).filter(|first| *first > from);
            let events = joined(on_disk, recent.iter(), from);
            drop(kept);
            match (events.first(), first) {
                (Some(event), _) if event.sequence != from => {
                    return Err(OutboxError::Gone { asked: from, first: event.sequence });
                }
                // It left memory for the disk after that was read.
                (None, Some(_)) => {}
                _ => return Ok(events),
            }
        }
        Ok(Vec::new())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of the log that is the newest by the end of `entries`: what is before its first entry is of no log any more.
pub(crate) fn of_newest_log<E: Borrow<Entry>>(entries: &[E]) -> &[E] {
    let begins = entries.iter().rposition(|entry| entry.borrow().sequence.0 == 0);
    &entries[begins.unwrap_or(0)..]
}

pub(crate) fn entry_to_bytes(entry: &Entry) -> Vec<u8> {
    write_entry(entry).encode_to_vec()
}

/// What is on disk, and what follows it in memory without a hole: an entry may have left memory for the disk after that
/// was read.
fn joined<'a>(on_disk: Vec<pb::Event>, recent: impl Iterator<Item = &'a Arc<Entry>>, from: u64) -> Vec<pb::Event> {
    let mut events = on_disk;
    let next = events.last().map_or(from, |event| event.sequence + 1);
    let room = ENTRIES_PER_READ_MAX.saturating_sub(events.len());
    let following = recent.skip_while(|entry| entry.sequence.0 < next).zip(next..).take(room);
    let whole = following.take_while(|(entry, expected)| entry.sequence.0 == *expected);
    events.extend(whole.map(|(entry, _)| write_entry(entry)));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_transparency::Hash;

    fn entry(sequence: u64) -> Arc<Entry> {
        Arc::new(Entry {
            sequence: Sequence(sequence),
            revision: Revision::new(1, sequence),
            tenant: None,
            event: Vec::new(),
            o: [0; 32],
            root: Hash::new([0; 32]),
        })
    }

    fn read(on_disk: impl Iterator<Item = u64>, recent: impl Iterator<Item = u64>, from: u64) -> Vec<u64> {
        let on_disk = on_disk.map(|sequence| write_entry(&entry(sequence))).collect();
        let recent: Vec<_> = recent.map(entry).collect();
        joined(on_disk, recent.iter(), from).iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn what_went_from_memory_to_disk_between_the_two_reads_leaves_no_hole() {
        // A follower was sent 3 and then 6, and a follower that counts stops at that.
        assert_eq!(read(0..4, 6..9, 0), [0, 1, 2, 3]);
        assert_eq!(read(0..0, 6..9, 4), [0; 0]);
    }

    #[test]
    fn disk_and_memory_are_read_as_one_and_what_both_have_comes_once() {
        assert_eq!(read(2..5, 3..8, 2), [2, 3, 4, 5, 6, 7]);
        assert_eq!(read(0..0, 3..8, 5), [5, 6, 7]);
        let end = ENTRIES_PER_READ_MAX as u64;
        assert_eq!(read(0..1, 0..1_000, 0), (0..end).collect::<Vec<_>>());
    }
}
