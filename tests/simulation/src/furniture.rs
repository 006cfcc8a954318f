//! What is in the cluster, and how callers ask for more: through a replica near them, again elsewhere where that fails.

use crate::ground::Ground;
use crate::history::{Confirmation, History, Key, Read, Revoked, Told, Write};
use crate::world::{Outcome, World};
use latchkey_crypto::{KeyText, draw};
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Environment, IdentityName, KeyName, KeyspaceName, NetworkSet, NodeId,
    PermissionSet, Prefix, ReasonText, Revision, RevocationReason, RingNumber, Slug, TenantName,
};
use latchkey_kms::{Kms as _, OsEntropy};
use latchkey_link::answers::told;
use latchkey_link::{Barrier, KeyspaceMaterial, Material, MintKeys, Query};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, KeyDetails, Numbered};
use latchkey_registry::Registry;
use latchkey_state::{
    Actor, Command, CreateKeys, CreateKeyspace, CreateTenant, KeyspaceChanges, KeyspaceSettings, NewVersion, Operation,
    RequestMark, RevokeKey, StalenessPolicy, UpdateKeyspace,
};
use latchkey_wire::applied;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1::replica_status::State;
use latchkey_wire::request::Consistency;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long one try of a caller may take.
const TRY_MAX: Duration = Duration::from_secs(2);

/// How long a caller rests between two tries.
const REST: Duration = Duration::from_millis(50);

/// How long a caller waits for what makes a cluster usable.
const SETUP_MAX: Duration = Duration::from_secs(30);

/// How long dead keys stay.
const DEAD_RETENTION: DurationMillis = DurationMillis::from_secs(86_400);

/// A keyspace, and all that it takes to make keys in it.
#[derive(Clone)]
pub struct Furniture {
    ground: Arc<Ground>,
    history: Arc<Mutex<History>>,
    time: crate::clock::TrueTime,
    material: Arc<KeyspaceMaterial>,
    mint: Arc<MintKeys>,
    /// The keyspace.
    pub keyspace: KeyspaceName,
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

/// A command of `root`.
#[must_use]
pub fn of_root(operation: Operation) -> Command {
    let root = IdentityName::new(slug("system"), slug("root"));
    let request = RequestMark { id: draw(&mut OsEntropy), hash: draw(&mut OsEntropy) };
    Command { request: Some(request), ..Command::new(Actor::Identity(root), draw(&mut OsEntropy), operation) }
}

fn tenant_keys(cluster: ClusterId) -> (DrawnKey, DrawnKey) {
    let tenant = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Tenant);
    (tenant, DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Audit))
}

fn settings(staleness_max: Option<DurationMillis>) -> KeyspaceSettings {
    KeyspaceSettings {
        display_name: DisplayName::default(),
        prefix: Prefix::parse("acme_live").expect("a prefix"),
        environment: Environment::parse("production").expect("an environment"),
        allowed_permissions: PermissionSet::default(),
        default_lifetime: None,
        maximum_lifetime: None,
        networks: NetworkSet::default(),
        staleness_max,
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DEAD_RETENTION,
        keys_max: u64::MAX,
        allowed_roles: Box::default(),
        versions_max: u64::MAX,
        metadata_bytes_max: u64::MAX,
        self_revocation_off: false,
        import_formats: Box::default(),
        rotation_policy: None,
        access_sample_ppm: 0,
        expiry_notices: None,
    }
}

