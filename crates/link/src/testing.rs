//! A registry in memory, for tests: the real state machine behind [`Registry`], without consensus, disk or network.

pub mod conformance;

use crate::evidence::{CallerUse, Curve, Gathered, VersionUse, counted_from, departed};
use crate::{Barrier, FollowItem, Following, ProvenIdentity, Query, Registry, Selected, query, write_entry};
use latchkey_crypto::{Entropy, Inner, KeyText, Pepper, parse};
use latchkey_domain::{
    ClusterId, DurationMillis, IdentityName, KeyName, KeyspaceName, Network, NodeId, Revision, Sequence, UnixMillis,
    VersionId,
};
use latchkey_kms::{Kms, Wrapped};
use latchkey_minting::{Founding, FoundingWrapped};
use latchkey_state::{Actor, Command, Holder, Operation, State, Worth};
use latchkey_transport::{Rejection, Unavailable};
use latchkey_wire::applied::{Proposed, read_applied, write_applied};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::follow_response::Item;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica_status::State as Known;
use latchkey_wire::request::Consistency;
use latchkey_wire::time::write_time;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// When every cluster in memory begins.
pub const BEGAN: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// The staleness floor and default of a cluster in memory.
const STALENESS_FLOOR: DurationMillis = DurationMillis::from_secs(4);
const STALENESS_DEFAULT: DurationMillis = DurationMillis::from_secs(5);

/// How often a follower hears that nothing happened.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The state machine of one process, asked as if it were a cluster of two regions.
#[derive(Debug)]
pub struct MemoryRegistry {
    cluster: ClusterId,
    pepper: Pepper,
    inner: Arc<Mutex<InMemory>>,
    /// How many entries there are.
    entries: watch::Sender<usize>,
}

#[derive(Debug)]
struct InMemory {
    state: State,
    now: UnixMillis,
    /// The audit log from the beginning on; what was trimmed is not given any more.
    log: Vec<pb::Event>,
    waiting: bool,
    unavailable: bool,
    /// What the first region has seen; the second sees nothing.
    uses: BTreeMap<VersionId, VersionUse>,
    watched_since: UnixMillis,
    deaf: bool,
}

/// Randomness from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

impl MemoryRegistry {
    /// Makes a cluster; the text is that of the first key of `root`.
    ///
    /// # Panics
    /// Where `kms` does not wrap.
    pub async fn found(kms: &dyn Kms, entropy: &mut Seeded) -> (Self, KeyText) {
        let cluster = ClusterId([0xC1; 16]);
        let founding = Founding::draw(entropy, cluster);
        let pepper = Pepper::new(founding.pepper.key().expose());
        let mut wrapped = Vec::new();
        for key in [&founding.log, &founding.pepper, &founding.replay, &founding.tenant] {
            let made = kms.wrap(&key.place().kek_context(), key.key()).await;
            wrapped.push(Wrapped::into_bytes(made.expect("the KMS of a test wraps")).into_boxed_slice());
        }
        let [log, pepper_key, replay, tenant] = wrapped.try_into().expect("four keys were wrapped");
        let wrapped = FoundingWrapped { log, pepper: pepper_key, replay, tenant };
        let (bootstrap, text) = founding.into_bootstrap(wrapped, STALENESS_FLOOR, STALENESS_DEFAULT, entropy);
        let (state, log) = (State::default(), Vec::new());
        let inner = InMemory {
            state,
            now: BEGAN,
            log,
            waiting: false,
            unavailable: false,
            uses: BTreeMap::new(),
            watched_since: BEGAN,
            deaf: false,
        };
        let registry = Self { cluster, pepper, inner: Arc::new(Mutex::new(inner)), entries: watch::Sender::new(0) };
        let operation = Operation::Bootstrap(Box::new(bootstrap));
        let made = registry.apply(&Command::new(Actor::Replica(NodeId(1)), [0; 32], operation));
        made.answer.expect("the first command of a cluster is carried out");
        (registry, text)
    }

    /// Moves the clock on.
    pub fn advance(&self, span: DurationMillis) {
        let mut inner = self.inner();
        inner.now = inner.now.plus(span);
    }

    /// Whether the second region is slow to report from now on.
    pub fn set_waiting(&self, waiting: bool) {
        self.inner().waiting = waiting;
    }

