//! One audit service over a registry in memory, and clients of several identities.

use crate::setting::options;
use latchkey_audit::archive::{Log, Place, Publisher};
use latchkey_audit::collect::{Observed, Options};
use latchkey_audit::journal::{Journal, Writer};
use latchkey_audit::run::Keys;
use latchkey_audit::{
    Disk, Entries, Follower, Halt, Handlers, Observations, Opened, OverRegistry, Vault, VaultKeys, trim,
};
use latchkey_crypto::draw;
use latchkey_domain::{
    ClusterId, DisplayName, Duty, Grant, IdentityName, KeyName, KeyspaceName, OwnerName, Revision, RingNumber, Scope,
    Sequence, Slug, TenantName, VersionId,
};
use latchkey_kms::Kms as _;
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::evidence::Gathered;
use latchkey_link::testing::{MemoryRegistry, Seeded};
use latchkey_link::{Barrier, Entrance, Following, ProvenIdentity, Query, Refusals, Registry, Selected};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{Actor, Command, CreateOwner, CreateTenant, Operation};
use latchkey_telemetry::{OsEntropy, SystemClock};
use latchkey_transport::{Rejection, Server, Unavailable, channel};
use latchkey_wire::applied::Proposed;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::audit_service_client::AuditServiceClient;
use latchkey_wire::pb::v1::audit_service_server::AuditServiceServer;
use latchkey_wire::request::Consistency;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// The registry in memory, which knows people by words in place of management keys.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) memory: MemoryRegistry,
    pub(crate) kms: Arc<SwitchableKms>,
    people: Mutex<HashMap<String, ProvenIdentity>>,
    /// Whether whoever asks for no state in particular gets one that knows no tenants.
    lags: AtomicBool,
    /// Whether nobody can say who calls.
    is_away: AtomicBool,
}

impl World {
    pub(crate) async fn new() -> Arc<Self> {
        let kms = Arc::new(SwitchableKms::new([1; 32]));
        let (memory, _) = MemoryRegistry::found(&*kms, &mut Seeded(1)).await;
        let world = Arc::new(Self {
            memory,
            kms,
            people: Mutex::default(),
            lags: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
        });
        world.knows("root", &[(Duty::Root, "")]);
        world
    }

    /// Makes somebody known under a word, with these grants.
    pub(crate) fn knows(&self, word: &str, grants: &[(Duty, &str)]) {
        let grants = grants.iter().map(|(duty, scope)| Grant { duty: *duty, scope: Scope::parse(scope).unwrap() });
        let identity = ProvenIdentity {
            identity: IdentityName::parse(&format!("tenants/system/identities/{word}")).unwrap(),
            grants: grants.collect(),
            key: KeyName::parse("tenants/system/keyspaces/management/keys/0000000000000001").unwrap(),
            revision: Revision::new(1, 1),
        };
        self.people.lock().unwrap().insert(word.to_owned(), identity);
    }

    pub(crate) fn lags(&self) {
        self.lags.store(true, Ordering::Relaxed);
    }

    pub(crate) fn goes_away(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    pub(crate) fn forgets(&self, word: &str) {
        self.people.lock().unwrap().remove(word);
    }

    pub(crate) async fn create_tenant(&self, id: &str) {
        let cluster = self.memory.cluster(soon()).await.unwrap();
        let tenant = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Tenant);
        let audit = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Audit);
        let wrapped = self.kms.wrap(&tenant.place().kek_context(), tenant.key()).await.unwrap();
        let parent = Numbered::new(RingNumber(0), tenant.key());
        let operation = CreateTenant {
            contacts: Vec::new(),
            tenant: Slug::parse(id).unwrap(),
            display_name: DisplayName::default(),
            tenant_key: tenant.wrapped(wrapped.into_bytes()),
            audit_key: audit.wrapped_under(parent, &mut OsEntropy),
        };
        self.does(Operation::CreateTenant(operation)).await;
    }

    pub(crate) async fn create_owner(&self, tenant: &str, id: &str) {
        let name = OwnerName::parse(&format!("tenants/{tenant}/owners/{id}")).unwrap();
        let operation = CreateOwner { name, display_name: DisplayName::default(), contacts: Vec::new() };
        self.does(Operation::CreateOwner(operation)).await;
    }

    pub(crate) async fn does(&self, operation: Operation) {
        let root = IdentityName::parse("tenants/system/identities/root").unwrap();
        let command = Command::new(Actor::Identity(root), draw(&mut OsEntropy), operation);
        self.memory.propose(&command, soon()).await.unwrap().answer.unwrap();
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> u64 {
        self.memory.state().progress().frontier.size()
    }

    /// Waits until all entries are trimmed. Looks, since a state tells nobody that it changed.
    pub(crate) async fn caught_up_trims(&self) {
        let all = async {
            while self.memory.state().progress().trimmed.is_none_or(|trimmed| trimmed.next.0 < self.entries()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    }
}

impl Registry for World {
    async fn cluster(&self, by: Instant) -> Result<ClusterId, Status> {
        self.memory.cluster(by).await
    }

    async fn propose(&self, command: &Command, by: Instant) -> Result<Proposed, Status> {
        self.memory.propose(command, by).await
    }

    async fn query(&self, query: Query, consistency: Consistency, by: Instant) -> Result<pb::QueryResponse, Status> {
        let behind = consistency == Consistency::default() && self.lags.load(Ordering::Relaxed);
        let query = match query {
            Query::Material(_) if behind => {
                let nobody = Some(pb::material_query::Scope::AuditOfTenantNumber(u32::MAX));
                Query::Material(pb::MaterialQuery { scope: nobody })
            }
            query => query,
        };
        self.memory.query(query, consistency, by).await
    }

    async fn confirm(&self, barrier: Barrier, by: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        self.memory.confirm(barrier, by).await
    }

    async fn select(&self, keyspace: &KeyspaceName, filter: &str, by: Instant) -> Result<Selected, Status> {
        self.memory.select(keyspace, filter, by).await
    }

    async fn evidence(&self, versions: &[VersionId], curves: bool, by: Instant) -> Result<Gathered, Status> {
        self.memory.evidence(versions, curves, by).await
    }

    async fn follow(&self, from: Sequence, by: Instant) -> Result<Following, Status> {
        self.memory.follow(from, by).await
    }

    async fn authenticate(&self, word: &str, _: Option<IpAddr>, _: Instant) -> Result<ProvenIdentity, Status> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Unavailable::Starting.into());
        }
        self.people.lock().unwrap().get(word).cloned().ok_or_else(|| Rejection::IdentityUnknown.into())
    }
}

