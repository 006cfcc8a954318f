//! The writer: works on a store until it is ended, and says on standard output what it is about to do where that
//! excuses a loss, and what was acknowledged.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use latchkey_storage::{
    Base, Done, Encoder, LogRecord, Mark, Options, Planted, RowBatch, SledStore, SpaceLimits, StateSource, Store,
    StoreError, Word,
};

use crate::content;
use crate::expect::{FACTS, state_index, vote_of};
use crate::random::{Random, mix};

/// Appends under way at once, so that they share syncs.
const UNDER_WAY_MAX: usize = 8;

/// How long an operation may take, also under strace.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, String>;

/// Settings of the store, for the writer and for the check: a reserve that fits an image.
pub(crate) fn options(planted: Option<Planted>) -> Options {
    let space = SpaceLimits { reserve_bytes: 1 << 20, low_bytes: 2 << 20, full_bytes: 1 << 20 };
    let mut options = Options { space, ..Options::default() };
    options.testing.planted = planted;
    options
}

/// Makes the store if it is not there yet, opens it, and works.
pub(crate) fn run(folder: &Path, round: u64, operations: u64, planted: Option<Planted>) -> Outcome<()> {
    let options = options(planted);
    if !folder.join("facts").exists() {
        SledStore::create(folder, &FACTS, &options).map_err(|error| error.to_string())?;
    }
    let store = SledStore::open(folder, &options).map_err(|error| error.to_string())?;
    work(&store, round, operations, &mut |line| {
        // One write a line: lines up to 4,096 bytes are not torn in a pipe.
        std::io::stdout().write_all(format!("{line}\n").as_bytes()).map_err(|error| error.to_string())
    })
}

/// Says a line to whoever checks later.
pub(crate) type Say<'a> = &'a mut dyn FnMut(String) -> Outcome<()>;

/// Works on an open store.
pub(crate) fn work(store: &dyn Store, round: u64, operations: u64, say: Say<'_>) -> Outcome<()> {
    say("open".into())?;
    let mut writer = Writer {
        store,
        say,
        random: Random::new(mix(round)),
        round,
        vote: vote_of(store),
        state: state_index(store),
        next: 0,
        under_way: Vec::new(),
    };
    writer.join_state_and_log()?;
    for _ in 0..operations {
        writer.step()?;
    }
    writer.settle()
}

struct Writer<'a> {
    store: &'a dyn Store,
    say: Say<'a>,
    random: Random,
    round: u64,
    vote: u64,
    /// The index of the state.
    state: u64,
    /// The index of the next record.
    next: u64,
    under_way: Vec<(String, Receiver<Result<(), StoreError>>)>,
}

