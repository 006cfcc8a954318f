//! Callers that write to keys of their own, one write after the other, and one reader at each replica. All that they are
//! told is recorded.

use super::super::revoking::may_pass;
use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::keys::{Made, create, made, question};
use crate::random::Random;
use crate::record::{At, Kind, Read, Record, Write};
use latchkey_wire::pb::v1;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};
use v1::replica_status::State;

/// Callers that write.
const WRITERS: u64 = 6;

/// How long one try of a write may take, by caller: some come back while their first try is still under way.
const TRIES_MAX: [Duration; 3] = [Duration::from_millis(700), Duration::from_secs(4), Duration::from_secs(12)];

/// How long a caller goes on with one write before it gives up on that key.
const WRITE_MAX: Duration = Duration::from_secs(25);

/// How long a validation may take.
const READ_MAX: Duration = Duration::from_secs(2);

/// Keys that readers choose from: the newest, so that what changes is what is read.
const POOL_MAX: usize = 200;

/// How long the barrier of one write waits.
const WAIT_MAX: prost_types::Duration = prost_types::Duration { seconds: 1, nanos: 0 };

#[derive(Default)]
struct Shared {
    record: Mutex<Record>,
    /// Keys, and the last revision that was acknowledged of each.
    pool: Mutex<Vec<(u64, Made, At)>>,
    keys: AtomicU64,
    ends: AtomicBool,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, Vec<(u64, Made, At)>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

/// Callers at work.
pub(super) struct Callers {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Callers {
    pub(super) fn start(cluster: &Cluster, random: &mut Random) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for number in 0..WRITERS {
            let within = TRIES_MAX[usize::try_from(number).expect("a small number") % TRIES_MAX.len()];
            let writer = Writer { shared: shared.clone(), issuance: cluster.issuance(), within, random: random.fork() };
            tasks.spawn(writer.run());
        }
        for id in cluster.ids() {
            tasks.spawn(read_on(shared.clone(), id, cluster.replica(id), random.fork()));
        }
        Self { shared, tasks }
    }

    /// Lets all finish what they do.
    pub(super) async fn finish(mut self) -> Record {
        self.shared.ends.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        std::mem::take(&mut *self.shared.record())
    }
}

struct Writer {
    shared: Arc<Shared>,
    issuance: Caller,
    within: Duration,
    random: Random,
}

/// What a write was told.
struct Told {
    at: At,
    known_at: Vec<u64>,
}

impl Writer {
    async fn run(mut self) {
        while !self.shared.ends() {
            let number = self.shared.keys.fetch_add(1, Ordering::Relaxed);
            let Some(key) = self.create(number).await else { continue };
            for kind in self.life() {
                sleep(Duration::from_millis(self.random.below(400))).await;
                if self.shared.ends() || self.change(number, &key, kind).await.is_none() {
                    // Of a key whose last write may land at any time nothing more is asked.
                    break;
                }
            }
        }
    }

    /// What happens to one key: suspended and resumed for a while, and mostly revoked in the end.
    fn life(&mut self) -> Vec<Kind> {
        let pairs = self.random.below(3);
        let mut life: Vec<_> = (0..pairs).flat_map(|_| [Kind::Suspend, Kind::Resume]).collect();
        match self.random.below(4) {
            0 => {}
            1 => life.extend([Kind::Suspend, Kind::Revoke]),
            _ => life.push(Kind::Revoke),
        }
        life
    }

    async fn create(&mut self, number: u64) -> Option<Made> {
        let label = format!("key {number} of a run with faults");
        self.shared.record().labels.insert(number, label.clone());
        let (wait_for, wait_timeout) = self.wait_for();
        let request = v1::CreateKeyRequest { wait_for, wait_timeout, ..create(&label, &self.random.uuid()) };
        let issuance = self.issuance.clone();
        let within = self.within;
        let mut key = None;
        let call = || {
            let (caller, request) = (issuance.clone(), issuance.ask(request.clone(), within));
            async move { caller.issuance().create_key(request).await }
        };
        let read = |answer: v1::CreateKeyResponse| {
            let known_at = answer.regions.iter().filter(|region| region.visible).map(|region| region.replica).collect();
            let told = answer.revision.map(|revision| Told { at: (revision.epoch, revision.index), known_at });
            key = made(answer).ok();
            told
        };
        let at = self.write(number, Kind::Create, call, read).await?;
        let key = key?;
        let mut pool = self.shared.pool();
        if pool.len() >= POOL_MAX {
            pool.remove(0);
        }
        pool.push((number, key.clone(), at));
        Some(key)
    }

