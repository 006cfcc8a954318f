//! What a leader writes down because time has passed: overlaps and restrictions that ended, keys that a cut reached, keys
//! that have been dead for long enough, and a feature level that all replicas know by now.

use super::own;
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_domain::{KeyId, KeyspaceNumber, NodeId, Revision, UnixMillis};
use latchkey_state::{Answer, KEYS_PER_COMMAND_MAX, MarkRevoked, Operation, RevokedScope};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::{info, warn};

/// How long one of these commands may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Between two records of a long walk: callers come first.
const PACE: Duration = Duration::from_millis(20);

/// Keys that are looked at between two rests of the search for dead ones.
const SCANNED_KEYS: usize = 10_000;

/// Keys that one record takes away. Each may have versions, rotations and an event, so fewer than a command may name.
const REMOVED_KEYS_MAX: usize = 250;

/// How soon a settling that found nothing is tried again: the replicated clock may lag behind the leader's.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// How soon marks that were refused are tried again.
const MARK_PAUSE: Duration = Duration::from_secs(5);

type KeyAt = (KeyspaceNumber, KeyId);

/// Where a leader's long walks stand. They begin anew with each leader: a step twice does nothing the second time.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// By the cut: where a scope is cut again its walk begins anew, since there may be more keys behind it.
    marked: BTreeMap<(RevokedScope, Revision), KeyAt>,
    /// Boot time when marking may be tried again.
    mark_at_ms: u64,
    /// Where the search for dead keys goes on; absent: from the beginning.
    searched: Option<KeyAt>,
    /// Boot time when that search may go on.
    search_at_ms: u64,
    /// Boot time when settling may be tried again.
    settle_at_ms: u64,
}

impl Upkeep {
    /// Takes one step of each walk that is due.
    pub(super) async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        raise_feature_level(registry).await?;
        let level = registry.core().state().progress().feature_level;
        if level < Operation::Settle.feature_level() {
            return Ok(());
        }
        let Ok(now) = registry.leadership().stamp() else { return Ok(()) };
        self.settle(registry, now).await?;
        self.mark(registry).await?;
        self.remove_dead(registry, now).await
    }

    async fn settle(&mut self, registry: &Registry, now: UnixMillis) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms >= self.settle_at_ms && registry.core().state().settle_due(now) {
            registry.propose(own(registry, Operation::Settle), WITHIN).await?;
            self.settle_at_ms = boot_ms + millis(SETTLE_PAUSE);
        }
        Ok(())
    }

    /// One record of the marks of one cut. All its keys are dead already, so nobody waits for these.
    async fn mark(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.mark_at_ms {
            return Ok(());
        }
        let (scope, walk, keys) = {
            let state = registry.core().state();
            let mut cuts = state.unmarked_cuts().filter_map(|scope| Some((scope, state.cut_in(scope)?.revision)));
            let Some(walk) = cuts.next() else {
                self.marked.clear();
                return Ok(());
            };
            let after = self.marked.get(&walk).copied();
            (walk.0, walk, state.keys_of_scope(walk.0, after, KEYS_PER_COMMAND_MAX))
        };
        let (done, last) = (keys.len() < KEYS_PER_COMMAND_MAX, keys.last().copied());
        let operation = Operation::MarkRevoked(MarkRevoked { scope, keys, done });
        let applied = registry.propose(own(registry, operation), WITHIN).await?;
        match (&applied.answer, last.filter(|_| !done)) {
            (Ok(_), Some(last)) => drop(self.marked.insert(walk, last)),
            (Ok(_), None) => drop(self.marked.remove(&walk)),
            (Err(refusal), _) => {
                self.mark_at_ms = boot_ms + millis(MARK_PAUSE);
                warn!(?scope, ?refusal, "keys that a cut reached could not be marked");
            }
        }
        tokio::time::sleep(PACE).await;
        Ok(())
    }

    /// Looks at some keys, and takes away those that have been dead for longer than their keyspaces keep them.
    async fn remove_dead(&mut self, registry: &Registry, now: UnixMillis) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.search_at_ms {
            return Ok(());
        }
        let (core, after) = (registry.core().clone(), self.searched);
        // Many records to look at: raft's threads must not wait for it.
        let searched = tokio::task::spawn_blocking(move || core.state().dead_keys(after, now, SCANNED_KEYS)).await;
        let Ok((dead, next)) = searched else { return Ok(()) };
        for keys in dead.chunks(REMOVED_KEYS_MAX) {
            let operation = Operation::RemoveDead(keys.to_vec());
            let applied = registry.propose(own(registry, operation), WITHIN).await?;
            if let Ok(Answer::Counted(count)) = applied.answer {
                info!(count, "dead keys are gone");
            }
            tokio::time::sleep(PACE).await;
        }
        self.searched = next;
        if next.is_none() {
            self.search_at_ms = boot_ms + millis(registry.search_interval());
        }
        Ok(())
    }
}

/// Once every member says that its build knows more, learners included: a replica that does not know a command fences.
async fn raise_feature_level(registry: &Registry) -> Result<(), ProposeError> {
    let members: Vec<NodeId> = registry.status().replicas.iter().map(|replica| replica.node).collect();
    let current = registry.core().state().progress().feature_level;
    match registry.leadership().common_feature_level(&members) {
        Some(common) if common > current => {
            // Step by step, as it is applied: a leap would be refused again and again.
            let next = current + 1;
            let applied = registry.propose(own(registry, Operation::RaiseFeatureLevel(next)), WITHIN).await?;
            match &applied.answer {
                Ok(_) => info!(from = current, to = next, "the feature level is raised"),
                Err(refusal) => warn!(?refusal, "the feature level could not be raised"),
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
