//! Audit while the feature level is raised: it follows a cluster that knows no checkpoints yet, and publishes one log from the first
//! entry on once it does.

use super::checks::{caught_up, check_log, cosigned, next_of_audit, opened, verifier_keys};
use super::seen::Onlooker;
use crate::cluster::Cluster;
use crate::report::{Report, Trouble};

/// An audit service that runs since before the level was raised.
pub(in crate::scenarios) struct Followed {
    onlooker: Onlooker,
}

impl Followed {
    /// Starts it, before anything is done to the cluster.
    pub(in crate::scenarios) async fn start(cluster: &mut Cluster) -> Result<Self, Trouble> {
        let onlooker = Onlooker::at(&cluster.archive());
        cluster.start_audit()?;
        cluster.audit_serves().await?;
        Ok(Self { onlooker })
    }

    /// What must hold at the older level: entries are journalled, and nobody signs what not all replicas know.
    pub(in crate::scenarios) async fn before(&self, cluster: &mut Cluster, report: &mut Report) -> Result<(), Trouble> {
        let journalled = caught_up(cluster).await?;
        report.figure("entries that audit had before the level was raised", journalled);
        let early = self.onlooker.newest().map(|note| format!("there is one:\n{note}"));
        report.check("no checkpoint is signed below the feature level that knows them", &Vec::from_iter(early));
        Ok(())
    }

    /// What must hold once it is raised: every replica vouches for a log that begins with entry 0.
    pub(in crate::scenarios) async fn after(self, cluster: &mut Cluster, report: &mut Report) -> Result<(), Trouble> {
        let due = caught_up(cluster).await?;
        let audit = cluster.audit();
        let replicas = cluster.ids().len();
        // There are no keys to verify by before there is a checkpoint, nor those of replicas that have told none.
        let by = tokio::time::Instant::now() + crate::cluster::STUCK;
        let keys = loop {
            match verifier_keys(&audit).await {
                Ok(keys) if keys.len() > replicas => break keys,
                told if tokio::time::Instant::now() > by => {
                    return Err(Trouble::wrong(format!("no keys to verify checkpoints by: {told:?}")));
                }
                _ => tokio::time::sleep(super::LOOK_INTERVAL).await,
            }
        };
        let (_, newest) = cosigned(|| self.onlooker.newest(), &keys, due, replicas).await?;
        report.figure("entries under the newest checkpoint", newest.size);
        let notes = self.onlooker.all();
        let seen = notes.iter().map(|note| Ok(opened(note, &keys)?.0)).collect::<Result<Vec<_>, Trouble>>()?;
        check_log(&cluster.archive(), &newest, &seen, report);
        let short = (next_of_audit(&audit).await? < newest.size).then(|| "it has fewer".to_owned());
        report.check("audit has all that its checkpoint is of", &Vec::from_iter(short));
        cluster.stop_audit().await
    }
}