    async fn change(&mut self, number: u64, key: &Made, kind: Kind) -> Option<At> {
        let (issuance, name, request_id) = (self.issuance.clone(), key.name.clone(), self.random.uuid());
        let ((wait_for, wait_timeout), within) = (self.wait_for(), self.within);
        let call = || {
            let (issuance, name, request_id) = (issuance.clone(), name.clone(), request_id.clone());
            async move {
                let mut client = issuance.issuance();
                match kind {
                    Kind::Suspend => {
                        let request =
                            v1::SuspendKeyRequest { name, wait_for, wait_timeout, request_id, ..Default::default() };
                        let answer = client.suspend_key(issuance.ask(request, within)).await?.into_inner();
                        Ok(Response::new((answer.revision, answer.regions)))
                    }
                    Kind::Resume => {
                        let request =
                            v1::ResumeKeyRequest { name, wait_for, wait_timeout, request_id, ..Default::default() };
                        let answer = client.resume_key(issuance.ask(request, within)).await?.into_inner();
                        Ok(Response::new((answer.revision, Vec::new())))
                    }
                    Kind::Create | Kind::Revoke => {
                        let request = v1::RevokeKeyRequest {
                            name,
                            reason: v1::RevocationReason::Compromised.into(),
                            wait_for,
                            wait_timeout,
                            request_id,
                            ..Default::default()
                        };
                        let answer = client.revoke_key(issuance.ask(request, within)).await?.into_inner();
                        Ok(Response::new((answer.revision, answer.regions)))
                    }
                }
            }
        };
        let read = |(revision, regions): (Option<v1::Revision>, Vec<v1::RegionStatus>)| {
            let revision = revision?;
            let statuses = regions.iter().flat_map(|region| &region.replicas);
            let stopped = statuses.filter(|status| matches!(status.state(), State::Applied | State::LeaseEnded));
            let known_at = stopped.map(|status| status.replica).collect();
            Some(Told { at: (revision.epoch, revision.index), known_at })
        };
        let at = self.write(number, kind, call, read).await?;
        if let Some(one) = self.shared.pool().iter_mut().find(|(other, ..)| *other == number) {
            one.2 = at;
        }
        Some(at)
    }

    /// Whether the barrier is waited for, and for how long.
    fn wait_for(&mut self) -> (i32, Option<prost_types::Duration>) {
        if self.random.below(2) == 0 {
            (v1::WaitFor::Committed.into(), None)
        } else {
            (v1::WaitFor::AllRegions.into(), Some(WAIT_MAX))
        }
    }

    /// Writes, and again with the same request id, until it is acknowledged or the caller has had enough.
    async fn write<T, F: Future<Output = Result<Response<T>, Status>>>(
        &mut self,
        key: u64,
        kind: Kind,
        call: impl Fn() -> F,
        read: impl FnOnce(T) -> Option<Told>,
    ) -> Option<At> {
        let began = Instant::now();
        let answer = loop {
            match call().await {
                Ok(answer) => break Some(answer.into_inner()),
                // It is recorded as unknown all the same: an earlier try may have landed.
                Err(status) if !may_pass(&status) => break None,
                Err(_) if began.elapsed() > WRITE_MAX => break None,
                Err(_) => sleep(Duration::from_millis(20 + self.random.below(200))).await,
            }
        };
        let ended = Instant::now();
        let told = answer.and_then(read);
        let (at, known_at) = told.map_or((None, Vec::new()), |told| (Some(told.at), told.known_at));
        let told = at.map(|at| (ended, at));
        self.shared.record().writes.push(Write { key, kind, began, told, known_at });
        at
    }
}

async fn read_on(shared: Arc<Shared>, replica: u64, caller: Caller, mut random: Random) {
    while !shared.ends() {
        let Some((number, key, known)) = random.one(&shared.pool()).cloned() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let fresh = random.below(4) == 0;
        let revision = v1::Revision { epoch: known.0, index: known.1 };
        let request = question(&Made { revision, ..key }, fresh);
        let began = Instant::now();
        let answer = caller.validation().validate_key(caller.ask(request, READ_MAX)).await;
        let ended = Instant::now();
        if let Ok(answer) = answer.map(Response::into_inner) {
            let at = answer.checked_at.map_or((0, 0), |at| (at.epoch, at.index));
            let (outcome, needed) = (answer.outcome(), fresh.then_some(known));
            shared.record().reads.push(Read { key: number, replica, began, ended, outcome, at, needed });
        }
        sleep(Duration::from_millis(4)).await;
    }
}
