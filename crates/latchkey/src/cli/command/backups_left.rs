//! Which backups still hold what was destroyed at a revision, as far as the cluster knows: by the entries about backups and by
//! what replicas tell of their folders.

use super::destruction::{is_gone, newest_first};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1 as pb;
use latchkey_wire::time::write_time;
use pb::entry::actor::Actor;
use prost_types::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Files given to operators that are named; of more there may be entries.
const GIVEN_MAX: usize = 10;

/// Pages of entries that are read at most: 20,000 entries.
const PAGES_MAX: usize = 20;

/// Within how long a backup is told of that was written while nobody led. A day.
const TOLD_WITHIN_SECONDS: i64 = 86_400;

/// A backup that holds it, by its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    name: String,
    revision: (u64, u64),
    time: String,
    by: String,
    /// The replica in whose folder it was written by the clock; none: it was given to somebody.
    kept_by: Option<String>,
}

/// What is known of the backups that hold it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BackupsLeft {
    last: Option<Taken>,
    given: Vec<Taken>,
    removed: BTreeMap<String, String>,
    /// Whether there were more entries to look at than were looked at, and none of these was of one that holds it.
    is_cut: bool,
}

impl BackupsLeft {
    /// Reads the entries about backups that were taken before, and whether the last of these is gone. What was taken since is
    /// passed over: it may be years of backups.
    pub(super) async fn read(destroyed: &pb::Entry, context: &Context) -> Result<Self, CliError> {
        let (mut left, mut page_token) = (Self::default(), String::new());
        let filter = taken_before(destroyed);
        for _ in 0..PAGES_MAX {
            let page = newest_first(&filter, page_token, context).await?;
            page.entries.iter().for_each(|entry| left.learn(entry, destroyed));
            page_token = page.next_page_token;
            if page_token.is_empty() || left.given.len() >= GIVEN_MAX {
                break;
            }
        }
        left.is_cut = left.last.is_none() && !page_token.is_empty();
        if let Some(last) = &left.last {
            let (filter, mut page_token) = (removed(&last.name), String::new());
            loop {
                let page = newest_first(&filter, page_token, context).await?;
                page.entries.iter().for_each(|entry| left.learn(entry, destroyed));
                page_token = page.next_page_token;
                if page_token.is_empty() || !left.removed.is_empty() {
                    break;
                }
            }
        }
        Ok(left)
    }

    fn learn(&mut self, entry: &pb::Entry, destroyed: &pb::Entry) {
        let (fact, at) = (|word| entry.facts.get(word).cloned(), revision(destroyed.revision.unwrap_or_default()));
        let Some(of) = fact("revision").and_then(|text| parsed(&text)).filter(|of| *of < at) else { return };
        let name = entry.subject.clone();
        if entry.action == "backup.removed" {
            self.removed.entry(name).or_insert_with(|| entry.time.map(|time| time.to_string()).unwrap_or_default());
            return;
        }
        let time = fact("taken_at_ms")
            .and_then(|text| text.parse().ok())
            .map(|at| write_time(UnixMillis::new(at)).to_string())
            .unwrap_or_default();
        let taken = Taken { name, revision: of, time, by: actor(entry), kept_by: fact("kept_by") };
        if taken.kept_by.is_none() && self.given.len() < GIVEN_MAX {
            self.given.push(taken.clone());
        }
        if self.last.as_ref().is_none_or(|last| last.revision < of) {
            self.last = Some(taken);
        }
    }

    /// For programs.
    pub(super) fn json(&self, replicas: &[pb::Replica]) -> Value {
        let last = self.last.as_ref().map(|last| {
            let state = self.state(last, replicas);
            let (removed, after) = (self.removed.get(&last.name), goes_after(last, replicas));
            let (name, time, by) = (&last.name, &last.time, &last.by);
            let revision = json!({ "epoch": last.revision.0.to_string(), "index": last.revision.1.to_string() });
            json!({ "name": name, "takeTime": time, "takenBy": by, "revision": revision, "state": state,
                "removeTime": removed, "goesAfter": after })
        });
        json!({ "last": last, "isCut": self.is_cut, "given": self.given.iter().map(|given| &given.name).collect::<Vec<_>>() })
    }

