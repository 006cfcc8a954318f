//! A key that is good is never refused by a replica from when the replica was said to know it, nor by one whose state is as
//! new as the key.

use super::{Invariant, Look};
use crate::decide::Answer;
use crate::history::Told;
use latchkey_domain::Outcome;

pub(super) struct Visible;

impl Invariant for Visible {
    fn name(&self) -> &'static str {
        "a valid key is not refused"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        for one in look.decided {
            let key = &look.history.keys[one.key];
            let Answer::Current(outcome) = one.answer else { continue };
            if outcome == Outcome::Valid || key.revoke_asked_ms.is_some() {
                continue;
            }
            let told = key.visible.iter().any(|said| said.node == one.node && said.told == Told::Applied);
            let known =
                look.seen.iter().any(|seen| seen.node == one.node && seen.state.revision() >= key.made.revision);
            if told || known {
                return Err(format!(
                    "replica {} answers {outcome:?} for key {}, made at {} and never revoked (said to know it: {told})",
                    one.node, one.key, key.made.revision
                ));
            }
        }
        Ok(())
    }
}