/// Shows a word with each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(text) = &self.0 {
            let value: MetadataValue<_> = format!("Bearer {text}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

pub(crate) type Client = AuditServiceClient<InterceptedService<Channel, Bearer>>;

/// One life of the service.
pub(crate) struct House {
    pub(crate) world: Arc<World>,
    pub(crate) entries: Entries<OverRegistry<World>>,
    vault: Arc<Vault<OverRegistry<World>>>,
    observations: Observations,
    channel: Channel,
    stop: watch::Sender<bool>,
    following: JoinHandle<Result<(), Halt>>,
    trimming: JoinHandle<()>,
    publishing: Option<JoinHandle<Result<(), Halt>>>,
}

impl House {
    pub(crate) async fn over(world: &Arc<World>, folder: &Path) -> Self {
        let id = world.memory.cluster(soon()).await.unwrap();
        let Journal { writer, reader, .. } = Journal::open_or_create(folder, id, options()).unwrap();
        Self::serving(world, writer, Log::new(reader, None)).await
    }

    /// With an archive in its folder, to which entries go at once.
    pub(crate) async fn archived(world: &Arc<World>, folder: &Path) -> Self {
        let id = world.memory.cluster(soon()).await.unwrap();
        let place = Place::of("", folder);
        let Disk { writer, log, .. } = Disk::open_or_create(folder, options(), &place, id).await.unwrap();
        Self::serving(world, writer, log).await
    }

    async fn serving(world: &Arc<World>, writer: Writer, log: Log) -> Self {
        let cluster = Arc::new(OverRegistry::new(world.clone(), world.kms.clone()));
        let vault = Arc::new(Vault::new(cluster.clone()));
        let entries = Entries::over(log.clone(), vault.clone());
        let opened = Opened::default();
        opened.set(entries.clone()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let publishing = log.archive().map(|archive| {
            let (id, often) = (log.journal().cluster(), Duration::from_millis(1));
            let publisher = Publisher::new(log.clone(), archive.clone(), entries.clone(), id, often);
            tokio::spawn(publisher.run(stopped.clone()))
        });
        let follower = Follower::new(cluster.clone(), vault.clone(), writer, OsEntropy, SystemClock);
        let trimming = tokio::spawn(trim(cluster, follower.promised(), stopped.clone()));
        let following = tokio::spawn(follower.run(stopped.clone()));
        let entrance = Entrance::new(world.clone(), Refusals::default());
        let handlers = Handlers::new(entrance, opened, stopped.clone());
        let observations = handlers.observations().clone();
        let server = Server::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap()
            .descriptors(latchkey_wire::FILE_DESCRIPTOR_SET)
            .service(AuditServiceServer::new(handlers));
        let channel = channel(server.address());
        tokio::spawn(server.serve(std::future::pending()));
        Self { world: world.clone(), entries, vault, observations, channel, stop, following, trimming, publishing }
    }

    /// Opens the store of what replicas observed, of which nobody collects any here.
    pub(crate) async fn observes(&self, folder: &Path) -> Observed {
        let keys: Arc<dyn Keys> = Arc::new(VaultKeys::new(self.vault.clone(), tokio::runtime::Handle::current()));
        let (folder, id) = (folder.join("observed"), self.entries.reader().cluster());
        let observed = in_thread(move || Observed::open(&folder, id, keys, Options::default()).unwrap()).await;
        assert!(self.observations.set(observed.clone()).is_ok(), "it is opened once");
        observed
    }

    /// Waits until all that happened is in the archive.
    pub(crate) async fn published(&self) {
        let (all, archive) = (self.world.entries(), self.entries.log().archive().unwrap());
        archive.published().wait_for(|published| *published >= all).await.unwrap();
    }

    /// Waits until all that happened is stored.
    pub(crate) async fn caught_up(&self) {
        let all = self.world.entries();
        self.entries.reader().watch().wait_for(|stored| *stored >= all).await.unwrap();
    }

    pub(crate) fn client(&self, word: &str) -> Client {
        self.connect(Some(word.to_owned()))
    }

    pub(crate) fn stranger(&self) -> Client {
        self.connect(None)
    }

    fn connect(&self, word: Option<String>) -> Client {
        AuditServiceClient::new(InterceptedService::new(self.channel.clone(), Bearer(word)))
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.following.await.unwrap().unwrap();
        self.trimming.await.unwrap();
        if let Some(publishing) = self.publishing {
            publishing.await.unwrap().unwrap();
        }
    }

    /// Ends streams as the end of the process does.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Where it may wait for a key.
pub(crate) async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A name, as a grant or a request says it.
pub(crate) fn tenant(id: &str) -> TenantName {
    TenantName::new(Slug::parse(id).unwrap())
}

/// The code and the reason of an error.
pub(crate) fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}

pub(crate) fn is(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

pub(crate) fn everything() -> v1::ListEntriesRequest {
    v1::ListEntriesRequest::default()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