    fn state(&self, taken: &Taken, replicas: &[pb::Replica]) -> &'static str {
        match taken.kept_by {
            None => "GIVEN",
            Some(_) if keepers(taken, replicas).next().is_some() => "KEPT",
            Some(_) if self.removed.contains_key(&taken.name) => "REMOVED",
            Some(_) => "UNKNOWN",
        }
    }

    /// For people.
    pub(super) fn text(&self, replicas: &[pb::Replica]) -> String {
        let Some(last) = &self.last else {
            if self.is_cut {
                return "Too many entries are about backups to look at all of them, so one may hold them: \
                    `latchkey audit list` finds it by the actions backup.created and backup.removed.\n"
                    .to_owned();
            }
            return "The audit log tells of no backup that holds them. Backups of before feature level 6 are in no entry: \
                `latchkey backup show FILE` tells when one was taken.\n"
                .to_owned();
        };
        let (name, time, by) = (&last.name, &last.time, &last.by);
        let mut text = format!("The last backup that holds them, wrapped, is {name}, taken {time} by {by}.\n");
        text += &match (self.state(last, replicas), goes_after(last, replicas)) {
            ("GIVEN", _) => "It is a file of theirs: when it goes nobody here knows.\n".to_owned(),
            ("KEPT", Some(after)) => {
                let kept = last.kept_by.as_deref().unwrap_or_default();
                format!("Replica {kept} keeps it in its folder until {after} more are written there.\n")
            }
            ("KEPT", None) => {
                "It is in the folder of a replica that was retired, and stays there until somebody removes it.\n"
                    .to_owned()
            }
            ("REMOVED", _) => format!(
                "It was removed from the folder it was written to at {}.\n",
                self.removed.get(name).map_or("a time that is not known", String::as_str)
            ),
            _ => "Whether it is still in the folder it was written to is not known: its replica has not told yet.\n"
                .to_owned(),
        };
        for given in &self.given {
            text += &format!(
                "{} took {} at {}: `latchkey backup show FILE` tells which file it is.\n",
                given.by, given.name, given.time
            );
        }
        text
    }
}

/// Backups that were taken before, and of those taken right before also the ones that were told of only when there was a leader.
fn taken_before(destroyed: &pb::Entry) -> String {
    let Some(time) = destroyed.time else { return "action = backup.created".to_owned() };
    let until = Timestamp { seconds: time.seconds.saturating_add(TOLD_WITHIN_SECONDS), nanos: 0 };
    format!("action = backup.created AND time < \"{until}\"")
}

fn removed(name: &str) -> String {
    format!("action = backup.removed AND subject = \"{name}\"")
}

/// How many backups in the folder of a replica hold it, as the replica told.
pub(super) fn held_by(replica: &pb::Replica, destroyed: pb::Revision) -> u64 {
    let Some(backups) = &replica.backups else { return 0 };
    let holds = |kept: &&pb::BackupName| revision(kept.revision.unwrap_or_default()) < revision(destroyed);
    backups.kept.iter().filter(holds).count() as u64 + u64::from(backups.older)
}

/// The replicas in whose folder it is, and how many newer ones lie there; beyond those that are named, older ones are counted.
fn keepers<'a>(taken: &Taken, replicas: &'a [pb::Replica]) -> impl Iterator<Item = (&'a pb::Replica, usize)> {
    let (name, of) = (taken.name.clone(), taken.revision);
    replicas.iter().filter_map(move |replica| {
        let backups = replica.backups.as_ref()?;
        let at = backups.kept.iter().position(|kept| kept.name == name);
        let first = backups.kept.first().and_then(|kept| kept.revision).map(revision);
        let newer = at.map(|at| backups.kept.len() - at - 1);
        let is_counted = backups.older > 0 && first.is_some_and(|first| of < first);
        newer.or_else(|| is_counted.then_some(backups.kept.len())).map(|newer| (replica, newer))
    })
}

