//! A registry in memory, for tests: the real state machine behind [`Registry`], without consensus, disk or network.

pub mod conformance;

use crate::{Barrier, ProvenIdentity, Query, Registry};
use latchkey_crypto::{Entropy, Inner, KeyText, Pepper, parse};
use latchkey_domain::{
    ClusterId, DurationMillis, IdentityName, KeyName, KeyspaceName, NodeId, OwnerName, Refusal, ResourceKind, Revision,
    Scope, Slug, TenantName, UnixMillis,
};
use latchkey_kms::{Kms, Wrapped};
use latchkey_minting::{Founding, FoundingWrapped};
use latchkey_state::{Actor, Command, Holder, Listed as _, NO_TENANT, Operation, RingPurpose, State, Tenant};
use latchkey_transport::{Rejection, Unavailable};
use latchkey_wire::applied::{Proposed, read_applied, write_applied};
use latchkey_wire::disk::{write_keyspace_row, write_ring_key_row, write_tenant_row};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::internal::v1::material_query::Scope as MaterialScope;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica_status::State as Known;
use latchkey_wire::refusal::write_refusal;
use latchkey_wire::request::Consistency;
use latchkey_wire::resource::View;
use latchkey_wire::time::write_time;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::Status;

/// When every cluster in memory begins.
pub const BEGAN: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// The staleness floor and default of a cluster in memory.
const STALENESS_FLOOR: DurationMillis = DurationMillis::from_secs(4);
const STALENESS_DEFAULT: DurationMillis = DurationMillis::from_secs(5);

/// The state machine of one process, asked as if it were a cluster of two regions.
#[derive(Debug)]
pub struct MemoryRegistry {
    cluster: ClusterId,
    pepper: Pepper,
    inner: Mutex<InMemory>,
}

#[derive(Debug)]
struct InMemory {
    state: State,
    now: UnixMillis,
    waiting: bool,
    unavailable: bool,
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
        let inner = InMemory { state: State::default(), now: BEGAN, waiting: false, unavailable: false };
        let registry = Self { cluster, pepper, inner: Mutex::new(inner) };
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

