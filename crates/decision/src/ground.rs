//! What a decision stands on.

use crate::Denials;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;
use latchkey_crypto::Pepper;
use latchkey_domain::{RingNumber, UnixMillis};
use latchkey_state::State;

/// The peppers at hand, by their number in the keyring.
pub type Peppers = BTreeMap<RingNumber, Arc<Pepper>>;

/// One state, the peppers and the time: all that a decision reads besides the request.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The state. A whole batch is decided on one.
    pub state: &'a State,
    /// The peppers that its digests were made with.
    pub peppers: &'a Peppers,
    /// The time of the cluster, never the local wall clock.
    pub now: UnixMillis,
    /// What this replica does not accept, whatever the state says; absent: nothing of that kind.
    pub denials: Option<&'a Denials>,
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ground(revision {}, {})", self.state.revision(), self.now)
    }
}
