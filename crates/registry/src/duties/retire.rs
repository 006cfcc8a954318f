//! Older log keys are destroyed once no replica's folder needs them: rows and entries are sealed under the newest one, and
//! the records of before are purged. Only the replicas know that, and say so with each renewal; one that is away has said
//! nothing, and is waited for.

use super::own;
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_domain::RingNumber;
use latchkey_state::{Operation, RingPurpose};
use std::time::Duration;
use tracing::{info, warn};

/// How long one of these commands may take.
const WITHIN: Duration = Duration::from_secs(5);

/// How often a leader looks whether an older log key is needed no more.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

impl Registry {
    /// The replicas whose folders may need a key of the keyring that `newest` took the place of, as the leader knows; all of
    /// them where this is no leader.
    pub(crate) fn folders_that_need(&self, number: RingNumber, newest: RingNumber) -> Vec<latchkey_domain::NodeId> {
        let needs = |replica: &crate::registry::ReplicaStatus| {
            replica.holding.as_ref().is_none_or(|holding| holding.needs(number, newest))
        };
        let replicas = self.status().replicas.into_iter();
        replicas.filter(|replica| needs(replica)).map(|replica| replica.node).collect()
    }
}

/// Where a leader stands with it.
#[derive(Debug, Default)]
pub(super) struct Retire {
    look_at_ms: u64,
}

impl Retire {
    /// Destroys an older log key that nobody needs.
    pub(super) async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.look_at_ms {
            return Ok(());
        }
        self.look_at_ms = boot_ms + u64::try_from(LOOK_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        for number in older(registry) {
            let applied = registry.propose(own(registry, Operation::DropRingKey(number)), WITHIN).await?;
            match &applied.answer {
                Ok(_) => info!(number = number.0, "a log key that nothing needs any more is destroyed"),
                Err(refusal) => warn!(?refusal, number = number.0, "a log key could not be destroyed"),
            }
        }
        Ok(())
    }
}

fn older(registry: &Registry) -> Vec<RingNumber> {
    let state = registry.core().state();
    let Some(newest) = state.newest_ring_key(RingPurpose::Log).map(|key| key.number) else { return Vec::new() };
    let logs = state.ring().filter(|key| key.purpose == RingPurpose::Log && key.number != newest);
    logs.map(|key| key.number).filter(|number| registry.folders_that_need(*number, newest).is_empty()).collect()
}
