//! openraft's network over gRPC.

use crate::backup::{Paced, in_background};
use crate::core::Core;
use crate::peers::{GuardedChannel, Peers};
use crate::snapshot_file;
use crate::types::{Member, Snapshot, SnapshotData, TypeConfig, Vote};
use crate::words::{log_id_from_pb, log_id_to_pb, record_to_pb, stored_membership_to_pb, vote_from_pb, vote_to_pb};
use latchkey_domain::NodeId;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::raft_service_client::RaftServiceClient;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

/// Pieces of a snapshot file on their way at once.
const PIECES_PENDING_MAX: usize = 16;

/// Makes a connection to each replica.
pub(crate) struct Network {
    pub(crate) core: Arc<Core>,
    pub(crate) peers: Arc<Peers>,
}

/// The connection to one replica.
pub(crate) struct Connection {
    core: Arc<Core>,
    peers: Arc<Peers>,
    target: u64,
    client: RaftServiceClient<GuardedChannel>,
}

type Failure = RPCError<u64, Member, RaftError<u64>>;

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &Member) -> Connection {
        let client = self.peers.raft(NodeId(target), node);
        Connection { core: self.core.clone(), peers: self.peers.clone(), target, client }
    }
}

/// This leader can commit nothing.
#[derive(Debug, thiserror::Error)]
#[error("the disk of this leader does not answer")]
struct StuckDisk;

impl Connection {
    fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<u64> {
        Timeout { action, id: self.core.node().0, target: self.target, timeout }
    }

    async fn call<T>(
        &self,
        action: RPCTypes,
        ttl: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(ttl, call).await {
            Err(_) => Err(self.timeout(action, ttl).into()),
            Ok(Ok(response)) => Ok(response.into_inner()),
            // Unreachable makes openraft wait before it tries again; anything else is tried again at once.
            Ok(Err(status))
                if matches!(status.code(), Code::Unavailable | Code::FailedPrecondition | Code::ResourceExhausted) =>
            {
                Err(Unreachable::new(&status).into())
            }
            Ok(Err(status)) => Err(NetworkError::new(&status).into()),
        }
    }
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        if self.core.durable.is_stuck() {
            // Silent, so that another is elected: beside a live leader nobody is.
            return Err(Unreachable::new(&StuckDisk).into());
        }
        let request = pb::AppendRequest {
            target: Some(self.peers.target(NodeId(self.target))),
            vote: Some(vote_to_pb(&rpc.vote)),
            previous: rpc.prev_log_id.as_ref().map(log_id_to_pb),
            records: rpc.entries.iter().map(record_to_pb).collect(),
            committed: rpc.leader_commit.as_ref().map(log_id_to_pb),
        };
        let mut client = self.client.clone();
        let answer = self.call(RPCTypes::AppendEntries, option.hard_ttl(), client.append(request)).await?;
        match answer.result {
            Some(pb::append_response::Result::Success(_)) => Ok(AppendEntriesResponse::Success),
            Some(pb::append_response::Result::PartialSuccess(part)) => {
                Ok(AppendEntriesResponse::PartialSuccess(part.matching.as_ref().map(log_id_from_pb)))
            }
            Some(pb::append_response::Result::Conflict(_)) => Ok(AppendEntriesResponse::Conflict),
            Some(pb::append_response::Result::HigherVote(vote)) => {
                Ok(AppendEntriesResponse::HigherVote(vote_from_pb(&vote)))
            }
            None => Err(NetworkError::new(&Status::internal("an append was answered with nothing")).into()),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, Failure> {
        let request = pb::VoteRequest {
            target: Some(self.peers.target(NodeId(self.target))),
            vote: Some(vote_to_pb(&rpc.vote)),
            last_log_id: rpc.last_log_id.as_ref().map(log_id_to_pb),
        };
        let mut client = self.client.clone();
        let answer = self.call(RPCTypes::Vote, option.hard_ttl(), client.vote(request)).await?;
        let vote = answer.vote.as_ref().map(vote_from_pb).unwrap_or_default();
        Ok(VoteResponse::new(vote, answer.last_log_id.as_ref().map(log_id_from_pb), answer.granted))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let mut client = self.client.clone();
        let SnapshotData::Own(Some(state)) = *snapshot.snapshot else {
            return Err(Unreachable::new(&Status::unavailable("this replica has not loaded its state")).into());
        };
        let (pieces, stream) = mpsc::channel(PIECES_PENDING_MAX);
        let header = pb::InstallSnapshotHeader {
            target: Some(self.peers.target(NodeId(self.target))),
            vote: Some(vote_to_pb(&vote)),
            snapshot_id: snapshot.meta.snapshot_id.clone(),
            last_log_id: snapshot.meta.last_log_id.as_ref().map(log_id_to_pb),
            membership: Some(stored_membership_to_pb(&snapshot.meta.last_membership)),
        };
        let part = pb::install_snapshot_request::Part::Header(header);
        // The channel is empty, so this cannot wait.
        drop(pieces.try_send(pb::InstallSnapshotRequest { part: Some(part) }));
        let core = self.core.clone();
        // It takes seconds, and this replica leads meanwhile.
        let writer = tokio::spawn(in_background("snapshot", move || {
            snapshot_file::write(&core, &snapshot.meta, &state, Paced::new(PieceWriter(pieces))).map(drop)
        }));
        let call = client.install_snapshot(ReceiverStream::new(stream));
        let ttl = option.hard_ttl();
        let answer = tokio::select! {
            closed = cancel => return Err(closed.into()),
            answer = tokio::time::timeout(ttl, call) => answer,
        };
        let answer = match answer {
            Err(_) => return Err(self.timeout(RPCTypes::InstallSnapshot, ttl).into()),
            Ok(Err(status)) => return Err(Unreachable::new(&status).into()),
            Ok(Ok(answer)) => answer.into_inner(),
        };
        if let Ok(Ok(Err(error))) = writer.await {
            return Err(NetworkError::new(&error).into());
        }
        Ok(SnapshotResponse::new(answer.vote.as_ref().map(vote_from_pb).unwrap_or_default()))
    }
}

/// A writer whose bytes leave as pieces of the stream.
struct PieceWriter(mpsc::Sender<pb::InstallSnapshotRequest>);

impl io::Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = pb::install_snapshot_request::Part::Piece(bytes.to_vec().into());
        self.0
            .blocking_send(pb::InstallSnapshotRequest { part: Some(part) })
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver went away"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
