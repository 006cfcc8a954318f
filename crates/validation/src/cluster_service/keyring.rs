//! What is shown of the keyring, and an operator's wish that a key of it rotate. Making anew what the old one made is the
//! leader's duty, whoever that is by then.

use super::ClusterFace;
use super::change::carry_out;
use latchkey_domain::{Duty, KekId, Refusal, ResourceKind, Revision, RingNumber, Scope, TenantName};
use latchkey_link::{Authorized, Time, fields_invalid, identify, list_invalid};
use latchkey_registry::{DrawError, Holding, Registry, Roster};
use latchkey_state::{Operation, RingKey, RingPurpose, State};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::ring_key;
use latchkey_wire::request::{
    GetKeyring, RotatingKey, Write, next_keyring_token, read_get_keyring, read_rotate_keyring,
};
use latchkey_wire::time::write_time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tonic::{Extensions, Request, Status};
use tonic_types::StatusExt as _;

/// How often a key is drawn anew where the one that wraps it was replaced meanwhile.
const DRAWS_MAX: usize = 3;

impl ClusterFace {
    pub(super) async fn keyring(
        &self,
        extensions: &Extensions,
        request: &v1::GetKeyringRequest,
    ) -> Result<v1::GetKeyringResponse, Status> {
        let (mut answer, wrapped, log_key) = {
            let view = self.look(extensions, "ClusterService/GetKeyring")?;
            let page = read_get_keyring(request).map_err(list_invalid)?;
            let is_first = page.after.is_none();
            let by_kek = view.state().ring().filter(|key| is_first && key.wrapped_by == RingNumber(0));
            let wrapped: Vec<_> = by_kek.cloned().collect();
            let log_key = view.state().newest_ring_key(RingPurpose::Log).map(|key| key.number);
            (show(view.state(), page), wrapped, log_key)
        };
        // What only the leader knows; who asks in its absence sees the rest.
        if let Ok(roster) = self.registry.roster().await {
            tell_holdings(&mut answer, &roster, log_key);
            if request.page_token.is_empty() {
                answer.keks = keks(&self.registry, &roster, &wrapped).await;
            }
        }
        Ok(answer)
    }

    pub(super) async fn rotate(
        registry: &Registry,
        request: Request<v1::RotateKeyringRequest>,
    ) -> Result<(Revision, bool), Status> {
        let (_, extensions, message) = request.into_parts();
        let by = Time::of(&extensions);
        let identity = identify(registry, &extensions, by).await?;
        let asked = read_rotate_keyring(&message).map_err(fields_invalid)?;
        // Whoever may not rotate is not told which tenants there are.
        let authorized = Authorized::check(asked, identity, &[Duty::Admin], &Scope::System)?;
        let (Write { operation: which, request, validate_only }, identity) = authorized.into_parts();
        let Some(purpose) = purpose(&registry.core().state(), &which)? else {
            // The first keys; the leader goes on with what they leave.
            let operation = registry.move_to_kek().await.map_err(|error| locked(&error))?;
            let write = Write { operation, request, validate_only };
            let authorized = Authorized::check(write, identity, &[Duty::Admin], &Scope::System)?;
            return carry_out(registry, authorized, by).await;
        };
        let mut draws = 1;
        loop {
            let new = registry.draw_ring_key(purpose).await.map_err(|error| locked(&error))?;
            let write = Write { operation: Operation::RotateRingKey(new), request, validate_only };
            let authorized = Authorized::check(write, identity.clone(), &[Duty::Admin], &Scope::System)?;
            match carry_out(registry, authorized, by).await {
                Err(refused) if draws < DRAWS_MAX && is_gone(&refused) => draws += 1,
                done => return done,
            }
        }
    }
}

/// Adds which folders need the log keys that were replaced.
fn tell_holdings(answer: &mut v1::GetKeyringResponse, roster: &Roster, newest: Option<RingNumber>) {
    let Some(newest) = newest else { return };
    for key in answer.ring_keys.iter_mut().filter(|key| key.purpose() == ring_key::Purpose::Log) {
        let number = RingNumber(key.number);
        if number != newest {
            key.needed_by = replicas(roster, |holding| holding.is_none_or(|holding| holding.needs(number, newest)));
        }
    }
}

/// The key-encryption keys, by what wraps the keyring and by what the replicas say.
async fn keks(registry: &Registry, roster: &Roster, wrapped: &[Arc<RingKey>]) -> Vec<v1::KeyEncryptionKey> {
    let mut counts: BTreeMap<KekId, u64> = BTreeMap::new();
    for key in wrapped {
        // One that is under a key which is not at hand here is of no row: the replicas tell that they need it.
        if let Ok(kek) = registry.kek_of(key).await {
            *counts.entry(kek).or_default() += 1;
        }
    }
    for holding in roster.replicas.iter().filter_map(|replica| replica.holding.as_ref()) {
        for kek in holding.keks.iter().chain(&holding.keks_needed) {
            counts.entry(*kek).or_default();
        }
    }
    let show = |(kek, ring_keys): (KekId, u64)| v1::KeyEncryptionKey {
        id: kek.to_string(),
        ring_keys,
        replicas: replicas(roster, |holding| holding.is_some_and(|holding| holding.keks.contains(&kek))),
        first_of: replicas(roster, |holding| holding.is_some_and(|holding| holding.keks.first() == Some(&kek))),
        needed_by: replicas(roster, |holding| holding.is_none_or(|holding| holding.needs_kek(kek))),
    };
    counts.into_iter().map(show).collect()
}

