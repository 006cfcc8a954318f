//! Following: takes the events of the cluster in order, proves each against the tree, makes them durable, and only then lets the
//! cluster forget them.
//!
//! What cannot be believed stops the service: a gap, a root that does not follow from the leaves, an event that the cluster has
//! trimmed and this service never stored. Nothing is ever passed over. What may pass (nobody leads, the KEK is away, the disk is
//! full) is waited for, with nothing acknowledged meanwhile.

use crate::cluster::{Cluster, Event, Events, Followed};
use crate::entry;
use crate::journal::{AppendError, Frame, Preimage, Writer};
use crate::told::Told;
use crate::vault::Vault;
use latchkey_crypto::Entropy;
use latchkey_domain::{ClusterId, Sequence};
use latchkey_link::LogStanding;
use latchkey_telemetry::{Clock, names, span_after};
use latchkey_transparency::hash_preimage;
use metrics::{gauge, histogram};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tracing::Span;

/// Events that one write and one sync carry.
const BATCH_EVENTS_MAX: usize = 512;
/// Bytes of events that one write carries.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How long one call to the cluster may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// A stream that says nothing for this long is dead: replicas send a mark of progress each second.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Between two attempts at what may pass.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at whether the cluster still has the log that is here.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Between two promises, and so between two trims.
const PROMISE_INTERVAL: Duration = Duration::from_secs(1);

/// Why the service stops. An operator has to act.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// An event is missing, or comes twice.
    #[error("the cluster sent event {found} where {expected} follows; keep both logs as evidence")]
    Gap {
        /// The sequence that follows.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The tree of the cluster is another one than that of the entries stored here.
    #[error(
        "the root that the cluster names with event {sequence} is not that of the entries stored here; one of both logs was \
         changed: keep both as evidence"
    )]
    Root {
        /// The event.
        sequence: u64,
    },
    /// The cluster does not have what is missing here.
    #[error(
        "the cluster has trimmed event {next}, which is not stored here; put back the newest copy of the data folder or of the \
         archive that there is; where both are lost for good, latchkey cluster begin-audit-log begins another log"
    )]
    Trimmed {
        /// The first that is missing.
        next: u64,
    },
    /// The cluster's log began anew, and this one ended.
    #[error(
        "the audit log of the cluster is {found} with {size} entries, and none of which the {stored} that are stored here are the \
         first; keep data_folder and the archive as evidence, and start with empty ones"
    )]
    OtherLog {
        /// What the cluster calls its log.
        found: String,
        /// How many entries that has.
        size: u64,
        /// How many there are here.
        stored: u64,
    },
    /// Another cluster answers than the one whose log this is.
    #[error(
        "the replicas are of cluster {found}, the log here is that of cluster {expected}; correct registry_endpoints or data_folder"
    )]
    Cluster {
        /// Whose log this is.
        expected: ClusterId,
        /// Who answers.
        found: ClusterId,
    },
    /// An event is longer than any can be.
    #[error("event {sequence} is too long to be stored")]
    TooLong {
        /// The event.
        sequence: u64,
    },
    /// The archive is another log than the one here, or cannot be read.
    #[error("{what}")]
    Archive {
        /// What was expected, what was found, and what to do.
        what: String,
    },
    /// There are two logs where one was to be.
    #[error("{what}")]
    Fork {
        /// Which, and where they differ.
        what: String,
    },
    /// It is not known any more what is on the disk.
    #[error("the journal has stopped; see the log for why")]
    Journal,
}

/// Why a round of following ended.
enum End {
    /// It was asked to.
    Stopped,
    /// For good.
    Halt(Halt),
    /// It may pass.
    Again(Status),
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// Follows one cluster into one journal.
pub struct Follower<C, E, K> {
    cluster: Arc<C>,
    vault: Arc<Vault<C>>,
    /// In a thread of its own while it writes.
    writer: Option<Writer>,
    entropy: E,
    clock: K,
    /// All below this were promised, for whoever trims.
    promised: watch::Sender<u64>,
    promise_due: Instant,
    look_due: Instant,
    /// When this was last able to store, or had nothing to store.
    healthy: watch::Sender<bool>,
}

impl<C: Cluster, E: Entropy + Send, K: Clock> Follower<C, E, K> {
    /// Over this journal.
    pub fn new(cluster: Arc<C>, vault: Arc<Vault<C>>, writer: Writer, entropy: E, clock: K) -> Self {
        let promised = watch::Sender::new(writer.promised());
        let (now, healthy) = (Instant::now(), watch::Sender::new(false));
        let (promise_due, look_due) = (now, now);
        Self { cluster, vault, writer: Some(writer), entropy, clock, promised, promise_due, look_due, healthy }
    }

    /// Tells what may be trimmed: all below it.
    #[must_use]
    pub fn promised(&self) -> watch::Receiver<u64> {
        self.promised.subscribe()
    }

    /// Tells whether events come and are stored.
    #[must_use]
    pub fn healthy(&self) -> watch::Receiver<bool> {
        self.healthy.subscribe()
    }

