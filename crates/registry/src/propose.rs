//! Proposing a command, as leader: stamp, seal, write, wait for what became of it.

use crate::init::PendingFounding;
use crate::membership;
use crate::registry::Registry;
use crate::state_machine::chain;
use crate::types::{IntroducedKey, LogCommand, Member};
use latchkey_domain::{NodeId, Refusal, RingNumber};
use latchkey_kms::OsEntropy;
use latchkey_state::{Applied, Command, Operation, ReplicaStep, RingPurpose, State, StepReplica, bootstrap_ring};
use latchkey_storage::Space;
use latchkey_telemetry::{TraceParent, names, span, trace};
use latchkey_transport::Unavailable;
use metrics::{Gauge, counter, gauge, histogram};
use openraft::error::{ClientWriteError, RaftError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{Instrument as _, warn};

/// Why a command was not carried out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposeError {
    /// Nothing happened.
    Unavailable(Unavailable),
    /// Another replica leads. Nothing happened.
    Elsewhere(NodeId, Member),
    /// It may have happened.
    Unknown,
}

impl From<Unavailable> for ProposeError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl Registry {
    /// Carries out a command, as leader. The time is stamped here.
    ///
    /// # Errors
    /// [`ProposeError`]
    pub async fn propose(&self, command: Command, within: Duration) -> Result<Arc<Applied>, ProposeError> {
        let (begun, _waits) = (Instant::now(), InProgress::begin());
        let proposed = self.propose_stamped(command, within).instrument(span!("propose")).await;
        if let Ok(applied) = &proposed {
            trace::note("latchkey.revision", || applied.revision.to_string());
        }
        let result = match &proposed {
            Ok(applied) if applied.answer.is_ok() => "applied",
            Ok(_) => "refused",
            Err(_) => "unavailable",
        };
        counter!(names::PROPOSALS_TOTAL, "result" => result).increment(1);
        histogram!(names::PROPOSE_SECONDS).record(begun.elapsed().as_secs_f64());
        proposed
    }

    async fn propose_stamped(&self, mut command: Command, within: Duration) -> Result<Arc<Applied>, ProposeError> {
        if let Some(unavailable) = self.inner.core.unavailable() {
            return Err(unavailable.into());
        }
        self.check_space(&command)?;
        if let Some(refused) = self.check_rate(&command) {
            return Ok(refused);
        }
        command.at = match self.inner.leadership.stamp() {
            Ok(at) => at,
            Err(unavailable) => return Err(self.elsewhere().unwrap_or(unavailable.into())),
        };
        // Only now is the state surely that of the term.
        if let Some(refused) = self.check_level(&command) {
            return Ok(refused);
        }
        if let Some(refused) = self.check_membership(&command) {
            return Ok(refused);
        }
        if let Some(refused) = self.check_checkpoint(&command).await {
            return Ok(refused);
        }
        let leads_next = self.leads_next(&command);
        let applied = self.propose_unstamped(command, within).await?;
        if let Some(next) = leads_next.filter(|_| applied.answer.is_ok() && !applied.repeated) {
            let registry = self.clone();
            // Whoever asked learns of it from who leads, and may be gone before that.
            self.own(async move { _ = registry.hand_over(Some(next)).await });
        }
        Ok(applied)
    }

    /// The refusal of a change of membership that is not safe as things are: what only the leader can tell.
    fn check_membership(&self, command: &Command) -> Option<Arc<Applied>> {
        let state = self.inner.core.state();
        let refusal = membership::check(&state, &self.own_roster()?, &command.operation).err()?;
        Some(refused_here(&state, refusal))
    }

    /// The refusal of a checkpoint that is none of the tree that this replica computed. The state knows the root of the whole
    /// tree alone, and what is recorded lets entries be forgotten: so whoever has them looks before it becomes a record.
    async fn check_checkpoint(&self, command: &Command) -> Option<Arc<Applied>> {
        let Operation::RecordCheckpoint { checkpoint, .. } = &command.operation else { return None };
        let state = self.inner.core.state().clone();
        let problem = self.checkpoint_problem(&state, checkpoint).await?;
        Some(refused_here(&state, Refusal::CheckpointConflict { size: checkpoint.size, problem }))
    }

    /// Who is to lead once this is carried out, where that is another.
    fn leads_next(&self, command: &Command) -> Option<NodeId> {
        match command.operation {
            Operation::StepReplica(StepReplica { node, step: ReplicaStep::Lead }) if node != self.node() => Some(node),
            _ => None,
        }
    }

    /// Some passes while there is any room at all.
    fn check_space(&self, command: &Command) -> Result<(), ProposeError> {
        match self.inner.core.store.space() {
            Space::Enough => Ok(()),
            Space::Low if command.passes_when_room_is_short() => Ok(()),
            Space::Low | Space::Full => Err(Unavailable::DiskFull.into()),
        }
    }

