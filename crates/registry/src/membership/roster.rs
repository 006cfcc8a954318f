//! What the leader knows of all replicas, wherever it is asked for.

use crate::holdings::{read_holding, write_holding};
use crate::leadership::Known;
use crate::propose::ProposeError;
use crate::registry::{Registry, ReplicaStatus};
use crate::types::Member;
use latchkey_domain::{DurationMillis, NodeId, Revision};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::internal::v1 as pb;
use std::sync::Arc;
use std::time::Duration;

/// How long the leader is waited for: whoever asks shows what it knows itself instead.
const WITHIN_MAX: Duration = Duration::from_secs(2);

/// The replicas as the leader knows them.
#[derive(Clone, Debug)]
pub struct Roster {
    /// Who leads.
    pub leader: NodeId,
    /// What the leader has applied.
    pub revision: Revision,
    /// The members, by id.
    pub replicas: Vec<ReplicaStatus>,
}

impl Registry {
    /// The replicas as the leader knows them, which is asked where it is another.
    ///
    /// # Errors
    /// [`Unavailable::NoLeader`] where none answers.
    pub async fn roster(&self) -> Result<Roster, Unavailable> {
        let no_leader = Unavailable::NoLeader { node: Some(self.node()) };
        if self.leads() {
            return self.own_roster().ok_or(no_leader);
        }
        let Some(ProposeError::Elsewhere(leader, member)) = self.elsewhere() else { return Err(no_leader) };
        let request = pb::RosterRequest { target: Some(self.peers().target(leader)) };
        let mut client = self.peers().registry(leader, &member);
        let asked = tokio::time::timeout(WITHIN_MAX, client.roster(request)).await;
        let answer = asked.map_err(|_| no_leader)?.map_err(|_| no_leader)?.into_inner();
        let revision = answer.revision.ok_or(no_leader)?.into();
        Ok(Roster { leader, revision, replicas: answer.replicas.into_iter().map(read).collect() })
    }

    /// As leader: what it knows itself.
    pub(crate) fn own_roster(&self) -> Option<Roster> {
        let replicas = self.status().replicas;
        let revision = self.core().state().revision();
        self.leads().then_some(Roster { leader: self.node(), revision, replicas })
    }
}

/// Writes it for whoever asks.
pub(crate) fn write_roster(roster: Roster) -> pb::RosterResponse {
    let replicas = roster.replicas.into_iter().map(write).collect();
    pb::RosterResponse { revision: Some(roster.revision.into()), replicas }
}

fn write(status: ReplicaStatus) -> pb::KnownReplica {
    let ReplicaStatus { node, member, voter, known, holding } = status;
    let known = known.unwrap_or_default();
    pb::KnownReplica {
        node_id: node.0,
        region: member.region,
        address: member.address,
        raft_address: member.raft_address,
        voter,
        incarnation: known.incarnation,
        published: known.published,
        lease_age_ms: known.lease_age.map(DurationMillis::millis),
        clock_offset_ms: known.clock_offset_ms,
        state: known.state,
        holding: holding.as_deref().map(write_holding),
    }
}

fn read(known: pb::KnownReplica) -> ReplicaStatus {
    ReplicaStatus {
        holding: known.holding.as_ref().map(|holding| Arc::new(read_holding(holding))),
        node: NodeId(known.node_id),
        member: Member { region: known.region, raft_address: known.raft_address, address: known.address },
        voter: known.voter,
        known: Some(Known {
            incarnation: known.incarnation,
            published: known.published,
            lease_age: known.lease_age_ms.map(DurationMillis::new),
            clock_offset_ms: known.clock_offset_ms,
            state: known.state,
        }),
    }
}
