//! `CreateBackup`: the state of this replica on its way to an operator.

use super::ClusterFace;
use crate::halt::Halt;
use crate::session::{Session, ground_of};
use latchkey_domain::Duty;
use latchkey_link::answers::told;
use latchkey_link::{ProvenIdentity, Time};
use latchkey_registry::{BackupError, BackupHeader};
use latchkey_state::Operation;
use latchkey_transport::status;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_backup_response::Part;
use latchkey_wire::time::write_time;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _, once};
use tonic::{Extensions, Response, Status};

/// The method as audit names it.
const METHOD: &str = "ClusterService/CreateBackup";

/// How long the entry about it may take.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);

/// A backup on its way.
pub(super) type BackupParts = Pin<Box<dyn Stream<Item = Result<v1::CreateBackupResponse, Status>> + Send>>;

impl ClusterFace {
    pub(super) async fn back_up(&self, extensions: &Extensions) -> Result<Response<BackupParts>, Status> {
        let identity = self.may_back_up(extensions)?;
        let backup = self.registry.backup().await.map_err(refused)?;
        self.record(&backup.header, &identity, extensions).await?;
        tracing::info!(revision = %backup.header.revision, "a backup is streamed");
        let part = |part| v1::CreateBackupResponse { part: Some(part) };
        let first = once(Ok(part(Part::Backup(write_header(&backup.header)))));
        let pieces = ReceiverStream::new(backup.pieces);
        let pieces = pieces.map(move |piece| piece.map(|piece| part(Part::Piece(piece.into()))).map_err(refused));
        Ok(Response::new(Box::pin(first.chain(pieces))))
    }

    /// Nothing leaves before the log tells of it: of whatever was destroyed, somebody may have to know where it still lies.
    async fn record(
        &self,
        header: &BackupHeader,
        identity: &ProvenIdentity,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        let operation = Operation::RecordBackup(header.backup());
        if self.registry.core().state().progress().feature_level < operation.feature_level() {
            return Ok(());
        }
        let by = Time::of(extensions).min(Instant::now() + RECORDED_WITHIN);
        let proposed = latchkey_link::Registry::propose(&self.registry, &identity.command(None, operation), by).await?;
        told(proposed).inspect_err(|status| self.refusals.note(identity, METHOD, status)).map(drop)
    }

    fn may_back_up(&self, extensions: &Extensions) -> Result<ProvenIdentity, Halt> {
        let view = self.registry.reader().now()?;
        let age = || view.age();
        let session = Session::open(ground_of(&view), extensions, &age, &self.registry)?;
        let note = |halt: &Halt| halt.note(&self.refusals, &session, METHOD);
        session.require_on_system(&[Duty::Admin]).inspect_err(note)?;
        Ok(session.proven())
    }
}

fn refused(error: BackupError) -> Status {
    match error {
        BackupError::Unavailable(unavailable) => unavailable.into_status(),
        BackupError::Write(_) => Status::aborted("the replica could not write the backup on; see its log"),
        other => status::bug(&other.to_string()),
    }
}

fn write_header(header: &BackupHeader) -> v1::Backup {
    v1::Backup {
        cluster_id: header.cluster.to_string(),
        revision: Some(header.revision.into()),
        take_time: Some(write_time(header.taken_at)),
        next_sequence: header.next.0,
        state_hash: header.hash.bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        feature_level: header.feature_level,
        key_count: header.keys,
        replica: header.node.0,
        name: header.backup().to_string(),
    }
}
