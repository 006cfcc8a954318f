//! The leader's duty: one change of raft's membership after another, until it is what the table says.

use super::check::quorum_missing;
use super::plan::{self, Change, Membership};
use crate::duties::own;
use crate::propose::ProposeError;
use crate::registry::Registry;
use crate::types::Member;
use latchkey_domain::{NodeId, ReplicaPlace, ReplicaRole};
use latchkey_state::{AdmitReplica, Operation, ReplicaStep, StepReplica};
use openraft::ChangeMembers;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{info, warn};

/// How long a change may take before it is looked at anew.
const WITHIN: Duration = Duration::from_secs(5);

/// How soon a change that failed is tried again, and how soon a leader tries again to hand over.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a leader stands.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// Boot time when the next change may be tried.
    try_at_ms: u64,
}

impl Following {
    /// One change, where one is due.
    pub(crate) async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.try_at_ms || registry.core().state().progress().feature_level < 4 {
            return Ok(());
        }
        let Some(change) = registry.next_change() else { return Ok(()) };
        if let Err(problem) = registry.carry_out(&change).await {
            warn!(?change, problem, "a change of the membership waits");
            self.try_at_ms = boot_ms + u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

impl Registry {
    /// What is due, by the table and raft's membership as they are now.
    fn next_change(&self) -> Option<Change> {
        let membership = self.membership();
        let table: BTreeMap<NodeId, ReplicaRole> =
            self.core().state().replicas().map(|replica| (replica.node, replica.role)).collect();
        let stopped = self.stopped(&table);
        plan::next(self.node(), &membership, &table, &stopped)
    }

    fn membership(&self) -> Membership {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        Membership {
            nodes: membership.nodes().map(|(id, _)| NodeId(*id)).collect(),
            voters: membership.voter_ids().map(NodeId).collect(),
            joint: membership.get_joint_config().len() > 1,
        }
    }

    /// Changes that were each safe when they were asked for may together leave nobody who could write, and voters may have
    /// died since. There is no way back from half a change of voters, so it is not begun then; one that was, is finished.
    fn check_voters(&self, voters: &BTreeSet<NodeId>) -> Result<(), String> {
        if self.membership().joint {
            return Ok(());
        }
        let roster = self.own_roster().ok_or("another leads")?;
        quorum_missing(&self.core().state(), &roster, voters).map_or(Ok(()), Err)
    }

    async fn carry_out(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::Admit(node) => self.admit_founder(*node).await,
            Change::AddLearner(node) => {
                let member = self.core().state().replica(*node).map(|replica| member(&replica.place));
                let member = member.ok_or("the table changed meanwhile")?;
                let change = ChangeMembers::AddNodes(BTreeMap::from([(node.0, member)]));
                self.change_membership(change).await?;
                info!(replica = %node, "a learner joined");
                Ok(())
            }
            Change::SetVoters(voters) => {
                self.check_voters(voters)?;
                let ids: BTreeSet<u64> = voters.iter().map(|node| node.0).collect();
                self.change_membership(ChangeMembers::ReplaceAllVoters(ids.clone())).await?;
                info!(voters = ?ids, "the voters changed");
                Ok(())
            }
            Change::HandOver if self.hand_over(None).await => Ok(()),
            Change::HandOver => Err("nobody took over".to_owned()),
            Change::Drop(node) => {
                self.change_membership(ChangeMembers::RemoveNodes(BTreeSet::from([node.0]))).await?;
                info!(replica = %node, "a replica left");
                Ok(())
            }
            Change::Retire(node) => {
                self.leadership().forget(*node);
                let retire = Operation::StepReplica(StepReplica { node: *node, step: ReplicaStep::Retire });
                let written = self.write_down(retire).await;
                // Until that is applied it may have asked once more.
                self.leadership().forget(*node);
                written
            }
        }
    }

    /// Voters that were there before there was a table.
    async fn admit_founder(&self, node: NodeId) -> Result<(), String> {
        let found = self.status().replicas.into_iter().find(|replica| replica.node == node);
        let Member { region, raft_address, address } = found.ok_or("the membership changed meanwhile")?.member;
        let place = ReplicaPlace::new(&region, &raft_address, &address).map_err(|error| error.to_string())?;
        self.write_down(Operation::AdmitReplica(AdmitReplica { node, place, role: ReplicaRole::Voter })).await
    }

    async fn write_down(&self, operation: Operation) -> Result<(), String> {
        let applied = self.propose(own(self, operation), WITHIN).await.map_err(|error| format!("{error:?}"))?;
        applied.answer.as_ref().map(drop).map_err(|refusal| format!("{refusal:?}"))
    }

    async fn change_membership(&self, change: ChangeMembers<u64, Member>) -> Result<(), String> {
        // Whoever loses its vote follows on: it is dropped by a change of its own.
        let changing = self.inner.raft.change_membership(change, true);
        match tokio::time::timeout(WITHIN, changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no quorum in time".to_owned()),
        }
    }
}

fn member(place: &ReplicaPlace) -> Member {
    Member {
        region: place.region().to_owned(),
        raft_address: place.raft_address().to_owned(),
        address: place.address().to_owned(),
    }
}
