//! Any sequence of operations, against a model that is simple enough to believe.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Subject, answer, append, finished, mark, name, read_all, scan, write_snapshot};
use crate::{Base, LogRecord, Row, RowBatch, RowKey, StateSource, Store, Word};

/// One step. Numbers are bent to what is possible when the step is taken.
#[derive(Debug, Clone)]
pub enum Step {
    /// Appends records of these lengths.
    Append(Vec<usize>),
    /// Truncates this many records.
    Truncate(u64),
    /// Saves a vote.
    Vote(u8),
    /// Saves the committed log id, lazily.
    Committed(u8),
    /// Puts rows (id, length) and removes ids, in one batch.
    Rows(Vec<(u8, usize)>, Vec<u8>),
    /// Promises to purge all but this many records of the log, or past its end where negative.
    Purge(i8),
    /// Installs a snapshot, this many records past the state, and rebuilds the rows if true.
    Install(u8, bool),
    /// Restarts in order.
    Restart,
    /// Cuts the power.
    Cut,
}

type Rows = BTreeMap<u8, Bytes>;

/// What the store must hold.
#[derive(Default)]
struct Model {
    /// On disk, hidden records included.
    log: BTreeMap<u64, Bytes>,
    purged: Option<u64>,
    promised: Option<u64>,
    /// Appended past a promise that is not covered: visible, not durable.
    held: BTreeMap<u64, Bytes>,
    /// Operations of the log wait for that promise.
    holding: bool,
    /// The promise ran past the end of the log.
    past_end: bool,
    vote: Option<u8>,
    committed: Option<u8>,
    /// The rows at each mark (0: nothing was written yet) since the last that is surely durable, which comes first.
    history: Vec<(u64, Rows)>,
    base: Option<u64>,
    /// Makes every record and row different.
    counter: u64,
}

/// Takes every step and compares the store with the model after each.
pub fn run<S: Subject>(mut subject: S, steps: &[Step]) {
    let mut model = Model { history: vec![(0, Rows::new())], ..Model::default() };
    for (number, step) in steps.iter().enumerate() {
        subject = model.take(subject, step);
        model.compare(subject.store(), &format!("after step {number} of {steps:?}"));
    }
}

impl Model {
    fn take<S: Subject>(&mut self, subject: S, step: &Step) -> S {
        let store = subject.store();
        match step {
            Step::Append(lengths) => self.append(store, lengths),
            Step::Truncate(count) => self.truncate(store, *count),
            Step::Vote(vote) => {
                finished(|done| store.save_word(Word::Vote, vec![*vote].into(), done)).expect("saved");
                self.vote = Some(*vote);
                self.synced();
            }
            Step::Committed(committed) => {
                store.save_word_lazily(Word::Committed, vec![*committed].into());
                self.committed = Some(*committed);
            }
            Step::Rows(puts, deletes) => self.write_rows(store, puts, deletes),
            Step::Purge(keep) => self.purge(store, *keep),
            Step::Install(ahead, rebuild) => self.install(store, u64::from(*ahead), *rebuild),
            Step::Restart => {
                self.synced();
                self.reopen();
                return subject.restart();
            }
            Step::Cut => {
                subject.settle();
                self.reopen();
                let subject = subject.cut();
                self.adopt(subject.store());
                return subject;
            }
        }
        subject.settle();
        self.keep_promise();
        subject
    }

    fn append(&mut self, store: &dyn Store, lengths: &[usize]) {
        let next = self.next();
        let records: Vec<LogRecord> =
            (next..).zip(lengths).map(|(index, length)| LogRecord { index, bytes: self.bytes(*length) }).collect();
        self.holding |= self.past_end
            && self.promised.is_some_and(|promised| self.disk_next() <= promised)
            && next > self.disk_next();
        if self.holding {
            store.append(records.clone(), answer().0);
            self.held.extend(records.into_iter().map(|record| (record.index, record.bytes)));
        } else {
            append(store, records.clone()).expect("appended");
            self.log.extend(records.into_iter().map(|record| (record.index, record.bytes)));
            self.synced();
        }
    }

    fn truncate(&mut self, store: &dyn Store, count: u64) {
        // A raft log never loses what is applied.
        let from = self.next().saturating_sub(count).max(self.state() + 1).max(self.hidden_next());
        if !self.holding {
            finished(|done| store.truncate_from(from, done)).expect("truncated");
            self.log.split_off(&from);
            self.synced();
        } else {
            store.truncate_from(from, answer().0);
            self.held.split_off(&from);
        }
    }

    fn write_rows(&mut self, store: &dyn Store, puts: &[(u8, usize)], deletes: &[u8]) {
        let index = self.state() + 1;
        if self.base.is_some() || index >= self.next() {
            return;
        }
        let mut rows = self.rows().clone();
        deletes.iter().for_each(|id| drop(rows.remove(id)));
        let puts: Vec<Row> = puts
            .iter()
            .map(|(id, length)| {
                let bytes = self.bytes(*length);
                rows.insert(*id, bytes.clone());
                Row { key: key(*id), bytes }
            })
            .collect();
        let deletes = deletes.iter().map(|id| key(*id)).collect();
        store.write_rows(RowBatch { puts, deletes, mark: mark(index) }).expect("written");
        self.history.push((index, rows));
    }

