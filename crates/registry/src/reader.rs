//! How validation reads: one published state and one lease, loaded once. No lock, no wait, unless the caller asked to
//! wait for something.

use crate::core::Core;
use crate::keyring::Peppers;
use crate::lease::{Granted, Lease};
use crate::renewal::Renewal;
use latchkey_decision::Denials;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, Refusal, Revision, UnixMillis};
use latchkey_state::State;
use latchkey_transport::{Unavailable, status};
use latchkey_wire::request::Consistency;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Reads the state of this replica.
#[derive(Clone)]
pub struct Reader {
    pub(crate) core: Arc<Core>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) renewal: Arc<Renewal>,
}

/// One published state, the peppers and the lease, as they were at one load.
pub struct View {
    state: Arc<State>,
    peppers: Arc<Peppers>,
    lease: Option<Arc<Granted>>,
    denials: Option<Arc<Denials>>,
    core: Arc<Core>,
}

/// Why there is no view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewError {
    /// Not now, or not here.
    Unavailable(Unavailable),
    /// The revision asked for is of another time.
    Refused(Refusal),
}

impl From<ViewError> for Status {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Unavailable(unavailable) => unavailable.into_status(),
            ViewError::Refused(refusal) => status::refused(&refusal),
        }
    }
}

impl Reader {
    /// The state to answer from, as recent as the caller wishes; waits for that at most `within`.
    ///
    /// # Errors
    /// [`ViewError`]
    pub async fn view(&self, consistency: Consistency, within: Duration) -> Result<View, ViewError> {
        let ends = Instant::now() + within;
        match consistency {
            Consistency::MinimizeLatency => {}
            Consistency::AtLeastAsFresh(revision) => self.wait_for(revision, within).await?,
            Consistency::FullyConsistent => {
                let waiting = tokio::time::timeout(within, self.renewal.read_index());
                let index = waiting.await.unwrap_or(Err(Unavailable::NoLeader { node: Some(self.core.node()) }));
                let index = index.map_err(ViewError::Unavailable)?;
                self.wait_for(self.core.revision_at(index), ends.saturating_duration_since(Instant::now())).await?;
            }
        }
        self.now()
    }

    /// The state as it is.
    ///
    /// # Errors
    /// [`ViewError::Unavailable`] while it is not loaded, or never will be.
    pub fn now(&self) -> Result<View, ViewError> {
        if let Some(unavailable) = self.core.unavailable() {
            return Err(ViewError::Unavailable(unavailable));
        }
        // The lease first: it promises what the state loaded after it holds. Then the denials: one goes when the state
        // holds what it led to, and a state from before that must not be seen without it.
        let lease = self.lease.current();
        let denials = self.core.denials.in_force();
        let (state, peppers) = self.core.state_and_peppers();
        Ok(View { state, peppers, lease, denials, core: self.core.clone() })
    }

    /// Whether this replica holds a lease that is younger than the cluster's default bound.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.now().is_ok_and(|view| {
            let bound = view.state.cluster().map(|cluster| cluster.staleness_default);
            matches!((view.age(), bound), (Ok(age), Some(bound)) if age < bound)
        })
    }

    async fn wait_for(&self, revision: Revision, within: Duration) -> Result<(), ViewError> {
        let current = self.core.epoch();
        if revision.epoch < current {
            return Err(ViewError::Refused(Refusal::EpochChanged { given: revision.epoch, current }));
        }
        if revision.epoch > current {
            return Err(ViewError::Unavailable(Unavailable::EpochAhead { given: revision.epoch, current }));
        }
        let mut published = self.core.watch_revision();
        let reached = tokio::time::timeout(within, published.wait_for(|now| *now >= revision)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let age = self.now().ok().and_then(|view| view.age().ok()).unwrap_or_default();
                let bound = DurationMillis::new(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
                Err(ViewError::Unavailable(Unavailable::NotFresh { age, bound }))
            }
        }
    }
}

impl View {
    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The peppers at hand.
    #[must_use]
    pub fn peppers(&self) -> &Peppers {
        &self.peppers
    }

    /// What this replica does not accept, whatever the state says; `None`: nothing of that kind.
    #[must_use]
    pub fn denials(&self) -> Option<&Denials> {
        self.denials.as_deref()
    }

    /// What time it is: the leader's time in the lease and what has passed since, never before the replicated clock.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        let clock = self.state.clock();
        self.lease.as_ref().map_or(clock, |lease| lease.now(self.core.clock.as_ref()).max(clock))
    }

    /// How old the lease is. Reads the clock anew each time: ask when a request is resolved, and again before the
    /// answer leaves.
    ///
    /// # Errors
    /// [`Unavailable::Starting`] before the first lease of this process life; [`Unavailable::NotFresh`] where it is
    /// void.
    pub fn age(&self) -> Result<DurationMillis, Unavailable> {
        if self.lease.is_none() && planted::is(Plant::LastKnownAfterRestart) {
            return Ok(DurationMillis::ZERO);
        }
        self.lease.as_ref().ok_or(Unavailable::Starting)?.age(self.core.clock.as_ref())
    }
}