/// The ids of the replicas of which something holds, ascending.
fn replicas(roster: &Roster, holds: impl Fn(Option<&Holding>) -> bool) -> Vec<u64> {
    let of = roster.replicas.iter().filter(|replica| holds(replica.holding.as_deref()));
    let mut ids: Vec<_> = of.map(|replica| replica.node.0).collect();
    ids.sort_unstable();
    ids
}

/// What wraps the key was replaced between drawing and applying.
fn is_gone(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == v1::ErrorReason::RingKeyGone.word())
}

fn locked(error: &DrawError) -> Status {
    tracing::error!(error = error as &dyn std::error::Error, "a key of the keyring cannot be rotated");
    Unavailable::Locked.into()
}

/// The purpose of a key by the names that an operator gives; none for the key-encryption key.
fn purpose(state: &State, which: &RotatingKey) -> Result<Option<RingPurpose>, Status> {
    let missing = |kind, name: String| status::refused(&Refusal::NotFound { kind, name });
    Ok(Some(match which {
        RotatingKey::Kek => return Ok(None),
        RotatingKey::Log => RingPurpose::Log,
        RotatingKey::Pepper => RingPurpose::Pepper,
        RotatingKey::Tenant(name) => {
            let tenant = state.tenant(name).ok_or_else(|| missing(ResourceKind::Tenant, name.to_string()))?;
            RingPurpose::Tenant(tenant.number)
        }
        RotatingKey::Keyspace(name) => {
            let keyspace = state.keyspace(name).ok_or_else(|| missing(ResourceKind::Keyspace, name.to_string()))?;
            RingPurpose::Keyspace(keyspace.number)
        }
    }))
}

fn show(state: &State, page: GetKeyring) -> v1::GetKeyringResponse {
    let replaced = |key: &RingKey| key.purpose != RingPurpose::Replay && !state.is_current_ring_key(key);
    let rotating: BTreeSet<_> = state.ring().filter(|key| replaced(key)).map(|key| key.purpose).collect();
    let is_shown = |key: &RingKey| match key.purpose {
        RingPurpose::Log | RingPurpose::Pepper => true,
        purpose => page.all || rotating.contains(&purpose),
    };
    let after = page.after.unwrap_or(RingNumber(0));
    let mut keys = state.ring().filter(|key| key.number > after && is_shown(key));
    let size = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    let shown: Vec<_> = keys.by_ref().take(size).map(|key| show_key(state, key)).collect();
    let last = shown.last().map(|key| RingNumber(key.number)).filter(|_| keys.next().is_some());
    let (versions_to_redigest, inners_to_reseal) = state.versions_to_rekey();
    v1::GetKeyringResponse {
        ring_keys: shown,
        next_page_token: last.map(|last| next_keyring_token(page.all, last)).unwrap_or_default(),
        versions_to_redigest,
        inners_to_reseal,
        revision: Some(state.revision().into()),
        keks: Vec::new(),
    }
}

fn show_key(state: &State, key: &RingKey) -> v1::RingKey {
    let uses = state.ring_uses(key.number);
    let is_current = match key.purpose {
        // The one before the newest still opens boxes, for as long as it lives.
        RingPurpose::Replay => true,
        _ => state.is_current_ring_key(key),
    };
    let place = match (is_current, uses.total()) {
        (true, _) => ring_key::State::Current,
        (false, 0) => ring_key::State::Unused,
        (false, _) => ring_key::State::Retiring,
    };
    v1::RingKey {
        number: key.number.0,
        purpose: show_purpose(key.purpose).into(),
        of: name_of(state, key.purpose).unwrap_or_default(),
        state: place.into(),
        create_time: Some(write_time(key.created_at)),
        wrapped_by: key.wrapped_by.0,
        kek: key.kek.map(|kek| kek.to_string()).unwrap_or_default(),
        versions: uses.versions,
        inners: uses.inners,
        ring_keys: uses.ring_keys,
        needed_by: Vec::new(),
    }
}

const fn show_purpose(purpose: RingPurpose) -> ring_key::Purpose {
    match purpose {
        RingPurpose::Log => ring_key::Purpose::Log,
        RingPurpose::Pepper => ring_key::Purpose::Pepper,
        RingPurpose::Replay => ring_key::Purpose::Replay,
        RingPurpose::Tenant(_) => ring_key::Purpose::Tenant,
        RingPurpose::Audit(_) => ring_key::Purpose::Audit,
        RingPurpose::Keyspace(_) => ring_key::Purpose::Keyspace,
    }
}

fn name_of(state: &State, purpose: RingPurpose) -> Option<String> {
    match purpose {
        RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay => None,
        RingPurpose::Tenant(number) | RingPurpose::Audit(number) => {
            state.tenants().by_number(number).map(|tenant| TenantName::new(tenant.id.clone()).to_string())
        }
        RingPurpose::Keyspace(number) => {
            state.keyspaces().by_number(number).map(|keyspace| state.keyspace_name(keyspace).to_string())
        }
    }
}
