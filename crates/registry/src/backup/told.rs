//! Which backups lie in this replica's folder becomes a fact of the log: who destroys a tenant's data has to learn when the
//! last backup that holds it is gone.

use super::schedule::{BackupPlan, verified};
use crate::registry::Registry;
use latchkey_state::{Backup, Operation, ReplicaBackups};
use tracing::{debug, error};

/// The feature level from which on the cluster knows of backups.
const LEVEL: u32 = 6;

impl Registry {
    /// Tells the cluster what the folder holds, where it knows otherwise. What cannot be told now is told with a later look.
    pub(crate) async fn tell_backups(&self, plan: &BackupPlan) {
        let Some(operation) = self.backups_to_tell(plan) else { return };
        match self.tell_leader(operation).await {
            Ok(None) => debug!("the cluster knows which backups lie here"),
            Ok(Some(refusal)) => error!(?refusal, "the cluster does not take which backups lie here"),
            Err(status) => debug!(message = status.message(), "which backups lie here waits for a leader"),
        }
    }

    fn backups_to_tell(&self, plan: &BackupPlan) -> Option<Operation> {
        let (core, node) = (self.core(), self.node());
        let state = core.state();
        if core.unavailable().is_some() || state.progress().feature_level < LEVEL {
            return None;
        }
        let known = state.replica(node)?.backups.as_deref().cloned().unwrap_or_default();
        let found = verified(&plan.folder, core.cluster()).ok()?;
        let found = found.iter().map(|(_, header)| header.backup()).collect();
        let kept = still_kept(&known.kept, found, plan.keep.max(1));
        let keep = if kept.is_empty() { 0 } else { u32::try_from(plan.keep.max(1)).unwrap_or(u32::MAX) };
        let folder = ReplicaBackups::of_folder(keep, 0, kept);
        (folder.kept != known.kept).then(|| Operation::RecordKeptBackups { node, folder: Box::new(folder) })
    }
}

/// What is found, and what is missing although nothing took its place yet: a volume that is not mounted may not tell anybody
/// that backups are gone.
fn still_kept(known: &[Backup], mut found: Vec<Backup>, keep: usize) -> Vec<Backup> {
    let replaced = |one: &Backup| found.iter().filter(|newer| *newer > one).count() >= keep;
    let missing: Vec<_> = known.iter().filter(|one| !found.contains(one) && !replaced(one)).copied().collect();
    found.extend(missing);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{NodeId, Revision, UnixMillis};

    #[test]
    fn what_is_missing_is_gone_when_as_many_newer_ones_are_there_as_are_kept() {
        let of = |indexes: &[u64]| -> Vec<Backup> {
            let backup = |index: &u64| (Revision::new(1, *index), UnixMillis::new(*index), NodeId(3));
            indexes.iter().map(backup).map(|(revision, taken_at, node)| Backup { revision, taken_at, node }).collect()
        };
        assert_eq!(still_kept(&of(&[1, 2]), of(&[2, 3]), 2), of(&[2, 3]), "it was pruned");
        assert_eq!(still_kept(&of(&[1, 2]), of(&[]), 2), of(&[1, 2]), "the volume is away");
        assert_eq!(still_kept(&of(&[1, 2]), of(&[3]), 2), of(&[3, 1, 2]), "and one is written where it is not");
        assert_eq!(still_kept(&of(&[]), of(&[3]), 2), of(&[3]));
    }
}
