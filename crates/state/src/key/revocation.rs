//! The end of a key or version before its time.

use latchkey_domain::{ReasonText, RevocationReason, UnixMillis};

/// That, when and why a key or version stops being accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// From when on it is not accepted. Later than the revision's time where a grace was given.
    pub effective_at: UnixMillis,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text; may be empty.
    pub text: ReasonText,
}
