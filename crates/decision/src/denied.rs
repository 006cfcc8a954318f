//! A refusal: what each step gives that does not lead to the next.

use crate::bound::Bound;
use latchkey_domain::{DurationMillis, Outcome};
use latchkey_state::Found;

/// The key is not good for the request. Only the steps of this crate make one.
#[derive(Clone, Copy, Debug)]
pub struct Denied<'a> {
    outcome: Outcome,
    found: Option<Found<'a>>,
    bound: Bound<'a>,
}

impl<'a> Denied<'a> {
    /// The text is none. True whatever the state is.
    pub(crate) const fn malformed(caller_max: DurationMillis) -> Self {
        Self { outcome: Outcome::Malformed, found: None, bound: Bound::none(caller_max) }
    }

    /// No such key, as far as the caller is concerned.
    pub(crate) const fn not_found(bound: Bound<'a>) -> Self {
        Self { outcome: Outcome::NotFound, found: None, bound }
    }

    /// A key whose secret matched, within the caller's grant.
    pub(crate) const fn of(outcome: Outcome, found: Found<'a>, bound: Bound<'a>) -> Self {
        Self { outcome, found: Some(found), bound }
    }

    /// Why.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    pub(crate) const fn into_parts(self) -> (Outcome, Option<Found<'a>>, Bound<'a>) {
        (self.outcome, self.found, self.bound)
    }
}
