//! The tasks that follow something for as long as the replica lives: raft's role, its condition, the keyring.

use crate::core::Condition;
use crate::registry::Registry;
use crate::state_machine::chain;
use latchkey_domain::NodeId;
use latchkey_telemetry::names;
use openraft::ServerState;
use openraft::error::Fatal;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long to wait before the keyring is unwrapped again.
const KEYRING_RETRY: Duration = Duration::from_secs(1);

impl Registry {
    /// Leadership begins and ends with what raft says.
    pub(crate) async fn follow_raft(self) {
        let mut metrics = self.inner.raft.metrics();
        let mut leader = None;
        loop {
            let (leads, voters, stopped) = {
                let now = metrics.borrow_and_update();
                if now.current_leader != leader {
                    leader = now.current_leader;
                    metrics::counter!(names::LEADER_CHANGES_TOTAL).increment(1);
                    info!(node = %self.node(), leader, term = now.current_term, "leader changed");
                }
                let leads = (now.state == ServerState::Leader).then_some(now.current_term);
                let voters = now.membership_config.membership().voter_ids().map(NodeId).collect();
                (leads, voters, now.running_state.clone())
            };
            self.inner.leadership.follow(leads, voters);
            metrics::gauge!(names::LEADER).set(f64::from(u8::from(leads.is_some())));
            match stopped {
                Ok(()) => {}
                // Asked for: by a fence, which has said why, or because the process ends.
                Err(Fatal::Stopped) => return,
                Err(fatal) => {
                    error!(%fatal, "raft has failed; this replica answers no more");
                    self.inner.core.set_condition(Condition::Fenced);
                    return;
                }
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// A locked replica does not stand for election: it could not open what it would have to seal. Nor does one of a
    /// cluster that is not founded yet, unless it is the one that founds it.
    pub(crate) async fn follow_condition(self) {
        let mut condition = self.inner.core.watch_condition();
        let mut revision = self.inner.core.watch_revision();
        loop {
            let now = *condition.borrow_and_update();
            revision.borrow_and_update();
            let founded = self.inner.core.state().cluster().is_some();
            let may_lead = founded || self.inner.founding_key.is_some();
            self.inner.elections.allow(now == Condition::Ready && may_lead);
            if now == Condition::Fenced {
                warn!("fenced: raft stops");
                drop(self.inner.raft.shutdown().await);
                return;
            }
            let changed = tokio::select! {
                changed = condition.changed() => changed,
                changed = revision.changed(), if !founded => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Unwraps what the cluster adds to its keyring. Where the KEK is away meanwhile, nothing else waits for it.
    pub(crate) async fn follow_keyring(self) {
        let keyring = &self.inner.core.keyring;
        let mut news = keyring.watch();
        while news.changed().await.is_ok() {
            while let Err(error) = keyring.unwrap_all().await {
                warn!(error = chain(&error), "a key of the keyring waits for the key-encryption key");
                tokio::time::sleep(KEYRING_RETRY).await;
            }
        }
    }
}
