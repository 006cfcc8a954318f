//! Listings of rotations: those of a key, those in progress of a keyspace or a tenant, and the keys that are due.

use super::{name, not_found};
use latchkey_domain::{KeyId, KeyName, KeyspaceNumber, ResourceKind, Scope, UnixMillis};
use latchkey_state::listing::{KeyFilter, RotationPlace, SCAN_MAX};
use latchkey_state::{Key, Keyspace, Rotation};
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{DueParent, RotationFilter, RotationParent};
use latchkey_wire::resource::View;
use latchkey_wire::time::write_time;
use latchkey_wire::violation::FieldViolations;
use std::sync::Arc;
use tonic::Status;

/// Rotations that one page looks at: each is a lookup, so that a page that finds none takes some milliseconds.
const ROTATIONS_SCAN_MAX: usize = 10_000;

/// Bytes of the number of a keyspace in a position.
const NUMBER_BYTES: usize = 4;

/// One page of the rotations of a key, or of those in progress of a keyspace or a tenant. What is not there is the
/// answer.
pub(super) fn rotations(
    view: &View<'_>,
    list: &pb::ListQuery,
    size: usize,
    seen: impl Fn(Scope) -> bool,
    answer: &mut pb::ListAnswer,
) -> Result<Option<Answer>, Status> {
    let filter = RotationFilter::parse(&list.filter).map_err(|error| invalid("filter", &error.to_string()))?;
    match name(RotationParent::parse(&list.parent))? {
        RotationParent::Key(key) => of_key(view, list, &key, size, &filter, seen, answer),
        RotationParent::InProgress(parent) => {
            let Some(keyspaces) = keyspaces(view, &parent) else { return Ok(Some(missing(&parent))) };
            if seen(parent.scope()) {
                in_progress(view, list, &keyspaces, size, &filter, answer)?;
            }
            Ok(None)
        }
    }
}

fn of_key(
    view: &View<'_>,
    list: &pb::ListQuery,
    key: &KeyName,
    size: usize,
    filter: &RotationFilter,
    seen: impl Fn(Scope) -> bool,
    answer: &mut pb::ListAnswer,
) -> Result<Option<Answer>, Status> {
    let after = match list.position.as_slice() {
        [] => None,
        bytes => Some(RotationPlace::decode(bytes).ok_or(Rejection::PageTokenInvalid)?),
    };
    let Some(found) = view.state.key(key) else { return Ok(Some(not_found(ResourceKind::Key, &list.parent))) };
    if seen(Scope::Keyspace(key.keyspace.clone())) {
        let listed = view.state.list_rotations(found.keyspace, found.id, after);
        // At most the last few of one key: all of them are looked at.
        let mut listed = listed.iter().filter(|rotation| filter.shows(rotation.state_at(view.now))).peekable();
        let page: Vec<_> = listed.by_ref().take(size).collect();
        answer.more = listed.peek().is_some();
        let last = page.last().filter(|_| answer.more);
        answer.next_position = last.map(|last| RotationPlace::of_key(last).encode()).unwrap_or_default();
        answer.rotations = page.into_iter().map(|rotation| view.rotation(rotation)).collect();
    }
    Ok(None)
}

/// Keyspace by keyspace, by number, which never changes: writes between two pages neither repeat nor hide a rotation that
/// stays where it is.
fn in_progress(
    view: &View<'_>,
    list: &pb::ListQuery,
    keyspaces: &[Arc<Keyspace>],
    size: usize,
    filter: &RotationFilter,
    answer: &mut pb::ListAnswer,
) -> Result<(), Status> {
    let after = match list.position.as_slice() {
        [] => None,
        bytes => Some(read_place(bytes).ok_or(Rejection::PageTokenInvalid)?),
    };
    let begin = after.map_or(KeyspaceNumber(0), |(keyspace, _)| keyspace);
    let in_keyspace = |number: KeyspaceNumber| {
        let after = after.filter(|(keyspace, _)| *keyspace == number).map(|(_, place)| place);
        view.state.list_rotations_in_progress(number, after)
    };
    let mut listed = keyspaces
        .iter()
        .map(|keyspace| keyspace.number)
        .filter(|number| *number >= begin)
        .flat_map(in_keyspace)
        .peekable();
    let mut last: Option<&Arc<Rotation>> = None;
    for _ in 0..ROTATIONS_SCAN_MAX {
        if answer.rotations.len() == size {
            break;
        }
        let Some(rotation) = listed.next() else { break };
        let state = rotation.state_at(view.now);
        if !state.is_final() && filter.shows(state) {
            answer.rotations.push(view.rotation(rotation));
        }
        last = Some(rotation);
    }
    answer.more = listed.peek().is_some();
    answer.next_position = last.filter(|_| answer.more).map(|last| write_place(last)).unwrap_or_default();
    Ok(())
}

