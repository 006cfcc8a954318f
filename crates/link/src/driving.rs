//! What whoever drives rotations reads of the replicated state, as types.

use crate::answers::{read_as, unexpected};
use crate::{Query, Registry};
use latchkey_domain::{
    KeyId, KeyName, KeyspaceName, PHASES_MAX, RotationName, RotationPolicy, RotationState, UnixMillis,
};
use latchkey_state::{AGE_DAYS, DueKey, EXPIRING_DAYS, PhaseTally, Rotation, RotationClaim, VersionState};
use latchkey_transport::status;
use latchkey_wire::disk::{DecodeError, read_rotation_claim, read_rotation_policy, read_rotation_row};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::driving_answer::What as Told;
use latchkey_wire::pb::internal::v1::driving_query::{self, What};
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::request::Consistency;
use tokio::time::Instant;
use tonic::Status;

/// Who holds the rotation claim.
#[derive(Clone, Copy, Debug)]
pub struct ClaimView {
    /// The time of the cluster.
    pub now: UnixMillis,
    /// The claim; absent: nobody ever had it.
    pub claim: Option<RotationClaim>,
    /// The feature level of the cluster.
    pub feature_level: u32,
}

/// A page of rotations in progress.
#[derive(Clone, Debug)]
pub struct DrivenPage {
    /// The time of the cluster.
    pub now: UnixMillis,
    /// Those for which something may be to do.
    pub rotations: Vec<Driven>,
    /// How many are in each state, by their place in [`RotationState::ALL`].
    pub states: [u64; RotationState::ALL.len()],
    /// Where to go on; empty: these were the last.
    pub next: Vec<u8>,
}

/// A rotation in progress.
#[derive(Clone, Debug)]
pub struct Driven {
    /// Its name.
    pub name: RotationName,
    /// The rotation.
    pub rotation: Rotation,
    /// The policy of its key, where a policy planned it and it has not begun.
    pub policy: Option<RotationPolicy>,
    /// Whether its old version lives; of one that had none it does not.
    pub old_lives: bool,
}

/// What looking at some keys told.
#[derive(Clone, Debug)]
pub struct SurveyPage {
    /// The time of the cluster.
    pub now: UnixMillis,
    /// Each keyspace with keys among them. The last may go on.
    pub keyspaces: Vec<KeyspaceView>,
    /// Where to go on; empty: these were the last.
    pub next: Vec<u8>,
}

/// What looking at some keys of one keyspace told. The fields are those of
/// [`SurveyedKeyspace`](latchkey_state::SurveyedKeyspace).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are told of there")]
pub struct KeyspaceView {
    pub name: KeyspaceName,
    pub policy: Option<RotationPolicy>,
    pub due: Vec<DueKey>,
    pub noticed: Vec<KeyId>,
    pub ended: Vec<Driven>,
    pub phases: [PhaseTally; PHASES_MAX + 1],
    pub unsettled: u64,
    pub overdue: u64,
    pub overdue_since: Option<UnixMillis>,
    pub versions: [u64; VersionState::ALL.len()],
    pub ages: [u64; AGE_DAYS.len() + 1],
    pub next_due_at: Option<UnixMillis>,
    pub expiring: [u64; EXPIRING_DAYS.len()],
}

/// A page of keys of which a notice of their expiry is owed.
#[derive(Clone, Debug)]
pub struct ExpiriesPage {
    /// The time of the cluster.
    pub now: UnixMillis,
    /// The keys, each with when it ends.
    pub owed: Vec<(UnixMillis, KeyName)>,
    /// When the next notice will be owed of those looked at; absent: none will.
    pub next_at: Option<UnixMillis>,
    /// Where to go on; empty: these were the last.
    pub next: Vec<u8>,
}

/// Reads who holds the rotation claim.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn claim(registry: &impl Registry, by: Instant) -> Result<ClaimView, Status> {
    let (now, told) = read(registry, What::Claim(driving_query::Claim {}), by).await?;
    let Told::Claim(told) = told else { return Err(unexpected("a claim")) };
    let claim = told.claim.as_ref().map(read_rotation_claim).transpose().map_err(damaged)?;
    Ok(ClaimView { now, claim, feature_level: told.feature_level })
}

/// Reads rotations in progress.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn rotations(registry: &impl Registry, after: Vec<u8>, by: Instant) -> Result<DrivenPage, Status> {
    let (now, told) = read(registry, What::Rotations(driving_query::Rotations { after }), by).await?;
    let Told::Rotations(page) = told else { return Err(unexpected("rotations")) };
    let rotations = page.rotations.iter().map(driven).collect::<Result<_, _>>().map_err(damaged)?;
    let states = counts(&page.states, "rotations.states").map_err(damaged)?;
    Ok(DrivenPage { now, rotations, states, next: page.next })
}

/// Reads one rotation; `None` where it is not there.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn rotation(
    registry: &impl Registry,
    name: &RotationName,
    by: Instant,
) -> Result<(UnixMillis, Option<Driven>), Status> {
    let (now, told) = read(registry, What::Rotation(name.to_string()), by).await?;
    let Told::Rotations(page) = told else { return Err(unexpected("a rotation")) };
    Ok((now, page.rotations.first().map(driven).transpose().map_err(damaged)?))
}

/// Reads the rotations of the same key that have ended and had a delivery, in the order of their ends.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn ended(registry: &impl Registry, name: &RotationName, by: Instant) -> Result<Vec<Driven>, Status> {
    let (_, told) = read(registry, What::Rotation(name.to_string()), by).await?;
    let Told::Rotations(page) = told else { return Err(unexpected("ended rotations")) };
    page.ended.iter().map(driven).collect::<Result<_, _>>().map_err(damaged)
}

