//! The use of a management key: whoever calls with one uses it, whether or not it proves anything.

use crate::evidence::SeenFrom;
use crate::registry::Registry;
use latchkey_decision::NotIdentified;
use latchkey_domain::UnixMillis;
use latchkey_state::Found;
use std::net::IpAddr;

/// What becomes of one claim to be somebody.
pub struct ManagementUse<'a> {
    registry: &'a Registry,
    now: UnixMillis,
    client: Option<IpAddr>,
    found: Option<Found<'a>>,
}

impl<'a> ManagementUse<'a> {
    /// A claim that was made now, by a client at this address.
    #[must_use]
    pub const fn of(registry: &'a Registry, now: UnixMillis, client: Option<IpAddr>) -> Self {
        Self { registry, now, client, found: None }
    }

    /// The secret of this version has matched.
    pub fn note(&mut self, found: Found<'a>) {
        let from = SeenFrom { client: self.client, ..SeenFrom::default() };
        self.registry.own_evidence().note(&found, self.now, &from);
        self.found = Some(found);
    }

    /// What came of it. What cannot be said now is no use.
    pub fn tell<T>(&self, identified: &Result<T, NotIdentified>) {
        let proved = match identified {
            Ok(_) => true,
            Err(NotIdentified::Unknown) => false,
            Err(NotIdentified::Undecided(_)) => return,
        };
        if let Some(found) = &self.found {
            self.registry.observed().identified(found, proved, self.now, self.client);
        }
    }
}
