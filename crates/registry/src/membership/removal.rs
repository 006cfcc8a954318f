//! How a replica leaves: what the leader waits for, and how the replica learns of it.
//!
//! A replica that hears the leader applies the record that lets it go, answers no more from then on, and says so with its
//! next report. One that is away is waited for until its last lease has ended; when it comes back, it is told by whoever
//! it asks.

use crate::core::Condition;
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_domain::{NodeId, ReplicaRole};
use latchkey_wire::pb::internal::v1 as pb;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::debug;

/// How often a replica that hears of no leader asks the others whether it was removed.
const RECALL_INTERVAL: Duration = Duration::from_secs(1);

/// How long one of them may take to answer.
const RECALL_WITHIN: Duration = Duration::from_millis(500);

impl Registry {
    /// Those that are to leave and can decide on nothing any more. From here on they get no more leases of this leader.
    pub(super) fn stopped(&self, table: &BTreeMap<NodeId, ReplicaRole>) -> BTreeSet<NodeId> {
        let leaving = table.iter().filter(|(_, role)| **role == ReplicaRole::Leaving).map(|(node, _)| *node);
        let bound = self.longest_bound();
        leaving.filter(|node| self.leadership().has_stopped(*node, bound)).collect()
    }

    /// Whether a replica was removed, as the state of this one says.
    pub(crate) fn was_removed(&self, node: NodeId) -> bool {
        self.core().state().replica(node).is_some_and(|replica| replica.role.is_going())
    }

    /// Stops answering once this replica learns that it was removed: by the record itself, or because it hears of no leader
    /// and another tells it.
    pub(crate) async fn follow_removal(self) {
        let mut revision = self.core().watch_revision();
        loop {
            revision.borrow_and_update();
            if self.was_removed(self.node()) || self.is_told_of_removal().await {
                self.core().remove();
                return;
            }
            let published = tokio::time::timeout(RECALL_INTERVAL, revision.changed()).await;
            if matches!(published, Ok(Err(_))) || self.condition() == Condition::Removed {
                return;
            }
        }
    }

    async fn is_told_of_removal(&self) -> bool {
        let leader_is_known = matches!(self.elsewhere(), Some(ProposeError::Elsewhere(..)));
        if self.leads() || leader_is_known && self.reader().is_fresh() {
            return false;
        }
        for replica in self.status().replicas.into_iter().filter(|replica| replica.node != self.node()) {
            let request = pb::RecallRequest { target: Some(self.peers().target(replica.node)), node_id: self.node().0 };
            let mut client = self.peers().registry(replica.node, &replica.member);
            match tokio::time::timeout(RECALL_WITHIN, client.recall(request)).await {
                Ok(Ok(answer)) if answer.get_ref().removed => return true,
                Ok(Ok(_)) => {}
                Ok(Err(status)) => debug!(replica = %replica.node, %status, "a replica does not answer"),
                Err(_) => debug!(replica = %replica.node, "a replica does not answer"),
            }
        }
        false
    }
}
