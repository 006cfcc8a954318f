//! `latchkey replica`: a replica whose folder is lost comes back under a new id.

use crate::cli::command::cluster::{Watch, find, is_caught_up};
use crate::cli::confirm::{YesArguments, question};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::shared::new_request_id;
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;
use pb::replica::Role;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// What to do with one replica.
#[derive(Debug, Subcommand)]
pub(crate) enum ReplicaTask {
    /// Puts a new replica in the place of one that is lost, wiped or fenced.
    Rebuild(Rebuild),
}

/// In whose place, and where.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey replica rebuild 3 --id 4 --dry-run
  latchkey replica rebuild 3 --id 4 --config /etc/latchkey/validation.toml
  latchkey replica rebuild 3 --id 4 --address replica-4.example:7720 --raft-address replica-4.example:7721

What it does: makes the new data folder (with --config, on the machine of the new replica), adds the new replica as a
learner, waits until you have started it and it has caught up, gives it a vote where the old one had one, and removes the
old one. Where the new one takes the old one's addresses, the old one is removed first. Each step that is done already is
left out, so a rebuild that was broken off goes on when it is called again.")]
pub(crate) struct Rebuild {
    /// The id of the replica that is lost.
    #[arg(value_name = "OLD-ID")]
    old: u64,
    /// The id of the new one; no replica ever had it.
    #[arg(long, value_name = "NEW-ID")]
    id: u64,
    /// The region of the new one [default: that of the old one].
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Where the services of the new one are reached [default: as the old one].
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Where the other replicas reach the new one [default: as the old one].
    #[arg(long, value_name = "HOST:PORT")]
    raft_address: Option<String>,
    /// The settings of the new one, with its id and an empty data folder: the folder is made by them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The program that makes the folder.
    #[arg(long, value_name = "PROGRAM", default_value = "latchkey-validation", requires = "config")]
    program: OsString,
    #[command(flatten)]
    watch: Watch,
    /// Check and tell the steps, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sure: YesArguments,
}

/// One step of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    MakeFolder,
    Add,
    CatchUp,
    Promote,
    Remove,
}

impl ReplicaTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Self::Rebuild(task) = self;
        task.run(context).await
    }
}

