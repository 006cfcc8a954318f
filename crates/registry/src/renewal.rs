//! Renewing the freshness lease: this replica asks the leader, which may be itself, and reports what it has published.

use crate::core::{Condition, Core};
use crate::holdings::write_holding;
use crate::leadership::{Leadership, Report};
use crate::lease::{Granted, Lease, lease_time, wall_minus_boot};
use crate::peers::Peers;
use crate::read_index::ReadIndex;
use crate::types::{Member, Raft};
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{NodeId, ReplicaRole, UnixMillis};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1::Revision;
use latchkey_wire::pb::v1::replica::State as ReplicaState;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tonic::Status;
use tracing::{debug, warn};

/// Reports that follow each other no faster, whatever is published: each costs the leader a round to a quorum.
const REPORT_INTERVAL_MIN: Duration = Duration::from_millis(20);

/// What renewing needs.
pub(crate) struct Renewal {
    pub(crate) core: Arc<Core>,
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) rounds: ReadIndex,
    pub(crate) incarnation: u64,
    pub(crate) interval: Duration,
    /// The newest feature level that this replica says it knows.
    pub(crate) feature_level_max: u32,
}

/// What the leader answered.
struct Answer {
    read_index: u64,
    leader_time: UnixMillis,
    differs: bool,
}

