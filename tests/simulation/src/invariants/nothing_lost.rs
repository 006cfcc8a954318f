//! No write that was acknowledged is lost: at the end every replica has every key, and every key that was revoked is.

use super::{Invariant, Look};
use crate::decide::{Answer, decide};
use latchkey_domain::Outcome;

pub(super) struct NothingLost;

impl Invariant for NothingLost {
    fn name(&self) -> &'static str {
        "nothing acknowledged is lost"
    }

    fn look(&mut self, _look: &Look<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, look: &Look<'_>) -> Result<(), String> {
        for seen in look.seen {
            for (place, key) in look.history.keys.iter().enumerate() {
                let answer = decide(&seen.registry, &key.text);
                let right = match (&key.revoked, key.revoke_asked_ms) {
                    (Some(_), _) => answer == Answer::Current(Outcome::Revoked),
                    (None, None) => answer.is_valid(),
                    // Nobody knows whether it was revoked.
                    (None, Some(_)) => matches!(answer, Answer::Current(Outcome::Valid | Outcome::Revoked)),
                };
                if !right {
                    let (made, revoked) = (key.made.revision, key.revoked.as_ref().map(|by| by.write.revision));
                    return Err(format!(
                        "replica {} at {} answers {answer:?} for key {place}, made at {made}, revoked at {revoked:?}",
                        seen.node,
                        seen.state.revision()
                    ));
                }
            }
        }
        Ok(())
    }
}
