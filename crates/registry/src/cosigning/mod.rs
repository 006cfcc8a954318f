//! Cosigning: this replica vouches for checkpoints of the audit log that are of the tree that it has computed itself.
//!
//! ```text
//! audit -- Cosign { note } --> its signature? -> this log? -> our own root of that size? -> no step back? -> durable -> a line
//! ```
//! The tree is part of consensus, so each replica knows its root without asking anybody. A replica that says yes without a
//! look is worth nothing to an auditor; one that says no has found that somebody rewrote the log.

mod book;
mod judge;
mod telling;

pub(crate) use book::NodeKeyBook;

use crate::outbox::OutboxError;
use crate::registry::Registry;
use judge::{Asked, Judged, judge};
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{NodeId, Refusal};
use latchkey_state::{AuditCheckpoint, Operation, State, cosigner_name};
use latchkey_telemetry::names;
use latchkey_transparency::note::{Algorithm, Note, SignerKey, VerifierKey};
use latchkey_transparency::{Checkpoint, Hash, empty_root};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::pb::internal::v1 as pb;
use metrics::counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Status;

/// How long a replica waits until it has applied what it is asked about: audit may follow one that is ahead.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

impl Registry {
    /// Vouches for a checkpoint, or says why not. What it vouched for is durable before anybody learns of it.
    pub(crate) async fn cosign(
        &self,
        request: &pb::CosignRequest,
        left: Duration,
    ) -> Result<pb::CosignResponse, Status> {
        let core = self.core();
        if let Some(unavailable) = core.unavailable() {
            return Err(unavailable.into_status());
        }
        let current = core.state().progress().feature_level;
        if current < judge::LEVEL {
            return Err(status::refused(&Refusal::FeatureLevel { needed: judge::LEVEL, current }));
        }
        let asked = self.read_asked(request)?;
        let state = self.state_that_knows(asked.checkpoint.size, left).await?;
        let size = asked.checkpoint.size;
        let computed = self.computed_root(&state, size).await?;
        // Held until what is vouched for is durable: two calls at once must not pass each other.
        let mut book = core.node_key.lock().await;
        let Some(key) = book.as_mut() else { return Err(Unavailable::Starting.into_status()) };
        // What it vouched for once it had computed, and nobody else can have written.
        let tree = state.progress().tree();
        let signed = key.signed.filter(|_| key.tree == tree);
        let vouched = signed.filter(|signed| signed.size == size).map(|signed| signed.root);
        // Audit has said that it has it, and it is gone here: one of the next checkpoints is of what is still there.
        let own = computed.or(vouched).ok_or_else(|| Unavailable::Starting.into_status())?;
        if state.progress().log_name(core.cluster()) != asked.checkpoint.origin {
            // Another log began while this was asked.
            return Err(Unavailable::Starting.into_status());
        }
        let judged = judge(&asked, own, state.progress(), signed.as_ref());
        if let Judged::Conflict(problem) = judged
            && !planted::is(Plant::CosignUnseen)
        {
            return Err(self.conflict(size, problem));
        }
        let signer = cosigner(core.cluster(), core.node(), &key.seed);
        let asked_for = AuditCheckpoint { size, root: asked.checkpoint.root, key: asked.key };
        core.node_key.sign(core, &mut book, asked_for, tree).await?;
        drop(book);
        let seconds = core.clock.unix_millis().millis() / 1_000;
        counter!(names::COSIGNATURES_TOTAL, "result" => "signed").increment(1);
        Ok(pb::CosignResponse {
            node_key: signer.verifier().public().to_vec(),
            line: signer.cosign(seconds, &asked.checkpoint.text()).to_string(),
        })
    }

