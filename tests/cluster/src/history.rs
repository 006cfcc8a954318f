//! What must hold of a history: of what callers were told, of the events of every replica, of their states.

use crate::cluster::{Cluster, STUCK};
use crate::keys::{list, validate_all};
use crate::report::{Report, Trouble};
use crate::workload::Told;
use latchkey_domain::{Revision, Sequence};
use latchkey_registry::store_folder;
use latchkey_storage::{Options, SledStore, StateSource, Store as _};
use latchkey_transparency::{Frontier, commitment, leaf_hash};
use latchkey_wire::pb::disk::v1 as disk;
use latchkey_wire::pb::internal::v1 as internal;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often replicas are stopped again that were not caught at one revision.
const STOPS_MAX: u32 = 5;

/// How long rows may take to be written once nothing is applied any more.
const ROWS_MAX: Duration = Duration::from_secs(1);

/// Checks that what was acknowledged is there, once, on every replica, and in the order in which it was.
pub(crate) async fn check_told(cluster: &Cluster, told: &Told, report: &mut Report) -> Result<(), Trouble> {
    report.check("no caller was told what must not be", &told.wrong);
    let listed = list(&cluster.issuance()).await?;
    let mut by_label: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in &listed {
        by_label.entry(&key.display_name).or_default().push(&key.name);
    }
    let acknowledged: Vec<_> =
        told.creations.iter().filter_map(|one| Some((one, &one.acknowledged.as_ref()?.1))).collect();
    let is_listed = |label: &str, name: &str| by_label.get(label).is_some_and(|names| names.contains(&name));
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|(one, key)| !is_listed(&one.label, &key.name))
        .map(|(one, key)| format!("{} is gone: {} at {:?}", one.label, key.name, key.revision))
        .collect();
    let twice: Vec<_> = by_label
        .iter()
        .filter(|(_, names)| names.len() > 1)
        .map(|(label, names)| format!("{label} made {} keys: {names:?}", names.len()))
        .collect();
    let tried_again = told.creations.iter().filter(|one| one.tries > 1).count();
    report.figure("acknowledged", acknowledged.len());
    report.figure("missing", missing.len());
    report.figure("duplicates", twice.len());
    report.figure("creations that needed another try", tried_again);
    report.figure("creations repeated on purpose", told.repeated);
    report.figure("tries that failed", format!("{:?}", told.failed_tries));
    report.check("nothing acknowledged is missing", &missing);
    report.check("one request id makes one key", &twice);
    report.check("revisions rise as time passes", &out_of_order(told));
    let keys: Vec<_> = acknowledged.iter().map(|(_, key)| (*key).clone()).collect();
    let mut refused = Vec::new();
    for id in cluster.ids() {
        let wrong = validate_all(&cluster.replica(id), &keys).await?;
        refused.extend(wrong.into_iter().map(|wrong| format!("replica {id}: {wrong}")));
    }
    report.check("every acknowledged key is valid on every replica from its revision on", &refused);
    Ok(())
}

/// No creation that began after another had ended may have a lower revision, and no two may share one.
fn out_of_order(told: &Told) -> Vec<String> {
    let mut creations: Vec<_> = told
        .creations
        .iter()
        .filter_map(|one| {
            let (ended, key) = one.acknowledged.as_ref()?;
            Some(((key.revision.epoch, key.revision.index), one.began, *ended, one.label.as_str()))
        })
        .collect();
    creations.sort_unstable_by_key(|(revision, ..)| *revision);
    let mut wrong = Vec::new();
    for pair in creations.windows(2) {
        if pair[0].0 == pair[1].0 {
            wrong.push(format!("{} and {} share revision {:?}", pair[0].3, pair[1].3, pair[0].0));
        }
    }
    // From the highest revision down: nothing may begin after what has a higher one had ended.
    let mut earliest_end: Option<(Instant, &str)> = None;
    for (revision, began, ended, label) in creations.iter().rev() {
        if let Some((end, above)) = earliest_end.filter(|(end, _)| end < began) {
            let late = began.duration_since(end);
            wrong.push(format!("{label} at {revision:?} began {late:?} after {above} had ended, which is above it"));
        }
        if earliest_end.is_none_or(|(end, _)| *ended < end) {
            earliest_end = Some((*ended, label));
        }
    }
    wrong
}