    /// Whether there is no leader from now on.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.inner().unavailable = unavailable;
    }

    /// A version is used in the first region, now.
    pub fn saw(&self, version: VersionId, network: Option<Network>, user_agent: &str) {
        let mut inner = self.inner();
        let now = inner.now;
        let caller = CallerUse {
            region: "eu".into(),
            network,
            user_agent: user_agent.into(),
            tags: Vec::new(),
            last: now,
            count: 1,
        };
        let mut curve = Curve::default();
        curve.add(now, 1);
        let (first, last) = (Some(now), Some(now));
        let once = VersionUse { count: 1, first, last, curve, callers: vec![caller], ..VersionUse::default() };
        inner.uses.entry(version).or_default().merge(once);
    }

    /// Whether the second region tells nothing of what it saw from now on.
    pub fn set_deaf(&self, deaf: bool) {
        self.inner().deaf = deaf;
    }

    /// The second region restarts: it counts anew, from now on.
    pub fn restart_watching(&self) {
        let mut inner = self.inner();
        inner.watched_since = inner.now;
    }

    /// What both regions have seen, as a leader answers it. Versions that are none count as never seen.
    #[must_use]
    pub fn evidence_of(&self, version_ids: &[Vec<u8>], curves: bool) -> pb::GatherEvidenceResponse {
        let inner = self.inner();
        let now = inner.now;
        let versions: Vec<_> =
            version_ids.iter().map(|id| <[u8; 12]>::try_from(&id[..]).ok().and_then(VersionId::from_bytes)).collect();
        let answer = |node_id, since: UnixMillis, sees: bool| {
            let seen = |version: &Option<VersionId>| version.filter(|_| sees).and_then(|id| inner.uses.get(&id));
            let write = |version| seen(version).cloned().unwrap_or_default().write(curves);
            let uses = versions.iter().map(write).collect();
            pb::EvidenceResponse { node_id, incarnation: 1, watched_ms: now.since(since).millis(), uses }
        };
        let replicas = [
            ("eu", 1, Some(answer(1, BEGAN, true))),
            ("us", 2, (!inner.deaf).then(|| answer(2, inner.watched_since, false))),
        ];
        let counted = |version: &Option<VersionId>| version.and_then(|id| counted_from(&inner.state, id));
        pb::GatherEvidenceResponse {
            revision: Some(inner.state.revision().into()),
            now_unix_ms: now.millis(),
            replicas: replicas
                .into_iter()
                .map(|(region, node_id, answer)| pb::GatheredEvidence { node_id, region: region.to_owned(), answer })
                .collect(),
            departed_unix_ms: departed(&inner.state).map_or(0, UnixMillis::millis),
            counted_from_unix_ms: versions
                .iter()
                .map(|one| counted(one).map_or(u64::MAX, UnixMillis::millis))
                .collect(),
        }
    }

    /// The state as it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner().state.clone()
    }

    /// Carries out a command and tells what became of it, as a replica writes it.
    ///
    /// # Errors
    /// `UNAVAILABLE` while there is no leader.
    pub fn carry_out(&self, command: &Command) -> Result<pb::Applied, Status> {
        drop(self.led()?);
        Ok(self.write(command))
    }

    fn write(&self, command: &Command) -> pb::Applied {
        let mut inner = self.inner();
        let revision = Revision::new(1, inner.state.revision().index + 1);
        let (now, mut command) = (inner.now, command.clone());
        command.at = now;
        let applied = inner.state.apply(revision, &command);
        inner.log.extend(applied.entries.iter().map(write_entry));
        self.entries.send_replace(inner.log.len());
        write_applied(&inner.state, now, &applied)
    }

    fn apply(&self, command: &Command) -> Proposed {
        read_applied(self.write(command)).expect("what was written is read")
    }

    fn inner(&self) -> MutexGuard<'_, InMemory> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn led(&self) -> Result<MutexGuard<'_, InMemory>, Status> {
        let inner = self.inner();
        if inner.unavailable { Err(Unavailable::NoLeader { node: None }.into()) } else { Ok(inner) }
    }
}

impl Registry for MemoryRegistry {
    async fn cluster(&self, _by: Instant) -> Result<ClusterId, Status> {
        Ok(self.cluster)
    }

    async fn propose(&self, command: &Command, _by: Instant) -> Result<Proposed, Status> {
        drop(self.led()?);
        Ok(self.apply(command))
    }

