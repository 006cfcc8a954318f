//! Raft's calls from the other replicas. Whoever was meant to reach somebody else is refused before raft sees anything.

use crate::core::{Condition, Core};
use crate::elections::Elections;
use crate::peers::Peers;
use crate::registry::Inner;
use crate::state_machine::snapshot_name;
use crate::types::{Raft, Snapshot, SnapshotData, SnapshotMeta, TypeConfig};
use crate::words::{log_id_from_pb, log_id_to_pb, record_from_pb, stored_membership_from_pb, vote_from_pb, vote_to_pb};
use latchkey_domain::{NodeId, ReplicaRole};
use latchkey_storage::Space;
use latchkey_transport::{Rejection, Unavailable, status};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::raft_service_server::RaftService;
use openraft::error::{Fatal, RaftError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest};
use std::sync::Arc;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

/// Records that a locked replica takes beyond what it has applied: enough for hours, and bounded.
const HELD_RECORDS_MAX: u64 = 100_000;

/// The raft face of one replica.
#[derive(Clone)]
pub struct RaftFace {
    core: Arc<Core>,
    raft: Raft,
    peers: Arc<Peers>,
    elections: Arc<Elections>,
}

impl RaftFace {
    pub(crate) fn new(inner: &Inner) -> Self {
        let Inner { core, raft, peers, elections, .. } = inner;
        Self { core: core.clone(), raft: raft.clone(), peers: peers.clone(), elections: elections.clone() }
    }

    fn check(&self, target: Option<&pb::Target>) -> Result<(), Status> {
        if !self.peers.is_meant_for(target, self.core.node()) {
            return Err(Rejection::WrongTarget { node: self.core.node().0 }.into());
        }
        if self.core.condition() == Condition::Fenced {
            return Err(Unavailable::Fenced.into());
        }
        Ok(())
    }

    /// Refused before raft sees it: an append that fails below raft would end this replica, and reads shall go on.
    fn check_room(&self, records: usize) -> Result<(), Status> {
        if records > 0 && self.core.store.space() == Space::Full {
            return Err(Unavailable::DiskFull.into());
        }
        let last = self.core.store.last_index().unwrap_or(0);
        let applied = self.core.state().revision().index;
        if self.core.condition() == Condition::Locked && last.saturating_sub(applied) > HELD_RECORDS_MAX {
            return Err(Unavailable::Locked.into());
        }
        Ok(())
    }

    /// Waits until all up to `index` is on this disk, in the log or in the state: the leader counts on it from then on.
    async fn vouch(&self, index: u64) -> Result<(), Status> {
        self.core.durable.record(index).await.map_err(|error| {
            warn!(%error, "what came from the leader cannot be acknowledged");
            Unavailable::Stopping.into()
        })
    }
}

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("expected {what}, found nothing"))
}

fn raft_stopped(error: &RaftError<u64>) -> Status {
    warn!(%error, "raft refuses a call");
    Unavailable::Stopping.into()
}

