//! What whoever drives rotations reads.

use super::name;
use latchkey_domain::{KeyId, KeyName, KeyspaceNumber, RotationId, RotationName, RotationPolicy, UnixMillis};
use latchkey_state::{DueKey, ExpiringKey, ExpiryAt, KeyAt, Rotation, RotationAt, State, SurveyedKeyspace};
use latchkey_transport::{INTERNAL_MESSAGE_BYTES_MAX, Rejection};
use latchkey_wire::disk::{write_rotation_claim, write_rotation_policy, write_rotation_row};
use latchkey_wire::pb::disk::v1 as disk;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::driving_answer::What as Told;
use latchkey_wire::pb::internal::v1::driving_query::What;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use prost::Message;
use std::sync::Arc;
use tonic::Status;

/// Rotations looked at for one page.
const ROTATIONS_SCAN: usize = 2_000;

/// Keys looked at for one page: a few milliseconds.
const KEYS_SCAN: usize = 5_000;

/// Keys that soon end, and keyspaces, looked at for one page.
const EXPIRIES_SCAN: usize = 5_000;

/// Bytes of one page, well below what a message between services may have. How long policies, texts and sealed secrets are
/// is up to tenants, and a page that cannot be read would stop the rotations of all of them.
const PAGE_BYTES_MAX: usize = INTERNAL_MESSAGE_BYTES_MAX / 4;

/// Bytes of the id of a key or of a rotation.
const ID_BYTES: usize = 12;

pub(super) fn driving(state: &State, now: UnixMillis, query: &pb::DrivingQuery) -> Result<Answer, Status> {
    let what = query.what.as_ref().ok_or_else(|| Status::invalid_argument("a query has to say what to read"))?;
    let told = match what {
        What::Claim(pb::driving_query::Claim {}) => Told::Claim(pb::DrivingClaim {
            claim: state.rotation_claim().map(write_rotation_claim),
            feature_level: state.progress().feature_level,
        }),
        What::Rotations(page) => {
            let after = position(&page.after, read_rotation_at)?;
            Told::Rotations(fitting(ROTATIONS_SCAN, |scan| rotations(state, now, after, scan)))
        }
        What::Rotation(text) => {
            let found = state.rotation(&name(RotationName::parse(text))?);
            let ended = found.map(|rotation| ended(state, rotation)).unwrap_or_default();
            let rotations = found.and_then(|rotation| driven(state, rotation)).into_iter().collect();
            Told::Rotations(pb::DrivenRotations { rotations, ended, ..pb::DrivenRotations::default() })
        }
        What::Survey(page) => {
            let after = position(&page.after, read_key_at)?;
            Told::Survey(fitting(KEYS_SCAN, |scan| survey(state, now, after, scan)))
        }
        What::Expiries(page) => {
            let after = position(&page.after, read_expiry_at)?;
            Told::Expiries(fitting(EXPIRIES_SCAN, |scan| expiries(state, now, after, scan)))
        }
    };
    Ok(Answer::Driving(pb::DrivingAnswer { now_unix_ms: now.millis(), what: Some(told) }))
}

/// The page over as many as fit into it: at least one, which does by what the domain bounds.
fn fitting<T: Message>(mut scan: usize, page: impl Fn(usize) -> T) -> T {
    loop {
        let told = page(scan);
        let bytes = told.encoded_len();
        if bytes <= PAGE_BYTES_MAX || scan <= 1 {
            return told;
        }
        scan = (scan * PAGE_BYTES_MAX / bytes).clamp(1, scan / 2);
    }
}

fn rotations(state: &State, now: UnixMillis, after: Option<RotationAt>, scan: usize) -> pb::DrivenRotations {
    let page = state.driven_rotations(after, now, scan);
    pb::DrivenRotations {
        rotations: page.rotations.iter().filter_map(|rotation| driven(state, rotation)).collect(),
        states: page.states.to_vec(),
        next: page.next.map(write_rotation_at).unwrap_or_default(),
        ended: Vec::new(),
    }
}