    /// Follows until it is asked to stop, or has to. What was stored is promised then.
    ///
    /// # Errors
    /// [`Halt`].
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Halt> {
        loop {
            let end = match self.follow(&mut stopped).await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            self.healthy.send_replace(false);
            match end {
                End::Stopped => {
                    // A promise that fails here is made after the next start.
                    let _ = self.promise().await;
                    return Ok(());
                }
                End::Halt(halt) => {
                    tracing::error!(error = %halt, "the audit service stops");
                    return Err(halt);
                }
                End::Again(status) => {
                    tracing::warn!(code = ?status.code(), message = status.message(), "events do not come, or are not stored");
                }
            }
            if is_stopped_within(&mut stopped, PAUSE).await {
                return Ok(());
            }
        }
    }

    async fn follow(&mut self, stopped: &mut watch::Receiver<bool>) -> Result<std::convert::Infallible, End> {
        self.check_cluster().await?;
        self.check_log().await?;
        let next = self.next();
        let mut events = match self.cluster.follow(Sequence(next), Instant::now() + CALL_MAX).await {
            Ok(events) => events,
            Err(status) => return Err(self.ended(status).await),
        };
        loop {
            let taken = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return Err(End::Stopped),
                () = sleep_until(self.promise_due), if self.owes_promise() => None,
                taken = timeout(SILENCE_MAX, take(&mut events)) => Some(taken),
            };
            match taken {
                None => self.promise().await?,
                Some(Err(_)) => return Err(End::Again(Status::unavailable("the replica fell silent"))),
                Some(Ok(taken)) => {
                    let Taken { batch, end } = taken;
                    if !batch.is_empty() {
                        self.store(&batch).await?;
                    }
                    match end {
                        Some(Ok(())) => {
                            if Instant::now() >= self.look_due {
                                self.check_log().await?;
                            }
                            self.idle();
                        }
                        Some(Err(status)) => return Err(self.ended(status).await),
                        None => {}
                    }
                }
            }
        }
    }

    async fn check_cluster(&self) -> Result<(), End> {
        let found = self.cluster.id(Instant::now() + CALL_MAX).await.map_err(End::Again)?;
        let expected = self.writer().cluster();
        if found == expected { Ok(()) } else { Err(Halt::Cluster { expected, found }.into()) }
    }

    /// Whether what is here is the beginning of the log that the cluster has. Of a longer one the next event tells. Where nobody
    /// leads no log goes on, and the next look finds out.
    async fn check_log(&mut self) -> Result<(), End> {
        self.look_due = Instant::now() + LOOK_INTERVAL;
        let (stored, root) = (self.next(), self.writer().frontier().root());
        if stored == 0 {
            return Ok(());
        }
        let Ok(standing) = self.cluster.standing(Instant::now() + CALL_MAX).await else { return Ok(()) };
        let LogStanding { origin: found, size, .. } = standing;
        if stored > size || (stored == size && root != standing.root) {
            return Err(Halt::OtherLog { found, size, stored }.into());
        }
        Ok(())
    }

    /// Why a stream did not come, or ended. That an event is trimmed is believed of a state that is behind nobody: the log may
    /// have begun anew since.
    async fn ended(&self, status: Status) -> End {
        if status.code() != Code::OutOfRange {
            return End::Again(status);
        }
        let next = self.next();
        match self.cluster.standing(Instant::now() + CALL_MAX).await {
            Ok(standing) if standing.kept_from > next => Halt::Trimmed { next }.into(),
            Ok(_) | Err(_) => End::Again(status),
        }
    }

    /// Checks, seals and stores events. Durable on return.
    async fn store(&mut self, batch: &[Event]) -> Result<(), End> {
        let begun = Instant::now();
        // Each is part of the trace of its own proposal; all end with the one sync.
        let spans: Vec<_> = batch.iter().map(span).collect();
        let mut tree = self.writer().frontier().clone();
        let mut frames: Vec<Frame> = Vec::with_capacity(batch.len());
        gauge!(names::AUDIT_LAG_ENTRIES).set(batch.len() as f64);
        for event in batch {
            let expected = tree.size();
            if event.sequence.0 != expected {
                return Err(Halt::Gap { expected, found: event.sequence.0 }.into());
            }
            let preimage = entry::preimage(event);
            tree.push(hash_preimage(&preimage));
            if tree.root() != event.root {
                return Err(Halt::Root { sequence: expected }.into());
            }
            frames.push(self.seal(event, preimage).await?);
        }
        self.append(frames).await?;
        histogram!(names::AUDIT_STORE_SECONDS).record(begun.elapsed().as_secs_f64());
        drop(spans);
        let last = batch.last().and_then(|event| Told::read(&event.bytes).ok());
        let age = last.map_or(0, |told| self.clock.unix_millis().since(told.at).millis());
        gauge!(names::AUDIT_LAG_SECONDS).set(age as f64 / 1_000.0);
        gauge!(names::AUDIT_LAG_ENTRIES).set(0.0);
        self.healthy.send_replace(true);
        Ok(())
    }

