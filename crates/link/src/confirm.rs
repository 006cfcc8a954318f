//! Waiting until every region decides by a write, and telling what is known of each.

use crate::{Barrier, Registry};
use latchkey_domain::{DurationMillis, Revision, UnixMillis};
use latchkey_transport::Deadline;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::region_status::Acceptance;
use latchkey_wire::pb::v1::replica_status::State;
use latchkey_wire::request::Wait;
use latchkey_wire::time::write_time;
use prost_types::Timestamp;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Extensions;

/// The time of a unary call that came without one.
const CALL_DEFAULT: Duration = Duration::from_secs(2);

/// Kept back from the wait, so that the answer gets home within the caller's deadline.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);

/// How long asking for what is known may take, where nobody waits for it.
const GLANCE_MAX: Duration = Duration::from_millis(250);

/// When a call has to be answered.
#[derive(Debug)]
pub struct Time;

impl Time {
    /// The deadline of a call that waits for nothing.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Instant {
        Self::with_wait(extensions, Duration::ZERO)
    }

    /// The deadline of a call that waits: the caller's own, else 2 s and the wait.
    #[must_use]
    pub fn waiting(extensions: &Extensions, wait: Wait) -> Instant {
        Self::with_wait(extensions, span(wait))
    }

    fn with_wait(extensions: &Extensions, wait: Duration) -> Instant {
        match extensions.get::<Deadline>() {
            Some(deadline) => deadline.with_wait(wait).ends(),
            None => Instant::now() + CALL_DEFAULT + wait,
        }
    }
}

/// Waits as the caller asked. Empty where nobody could be asked: the write holds all the same.
pub async fn wait_for(
    registry: &impl Registry,
    wait: Wait,
    revision: Revision,
    bound: DurationMillis,
    by: Instant,
) -> Vec<pb::ReplicaConfirmation> {
    let now = Instant::now();
    let left = by.saturating_duration_since(now).saturating_sub(ANSWER_MARGIN);
    let (wait, by) = match wait {
        Wait::Committed => (Duration::ZERO, now + left.min(GLANCE_MAX)),
        Wait::AllRegions(_) => (span(wait).min(left), now + left),
    };
    match registry.confirm(Barrier { revision, bound, wait }, by).await {
        Ok(replicas) => replicas,
        Err(status) => {
            tracing::warn!(%revision, code = %status.code(), message = status.message(), "nobody confirms a write");
            Vec::new()
        }
    }
}

/// The end of a look at what is good to know and not worth a wait.
pub(crate) fn glance(by: Instant) -> Instant {
    by.min(Instant::now() + GLANCE_MAX)
}

fn span(wait: Wait) -> Duration {
    match wait {
        Wait::Committed => Duration::ZERO,
        Wait::AllRegions(span) => Duration::from_millis(span.millis()),
    }
}

/// Whether each replica knows what was made.
#[must_use]
pub fn visibility(replicas: &[pb::ReplicaConfirmation]) -> Vec<v1::RegionVisibility> {
    let told = replicas.iter().filter_map(|one| Some((&one.region, one.status.as_ref()?)));
    told.map(|(region, status)| {
        let visible = status.state() == State::Applied;
        let visible_by_time = if visible { None } else { status.time };
        v1::RegionVisibility { region: region.clone(), replica: status.replica, visible, visible_by_time }
    })
    .collect()
}

/// Whether each region has stopped accepting what was revoked. `revoked_at` is later than now while a grace runs: nobody
/// stops before.
#[must_use]
pub fn regions(replicas: &[pb::ReplicaConfirmation], revoked_at: Option<UnixMillis>) -> Vec<v1::RegionStatus> {
    let mut regions = Vec::<v1::RegionStatus>::new();
    for one in replicas {
        let Some(status) = one.status else { continue };
        match regions.last_mut() {
            Some(last) if last.region == one.region => last.replicas.push(status),
            Some(_) | None => {
                regions.push(v1::RegionStatus { region: one.region.clone(), replicas: vec![status], acceptance: None });
            }
        }
    }
    for region in &mut regions {
        region.acceptance = acceptance(&region.replicas, revoked_at.map(write_time));
    }
    regions
}

/// The last replica decides.
fn acceptance(replicas: &[v1::ReplicaStatus], not_before: Option<Timestamp>) -> Option<Acceptance> {
    let waits = replicas.iter().any(|replica| replica.state() == State::Waiting);
    let times = replicas.iter().filter_map(|replica| replica.time);
    let last = times.chain(not_before).max_by_key(|time| (time.seconds, time.nanos))?;
    Some(if waits || not_before.is_some() { Acceptance::StopByTime(last) } else { Acceptance::StopTime(last) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(region: &str, replica: u64, state: State, millis: u64) -> pb::ReplicaConfirmation {
        let time = Some(write_time(UnixMillis::new(millis)));
        pb::ReplicaConfirmation {
            region: region.to_owned(),
            status: Some(v1::ReplicaStatus { replica, state: state.into(), time }),
            incarnation: 1,
        }
    }

    fn at(millis: u64) -> Timestamp {
        write_time(UnixMillis::new(millis))
    }

    #[test]
    fn a_region_has_stopped_when_its_last_replica_has() {
        let replicas = [
            replica("eu", 1, State::Applied, 40),
            replica("eu", 2, State::LeaseEnded, 70),
            replica("us", 3, State::Waiting, 90),
            replica("us", 4, State::Applied, 50),
        ];
        let [eu, us] = regions(&replicas, None).try_into().unwrap();
        assert_eq!(
            (eu.region.as_str(), eu.replicas.len(), eu.acceptance),
            ("eu", 2, Some(Acceptance::StopTime(at(70))))
        );
        assert_eq!(
            (us.region.as_str(), us.replicas.len(), us.acceptance),
            ("us", 2, Some(Acceptance::StopByTime(at(90))))
        );
    }

    #[test]
    fn nobody_stops_before_a_grace_is_over() {
        let known = regions(&[replica("eu", 1, State::Applied, 40)], Some(UnixMillis::new(900)));
        assert_eq!(known[0].acceptance, Some(Acceptance::StopByTime(at(900))));
    }

    #[test]
    fn only_a_replica_that_reported_is_said_to_know_a_key() {
        let replicas = [replica("eu", 1, State::Applied, 40), replica("eu", 2, State::LeaseEnded, 70)];
        let [first, second] = visibility(&replicas).try_into().unwrap();
        assert_eq!((first.visible, first.visible_by_time), (true, None));
        assert_eq!((second.visible, second.visible_by_time), (false, Some(at(70))));
    }
}
