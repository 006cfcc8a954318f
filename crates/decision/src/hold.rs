//! Who holds a key: whoever shows its text. He may revoke it, without being anybody else.

use crate::resolved::Standing;
use crate::{Ground, Presented, Question, Undecided, resolve};
use core::fmt;
use latchkey_domain::{DurationMillis, KeyName};
use latchkey_state::{Found, Keyspace};

/// A key whose text somebody has shown, of a version that is accepted or may still be.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    found: Found<'a>,
    ground: Ground<'a>,
}

/// The text is of no key that anybody could still lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// Which of malformed, unknown, a wrong secret, revoked and ended is not told: whoever finds an old text learns
    /// nothing from it.
    Unknown,
    /// It cannot be said now.
    Undecided(Undecided),
}

/// Finds the key that a text is of, in any keyspace. A standby counts, and a suspended key: both may come into use.
/// What has ended for good does not: there is nothing left to revoke.
///
/// # Errors
/// [`NotHeld`].
pub fn hold<'a>(key_text: &str, ground: Ground<'a>, age: DurationMillis) -> Result<Held<'a>, NotHeld> {
    let presented = Presented::read_own(key_text).map_err(|_| NotHeld::Unknown)?;
    let undecided = |undecided| NotHeld::Undecided(undecided);
    let resolved = resolve(&presented, ground, Question::everywhere())
        .map_err(|missing| undecided(Undecided::PepperMissing(missing)))?;
    let fresh = resolved.fresh(age).map_err(|stale| undecided(Undecided::Stale(stale)))?;
    let Standing::Found(found) = fresh.standing() else { return Err(NotHeld::Unknown) };
    if ground.state.faults(&found, ground.now).any(latchkey_state::Worth::is_dead) {
        return Err(NotHeld::Unknown);
    }
    Ok(Held { found, ground })
}

impl<'a> Held<'a> {
    /// The name of the key.
    #[must_use]
    pub fn key_name(&self) -> KeyName {
        KeyName { keyspace: self.ground.state.keyspace_name(self.found.keyspace), key: self.found.key.id }
    }

    /// The keyspace, which may have switched this off.
    #[must_use]
    pub fn keyspace(&self) -> &'a Keyspace {
        self.found.keyspace
    }
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the text is of no key that is accepted"),
            Self::Undecided(undecided) => undecided.fmt(f),
        }
    }
}

impl core::error::Error for NotHeld {}
