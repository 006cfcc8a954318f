//! Handing leadership over. raft has no transfer, and beside a live leader nobody is elected: followers refuse a vote
//! until they have heard nothing of it for `election_max`. So the leader takes no more writes, waits until the next one
//! has the whole log, falls silent for that long, and then tells it to stand. That saves the draw that each follower waits
//! besides.

use crate::membership::CAUGHT_UP_RECORDS_MAX;
use crate::registry::Registry;
use crate::types::Member;
use latchkey_domain::NodeId;
use latchkey_transport::Unavailable;
use latchkey_wire::pb::internal::v1 as pb;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// How long the next leader may take to get what is on its way, before the leader falls silent.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// What timers add to the silence: the clock of a follower is read when it handles a vote.
const SILENCE_MARGIN: Duration = Duration::from_millis(20);

/// How often the next leader is told to stand, where its first vote came to nothing.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// How long it may take to answer.
const TELL_WITHIN: Duration = Duration::from_millis(500);

impl Registry {
    /// Before this replica stops: where it leads, another leads first. Returns at once where nobody could.
    pub async fn hand_over_before_stop(&self) {
        let others = self.status().replicas.iter().any(|replica| replica.voter && replica.node != self.node());
        if self.leads() && others && !self.hand_over(None).await {
            warn!(node = %self.node(), "nobody took over; the others elect when this replica is gone");
        }
    }

    /// Lets `target` lead, or whoever has the most of the log. `true` once another leads; this one leads on else.
    pub(crate) async fn hand_over(&self, target: Option<NodeId>) -> bool {
        let Some(term) = self.leadership().term_led() else { return true };
        let Some((next, member)) = self.successor(target) else { return false };
        let begun = Instant::now();
        if !self.leadership().begin_silence() {
            return false;
        }
        let handed_over = self.fall_silent(term, next, &member).await;
        self.speak_again();
        let gap_ms = begun.elapsed().as_millis();
        if handed_over {
            info!(node = %self.node(), to = %next, gap_ms, "leadership was handed over");
        } else {
            warn!(node = %self.node(), to = %next, gap_ms, "leadership could not be handed over; this replica leads on");
        }
        handed_over
    }

    async fn fall_silent(&self, term: u64, next: NodeId, member: &Member) -> bool {
        if !self.until_caught_up(next).await {
            return false;
        }
        self.stop_speaking();
        // An append that is on its way renews their patience, so it counts from when nothing is.
        tokio::time::sleep(self.inner.election_max + SILENCE_MARGIN).await;
        let deadline = Instant::now() + self.inner.stand_down;
        while Instant::now() < deadline {
            let request = pb::StandForElectionRequest { target: Some(self.peers().target(next)), term };
            let mut client = self.peers().registry(next, member);
            if let Ok(Err(status)) = tokio::time::timeout(TELL_WITHIN, client.stand_for_election(request)).await {
                warn!(to = %next, %status, "the next leader does not stand");
            }
            if tokio::time::timeout(TELL_INTERVAL, self.until_another_leads(term)).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// The voter that is to lead: the one asked for, or the one that has the most of the log and is heard.
    fn successor(&self, target: Option<NodeId>) -> Option<(NodeId, Member)> {
        let matched = self.matched();
        let roster = self.own_roster()?;
        let voters = roster.replicas.into_iter().filter(|replica| replica.voter && replica.node != self.node());
        let heard = voters.filter(|replica| {
            let age = replica.known.and_then(|known| known.lease_age);
            age.is_some_and(|age| u128::from(age.millis()) <= self.inner.election_max.as_millis())
                && !self.was_removed(replica.node)
        });
        let chosen = heard.filter(|replica| target.is_none_or(|target| replica.node == target));
        let most = chosen.max_by_key(|replica| matched(replica.node))?;
        Some((most.node, most.member))
    }

    /// How much of the log each follower has.
    fn matched(&self) -> impl Fn(NodeId) -> u64 + use<> {
        let replication = self.inner.raft.metrics().borrow().replication.clone().unwrap_or_default();
        move |node: NodeId| replication.get(&node.0).copied().flatten().map_or(0, |log_id| log_id.index)
    }

    async fn until_caught_up(&self, next: NodeId) -> bool {
        let mut metrics = self.inner.raft.metrics();
        let has_all = |metrics: &openraft::RaftMetrics<u64, Member>| {
            let followers = metrics.replication.as_ref();
            let matched = followers.and_then(|followers| followers.get(&next.0)).copied().flatten();
            matched.map(|log_id| log_id.index) == metrics.last_log_index || metrics.replication.is_none()
        };
        let caught_up = matches!(tokio::time::timeout(CATCH_UP_MAX, metrics.wait_for(has_all)).await, Ok(Ok(_)));
        caught_up && self.matched()(next) + CAUGHT_UP_RECORDS_MAX >= self.core().state().revision().index
    }

    async fn until_another_leads(&self, term: u64) {
        let mut metrics = self.inner.raft.metrics();
        let own = self.node().0;
        let elected = |metrics: &openraft::RaftMetrics<u64, Member>| {
            metrics.current_term > term && metrics.current_leader.is_some_and(|leader| leader != own)
        };
        drop(metrics.wait_for(elected).await);
    }

    /// Who leads once `node` does, or once the time is over; absent where nobody is known to.
    pub async fn until_leads(&self, node: NodeId, within: Duration) -> Option<NodeId> {
        let mut metrics = self.inner.raft.metrics();
        let leads = |metrics: &openraft::RaftMetrics<u64, Member>| metrics.current_leader == Some(node.0);
        drop(tokio::time::timeout(within, metrics.wait_for(leads)).await);
        self.status().leader
    }

    /// Stands for election at once: a leader that hands over has asked for it.
    pub(crate) async fn stand_for_election(&self, term: u64) -> Result<(), Unavailable> {
        if let Some(unavailable) = self.core().unavailable() {
            return Err(unavailable);
        }
        let current = self.inner.raft.metrics().borrow().current_term;
        // Else it came late: somebody was elected, or tries to be.
        if current == term {
            info!(node = %self.node(), term, "stands for election, as the leader hands over");
            self.inner.raft.trigger().elect().await.map_err(|_| Unavailable::Stopping)?;
        }
        Ok(())
    }
}
