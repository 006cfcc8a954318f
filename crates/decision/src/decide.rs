//! The whole way, in its order.

use crate::{Access, Decision, Ground, PepperMissing, Presented, Question, Stale, resolve};
use core::fmt;
use latchkey_domain::DurationMillis;
use latchkey_state::Found;

/// Why there is no decision. The caller is told `UNAVAILABLE`, never a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The state is too old.
    Stale(Stale),
    /// The secret cannot be judged.
    PepperMissing(PepperMissing),
}

/// Decides on a key text. Nothing is waited for and nothing is allocated.
///
/// `age` reads how old the state is; it is called once the text was resolved, and not for a malformed one.
///
/// # Errors
/// [`Undecided`], or what `age` says.
pub fn decide<'a, E: From<Undecided>>(
    key_text: &str,
    ground: Ground<'a>,
    question: Question<'a>,
    access: Access<'_>,
    age: impl FnOnce() -> Result<DurationMillis, E>,
) -> Result<Decision<'a>, E> {
    decide_noting(key_text, ground, question, access, age, |_| {})
}

/// As [`decide`], and tells `note` which version was used as soon as its secret has matched: whatever becomes of the
/// request, there is somebody who has this secret, and none other.
///
/// # Errors
/// As [`decide`].
pub fn decide_noting<'a, E: From<Undecided>>(
    key_text: &str,
    ground: Ground<'a>,
    question: Question<'a>,
    access: Access<'_>,
    age: impl FnOnce() -> Result<DurationMillis, E>,
    note: impl FnOnce(Found<'a>),
) -> Result<Decision<'a>, E> {
    let presented = match Presented::read(key_text, ground, question) {
        Ok(presented) => presented,
        Err(denied) => return Ok(denied.into()),
    };
    let resolved = resolve(&presented, ground, question).map_err(Undecided::PepperMissing)?;
    if let Some(found) = resolved.matched() {
        note(found);
    }
    let fresh = resolved.fresh(age()?).map_err(Undecided::Stale)?;
    Ok(match fresh.permit(access) {
        Ok(permit) => permit.admit(&[]).into(),
        Err(denied) => denied.into(),
    })
}

impl From<Stale> for Undecided {
    fn from(stale: Stale) -> Self {
        Self::Stale(stale)
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(stale) => stale.fmt(f),
            Self::PepperMissing(missing) => missing.fmt(f),
        }
    }
}

impl core::error::Error for Undecided {}