/// All events of one replica, from the first.
pub(crate) async fn events(cluster: &Cluster, id: u64) -> Result<Vec<internal::Event>, Trouble> {
    use internal::follow_response::Item;
    let mut registry = cluster.replica(id).registry();
    let wrong = |status: tonic::Status| Trouble::wrong(format!("Follow at replica {id}: {status}"));
    let who = registry.introduce(internal::IntroduceRequest {}).await.map_err(wrong)?.into_inner();
    let target = internal::Target { cluster_id: who.cluster_id, epoch: who.epoch, node_id: who.node_id };
    let request = internal::FollowRequest { target: Some(target), from_sequence: 0 };
    let mut stream = registry.follow(request).await.map_err(wrong)?.into_inner();
    let mut events = Vec::new();
    loop {
        let next = timeout(STUCK, stream.message()).await.map_err(|_| Trouble::wrong("Follow is stuck"))?;
        match next.map_err(wrong)?.and_then(|message| message.item) {
            Some(Item::Event(event)) => events.push(event),
            Some(Item::Progress(_)) => return Ok(events),
            None => return Err(Trouble::wrong(format!("Follow at replica {id} ends by itself"))),
        }
    }
}

/// Checks that every replica tells the same events: none left out, each root that of the tree so far.
pub(crate) async fn check_events(cluster: &Cluster, report: &mut Report) -> Result<Vec<internal::Event>, Trouble> {
    cluster.all_alike().await?;
    let (mut wrong, mut first) = (Vec::new(), None::<Vec<internal::Event>>);
    for id in cluster.ids() {
        let events = events(cluster, id).await?;
        wrong.extend(holes(&events).into_iter().map(|wrong| format!("replica {id}: {wrong}")));
        match &first {
            None => first = Some(events),
            Some(first) if *first != events => {
                let same = first.iter().zip(&events).take_while(|(one, other)| one == other).count();
                let (here, there) = (events.len(), first.len());
                wrong.push(format!("replica {id} has {here} events, the first {there}; the same up to {same}"));
            }
            Some(_) => {}
        }
    }
    let first = first.unwrap_or_default();
    report.figure("events", first.len());
    report.check(
        "every replica tells the same events from 0 on, without a hole, each with the root of all before",
        &wrong,
    );
    Ok(first)
}

/// What is wrong within the events of one replica.
fn holes(events: &[internal::Event]) -> Vec<String> {
    let (mut tree, mut wrong) = (Frontier::new(), Vec::new());
    for (expected, event) in (0_u64..).zip(events) {
        if event.sequence != expected {
            wrong.push(format!("sequence {} where {expected} was due", event.sequence));
            return wrong;
        }
        let opening = <[u8; 32]>::try_from(&event.opening[..]);
        let (Ok(opening), Ok(format), Some(revision)) = (opening, u8::try_from(event.format), event.revision) else {
            wrong.push(format!("event {expected} cannot be read"));
            return wrong;
        };
        let revision = Revision::new(revision.epoch, revision.index);
        tree.push(leaf_hash(format, Sequence(expected), revision, &commitment(&opening, &event.event)));
        if tree.root().as_bytes()[..] != event.root[..] {
            wrong.push(format!("the root after event {expected} is not that of the tree"));
            return wrong;
        }
    }
    wrong
}

/// Kills all replicas at one revision, and compares the state hashes that their disks hold. They run again afterwards.
pub(crate) async fn check_states(cluster: &mut Cluster, report: &mut Report) -> Result<(), Trouble> {
    for _ in 0..STOPS_MAX {
        cluster.all_serve().await?;
        cluster.all_alike().await?;
        // Rows follow what is published; nobody tells when they are written.
        sleep(ROWS_MAX).await;
        cluster.kill_all();
        let marks = cluster.ids().into_iter().map(|id| mark(cluster, id)).collect::<Result<Vec<_>, _>>()?;
        cluster.start_all()?;
        let Some(marks) = marks.into_iter().collect::<Option<Vec<_>>>() else { continue };
        if marks.windows(2).any(|pair| pair[0].0 != pair[1].0) {
            continue;
        }
        let wrong = marks.windows(2).any(|pair| pair[0].1 != pair[1].1).then(|| format!("{marks:?}"));
        report.figure("state hash", format!("index {}, {}", marks[0].0, &marks[0].1[..16]));
        report.check("the state hashes on all disks are equal", &Vec::from_iter(wrong));
        return cluster.all_serve().await;
    }
    report.figure("state hash", format!("not compared: the replicas stood at different records {STOPS_MAX} times"));
    cluster.all_serve().await
}

