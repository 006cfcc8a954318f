//! Gathering cosignatures: from whoever answers in time.

use latchkey_domain::NodeId;
use latchkey_link::{LogCosigner, ObservingReplica, Vouching};
use latchkey_transparency::note::{Algorithm, Note, Signature, VerifierKey};
use latchkey_wire::pb::internal::v1 as pb;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;
use tonic_types::StatusExt as _;

/// How long all replicas together may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The reason of a replica that refuses.
const CONFLICT: &str = "CHECKPOINT_CONFLICT";

/// What the replicas said.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Lines that verify under keys which the cluster knows.
    pub(super) lines: Vec<Signature>,
    /// Those that found another tree than ours, and what they said.
    pub(super) conflicts: Vec<(NodeId, String)>,
    /// How many members there are.
    pub(super) members: usize,
}

impl Gathered {
    /// Whether a majority of all members refuses. One that does while the others are away is one bad disk, or one bad
    /// replica, and must not be able to stop the log.
    pub(super) fn is_refused(&self) -> bool {
        2 * self.conflicts.len() > self.members
    }
}

/// Asks all members at once.
///
/// # Errors
/// `UNAVAILABLE` where nobody leads.
pub(super) async fn gather<V: Vouching>(
    replicas: &Arc<V>,
    known: &[LogCosigner],
    public: [u8; 32],
    note: &Note,
) -> Result<Gathered, Status> {
    let by = Instant::now() + WITHIN;
    let members = replicas.cosigners(by).await?;
    let mut gathered = Gathered { members: members.len(), ..Gathered::default() };
    let (text, mut asked) = (Arc::new(note.to_string()), JoinSet::new());
    for member in members {
        let (replicas, text) = (replicas.clone(), text.clone());
        asked.spawn(async move {
            let answer = replicas.cosign(&member, public, &text, by).await;
            (member, answer)
        });
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((member, Ok(answer))) => match line(&member, known, note, &answer) {
                Some(line) => gathered.lines.push(line),
                None => {
                    tracing::debug!(replica = %member.node, "a cosignature does not verify by a key that the cluster knows");
                }
            },
            Ok((member, Err(status))) if is_conflict(&status) => {
                tracing::error!(replica = %member.node, message = status.message(), "a replica does not vouch for the log");
                gathered.conflicts.push((member.node, status.message().to_owned()));
            }
            Ok((member, Err(status))) => {
                tracing::debug!(replica = %member.node, code = ?status.code(), message = status.message(), "a replica did not cosign");
            }
            Err(error) => tracing::error!(%error, "asking a replica to cosign failed"),
        }
    }
    gathered.lines.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(gathered)
}

/// The line of an answer, where it is a cosignature by the key that the cluster knows of this replica.
fn line(
    member: &ObservingReplica,
    known: &[LogCosigner],
    note: &Note,
    answer: &pb::CosignResponse,
) -> Option<Signature> {
    let cosigner = known.iter().find(|known| known.node == member.node && known.key[..] == answer.node_key[..])?;
    let key = VerifierKey::new(&cosigner.name, Algorithm::CosignatureV1, &cosigner.key).ok()?;
    let line = Signature::parse(&answer.line)?;
    key.verify_cosignature(note.text(), &line).map(|_| line)
}

fn is_conflict(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == CONFLICT)
}