#[tonic::async_trait]
impl RaftService for RaftFace {
    async fn append(&self, request: Request<pb::AppendRequest>) -> Result<Response<pb::AppendResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        let vote = vote_from_pb(&request.vote.ok_or_else(|| missing("a vote"))?);
        self.peers.check_sender(&extensions, NodeId(vote.leader_id.node_id))?;
        self.check_room(request.records.len())?;
        let entries = request.records.into_iter().map(record_from_pb).collect::<Result<_, _>>();
        let rpc = AppendEntriesRequest::<TypeConfig> {
            vote,
            prev_log_id: request.previous.as_ref().map(log_id_from_pb),
            entries: entries.map_err(|error| Status::invalid_argument(error.to_string()))?,
            leader_commit: request.committed.as_ref().map(log_id_from_pb),
        };
        use pb::append_response::{Conflict, PartialSuccess, Result as Answer, Success};
        let through = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let answer = self.raft.append_entries(rpc).await.map_err(|error| raft_stopped(&error))?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.elections.hear();
        }
        let acknowledged = match answer {
            AppendEntriesResponse::Success => through,
            AppendEntriesResponse::PartialSuccess(matching) => matching,
            AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => None,
        };
        if let Some(acknowledged) = acknowledged {
            self.vouch(acknowledged.index).await?;
        }
        let result = match answer {
            AppendEntriesResponse::Success => Answer::Success(Success {}),
            AppendEntriesResponse::PartialSuccess(matching) => {
                Answer::PartialSuccess(PartialSuccess { matching: matching.as_ref().map(log_id_to_pb) })
            }
            AppendEntriesResponse::Conflict => Answer::Conflict(Conflict {}),
            AppendEntriesResponse::HigherVote(vote) => Answer::HigherVote(vote_to_pb(&vote)),
        };
        Ok(Response::new(pb::AppendResponse { result: Some(result) }))
    }

    async fn vote(&self, request: Request<pb::VoteRequest>) -> Result<Response<pb::VoteResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        let vote = vote_from_pb(&request.vote.ok_or_else(|| missing("a vote"))?);
        let candidate = NodeId(vote.leader_id.node_id);
        self.peers.check_sender(&extensions, candidate)?;
        // One that was away when it was removed still takes itself for a voter.
        if self.core.state().replica(candidate).is_some_and(|replica| replica.role == ReplicaRole::Retired) {
            return Err(Unavailable::Removed { node: candidate }.into());
        }
        let rpc = VoteRequest { vote, last_log_id: request.last_log_id.as_ref().map(log_id_from_pb) };
        let answer = self.raft.vote(rpc).await.map_err(|error| raft_stopped(&error))?;
        if answer.vote_granted {
            self.elections.grant();
        }
        Ok(Response::new(pb::VoteResponse {
            vote: Some(vote_to_pb(&answer.vote)),
            granted: answer.vote_granted,
            last_log_id: answer.last_log_id.as_ref().map(log_id_to_pb),
        }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::InstallSnapshotRequest>>,
    ) -> Result<Response<pb::InstallSnapshotResponse>, Status> {
        use pb::install_snapshot_request::Part;
        let (_, extensions, mut parts) = request.into_parts();
        let Some(Part::Header(header)) = parts.next().await.transpose()?.and_then(|first| first.part) else {
            return Err(missing("a header as the first message"));
        };
        self.check(header.target.as_ref())?;
        let vote = vote_from_pb(&header.vote.ok_or_else(|| missing("a vote"))?);
        self.peers.check_sender(&extensions, NodeId(vote.leader_id.node_id))?;
        let meta = SnapshotMeta {
            last_log_id: header.last_log_id.as_ref().map(log_id_from_pb),
            last_membership: header.membership.map(stored_membership_from_pb).unwrap_or_default(),
            snapshot_id: header.snapshot_id,
        };
        let refused = |error: &dyn std::error::Error| {
            warn!(error = crate::state_machine::chain(error), "a snapshot could not be received");
            Status::aborted("the snapshot could not be received; see the log of this replica")
        };
        let name = snapshot_name(&meta).map_err(|error| refused(&error))?;
        let mut receiver = self.core.store.receive_snapshot(&name).map_err(|error| refused(&error))?;
        while let Some(message) = parts.next().await {
            let Some(Part::Piece(piece)) = message?.part else { return Err(missing("a piece")) };
            receiver.push(&piece).map_err(|error| refused(&error))?;
        }
        // Checks the hash over the whole, which takes as long as reading the file.
        let finished = tokio::task::spawn_blocking(move || receiver.finish()).await;
        finished.map_err(|_| status::bug("receiving a snapshot panicked"))?.map_err(|error| refused(&error))?;
        let through = meta.last_log_id.map_or(0, |last| last.index);
        let snapshot = Snapshot { meta, snapshot: Box::new(SnapshotData::Received(name)) };
        let answer = self.raft.install_full_snapshot(vote, snapshot).await;
        let answer = answer.map_err(|error: Fatal<u64>| raft_stopped(&RaftError::Fatal(error)))?;
        if answer.vote == vote {
            self.elections.hear();
            // raft answers a snapshot that is being installed already at once, and the leader counts on this disk.
            self.vouch(through).await?;
        }
        Ok(Response::new(pb::InstallSnapshotResponse { vote: Some(vote_to_pb(&answer.vote)) }))
    }
}
