//! All limits of a key, taken as one: all of them, or none.

use crate::Permit;
use crate::bound::Bound;
use crate::content::Content;

/// A limit to count against. There is none yet, and the type says so: it has no value.
#[derive(Clone, Copy, Debug)]
pub enum Limit {}

/// A key that may be used, and whose limits have counted this use.
#[derive(Debug)]
pub struct Admitted<'a> {
    content: Content<'a>,
    bound: Bound<'a>,
}

impl<'a> Permit<'a> {
    /// Counts the use against all `limits`. Where there are limits this becomes fallible; the step is here so that
    /// nothing can be answered without it.
    #[must_use]
    pub fn admit(self, limits: &[Limit]) -> Admitted<'a> {
        if let Some(limit) = limits.first() {
            match *limit {}
        }
        let (content, bound) = self.into_parts();
        Admitted { content, bound }
    }
}

impl<'a> Admitted<'a> {
    pub(crate) const fn into_parts(self) -> (Content<'a>, Bound<'a>) {
        (self.content, self.bound)
    }
}