/// The index and the state hash that a replica's rows carry; none while they follow an installed snapshot.
fn mark(cluster: &Cluster, id: u64) -> Result<Option<(u64, String)>, Trouble> {
    let folder = store_folder(&cluster.node(id).data());
    let wrong = |what: String| Trouble::wrong(format!("the folder of replica {id} does not open: {what}"));
    let store = SledStore::open(&folder, &Options::default()).map_err(|error| wrong(error.to_string()))?;
    let StateSource::Rows(mark) = store.state_source() else { return Ok(None) };
    let content = disk::StateMark::decode(&mark.bytes[..]).map_err(|error| wrong(error.to_string()))?;
    let hash = content.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some((mark.index, hash)))
}

/// The numbers of the keys of the keyring that something in the folder of a replica, which does not run, is sealed under:
/// rows and entries, records of the log.
pub(crate) fn numbers_in(cluster: &Cluster, id: u64) -> Result<BTreeSet<u32>, Trouble> {
    let folder = store_folder(&cluster.node(id).data());
    let wrong = |what: String| Trouble::wrong(format!("the folder of replica {id} does not open: {what}"));
    let store = SledStore::open(&folder, &Options::default()).map_err(|error| wrong(error.to_string()))?;
    let mut numbers = BTreeSet::new();
    let scanned = store.scan_rows(&mut |row| {
        numbers.extend(number_of(&row.bytes));
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| wrong(error.to_string()))?;
    let mut next = store.first_index().unwrap_or(0);
    loop {
        let records = store.read(next..u64::MAX, 1 << 20).map_err(|error| wrong(error.to_string()))?;
        let Some(last) = records.last() else { return Ok(numbers) };
        next = last.index + 1;
        for record in records {
            let record = disk::LogRecord::decode(&record.bytes[..]).map_err(|error| wrong(error.to_string()))?;
            if let Some(disk::log_record::Payload::Command(command)) = record.payload {
                numbers.extend(number_of(&command.sealed));
            }
        }
    }
}

/// The key that sealed bytes name, as their format says: a suite, and the number. What is in the clear begins with 0.
fn number_of(sealed: &[u8]) -> Option<u32> {
    let (suite, rest) = sealed.split_first()?;
    let number = rest.first_chunk::<4>()?;
    (*suite != 0).then(|| u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Made;
    use crate::workload::Creation;
    use latchkey_wire::pb::v1;

    fn told(creations: &[(u64, u64, u64)]) -> Told {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let creation = |(index, began, ended): &(u64, u64, u64)| {
            let revision = v1::Revision { epoch: 1, index: *index };
            let key = Made { name: String::new(), text: String::new(), revision };
            Creation { label: format!("{index}"), began: at(*began), acknowledged: Some((at(*ended), key)), tries: 1 }
        };
        Told { creations: creations.iter().map(creation).collect(), ..Told::default() }
    }

    #[test]
    fn creations_that_overlap_may_land_in_any_order() {
        assert_eq!(out_of_order(&told(&[(7, 0, 10), (6, 5, 20), (8, 15, 30)])), Vec::<String>::new());
    }

    #[test]
    fn a_later_creation_below_an_earlier_one_is_found() {
        assert_eq!(out_of_order(&told(&[(9, 0, 10), (7, 0, 30), (8, 11, 20)])).len(), 1);
    }

    #[test]
    fn two_creations_at_one_revision_are_found() {
        assert_eq!(out_of_order(&told(&[(9, 0, 10), (9, 0, 10)])).len(), 1);
    }

    #[test]
    fn a_sequence_that_is_left_out_is_found() {
        let event = internal::Event { sequence: 1, ..Default::default() };
        assert_eq!(holes(&[event]), ["sequence 1 where 0 was due"]);
    }
}