    async fn query(&self, query: Query, consistency: Consistency, _by: Instant) -> Result<pb::QueryResponse, Status> {
        let inner = self.led()?;
        if let Consistency::AtLeastAsFresh(asked) = consistency
            && asked > inner.state.revision()
        {
            return Err(Unavailable::EpochAhead { given: asked.epoch, current: inner.state.revision().epoch }.into());
        }
        let answer = query::answer(&inner.state, inner.now, &query)?;
        Ok(pb::QueryResponse { revision: Some(inner.state.revision().into()), answer: Some(answer) })
    }

    async fn confirm(&self, barrier: Barrier, _by: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        let inner = self.led()?;
        let (now, late) = (inner.now, inner.now.plus(barrier.bound));
        let slow = if inner.waiting { (Known::Waiting, late) } else { (Known::Applied, now) };
        let replicas = [("eu", 1, (Known::Applied, now)), ("us", 2, slow)];
        Ok(replicas
            .into_iter()
            .map(|(region, replica, (state, time))| pb::ReplicaConfirmation {
                region: region.to_owned(),
                status: Some(v1::ReplicaStatus { replica, state: state.into(), time: Some(write_time(time)) }),
                incarnation: 1,
            })
            .collect())
    }

    async fn select(&self, keyspace: &KeyspaceName, filter: &str, _by: Instant) -> Result<Selected, Status> {
        let inner = self.led()?;
        query::select(&inner.state, inner.now, &keyspace.to_string(), filter)
    }

    async fn evidence(&self, versions: &[VersionId], curves: bool, _by: Instant) -> Result<Gathered, Status> {
        drop(self.led()?);
        let ids: Vec<_> = versions.iter().map(|version| version.bytes().to_vec()).collect();
        Ok(Gathered::read(&self.evidence_of(&ids, curves), versions.len()))
    }

    async fn follow(&self, from: Sequence, _by: Instant) -> Result<Following, Status> {
        let trimmed = self.led()?.state.progress().trimmed;
        if trimmed.is_some_and(|trimmed| from < trimmed.next) {
            return Err(Status::failed_precondition("the event was trimmed"));
        }
        let (items, following) = mpsc::channel(64);
        let (inner, mut entries) = (self.inner.clone(), self.entries.subscribe());
        tokio::spawn(async move {
            let mut next = usize::try_from(from.0).unwrap_or(usize::MAX);
            loop {
                entries.borrow_and_update();
                for message in messages(&inner, &mut next) {
                    if items.send(FollowItem::read(message)).await.is_err() {
                        return;
                    }
                }
                // The registry is gone with its sender.
                if matches!(timeout(PROGRESS_INTERVAL, entries.changed()).await, Ok(Err(_))) {
                    return;
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(following)))
    }

    async fn authenticate(
        &self,
        key_text: &str,
        _client: Option<IpAddr>,
        _by: Instant,
    ) -> Result<ProvenIdentity, Status> {
        let inner = self.led()?;
        proven(&inner.state, inner.now, &self.pepper, key_text).ok_or_else(|| Rejection::IdentityUnknown.into())
    }
}

/// The entries from `next` on, and how far that is.
fn messages(inner: &Mutex<InMemory>, next: &mut usize) -> Vec<pb::FollowResponse> {
    let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
    let entries = inner.log.get(*next..).unwrap_or_default();
    *next += entries.len();
    let progress = pb::Progress { next_sequence: *next as u64, revision: Some(inner.state.revision().into()) };
    let items = entries.iter().cloned().map(Item::Event).chain([Item::Progress(progress)]);
    items.map(|item| pb::FollowResponse { item: Some(item), ..pb::FollowResponse::default() }).collect()
}

fn proven(state: &State, now: UnixMillis, pepper: &Pepper, key_text: &str) -> Option<ProvenIdentity> {
    let presented = parse(key_text)?;
    let found = state.version(presented.version)?;
    let digest = pepper.digest(&Inner::of(presented.version, &presented.secret));
    let key = found.key;
    let keyspace = state.keyspace_name(found.keyspace);
    let Holder::Identity(number) = key.holder else { return None };
    let accepted = state.worth(&found, now) == Worth::Accepted;
    if !digest.matches(&found.version.digest) || !accepted || !keyspace.is_management() {
        return None;
    }
    let identity = state.identities().by_number(number)?;
    let tenant = state.tenants().by_number(identity.tenant)?;
    Some(ProvenIdentity {
        identity: IdentityName::new(tenant.id.clone(), identity.id.clone()),
        grants: identity.grants.clone(),
        key: KeyName { keyspace, key: key.id },
        revision: state.revision(),
    })
}
