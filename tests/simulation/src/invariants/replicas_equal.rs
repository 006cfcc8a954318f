//! Replicas are equal: whoever shows a revision shows the same state as everybody else who ever showed it.

use super::{Invariant, Look};
use latchkey_domain::{NodeId, Revision};
use latchkey_state::StateHash;
use std::collections::BTreeMap;

/// Revisions that are remembered.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
pub(super) struct ReplicasEqual {
    shown: BTreeMap<Revision, (NodeId, StateHash)>,
}

impl Invariant for ReplicasEqual {
    fn name(&self) -> &'static str {
        "replicas are equal"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        for seen in look.seen {
            let hashed = seen.state.hashed_at();
            let first = self.shown.entry(hashed.revision).or_insert((seen.node, hashed.hash));
            if first.1 != hashed.hash {
                let (other, revision) = (first.0, hashed.revision);
                return Err(format!("replicas {other} and {} differ at revision {revision}", seen.node));
            }
        }
        while self.shown.len() > REMEMBERED {
            self.shown.pop_first();
        }
        Ok(())
    }

    fn end(&mut self, look: &Look<'_>) -> Result<(), String> {
        look.seen.iter().try_for_each(|seen| {
            let checked = seen.state.check_invariants();
            checked.map_err(|error| format!("replica {}: {error}", seen.node))
        })
    }
}
