//! Keys that are made to be revoked, and their revocation through a replica.

use crate::caller::{Caller, reason};
use crate::keys::{Made, create, make};
use crate::random::Random;
use crate::report::Trouble;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica_status::State;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// How long a revocation may take in all: the longest bound, an election or two, and a slow machine.
pub(super) const REVOKE_MAX: Duration = Duration::from_secs(60);

/// How long the barrier may wait.
const WAIT_MAX: prost_types::Duration = prost_types::Duration { seconds: 40, nanos: 0 };

/// Keys that are made at once.
const AT_ONCE: usize = 16;

/// A revocation that was acknowledged.
#[derive(Debug)]
pub(super) struct Revoked {
    pub(super) began: Instant,
    pub(super) answered: Instant,
    pub(super) answer: v1::RevokeKeyResponse,
}

impl Revoked {
    /// How each replica stood.
    pub(super) fn states(&self) -> BTreeMap<u64, State> {
        let replicas = self.answer.regions.iter().flat_map(|region| &region.replicas);
        replicas.map(|status| (status.replica, status.state())).collect()
    }

    /// Whether so many replicas are named and none is waited for.
    pub(super) fn is_confirmed(&self, replicas: usize) -> bool {
        let states = self.states();
        states.len() >= replicas && states.values().all(|state| *state != State::Waiting)
    }
}

/// Makes keys.
pub(super) async fn make_keys(issuance: &Caller, count: usize, random: &mut Random) -> Result<Vec<Made>, Trouble> {
    let mut makers = JoinSet::new();
    for maker in 0..AT_ONCE.min(count) {
        let (issuance, mut random) = (issuance.clone(), random.fork());
        let share = count / AT_ONCE + usize::from(maker < count % AT_ONCE);
        makers.spawn(async move {
            let mut keys = Vec::with_capacity(share);
            while keys.len() < share {
                keys.push(make_patiently(&issuance, &mut random).await?);
            }
            Ok::<_, Trouble>(keys)
        });
    }
    let mut keys = Vec::with_capacity(count);
    while let Some(ended) = makers.join_next().await {
        keys.extend(ended.map_err(Trouble::not_run)??);
    }
    Ok(keys)
}

/// Makes one key, however many elections come between.
pub(super) async fn make_patiently(issuance: &Caller, random: &mut Random) -> Result<Made, Trouble> {
    let (request_id, by) = (random.uuid(), Instant::now() + REVOKE_MAX);
    loop {
        match make(issuance, create("to be revoked", &request_id)).await {
            Err(_) if Instant::now() < by => sleep(Duration::from_millis(50)).await,
            ended => return ended,
        }
    }
}

/// Whether the same call may succeed a little later.
pub(super) fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::ResourceExhausted
    )
}

/// Revokes at a replica, which finds whoever leads; tries again with the same request id.
pub(super) async fn revoke(
    replica: &Caller,
    key: &Made,
    wait_for: v1::WaitFor,
    random: &mut Random,
) -> Result<Revoked, Trouble> {
    let (began, request_id) = (Instant::now(), random.uuid());
    loop {
        let request = v1::RevokeKeyRequest {
            name: key.name.clone(),
            reason: v1::RevocationReason::Compromised.into(),
            wait_for: wait_for.into(),
            // Who waits for no region may not say for how long.
            wait_timeout: (wait_for == v1::WaitFor::AllRegions).then_some(WAIT_MAX),
            request_id: request_id.clone(),
            ..Default::default()
        };
        match replica.issuance().revoke_key(replica.ask(request, REVOKE_MAX)).await {
            Ok(answer) => return Ok(Revoked { began, answered: Instant::now(), answer: answer.into_inner() }),
            Err(status) if may_pass(&status) && began.elapsed() < REVOKE_MAX => sleep(Duration::from_millis(50)).await,
            Err(status) => return Err(Trouble::wrong(format!("RevokeKey: {}: {status}", reason(&status)))),
        }
    }
}