impl Furniture {
    /// Makes a tenant and a keyspace with this bound, or the cluster's default.
    ///
    /// # Errors
    /// Where the cluster does not carry that out.
    pub fn put(world: &mut World, staleness_ms: Option<u64>) -> Outcome<Self> {
        let (ground, history, time) = (world.ground.clone(), world.shared_history(), world.time());
        let keyspace = KeyspaceName::new(slug("acme"), slug("live"));
        let name = keyspace.clone();
        let cluster = ground.cluster;
        let at = ground.clone();
        let made = world.call("a keyspace", SETUP_MAX, async move {
            let (tenant, audit) = tenant_keys(cluster);
            let wrapped = at.kms.wrap(&tenant.place().kek_context(), tenant.key()).await.expect("the KMS wraps");
            let operation = CreateTenant {
                contacts: Vec::new(),
                tenant: slug("acme"),
                display_name: DisplayName::default(),
                tenant_key: tenant.wrapped(wrapped.into_bytes()),
                audit_key: audit.wrapped_under(Numbered::new(RingNumber(0), tenant.key()), &mut OsEntropy),
            };
            propose(&at, NodeId(1), &of_root(Operation::CreateTenant(operation)), SETUP_MAX).await?;
            let material = Arc::new(Material::new(at.kms.clone()));
            let registry = at.machines[&NodeId(1)].process()?;
            let by = Instant::now() + SETUP_MAX;
            let of_tenant = material.tenant(&registry, &TenantName::new(slug("acme")), by).await.ok()?;
            let tenant_key = material.tenant_key(&of_tenant, by).await.ok()?;
            let data = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Keyspace);
            let operation = CreateKeyspace {
                name: name.clone(),
                settings: settings(staleness_ms.map(DurationMillis::new)),
                data_key: data.wrapped_under(Numbered::new(tenant_key.number, &*tenant_key.key), &mut OsEntropy),
            };
            propose(&at, NodeId(1), &of_root(Operation::CreateKeyspace(Box::new(operation))), SETUP_MAX).await?;
            let of_keyspace = material.keyspace(&registry, &name, by).await.ok()?;
            let mint = material.mint_keys(&of_keyspace, by).await.ok()?;
            Some((Arc::new(of_keyspace), Arc::new(mint)))
        })?;
        let Some((material, mint)) = made else {
            return Err(world.failure("liveness", "no keyspace could be made".to_owned()));
        };
        let bound_ms = staleness_ms.unwrap_or(world.profile.staleness_ms);
        world.history().set_bound(0, bound_ms);
        Ok(Self { ground, history, time, material, mint, keyspace })
    }

    /// Makes a key of which the history knows nothing: one whose secret changes.
    pub async fn key(&self, near: NodeId) -> Option<(KeyName, KeyText)> {
        let (key, text) = self.mint.mint(&self.material).key(&mut OsEntropy).into_new_key(KeyDetails::default());
        let name = KeyName { keyspace: self.keyspace.clone(), key: key.id };
        let operation = CreateKeys { keyspace: self.keyspace.clone(), keys: vec![key], replay: None };
        propose(&self.ground, near, &of_root(Operation::CreateKeys(operation)), SETUP_MAX).await?;
        Some((name, text))
    }

    /// Draws a version of a key of this keyspace.
    #[must_use]
    pub fn version(&self) -> (NewVersion, KeyText) {
        self.mint.mint(&self.material).version(&mut OsEntropy).into_new_version()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes so many keys through the replica `near`; tells their places in the history, none where the outcome is
    /// unknown.
    pub async fn create(self, near: NodeId, count: usize) -> Vec<usize> {
        let mint = self.mint.mint(&self.material);
        let minted = (0..count).map(|_| mint.key(&mut OsEntropy).into_new_key(KeyDetails::default()));
        let (keys, texts): (Vec<_>, Vec<_>) = minted.unzip();
        let names: Vec<_> = keys.iter().map(|key| KeyName { keyspace: self.keyspace.clone(), key: key.id }).collect();
        let operation = CreateKeys { keyspace: self.keyspace.clone(), keys, replay: None };
        let asked_ms = self.time.ms();
        let command = of_root(Operation::CreateKeys(operation));
        let Some((registry, _, revision)) = propose(&self.ground, near, &command, Duration::from_secs(20)).await else {
            return Vec::new();
        };
        let write = Write { asked_ms, answered_ms: self.time.ms(), revision };
        self.history().wrote(write);
        let visible = self.confirmed(&registry, revision, DurationMillis::ZERO, Duration::ZERO).await;
        let mut history = self.history();
        let first = history.keys.len();
        for (name, text) in names.into_iter().zip(texts) {
            history.keys.push(Key::new(name, text.expose().to_owned(), write, visible.clone()));
        }
        let places = first..history.keys.len();
        history.note(write.answered_ms, format!("{count} keys made at {revision}"));
        places.collect()
    }

    /// Revokes a key through the replica `near`, and waits for all regions this long. Whether it was acknowledged.
    pub async fn revoke(self, near: NodeId, key: usize, wait: Duration) -> bool {
        let (name, asked_ms) = (self.history().keys[key].name.clone(), self.time.ms());
        self.history().revoke_asked(key, asked_ms);
        let operation = RevokeKey {
            key: name,
            version: None,
            reason: RevocationReason::Compromised,
            text: ReasonText::default(),
            grace: DurationMillis::ZERO,
            etag: None,
        };
        let command = of_root(Operation::RevokeKey(operation));
        let Some((registry, told, revision)) = propose(&self.ground, near, &command, Duration::from_secs(20)).await
        else {
            return false;
        };
        let applied::Told::Revoked { bound, .. } = told else { return false };
        let answered_ms = self.time.ms();
        let write = Write { asked_ms, answered_ms, revision };
        {
            let mut history = self.history();
            history.wrote(write);
            let bound_ms = history.bound_ms(answered_ms);
            history.note(answered_ms, format!("key {key} revoked at {revision}, asked {asked_ms}, bound {bound}"));
            history.keys[key].revoked = Some(Revoked { write, bound_ms, confirmed: Vec::new(), confirmed_ms: None });
        }
        let confirmed = self.confirmed(&registry, revision, bound, wait).await;
        let mut history = self.history();
        let at_ms = self.time.ms();
        history.note(at_ms, format!("key {key}: told {confirmed:?}"));
        if let Some(revoked) = &mut history.keys[key].revoked {
            revoked.confirmed = confirmed;
            revoked.confirmed_ms = Some(at_ms);
        }
        true
    }

    /// Asks the replica `near` by a state that is behind nobody.
    pub async fn read(self, near: NodeId) {
        let Some(registry) = self.ground.machines[&near].process() else { return };
        let Some(least) = self.history().newest() else { return };
        let (asked_ms, query) = (self.time.ms(), Query::AuditLog(pb::AuditLogQuery {}));
        let asked =
            latchkey_link::Registry::query(&registry, query, Consistency::FullyConsistent, Instant::now() + TRY_MAX);
        let Ok(Ok(answer)) = tokio::time::timeout(TRY_MAX, asked).await else { return };
        let found = answer.revision.expect("each answer names its revision").into();
        self.history().read(Read { node: near, asked_ms, least, found });
    }

    /// Changes the keyspace's bound through the replica `near`. Whether that was acknowledged.
    pub async fn set_staleness(self, near: NodeId, bound_ms: u64) -> bool {
        let changes =
            KeyspaceChanges { staleness_max: Some(Some(DurationMillis::new(bound_ms))), ..KeyspaceChanges::default() };
        let operation = UpdateKeyspace { name: self.keyspace.clone(), changes, etag: None };
        let (asked_ms, command) = (self.time.ms(), of_root(Operation::UpdateKeyspace(Box::new(operation))));
        let Some((_, _, revision)) = propose(&self.ground, near, &command, Duration::from_secs(20)).await else {
            return false;
        };
        let answered_ms = self.time.ms();
        let mut history = self.history();
        history.wrote(Write { asked_ms, answered_ms, revision });
        history.set_bound(answered_ms, bound_ms);
        history.note(answered_ms, format!("the bound is {bound_ms} ms from {revision} on"));
        true
    }

    async fn confirmed(
        &self,
        registry: &Registry,
        revision: Revision,
        bound: DurationMillis,
        wait: Duration,
    ) -> Vec<Confirmation> {
        let barrier = Barrier { revision, bound, wait };
        let answer = registry.confirm_all(barrier, Instant::now() + wait + TRY_MAX).await;
        let at_ms = self.time.ms();
        let read = |one: &pb::ReplicaConfirmation| {
            let status = one.status?;
            let told = match status.state() {
                State::Applied => Told::Applied,
                State::LeaseEnded => Told::LeaseEnded,
                _ => Told::Waiting,
            };
            Some(Confirmation { node: NodeId(status.replica), told, at_ms })
        };
        answer.iter().filter_map(read).collect()
    }
}

