//! What must hold once nothing is rotated any more.

use super::consumers::Consumer;
use crate::caller::reason;
use crate::cluster::{CALL_MAX, Cluster, STUCK};
use crate::history;
use crate::report::{Report, Trouble};
use latchkey_state::DecodedEvent;
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked how many rotations are left.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Of one rotation each of these happens once.
const ONCE: [&str; 11] = [
    "rotation.planned",
    "rotation.prepared",
    "rotation.started",
    "rotation.delivered",
    "rotation.activated",
    "rotation.verified",
    "rotation.overlap_began",
    "rotation.completed",
    "rotation.cancelled",
    "rotation.rolled_back",
    "rotation.failed",
];

/// Waits until no rotation of a keyspace is in progress. What makes no progress for [`STUCK`] is stuck.
pub(super) async fn settle(cluster: &Cluster, keyspace: &str) -> Result<Vec<String>, Trouble> {
    let (mut fewest, mut since) = (usize::MAX, Instant::now());
    loop {
        let left = rotations(cluster, keyspace).await?;
        if left.is_empty() {
            return Ok(Vec::new());
        }
        if left.len() < fewest {
            (fewest, since) = (left.len(), Instant::now());
        }
        if since.elapsed() > STUCK {
            return Ok(left.iter().map(|one| format!("{} is {:?}", one.name, one.state())).collect());
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// All rotations of a parent: those of a key, or those in progress of a keyspace.
pub(super) async fn rotations(cluster: &Cluster, parent: &str) -> Result<Vec<v1::Rotation>, Trouble> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    let caller = cluster.rotator(0);
    loop {
        let request =
            v1::ListRotationsRequest { parent: parent.to_owned(), page_size: 1_000, page_token, ..Default::default() };
        let answer = caller.rotation().list_rotations(caller.ask(request, CALL_MAX)).await;
        let answer = answer.map_err(|status| Trouble::wrong(format!("ListRotations: {status}")))?.into_inner();
        found.extend(answer.rotations);
        if answer.next_page_token.is_empty() {
            return Ok(found);
        }
        page_token = answer.next_page_token;
    }
}

/// Checks that each rotation happened once: in its events, and in what is there.
pub(super) async fn check_once(
    cluster: &Cluster,
    consumers: &[Consumer],
    report: &mut Report,
) -> Result<BTreeMap<String, u64>, Trouble> {
    let events = history::check_events(cluster, report).await?;
    let (mut counts, mut of_each) = (BTreeMap::new(), BTreeMap::<(String, &str), u64>::new());
    for event in &events {
        let event = DecodedEvent::decode(&event.event).map_err(|_| Trouble::wrong("an event that cannot be read"))?;
        let action = event.action.as_str();
        if action.starts_with("rotation.") {
            *counts.entry(action.to_owned()).or_default() += 1;
            *of_each.entry((event.subject, action)).or_default() += 1;
        }
    }
    let twice = |((subject, action), count): (&(String, &str), &u64)| {
        (*count > 1 && ONCE.contains(action)).then(|| format!("{subject}: {count} times {action}"))
    };
    let mut wrong: Vec<_> = of_each.iter().filter_map(twice).collect();
    for consumer in consumers {
        wrong.extend(broken_chain(&rotations(cluster, &consumer.key).await?));
    }
    report.check("no step of a rotation was done twice, and each made one version", &wrong);
    Ok(counts)
}

/// The rotations of one key, the newest first: each takes the place of what the one before had left behind.
fn broken_chain(rotations: &[v1::Rotation]) -> Vec<String> {
    let mut wrong = Vec::new();
    for pair in rotations.windows(2) {
        let (later, earlier) = (&pair[0], &pair[1]);
        let left = match earlier.state() {
            v1::rotation::State::Completed => &earlier.new_version,
            _ => &earlier.old_version,
        };
        if later.old_version != *left {
            wrong.push(format!("{} replaces {}, and {} left {left}", later.name, later.old_version, earlier.name));
        }
        if later.new_version == earlier.new_version {
            wrong.push(format!("{} and {} made one version", later.name, earlier.name));
        }
    }
    wrong
}

/// Checks that what is delivered is accepted everywhere, and nothing that was given up.
pub(super) async fn check_secrets(
    cluster: &Cluster,
    consumers: &[Consumer],
    report: &mut Report,
) -> Result<(), Trouble> {
    cluster.all_alike().await?;
    let (mut refused, mut accepted) = (Vec::new(), Vec::new());
    for id in cluster.ids() {
        for consumer in consumers {
            let delivered = consumer.delivered()?;
            match outcome(cluster, id, &delivered).await? {
                v1::Outcome::Valid => {}
                outcome => refused.push(format!("{} at replica {id}: what is delivered is {outcome:?}", consumer.key)),
            }
            for (number, former) in consumer.former().iter().enumerate() {
                if outcome(cluster, id, &former.text).await? == v1::Outcome::Valid {
                    accepted.push(format!("{} at replica {id}: secret {number} is still VALID", consumer.key));
                }
            }
        }
    }
    report.check("what is delivered is accepted at every replica", &refused);
    report.check("what was given up is refused at every replica", &accepted);
    Ok(())
}

async fn outcome(cluster: &Cluster, id: u64, key_text: &str) -> Result<v1::Outcome, Trouble> {
    let replica = cluster.replica(id);
    let request = v1::ValidateKeyRequest { key_text: key_text.to_owned(), ..Default::default() };
    let answer = replica.validation().validate_key(replica.ask(request, CALL_MAX)).await;
    let answer = answer.map_err(|status| Trouble::wrong(format!("ValidateKey at {id}: {}", reason(&status))))?;
    Ok(answer.into_inner().outcome())
}

/// Keys by their names, without what a rotation changes: that of their versions, and when.
pub(super) fn untouched(keys: Vec<v1::Key>) -> BTreeMap<String, v1::Key> {
    let strip = |mut key: v1::Key| {
        key.versions.clear();
        key.etag.clear();
        key.rotation.clear();
        (key.revision, key.update_time) = (None, None);
        (key.name.clone(), key)
    };
    keys.into_iter().map(strip).collect()
}

/// Checks that a rotation changed nothing but versions.
pub(super) fn check_untouched(
    before: &BTreeMap<String, v1::Key>,
    after: &BTreeMap<String, v1::Key>,
    report: &mut Report,
) {
    let differs = |(name, key): (&String, &v1::Key)| match after.get(name) {
        Some(now) if now == key => None,
        Some(_) => Some(format!("{name} changed")),
        None => Some(format!("{name} is gone")),
    };
    let mut wrong: Vec<_> = before.iter().filter_map(differs).collect();
    wrong.extend(after.keys().filter(|name| !before.contains_key(*name)).map(|name| format!("{name} is new")));
    report.check("permissions, metadata and the ids of keys are untouched", &wrong);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(name: &str, (old, new): (&str, &str), state: v1::rotation::State) -> v1::Rotation {
        v1::Rotation {
            name: name.to_owned(),
            old_version: old.to_owned(),
            new_version: new.to_owned(),
            state: state.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_rotation_that_leaves_out_or_repeats_one_is_found() {
        use v1::rotation::State::{Completed, RolledBack};
        let right = [
            rotation("c", ("2", "4"), Completed),
            rotation("b", ("2", "3"), RolledBack),
            rotation("a", ("1", "2"), Completed),
        ];
        assert_eq!(broken_chain(&right), Vec::<String>::new());
        assert_eq!(broken_chain(&[right[0].clone(), rotation("b", ("2", "3"), Completed)]).len(), 1);
        assert_eq!(broken_chain(&[rotation("d", ("1", "2"), Completed), right[2].clone()]).len(), 2);
    }

    #[test]
    fn a_key_that_lost_a_permission_is_found() {
        let key = |permissions: &[&str]| v1::Key {
            name: "keys/a".to_owned(),
            permissions: permissions.iter().map(|one| (*one).to_owned()).collect(),
            ..Default::default()
        };
        let mut report = Report::default();
        check_untouched(&untouched(vec![key(&["a:b"])]), &untouched(vec![key(&["a:b"])]), &mut report);
        assert!(!report.has_failed());
        check_untouched(&untouched(vec![key(&["a:b"])]), &untouched(vec![key(&[])]), &mut report);
        assert!(report.has_failed());
    }
}