    /// What is asked, once audit's own signature is found to be right.
    fn read_asked(&self, request: &pb::CosignRequest) -> Result<Asked, Status> {
        let invalid = |what: &str| Status::invalid_argument(what.to_owned());
        let key = <[u8; 32]>::try_from(&request.key[..]).map_err(|_| invalid("expected a key of 32 bytes"))?;
        let note = Note::parse(&request.note).map_err(|error| invalid(&error.to_string()))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| invalid(&error.to_string()))?;
        let core = self.core();
        let origin = core.state().progress().log_name(core.cluster());
        let size = checkpoint.size;
        if checkpoint.origin != origin {
            let problem = format!("expected a checkpoint of the log {origin}, found one of {}", checkpoint.origin);
            return Err(self.conflict(size, problem));
        }
        let verifier = VerifierKey::new(&origin, Algorithm::Ed25519, &key);
        let verifier = verifier.map_err(|error| invalid(&error.to_string()))?;
        match Checkpoint::open(&note, &verifier, &[]) {
            Ok(_) => Ok(Asked { checkpoint, key }),
            Err(error) => Err(self.conflict(size, format!("the signature of the audit service is wrong: {error}"))),
        }
    }

    /// The state, once it has as many entries.
    async fn state_that_knows(&self, size: u64, left: Duration) -> Result<Arc<State>, Status> {
        let core = self.core();
        let mut revisions = core.watch_revision();
        let knows = revisions.wait_for(|_| core.state().progress().frontier.size() >= size);
        match timeout(left.min(CATCH_UP_MAX), knows).await {
            Ok(Ok(_)) => Ok(arc_swap::Guard::into_inner(core.state())),
            // It may be behind, and may be asked about what never was: either way it cannot vouch for it now.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Starting.into_status()),
        }
    }

    /// The root of the tree's first `size` entries as this replica computed it: of all it has, or as it stands beside the
    /// entry in the outbox; `None` where that is gone. Never the one that is recorded: the state takes audit's word for the
    /// root of a tree that has grown since.
    async fn computed_root(&self, state: &State, size: u64) -> Result<Option<Hash>, Status> {
        let progress = state.progress();
        if size == progress.frontier.size() {
            return Ok(Some(progress.frontier.root()));
        }
        if let Some(recorded) = progress.checkpoint.filter(|recorded| recorded.size > size) {
            // What is smaller than the recorded one is refused, whatever its root.
            return Ok(Some(recorded.root));
        }
        let Some(last) = size.checked_sub(1) else { return Ok(Some(empty_root())) };
        let entries = self.core().read_entries(last).await;
        let entry = match entries {
            Ok(entries) => entries.into_iter().next().filter(|entry| entry.sequence == last),
            Err(OutboxError::Gone { .. }) => None,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                return Err(status::bug("the outbox cannot be read"));
            }
        };
        Ok(entry.and_then(|entry| <[u8; 32]>::try_from(&entry.root[..]).ok()).map(Hash::new))
    }

    /// What is wrong with a checkpoint that audit wants to have recorded. `None` as well for one that is smaller than the recorded
    /// one, which the state refuses, and where the entry was let go before anything was recorded.
    pub(crate) async fn checkpoint_problem(&self, state: &State, checkpoint: &AuditCheckpoint) -> Option<String> {
        let AuditCheckpoint { size, root, .. } = *checkpoint;
        let progress = state.progress();
        let known = progress.frontier.size();
        if size > known {
            // The state would refuse it too, but for entries that are on their way: by then it could not tell its root.
            return Some(format!("expected a checkpoint of at most {known} entries, which there are, found {size}"));
        }
        if progress.checkpoint.is_some_and(|recorded| size < recorded.size) {
            return None;
        }
        let own = self.computed_root(state, size).await.ok()??;
        (own != root).then(|| format!("expected the root {own} for {size} entries, found {root}"))
    }

    fn conflict(&self, size: u64, problem: String) -> Status {
        tracing::error!(
            size,
            problem,
            "this replica does not vouch for a checkpoint of the audit log: keep both logs as evidence"
        );
        counter!(names::COSIGNATURES_TOTAL, "result" => "refused").increment(1);
        status::refused(&Refusal::CheckpointConflict { size, problem })
    }

    /// What this replica tells of its key, where it has one and the table knows none.
    pub(crate) fn node_key_to_tell(&self, public: [u8; 32]) -> Option<Operation> {
        let (node, state) = (self.node(), self.core().state());
        let told = state.replica(node)?.node_key;
        told.is_none().then_some(Operation::SetNodeKey { node, key: public })
    }
}

/// What signs as a replica.
pub(crate) fn cosigner(cluster: latchkey_domain::ClusterId, node: NodeId, seed: &[u8; 32]) -> SignerKey {
    let name = cosigner_name(cluster, node);
    SignerKey::new(&name, Algorithm::CosignatureV1, seed).expect("our names are well-formed")
}
