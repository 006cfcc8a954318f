//! Every service in one process, in a folder that vanishes.

use crate::clients::Clients;
use crate::requests;
use latchkey::{Dev, Layout, Ports};
use latchkey_transport::{AttachClusterSecret, ClusterSecret, channel};
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::internal::v1::follow_response::Item;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use latchkey_wire::pb::v1;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tonic::Streaming;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// Tries to find nine ports that lie as far from each other as those of the manuals. Others look for ports too.
const TRIES: usize = 50;

/// How long after a try that failed.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A checkpoint comes a second after the replica's key is known. The rest is for machines that are busy.
const SIGNED_WITHIN: Duration = Duration::from_secs(30);

/// A cluster of one replica, and the other services in front of it.
pub struct House {
    // Before the folder, so that nobody writes into what is being removed.
    dev: Option<Dev>,
    layout: Layout,
    ports: Ports,
    folder: TempDir,
}

impl House {
    /// A new cluster, in which there is nothing but what Latchkey itself needs.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let layout = Layout::new(folder.path().join("dev"));
        let (dev, ports) = start(&layout).await;
        Self { dev: Some(dev), layout, ports, folder }
    }

    /// Stops everything and starts it again over the same folder.
    ///
    /// # Panics
    /// If it does not stop in peace, or does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (dev, ports) = start(&self.layout).await;
        assert!(!dev.is_first(), "a restart finds the cluster");
        (self.dev, self.ports) = (Some(dev), ports);
    }

    /// Stops everything; the folder stays.
    ///
    /// # Panics
    /// If it does not stop in peace.
    pub async fn stop(&mut self) {
        if let Some(dev) = self.dev.take() {
            dev.stop().await.expect("it stops in peace");
        }
    }

    /// Where things lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the services listen.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The folder around all of it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The text of root's first key.
    ///
    /// # Panics
    /// If the first start did not write it.
    #[must_use]
    pub fn root_text(&self) -> String {
        let text = std::fs::read_to_string(self.layout.root_key()).expect("the first start wrote it");
        text.trim_end().to_owned()
    }

    /// In the name of root.
    #[must_use]
    pub fn root(&self) -> Clients {
        self.with(Some(&self.root_text()))
    }

    /// In the name of whoever this key proves; `None` shows none.
    #[must_use]
    pub fn with(&self, text: Option<&str>) -> Clients {
        let ports = self.ports;
        let channels = [ports.issuance(), ports.validation(), ports.rotation(), ports.audit()];
        Clients::new(channels.map(channel), text)
    }

    /// Makes an identity of a tenant with these grants and a management key, and gives the key and its clients.
    ///
    /// # Panics
    /// If root may not.
    pub async fn identity(&self, tenant: &str, id: &str, grants: &[(v1::Duty, &str)]) -> (String, Clients) {
        let mut root = self.root();
        let identity = root.directory.create_identity(requests::identity(tenant, id, grants)).await;
        let owner = identity.expect("root may").into_inner().name;
        let made = root.keys.create_key(requests::management_key(&owner)).await.expect("root may").into_inner();
        let clients = self.with(Some(&made.key_text));
        (made.key_text, clients)
    }

    /// How many entries the audit tree has: each change leaves at least one.
    ///
    /// # Panics
    /// If nobody tells.
    pub async fn entry_count(&self) -> u64 {
        loop {
            // What audit has stored may be gone from the replica, so it is followed from there.
            let stored = self.root().audit.list_entries(v1::ListEntriesRequest::default()).await.expect("root may");
            let mut stream = self.follow(stored.into_inner().next_sequence).await;
            // Audit may store more meanwhile, and what it was asked for is gone then: once more from there.
            while let Ok(message) = stream.message().await {
                let message = message.expect("the stream has no end");
                if let Item::Progress(progress) = message.item.expect("an item is required") {
                    return progress.next_sequence;
                }
            }
        }
    }

    /// How many entries there are of what somebody asked for: what the cluster does by itself, such as driving rotations,
    /// comes when it comes.
    ///
    /// # Panics
    /// If audit does not show them.
    pub async fn change_count(&self) -> usize {
        self.entries().await.iter().filter(|entry| !is_upkeep(entry)).count()
    }

    /// Waits until the log has its first checkpoint: who vouches for it has to be known before.
    ///
    /// # Panics
    /// If nobody signs within half a minute.
    pub async fn until_signed(&self) {
        let mut audit = self.root().audit;
        let signed = async {
            while audit.get_checkpoint(v1::GetCheckpointRequest {}).await.is_err() {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        };
        tokio::time::timeout(SIGNED_WITHIN, signed).await.expect("audit signs once a replica vouches");
    }

    /// Every entry that there is now, as audit shows it to root. Waits until audit has them.
    ///
    /// # Panics
    /// If audit does not show them.
    pub async fn entries(&self) -> Vec<v1::Entry> {
        use v1::watch_entries_response::Item;
        let count = self.entry_count().await;
        let watch = v1::WatchEntriesRequest { from_sequence: Some(0), ..Default::default() };
        // A stream has no deadline of its own, and this one ends when all have come.
        let mut stream = self.root().audit.watch_entries(watch).await.expect("root may").into_inner();
        let (mut entries, mut next) = (Vec::new(), 0);
        while next < count {
            let message = stream.message().await.expect("the stream goes on").expect("the stream has no end");
            match message.item.expect("an item is required") {
                Item::Entry(entry) => {
                    next = entry.sequence + 1;
                    entries.push(entry);
                }
                Item::NextSequence(sequence) => next = sequence,
            }
        }
        entries
    }

    /// Follows the events from a sequence on, as audit does.
    async fn follow(&self, from_sequence: u64) -> Streaming<internal::FollowResponse> {
        let mut registry = self.registry();
        let who = registry.introduce(internal::IntroduceRequest {}).await.expect("we have the secret").into_inner();
        let target = internal::Target { cluster_id: who.cluster_id, epoch: who.epoch, node_id: who.node_id };
        let request = internal::FollowRequest { target: Some(target), from_sequence };
        registry.follow(request).await.expect("we have the secret").into_inner()
    }

    /// The internal service of the replica, with the cluster's secret.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn registry(&self) -> RegistryServiceClient<InterceptedService<Channel, AttachClusterSecret>> {
        let secret = ClusterSecret::read(&self.layout.cluster_secret(), None).expect("the first start wrote it");
        RegistryServiceClient::with_interceptor(channel(self.ports.validation()), secret.attach())
    }
}

async fn start(layout: &Layout) -> (Dev, Ports) {
    let mut failed = Vec::new();
    for _ in 0..TRIES {
        let Some(ports) = free_ports() else { continue };
        match Dev::start(layout, ports).await {
            Ok(dev) => return (dev, ports),
            // A port was taken meanwhile, or the store of a cluster that just stopped is not closed yet.
            Err(error) => failed.push(format!("{ports:?}: {error}: {:?}", std::error::Error::source(&error))),
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    panic!("it did not start in {TRIES} tries: {failed:#?}");
}

/// Ports that are free now; houses of this process look in different places.
fn free_ports() -> Option<Ports> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    Ports::free((std::process::id() * 31).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)))
}

/// Whether the cluster did this by itself: whoever drives rotations, or a leader that moves the keyring on.
#[must_use]
pub fn is_upkeep(entry: &v1::Entry) -> bool {
    use v1::entry::actor::Actor;
    match entry.actor.as_ref().and_then(|actor| actor.actor.as_ref()) {
        Some(Actor::Service(_)) => true,
        Some(Actor::Replica(_)) => entry.action.starts_with("keyring.") || entry.action == "replica.key_set",
        _ => false,
    }
}
