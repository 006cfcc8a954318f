//! The task of one sink.

use crate::exporting::cursor::{Cursor, CursorError};
use crate::exporting::pause::Pauses;
use crate::exporting::set_aside::{write_down, written_down};
use crate::exporting::source::{Batch, Whose};
use crate::exporting::{Exports, Filter, SinkStatus, Source};
use crate::notices::ACTIONS;
use latchkey_config::{SinkSettings, SinkStream};
use latchkey_domain::UnixMillis;
use latchkey_export::{Item, SetAside, Sink, SinkError};
use latchkey_telemetry::{Clock as _, OsEntropy, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a cursor that passes over entries is only kept in memory.
const IDLE: Duration = Duration::from_secs(1);
/// What notices are called among the sinks.
pub(crate) const NOTICES: &str = "notices";
/// Entries that people are told of in one batch: few, as what was told is not told again only once the cursor has moved.
const NOTICES_BATCH_MAX: usize = 16;
/// Records that a place may refuse one after the other before it is tried no further: what refuses so many is broken, not they.
const DOUBTED_MAX: usize = 32;

/// Sends entries to one sink.
#[derive(Debug)]
pub struct Exporter<S: Source> {
    name: String,
    stream: SinkStream,
    sink: Box<dyn Sink<S::Item>>,
    folder: PathBuf,
    filter: Filter,
    from_beginning: bool,
    batch_max: usize,
    /// Whether what it sets aside is set aside whatever else it takes.
    is_sure: bool,
    source: Arc<S>,
    exports: Exports,
}

/// How far a sink is, from one batch to the next.
struct Going {
    cursor: Cursor,
    /// The id of the last that was taken of those that share the sequence of the cursor.
    after: Option<String>,
    /// As large as batches may be now: one that was too large is halved, and grows again.
    max: usize,
    /// Whether the place has taken another since something was set aside without one beside it.
    has_taken: bool,
    /// What the place refused while nothing showed that it takes others. The cursor stays before it.
    doubted: Vec<SetAside>,
    /// Behind what is doubted: a sequence, and the id of the last of it, as `after`.
    ahead: Option<(u64, Option<String>)>,
}

impl Going {
    const fn from(cursor: Cursor, max: usize) -> Self {
        Self { cursor, after: None, max, has_taken: false, doubted: Vec::new(), ahead: None }
    }

    /// From where on the next batch is read, and the id behind which it begins.
    fn position(&self) -> (u64, Option<String>) {
        self.ahead.clone().unwrap_or_else(|| (self.cursor.next().unwrap_or_default(), self.after.clone()))
    }

    /// Goes back to the cursor: what was doubted is tried again.
    fn go_back(&mut self) -> Vec<SetAside> {
        self.ahead = None;
        std::mem::take(&mut self.doubted)
    }
}

/// What a step came to.
enum Step {
    /// The sink has more than before, or all.
    On,
    /// It is still found out what it takes.
    Trying,
}

/// Why nothing went on.
enum Stuck {
    /// The log, in a few words.
    Source(String),
    /// The sink.
    Sink(SinkError),
    /// The sink refuses whatever it is sent: so many, and its word for the last.
    RefusesAll(usize, String),
    /// The cursor, or the file of what was set aside.
    Kept(String),
}

impl<S: Source> Exporter<S> {
    /// To `sink`, with the cursor in `folder`.
    #[must_use]
    pub fn new(
        settings: &SinkSettings,
        sink: Box<dyn Sink<S::Item>>,
        folder: PathBuf,
        source: Arc<S>,
        exports: &Exports,
    ) -> Self {
        let place = settings.url.as_ref().map(ToString::to_string);
        let place = place.or_else(|| settings.server.as_ref().map(ToString::to_string));
        let place = place.or_else(|| settings.folder.as_ref().map(|folder| folder.display().to_string()));
        let name = settings.name.to_string();
        exports.update(&name, |status| {
            status.kind = settings.kind.as_str();
            status.stream = settings.stream;
            status.place = place.unwrap_or_default();
        });
        Self {
            name,
            stream: settings.stream,
            sink,
            folder,
            filter: Filter::new(settings),
            from_beginning: settings.from_beginning,
            batch_max: usize::try_from(settings.batch_entries_max).unwrap_or(usize::MAX),
            is_sure: false,
            source,
            exports: exports.clone(),
        }
    }

    /// Notices: entries of a few actions, from now on, as nobody wants to be told of what was due last year.
    #[must_use]
    pub fn notices(sink: Box<dyn Sink<S::Item>>, folder: PathBuf, source: Arc<S>, exports: &Exports) -> Self {
        let name = NOTICES.to_owned();
        exports.update(&name, |status| status.kind = NOTICES);
        let filter = Filter::actions(&ACTIONS);
        let batch_max = NOTICES_BATCH_MAX;
        let (stream, exports) = (SinkStream::Entries, exports.clone());
        // It sets aside for a contact's sake, which says nothing of other contacts, and says itself when the mail server is away.
        Self { name, stream, sink, folder, filter, from_beginning: false, batch_max, is_sure: true, source, exports }
    }

    /// Sends until it is stopped. What is on its way then is sent again after the next start.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            // An error means that nobody can stop it any more.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            never = self.go_on() => match never {},
        }
    }

    async fn go_on(&self) -> std::convert::Infallible {
        let mut pauses = Pauses::default();
        loop {
            let cursor = match self.open().await {
                Ok(cursor) => cursor,
                Err(stuck) => {
                    self.stuck(&stuck, pauses.next(None, &mut OsEntropy)).await;
                    continue;
                }
            };
            let mut going = Going::from(cursor, self.batch_max);
            loop {
                match self.step(&mut going).await {
                    Ok(Step::On) => pauses = Pauses::default(),
                    Ok(Step::Trying) => {}
                    Err(stuck) => {
                        let asked = if let Stuck::Sink(error) = &stuck { error.retry_after() } else { None };
                        self.stuck(&stuck, pauses.next(asked, &mut OsEntropy)).await;
                        if matches!(stuck, Stuck::Kept(_)) {
                            // Nobody knows where the cursor on the disk is: it is read again.
                            break;
                        }
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<Cursor, Stuck> {
        let folder = self.folder.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let cursor = Cursor::open(folder.clone())?;
            let io = |source| CursorError::Io { verb: "read", path: folder.clone(), source };
            Ok::<_, CursorError>((cursor, written_down(&folder).map_err(io)?))
        });
        let opened = opened.await.expect("opening a cursor does not panic");
        let (mut cursor, set_aside) = opened.map_err(|error| Stuck::Kept(error.to_string()))?;
        self.exports.update(&self.name, |status| (status.missed, status.set_aside) = (cursor.missed(), set_aside));
        let begin = self.begin(&mut cursor).await?;
        if cursor.next() == Some(begin) {
            self.source.hold(begin);
            self.exports.update(&self.name, |status| status.next = begin);
        } else {
            self.advance(&mut cursor, begin, 0).await?;
        }
        Ok(cursor)
    }

    /// The first sequence that the sink cannot have: where its cursor is, unless that is a cursor into another log than this.
    async fn begin(&self, cursor: &mut Cursor) -> Result<u64, Stuck> {
        let whose = self.source.whose().await.map_err(|status| Stuck::Source(status.message().to_owned()))?;
        let stored = *self.source.watch().borrow();
        let Some(next) = cursor.next() else {
            return Ok(if self.from_beginning { self.source.first() } else { stored });
        };
        let now = match whose {
            Whose::Any => return Ok(next),
            Whose::Empty if next == 0 => return Ok(next),
            Whose::Empty => {
                return Err(Stuck::Source(format!("it has no entry yet, and the sink took all below {next} of one")));
            }
            Whose::Log(now) => now,
        };
        let before = cursor.log();
        cursor.be_of(now);
        match before {
            // An older copy was put back: all that it has the sink has too.
            Some(before) if before == now && next > stored => {
                tracing::warn!(sink = %self.name, next, stored, "the log is an older copy; the sink goes on at its end");
                Ok(stored)
            }
            Some(before) if before != now => {
                let first = self.source.first();
                tracing::warn!(sink = %self.name, next, first, %before, %now, "another log began; the sink begins with it");
                Ok(first)
            }
            None if next > stored => {
                let first = self.source.first();
                tracing::warn!(sink = %self.name, next, stored, first, "the log is not the one before; the sink begins anew");
                Ok(first)
            }
            _ => Ok(next),
        }
    }

    /// Sends one batch, or waits for one.
    async fn step(&self, going: &mut Going) -> Result<Step, Stuck> {
        let (from, after) = going.position();
        let mut grows = self.source.watch();
        let seen = *grows.borrow_and_update();
        let batch = self.source.read(from, going.max, &self.filter).await;
        let Batch { mut records, mut next, missed } =
            batch.map_err(|status| Stuck::Source(status.message().to_owned()))?;
        if missed > 0 && going.ahead.is_some() {
            // What is doubted may be gone as well: the cursor knows from where on.
            going.go_back();
            return Ok(Step::Trying);
        }
        if missed > 0 {
            return self.pass_over(&mut going.cursor, next, missed).await.map(|()| Step::On);
        }
        if next == from {
            let doubted = going.go_back();
            if !doubted.is_empty() {
                // Nothing else can show that the place takes any.
                return Err(refuses_all(doubted));
            }
            self.has_all();
            let _ = timeout(IDLE, grows.changed()).await;
            return Ok(Step::On);
        }
        // Of those that share the sequence of the cursor some may be there already.
        let done = after.as_ref().and_then(|id| records.iter().position(|record| record.id() == *id));
        records.drain(..done.map_or(0, |at| at + 1));
        let rest = records.split_off(records.len().min(going.max));
        next = rest.first().map_or(next, Item::sequence);
        if !records.is_empty() {
            return self.send(going, &records, next).await;
        }
        if going.ahead.is_some() {
            going.ahead = Some((next, None));
            return Ok(Step::Trying);
        }
        self.keep(&mut going.cursor, next, &[]).await?;
        // Of a log that always grows one has all that there was, never all that there is.
        if next >= seen {
            self.has_all();
            // A sink that wants few of many entries need not write its cursor for each of them.
            sleep(IDLE).await;
        }
        Ok(Step::On)
    }

    /// Sends records, of which there is at least one; behind them `next` follows.
    async fn send(&self, going: &mut Going, records: &[S::Item], next: u64) -> Result<Step, Stuck> {
        if going.ahead.is_none() {
            let first = SystemClock.unix_millis().min(time_of(&records[0]));
            self.exports.update(&self.name, |status| status.waits_since = Some(first));
        }
        match self.sink.send(records, SystemClock.unix_millis().millis() / 1_000).await {
            Ok(taken) if taken.set_aside.len() < records.len() || self.is_sure => {
                Exports::count(&self.name, "taken", records.len().saturating_sub(taken.set_aside.len()));
                self.settle(going, records, next, taken.set_aside).await?;
                going.max = (going.max * 2).min(self.batch_max);
                going.has_taken = true;
                self.well();
                Ok(Step::On)
            }
            Ok(taken) => self.doubt(going, records, next, taken.set_aside).await,
            Err(SinkError::TooLarge { taken: 0, .. }) if records.len() == 1 => {
                let aside = SetAside { sequence: records[0].sequence(), reason: "too large".to_owned() };
                self.doubt(going, records, next, vec![aside]).await
            }
            Err(error) => {
                let taken = error.taken();
                if taken > 0 {
                    Exports::count(&self.name, "taken", taken);
                    self.settle(going, &records[..taken], records[taken].sequence(), Vec::new()).await?;
                    going.has_taken = true;
                }
                if matches!(error, SinkError::TooLarge { .. } | SinkError::Wrong { .. }) {
                    going.max = (records.len() / 2).max(1);
                    return Ok(if taken > 0 { Step::On } else { Step::Trying });
                }
                Err(Stuck::Sink(error))
            }
        }
    }

    /// All of a batch was refused. Where a place refuses one it is the record that is wrong; where it refuses all it is the place, and
    /// what was set aside would be lost to it for nothing. So the cursor stays until the place takes another.
    async fn doubt(
        &self,
        going: &mut Going,
        records: &[S::Item],
        next: u64,
        aside: Vec<SetAside>,
    ) -> Result<Step, Stuck> {
        if records.len() == 1 && going.has_taken && going.doubted.is_empty() {
            self.settle(going, records, next, aside).await?;
            going.has_taken = false;
            self.recovers(|_, _| ());
            return Ok(Step::On);
        }
        going.doubted.extend(aside);
        if going.doubted.len() < DOUBTED_MAX {
            going.ahead = Some((next, last_of(records, next)));
            return Ok(Step::Trying);
        }
        Err(refuses_all(going.go_back()))
    }

    /// The cursor goes behind records that the sink has, or will never take, and behind what was doubted before them.
    async fn settle(
        &self,
        going: &mut Going,
        records: &[S::Item],
        next: u64,
        aside: Vec<SetAside>,
    ) -> Result<(), Stuck> {
        let mut all = going.go_back();
        all.extend(aside);
        self.keep(&mut going.cursor, next, &all).await?;
        going.after = last_of(records, next);
        Ok(())
    }

    /// Writes down what was set aside, and then moves the cursor: after a kill in between an entry is set aside twice, never lost.
    async fn keep(&self, cursor: &mut Cursor, next: u64, aside: &[SetAside]) -> Result<(), Stuck> {
        if !aside.is_empty() {
            for SetAside { sequence, reason } in aside {
                tracing::warn!(sink = %self.name, sequence, %reason, "a sink will never take this entry");
            }
            let (folder, all) = (self.folder.clone(), aside.to_vec());
            let now = SystemClock.unix_millis();
            let written = tokio::task::spawn_blocking(move || write_down(&folder, &all, now)).await;
            let written = written.expect("writing a file does not panic");
            written.map_err(|error| Stuck::Kept(format!("cannot write down what was set aside: {error}")))?;
            Exports::count(&self.name, "set_aside", aside.len());
        }
        self.advance(cursor, next, 0).await?;
        self.exports.update(&self.name, |status| status.set_aside += aside.len() as u64);
        Ok(())
    }

    /// Passes over what is gone. It is counted by the same write that moves the cursor: once, and for good.
    async fn pass_over(&self, cursor: &mut Cursor, next: u64, gone: u64) -> Result<(), Stuck> {
        self.advance(cursor, next, gone).await?;
        let (from, kept_by, stream) = (next.saturating_sub(gone), S::KEPT_BY, self.stream.as_str());
        let message = "a sink was away for longer than is kept for it; it missed what is gone";
        tracing::warn!(sink = %self.name, stream, from, next, gone, missed = cursor.missed(), kept_by, "{message}");
        Exports::count(&self.name, "missed", usize::try_from(gone).unwrap_or(usize::MAX));
        Ok(())
    }

    async fn advance(&self, cursor: &mut Cursor, next: u64, gone: u64) -> Result<(), Stuck> {
        if cursor.log().is_none()
            && let Whose::Log(log) =
                self.source.whose().await.map_err(|status| Stuck::Source(status.message().to_owned()))?
        {
            cursor.be_of(log);
        }
        let kept = std::mem::replace(cursor, Cursor::nowhere());
        *cursor = moved(kept, next, gone).await.map_err(|error| Stuck::Kept(error.to_string()))?;
        self.source.hold(next);
        let missed = cursor.missed();
        self.exports.update(&self.name, |status| (status.next, status.missed) = (next, missed));
        Ok(())
    }

    /// Nothing is left for the sink: whatever it or the log failed with is over.
    fn has_all(&self) {
        self.recovers(|status, _| status.waits_since = None);
    }

    fn well(&self) {
        self.recovers(|status, now| status.taken_at = Some(now));
    }

    fn recovers(&self, change: impl FnOnce(&mut SinkStatus, UnixMillis)) {
        let now = SystemClock.unix_millis();
        let mut was = None;
        self.exports.update(&self.name, |status| {
            was = status.failing.take();
            status.well_at = Some(now);
            change(status, now);
        });
        if was.is_some() {
            tracing::info!(sink = %self.name, "a sink takes entries again");
        }
    }

    async fn stuck(&self, stuck: &Stuck, pause: Duration) {
        let text = match stuck {
            Stuck::Source(text) => format!("the log cannot be read: {text}"),
            Stuck::Sink(error) => error.told(),
            Stuck::RefusesAll(count, reason) => format!(
                "it refuses all that it is sent, {count} in a row, the last for {reason}; look why there, or leave them out by `actions`"
            ),
            Stuck::Kept(text) => text.clone(),
        };
        let (now, mut is_new) = (SystemClock.unix_millis(), false);
        self.exports.update(&self.name, |status| {
            is_new = status.failing.as_ref().is_none_or(|(_, before)| *before != text);
            let since = status.failing.as_ref().map_or(now, |(since, _)| *since);
            status.failing = Some((since, text.clone()));
            // What waits is not known where nothing can be read: it waits from now on.
            status.waits_since.get_or_insert(now);
        });
        // Said once, not with each attempt.
        if is_new {
            tracing::warn!(sink = %self.name, error = %text, "a sink takes no entries; it is tried again");
        }
        sleep(pause).await;
    }
}

async fn moved(mut cursor: Cursor, next: u64, gone: u64) -> Result<Cursor, CursorError> {
    let moved = tokio::task::spawn_blocking(move || cursor.move_to(next, gone).map(|()| cursor)).await;
    moved.expect("moving a cursor does not panic")
}

fn refuses_all(mut doubted: Vec<SetAside>) -> Stuck {
    let count = doubted.len();
    Stuck::RefusesAll(count, doubted.pop().map_or_else(String::new, |last| last.reason))
}

/// The id of the last record, where more of its sequence may follow.
fn last_of<T: Item>(records: &[T], next: u64) -> Option<String> {
    records.last().filter(|last| last.sequence() == next).map(Item::id)
}

fn time_of(record: &impl Item) -> UnixMillis {
    UnixMillis::new(u64::try_from(record.millis()).unwrap_or_default())
}
