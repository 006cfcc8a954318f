//! Streams of entries. Each has a task of its own that walks the journal from its place on, and a short queue: a caller that does not
//! keep up is let go, and begins again from the last mark of progress. Who asks for what retention took is told so, and never led
//! past it: an auditor takes silence for an answer.

use crate::cluster::Cluster;
use crate::entries::Entries;
use crate::search::Search;
use crate::show;
use latchkey_domain::{IdentityName, Sequence};
use latchkey_telemetry::names;
use latchkey_transport::{Class, Unavailable, status};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::watch_entries_response::Item;
use metrics::gauge;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

/// Streams at once. Each holds a task and a short queue.
const WATCHES_MAX: usize = 64;
/// Of one identity: an auditor of one tenant leaves room for all others.
const WATCHES_PER_IDENTITY_MAX: usize = 16;
/// Messages that wait for one caller.
const QUEUE_MESSAGES_MAX: usize = 64;
/// How long a full queue is waited for.
const SLOW_MAX: Duration = Duration::from_secs(10);
/// Between two marks of progress at most.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How often a caller proves again who he is: a revoked identity sees nothing after that.
pub(crate) const PROOF_INTERVAL: Duration = Duration::from_secs(2);
/// How long a stream goes on while nobody can say who its caller is.
const UNPROVEN_MAX: Duration = Duration::from_secs(10);

/// What a caller of `WatchEntries` gets.
pub(crate) type Messages = ReceiverStream<Result<v1::WatchEntriesResponse, Status>>;

/// The streams of one process.
#[derive(Debug)]
pub(crate) struct Watches {
    room: Arc<Semaphore>,
    /// How many streams whose are open.
    open: Arc<Mutex<HashMap<IdentityName, usize>>>,
    stopped: watch::Receiver<bool>,
    /// Whether the log cannot go on, which comes before `stopped`.
    halted: Arc<AtomicBool>,
}

/// One stream.
pub(crate) struct Watch<C> {
    pub(crate) entries: Entries<C>,
    pub(crate) search: Search,
    /// The first sequence to look at.
    pub(crate) from: u64,
}

impl Watches {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self { room: Arc::new(Semaphore::new(WATCHES_MAX)), open: Arc::default(), stopped, halted: Arc::default() }
    }

    /// The mark to set before streams are ended since the log cannot go on.
    pub(crate) fn halted(&self) -> Arc<AtomicBool> {
        self.halted.clone()
    }

    /// Begins a stream of `caller`. `proof` is asked every few seconds whether it may go on.
    pub(crate) fn begin<C, P>(
        &self,
        caller: IdentityName,
        watch: Watch<C>,
        proof: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<Messages, Status>
    where
        C: Cluster,
        P: Future<Output = Result<(), Status>> + Send,
    {
        let overloaded = || Status::from(Unavailable::Overloaded { class: Class::List });
        let room = self.room.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let open = Open::take(room, &self.open, caller).ok_or_else(overloaded)?;
        let (messages, received) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let (mut stopped, halted) = (self.stopped.clone(), self.halted.clone());
        tokio::spawn(async move {
            let _open = open;
            let end = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => {
                    let halted = halted.load(Ordering::Relaxed);
                    Status::from(if halted { Unavailable::AuditStopped } else { Unavailable::Stopping })
                }
                () = messages.closed() => return,
                end = send(watch, &messages, Proof::new(proof)) => match end {
                    Ok(never) => match never {},
                    Err(end) => end,
                },
            };
            // A caller that went away needs no reason.
            let _ = timeout(PROGRESS_INTERVAL, messages.send(Err(end))).await;
        });
        Ok(ReceiverStream::new(received))
    }
}

/// Counts a stream for as long as it is open.
struct Open {
    _room: OwnedSemaphorePermit,
    all: Arc<Mutex<HashMap<IdentityName, usize>>>,
    caller: IdentityName,
}

