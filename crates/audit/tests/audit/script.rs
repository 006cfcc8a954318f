//! A cluster that follows a script: what it sends, and what goes wrong.

use latchkey_audit::{AuditKey, Cluster, Event, Events, Followed, LogStanding};
use latchkey_crypto::{DataKey, Entropy};
use latchkey_domain::{ClusterId, Revision, RingNumber, Sequence, TenantName, TenantNumber, UnixMillis};
use latchkey_telemetry::Clock;
use latchkey_transparency::{Frontier, Hash, commitment, leaf_hash};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{StreamExt as _, iter};
use tonic::Status;

pub(crate) const CLUSTER: ClusterId = ClusterId([0xC1; 16]);
/// The tenant whose key seals what belongs to the cluster itself.
const SYSTEM: TenantNumber = TenantNumber(1);
/// When the first event happened.
const BEGAN_MS: u64 = 1_767_225_600_000;

/// The script. Cheap to share.
#[derive(Debug)]
pub(crate) struct Script {
    inner: Mutex<Inner>,
    sent: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    cluster: ClusterId,
    log: Vec<Event>,
    tree: Frontier,
    /// The first event that is kept.
    kept: u64,
    lags: bool,
    /// How many entries the cluster says that it has; absent: as many as anybody has.
    size: Option<u64>,
    /// Whether audit keys cannot be had.
    locked: bool,
    /// Tenants whose audit key is gone for good.
    destroyed: Vec<TenantNumber>,
    /// How many events a stream carries before it breaks.
    breaks_after: usize,
    /// Whether each event is a batch of its own.
    one_by_one: bool,
    trims: Vec<u64>,
}

