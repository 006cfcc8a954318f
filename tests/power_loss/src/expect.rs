//! What a store must hold after the writer was ended: never less than what was acknowledged.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use latchkey_storage::{Facts, StateSource, Store, Word};

use crate::content;
use crate::writer::{mark, payload};

/// Who the replica is.
pub(crate) const FACTS: Facts = Facts { node_id: 1, cluster_id: *b"latchkey-powerco", epoch: 1 };

/// What was acknowledged, and what an intention excuses.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Expect {
    /// The store was opened once, so it exists.
    pub(crate) opened: bool,
    /// Index and round of records.
    log: BTreeMap<u64, u64>,
    vote_min: u64,
    vote_max: u64,
    state_min: u64,
    purge_max: u64,
}

impl Expect {
    /// Takes a line of the writer.
    pub(crate) fn hear(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        match (word, &numbers[..]) {
            ("open", []) => self.opened = true,
            ("append", [first, last, round]) => self.log.extend((*first..=*last).map(|index| (index, *round))),
            ("truncate", [from]) => drop(self.log.split_off(from)),
            ("voting", [vote]) => self.vote_max = *vote,
            ("voted", [vote]) => self.vote_min = *vote,
            ("state", [index]) => self.state_min = self.state_min.max(*index),
            ("purge", [through]) => self.purge_max = self.purge_max.max(*through),
            _ => return Err(format!("the writer said {line:?}")),
        }
        Ok(())
    }

    /// A store in which nothing was written yet.
    pub(crate) fn empty() -> Self {
        Self { opened: true, ..Self::default() }
    }

    /// Everything that a store holds: what is read at a start counts as durable from then on.
    pub(crate) fn of(store: &dyn Store) -> Result<Self, String> {
        let vote = vote_of(store);
        let purged = store.log_bounds().purged.map_or(0, |purged| purged.through);
        let state = state_index(store);
        Ok(Self {
            opened: true,
            log: read_log(store)?,
            vote_min: vote,
            vote_max: vote,
            state_min: state,
            purge_max: purged,
        })
    }

    /// How many acknowledged facts there are.
    pub(crate) fn count(&self) -> u64 {
        self.log.len() as u64 + self.vote_min + u64::from(self.state_min > 0)
    }

    /// Checks a store that was opened again.
    pub(crate) fn check(&self, store: &dyn Store) -> Result<(), String> {
        let vote = vote_of(store);
        if !(self.vote_min..=self.vote_max.max(self.vote_min)).contains(&vote) {
            return Err(format!("vote {vote}, expected {} to {}", self.vote_min, self.vote_max));
        }
        let state = check_state(store)?;
        if state < self.state_min {
            return Err(format!("the state is at {state}, acknowledged was {}", self.state_min));
        }
        self.check_log(store, state)
    }

    fn check_log(&self, store: &dyn Store, state: u64) -> Result<(), String> {
        let found = read_log(store)?;
        let purged = store.log_bounds().purged.map_or(0, |purged| purged.through);
        if purged > self.purge_max || purged > state {
            return Err(format!("purged through {purged}, asked for {}, with the state at {state}", self.purge_max));
        }
        for (index, round) in self.log.range(purged + 1..) {
            if found.get(index) != Some(round) {
                return Err(format!("record {index} of round {round}: found {:?}", found.get(index)));
            }
        }
        match found.first_key_value() {
            Some((first, _)) if *first > state + 1 => {
                Err(format!("the state ends at {state}, the log begins at {first}"))
            }
            _ => Ok(()),
        }
    }
}

/// The vote that a store holds.
pub(crate) fn vote_of(store: &dyn Store) -> u64 {
    let number = |bytes: bytes::Bytes| bytes[..].try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
    store.word(Word::Vote).map_or(0, number)
}

/// The index at which the state of a store stands.
pub(crate) fn state_index(store: &dyn Store) -> u64 {
    match store.state_source() {
        StateSource::Empty => 0,
        StateSource::Rows(mark) => mark.index,
        StateSource::Base(base) => base.index,
    }
}

