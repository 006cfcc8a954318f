//! Waiting until the cluster has become what was asked, and telling how far it is meanwhile.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use pb::replica::{Role, State};
use std::time::Duration;
use tokio::time::Instant;

/// How often the cluster is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Records that a learner may be behind when it gets a vote (`ClusterService.PromoteReplica`).
const BEHIND_MAX: u64 = 1_000;

/// How long to wait for what was asked.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// How long to wait until the cluster has followed; what was asked goes on all the same. 0s: not at all.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "60s")]
    wait: Duration,
}

impl Watch {
    /// Not at all.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self { wait: Duration::ZERO }
    }

    /// Looks until `done` of the replica `id`; tells each step of it on the way. `hint` says what else may be missing.
    ///
    /// # Errors
    /// [`CliError`]: it did not come about in time.
    pub(crate) async fn until(
        self,
        context: &Context,
        id: u64,
        done: impl Fn(Option<&pb::Replica>) -> bool,
        hint: &str,
    ) -> Result<(), CliError> {
        let (ends, mut told) = (Instant::now() + self.wait, String::new());
        loop {
            // Who is asked may be the one that leaves or leads no more: the next look finds out.
            let cluster = context.api.get_cluster(pb::GetClusterRequest {}).await;
            let replica = cluster.as_ref().ok().and_then(|cluster| find(&cluster.message, id));
            if cluster.is_ok() && done(replica) {
                return Ok(());
            }
            let now = tell(id, replica);
            if cluster.is_ok() && now != told && context.printer.is_for_people() {
                output::note(&now);
                told = now;
            }
            if self.wait.is_zero() {
                return Ok(());
            }
            if Instant::now() >= ends {
                return Err(CliError::usage(format!("not yet after {} s: {told}", self.wait.as_secs())).remedy(hint));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// One replica of the cluster.
pub(in crate::cli::command) fn find(cluster: &pb::Cluster, id: u64) -> Option<&pb::Replica> {
    cluster.replicas.iter().find(|replica| replica.id == id)
}

/// Whether it may vote.
pub(in crate::cli::command) fn is_caught_up(replica: Option<&pb::Replica>) -> bool {
    replica.is_some_and(|replica| {
        let serves = matches!(replica.state(), State::Serving | State::NotFresh);
        serves && replica.records_behind.is_some_and(|behind| behind <= BEHIND_MAX)
    })
}

/// How far a replica is, in a sentence.
fn tell(id: u64, replica: Option<&pb::Replica>) -> String {
    let Some(replica) = replica else { return format!("Replica {id} is not known.") };
    let role = match replica.role() {
        Role::Voter => "votes",
        Role::Learner => "is a learner",
        Role::Leaving => "is leaving: it is waited for until it can decide on nothing any more",
        Role::Retired => "is gone",
        Role::Unspecified => "is something that this program does not know",
    };
    let fares = match (replica.state(), replica.records_behind) {
        (State::Unreachable, _) => "; the leader has not heard of it".to_owned(),
        (State::Starting, _) => "; it loads its state".to_owned(),
        (_, Some(behind)) if behind > BEHIND_MAX => format!("; {behind} records behind"),
        _ => String::new(),
    };
    format!("Replica {id} {role}{fares}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(state: State, records_behind: Option<u64>) -> pb::Replica {
        let role = Role::Learner.into();
        pb::Replica { id: 4, role, state: state.into(), records_behind, ..pb::Replica::default() }
    }

    #[test]
    fn a_learner_may_vote_once_it_is_heard_and_near() {
        assert!(!is_caught_up(None));
        assert!(!is_caught_up(Some(&replica(State::Serving, None))));
        assert!(!is_caught_up(Some(&replica(State::Serving, Some(1_001)))));
        assert!(!is_caught_up(Some(&replica(State::Unreachable, Some(0)))));
        assert!(is_caught_up(Some(&replica(State::Serving, Some(1_000)))));
    }

    #[test]
    fn how_far_it_is_is_told_in_a_sentence() {
        assert_eq!(
            tell(4, Some(&replica(State::Serving, Some(5_000)))),
            "Replica 4 is a learner; 5000 records behind."
        );
        assert!(tell(4, Some(&replica(State::Unreachable, None))).contains("not heard"));
    }
}
