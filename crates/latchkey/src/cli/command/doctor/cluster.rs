//! The cluster as its leader sees it.

use super::{Finding, checks};
use crate::cli::context::Context;
use crate::cli::output::json::enum_words;
use latchkey_wire::pb::v1 as pb;
use pb::replica::{Role, State};
use prost_types::Duration as Span;

/// Beyond this a clock is degraded: the leader stamps no time.
const CLOCK_OFFSET_MS_MAX: i64 = 500;

/// Looks at the leader and at every replica.
pub(super) async fn look(context: &Context, findings: &mut Vec<Finding>) {
    let cluster = match context.api.get_cluster(pb::GetClusterRequest {}).await {
        Ok(answer) => answer.message,
        Err(crate::cli::CliError::Call(call)) if call.code() == tonic::Code::PermissionDenied => {
            findings.push(Finding::skipped(
                "cluster",
                "you may not look at it: it needs admin, operator or auditor on the system",
            ));
            return;
        }
        Err(error) => {
            findings.push(Finding::failed("cluster", &error, "look at the log of the replica"));
            return;
        }
    };
    let cluster = as_leader_sees(context, cluster).await;
    findings.push(leader(&cluster));
    // Those that are gone are kept in the list so that their ids are, and nothing is wrong with them.
    for replica in cluster.replicas.iter().filter(|replica| replica.role() != Role::Retired) {
        let mut finding = state(replica, bound_ms(&cluster));
        // The leader may not have noticed yet, and a follower does not know.
        if finding.health == super::Health::Ok && replica.id != cluster.answered_by {
            let probed = checks::replica(&context.api, replica).await;
            if probed.health == super::Health::Wrong {
                finding = Finding { check: finding.check, ..probed };
            }
        }
        findings.push(finding);
    }
    denials(context, &cluster, findings).await;
}

/// What a replica denies on its own is meant for an hour without a leader, and forgotten easily. Who may not see it is not
/// told of it, and a replica that does not answer is told of above.
async fn denials(context: &Context, cluster: &pb::Cluster, findings: &mut Vec<Finding>) {
    for replica in cluster.replicas.iter().filter(|replica| replica.role() != Role::Retired) {
        let api = match replica.id == cluster.answered_by {
            true => Ok(context.api.clone()),
            false => context.api.at_replica(&replica.address),
        };
        let Ok(api) = api.map(|api| api.within(checks::PROBE_MAX)) else { continue };
        let Ok(answer) = api.list_local_denials(pb::ListLocalDenialsRequest {}).await else { continue };
        findings.extend(denied(replica, answer.message.denials.len()));
    }
}

fn denied(replica: &pb::Replica, count: usize) -> Option<Finding> {
    let keys = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
    let at = &replica.address;
    (count > 0).then(|| {
        Finding::wrong(
            format!("replica {} in {}", replica.id, replica.region),
            format!("it denies {keys} that the others accept as the state says"),
            format!(
                "latchkey key local-denials --at {at}; suspend or revoke them, or latchkey key allow-locally --at {at}"
            ),
        )
    })
}

/// A follower knows of the others only who they are: its leader is asked, if it answers.
async fn as_leader_sees(context: &Context, cluster: pb::Cluster) -> pb::Cluster {
    let leader = cluster.leader.filter(|leader| *leader != cluster.answered_by);
    let leader = leader.and_then(|leader| cluster.replicas.iter().find(|replica| replica.id == leader));
    let Some(api) = leader.and_then(|leader| context.api.at_replica(&leader.address).ok()) else { return cluster };
    match api.within(checks::PROBE_MAX).get_cluster(pb::GetClusterRequest {}).await {
        Ok(answer) => answer.message,
        Err(_) => cluster,
    }
}

fn leader(cluster: &pb::Cluster) -> Finding {
    let voters = cluster.replicas.iter().filter(|replica| replica.role() == Role::Voter).count();
    match cluster.leader {
        Some(leader) => Finding::ok(
            "leader",
            format!("replica {leader} of {voters} voters, feature level {}", cluster.feature_level),
        ),
        None => Finding::wrong(
            "leader",
            format!("replica {} knows of none", cluster.answered_by),
            format!(
                "bring up a majority of replicas: {} of the {voters} voters have to run and reach each other",
                voters / 2 + 1
            ),
        ),
    }
}