/// Index and round of every record; each must be what was written.
fn read_log(store: &dyn Store) -> Result<BTreeMap<u64, u64>, String> {
    let records = store.read(0..u64::MAX, usize::MAX).map_err(|error| error.to_string())?;
    let round = |record: latchkey_storage::LogRecord| match content::round(record.index, &record.bytes) {
        Some(round) => Ok((record.index, round)),
        None => Err(format!("record {} was never written", record.index)),
    };
    records.into_iter().map(round).collect()
}

/// The state must be exactly the one of some index.
fn check_state(store: &dyn Store) -> Result<u64, String> {
    let index = state_index(store);
    let is_right = match store.state_source() {
        StateSource::Empty => true,
        StateSource::Base(base) => payload(store, &base)? == content::snapshot(index),
        StateSource::Rows(found) => {
            let mut rows = Vec::new();
            let mut visit = |row| {
                rows.push(row);
                ControlFlow::Continue(())
            };
            store.scan_rows(&mut visit).map_err(|error| error.to_string())?;
            found == mark(index) && rows == content::rows(index)
        }
    };
    if is_right { Ok(index) } else { Err(format!("the state at {index} is not the one that was written")) }
}

#[cfg(test)]
mod tests {
    use latchkey_storage::{LogRecord, MemoryStore, wait};

    use super::*;
    use crate::writer;

    /// Works on a store, and cuts its power after so many lines.
    fn cut_after(store: &MemoryStore, round: u64, lines: usize, expect: &mut Expect) -> MemoryStore {
        let mut left = lines;
        let ended = writer::work(store, round, 10_000, &mut |line| {
            expect.hear(&line)?;
            left -= 1;
            if left == 0 { Err("enough".into()) } else { Ok(()) }
        });
        assert_eq!(ended, Err("enough".into()));
        store.cut_power()
    }

    #[test]
    fn a_store_that_keeps_its_word_passes_life_after_life() {
        let mut store = MemoryStore::new(FACTS);
        let mut expect = Expect::default();
        for life in 1..150 {
            store = cut_after(&store, life * 1_000, 1 + usize::try_from(life * 7 % 90).unwrap(), &mut expect);
            expect.check(&store).unwrap_or_else(|found| panic!("life {life}: {found}"));
            expect = Expect::of(&store).expect("what passes can be read");
        }
    }

    #[test]
    fn a_lost_record_vote_or_state_is_found() {
        let mut expect = Expect::default();
        for line in ["open", "append 1 3 9", "voting 1", "voted 1", "voting 2", "state 2"] {
            expect.hear(line).unwrap();
        }
        let store = MemoryStore::new(FACTS);
        assert!(expect.check(&store).is_err_and(|found| found.starts_with("vote 0, expected 1 to 2")));

        let save = |vote: u64| wait(|done| store.save_word(Word::Vote, vote.to_be_bytes().to_vec().into(), done));
        save(3).unwrap();
        assert!(expect.check(&store).is_err());
        save(2).unwrap();
        assert!(expect.check(&store).is_err_and(|found| found.starts_with("the state is at 0")));

        let mut to = content::rows(2);
        let batch = |puts, index| latchkey_storage::RowBatch { puts, deletes: vec![], mark: mark(index) };
        store.write_rows(batch(to.split_off(1), 2)).unwrap();
        assert!(expect.check(&store).is_err_and(|found| found.contains("not the one that was written")));
        store.write_rows(batch(to, 2)).unwrap();
        assert!(expect.check(&store).is_err_and(|found| found.starts_with("record 1 of round 9: found None")));

        let records = |round| (1..4).map(|index| LogRecord { index, bytes: content::record(index, round) }).collect();
        wait(|done| store.append(records(9), done)).unwrap();
        assert_eq!(expect.check(&store), Ok(()));
        expect.hear("truncate 3").unwrap();
        expect.hear("append 3 3 10").unwrap();
        assert!(expect.check(&store).is_err_and(|found| found.starts_with("record 3 of round 10: found Some(9)")));
    }
}