    async fn seal(&mut self, event: &Event, preimage: Preimage) -> Result<Frame, End> {
        // The leaf commits to what the event says of its tenant. One that a newer cluster writes in another format is kept with the
        // cluster's own, where only an auditor of the system sees it.
        let told = Told::read(&event.bytes).ok();
        let tenant = told.as_ref().and_then(|told| told.tenant);
        told.iter().for_each(|told| self.vault.learn(told));
        let key = self.vault.key(tenant, event.revision, Instant::now() + CALL_MAX).await.map_err(End::Again)?;
        if let Some(destroyed) = told.as_ref().and_then(Told::destroyed_tenant) {
            self.vault.forget(destroyed);
        }
        // What came too late to be sealed for its tenant has its place in the tree, and nothing else.
        let Some(key) = key else { return Ok(Frame::new(preimage, tenant, Vec::new())) };
        Ok(entry::seal(self.writer().cluster(), tenant, &key, event, preimage, &mut self.entropy))
    }

    async fn append(&mut self, frames: Vec<Frame>) -> Result<(), End> {
        let next = self.next();
        match self.with_writer(move |writer| writer.append(&frames)).await {
            Ok(()) => Ok(()),
            Err(AppendError::TooLong { .. }) => Err(Halt::TooLong { sequence: next }.into()),
            Err(AppendError::Stopped) => Err(Halt::Journal.into()),
            Err(error @ (AppendError::Full { .. } | AppendError::Io { .. })) => {
                Err(End::Again(Status::unavailable(error.to_string())))
            }
        }
    }

    async fn promise(&mut self) -> Result<(), End> {
        self.promise_due = Instant::now() + PROMISE_INTERVAL;
        let promised = self.with_writer(Writer::promise).await.map_err(|_| Halt::Journal)?;
        self.promised.send_replace(promised);
        Ok(())
    }

    /// Nothing is waiting: this knows all that the replica knows.
    fn idle(&self) {
        gauge!(names::AUDIT_LAG_SECONDS).set(0.0);
        self.healthy.send_replace(true);
    }

    fn owes_promise(&self) -> bool {
        self.writer().promised() < self.next()
    }

    fn next(&self) -> u64 {
        self.writer().frontier().size()
    }

    fn writer(&self) -> &Writer {
        self.writer.as_ref().expect("the writer comes back from its thread")
    }

    async fn with_writer<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Writer) -> T + Send + 'static) -> T {
        let mut writer = self.writer.take().expect("the writer comes back from its thread");
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut writer);
            (writer, done)
        });
        let (writer, done) = match done.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being dropped, and this task with it: nothing comes after.
            Err(_) => std::future::pending().await,
        };
        self.writer = Some(writer);
        done
    }
}

fn span(event: &Event) -> Span {
    let (sequence, revision) = (event.sequence.0, event.revision);
    span_after!(event.trace, "store entry", latchkey.sequence = sequence, latchkey.revision = %revision)
}

/// Lets the cluster forget what was promised, at most once in a while. A trim that fails is tried again.
pub async fn trim<C: Cluster>(cluster: Arc<C>, mut promised: watch::Receiver<u64>, mut stopped: watch::Receiver<bool>) {
    // What was promised before this process began may not have been trimmed.
    let mut trimmed = 0;
    loop {
        let further = async { promised.wait_for(|next| *next > trimmed).await.map(|next| *next) };
        let next = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            next = further => next,
        };
        let Ok(next) = next else { return };
        match cluster.trim(Sequence(next - 1), Instant::now() + CALL_MAX).await {
            Ok(()) => trimmed = next,
            Err(status) => {
                tracing::warn!(code = ?status.code(), message = status.message(), "the cluster did not trim");
            }
        }
        if is_stopped_within(&mut stopped, PROMISE_INTERVAL).await {
            return;
        }
    }
}

/// What a stream had ready: events, and what came after them.
struct Taken {
    batch: Vec<Event>,
    /// A mark of progress, or the end of the stream.
    end: Option<Result<(), Status>>,
}

/// Waits for one item, and takes all that are ready with it. Nothing is lost where it is dropped while it waits.
async fn take(events: &mut Events) -> Taken {
    let mut taken = Taken { batch: Vec::new(), end: None };
    let (mut item, mut bytes) = (Some(events.next().await), 0);
    while let Some(next) = item {
        match next {
            Some(Ok(Followed::Event(event))) => {
                bytes += event.bytes.len();
                taken.batch.push(event);
            }
            Some(Ok(Followed::Progress)) => taken.end = Some(Ok(())),
            Some(Err(status)) => taken.end = Some(Err(status)),
            None => taken.end = Some(Err(Status::unavailable("the replica ended the stream"))),
        }
        if taken.end.is_some() || taken.batch.len() == BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX {
            break;
        }
        item = poll_fn(|context| {
            Poll::Ready(match events.as_mut().poll_next(context) {
                Poll::Ready(item) => Some(item),
                Poll::Pending => None,
            })
        })
        .await;
    }
    taken
}

async fn is_stopped_within(stopped: &mut watch::Receiver<bool>, span: Duration) -> bool {
    timeout(span, stopped.wait_for(|stopped| *stopped)).await.is_ok()
}
