//! `CreateBackup`: the state of this replica on its way to an operator.

use super::ClusterFace;
use crate::halt::Halt;
use crate::session::{Session, ground_of};
use latchkey_domain::Duty;
use latchkey_registry::{BackupError, BackupHeader};
use latchkey_transport::status;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_backup_response::Part;
use latchkey_wire::time::write_time;
use std::pin::Pin;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _, once};
use tonic::{Extensions, Response, Status};

/// The method as audit names it.
const METHOD: &str = "ClusterService/CreateBackup";

/// A backup on its way.
pub(super) type BackupParts = Pin<Box<dyn Stream<Item = Result<v1::CreateBackupResponse, Status>> + Send>>;

impl ClusterFace {
    pub(super) async fn back_up(&self, extensions: &Extensions) -> Result<Response<BackupParts>, Status> {
        self.may_back_up(extensions)?;
        let backup = self.registry.backup().await.map_err(refused)?;
        tracing::info!(revision = %backup.header.revision, "a backup is streamed");
        let part = |part| v1::CreateBackupResponse { part: Some(part) };
        let first = once(Ok(part(Part::Backup(write_header(&backup.header)))));
        let pieces = ReceiverStream::new(backup.pieces);
        let pieces = pieces.map(move |piece| piece.map(|piece| part(Part::Piece(piece.into()))).map_err(refused));
        Ok(Response::new(Box::pin(first.chain(pieces))))
    }

    fn may_back_up(&self, extensions: &Extensions) -> Result<(), Halt> {
        let view = self.registry.reader().now()?;
        let age = || view.age();
        let session = Session::open(ground_of(&view), extensions, &age)?;
        let note = |halt: &Halt| halt.note(&self.refusals, &session, METHOD);
        session.require_on_system(&[Duty::Admin]).inspect_err(note)
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
    }
}