/// One page of the keys that are due, or will be within a while. What is not there is the answer.
pub(super) fn due(
    view: &View<'_>,
    list: &pb::ListQuery,
    size: usize,
    seen: impl Fn(Scope) -> bool,
    answer: &mut pb::ListAnswer,
) -> Result<Option<Answer>, Status> {
    let parent = name(DueParent::parse(&list.parent))?;
    let Some(keyspaces) = keyspaces(view, &parent) else { return Ok(Some(missing(&parent))) };
    if !seen(parent.scope()) {
        return Ok(None);
    }
    let after = match list.position.as_slice() {
        [] => None,
        bytes => Some(read_key(bytes).ok_or(Rejection::PageTokenInvalid)?),
    };
    let begin = after.map_or(KeyspaceNumber(0), |(keyspace, _)| keyspace);
    let by = view.now.plus(latchkey_domain::DurationMillis::new(list.within_ms));
    let mut looked_at = 0;
    for keyspace in keyspaces.iter().filter(|keyspace| keyspace.number >= begin) {
        let after = after.filter(|(number, _)| *number == keyspace.number).map(|(_, key)| key);
        let phases = Phases::of(view, keyspace);
        for key in view.state.keys_of(keyspace.number, after) {
            if looked_at == SCAN_MAX || answer.due_rotations.len() == size {
                answer.more = true;
                return Ok(None);
            }
            looked_at += 1;
            answer.due_rotations.extend(due_rotation(view, keyspace, &phases, key, by));
            answer.next_position = write_key(key);
        }
    }
    answer.next_position.clear();
    Ok(None)
}

/// The phases of the policy of a keyspace, their filters read once.
struct Phases(Vec<(String, KeyFilter)>);

impl Phases {
    fn of(view: &View<'_>, keyspace: &Keyspace) -> Self {
        let phases = keyspace.settings.rotation_policy.iter().flat_map(|policy| &policy.phases);
        // One that does not read, which no request brings in, has no keys.
        let read = phases.filter_map(|phase| {
            KeyFilter::parse(view.state, &phase.filter).ok().map(|filter| (phase.name.to_string(), filter))
        });
        Self(read.collect())
    }

    fn of_key(&self, view: &View<'_>, key: &Key) -> String {
        let phase = self.0.iter().find(|(_, filter)| filter.matches(view.state, key, view.now));
        phase.map(|(name, _)| name.clone()).unwrap_or_default()
    }
}

/// A key as due, where it is by then and nothing of it is under way; a standby is no rotation yet.
fn due_rotation(
    view: &View<'_>,
    keyspace: &Keyspace,
    phases: &Phases,
    key: &Key,
    by: UnixMillis,
) -> Option<v1::DueRotation> {
    let rotates = key.rotation().and_then(|id| view.state.rotation_at(key.keyspace, key.id, id));
    if rotates.is_some_and(|rotation| !rotation.is_standby() && !rotation.state_at(view.now).is_final()) {
        return None;
    }
    let own = key.rotation_policy();
    let policy = own.or(keyspace.settings.rotation_policy.as_deref())?;
    let due_at = view.state.rotation_due_at(keyspace, key, view.now).filter(|due_at| *due_at <= by)?;
    Some(v1::DueRotation {
        key: KeyName { keyspace: view.state.keyspace_name(keyspace), key: key.id }.to_string(),
        due_time: Some(write_time(due_at)),
        mode: v1::RotationMode::from(policy.mode).into(),
        phase: if own.is_some() { String::new() } else { phases.of_key(view, key) },
        own_policy: own.is_some(),
    })
}

/// The keyspaces of a parent, by number; none where it is not there.
fn keyspaces(view: &View<'_>, parent: &DueParent) -> Option<Vec<Arc<Keyspace>>> {
    match parent {
        DueParent::Keyspace(keyspace) => view.state.keyspace(keyspace).map(|found| vec![found.clone()]),
        DueParent::Tenant(tenant) => {
            let found = view.state.tenant(tenant)?;
            let mut keyspaces: Vec<_> = view.state.keyspaces().of_tenant(found.number, None).cloned().collect();
            keyspaces.sort_unstable_by_key(|keyspace| keyspace.number);
            Some(keyspaces)
        }
    }
}

fn missing(parent: &DueParent) -> Answer {
    let kind = match parent {
        DueParent::Keyspace(_) => ResourceKind::Keyspace,
        DueParent::Tenant(_) => ResourceKind::Tenant,
    };
    not_found(kind, parent)
}

fn write_place(rotation: &Rotation) -> Vec<u8> {
    let place = RotationPlace::of_keyspace(rotation).encode();
    rotation.keyspace.0.to_be_bytes().into_iter().chain(place).collect()
}

fn read_place(bytes: &[u8]) -> Option<(KeyspaceNumber, RotationPlace)> {
    let (number, place) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    Some((KeyspaceNumber(u32::from_be_bytes(*number)), RotationPlace::decode(place)?))
}

fn write_key(key: &Key) -> Vec<u8> {
    key.keyspace.0.to_be_bytes().iter().chain(key.id.bytes()).copied().collect()
}

fn read_key(bytes: &[u8]) -> Option<(KeyspaceNumber, KeyId)> {
    let (number, key) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    Some((KeyspaceNumber(u32::from_be_bytes(*number)), KeyId::from_bytes(key.try_into().ok()?)?))
}

fn invalid(field: &str, description: &str) -> Status {
    Rejection::FieldsInvalid(FieldViolations::one(field, description)).into()
}