impl Rebuild {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let cluster = context.api.get_cluster(pb::GetClusterRequest {}).await?.message;
        let Some(old) = find(&cluster, self.old) else {
            return Err(CliError::usage(format!("the cluster never had a replica {}", self.old))
                .remedy("latchkey cluster show lists the ids"));
        };
        let steps = self.steps(old, find(&cluster, self.id))?;
        self.tell(&cluster, old, &steps);
        if self.dry_run || steps.is_empty() {
            return Ok(Exit::Done);
        }
        if !self.sure.yes {
            let what = format!("Replica {} would be removed, finally, with {} in its place.", self.old, self.id);
            question(&what, &self.old.to_string())?;
        }
        for step in steps {
            self.take(context, &cluster, old, step).await?;
        }
        output::note(&format!("Replica {} is in the place of {}.", self.id, self.old));
        Ok(Exit::Done)
    }

    /// What is left to do, in order.
    fn steps(&self, old: &pb::Replica, new: Option<&pb::Replica>) -> Result<Vec<Step>, CliError> {
        if self.old == self.id || new.is_some_and(|new| matches!(new.role(), Role::Leaving | Role::Retired)) {
            return Err(CliError::usage(format!("{} was a replica's id already", self.id))
                .remedy("choose one that latchkey cluster show does not list: ids are never used again"));
        }
        let old_is_gone = old.role() == Role::Retired;
        let mut steps = Vec::new();
        if new.is_none() {
            steps.extend(self.config.is_some().then_some(Step::MakeFolder));
        }
        let (address, raft_address) = self.addresses(old);
        let takes_its_place = address == old.address || raft_address == old.raft_address;
        // Two replicas at one address would be taken for each other.
        let removed_first = takes_its_place && new.is_none() && !old_is_gone;
        steps.extend(removed_first.then_some(Step::Remove));
        if new.is_none() {
            steps.push(Step::Add);
        }
        if new.is_none_or(|new| new.role() != Role::Voter) {
            steps.push(Step::CatchUp);
            // Of one that is gone nobody knows any more whether it voted: as nearly all do.
            let voted = old.role() != Role::Learner;
            steps.extend(voted.then_some(Step::Promote));
        }
        steps.extend((!removed_first && !old_is_gone).then_some(Step::Remove));
        Ok(steps)
    }

    fn addresses<'a>(&'a self, old: &'a pb::Replica) -> (&'a str, &'a str) {
        let or = |given: &'a Option<String>, known: &'a str| given.as_deref().unwrap_or(known);
        (or(&self.address, &old.address), or(&self.raft_address, &old.raft_address))
    }

    fn tell(&self, cluster: &pb::Cluster, old: &pb::Replica, steps: &[Step]) {
        let Self { old: gone, id, .. } = self;
        let (address, raft_address) = self.addresses(old);
        let mut lines: Vec<String> = Vec::new();
        if self.config.is_none() {
            lines.push(format!(
                "  on its machine: latchkey-validation init --config FILE --cluster {}",
                cluster.cluster_id
            ));
        }
        lines.extend(steps.iter().map(|step| match step {
            Step::MakeFolder => format!("  make the data folder of replica {id}"),
            Step::Add => format!("  add replica {id} at {address} (raft {raft_address}) as a learner"),
            Step::CatchUp => format!("  wait until replica {id} is started and has caught up"),
            Step::Promote => format!("  give replica {id} a vote"),
            Step::Remove => format!("  remove replica {gone}, finally"),
        }));
        let heading = if steps.is_empty() { "Nothing is left to do." } else { "To do:" };
        output::note(&format!("{heading}\n{}", if steps.is_empty() { String::new() } else { lines.join("\n") }));
    }

    async fn take(
        &self,
        context: &Context,
        cluster: &pb::Cluster,
        old: &pb::Replica,
        step: Step,
    ) -> Result<(), CliError> {
        let (id, request_id) = (self.id, new_request_id());
        match step {
            Step::MakeFolder => self.make_folder(cluster),
            Step::Add => {
                let (address, raft_address) = self.addresses(old);
                let region = self.region.clone().unwrap_or_else(|| old.region.clone());
                let (address, raft_address) = (address.to_owned(), raft_address.to_owned());
                let validate_only = false;
                let request = pb::AddReplicaRequest { id, region, address, raft_address, validate_only, request_id };
                context.api.add_replica(request).await?;
                output::note(&format!("Replica {id} is added. Start it now, if it does not run."));
                Ok(())
            }
            Step::CatchUp => {
                let hint =
                    format!("start replica {id} if it does not run, and call this again: it goes on where it was");
                self.watch.until(context, id, is_caught_up, &hint).await
            }
            Step::Promote => {
                let request = pb::PromoteReplicaRequest { id, validate_only: false, request_id };
                context.api.promote_replica(request).await?;
                let votes = |replica: Option<&pb::Replica>| replica.is_some_and(|one| one.role() == Role::Voter);
                self.watch.until(context, id, votes, "call this again: it goes on where it was").await
            }
            Step::Remove => {
                let request = pb::RemoveReplicaRequest { id: self.old, validate_only: false, request_id };
                context.api.remove_replica(request).await?;
                let gone = |replica: Option<&pb::Replica>| replica.is_some_and(|one| one.role() == Role::Retired);
                self.watch.until(context, self.old, gone, "call this again: it goes on where it was").await
            }
        }
    }

    fn make_folder(&self, cluster: &pb::Cluster) -> Result<(), CliError> {
        let Some(config) = &self.config else { return Ok(()) };
        let mut command = Command::new(&self.program);
        command.arg("init").arg("--config").arg(config).args(["--cluster", &cluster.cluster_id]);
        // The epoch is in every call between replicas, and a new folder believes in the first.
        if cluster.epoch > 1 {
            command.args(["--epoch", &cluster.epoch.to_string()]);
        }
        let program = PathBuf::from(&self.program);
        let status = command.status().map_err(|source| CliError::Child { program, source })?;
        if status.success() {
            return Ok(());
        }
        Err(CliError::usage("the data folder was not made; what was found is told above")
            .remedy("give the new replica an empty data folder and its new id in the settings, then call this again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuild(address: Option<&str>) -> Rebuild {
        Rebuild {
            old: 3,
            id: 4,
            region: None,
            address: address.map(str::to_owned),
            raft_address: address.map(|address| format!("{address}1")),
            config: None,
            program: "latchkey-validation".into(),
            watch: Watch::none(),
            dry_run: false,
            sure: YesArguments { yes: true },
        }
    }

    fn replica(id: u64, role: Role) -> pb::Replica {
        let (address, raft_address) = ("old:7720".to_owned(), "old:7721".to_owned());
        pb::Replica { id, role: role.into(), address, raft_address, ..pb::Replica::default() }
    }

    #[test]
    fn a_rebuild_elsewhere_keeps_the_old_one_until_the_new_one_votes() {
        let steps = rebuild(Some("new:772")).steps(&replica(3, Role::Voter), None).unwrap();
        assert_eq!(steps, [Step::Add, Step::CatchUp, Step::Promote, Step::Remove]);
    }

    #[test]
    fn a_rebuild_in_the_same_place_removes_the_old_one_first() {
        let steps = rebuild(None).steps(&replica(3, Role::Voter), None).unwrap();
        assert_eq!(steps, [Step::Remove, Step::Add, Step::CatchUp, Step::Promote]);
        let steps = rebuild(None).steps(&replica(3, Role::Retired), None).unwrap();
        assert_eq!(steps, [Step::Add, Step::CatchUp, Step::Promote]);
    }

    #[test]
    fn a_rebuild_that_was_broken_off_goes_on() {
        let old = replica(3, Role::Voter);
        let steps = rebuild(None).steps(&old, Some(&replica(4, Role::Learner))).unwrap();
        assert_eq!(steps, [Step::CatchUp, Step::Promote, Step::Remove]);
        let steps = rebuild(None).steps(&old, Some(&replica(4, Role::Voter))).unwrap();
        assert_eq!(steps, [Step::Remove]);
        let steps = rebuild(None).steps(&replica(3, Role::Retired), Some(&replica(4, Role::Voter))).unwrap();
        assert_eq!(steps, []);
    }

    #[test]
    fn an_id_that_is_gone_is_not_taken_again() {
        let old = replica(3, Role::Voter);
        assert!(rebuild(None).steps(&old, Some(&replica(4, Role::Retired))).is_err());
        assert!(Rebuild { id: 3, ..rebuild(None) }.steps(&old, Some(&old)).is_err());
    }
}
