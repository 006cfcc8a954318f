//! Repeats: the same request by the same identity gets the first answer, and changes nothing.

use super::transaction::Transaction;
use super::{Answer, Applied};
use crate::command::{Actor, Command, Operation};
use crate::records::{RememberedRequest, RequestSubject};
use crate::row::{Changes, Row, RowId};
use crate::state::State;
use crate::{REPLAY_WINDOW, REQUEST_MEMORY};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{IdentityNumber, KeyspaceNumber, Quota, Refusal, ResourceKind};

/// Requests remembered at once. At 24 h this is about eleven remembered requests a second, and about 300 MB; none is
/// ever forgotten early, so beyond it requests that carry a `request_id` are refused.
pub(crate) const REQUESTS_MAX: usize = if cfg!(test) { 3 } else { 1_000_000 };

/// Remembered requests looked at per record. One record adds one request, which is looked at twice, so the sweep keeps
/// up and clears a full hour's backlog in a few thousand records.
const SWEEP_REQUESTS_MAX: usize = 64;

/// The first answer, where the request was made before.
pub(super) fn find(state: &State, command: &Command) -> Result<Option<Applied>, Refusal> {
    if planted::is(Plant::DedupeOff) {
        return Ok(None);
    }
    let (Some(mark), Some(identity)) = (command.request, identity_of(state, command)) else { return Ok(None) };
    let Some(first) = state.request(identity, mark.id) else { return Ok(None) };
    if first.at.plus(REQUEST_MEMORY) <= state.clock() {
        return Ok(None);
    }
    if first.hash != mark.hash {
        return Err(Refusal::RequestIdReused);
    }
    Ok(Some(Applied {
        answer: first_answer(state, first),
        revision: first.revision,
        repeated: true,
        changes: Changes::new(),
        entries: Vec::new(),
        more_to_sweep: false,
    }))
}

/// Remembers a request that was carried out.
pub(super) fn remember(transaction: &mut Transaction<'_>, answer: &Answer) -> Result<(), Refusal> {
    let command = transaction.command();
    let (Some(mark), Some(identity)) = (command.request, identity_of(transaction.state(), command)) else {
        return Ok(());
    };
    if transaction.state().request_count() >= REQUESTS_MAX {
        // An emergency does not wait for room: a revocation is carried out all the same, and forgotten.
        if command.operation.is_emergency() {
            return Ok(());
        }
        return Err(Refusal::QuotaExceeded { quota: Quota::RememberedRequests, limit: REQUESTS_MAX as u64 });
    }
    let replay = match &command.operation {
        Operation::CreateKeys(operation) => operation.replay.clone(),
        // Of a text that is delivered a repeat tells nothing: its box is the rotation's alone, until it has arrived.
        Operation::RotateKey(operation) if operation.is_delivered() => None,
        Operation::RotateKey(operation) => operation.replay.clone(),
        Operation::PrepareStandby(operation) => operation.replay.clone(),
        _ => None,
    };
    let request = RememberedRequest {
        identity,
        id: mark.id,
        hash: mark.hash,
        at: transaction.now(),
        revision: transaction.revision(),
        subject: subject(answer),
        replay,
    };
    transaction.put(Row::Request(Arc::new(request)));
    Ok(())
}

/// Forgets what is too old: key texts after the replay window, the whole after the memory. `true` where more remains.
pub(super) fn sweep(transaction: &mut Transaction<'_>) -> bool {
    let now = transaction.now();
    for _ in 0..SWEEP_REQUESTS_MAX {
        let Some(request) = transaction.state().request_due(now).cloned() else { return false };
        if request.at.plus(REQUEST_MEMORY) <= now {
            transaction.delete(RowId::Request(request.identity, request.id));
        } else {
            transaction.put(Row::Request(Arc::new(RememberedRequest { replay: None, ..(*request).clone() })));
        }
    }
    transaction.state().request_due(now).is_some()
}