/// Reads what looking at keys tells.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn survey(registry: &impl Registry, after: Vec<u8>, by: Instant) -> Result<SurveyPage, Status> {
    let (now, told) = read(registry, What::Survey(driving_query::Survey { after }), by).await?;
    let Told::Survey(page) = told else { return Err(unexpected("a survey")) };
    let keyspaces = page.keyspaces.iter().map(keyspace).collect::<Result<_, _>>().map_err(damaged)?;
    Ok(SurveyPage { now, keyspaces, next: page.next })
}

/// Reads of which keys a notice of their expiry is owed.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn expiries(registry: &impl Registry, after: Vec<u8>, by: Instant) -> Result<ExpiriesPage, Status> {
    let (now, told) = read(registry, What::Expiries(driving_query::Expiries { after }), by).await?;
    let Told::Expiries(page) = told else { return Err(unexpected("keys that soon end")) };
    let owed = page.owed.iter().map(expiring).collect::<Result<_, _>>().map_err(damaged)?;
    Ok(ExpiriesPage { now, owed, next_at: page.next_at_unix_ms.map(UnixMillis::new), next: page.next })
}

/// From a state that knows what this process was told: a step that was just taken is never taken again.
async fn read(registry: &impl Registry, what: What, by: Instant) -> Result<(UnixMillis, Told), Status> {
    let query = Query::Driving(pb::DrivingQuery { what: Some(what) });
    match read_as(registry, query, Consistency::default(), by).await? {
        (Answer::Driving(pb::DrivingAnswer { now_unix_ms, what: Some(told) }), _) => {
            Ok((UnixMillis::new(now_unix_ms), told))
        }
        _ => Err(unexpected("what drives rotations")),
    }
}

fn driven(told: &pb::DrivenRotation) -> Result<Driven, DecodeError> {
    let row = told.rotation.as_ref().ok_or_else(|| problem("driven.rotation", &"missing"))?;
    let rotation = read_rotation_row(row)?;
    let key = KeyName::parse(&told.key).map_err(|error| problem("driven.key", &error))?;
    let policy = told.policy.as_ref().map(read_rotation_policy).transpose()?;
    let name = RotationName { key, rotation: rotation.id };
    Ok(Driven { name, rotation, policy, old_lives: !told.old_is_dead })
}

fn keyspace(told: &pb::SurveyedKeyspace) -> Result<KeyspaceView, DecodeError> {
    let mut phases = [PhaseTally::default(); PHASES_MAX + 1];
    for (phase, told) in phases.iter_mut().zip(&told.phases) {
        *phase = PhaseTally { due: told.due, unsettled: told.unsettled, troubled: told.troubled };
    }
    Ok(KeyspaceView {
        name: KeyspaceName::parse(&told.name).map_err(|error| problem("surveyed.name", &error))?,
        policy: told.policy.as_ref().map(read_rotation_policy).transpose()?,
        due: told.due.iter().map(due).collect::<Result<_, _>>()?,
        noticed: told.noticed_key_ids.iter().map(|id| key_id(id)).collect::<Result<_, _>>()?,
        ended: told.ended.iter().map(driven).collect::<Result<_, _>>()?,
        phases,
        unsettled: told.unsettled,
        overdue: told.overdue,
        overdue_since: told.overdue_since_unix_ms.map(UnixMillis::new),
        versions: counts(&told.versions, "surveyed.versions")?,
        ages: counts(&told.ages, "surveyed.ages")?,
        next_due_at: told.next_due_at_unix_ms.map(UnixMillis::new),
        expiring: counts(&told.expiring, "surveyed.expiring")?,
    })
}

fn expiring(told: &pb::ExpiringKey) -> Result<(UnixMillis, KeyName), DecodeError> {
    let key = KeyName::parse(&told.key).map_err(|error| problem("expiring.key", &error))?;
    Ok((UnixMillis::new(told.expires_at_unix_ms), key))
}

fn due(told: &pb::DueKey) -> Result<DueKey, DecodeError> {
    let own_policy = told.own_policy.as_ref().map(read_rotation_policy).transpose()?;
    Ok(DueKey {
        key: key_id(&told.key_id)?,
        due_at: UnixMillis::new(told.due_at_unix_ms),
        phase: u8::try_from(told.phase).map_err(|error| problem("due.phase", &error))?,
        own_policy: own_policy.map(Box::new),
    })
}

fn key_id(bytes: &[u8]) -> Result<KeyId, DecodeError> {
    let id = bytes.try_into().ok().and_then(KeyId::from_bytes);
    id.ok_or_else(|| problem("key_id", &"no id of a key"))
}

/// Counts by place; what another build does not count is none.
fn counts<const PLACES: usize>(told: &[u64], field: &'static str) -> Result<[u64; PLACES], DecodeError> {
    if told.len() > PLACES {
        return Err(problem(field, &format_args!("{} places, expected at most {PLACES}", told.len())));
    }
    let mut counts = [0; PLACES];
    counts[..told.len()].copy_from_slice(told);
    Ok(counts)
}

fn problem(field: &'static str, problem: &dyn ToString) -> DecodeError {
    DecodeError { field, problem: problem.to_string() }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of the error in `map_err`")]
fn damaged(error: DecodeError) -> Status {
    status::bug(&error.to_string())
}
