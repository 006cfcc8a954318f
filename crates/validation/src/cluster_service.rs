//! `ClusterService`: the cluster as this replica knows it. Only the leader knows how the others fare.

use crate::halt::Halt;
use crate::session::{Session, ground_of};
use latchkey_domain::{DurationMillis, Duty, NodeId, Revision};
use latchkey_link::Refusals;
use latchkey_registry::{Known, Registry, ReplicaStatus, View};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::cluster_service_server::ClusterService;
use latchkey_wire::pb::v1::replica::{Role, State};
use latchkey_wire::time::write_span;
use tonic::{Extensions, Request, Response, Status};

/// Who may look.
const READERS: [Duty; 3] = [Duty::Admin, Duty::Operator, Duty::Auditor];

/// The handlers.
#[derive(Clone)]
pub struct ClusterFace {
    registry: Registry,
    refusals: Refusals,
}

impl ClusterFace {
    /// Over the replica of this process. What it refuses is gathered.
    #[must_use]
    pub const fn new(registry: Registry, refusals: Refusals) -> Self {
        Self { registry, refusals }
    }

    fn cluster(&self, extensions: &Extensions) -> Result<v1::Cluster, Halt> {
        let view = self.registry.reader().now()?;
        let age = || view.age();
        let session = Session::open(ground_of(&view), extensions, &age)?;
        let note = |halt: &Halt| halt.note(&self.refusals, &session, "ClusterService/GetCluster");
        session.require_on_system(&READERS).inspect_err(note)?;

        let (core, status, state) = (self.registry.core(), self.registry.status(), view.state());
        let default = state.cluster().map_or(DurationMillis::ZERO, |cluster| cluster.staleness_default);
        let show = |replica| show(replica, self.registry.node(), &view, core.epoch(), default);
        Ok(v1::Cluster {
            cluster_id: core.cluster().to_string(),
            epoch: core.epoch(),
            leader: status.leader.map(|leader| leader.0),
            feature_level: state.progress().feature_level,
            profile: state.cluster().map(|cluster| v1::ClusterProfile {
                staleness_floor: Some(write_span(cluster.staleness_floor)),
                staleness_default: Some(write_span(cluster.staleness_default)),
            }),
            replicas: status.replicas.into_iter().map(show).collect(),
            answered_by: core.node().0,
            revision: Some(state.revision().into()),
        })
    }
}

#[tonic::async_trait]
impl ClusterService for ClusterFace {
    async fn get_cluster(&self, request: Request<v1::GetClusterRequest>) -> Result<Response<v1::Cluster>, Status> {
        Ok(Response::new(self.cluster(request.extensions())?))
    }
}

/// One replica: what the leader knows of it, and what this one knows of itself.
fn show(replica: ReplicaStatus, own: NodeId, view: &View, epoch: u64, default: DurationMillis) -> v1::Replica {
    let ReplicaStatus { node, member, voter, known } = replica;
    let mut shown = v1::Replica {
        id: node.0,
        region: member.region,
        role: if voter { Role::Voter } else { Role::Learner }.into(),
        address: member.address,
        raft_address: member.raft_address,
        state: State::Unknown.into(),
        ..v1::Replica::default()
    };
    if let Some(known) = known {
        shown.state = state_of(&known, default);
        shown.applied = known.published.map(|index| Revision::new(epoch, index).into());
        shown.lease_age = known.lease_age.map(write_span);
        shown.clock_offset = known.clock_offset_ms.map(write_offset);
        shown.incarnation = known.incarnation;
    }
    if node == own {
        let age = view.age().ok();
        let fresh = age.is_some_and(|age| age <= default);
        shown.state = if fresh { State::Serving } else { State::NotFresh }.into();
        shown.applied = Some(view.state().revision().into());
        shown.lease_age = age.map(write_span);
    }
    shown
}

/// A replica that renews no lease any more is not heard of, whatever it said last.
fn state_of(known: &Known, default: DurationMillis) -> i32 {
    let heard = known.lease_age.is_some_and(|age| age <= default);
    known.state.filter(|_| heard).unwrap_or(State::Unreachable.into())
}

fn write_offset(offset_ms: i64) -> prost_types::Duration {
    let nanos = i32::try_from(offset_ms % 1_000 * 1_000_000).expect("below a second");
    prost_types::Duration { seconds: offset_ms / 1_000, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: DurationMillis = DurationMillis::from_secs(5);

    fn known(lease_age: Option<DurationMillis>) -> Known {
        let state = Some(State::Serving.into());
        Known { incarnation: Some(1), published: Some(9), lease_age, clock_offset_ms: None, state }
    }

    #[test]
    fn a_replica_that_renews_nothing_is_not_heard_of() {
        assert_eq!(state_of(&known(None), DEFAULT), i32::from(State::Unreachable));
        let late = DurationMillis::new(DEFAULT.millis() + 1);
        assert_eq!(state_of(&known(Some(late)), DEFAULT), i32::from(State::Unreachable));
        assert_eq!(state_of(&known(Some(DEFAULT)), DEFAULT), i32::from(State::Serving));
    }

    #[test]
    fn seconds_and_nanoseconds_of_an_offset_have_one_sign() {
        assert_eq!(write_offset(-1_250), prost_types::Duration { seconds: -1, nanos: -250_000_000 });
        assert_eq!(write_offset(250), prost_types::Duration { seconds: 0, nanos: 250_000_000 });
    }
}