impl Writer<'_> {
    /// What raft does at its start: a state beyond the log purges the log, void rows are rebuilt.
    fn join_state_and_log(&mut self) -> Outcome<()> {
        let bounds = self.store.log_bounds();
        let purged = bounds.purged.map_or(0, |purged| purged.through);
        let last = bounds.last.unwrap_or(purged);
        self.next = last.max(self.state) + 1;
        if last < self.state {
            self.promise_purge(self.state)?;
        }
        if matches!(self.store.state_source(), StateSource::Base(_)) {
            self.rebuild()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Outcome<()> {
        match self.random.below(100) {
            0..55 => self.append(),
            55..58 => self.truncate(),
            58..68 => self.vote(),
            68..74 => {
                self.store.save_word_lazily(Word::Committed, self.state.to_be_bytes().to_vec().into());
                Ok(())
            }
            74..88 => self.apply(),
            88..93 => self.sync(),
            93..97 => {
                let through = (self.state + self.random.below(11)).saturating_sub(8);
                self.promise_purge(through.min(self.next - 1))
            }
            _ => self.install(),
        }
    }

    fn append(&mut self) -> Outcome<()> {
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.settle()?;
        }
        let (first, next) = (self.next, self.next + 1 + self.random.below(4));
        let records = (first..next).map(|index| LogRecord { index, bytes: content::record(index, self.round) });
        let (send, answer) = mpsc::channel();
        self.store.append(records.collect(), Box::new(move |result| drop(send.send(result))));
        self.under_way.push((format!("append {first} {} {}", next - 1, self.round), answer));
        self.next = next;
        Ok(())
    }

    /// Waits for the appends that are under way, and says that they were acknowledged.
    fn settle(&mut self) -> Outcome<()> {
        for (line, answer) in core::mem::take(&mut self.under_way) {
            answered(&answer)?;
            (self.say)(line)?;
        }
        Ok(())
    }

    fn truncate(&mut self) -> Outcome<()> {
        self.settle()?;
        // What is applied or purged is never truncated.
        let purged = self.store.log_bounds().purged.map_or(0, |purged| purged.through);
        let from = self.next.saturating_sub(1 + self.random.below(12)).max(self.state + 1).max(purged + 1);
        (self.say)(format!("truncate {from}"))?;
        finished(|done| self.store.truncate_from(from, done))?;
        self.next = self.next.min(from);
        self.round += 1;
        Ok(())
    }

    fn vote(&mut self) -> Outcome<()> {
        self.vote += 1;
        (self.say)(format!("voting {}", self.vote))?;
        finished(|done| self.store.save_word(Word::Vote, self.vote.to_be_bytes().to_vec().into(), done))?;
        (self.say)(format!("voted {}", self.vote))
    }

    /// Applies some of what is in the log.
    fn apply(&mut self) -> Outcome<()> {
        self.settle()?;
        let through = (self.state + 1 + self.random.below(20)).min(self.next - 1);
        if through == self.state {
            return Ok(());
        }
        // A batch removes first, and puts then; of each slot only the last change counts.
        let first = (self.state + 1).max(through.saturating_sub(23));
        let (puts, deletes): (Vec<_>, Vec<_>) = (first..=through).map(content::change).partition(Result::is_ok);
        let batch = RowBatch {
            puts: puts.into_iter().flatten().collect(),
            deletes: deletes.into_iter().filter_map(Result::err).collect(),
            mark: mark(through),
        };
        self.store.write_rows(batch).map_err(text)?;
        self.state = through;
        Ok(())
    }

    fn sync(&mut self) -> Outcome<()> {
        finished(|done| self.store.sync(done))?;
        (self.say)(format!("state {}", self.state))
    }

    fn promise_purge(&mut self, through: u64) -> Outcome<()> {
        if through == 0 {
            // The log begins at 1: nothing to purge, and no state would ever cover it.
            return Ok(());
        }
        (self.say)(format!("purge {through}"))?;
        self.store.promise_purge(through, through.to_string().into());
        Ok(())
    }

    /// Installs a snapshot as a follower does: the log is purged before the snapshot is there.
    fn install(&mut self) -> Outcome<()> {
        self.settle()?;
        let ahead = if self.random.once_in(2) { self.random.below(40) } else { 0 };
        let index = self.next - 1 + ahead;
        self.promise_purge(index)?;
        self.next = self.next.max(index + 1);
        if self.random.once_in(2) {
            // Must not be acknowledged before the snapshot is installed.
            self.append()?;
        }
        let name = content::snapshot_name(index);
        let encoded = encode(index).map_err(|error| error.to_string())?;
        let mut receiver = self.store.receive_snapshot(&name).map_err(text)?;
        encoded.chunks(50_000).try_for_each(|piece| receiver.push(piece)).map_err(text)?;
        receiver.finish().map_err(text)?;
        self.store.set_base(Base { name, index }).map_err(text)?;
        self.state = index;
        (self.say)(format!("state {index}"))?;
        self.settle()?;
        self.rebuild()
    }

    /// Writes the rows of the base, sometimes in two attempts.
    fn rebuild(&mut self) -> Outcome<()> {
        let mut rows = content::rows(self.state);
        if self.random.once_in(3) {
            let abandoned = self.store.begin_generation().map_err(text)?;
            self.store.write_generation(abandoned, rows.clone()).map_err(text)?;
        }
        let generation = self.store.begin_generation().map_err(text)?;
        let rest = rows.split_off(rows.len() / 2);
        self.store.write_generation(generation, rows).map_err(text)?;
        self.store.write_generation(generation, rest).map_err(text)?;
        self.store.commit_generation(generation, mark(self.state)).map_err(text)?;
        (self.say)(format!("state {}", self.state))?;
        self.store.retain_snapshots(&[]).map_err(text)
    }
}

/// Waits for an operation, but not for ever: a store that answers nobody has failed.
fn finished(start: impl FnOnce(Done)) -> Outcome<()> {
    let (send, answer) = mpsc::channel();
    start(Box::new(move |result| drop(send.send(result))));
    answered(&answer)
}

fn answered(answer: &Receiver<Result<(), StoreError>>) -> Outcome<()> {
    answer.recv_timeout(PATIENCE).map_err(|_| "the store does not answer")?.map_err(text)
}

/// The payload of a snapshot that was read.
pub(crate) fn payload(store: &dyn Store, base: &Base) -> Outcome<Vec<u8>> {
    let mut payload = Vec::new();
    let mut reader = store.read_snapshot(&base.name).map_err(text)?;
    reader.read_to_end(&mut payload).map_err(|error| error.to_string())?;
    Ok(payload)
}

pub(crate) fn mark(index: u64) -> Mark {
    Mark { index, bytes: format!("mark {index}").into() }
}

fn encode(index: u64) -> std::io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new())?;
    encoder.write_all(&content::snapshot(index))?;
    Ok(encoder.finish()?.0)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: StoreError) -> String {
    error.to_string()
}