    /// The state as it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner().state.clone()
    }

    fn apply(&self, command: &Command) -> Proposed {
        let mut inner = self.inner();
        let revision = Revision::new(1, inner.state.revision().index + 1);
        let (now, mut command) = (inner.now, command.clone());
        command.at = now;
        let applied = inner.state.apply(revision, &command);
        read_applied(write_applied(&inner.state, now, &applied)).expect("what was written is read")
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
        let answer = answer(&View::new(&inner.state, inner.now), &query);
        let answer = answer.unwrap_or_else(|refusal| Answer::Refusal(write_refusal(&refusal)));
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

fn proven(state: &State, now: UnixMillis, pepper: &Pepper, key_text: &str) -> Option<ProvenIdentity> {
    let presented = parse(key_text)?;
    let found = state.version(presented.version)?;
    let digest = pepper.digest(&Inner::of(presented.version, &presented.secret));
    let key = found.key;
    let revoked = [key.revocation(), found.version.revocation.as_deref()];
    let ended = revoked.into_iter().flatten().any(|revocation| revocation.effective_at <= now)
        || key.expires_at.is_some_and(|expires_at| expires_at <= now);
    let keyspace = state.keyspace_name(found.keyspace);
    let Holder::Identity(number) = key.holder else { return None };
    if !digest.matches(&found.version.digest) || ended || !keyspace.is_management() {
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

fn answer(view: &View<'_>, query: &Query) -> Result<Answer, Refusal> {
    let state = view.state;
    let not_found = |kind, name: &str| Refusal::NotFound { kind, name: name.to_owned() };
    let tenant = |name: &str| {
        let found = TenantName::parse(name).ok().and_then(|parsed| state.tenant(&parsed));
        found.ok_or_else(|| not_found(ResourceKind::Tenant, name))
    };
    let keyspace = |name: &str| {
        let found = KeyspaceName::parse(name).ok().and_then(|parsed| state.keyspace(&parsed));
        found.ok_or_else(|| not_found(ResourceKind::Keyspace, name))
    };
    Ok(match query {
        Query::Tenant(name) => Answer::Tenant(view.tenant(tenant(name)?)),
        Query::Keyspace(name) => Answer::Keyspace(view.keyspace(keyspace(name)?)),
        Query::Owner(name) => {
            let found = OwnerName::parse(name).ok().and_then(|parsed| state.owner(&parsed));
            Answer::Owner(view.owner(found.ok_or_else(|| not_found(ResourceKind::Owner, name))?))
        }
        Query::Identity(name) => {
            let found = IdentityName::parse(name).ok().and_then(|parsed| state.identity(&parsed));
            Answer::Identity(view.identity(found.ok_or_else(|| not_found(ResourceKind::Identity, name))?))
        }
        Query::Key(name) => {
            let found = KeyName::parse(name).ok().and_then(|parsed| state.key(&parsed));
            Answer::Key(view.key(found.ok_or_else(|| not_found(ResourceKind::Key, name))?))
        }
        Query::List(list) => match list.collection() {
            Collection::Keys => Answer::List(keys(view, list, keyspace(&list.parent)?.number)),
            Collection::Tenants | Collection::Unspecified => Answer::List(of_tenant(view, list, NO_TENANT)),
            Collection::Keyspaces | Collection::Owners | Collection::Identities => {
                Answer::List(of_tenant(view, list, tenant(&list.parent)?.number))
            }
        },
        Query::Material(query) => Answer::Material(match &query.scope {
            None => material(view, None, None),
            Some(MaterialScope::Tenant(name)) => material(view, Some(tenant(name)?), None),
            Some(MaterialScope::Keyspace(name)) => {
                let found = keyspace(name)?;
                material(view, state.tenants().by_number(found.tenant), Some(found))
            }
        }),
    })
}

fn after(list: &pb::ListQuery) -> Option<&str> {
    list.after.rsplit('/').next().filter(|last| !last.is_empty())
}

fn keys(view: &View<'_>, list: &pb::ListQuery, keyspace: latchkey_domain::KeyspaceNumber) -> pb::ListAnswer {
    let start = after(list).and_then(|last| latchkey_domain::KeyId::parse(last).ok());
    let all = view.state.keys_of(keyspace, start).map(|key| view.key(key));
    let (keys, more) = cut(all, list);
    pb::ListAnswer { keys, more, ..Default::default() }
}

fn of_tenant(view: &View<'_>, list: &pb::ListQuery, tenant: latchkey_domain::TenantNumber) -> pb::ListAnswer {
    let start = after(list).and_then(|last| Slug::parse(last).ok());
    let scopes: Vec<_> = list.scopes.iter().filter_map(|scope| Scope::parse(scope).ok()).collect();
    let shown = |scope: Scope| scopes.iter().any(|one| one.includes(&scope));
    let state = view.state;
    let mut answer = pb::ListAnswer::default();
    match list.collection() {
        Collection::Keyspaces => {
            let all = state.keyspaces().of_tenant(tenant, start.as_ref());
            let seen = all.filter(|one| shown(Scope::Keyspace(state.keyspace_name(one))));
            (answer.keyspaces, answer.more) = cut(seen.map(|one| view.keyspace(one)), list);
        }
        Collection::Owners => {
            let all = state.owners().of_tenant(tenant, start.as_ref());
            (answer.owners, answer.more) = cut(all.map(|one| view.owner(one)), list);
        }
        Collection::Identities => {
            let all = state.identities().of_tenant(tenant, start.as_ref());
            (answer.identities, answer.more) = cut(all.map(|one| view.identity(one)), list);
        }
        Collection::Tenants | Collection::Keys | Collection::Unspecified => {
            let all = state.tenants().of_tenant(tenant, start.as_ref());
            let seen = all.filter(|one| shown(Scope::Tenant(TenantName::new(Tenant::slug(one).clone()))));
            (answer.tenants, answer.more) = cut(seen.map(|one| view.tenant(one)), list);
        }
    }
    answer
}

fn cut<T>(mut all: impl Iterator<Item = T>, list: &pb::ListQuery) -> (Vec<T>, bool) {
    let page = all.by_ref().take(usize::try_from(list.page_size).unwrap_or(usize::MAX)).collect();
    (page, all.next().is_some())
}

fn material(
    view: &View<'_>,
    tenant: Option<&std::sync::Arc<Tenant>>,
    keyspace: Option<&std::sync::Arc<latchkey_state::Keyspace>>,
) -> pb::Material {
    let state = view.state;
    let row = |number| state.ring_key(number).map(|key| write_ring_key_row(key));
    let cluster = state.cluster().expect("a registry in memory is founded");
    pb::Material {
        pepper: state.newest_ring_key(RingPurpose::Pepper).map(|key| write_ring_key_row(key)),
        replay_keys: state
            .ring()
            .filter(|key| key.purpose == RingPurpose::Replay)
            .map(|key| write_ring_key_row(key))
            .collect(),
        tenant: tenant.map(|tenant| write_tenant_row(tenant)),
        tenant_key: tenant.and_then(|tenant| row(tenant.tenant_key)),
        keyspace: keyspace.map(|keyspace| write_keyspace_row(keyspace)),
        data_key: keyspace.and_then(|keyspace| row(keyspace.data_key)),
        feature_level: state.progress().feature_level,
        staleness_floor_ms: cluster.staleness_floor.millis(),
        now_unix_ms: view.now.millis(),
        staleness_default_ms: cluster.staleness_default.millis(),
    }
}
