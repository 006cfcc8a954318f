//! How long a replica that has lost touch may answer for a key, and so how long what was revoked may still be accepted.

use crate::records::{Keyspace, StalenessPolicy};
use crate::state::State;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, KeyspaceName, KeyspaceNumber, LastKnownMax, UnixMillis};

impl StalenessPolicy {
    /// How much longer than `staleness_max` a replica may answer, where it may.
    #[must_use]
    pub const fn beyond(self) -> Option<LastKnownMax> {
        match self {
            Self::Refuse => None,
            Self::LastKnown(max) => Some(max),
        }
    }

    pub(crate) const fn is_of_level_4(self) -> bool {
        self.beyond().is_some()
    }
}

impl Keyspace {
    /// How long a replica may answer for it after it last heard: current first, then from what it knew last where the
    /// policy lets it.
    #[must_use]
    pub const fn bound(&self) -> DurationMillis {
        match self.settings.staleness_policy.beyond() {
            None => self.staleness_max,
            Some(max) => self.staleness_max.plus(max.span()),
        }
    }

    /// The longest bound that counts at `now` for what is confirmed: a replica that has not heard of a shorter one
    /// answers by the longer one still.
    #[must_use]
    pub fn bound_at(&self, now: UnixMillis) -> DurationMillis {
        let before = self.staleness_before.filter(|(_, until)| now < *until).map(|(bound, _)| bound);
        let before = before.filter(|_| !planted::is(Plant::BoundLowered));
        before.map_or(self.bound(), |before| before.max(self.bound()))
    }
}

impl State {
    /// How long a key of this keyspace may still be accepted, at `now`, by a replica that has lost touch.
    ///
    /// A management key that may validate is accepted for as long as the keys that it asks for: where a keyspace lets a
    /// replica answer from what it knew last, the replica knows the caller from then as well. So management keys have the
    /// longest bound of all.
    #[must_use]
    pub fn bound_of(&self, keyspace: KeyspaceNumber, now: UnixMillis) -> DurationMillis {
        let own = self.keyspaces().by_number(keyspace);
        match (own, self.keyspace(&KeyspaceName::management())) {
            (Some(own), Some(management)) if own.number == management.number => self.longest_bound(now),
            (own, _) => own.map_or(DurationMillis::ZERO, |keyspace| keyspace.bound_at(now)),
        }
    }

    /// The longest bound of any keyspace that counts at `now`.
    #[must_use]
    pub fn longest_bound(&self, now: UnixMillis) -> DurationMillis {
        self.keyspaces().iter().map(|keyspace| keyspace.bound_at(now)).max().unwrap_or_default()
    }
}
