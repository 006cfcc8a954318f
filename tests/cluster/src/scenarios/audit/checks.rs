//! What must hold of a log that was written under kills: by what audit shows, and by what it published.

use super::log;
use super::writers::Written;
use crate::caller::Caller;
use crate::cluster::{CALL_MAX, Cluster, STUCK};
use crate::keys::list;
use crate::report::{Report, Trouble};
use latchkey_transparency::Checkpoint;
use latchkey_transparency::note::{Note, VerifierKey};
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Entries in a page of a walk over all.
const PAGE_SIZE: i32 = 1_000;

/// How often it is looked whether audit has come so far.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The sequence that a replica gives next.
pub(super) async fn next_of_replica(cluster: &Cluster, id: u64, from: u64) -> Result<u64, Trouble> {
    use internal::follow_response::Item;
    let mut registry = cluster.replica(id).registry();
    let wrong = |status: tonic::Status| Trouble::wrong(format!("Follow at replica {id}: {status}"));
    let who = registry.introduce(internal::IntroduceRequest {}).await.map_err(wrong)?.into_inner();
    let target = internal::Target { cluster_id: who.cluster_id, epoch: who.epoch, node_id: who.node_id };
    let request = internal::FollowRequest { target: Some(target), from_sequence: from };
    let mut stream = registry.follow(request).await.map_err(wrong)?.into_inner();
    loop {
        let next = timeout(STUCK, stream.message()).await.map_err(|_| Trouble::wrong("Follow is stuck"))?;
        match next.map_err(wrong)?.and_then(|message| message.item) {
            Some(Item::Event(_)) => {}
            Some(Item::Progress(progress)) => return Ok(progress.next_sequence),
            None => return Err(Trouble::wrong(format!("Follow at replica {id} ends by itself"))),
        }
    }
}

/// How far audit has come.
pub(super) async fn next_of_audit(audit: &Caller) -> Result<u64, Trouble> {
    Ok(page(audit, 1, String::new()).await?.next_sequence)
}

/// Waits until audit has what the replicas have, and says how many entries that are.
pub(super) async fn caught_up(cluster: &mut Cluster) -> Result<u64, Trouble> {
    let by = Instant::now() + STUCK;
    let audit = cluster.audit();
    let id = cluster.leader().await?;
    let due = next_of_replica(cluster, id, next_of_audit(&audit).await?).await?;
    while Instant::now() < by {
        cluster.audit_lives()?;
        if next_of_audit(&audit).await? >= due {
            return Ok(due);
        }
        sleep(LOOK_INTERVAL).await;
    }
    Err(Trouble::wrong(format!("audit does not come to entry {due} within {} s", STUCK.as_secs())))
}

/// All entries, as audit lists them.
pub(super) async fn entries(audit: &Caller) -> Result<Vec<v1::Entry>, Trouble> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let answer = page(audit, PAGE_SIZE, page_token).await?;
        entries.extend(answer.entries);
        if answer.next_page_token.is_empty() {
            return Ok(entries);
        }
        page_token = answer.next_page_token;
    }
}

async fn page(audit: &Caller, page_size: i32, page_token: String) -> Result<v1::ListEntriesResponse, Trouble> {
    let request = v1::ListEntriesRequest { page_size, page_token, ..Default::default() };
    let answer = audit.audit().list_entries(audit.ask(request, CALL_MAX)).await;
    Ok(answer.map_err(|status| Trouble::wrong(format!("ListEntries: {status}")))?.into_inner())
}

/// Checks that the entries are what was written: each once, none missing, and none of anything that is not there.
pub(super) async fn check_entries(
    cluster: &Cluster,
    entries: &[v1::Entry],
    written: &Written,
    report: &mut Report,
) -> Result<(), Trouble> {
    report.check("no caller was told what must not be", &written.wrong);
    let out_of_place = |(due, entry): (u64, &v1::Entry)| {
        (entry.sequence != due).then(|| format!("entry {} where {due} was due", entry.sequence))
    };
    let wrong: Vec<_> = (0..).zip(entries).filter_map(out_of_place).take(1).collect();
    report.check("0 gaps and 0 duplicates by sequence", &wrong);
    report.check("every entry that was acknowledged is there, and once", &untold(entries, written));
    let listed: BTreeSet<_> = list(&cluster.issuance()).await?.into_iter().map(|key| key.name).collect();
    let created = |entry: &&v1::Entry| entry.action == "key.created" && entry.subject.contains("/keyspaces/live/");
    let told: BTreeSet<_> = entries.iter().filter(created).map(|entry| entry.subject.clone()).collect();
    let missing = listed.difference(&told).map(|name| format!("{name} is there, and no entry tells of it"));
    let unmade = told.difference(&listed).map(|name| format!("an entry tells of {name}, which is not there"));
    report.check(
        "the entries tell of the keys that are there, and of no others",
        &missing.chain(unmade).collect::<Vec<_>>(),
    );
    Ok(())
}