    /// The refusal of a tenant that writes too much. It is no record: that would be one write more.
    fn check_rate(&self, command: &Command) -> Option<Arc<Applied>> {
        if !self.leads() {
            return None;
        }
        let core = &self.inner.core;
        let state = core.state();
        let refusal = self.inner.rates.take(&state, command, core.clock.boottime_millis()).err()?;
        Some(refused_here(&state, refusal))
    }

    /// The refusal of a command above the feature level. It must not become a record: a replica of an older build could
    /// not read it, and would fence itself.
    fn check_level(&self, command: &Command) -> Option<Arc<Applied>> {
        let state = self.inner.core.state();
        let (needed, current) = (command.feature_level_needed(), state.progress().feature_level.max(1));
        (needed > current).then(|| refused_here(&state, Refusal::FeatureLevel { needed, current }))
    }

    /// Carries out a command whose time does not come from this replica's clock alone.
    pub(crate) async fn propose_unstamped(
        &self,
        command: Command,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        let log_key = {
            let state = self.inner.core.state();
            if !self.inner.leadership.may_seal_at(state.revision().index) {
                // The newest log key of this state may be one that was destroyed since.
                return Err(Unavailable::Starting.into());
            }
            state.newest_ring_key(RingPurpose::Log).map_or(bootstrap_ring::LOG, |key| key.number)
        };
        self.write(log_key, &command, within).await
    }

    /// The first command of a cluster: it brings the log key that seals it.
    pub(crate) async fn propose_founding(
        &self,
        pending: &PendingFounding,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        let opened = self.inner.core.sealer.open_command(&pending.sealed).await;
        let mut command = opened.map_err(|error| {
            warn!(error = chain(&error), "the first command cannot be opened");
            ProposeError::Unavailable(Unavailable::Locked)
        })?;
        command.at = self.inner.leadership.stamp()?;
        command.feature_level = pending.feature_level.unwrap_or(command.feature_level);
        self.write(bootstrap_ring::LOG, &command, within).await
    }

    async fn write(
        &self,
        log_key: RingNumber,
        command: &Command,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        if self.inner.core.durable.is_stuck() {
            // Where this replica votes alone nobody else is elected, and what waits for its disk would grow without a bound.
            return Err(Unavailable::NoLeader { node: Some(self.node()) }.into());
        }
        let introduced = self.introduced(log_key);
        let sealed = self.inner.core.sealer.seal_command(log_key, command, &mut OsEntropy).await.map_err(|error| {
            warn!(%error, "a command could not be sealed");
            ProposeError::Unavailable(Unavailable::Locked)
        })?;
        let record = LogCommand { sealed: sealed.into(), introduced, trace: TraceParent::current() };
        let write = async {
            let written = self.inner.raft.client_write(record).await?;
            // Committed. Without a sender it will not be applied here, or was a snapshot's.
            Ok(match written.data.0 {
                Some(applied) => applied.await.map_err(|_| ProposeError::Unknown),
                None => Err(ProposeError::Unknown),
            })
        };
        let written = tokio::select! {
            biased;
            written = tokio::time::timeout(within, write) => written,
            // It is appended here, and whoever leads the others may have it too.
            () = self.until_isolated() => return Err(ProposeError::Unknown),
        };
        match written {
            Ok(Ok(applied)) => {
                if let Ok(applied) = &applied {
                    let core = &self.inner.core;
                    core.propagation.note(applied.revision.index, core.clock.boottime_millis());
                }
                applied
            }
            // Also said of a record that was appended here and truncated again: another replica that has it may still be
            // elected. Only a repeat that is recognised may be sent elsewhere.
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) if command.request.is_none() => {
                Err(ProposeError::Unknown)
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                Err(match (forward.leader_id, forward.leader_node) {
                    (Some(leader), Some(member)) => ProposeError::Elsewhere(NodeId(leader), member),
                    _ => Unavailable::NoLeader { node: Some(self.inner.core.node()) }.into(),
                })
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_)))) => {
                unreachable!("a command does not change the membership")
            }
            // It may be in the log already, and whoever leads next may commit it.
            Ok(Err(RaftError::Fatal(_))) | Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// Until the state lists a log key, each record brings the one that seals it.
    fn introduced(&self, log_key: RingNumber) -> Vec<IntroducedKey> {
        let listed = self.inner.core.state().ring_key(log_key).is_some();
        self.inner.founding_key.iter().filter(|_| !listed).cloned().collect()
    }
}

/// A proposal that waits, counted for as long as it does: whoever gives it up drops it.
struct InProgress(Gauge);

impl InProgress {
    fn begin() -> Self {
        let waiting = gauge!(names::PROPOSALS_IN_PROGRESS);
        waiting.increment(1.0);
        Self(waiting)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A refusal that no record tells of.
fn refused_here(state: &State, refusal: Refusal) -> Arc<Applied> {
    Arc::new(Applied::refused(state.revision(), refusal))
}
