//! The task of one sink.

use crate::exporting::cursor::{Cursor, CursorError};
use crate::exporting::pause::Pauses;
use crate::exporting::set_aside::write_down;
use crate::exporting::source::Batch;
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
const NOTICES: &str = "notices";
/// Entries that people are told of in one batch: few, as what was told is not told again only once the cursor has moved.
const NOTICES_BATCH_MAX: usize = 16;

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
    source: Arc<S>,
    exports: Exports,
}

/// Why nothing went on.
enum Stuck {
    /// The log, in a few words.
    Source(String),
    /// The sink.
    Sink(SinkError),
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
        Self { name, stream, sink, folder, filter, from_beginning: false, batch_max, source, exports }
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
            let mut cursor = match self.open().await {
                Ok(cursor) => cursor,
                Err(error) => {
                    self.stuck(&Stuck::Kept(error.to_string()), pauses.next(None, &mut OsEntropy)).await;
                    continue;
                }
            };
            // As large as batches may be now: one that was too large is halved, and grows again.
            let mut max = self.batch_max;
            // The id of the last that was taken of those that share the sequence of the cursor.
            let mut after = None;
            loop {
                match self.step(&mut cursor, &mut max, &mut after).await {
                    Ok(()) => pauses = Pauses::default(),
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

    async fn open(&self) -> Result<Cursor, CursorError> {
        let folder = self.folder.clone();
        let opened = tokio::task::spawn_blocking(move || Cursor::open(folder)).await;
        let mut cursor = opened.expect("opening a cursor does not panic")?;
        let next = match cursor.next() {
            Some(next) => next,
            None => {
                let next = if self.from_beginning { self.source.first() } else { *self.source.watch().borrow() };
                cursor = moved(cursor, next, 0).await?;
                next
            }
        };
        self.source.hold(next);
        let missed = cursor.missed();
        self.exports.update(&self.name, |status| (status.next, status.missed) = (next, missed));
        Ok(cursor)
    }

    /// Sends one batch, or waits for one.
    async fn step(&self, cursor: &mut Cursor, max: &mut usize, after: &mut Option<String>) -> Result<(), Stuck> {
        let from = cursor.next().unwrap_or_default();
        let mut grows = self.source.watch();
        let seen = *grows.borrow_and_update();
        let batch = self.source.read(from, *max, &self.filter).await;
        let Batch { mut records, mut next, missed } =
            batch.map_err(|status| Stuck::Source(status.message().to_owned()))?;
        if missed > 0 {
            return self.pass_over(cursor, next, missed).await;
        }
        if next == from {
            self.has_all();
            let _ = timeout(IDLE, grows.changed()).await;
            return Ok(());
        }
        // Of those that share the sequence of the cursor some may be there already.
        let done = after.as_ref().and_then(|id| records.iter().position(|record| record.id() == *id));
        records.drain(..done.map_or(0, |at| at + 1));
        let rest = records.split_off(records.len().min(*max));
        next = rest.first().map_or(next, Item::sequence);
        if records.is_empty() {
            self.keep(cursor, next, &[]).await?;
            // Of a log that always grows one has all that there was, never all that there is.
            if next >= seen {
                self.has_all();
                // A sink that wants few of many entries need not write its cursor for each of them.
                sleep(IDLE).await;
            }
            return Ok(());
        }
        let first = SystemClock.unix_millis().min(time_of(&records[0]));
        self.exports.update(&self.name, |status| status.waits_since = Some(first));
        match self.sink.send(&records, SystemClock.unix_millis().millis() / 1_000).await {
            Ok(taken) => {
                Exports::count(&self.name, "taken", records.len().saturating_sub(taken.set_aside.len()));
                self.keep(cursor, next, &taken.set_aside).await?;
                *after = records.last().filter(|last| last.sequence() == next).map(Item::id);
                *max = (*max * 2).min(self.batch_max);
                self.well();
                Ok(())
            }
            Err(SinkError::TooLarge { taken, .. }) if records.len() == 1 && taken == 0 => {
                let aside = SetAside { sequence: records[0].sequence(), reason: "too large".to_owned() };
                self.keep(cursor, next, &[aside]).await?;
                *after = Some(records[0].id()).filter(|_| records[0].sequence() == next);
                self.well();
                Ok(())
            }
            Err(error) => {
                if error.taken() > 0 {
                    Exports::count(&self.name, "taken", error.taken());
                    let next = records[error.taken()].sequence();
                    self.keep(cursor, next, &[]).await?;
                    let last = &records[error.taken() - 1];
                    *after = Some(last.id()).filter(|_| last.sequence() == next);
                }
                if matches!(error, SinkError::TooLarge { .. }) {
                    *max = (records.len() / 2).max(1);
                    return Ok(());
                }
                Err(Stuck::Sink(error))
            }
        }
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
            Stuck::Kept(text) => text.clone(),
        };
        let (now, mut is_new) = (SystemClock.unix_millis(), false);
        self.exports.update(&self.name, |status| {
            is_new = status.failing.as_ref().is_none_or(|(_, before)| *before != text);
            let since = status.failing.as_ref().map_or(now, |(since, _)| *since);
            status.failing = Some((since, text.clone()));
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

fn time_of(record: &impl Item) -> UnixMillis {
    UnixMillis::new(u64::try_from(record.millis()).unwrap_or_default())
}