/// One event to be told.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) actor: &'static str,
    pub(crate) action: &'static str,
    pub(crate) subject: String,
    pub(crate) tenant: Option<u32>,
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        let inner = Inner {
            cluster: CLUSTER,
            log: Vec::new(),
            tree: Frontier::new(),
            kept: 0,
            lags: false,
            size: None,
            locked: false,
            destroyed: Vec::new(),
            breaks_after: usize::MAX,
            one_by_one: false,
            trims: Vec::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), sent: watch::Sender::new(0) })
    }

    /// With `count` events, the same ones each time.
    pub(crate) fn with(count: u64) -> Arc<Self> {
        let script = Self::new();
        script.happen((0..count).map(usual));
        script
    }

    pub(crate) fn happen(&self, events: impl IntoIterator<Item = Happened>) {
        let mut inner = self.inner();
        for happened in events {
            let sequence = Sequence(inner.tree.size());
            let revision = Revision::new(1, sequence.0 * 2 + 1);
            let bytes = bytes(sequence.0, &happened);
            let o = [u8::try_from(sequence.0 % 256).unwrap(); 32];
            inner.tree.push(leaf_hash(1, sequence, revision, &commitment(&o, &bytes)));
            let root = inner.tree.root();
            inner.log.push(Event { sequence, revision, format: 1, bytes, o, root, trace: None });
        }
        let next = inner.tree.size();
        drop(inner);
        self.sent.send_replace(next);
    }

    pub(crate) fn len(&self) -> u64 {
        self.inner().tree.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.inner().tree.root()
    }

    pub(crate) fn trims(&self) -> Vec<u64> {
        self.inner().trims.clone()
    }

    pub(crate) fn set_locked(&self, locked: bool) {
        self.inner().locked = locked;
    }

    pub(crate) fn destroy(&self, tenant: TenantNumber) {
        self.inner().destroyed.push(tenant);
    }

    pub(crate) fn set_kept(&self, first: u64) {
        self.inner().kept = first;
    }

    /// Whoever is followed is behind the others, which have all.
    pub(crate) fn set_lags(&self, lags: bool) {
        self.inner().lags = lags;
    }

    /// The cluster's log has so many entries.
    pub(crate) fn set_size(&self, size: u64) {
        self.inner().size = Some(size);
    }

    pub(crate) fn set_cluster(&self, cluster: ClusterId) {
        self.inner().cluster = cluster;
    }

    pub(crate) fn set_breaks_after(&self, events: usize) {
        self.inner().breaks_after = events;
    }

    pub(crate) fn set_one_by_one(&self) {
        self.inner().one_by_one = true;
    }

    /// Lets what is sent differ from what happened.
    pub(crate) fn falsify(&self, falsify: impl FnOnce(&mut Vec<Event>)) {
        falsify(&mut self.inner().log);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// The event `number` of a log in which three tenants and the cluster take turns.
pub(crate) fn usual(number: u64) -> Happened {
    let tenant = number % 4;
    let key = number % 50;
    Happened {
        actor: ["tenants/t1/identities/a", "tenants/t2/identities/b"][usize::try_from(number % 2).unwrap()],
        action: ["key.created", "key.revoked", "key.suspended"][usize::try_from(number % 3).unwrap()],
        subject: match tenant {
            0 => "cluster".to_owned(),
            tenant => format!("tenants/t{tenant}/keyspaces/live/keys/{key:016}"),
        },
        tenant: Some(u32::try_from(tenant).unwrap() + 1).filter(|tenant| *tenant > 1),
    }
}

/// The canonical bytes of an event, written from the contract.
fn bytes(sequence: u64, happened: &Happened) -> Vec<u8> {
    let text = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let mut bytes = vec![1];
    bytes.extend((BEGAN_MS + sequence * 1_000).to_be_bytes());
    bytes.push(0);
    bytes.extend(text(happened.actor));
    bytes.extend(text(happened.action));
    bytes.extend(text(&happened.subject));
    match happened.tenant {
        None => bytes.push(0),
        Some(tenant) => {
            bytes.push(1);
            bytes.extend(tenant.to_be_bytes());
        }
    }
    bytes.extend([0, 0]);
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(text("number"));
    bytes.extend(text(&sequence.to_string()));
    bytes
}

impl Cluster for Script {
    async fn id(&self, _by: Instant) -> Result<ClusterId, Status> {
        Ok(self.inner().cluster)
    }

    async fn standing(&self, _by: Instant) -> Result<LogStanding, Status> {
        let inner = self.inner();
        Ok(LogStanding {
            cluster: inner.cluster,
            feature_level: 6,
            origin: "latchkey/script".to_owned(),
            size: inner.size.unwrap_or(u64::MAX),
            root: Hash::new([0; 32]),
            kept_from: if inner.lags { 0 } else { inner.kept },
            checkpoint: None,
            cosigners: Vec::new(),
        })
    }

    async fn follow(&self, from: Sequence, _by: Instant) -> Result<Events, Status> {
        let inner = self.inner();
        if from.0 < inner.kept {
            return Err(Status::out_of_range("trimmed"));
        }
        let log: Vec<_> = inner.log.iter().skip(usize::try_from(from.0).unwrap()).cloned().collect();
        let (breaks_after, one_by_one, more) = (inner.breaks_after, inner.one_by_one, inner.log.len());
        drop(inner);
        if one_by_one {
            let slowly = iter(log).then(|event| async {
                tokio::task::yield_now().await;
                Ok(Followed::Event(event))
            });
            return Ok(Box::pin(slowly));
        }
        let sent = log.into_iter().take(breaks_after).map(|event| Ok(Followed::Event(event)));
        if breaks_after < more {
            let broken = [Err(Status::unavailable("the stream broke"))];
            return Ok(Box::pin(iter(sent.chain(broken))));
        }
        // Whoever is at the end hears that he is; when more happens, the stream ends and he asks again.
        let changed = WatchStream::from_changes(self.sent.subscribe());
        let ends = changed.map(|_| Err(Status::unavailable("there is more"))).take(1);
        Ok(Box::pin(iter(sent.chain([Ok(Followed::Progress)])).chain(ends)))
    }

    async fn trim(&self, through: Sequence, _by: Instant) -> Result<(), Status> {
        self.inner().trims.push(through.0);
        Ok(())
    }

    async fn audit_key(
        &self,
        tenant: Option<TenantNumber>,
        _revision: Revision,
        _by: Instant,
    ) -> Result<Option<AuditKey>, Status> {
        if self.inner().locked {
            return Err(Status::unavailable("locked"));
        }
        let tenant = tenant.unwrap_or(SYSTEM);
        if self.inner().destroyed.contains(&tenant) {
            return Ok(None);
        }
        let number = u8::try_from(tenant.0).unwrap();
        Ok(Some(AuditKey {
            number: RingNumber(tenant.0 + 100),
            key: Arc::new(DataKey::new([number; 32])),
            tenant,
            name: TenantName::parse(&format!("tenants/t{}", tenant.0 - 1)).ok(),
        }))
    }
}

/// Random enough for salts of a test.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Standing;

impl Clock for Standing {
    fn unix_millis(&self) -> UnixMillis {
        UnixMillis::new(BEGAN_MS)
    }

    fn boottime_millis(&self) -> u64 {
        0
    }
}
