//! Callers that make keys in batches and revoke some of them, and write down what they were told.

use crate::caller::{Caller, reason};
use crate::cluster::KEYSPACE;
use crate::random::Random;
use latchkey_wire::pb::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// Who writes at once: enough that there is always something on its way when a process dies.
const WRITERS: u64 = 4;

/// How long one try may take: longer than an election.
const TRY_MAX: Duration = Duration::from_secs(15);

/// How long what is unfinished is tried again once all is over.
const FINISH_MAX: Duration = Duration::from_secs(45);

/// How long a writer rests after a batch, and once there is enough: a small disk must not be full of what nobody counts.
const PAUSE: Duration = Duration::from_millis(20);
const LONG_PAUSE: Duration = Duration::from_secs(2);

/// An answer with a thousand keys.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// So many keys of each batch are revoked again.
const REVOKED: usize = 3;

/// What was written, as those were told who wrote it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The batches that were acknowledged: how many keys each has, by the id of its request.
    pub(super) batches: BTreeMap<String, usize>,
    /// The keys that were acknowledged.
    pub(super) keys: BTreeSet<String>,
    /// The keys whose revocation was acknowledged.
    pub(super) revoked: BTreeSet<String>,
    /// What was asked for and never answered: nobody knows what became of it.
    pub(super) unknown: BTreeSet<String>,
    /// What must not be answered.
    pub(super) wrong: Vec<String>,
    /// Tries that failed, by what was said.
    pub(super) failed: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Shared {
    written: Mutex<Written>,
    /// Keys and revocations that were acknowledged: so many entries there are at least.
    entries: AtomicU64,
    enough: u64,
    ends: AtomicBool,
}

impl Shared {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writers at work.
#[derive(Debug)]
pub(super) struct Writers {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    began: Instant,
}

impl Writers {
    /// Lets them write in batches of so many keys; once there are `enough` entries, with a longer pause after each.
    pub(super) fn start(issuance: &Caller, batch_keys: usize, enough: u64, random: &mut Random) -> Self {
        let (shared, mut tasks) = (Arc::new(Shared { enough, ..Shared::default() }), JoinSet::new());
        for number in 0..WRITERS {
            tasks.spawn(write(shared.clone(), issuance.clone(), number, batch_keys, random.fork()));
        }
        Self { shared, tasks, began: Instant::now() }
    }

    /// How many entries were acknowledged so far.
    pub(super) fn entries(&self) -> u64 {
        self.shared.entries.load(Ordering::Relaxed)
    }

    /// Lets all finish: what they were told, and for how long they wrote.
    pub(super) async fn finish(mut self) -> (Written, Duration) {
        self.shared.ends.store(true, Ordering::Relaxed);
        let lasted = self.began.elapsed();
        while self.tasks.join_next().await.is_some() {}
        (std::mem::take(&mut *self.shared.written()), lasted)
    }
}

async fn write(shared: Arc<Shared>, issuance: Caller, number: u64, batch_keys: usize, mut random: Random) {
    for batch in 0_u64.. {
        if shared.ends.load(Ordering::Relaxed) {
            return;
        }
        let request_id = random.uuid();
        let one = |key| v1::CreateKeyRequest {
            display_name: format!("writer {number} batch {batch} key {key}"),
            ..Default::default()
        };
        let request = v1::BatchCreateKeysRequest {
            parent: KEYSPACE.to_owned(),
            requests: (0..batch_keys).map(one).collect(),
            request_id: request_id.clone(),
            wait_for: v1::WaitFor::Committed.into(),
            ..Default::default()
        };
        let made = until_told(&shared, &request_id, &mut random, || {
            let mut client = issuance.issuance().max_decoding_message_size(ANSWER_BYTES_MAX);
            let request = issuance.ask(request.clone(), TRY_MAX);
            async move {
                let answer = client.batch_create_keys(request).await?.into_inner();
                Ok(answer.keys.into_iter().map(|issued| issued.key.unwrap_or_default().name).collect::<Vec<_>>())
            }
        });
        let Some(names) = made.await else { continue };
        shared.entries.fetch_add(names.len() as u64, Ordering::Relaxed);
        let revoked: Vec<_> = names.iter().take(REVOKED).cloned().collect();
        {
            let mut written = shared.written();
            if names.len() != batch_keys {
                written.wrong.push(format!("{request_id}: {} keys of {batch_keys}", names.len()));
            }
            written.batches.insert(request_id, names.len());
            written.keys.extend(names);
        }
        for name in revoked {
            revoke(&shared, &issuance, name, &mut random).await;
        }
        let has_enough = shared.entries.load(Ordering::Relaxed) >= shared.enough;
        sleep(if has_enough { LONG_PAUSE } else { PAUSE }).await;
    }
}

async fn revoke(shared: &Shared, issuance: &Caller, name: String, random: &mut Random) {
    let request = v1::RevokeKeyRequest {
        name: name.clone(),
        reason: v1::RevocationReason::Unused.into(),
        wait_for: v1::WaitFor::Committed.into(),
        request_id: random.uuid(),
        ..Default::default()
    };
    let told = until_told(shared, &request.request_id, random, || {
        let (mut client, request) = (issuance.issuance(), issuance.ask(request.clone(), TRY_MAX));
        async move { client.revoke_key(request).await.map(drop) }
    });
    if told.await.is_some() {
        shared.entries.fetch_add(1, Ordering::Relaxed);
        shared.written().revoked.insert(name);
    }
}

/// Tries with one request id until it is told something; none where it never is.
async fn until_told<T, F: Future<Output = Result<T, Status>> + Send>(
    shared: &Shared,
    request_id: &str,
    random: &mut Random,
    call: impl Fn() -> F,
) -> Option<T> {
    let mut ended_at = None;
    loop {
        match call().await {
            Ok(told) => return Some(told),
            Err(status) if may_pass(&status) => {
                *shared.written().failed.entry(reason(&status)).or_default() += 1;
                sleep(Duration::from_millis(20 + random.below(80))).await;
            }
            Err(status) => {
                shared.written().wrong.push(format!("{request_id}: {status}"));
                return None;
            }
        }
        let ends = shared.ends.load(Ordering::Relaxed);
        if ends && ended_at.get_or_insert_with(Instant::now).elapsed() > FINISH_MAX {
            shared.written().unknown.insert(request_id.to_owned());
            return None;
        }
    }
}

fn may_pass(status: &Status) -> bool {
    use Code::{Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable, Unknown};
    matches!(status.code(), Unavailable | DeadlineExceeded | Cancelled | Unknown | ResourceExhausted)
}