impl Open {
    /// `None` where the caller has as many as one may have.
    fn take(
        room: OwnedSemaphorePermit,
        all: &Arc<Mutex<HashMap<IdentityName, usize>>>,
        caller: IdentityName,
    ) -> Option<Self> {
        let mut counts = all.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(caller.clone()).or_default();
        if *count >= WATCHES_PER_IDENTITY_MAX {
            return None;
        }
        *count += 1;
        drop(counts);
        gauge!(names::AUDIT_WATCHERS).increment(1.0);
        Some(Self { _room: room, all: all.clone(), caller })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(names::AUDIT_WATCHERS).decrement(1.0);
        let mut counts = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

/// That a caller may go on.
struct Proof<F> {
    ask: F,
    asked: Instant,
    proven: Instant,
}

impl<P: Future<Output = Result<(), Status>>, F: Fn() -> P> Proof<F> {
    fn new(ask: F) -> Self {
        Self { ask, asked: Instant::now(), proven: Instant::now() }
    }

    /// Asks again where that is due. Before each entry, as a caller who reads slowly may take minutes for those of one block.
    async fn renew(&mut self) -> Result<(), Status> {
        if self.asked.elapsed() < PROOF_INTERVAL {
            return Ok(());
        }
        self.asked = Instant::now();
        match (self.ask)().await {
            Ok(()) => self.proven = Instant::now(),
            // Who cannot be asked has not said no, for a while.
            Err(error) if error.code() == Code::Unavailable && self.proven.elapsed() < UNPROVEN_MAX => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

type Queue = mpsc::Sender<Result<v1::WatchEntriesResponse, Status>>;

async fn send<C: Cluster, P: Future<Output = Result<(), Status>>>(
    watch: Watch<C>,
    messages: &Queue,
    mut proof: Proof<impl Fn() -> P>,
) -> Result<std::convert::Infallible, Status> {
    let Watch { entries, search, from } = watch;
    let (mut at, mut grows) = (from, entries.log().watch());
    let mut marked = Instant::now();
    loop {
        let stored = *grows.borrow_and_update();
        let caught_up = at >= stored;
        if !caught_up {
            at = pass(&entries, &search, at, messages, &mut proof).await?;
        }
        proof.renew().await?;
        if at >= *grows.borrow() || marked.elapsed() >= PROGRESS_INTERVAL {
            marked = Instant::now();
            put(messages, Item::NextSequence(at)).await?;
        }
        if at >= *grows.borrow() {
            // An end of the journal's life is told by `stopped`.
            let _ = timeout(PROGRESS_INTERVAL, grows.changed()).await;
        }
    }
}

/// Sends what is looked for of one block, and tells where the next begins.
async fn pass<C: Cluster, P: Future<Output = Result<(), Status>>>(
    entries: &Entries<C>,
    search: &Search,
    at: u64,
    messages: &Queue,
    proof: &mut Proof<impl Fn() -> P>,
) -> Result<u64, Status> {
    let Some(block) = entries.block(at).await? else {
        let kept_from = entries.log().kept_from();
        return if kept_from > at { Err(status::entries_not_kept(Sequence(at), Sequence(kept_from))) } else { Ok(at) };
    };
    for (sequence, frame) in (block.first..).zip(&block.frames).skip_while(|(sequence, _)| *sequence < at) {
        if let Some(found) = entries.find(search, sequence, frame, Instant::now() + PROOF_INTERVAL).await? {
            proof.renew().await?;
            put(messages, Item::Entry(show::entry(found))).await?;
        }
    }
    Ok(block.first + block.frames.len() as u64)
}

async fn put(messages: &Queue, item: Item) -> Result<(), Status> {
    let message = v1::WatchEntriesResponse { item: Some(item) };
    match messages.send_timeout(Ok(message), SLOW_MAX).await {
        Ok(()) => Ok(()),
        Err(SendTimeoutError::Timeout(_) | SendTimeoutError::Closed(_)) => {
            Err(Unavailable::Overloaded { class: Class::List }.into())
        }
    }
}