/// What of that which was acknowledged has no entry, or more than one.
fn untold(entries: &[v1::Entry], written: &Written) -> Vec<String> {
    let (mut of_key, mut of_request) = (BTreeMap::<(&str, &str), u64>::new(), BTreeMap::<&str, usize>::new());
    for entry in entries {
        *of_key.entry((&entry.action, &entry.subject)).or_default() += 1;
        if entry.action == "key.created" {
            *of_request.entry(&entry.request_id).or_default() += 1;
        }
    }
    let once = |action: &'static str, name: &String| match of_key.get(&(action, name.as_str())) {
        Some(1) => None,
        found => Some(format!("{name}: {} times {action}", found.copied().unwrap_or_default())),
    };
    let created = written.keys.iter().filter_map(|name| once("key.created", name));
    let revoked = written.revoked.iter().filter_map(|name| once("key.revoked", name));
    let batches = written.batches.iter().filter_map(|(request, keys)| {
        let found = of_request.get(request.as_str()).copied().unwrap_or_default();
        (found != *keys).then(|| format!("request {request} made {keys} keys and has {found} entries"))
    });
    created.chain(revoked).chain(batches).collect()
}

/// The keys by which checkpoints are verified, as audit tells them: its own, then each replica's.
pub(super) async fn verifier_keys(audit: &Caller) -> Result<Vec<VerifierKey>, Trouble> {
    let answer = audit.audit().get_checkpoint(audit.ask(v1::GetCheckpointRequest::default(), CALL_MAX)).await;
    let answer = answer.map_err(|status| Trouble::wrong(format!("GetCheckpoint: {status}")))?.into_inner();
    let parse = |text: &String| {
        VerifierKey::parse(text).map_err(|error| Trouble::wrong(format!("the verifier key {text}: {error}")))
    };
    answer.verifier_keys.iter().map(parse).collect()
}

/// What a note says, and who vouches for it beside audit.
pub(super) fn opened(note: &str, keys: &[VerifierKey]) -> Result<(Checkpoint, usize), Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::wrong(format!("a checkpoint: {why}\n{note}"));
    let note = Note::parse(note).map_err(|error| wrong(&error))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|error| wrong(&error))?;
    let vouchers = note.open(keys).map_err(|error| wrong(&error))?;
    let log = keys.first().map(VerifierKey::name);
    if !vouchers.iter().any(|voucher| Some(voucher.key.name()) == log) {
        return Err(wrong(&"it is not signed by audit"));
    }
    Ok((checkpoint, vouchers.len() - 1))
}

/// Waits for a checkpoint over at least so many entries that so many replicas vouch for: the newest, as text.
pub(super) async fn cosigned(
    newest: impl Fn() -> Option<String>,
    keys: &[VerifierKey],
    size: u64,
    replicas: usize,
) -> Result<(String, Checkpoint), Trouble> {
    let (by, mut found) = (Instant::now() + STUCK, (0, 0));
    while Instant::now() < by {
        if let Some(note) = newest() {
            let (checkpoint, vouchers) = opened(&note, keys)?;
            if checkpoint.size >= size && vouchers >= replicas {
                return Ok((note, checkpoint));
            }
            found = (checkpoint.size, vouchers);
        }
        sleep(LOOK_INTERVAL).await;
    }
    let (of, by) = found;
    Err(Trouble::wrong(format!(
        "expected a checkpoint of {size} entries by {replicas} replicas, found one of {of} by {by}"
    )))
}

/// Checks what was published, as whoever trusts nobody does.
pub(super) fn check_log(archive: &Path, newest: &Checkpoint, seen: &[Checkpoint], report: &mut Report) {
    report.figure("checkpoints that were seen", seen.len());
    report.check(
        "each checkpoint that was ever seen is one of the log as it is: the entries hash to it, without gap or duplicate",
        &log::faults(archive, newest, seen),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, subject: &str, request_id: &str) -> v1::Entry {
        let [action, subject, request_id] = [action, subject, request_id].map(str::to_owned);
        v1::Entry { action, subject, request_id, ..Default::default() }
    }

    fn written() -> Written {
        let mut written = Written::default();
        written.batches.insert("r".to_owned(), 2);
        written.keys.extend(["a".to_owned(), "b".to_owned()]);
        written.revoked.insert("a".to_owned());
        written
    }

    #[test]
    fn what_was_acknowledged_and_has_one_entry_each_is_right() {
        let entries = [entry("key.created", "a", "r"), entry("key.created", "b", "r"), entry("key.revoked", "a", "s")];
        assert_eq!(untold(&entries, &written()), Vec::<String>::new());
    }

    #[test]
    fn an_entry_that_is_missing_or_there_twice_is_found() {
        let entries = [entry("key.created", "a", "r"), entry("key.revoked", "a", "s"), entry("key.revoked", "a", "s")];
        let told = untold(&entries, &written());
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("b: 0 times key.created") && told[1].contains("a: 2 times key.revoked"), "{told:?}");
    }
}
