//! How old a state may be for an answer.

use crate::Question;
use crate::question::staleness_floor;
use core::fmt;
use latchkey_domain::DurationMillis;
use latchkey_state::{Keyspace, State};

/// The state is too old for this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Since when the replica has heard of no leader.
    pub age: DurationMillis,
    /// How long that may be.
    pub bound: DurationMillis,
}

/// How the age of a state relates to the bounds of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Within `staleness_max`.
    Current,
    /// Beyond it, and within what the policy of the keyspace allows.
    LastKnown,
}

/// What keyspaces say about the age of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Up to this age a state is current.
    current_max: DurationMillis,
    /// Up to this one it will do.
    age_max: DurationMillis,
    /// Whether the policy is to answer from what was known last: of who asks as well as of what is asked for.
    last_known: bool,
}

/// What bounds the age of the state. It goes with the decision, since the age is read again before an answer leaves.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    of: Of<'a>,
    /// Up to this age it is known who asks. Beyond it only a keyspace that says so is answered for.
    caller_max: DurationMillis,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    /// Nothing: a later state gives the same answer.
    Nothing,
    /// The bound of the key's keyspace.
    Keyspace(&'a Keyspace),
    /// What the caller asked for or may validate: the key was not found.
    Question(&'a State, Question<'a>),
}

impl Allowance {
    /// Of an answer that no later state changes.
    const ALWAYS: Self = Self { current_max: FOR_EVER, age_max: FOR_EVER, last_known: false };

    pub(crate) const fn of(keyspace: &Keyspace) -> Self {
        let last_known = keyspace.settings.staleness_policy.beyond().is_some();
        Self { current_max: keyspace.staleness_max, age_max: keyspace.bound(), last_known }
    }

    /// Of nothing that is known: the lowest bound that there can be.
    pub(crate) const fn least(floor: DurationMillis) -> Self {
        Self { current_max: floor, age_max: floor, last_known: false }
    }

    /// Of either, where nobody can say of which.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            current_max: self.current_max.min(other.current_max),
            age_max: self.age_max.min(other.age_max),
            last_known: self.last_known && other.last_known,
        }
    }
}

/// Longer than anything lasts.
pub(crate) const FOR_EVER: DurationMillis = DurationMillis::new(u64::MAX);

impl<'a> Bound<'a> {
    pub(crate) const fn none(caller_max: DurationMillis) -> Self {
        Self { of: Of::Nothing, caller_max }
    }

    pub(crate) const fn of_keyspace(keyspace: &'a Keyspace, caller_max: DurationMillis) -> Self {
        Self { of: Of::Keyspace(keyspace), caller_max }
    }

    pub(crate) const fn of_question(state: &'a State, question: Question<'a>) -> Self {
        Self { of: Of::Question(state, question), caller_max: question.caller_max() }
    }

    /// Whether a state of this age will do, and as what.
    pub(crate) fn check(&self, age: DurationMillis) -> Result<Freshness, Stale> {
        let knows_caller = age <= self.caller_max;
        let allowance = match self.of {
            Of::Nothing => Allowance::ALWAYS,
            Of::Keyspace(keyspace) => Allowance::of(keyspace),
            // No keyspace has less than the floor, so a replica in touch never has to look for the shortest.
            Of::Question(state, _) if knows_caller && age <= staleness_floor(state) => return Ok(Freshness::Current),
            Of::Question(state, question) => question.allowance(state),
        };
        if !knows_caller && !allowance.last_known {
            return Err(Stale { age, bound: self.caller_max });
        }
        if age <= allowance.current_max {
            return Ok(Freshness::Current);
        }
        let bound = allowance.age_max;
        if age <= bound { Ok(Freshness::LastKnown) } else { Err(Stale { age, bound }) }
    }
}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Nothing => f.write_str("None"),
            Of::Keyspace(keyspace) => write!(f, "Keyspace({})", keyspace.bound()),
            Of::Question(_, question) => write!(f, "Question({question:?})"),
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no leader was heard of for {}, the bound is {}", self.age, self.bound)
    }
}

impl core::error::Error for Stale {}