fn identity_of(state: &State, command: &Command) -> Option<IdentityNumber> {
    match &command.actor {
        Actor::Identity(name) => state.identity(name).map(|identity| identity.number),
        Actor::Replica(_) | Actor::Key(_) | Actor::Service(_) => None,
    }
}

fn subject(answer: &Answer) -> RequestSubject {
    match answer {
        // Whoever claims carries no mark: to claim again is to renew.
        Answer::Done | Answer::Claim(_) => RequestSubject::Nothing,
        Answer::Tenant(tenant) => RequestSubject::Tenant(tenant.number),
        Answer::Keyspace(keyspace) => RequestSubject::Keyspace(keyspace.number),
        Answer::Owner(owner) => RequestSubject::Owner(owner.number),
        Answer::Identity(identity) => RequestSubject::Identity(identity.number),
        Answer::Keys { keys, .. } => {
            // Where no key was made, it does not matter where.
            let keyspace = keys.first().map_or(KeyspaceNumber(0), |(key, _)| key.keyspace);
            RequestSubject::Keys(keyspace, keys.iter().map(|(key, version)| (key.id, *version)).collect())
        }
        Answer::Revoked { key, version } => RequestSubject::Revoked(key.keyspace, key.id, *version),
        Answer::Imported { keyspace, rows } => RequestSubject::Imported(*keyspace, rows.as_slice().into()),
        Answer::Role(role) => RequestSubject::Role(role.number),
        Answer::Key(key) => RequestSubject::Key(key.keyspace, key.id),
        Answer::Counted(count) => RequestSubject::Counted(*count),
        Answer::Rotation { rotation, made, .. } => {
            RequestSubject::Rotation(rotation.keyspace, rotation.key, rotation.id, *made)
        }
    }
}