/// How many more have to be written until the last folder lets go of it; `None`: one is of a replica that writes no more.
fn goes_after(taken: &Taken, replicas: &[pb::Replica]) -> Option<u64> {
    let after = keepers(taken, replicas).map(|(replica, newer)| {
        let keep = replica.backups.as_ref().map_or(0, |backups| backups.keep);
        (!is_gone(replica)).then(|| u64::from(keep).saturating_sub(newer as u64))
    });
    after.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn actor(entry: &pb::Entry) -> String {
    match entry.actor.as_ref().and_then(|actor| actor.actor.as_ref()) {
        Some(Actor::Identity(name) | Actor::Key(name) | Actor::Service(name)) => name.clone(),
        Some(Actor::Replica(id)) => format!("replica {id}"),
        None => "nobody who is known".to_owned(),
    }
}

const fn revision(revision: pb::Revision) -> (u64, u64) {
    (revision.epoch, revision.index)
}

fn parsed(text: &str) -> Option<(u64, u64)> {
    let (epoch, index) = text.split_once(':')?;
    Some((epoch.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, index: u64, kept_by: Option<&str>) -> pb::Entry {
        let facts = [("revision", format!("1:{index}")), ("taken_at_ms", "1000".to_owned())];
        let kept_by = kept_by.map(|by| ("kept_by", by.to_owned()));
        pb::Entry {
            sequence: index + 1,
            action: action.to_owned(),
            subject: format!("backups/1-{index}-3-1000"),
            time: Some(Timestamp { seconds: 9, nanos: 0 }),
            facts: facts.into_iter().chain(kept_by).map(|(word, value)| (word.to_owned(), value)).collect(),
            ..pb::Entry::default()
        }
    }

    fn destroyed() -> pb::Entry {
        pb::Entry { sequence: 50, revision: Some(pb::Revision { epoch: 1, index: 50 }), ..pb::Entry::default() }
    }

    fn keeping(keep: u32, indexes: &[u64]) -> pb::Replica {
        let kept = indexes.iter().map(|index| pb::BackupName {
            name: format!("backups/1-{index}-3-1000"),
            revision: Some(pb::Revision { epoch: 1, index: *index }),
            ..pb::BackupName::default()
        });
        let backups = pb::ReplicaBackups { keep, kept: kept.collect(), ..pb::ReplicaBackups::default() };
        pb::Replica { id: 3, backups: Some(backups), ..pb::Replica::default() }
    }

    fn left(entries: &[pb::Entry]) -> BackupsLeft {
        let mut left = BackupsLeft::default();
        entries.iter().for_each(|entry| left.learn(entry, &destroyed()));
        left
    }

    #[test]
    fn the_last_backup_that_holds_it_is_kept_until_as_many_more_are_written() {
        let left = left(&[
            entry("backup.created", 60, Some("3")),
            entry("backup.created", 40, Some("3")),
            entry("backup.created", 30, Some("3")),
        ]);
        let folder = [keeping(7, &[30, 40, 60])];
        assert_eq!(left.json(&folder)["last"]["name"], "backups/1-40-3-1000");
        assert_eq!(left.json(&folder)["last"]["state"], "KEPT");
        assert_eq!(left.json(&folder)["last"]["goesAfter"], 6);
        assert_eq!(held_by(&folder[0], destroyed().revision.unwrap()), 2);
        assert!(left.text(&folder).contains("until 6 more are written"), "{}", left.text(&folder));
        let mut retired = [keeping(7, &[30, 40, 60])];
        retired[0].set_role(pb::replica::Role::Retired);
        assert_eq!(left.json(&retired)["last"]["goesAfter"], Value::Null, "it writes no more");
        assert!(left.text(&retired).contains("until somebody removes it"), "{}", left.text(&retired));
        let silent = [keeping(7, &[60])];
        assert_eq!(left.json(&silent)["last"]["state"], "UNKNOWN");
        assert_eq!(held_by(&silent[0], destroyed().revision.unwrap()), 0);
    }

    #[test]
    fn what_is_asked_for_is_not_what_was_taken_in_the_years_since() {
        let at = pb::Entry { time: Some(Timestamp { seconds: 1_795_420_800, nanos: 5 }), ..destroyed() };
        assert_eq!(taken_before(&at), "action = backup.created AND time < \"2026-11-24T08:00:00Z\"");
        assert_eq!(removed("backups/1-40-3-1000"), "action = backup.removed AND subject = \"backups/1-40-3-1000\"");
        let cut = BackupsLeft { is_cut: true, ..BackupsLeft::default() };
        assert!(cut.text(&[]).contains("may hold them") && cut.json(&[])["isCut"] == true);
    }

    #[test]
    fn one_that_was_removed_tells_when() {
        let left = left(&[entry("backup.removed", 40, Some("3")), entry("backup.created", 40, Some("3"))]);
        let answer = left.json(&[keeping(1, &[60])]);
        assert_eq!(
            (&answer["last"]["state"], &answer["last"]["removeTime"]),
            (&json!("REMOVED"), &json!("1970-01-01T00:00:09Z"))
        );
    }

    #[test]
    fn of_one_that_was_given_nobody_knows_and_its_name_is_told() {
        let left = left(&[entry("backup.created", 45, None), entry("backup.created", 40, Some("3"))]);
        let answer = left.json(&[keeping(1, &[60])]);
        assert_eq!((&answer["last"]["state"], &answer["given"]), (&json!("GIVEN"), &json!(["backups/1-45-3-1000"])));
        assert!(left.text(&[]).contains("nobody here knows"));
    }

    #[test]
    fn one_of_those_that_are_only_counted_is_kept() {
        let left = left(&[entry("backup.created", 40, Some("3"))]);
        let mut replica = keeping(9, &[60]);
        replica.backups.as_mut().unwrap().older = 2;
        assert_eq!(held_by(&replica, destroyed().revision.unwrap()), 2);
        assert_eq!(left.json(&[replica])["last"]["state"], "KEPT");
    }
}