/// The barrier, as any handler asks for it.
trait ConfirmAll {
    async fn confirm_all(&self, barrier: Barrier, by: Instant) -> Vec<pb::ReplicaConfirmation>;
}

impl ConfirmAll for Registry {
    async fn confirm_all(&self, barrier: Barrier, by: Instant) -> Vec<pb::ReplicaConfirmation> {
        latchkey_link::Registry::confirm(self, barrier, by).await.unwrap_or_default()
    }
}

/// Proposes through the replica `near`, and through others where that fails, until somebody answers: a repeat is safe, for
/// the command names its request. `None` where nobody did in time, or the command was refused.
pub async fn propose(
    ground: &Ground,
    near: NodeId,
    command: &Command,
    within: Duration,
) -> Option<(Registry, applied::Told, Revision)> {
    let ends = Instant::now() + within;
    let nodes: Vec<_> = ground.machines.keys().copied().collect();
    let start = nodes.iter().position(|node| *node == near).unwrap_or(0);
    for node in nodes.iter().cycle().skip(start) {
        if Instant::now() >= ends {
            return None;
        }
        if let Some(registry) = ground.machines[node].process() {
            let by = Instant::now() + TRY_MAX;
            if let Ok(Ok(proposed)) = tokio::time::timeout(TRY_MAX, registry_propose(&registry, command, by)).await {
                let (told, revision, _) = told(proposed).ok()?;
                return Some((registry, told, revision));
            }
        }
        tokio::time::sleep(REST).await;
    }
    None
}

async fn registry_propose(
    registry: &Registry,
    command: &Command,
    by: Instant,
) -> Result<applied::Proposed, tonic::Status> {
    latchkey_link::Registry::propose(registry, command, by).await
}
