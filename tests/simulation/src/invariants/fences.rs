//! Nobody fences himself: that is for damage, and none was done; and every process that is started starts.

use super::{Invariant, Look};
use latchkey_registry::Condition;

pub(super) struct Fences;

impl Invariant for Fences {
    fn name(&self) -> &'static str {
        "nobody fences himself"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        match look.seen.iter().find(|seen| seen.registry.condition() == Condition::Fenced) {
            Some(seen) => Err(format!("replica {} has fenced itself", seen.node)),
            None => Ok(()),
        }
    }
}