/// The rotations of the same key that have ended, in that order: their stores may not have been told.
fn ended(state: &State, rotation: &Rotation) -> Vec<pb::DrivenRotation> {
    let all = state.rotations_of(rotation.keyspace, rotation.key);
    let delivered = |one: &&Arc<Rotation>| one.course.as_ref().is_some_and(|course| course.delivery.is_some());
    let mut ended: Vec<_> = all.filter(|one| one.state.is_final()).filter(delivered).collect();
    ended.sort_unstable_by_key(|one| (one.ended_at, one.changed.revision));
    ended.into_iter().filter_map(|one| driven(state, one)).collect()
}

/// With its policy where the window of that still matters.
fn driven(state: &State, rotation: &Arc<Rotation>) -> Option<pb::DrivenRotation> {
    let keyspace = state.keyspaces().by_number(rotation.keyspace)?;
    let waits = rotation.new.is_none() && rotation.course.as_ref().is_some_and(|course| course.by_policy);
    let found = state.key_at(rotation.keyspace, rotation.key);
    let own = found.and_then(|key| key.rotation_policy());
    let old = found.and_then(|key| Some((key, key.version(rotation.old?)?)));
    // By the time that is written down: whoever drives renews a claim all the time.
    let old_lives = old.is_some_and(|(key, old)| !state.version_worth(key, old, state.clock()).is_dead());
    let policy = own.or(keyspace.settings.rotation_policy.as_deref()).filter(|_| waits);
    let name = KeyName { keyspace: state.keyspace_name(keyspace), key: rotation.key };
    Some(pb::DrivenRotation {
        key: name.to_string(),
        rotation: Some(write_rotation_row(rotation)),
        policy: policy.map(pace),
        old_is_dead: !old_lives,
    })
}

/// When and how many at once: which keys are in which phase is told by what was counted of them.
fn pace(policy: &RotationPolicy) -> disk::RotationPolicy {
    write_rotation_policy(&RotationPolicy { phases: [].into(), ..policy.clone() })
}

fn survey(state: &State, now: UnixMillis, after: Option<KeyAt>, scan: usize) -> pb::RotationSurvey {
    let survey = state.rotation_survey(after, now, scan);
    pb::RotationSurvey {
        keyspaces: survey.keyspaces.iter().filter_map(|told| surveyed(state, told)).collect(),
        next: survey.next.map(write_key_at).unwrap_or_default(),
    }
}

fn surveyed(state: &State, told: &SurveyedKeyspace) -> Option<pb::SurveyedKeyspace> {
    let keyspace = state.keyspaces().by_number(told.keyspace)?;
    let phases = told.phases.iter();
    Some(pb::SurveyedKeyspace {
        name: state.keyspace_name(keyspace).to_string(),
        policy: keyspace.settings.rotation_policy.as_deref().map(pace),
        due: told.due.iter().map(due).collect(),
        noticed_key_ids: told.noticed.iter().map(|key| key.bytes().to_vec()).collect(),
        ended: told.ended.iter().filter_map(|rotation| driven(state, rotation)).collect(),
        phases: phases
            .map(|phase| pb::PhaseTally { due: phase.due, unsettled: phase.unsettled, troubled: phase.troubled })
            .collect(),
        unsettled: told.unsettled,
        overdue: told.overdue,
        overdue_since_unix_ms: told.overdue_since.map(UnixMillis::millis),
        versions: told.versions.to_vec(),
        ages: told.ages.to_vec(),
        next_due_at_unix_ms: told.next_due_at.map(UnixMillis::millis),
        expiring: told.expiring.to_vec(),
    })
}

fn expiries(state: &State, now: UnixMillis, after: Option<ExpiryAt>, scan: usize) -> pb::OwedExpiries {
    let told = state.owed_expiries(after, now, scan);
    pb::OwedExpiries {
        owed: told.owed.iter().filter_map(|key| expiring(state, key)).collect(),
        next_at_unix_ms: told.next_at.map(UnixMillis::millis),
        next: told.next.map(write_expiry_at).unwrap_or_default(),
    }
}

fn expiring(state: &State, told: &ExpiringKey) -> Option<pb::ExpiringKey> {
    let keyspace = state.keyspace_name(state.keyspaces().by_number(told.keyspace)?);
    let key = KeyName { keyspace, key: told.key }.to_string();
    Some(pb::ExpiringKey { key, expires_at_unix_ms: told.expires_at.millis() })
}