impl Renewal {
    /// Renews for as long as the replica lives: at an interval, and soon after something was published.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut published = self.core.watch_revision();
        let mut leaders = self.raft.server_metrics();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // A new leader grants nothing and stamps nothing before it has heard of a majority.
                changed = leaders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.lease.published(published.borrow_and_update().index);
                }
            }
            if self.core.condition() == Condition::Fenced {
                return;
            }
            if let Err(unavailable) = self.renew().await {
                debug!(?unavailable, "the freshness lease was not renewed");
            }
            tokio::time::sleep(REPORT_INTERVAL_MIN).await;
        }
    }

    /// One renewal. The lease counts once what it needs is published.
    async fn renew(&self) -> Result<(), Unavailable> {
        let clock = self.core.clock.as_ref();
        let boot_ms = clock.boottime_millis();
        let sent_ms = lease_time(clock, boot_ms);
        // Both clocks are read before the request leaves: a machine that is frozen while it waits holds no lease.
        let wall_minus_boot_ms = wall_minus_boot(clock, boot_ms);
        let answer = self.ask().await?;
        let sent_ms = if planted::is(Plant::FreshnessFromReceipt) { clock.boottime_millis() } else { sent_ms };
        if answer.differs {
            self.core.fence("the state of this replica differs from that of a majority");
            return Err(Unavailable::Fenced);
        }
        let Answer { read_index, leader_time, .. } = answer;
        let granted = Granted { sent_ms, wall_minus_boot_ms, leader_time, read_index };
        self.lease.offer(granted, self.core.state().revision().index);
        Ok(())
    }

    /// The index up to which everything that was acknowledged before this call is committed.
    pub(crate) async fn read_index(&self) -> Result<u64, Unavailable> {
        Ok(self.ask().await?.read_index)
    }

    async fn ask(&self) -> Result<Answer, Unavailable> {
        let no_leader = self.no_leader();
        let (leader, member) = self.leader().ok_or(no_leader)?;
        if leader == self.core.node() {
            let (granted, differs) = self.grant(self.report()).await?;
            return Ok(Answer { read_index: granted.read_index, leader_time: granted.time, differs });
        }
        let mut client = self.peers.registry(leader, &member);
        let report = self.report();
        let request = pb::RenewLeaseRequest {
            target: Some(self.peers.target(leader)),
            node_id: report.replica.0,
            incarnation: report.incarnation,
            published: report.published.map(|index| Revision { epoch: self.core.epoch(), index }),
            clock_unix_ms: report.clock.millis(),
            state: report.state,
            feature_level_newest: report.feature_level,
            hashed: report.hashed.map(|hashed| pb::HashedState {
                revision: Some(hashed.revision.into()),
                hash: hashed.hash.bytes().to_vec(),
            }),
            holding: report.holding.as_deref().map(write_holding),
        };
        let asked = tokio::select! {
            asked = tokio::time::timeout(self.interval * 4, client.renew_lease(request)) => asked,
            // One that died answers nobody, and the next waits to be heard.
            () = self.another_leads(leader) => return Err(no_leader),
        };
        let answer = asked.map_err(|_| no_leader)?.map_err(|status| self.refused(&status))?.into_inner();
        Ok(Answer {
            read_index: answer.read_index,
            leader_time: UnixMillis::new(answer.now_unix_ms),
            differs: answer.differs,
        })
    }

    fn refused(&self, status: &Status) -> Unavailable {
        debug!(%status, "the leader did not renew the lease");
        self.no_leader()
    }

    /// That this replica knows of no leader that answers.
    fn no_leader(&self) -> Unavailable {
        Unavailable::NoLeader { node: Some(self.core.node()) }
    }

    /// Returns once raft knows of another leader.
    async fn another_leads(&self, before: NodeId) {
        let mut leaders = self.raft.server_metrics();
        // What it gives holds a lock, which must be gone before anything is waited for.
        let stops = leaders.wait_for(|now| now.current_leader.is_some_and(|leader| leader != before.0)).await.is_err();
        if stops {
            // This replica stops, and so does who asks.
            std::future::pending::<()>().await;
        }
    }

    /// The leader as raft knows it.
    pub(crate) fn leader(&self) -> Option<(NodeId, Member)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader?;
        let member = metrics.membership_config.membership().get_node(&leader).cloned()?;
        Some((NodeId(leader), member))
    }

    /// What this replica says of itself.
    pub(crate) fn report(&self) -> Report {
        let (published, state) = match self.core.condition() {
            Condition::Ready if planted::is(Plant::ReportBeforePublication) => {
                (self.core.store.last_index(), ReplicaState::Serving)
            }
            Condition::Ready => (Some(self.core.state().revision().index), ReplicaState::Serving),
            Condition::Starting => (None, ReplicaState::Starting),
            Condition::Locked => (None, ReplicaState::Locked),
            Condition::Fenced => (None, ReplicaState::Fenced),
            Condition::Removed => (None, ReplicaState::Removed),
        };
        Report {
            replica: self.core.node(),
            incarnation: self.incarnation,
            published,
            clock: self.core.clock.unix_millis(),
            hashed: self.core.hashed(),
            state: state.into(),
            feature_level: self.feature_level_max,
            holding: self.core.holdings.said(),
        }
    }

    /// As leader: takes note of a report and grants a lease.
    pub(crate) async fn grant(&self, report: Report) -> Result<(LeaseGranted, bool), Unavailable> {
        let no_leader = self.no_leader();
        if self.leadership.stands_down() {
            return Err(no_leader);
        }
        // One that has left may still ask whom it took for the leader. It decides on nothing, and nobody may wait for it.
        if self.core.state().replica(report.replica).is_some_and(|replica| replica.role == ReplicaRole::Retired) {
            return Err(Unavailable::Removed { node: report.replica });
        }
        let replica = report.replica;
        let differs = self.leadership.report(report);
        if differs {
            warn!(%replica, "a replica differs from the majority; it is told to fence itself");
        }
        // That a quorum was heard counts from the asking: an answer may have been long on its way.
        let asked_ms = self.core.clock.boottime_millis();
        let read_index = self.rounds.now().await.ok_or(no_leader)?;
        let (term, time, clock_offset_ms) = self.leadership.grant(replica, read_index, asked_ms)?;
        Ok((LeaseGranted { term, read_index, time, clock_offset_ms }, differs))
    }
}

/// A lease as the leader grants it.
pub(crate) struct LeaseGranted {
    pub(crate) term: u64,
    pub(crate) read_index: u64,
    pub(crate) time: UnixMillis,
    pub(crate) clock_offset_ms: i64,
}
