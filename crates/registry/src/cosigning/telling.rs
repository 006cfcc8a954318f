//! Telling the cluster the public half of this replica's key, once there is a feature level that knows such keys.

use super::{cosigner, judge};
use crate::core::Condition;
use crate::registry::Registry;
use latchkey_domain::Refusal;
use latchkey_telemetry::names;
use metrics::counter;
use std::time::Duration;
use tonic::Status;
use tracing::{debug, error, info};

/// Between two looks, and between two tries.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

impl Registry {
    /// Draws the key once, and proposes its public half until the table has it, or has another.
    pub(crate) async fn tell_node_key(self) {
        // So that the first one that is refused is seen to be one more than before.
        for result in ["signed", "refused"] {
            counter!(names::COSIGNATURES_TOTAL, "result" => result).increment(0);
        }
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let core = self.core();
            if core.condition() == Condition::Fenced {
                return;
            }
            let listed = core.state().replica(self.node()).map(|replica| replica.node_key);
            let known = core.state().progress().feature_level >= judge::LEVEL;
            let (Some(listed), true, None) = (listed, known, core.unavailable()) else { continue };
            let public = match core.node_key.seed(core).await {
                Ok(seed) => cosigner(core.cluster(), self.node(), &seed).verifier().public(),
                Err(status) => {
                    debug!(message = status.message(), "the node key waits");
                    continue;
                }
            };
            if listed == Some(public) {
                return;
            }
            if listed.is_some() {
                error!(
                    node = %self.node(),
                    "the cluster knows another node key of this replica: its folder was made anew under an id that was used; \
                     it cosigns nothing that auditors can verify. Replace it by a replica with a new id"
                );
                return;
            }
            match self.tell(public).await {
                Ok(None) => info!("the cluster knows the key that this replica cosigns with"),
                Ok(Some(refusal)) => {
                    error!(?refusal, "the cluster does not take the node key of this replica");
                    return;
                }
                Err(status) => debug!(message = status.message(), "the node key waits for a leader"),
            }
        }
    }

    /// Proposes the key at the leader, which may be this replica; what it was refused for, if so.
    async fn tell(&self, public: [u8; 32]) -> Result<Option<Refusal>, Status> {
        let Some(operation) = self.node_key_to_tell(public) else { return Ok(None) };
        self.tell_leader(operation).await
    }
}