fn due(due: &DueKey) -> pb::DueKey {
    pb::DueKey {
        key_id: due.key.bytes().to_vec(),
        due_at_unix_ms: due.due_at.millis(),
        phase: due.phase.into(),
        own_policy: due.own_policy.as_deref().map(pace),
    }
}

/// Where a page begins; the empty position is the beginning.
fn position<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    read(bytes).map(Some).ok_or_else(|| Rejection::PageTokenInvalid.into())
}

fn write_rotation_at((keyspace, time, key, rotation): RotationAt) -> Vec<u8> {
    [&keyspace.0.to_be_bytes()[..], &time.millis().to_be_bytes(), key.bytes(), rotation.bytes()].concat()
}

fn read_rotation_at(bytes: &[u8]) -> Option<RotationAt> {
    let (keyspace, rest) = bytes.split_first_chunk()?;
    let (time, ids) = rest.split_first_chunk()?;
    let (key, rotation) = ids.split_at_checked(ID_BYTES)?;
    let (key, rotation) =
        (KeyId::from_bytes(key.try_into().ok()?)?, RotationId::from_bytes(rotation.try_into().ok()?)?);
    let keyspace = KeyspaceNumber(u32::from_be_bytes(*keyspace));
    Some((keyspace, UnixMillis::new(u64::from_be_bytes(*time)), key, rotation))
}

fn write_expiry_at((keyspace, time, key): ExpiryAt) -> Vec<u8> {
    [&keyspace.0.to_be_bytes()[..], &time.millis().to_be_bytes(), key.bytes()].concat()
}

fn read_expiry_at(bytes: &[u8]) -> Option<ExpiryAt> {
    let (keyspace, rest) = bytes.split_first_chunk()?;
    let (time, key) = rest.split_first_chunk()?;
    let key = KeyId::from_bytes(key.try_into().ok()?)?;
    Some((KeyspaceNumber(u32::from_be_bytes(*keyspace)), UnixMillis::new(u64::from_be_bytes(*time)), key))
}

fn write_key_at((keyspace, key): KeyAt) -> Vec<u8> {
    [&keyspace.0.to_be_bytes()[..], key.bytes()].concat()
}

fn read_key_at(bytes: &[u8]) -> Option<KeyAt> {
    let (keyspace, key) = bytes.split_first_chunk()?;
    Some((KeyspaceNumber(u32::from_be_bytes(*keyspace)), KeyId::from_bytes(key.try_into().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fits_into_a_message_whatever_tenants_put_into_it() {
        for bytes_of_one in [10, 1_000, 20_000] {
            let page = |scan: usize| pb::DrivenRotations { next: vec![1; scan * bytes_of_one], ..Default::default() };
            let bytes = fitting(KEYS_SCAN, page).encoded_len();
            assert!((bytes_of_one..=PAGE_BYTES_MAX).contains(&bytes), "{bytes} bytes at {bytes_of_one} each");
        }
        let longest = fitting(KEYS_SCAN, |scan| pb::DrivenRotations { next: vec![1; scan * 10], ..Default::default() });
        assert_eq!(longest.next.len(), KEYS_SCAN * 10, "what fits is not cut");
    }

    #[test]
    fn a_place_survives_its_bytes_and_no_others_are_one() {
        let rotation = (KeyspaceNumber(7), UnixMillis::LAST, KeyId::HIGHEST, RotationId::LOWEST);
        assert_eq!(read_rotation_at(&write_rotation_at(rotation)), Some(rotation));
        let key = (KeyspaceNumber(7), KeyId::HIGHEST);
        assert_eq!(read_key_at(&write_key_at(key)), Some(key));
        let expiry = (KeyspaceNumber(7), UnixMillis::LAST, KeyId::HIGHEST);
        assert_eq!(read_expiry_at(&write_expiry_at(expiry)), Some(expiry));
        for bytes in
            [&[][..], &[1; 15], &[1; 17], &[1; 23], &[1; 25], &[1; 35], &[1; 37], &[0xFF; 16], &[0xFF; 24], &[0xFF; 36]]
        {
            let read = (read_rotation_at(bytes), read_key_at(bytes), read_expiry_at(bytes));
            assert_eq!(read, (None, None, None), "{bytes:?}");
        }
    }
}
