//! A replica that serves, and how it stops.

use crate::denials;
use crate::probes;
use crate::raft_runtime::RaftRuntime;
use crate::stopping::Stop;
use latchkey_domain::Slug;
use latchkey_link::Refusals;
use latchkey_registry::{BackupPlan, Registry};
use latchkey_telemetry::{Endpoint, OsEntropy, folder};
use latchkey_transport::{Health, Probe, ServeError, Server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

/// How long writing the last refusals may take.
const LAST_WRITE_MAX: Duration = Duration::from_millis(500);

/// Where a replica really listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For callers.
    pub api: SocketAddr,
    /// For other replicas.
    pub raft: SocketAddr,
    /// For whoever scrapes metrics.
    pub metrics: SocketAddr,
}

/// A replica did not stop in peace.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A listener ended by itself.
    #[error("a listener failed")]
    Serve(#[from] ServeError),
    /// A part of the replica panicked.
    #[error("a part of the replica panicked")]
    Panic(#[from] JoinError),
}

/// A replica that serves.
#[must_use = "dropping it stops the replica at once, calls in progress included"]
pub struct Running {
    addresses: Addresses,
    registry: Registry,
    stop: Stop,
    refusals: Refusals,
    api: Listener,
    raft: Listener,
    health: Health,
    tasks: JoinSet<()>,
    metrics: Endpoint,
    runtime: RaftRuntime,
}

/// What a replica is made of.
pub(crate) struct Parts {
    pub(crate) addresses: Addresses,
    pub(crate) registry: Registry,
    pub(crate) runtime: RaftRuntime,
    pub(crate) stop: Stop,
    pub(crate) refusals: Refusals,
    pub(crate) api: Server,
    pub(crate) raft: Server,
    pub(crate) metrics: Endpoint,
    pub(crate) data_folder: PathBuf,
}

/// A server in the background. It ends when told, when it fails, or when this is dropped.
struct Listener {
    task: JoinSet<Result<(), ServeError>>,
    stop: oneshot::Sender<()>,
}

impl Listener {
    fn run(server: Server, on: &Handle) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        // A sender that is gone says the same as one that has sent.
        task.spawn_on(server.serve(async { drop(stopped.await) }), on);
        Self { task, stop }
    }

    async fn ended(&mut self) -> Result<(), StopError> {
        match self.task.join_next().await {
            Some(ended) => Ok(ended??),
            // It was told before.
            None => Ok(()),
        }
    }

    async fn stop(self) -> Result<(), StopError> {
        let Self { mut task, stop } = self;
        drop(stop);
        match task.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    }
}

impl Running {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { addresses, registry, runtime, stop, refusals, api, raft, metrics, data_folder } = parts;
        let health = api.health();
        let mut tasks = JoinSet::new();
        tasks.spawn(probes::run(registry.clone(), health.clone()));
        tasks.spawn(folder::watch("validation", data_folder));
        tasks.spawn(write_refusals(registry.clone(), refusals.clone()));
        tasks.spawn(denials::reconcile(registry.clone()));
        let raft = Listener::run(raft, runtime.handle());
        let api = Listener::run(api, &Handle::current());
        Self { addresses, registry, stop, refusals, api, raft, health, tasks, metrics, runtime }
    }

    /// Writes backups by this plan until the replica stops.
    pub(crate) fn keep_backups(&mut self, plan: BackupPlan) {
        self.tasks.spawn(self.registry.clone().keep_backups(plan));
    }

    /// Where it really listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The replica of the registry within.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns when a listener ends by itself, which none should.
    ///
    /// # Errors
    /// [`StopError`], why.
    pub async fn ended(&mut self) -> Result<(), StopError> {
        tokio::select! {
            ended = self.api.ended() => ended,
            ended = self.raft.ended() => ended,
        }
    }

    /// Stops: another leads first, where this one does; then callers, so that calls in progress end and streams are told to go
    /// elsewhere; then raft, while the others can still hear it; then the rest.
    ///
    /// # Errors
    /// [`StopError`], the first; everything has stopped all the same.
    pub async fn shutdown(self) -> Result<(), StopError> {
        let Self { registry, stop, refusals, api, raft, health, mut tasks, metrics, runtime, .. } = self;
        tasks.shutdown().await;
        for probe in [Probe::Validate, Probe::Write] {
            health.set(probe, false).await;
        }
        // Callers are still answered: who stops as a leader costs an election, not a refused validation.
        let leaving = registry.clone();
        drop(runtime.handle().spawn(async move { leaving.hand_over_before_stop().await }).await);
        stop.begin();
        let api = api.stop().await;
        // Nobody waits long for a process that stops: what finds no leader in time is lost, as in a crash.
        let last = async { refusals.write(&registry, &service(), &mut OsEntropy).await };
        drop(tokio::time::timeout(LAST_WRITE_MAX, last).await);
        let replica = runtime.handle().spawn(registry.shutdown()).await;
        let raft = raft.stop().await;
        drop((metrics, runtime));
        api?;
        replica?;
        raft
    }
}

/// Refusals go into the audit log for as long as the replica serves.
async fn write_refusals(registry: Registry, refusals: Refusals) {
    refusals.write_into(&registry, &service(), &mut OsEntropy).await;
}

/// As whom they are written.
fn service() -> Slug {
    Slug::parse("validation").expect("the word of a service is a slug")
}