fn state(replica: &pb::Replica, bound_ms: i64) -> Finding {
    let check = format!("replica {} in {}", replica.id, replica.region);
    let found = |more: String| format!("{}{more}", word(replica.state()));
    let remedy = match replica.state() {
        State::Serving => None,
        // Nobody knows more without a leader; it is asked itself.
        State::Unknown | State::Unspecified => return Finding::ok(check, "answers; more is known to a leader only"),
        State::Starting => Some("wait: it loads its state; its log tells how far it is"),
        State::NotFresh => Some("see that it reaches the leader"),
        State::Locked => Some("give it its key-encryption key back: see kek_file in its settings"),
        State::Fenced => {
            Some("it stopped for a reason that its log tells; an operator has to act: see deploy/README.md")
        }
        State::Removed => Some("stop it: it was removed from the cluster"),
        State::Unreachable => {
            let remedy = format!("{}, or mend the network between it and the leader", checks::start(replica));
            return Finding::wrong(check, found(String::new()), remedy);
        }
    };
    if let Some(remedy) = remedy {
        return Finding::wrong(check, found(String::new()), remedy);
    }
    let offset = replica.clock_offset.map(millis);
    if let Some(offset) = offset.filter(|offset| offset.abs() > CLOCK_OFFSET_MS_MAX) {
        let found = found(format!(", its clock is {offset} ms from the others'"));
        return Finding::wrong(check, found, "set its clock: see that NTP runs there");
    }
    let age = replica.lease_age.map(millis);
    if let Some(age) = age.filter(|age| *age > bound_ms) {
        return Finding::wrong(check, found(format!(", its lease is {age} ms old")), "see that it reaches the leader");
    }
    let told = |name: &str, value: Option<i64>| value.map(|value| format!(", {name} {value} ms")).unwrap_or_default();
    Finding::ok(check, found(told("lease age", age) + &told("clock offset", offset)))
}

/// The bound of a keyspace that names none.
fn bound_ms(cluster: &pb::Cluster) -> i64 {
    cluster.profile.and_then(|profile| profile.staleness_default).map_or(i64::MAX, millis)
}

fn millis(span: Span) -> i64 {
    span.seconds.saturating_mul(1_000).saturating_add(i64::from(span.nanos / 1_000_000))
}

fn word(state: State) -> String {
    let words = enum_words("Replica.State");
    words.into_iter().find(|(_, number)| *number == state as i32).map_or_else(String::new, |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn what_is_denied_on_one_replica_is_not_forgotten() {
        assert_eq!(denied(&replica(State::Serving, 0), 0), None);
        let finding = denied(&replica(State::Serving, 0), 2).expect("it is told");
        assert!(finding.health == Health::Wrong && finding.found.contains("2 keys"), "{finding:?}");
    }

    fn replica(state: State, offset_ms: i32) -> pb::Replica {
        pb::Replica {
            id: 2,
            region: "eu-central".to_owned(),
            state: state.into(),
            clock_offset: Some(Span { seconds: 0, nanos: offset_ms * 1_000_000 }),
            ..pb::Replica::default()
        }
    }

    #[test]
    fn every_state_but_serving_says_what_to_do() {
        for state in
            [State::Starting, State::NotFresh, State::Locked, State::Fenced, State::Unreachable, State::Removed]
        {
            let finding = super::state(&replica(state, 0), 5_000);
            assert!(finding.health == Health::Wrong && !finding.remedy.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn what_a_follower_does_not_know_is_not_wrong() {
        assert_eq!(state(&replica(State::Unknown, 0), 5_000).health, Health::Ok);
    }

    #[test]
    fn a_replica_that_is_away_is_named_with_its_address() {
        let away = pb::Replica { address: "127.0.0.1:7920".to_owned(), ..replica(State::Unreachable, 0) };
        assert!(state(&away, 5_000).remedy.starts_with("start replica 2 at 127.0.0.1:7920"));
    }

    #[test]
    fn a_clock_that_is_off_and_a_lease_that_is_old_are_found() {
        assert_eq!(state(&replica(State::Serving, 12), 5_000).found, "SERVING, clock offset 12 ms");
        assert!(state(&replica(State::Serving, -612), 5_000).found.contains("-612 ms"));
        let old = pb::Replica { lease_age: Some(Span { seconds: 6, nanos: 0 }), ..replica(State::Serving, 0) };
        assert_eq!(state(&old, 5_000).health, Health::Wrong);
    }

    #[test]
    fn without_a_leader_a_majority_is_named() {
        let voter = pb::Replica { role: Role::Voter.into(), ..replica(State::Unknown, 0) };
        let cluster = pb::Cluster { replicas: vec![voter.clone(), voter.clone(), voter], ..pb::Cluster::default() };
        assert!(leader(&cluster).remedy.contains("2 of the 3 voters"));
    }
}