fn first_answer(state: &State, first: &RememberedRequest) -> Result<Answer, Refusal> {
    let gone = |kind| Refusal::NotFound { kind, name: "made by the first request and gone since".into() };
    match &first.subject {
        RequestSubject::Tenant(number) => state
            .tenants()
            .by_number(*number)
            .map(|tenant| Answer::Tenant(tenant.clone()))
            .ok_or_else(|| gone(ResourceKind::Tenant)),
        RequestSubject::Keyspace(number) => state
            .keyspaces()
            .by_number(*number)
            .map(|keyspace| Answer::Keyspace(keyspace.clone()))
            .ok_or_else(|| gone(ResourceKind::Keyspace)),
        RequestSubject::Owner(number) => state
            .owners()
            .by_number(*number)
            .map(|owner| Answer::Owner(owner.clone()))
            .ok_or_else(|| gone(ResourceKind::Owner)),
        RequestSubject::Identity(number) => state
            .identities()
            .by_number(*number)
            .map(|identity| Answer::Identity(identity.clone()))
            .ok_or_else(|| gone(ResourceKind::Identity)),
        RequestSubject::Keys(keyspace, keys) => {
            let keys: Option<Vec<_>> =
                keys.iter().map(|(key, version)| Some((state.key_at(*keyspace, *key)?.clone(), *version))).collect();
            // Also where the clock passed the window but no record came to sweep it.
            let replay = first.replay.clone().filter(|_| state.clock() < first.at.plus(REPLAY_WINDOW));
            keys.map(|keys| Answer::Keys { keys, replay }).ok_or_else(|| gone(ResourceKind::Key))
        }
        RequestSubject::Revoked(keyspace, key, version) => state
            .key_at(*keyspace, *key)
            .map(|key| Answer::Revoked { key: key.clone(), version: *version })
            .ok_or_else(|| gone(ResourceKind::Key)),
        RequestSubject::Nothing => Ok(Answer::Done),
        RequestSubject::Role(number) => state
            .roles()
            .by_number(*number)
            .map(|role| Answer::Role(role.clone()))
            .ok_or_else(|| gone(ResourceKind::Role)),
        RequestSubject::Key(keyspace, key) => {
            state.key_at(*keyspace, *key).map(|key| Answer::Key(key.clone())).ok_or_else(|| gone(ResourceKind::Key))
        }
        RequestSubject::Counted(count) => Ok(Answer::Counted(*count)),
        // Also where a key is gone since: whoever resumes an import wants to know that the row was in. Not where the
        // keyspace is: one of the same name may be there by now, and none of the rows is in it.
        RequestSubject::Imported(keyspace, rows) => match state.keyspaces().by_number(*keyspace) {
            Some(_) => Ok(Answer::Imported { keyspace: *keyspace, rows: rows.to_vec() }),
            None => Err(gone(ResourceKind::Keyspace)),
        },
        RequestSubject::Rotation(keyspace, key, rotation, made) => {
            let found = state.rotation_at(*keyspace, *key, *rotation).zip(state.key_at(*keyspace, *key));
            let replay = first.replay.clone().filter(|_| state.clock() < first.at.plus(REPLAY_WINDOW));
            found
                .map(|(rotation, key)| Answer::Rotation {
                    rotation: rotation.clone(),
                    key: key.clone(),
                    made: *made,
                    // What was minted and dropped must not come out of the box.
                    replay: replay.filter(|_| made.is_some()),
                })
                .ok_or_else(|| gone(ResourceKind::Rotation))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CreateOwner, Cut, CutScope, RequestMark};
    use crate::records::{Identity, Tenant, TenantQuotas};
    use latchkey_domain::{
        DisplayName, IdentityName, OwnerName, ReasonText, Revision, RevocationReason, RingNumber, Slug, TenantName,
        TenantNumber, UnixMillis,
    };

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    /// A state with the identity `acme/ann`, whose requests fill the memory.
    fn full() -> State {
        let mut state = State::default();
        let (display_name, created_at) = (DisplayName::default(), UnixMillis::new(0));
        let (tenant, key) = (TenantNumber(1), RingNumber(1));
        let acme = Tenant {
            contacts: Vec::new(),
            number: tenant,
            id: slug("acme"),
            display_name: display_name.clone(),
            quotas: TenantQuotas::default(),
            created_at,
            changed: None,
            cut: None,
            tenant_key: key,
            audit_key: key,
        };
        state.install(Row::Tenant(Arc::new(acme)));
        let (number, id) = (IdentityNumber(1), slug("ann"));
        let ann = Identity { number, tenant, id, display_name, grants: Vec::new(), created_at, changed: None };
        state.install(Row::Identity(Arc::new(ann)));
        for id in 0..REQUESTS_MAX {
            remember_as(&mut state, u8::try_from(id).unwrap(), create_owner()).unwrap();
        }
        state
    }

    fn create_owner() -> Operation {
        let name = OwnerName::new(slug("acme"), slug("shop"));
        Operation::CreateOwner(CreateOwner { name, display_name: DisplayName::default(), contacts: Vec::new() })
    }

    fn remember_as(state: &mut State, id: u8, operation: Operation) -> Result<(), Refusal> {
        let actor = Actor::Identity(IdentityName::new(slug("acme"), slug("ann")));
        let request = Some(RequestMark { id: [id; 16], hash: [0; 32] });
        let command = Command { request, ..Command::new(actor, [0; 32], operation) };
        let mut transaction = Transaction::new(state, Revision::new(1, 1), &command);
        remember(&mut transaction, &Answer::Done)
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let mut state = full();
        let refusal = remember_as(&mut state, 99, create_owner()).unwrap_err();
        let limit = REQUESTS_MAX as u64;
        assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::RememberedRequests, limit });
        assert!((0..3).all(|id| state.request(IdentityNumber(1), [id; 16]).is_some()));
    }

    #[test]
    fn a_full_memory_stops_no_revocation() {
        let mut state = full();
        let scope = CutScope::Tenant(TenantName::new(slug("acme")));
        let cut = Cut { scope, reason: RevocationReason::Compromised, text: ReasonText::default() };
        assert_eq!(remember_as(&mut state, 99, Operation::Cut(cut)), Ok(()));
        assert_eq!(state.request_count(), REQUESTS_MAX);
    }
}
