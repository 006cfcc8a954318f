//! A cluster and a store that die under a driver, or under which it dies, at one of its steps.

use latchkey_delivery::testing::MemoryStore;
use latchkey_delivery::{BoxFuture, DeliveryError, Ending, Item, Store};
use latchkey_domain::{ClusterId, KeyspaceName, RotationName, Sequence, VersionId, VersionName};
use latchkey_link::evidence::Gathered;
use latchkey_link::testing::MemoryRegistry;
use latchkey_link::{Barrier, Following, ProvenIdentity, Query, Registry, Selected};
use latchkey_state::Command;
use latchkey_wire::applied::Proposed;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::request::Consistency;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Status;

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Whoever carries out what the driver asks for: the driver hears an error.
    Leader,
    /// The process that drives.
    Service,
}

/// When, by the step at which it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The step did not take effect.
    Before,
    /// It did, and nobody was told.
    After,
}

/// A death.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dies {
    /// The number of the step: each write, and each call of a store.
    pub(crate) point: usize,
    pub(crate) victim: Victim,
    pub(crate) when: When,
}

/// Counts the steps, and says at which of them who dies.
#[derive(Debug)]
pub(crate) struct Fuse {
    dies: Option<Dies>,
    points: AtomicUsize,
    burnt: Notify,
}

impl Fuse {
    pub(crate) fn new(dies: Option<Dies>) -> Self {
        Self { dies, points: AtomicUsize::new(0), burnt: Notify::new() }
    }

    /// How many steps there were.
    pub(crate) fn points(&self) -> usize {
        self.points.load(Ordering::Relaxed)
    }

    /// Once the process that drives has died.
    pub(crate) async fn burnt(&self) {
        self.burnt.notified().await;
    }

    /// Takes a step, unless somebody dies at it.
    async fn step<T, E>(&self, lost: impl Fn() -> E, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let point = self.points.fetch_add(1, Ordering::Relaxed);
        let Some(dies) = self.dies.filter(|dies| dies.point == point) else { return step.await };
        if dies.when == When::After {
            drop(step.await);
        }
        if dies.victim == Victim::Service {
            self.burnt.notify_one();
            // Whoever is dead waits for nothing, and is dropped here.
            pending::<()>().await;
        }
        Err(lost())
    }
}

/// A cluster over which a driver goes its way.
#[derive(Debug)]
pub(crate) struct Fragile {
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) fuse: Arc<Fuse>,
}

impl Registry for Fragile {
    async fn cluster(&self, by: Instant) -> Result<ClusterId, Status> {
        self.registry.cluster(by).await
    }

    async fn propose(&self, command: &Command, by: Instant) -> Result<Proposed, Status> {
        let lost = || Status::unavailable("the leader died");
        self.fuse.step(lost, self.registry.propose(command, by)).await
    }

    async fn query(&self, query: Query, consistency: Consistency, by: Instant) -> Result<pb::QueryResponse, Status> {
        self.registry.query(query, consistency, by).await
    }

    async fn confirm(&self, barrier: Barrier, by: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        self.registry.confirm(barrier, by).await
    }

    async fn evidence(&self, versions: &[VersionId], curves: bool, by: Instant) -> Result<Gathered, Status> {
        self.registry.evidence(versions, curves, by).await
    }

    async fn select(&self, keyspace: &KeyspaceName, filter: &str, by: Instant) -> Result<Selected, Status> {
        self.registry.select(keyspace, filter, by).await
    }

    async fn follow(&self, from: Sequence, by: Instant) -> Result<Following, Status> {
        self.registry.follow(from, by).await
    }

    async fn authenticate(
        &self,
        key_text: &str,
        client: Option<IpAddr>,
        by: Instant,
    ) -> Result<ProvenIdentity, Status> {
        self.registry.authenticate(key_text, client, by).await
    }
}

/// A store over which a driver goes its way.
#[derive(Debug)]
pub(crate) struct Burning {
    pub(crate) store: MemoryStore,
    pub(crate) fuse: Arc<Fuse>,
}

fn lost() -> DeliveryError {
    let source = std::io::Error::other("the store died");
    DeliveryError::File { verb: "write", path: "memory".into(), source }
}

impl Store for Burning {
    fn place(&self) -> &str {
        self.store.place()
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.fuse.step(lost, self.store.stage(item)))
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.fuse.step(lost, self.store.deliver(rotation, version)))
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.fuse.step(lost, self.store.finish(rotation, ending)))
    }
}
