//! What a confirmation says is true: a replica of which it is said that it knows a revocation, or that its lease has ended,
//! accepts the key no more; nor does anybody of whom nothing is said, once nobody is waited for.

use super::{Invariant, Look};
use crate::history::Told;

pub(super) struct Confirmed;

impl Invariant for Confirmed {
    fn name(&self) -> &'static str {
        "a confirmation is true"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        for one in look.decided.iter().filter(|one| one.answer.is_valid()) {
            let Some(revoked) = &look.history.keys[one.key].revoked else { continue };
            let all_said = revoked.confirmed.iter().all(|said| said.told != Told::Waiting);
            let unnamed = revoked.confirmed.iter().all(|said| said.node != one.node);
            if all_said && unnamed && !revoked.confirmed.is_empty() {
                let (node, revision, at_ms) = (one.node, revoked.write.revision, revoked.confirmed[0].at_ms);
                return Err(format!(
                    "replica {node} accepts key {}, revoked at {revision}; the barrier was done at {at_ms} ms without it",
                    one.key
                ));
            }
            let said = revoked.confirmed.iter().find(|said| said.node == one.node && said.told != Told::Waiting);
            if let Some(said) = said {
                return Err(format!(
                    "replica {} accepts key {}, revoked at {}; at {} ms it was said to be {:?}",
                    one.node, one.key, revoked.write.revision, said.at_ms, said.told
                ));
            }
        }
        Ok(())
    }
}
