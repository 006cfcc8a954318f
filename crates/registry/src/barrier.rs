//! The barrier: when nobody can decide on a state before a revision.

use crate::ledger::Standing;
use crate::propose::ProposeError;
use crate::registry::{Registry, ReplicaStatus};
use crate::types::Member;
use latchkey_domain::{DurationMillis, NodeId};
use latchkey_telemetry::names;
use latchkey_transport::Unavailable;
use metrics::histogram;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How one replica stands towards a revision.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The replica.
    pub replica: ReplicaStatus,
    /// How it stands.
    pub standing: Standing,
    /// The number of its process life, where it is known.
    pub incarnation: Option<u64>,
    /// When this was first seen. Milliseconds of boot time.
    pub seen_ms: u64,
}

impl Registry {
    /// Who leads instead, or that nobody is known to.
    fn not_leading(&self) -> ProposeError {
        let nobody = Unavailable::NoLeader { node: Some(self.node()) };
        self.elsewhere().unwrap_or(nobody.into())
    }

    /// The longest bound of any keyspace: for what reaches over several.
    pub(crate) fn longest_bound(&self) -> DurationMillis {
        let state = self.core().state();
        let bounds = state.keyspaces().iter().map(|keyspace| keyspace.bound_at(state.clock()));
        bounds.max().unwrap_or_default()
    }

    /// How everyone who may hold a lease stands towards a revision; waits until nobody can decide on less, or until
    /// the time is over. A bound of zero stands for the longest of any keyspace.
    ///
    /// # Errors
    /// [`ProposeError::Elsewhere`] and [`ProposeError::Unavailable`] where this replica does not lead.
    pub async fn confirm(
        &self,
        index: u64,
        bound: DurationMillis,
        within: Duration,
    ) -> Result<Vec<Confirmed>, ProposeError> {
        let bound = if bound == DurationMillis::ZERO { self.longest_bound() } else { bound };
        let mut news = self.inner.leadership.watch();
        let begun = Instant::now();
        let deadline = begun + within;
        // A replica that stopped accepting at once did not stop when the last of all did.
        let mut seen = BTreeMap::new();
        loop {
            news.borrow_and_update();
            // Whoever has not applied it did not commit it, and may be a leader that others have left behind.
            if self.core().state().revision().index < index {
                return Err(self.not_leading());
            }
            let members = self.status().replicas;
            let ids: Vec<_> = members.iter().map(|replica| replica.node).collect();
            let Some(standings) = self.inner.leadership.standings(&ids, index, bound) else {
                return Err(self.not_leading());
            };
            let next = standings.iter().filter_map(|(_, standing, _)| match standing {
                Standing::Waiting { until_ms } => Some(*until_ms),
                Standing::Applied | Standing::LeaseEnded => None,
            });
            let now_ms = self.inner.core.clock.boottime_millis();
            for (node, standing, _) in &standings {
                match standing {
                    Standing::Applied | Standing::LeaseEnded => _ = seen.entry(*node).or_insert(now_ms),
                    Standing::Waiting { .. } => _ = seen.remove(node),
                }
            }
            let (Some(until_ms), true) = (next.min(), Instant::now() < deadline) else {
                histogram!(names::REVOCATION_CONFIRM_SECONDS).record(begun.elapsed().as_secs_f64());
                return Ok(with_members(members, standings, &seen, now_ms));
            };
            let until_next = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
            tokio::select! {
                // A sender that is gone means that this replica stops; the deadline ends the wait.
                _ = news.changed() => {}
                () = tokio::time::sleep(until_next) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

fn with_members(
    members: Vec<ReplicaStatus>,
    standings: Vec<(NodeId, Standing, Option<u64>)>,
    seen: &BTreeMap<NodeId, u64>,
    now_ms: u64,
) -> Vec<Confirmed> {
    let by_id: BTreeMap<_, _> = members.into_iter().map(|replica| (replica.node, replica)).collect();
    standings
        .into_iter()
        .map(|(node, standing, incarnation)| {
            // Whoever holds a lease and is no member any more is still waited for.
            let gone = || ReplicaStatus { node, member: Member::default(), voter: false, known: None, holding: None };
            let replica = by_id.get(&node).cloned().unwrap_or_else(gone);
            Confirmed { replica, standing, incarnation, seen_ms: seen.get(&node).copied().unwrap_or(now_ms) }
        })
        .collect()
}