    fn purge(&mut self, store: &dyn Store, keep: i8) {
        let through = self.next().saturating_add_signed(-i64::from(keep)).saturating_sub(1);
        if through + 1 > self.hidden_next() && !self.holding {
            self.past_end |= through >= self.next();
            store.promise_purge(through, through.to_string().into());
            self.promised = Some(through);
        }
    }

    fn install(&mut self, store: &dyn Store, ahead: u64, rebuild: bool) {
        let index = self.promised.unwrap_or(0).max(self.state()).max(1) + ahead;
        let text = format!("at-{index}");
        write_snapshot(store, &text, text.as_bytes());
        store.set_base(Base { name: name(&text), index }).expect("installed");
        let rows = self.rows().clone();
        self.history = vec![(index, rows)];
        self.base = Some(index);
        // As raft does: what the snapshot covers is purged.
        if index + 1 > self.hidden_next() && (!self.holding || index < self.next()) {
            self.past_end |= index >= self.next();
            store.promise_purge(index, index.to_string().into());
            self.promised = Some(index);
        }
        if rebuild {
            let generation = store.begin_generation().expect("begun");
            let rows = self.rows().iter().map(|(id, bytes)| Row { key: key(*id), bytes: bytes.clone() }).collect();
            store.write_generation(generation, rows).expect("written");
            store.commit_generation(generation, mark(index)).expect("committed");
            self.base = None;
        }
    }

    /// Everything that was written is durable now.
    fn synced(&mut self) {
        self.history.drain(..self.history.len() - 1);
    }

    fn keep_promise(&mut self) {
        let covered = |promised: &u64| self.state() >= *promised.max(&1);
        let Some(promised) = self.promised.filter(covered) else { return };
        self.promised = None;
        self.purged = Some(promised);
        self.log = self.log.split_off(&(promised + 1));
        self.log.append(&mut self.held);
        self.holding = false;
        self.past_end = false;
        self.synced();
    }

    /// A restart forgets what was only promised or held.
    fn reopen(&mut self) {
        self.promised = None;
        self.held.clear();
        self.holding = false;
        self.past_end = false;
    }

    /// What a cut may or may not have kept is as the store says, as long as it was written once.
    fn adopt(&mut self, store: &dyn Store) {
        if let StateSource::Rows(found) = store.state_source() {
            let place = self.history.iter().position(|(index, _)| *index == found.index);
            self.history.truncate(place.expect("the rows of a mark that was written and not surely replaced") + 1);
        } else if self.base.is_none() {
            self.history.truncate(1);
        }
        self.synced();
        self.committed = store.word(Word::Committed).map(|bytes| bytes[0]);
    }

    fn compare(&self, store: &dyn Store, when: &str) {
        let hidden = self.hidden_next();
        let visible = self.log.range(hidden..).chain(&self.held);
        let expected: Vec<_> =
            visible.map(|(index, bytes)| LogRecord { index: *index, bytes: bytes.clone() }).collect();
        assert_eq!(read_all(store), expected, "the log, {when}");
        let bounds = store.log_bounds();
        assert_eq!(bounds.purged.map(|purged| purged.through), self.promised.or(self.purged), "purged, {when}");
        assert_eq!(store.word(Word::Vote).map(|bytes| bytes[0]), self.vote, "the vote, {when}");
        assert_eq!(store.word(Word::Committed).map(|bytes| bytes[0]), self.committed, "committed, {when}");
        match store.state_source() {
            StateSource::Base(base) => assert_eq!(Some(base.index), self.base, "the base, {when}"),
            StateSource::Empty => assert_eq!((self.base, self.state()), (None, 0), "the state, {when}"),
            StateSource::Rows(found) => {
                assert_eq!((self.base, found), (None, mark(self.state())), "the state, {when}");
                let found: Rows = scan(store).into_iter().map(|row| (row.key.id[0], row.bytes)).collect();
                assert_eq!(&found, self.rows(), "the rows, {when}");
            }
        }
    }

    fn rows(&self) -> &Rows {
        &self.history.last().expect("there is always a state").1
    }

    fn state(&self) -> u64 {
        self.history.last().expect("there is always a state").0
    }

    fn hidden_next(&self) -> u64 {
        self.promised.or(self.purged).map_or(0, |through| through + 1)
    }

    fn disk_next(&self) -> u64 {
        let purged = self.purged.map_or(0, |through| through + 1);
        self.log.last_key_value().map_or(purged, |(last, _)| last + 1)
    }

    fn next(&self) -> u64 {
        let last = self.held.last_key_value().or(self.log.last_key_value());
        last.map_or(0, |(last, _)| last + 1).max(self.hidden_next())
    }

    fn bytes(&mut self, length: usize) -> Bytes {
        self.counter += 1;
        let mut bytes = self.counter.to_be_bytes().to_vec();
        bytes.resize(length.max(8), 7);
        bytes.into()
    }
}

fn key(id: u8) -> RowKey {
    RowKey { table: 3, id: vec![id].into() }
}
