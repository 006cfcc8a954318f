//! What vouches for the audit log: the keys of replicas, and the newest checkpoint that audit signed.

use super::Answer;
use super::transaction::{Telling, Transaction};
use super::trim::let_go;
use crate::event::Action;
use crate::records::{AuditCheckpoint, Replica};
use crate::row::Row;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use latchkey_domain::{NodeId, Refusal, ResourceKind, Sequence};

/// A key that was set stays: whoever checks a cosignature of long ago needs the key of then. One that another replica has
/// is the key of a folder that was copied.
pub(super) fn set_node_key(transaction: &mut Transaction<'_>, node: NodeId, key: [u8; 32]) -> Result<Answer, Refusal> {
    let name = format!("replicas/{node}");
    let state = transaction.state();
    let replica = state.replica(node).cloned();
    let replica = replica.ok_or_else(|| Refusal::NotFound { kind: ResourceKind::Replica, name: name.clone() })?;
    if replica.node_key == Some(key) {
        return Ok(Answer::Done);
    }
    let holder = state.replicas().find(|other| other.node_key == Some(key)).map(|other| other.node);
    if let Some(known) = holder.or(replica.node_key.map(|_| node)) {
        return Err(Refusal::NodeKeyKnown { replica: known });
    }
    transaction.put(Row::Replica(Arc::new(Replica { node_key: Some(key), ..Replica::clone(&replica) })));
    let facts = Vec::from([("node_key", hex(&key))]);
    transaction.emit(Action::ReplicaKeySet, name, Telling { facts, ..Telling::default() });
    Ok(Answer::Done)
}

/// Emits nothing, as trimming does: a checkpoint of the entry about the last one would never be the last.
pub(super) fn record_checkpoint(
    transaction: &mut Transaction<'_>,
    checkpoint: &AuditCheckpoint,
    through: Option<Sequence>,
) -> Result<Answer, Refusal> {
    if let Some(problem) = conflict(transaction, checkpoint, through) {
        return Err(Refusal::CheckpointConflict { size: checkpoint.size, problem });
    }
    transaction.set_checkpoint(*checkpoint);
    Ok(through.map_or(Answer::Done, |through| let_go(transaction, through)))
}

fn conflict(transaction: &Transaction<'_>, checkpoint: &AuditCheckpoint, through: Option<Sequence>) -> Option<String> {
    let AuditCheckpoint { size, root, key } = *checkpoint;
    let progress = transaction.progress();
    let tree = &progress.frontier;
    if size > tree.size() {
        return Some(format!(
            "expected a checkpoint of at most {} entries, which there are, found {size}",
            tree.size()
        ));
    }
    if size == tree.size() && root != tree.root() {
        return Some(format!("expected the root {} for {size} entries, found {root}", tree.root()));
    }
    if through.is_some_and(|through| through.0 >= size) {
        return Some(format!("expected entries to be let go below the checkpoint of {size} alone"));
    }
    let last = progress.checkpoint.filter(|last| *last != *checkpoint)?;
    if size < last.size {
        return Some(format!("expected a checkpoint of at least {} entries, as the last one, found {size}", last.size));
    }
    if size == last.size && root != last.root {
        return Some(format!("expected the root {} for {size} entries, as recorded before, found {root}", last.root));
    }
    // Another key of the audit service: the log goes on under it, and nothing old is signed anew.
    (size == last.size && key != last.key)
        .then(|| format!("expected more than {size} entries for the first checkpoint by another key"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
        text
    })
}

impl AuditCheckpoint {
    /// The key that signed it, in hexadecimal digits.
    #[must_use]
    pub fn key_text(&self) -> String {
        hex(&self.key)
    }
}
