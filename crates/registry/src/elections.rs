//! When this replica stands for election.
//!
//! raft's own timer looks every one and a half heartbeats, and draws its patience once for a process. Two followers whose
//! draws end between the same two looks stand together, get one vote each, and do so again. Writes were away for two rounds
//! then: 12.6 s over regions, longer than what a validation may go on without a leader. Here each silence has a draw of its
//! own, to the millisecond, and whoever stood in vain tries again soon.

use crate::registry::Registry;
use crate::start::Timing;
use latchkey_crypto::draw;
use latchkey_kms::OsEntropy;
use openraft::ServerState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

/// Heartbeats that whoever granted a vote, or stood in vain, gives a leader to speak.
const GRACE_HEARTBEATS: u32 = 2;

/// This part of a heartbeat may lie between what two followers heard last. Before its own patience is over, a follower
/// refuses its vote.
const MARGIN_PARTS: u32 = 4;

/// How long this replica has heard of no leader, and whether it may stand.
#[derive(Debug)]
pub(crate) struct Elections {
    heartbeat: Duration,
    /// The silence before which no follower grants a vote.
    patience: Duration,
    /// The most that is drawn on top.
    spread: Duration,
    allowed: AtomicBool,
    /// Until when a leader is given to speak.
    patient_until: Mutex<Instant>,
}

impl Elections {
    pub(crate) fn new(timing: Timing) -> Self {
        let heartbeat = Duration::from_millis(timing.heartbeat_ms);
        let elections = Self {
            heartbeat,
            patience: Duration::from_millis(timing.election_max_ms) + heartbeat / MARGIN_PARTS,
            spread: Duration::from_millis(timing.election_max_ms.saturating_sub(timing.election_min_ms).max(1)),
            allowed: AtomicBool::new(false),
            patient_until: Mutex::new(Instant::now()),
        };
        // A leader comes back to a replica that was away only after a while, and one that stands beside it ends its term.
        elections.hear();
        elections
    }

    /// A leader has spoken.
    pub(crate) fn hear(&self) {
        self.be_patient(self.patience);
    }

    /// A vote was granted: whoever got it may become a leader.
    pub(crate) fn grant(&self) {
        self.be_patient(self.heartbeat * GRACE_HEARTBEATS);
    }

    /// Whether this replica may stand.
    pub(crate) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Relaxed);
    }

    fn may_stand(&self) -> bool {
        self.allowed.load(Ordering::Relaxed)
    }

    fn be_patient(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut patient_until = self.patient_until.lock().unwrap_or_else(PoisonError::into_inner);
        *patient_until = until.max(*patient_until);
    }

    fn patient_until(&self) -> Instant {
        *self.patient_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> Duration {
        let drawn = u64::from_be_bytes(draw(&mut OsEntropy));
        let spread_us = u64::try_from(self.spread.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(drawn % spread_us)
    }

    /// Returns once nobody has spoken for as long as this replica is patient, and for what it drew for this silence.
    async fn until_silence_is_over(&self) {
        loop {
            let until = self.patient_until();
            sleep_until(until).await;
            sleep(self.draw()).await;
            if self.patient_until() == until {
                return;
            }
        }
    }
}

/// What this replica could stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It leads, or has no vote.
    Not,
    /// It is the only one that votes: nobody is waited for.
    Alone,
    /// Others vote as well.
    Among,
}

impl Registry {
    /// Stands where a silence is over, for as long as the replica lives.
    pub(crate) async fn follow_silence(self) {
        let elections = &self.inner.elections;
        loop {
            match self.may_stand() {
                Standing::Not => {
                    sleep(elections.heartbeat).await;
                    continue;
                }
                Standing::Alone => sleep(elections.heartbeat).await,
                Standing::Among => elections.until_silence_is_over().await,
            }
            if self.may_stand() == Standing::Not {
                continue;
            }
            info!(node = %self.node(), "stands for election: no leader was heard");
            if self.inner.raft.trigger().elect().await.is_err() {
                return;
            }
            // Whoever stood in vain tries again soon, at another moment than whoever stood beside it.
            elections.grant();
        }
    }

    fn may_stand(&self) -> Standing {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let mut voters = metrics.membership_config.membership().voter_ids();
        let votes = voters.any(|voter| voter == self.node().0);
        if !votes || metrics.state == ServerState::Leader || !self.inner.elections.may_stand() {
            Standing::Not
        } else if metrics.membership_config.membership().voter_ids().count() == 1 {
            Standing::Alone
        } else {
            Standing::Among
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAN: Timing = Timing { heartbeat_ms: 500, election_min_ms: 1_500, election_max_ms: 3_000 };

    #[tokio::test(start_paused = true)]
    async fn nobody_stands_before_a_follower_could_grant_a_vote() {
        let elections = Elections::new(WAN);
        elections.hear();
        let begun = Instant::now();
        elections.until_silence_is_over().await;
        let waited = begun.elapsed();
        assert!(waited > Duration::from_millis(3_000) && waited <= Duration::from_millis(3_000 + 125 + 1_500 + 2));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_hears_a_leader_meanwhile_is_patient_anew() {
        let elections = Elections::new(WAN);
        elections.hear();
        let begun = Instant::now();
        let speaks = async {
            for _ in 0..20 {
                sleep(Duration::from_millis(500)).await;
                elections.hear();
            }
        };
        tokio::join!(speaks, elections.until_silence_is_over());
        assert!(begun.elapsed() > Duration::from_millis(10_000 + 3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn who_stood_in_vain_tries_again_soon_and_at_another_moment() {
        let elections = Elections::new(WAN);
        elections.until_silence_is_over().await;
        let mut waits = Vec::new();
        for _ in 0..20 {
            elections.grant();
            let begun = Instant::now();
            elections.until_silence_is_over().await;
            waits.push(begun.elapsed());
        }
        assert!(waits.iter().all(|wait| *wait >= Duration::from_secs(1) && *wait <= Duration::from_millis(2_502)));
        waits.dedup();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
