//! Revisions are linearizable: a write that was answered before another was asked for has the lower one; no two writes share
//! one; and what a replica shows in one life never goes back.

use super::{Invariant, Look};
use crate::history::Write;
use latchkey_domain::{NodeId, Revision};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Revisions {
    shown: BTreeMap<(NodeId, u64), Revision>,
}

impl Invariant for Revisions {
    fn name(&self) -> &'static str {
        "revisions go forward"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        for seen in look.seen {
            let now = seen.state.revision();
            let before = self.shown.insert((seen.node, seen.life), now);
            if let Some(before) = before.filter(|before| *before > now) {
                return Err(format!("replica {} showed {before}, and now shows {now}", seen.node));
            }
        }
        Ok(())
    }

    fn end(&mut self, look: &Look<'_>) -> Result<(), String> {
        linear(&look.history.writes)
    }
}

/// Whether writes could have happened one after another, in the order of their revisions.
fn linear(writes: &[Write]) -> Result<(), String> {
    let mut by_revision: Vec<_> = writes.iter().collect();
    by_revision.sort_by_key(|write| write.revision);
    if let Some(twins) = by_revision.windows(2).find(|pair| pair[0].revision == pair[1].revision) {
        return Err(format!("two writes share a revision: {twins:?}"));
    }
    // From the highest down: nobody may have been answered before somebody with a lower revision asked... the other way.
    let mut answered_first: Option<&Write> = None;
    for write in by_revision.iter().rev() {
        if let Some(higher) = answered_first.filter(|higher| higher.answered_ms < write.asked_ms) {
            return Err(format!("{write:?} was asked for after {higher:?} was answered, and has the lower revision"));
        }
        if answered_first.is_none_or(|first| write.answered_ms < first.answered_ms) {
            answered_first = Some(write);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(asked_ms: u64, answered_ms: u64, index: u64) -> Write {
        Write { asked_ms, answered_ms, revision: Revision::new(1, index) }
    }

    #[test]
    fn a_write_that_went_back_is_found() {
        assert!(linear(&[write(0, 10, 1), write(5, 20, 3), write(5, 21, 2)]).is_ok(), "these overlap");
        assert!(linear(&[write(0, 10, 5), write(11, 20, 4)]).is_err());
        assert!(linear(&[write(0, 10, 5), write(3, 20, 5)]).is_err());
    }
}
