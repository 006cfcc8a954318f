//! How old a state may be for an answer.

use crate::Question;
use crate::question::staleness_floor;
use core::fmt;
use latchkey_domain::DurationMillis;
use latchkey_state::State;

/// The state is too old for this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Since when the replica has heard of no leader.
    pub age: DurationMillis,
    /// How long that may be.
    pub bound: DurationMillis,
}

/// What bounds the age of the state. It goes with the decision, since the age is read again before an answer leaves.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// Nothing: a later state gives the same answer.
    None,
    /// The bound of the key's keyspace.
    Keyspace(DurationMillis),
    /// What the caller asked for or may validate: the key was not found.
    Question(&'a State, Question<'a>),
}

impl Bound<'_> {
    /// Whether a state of this age will do.
    pub(crate) fn check(&self, age: DurationMillis) -> Result<(), Stale> {
        let bound = match self {
            Self::None => return Ok(()),
            Self::Keyspace(bound) => *bound,
            // No keyspace has less than the floor, so a replica in touch never has to look for the shortest.
            Self::Question(state, _) if age <= staleness_floor(state) => return Ok(()),
            Self::Question(state, question) => question.staleness_max(state),
        };
        if age > bound { Err(Stale { age, bound }) } else { Ok(()) }
    }
}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Keyspace(bound) => write!(f, "Keyspace({bound})"),
            Self::Question(_, question) => write!(f, "Question({question:?})"),
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no leader was heard of for {}, the bound is {}", self.age, self.bound)
    }
}

impl core::error::Error for Stale {}
