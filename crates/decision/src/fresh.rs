//! Whether the state that was read is recent enough for what was found in it.

use crate::bound::{Bound, Stale};
use crate::resolved::Standing;
use crate::{Ground, Resolved};
use latchkey_domain::DurationMillis;

/// What was resolved on a state that was recent enough.
#[derive(Debug)]
pub struct Fresh<'a> {
    ground: Ground<'a>,
    standing: Standing<'a>,
    bound: Bound<'a>,
}

impl<'a> Resolved<'a> {
    /// Checks the age of the state against the bound of the key's keyspace; where nothing was found, against that of
    /// the keyspace asked for, else against the shortest within the caller's grant.
    ///
    /// # Errors
    /// [`Stale`], with both numbers.
    pub fn fresh(self, age: DurationMillis) -> Result<Fresh<'a>, Stale> {
        let bound = self.bound();
        bound.check(age)?;
        Ok(Fresh { ground: self.ground(), standing: self.standing(), bound })
    }
}

impl<'a> Fresh<'a> {
    pub(crate) const fn ground(&self) -> Ground<'a> {
        self.ground
    }

    pub(crate) const fn standing(&self) -> Standing<'a> {
        self.standing
    }

    pub(crate) const fn into_parts(self) -> (Ground<'a>, Standing<'a>, Bound<'a>) {
        (self.ground, self.standing, self.bound)
    }
}
