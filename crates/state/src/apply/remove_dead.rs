//! Taking away what has been dead for long enough.

use super::Answer;
use super::rotation::in_progress;
use super::subject::Subject;
use super::transaction::{Telling, Transaction};
use crate::command::KEYS_PER_COMMAND_MAX;
use crate::event::Action;
use crate::key::{Key, Version, Versions};
use crate::records::Keyspace;
use crate::row::{Row, RowId};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{KeyId, KeyspaceNumber, Quota, Refusal, UnixMillis, VersionId};

/// Those whose retention is not over are passed over: between choosing them and this, the keyspace may have changed it.
pub(super) fn remove_dead(
    transaction: &mut Transaction<'_>,
    keys: &[(KeyspaceNumber, KeyId)],
) -> Result<Answer, Refusal> {
    if keys.len() > KEYS_PER_COMMAND_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: KEYS_PER_COMMAND_MAX as u64 });
    }
    let now = transaction.now();
    let mut removed = Removed::default();
    for (keyspace, id) in keys {
        let Some(subject) = Subject::at(transaction.state(), *keyspace, *id) else { continue };
        let since = transaction.state().dead_since(&subject.key, now);
        match since.filter(|since| is_over(&subject.keyspace, *since, now)) {
            Some(since) => {
                let facts = Vec::from([("dead_since_ms", since.millis().to_string())]);
                removed.take(transaction, &subject, facts);
            }
            None => remove_versions(transaction, subject),
        }
    }
    Ok(Answer::Counted(removed.finish(transaction)))
}

/// Keys that a command takes away. Their keyspaces count them once, at the end.
#[derive(Default)]
pub(super) struct Removed(BTreeMap<KeyspaceNumber, u64>);

impl Removed {
    /// Takes a key away, with its rotations.
    pub(super) fn take(
        &mut self,
        transaction: &mut Transaction<'_>,
        subject: &Subject,
        facts: Vec<(&'static str, String)>,
    ) {
        let (keyspace, id) = (subject.key.keyspace, subject.key.id);
        let rotations: Vec<_> = transaction.state().rotations_of(keyspace, id).map(|rotation| rotation.id).collect();
        for rotation in rotations {
            transaction.delete(RowId::Rotation(keyspace, id, rotation));
        }
        transaction.delete(RowId::Key(keyspace, id));
        subject.tell(transaction, Action::KeyRemoved, facts);
        *self.0.entry(keyspace).or_default() += 1;
    }

    /// How many were taken, after the keyspaces that are still there learnt of it.
    pub(super) fn finish(self, transaction: &mut Transaction<'_>) -> u64 {
        for (number, count) in &self.0 {
            let Some(keyspace) = transaction.state().keyspaces().by_number(*number) else { continue };
            let keyspace = Keyspace { keys: keyspace.keys.saturating_sub(*count), ..(**keyspace).clone() };
            transaction.put(Row::Keyspace(Arc::new(keyspace)));
        }
        self.0.values().sum()
    }
}

/// Takes the versions of a living key away that have been dead for long enough.
fn remove_versions(transaction: &mut Transaction<'_>, mut subject: Subject) {
    let gone = transaction.state().removable_versions(&subject.keyspace, &subject.key, transaction.now());
    if gone.is_empty() {
        return;
    }
    let versions = subject.key.versions.iter().filter(|version| !gone.contains(&version.id)).cloned().collect();
    subject.key.versions = Versions::of(versions).expect("the last version of a key is never among those that go");
    for version in gone {
        let name = format!("{}/versions/{version}", subject.name);
        let tenant = Some(subject.keyspace.tenant);
        transaction.emit(Action::VersionRemoved, name, Telling { tenant, ..Telling::default() });
    }
    subject.put(transaction);
}

pub(crate) fn is_over(keyspace: &Keyspace, since: UnixMillis, now: UnixMillis) -> bool {
    since.plus(keyspace.settings.dead_retention) <= now
}

impl crate::State {
    /// Since when a key is dead for good; absent: it is not, or a cut reached it and nobody has marked it yet. A
    /// child is dead as long as its parent is, and one whose parent is gone has been dead for longer than that.
    #[must_use]
    pub fn dead_since(&self, key: &Key, now: UnixMillis) -> Option<UnixMillis> {
        let of_parent = key.parent().and_then(|parent| match self.key_at(key.keyspace, parent) {
            Some(parent) => died_at(parent, now),
            None => Some(key.created_at),
        });
        died_at(key, now).into_iter().chain(of_parent).min()
    }

    /// Whether [`crate::Operation::RemoveDead`] would find something to take of this key.
    pub(crate) fn has_removable(&self, key: &Key, now: UnixMillis) -> bool {
        let Some(keyspace) = self.keyspaces().by_number(key.keyspace) else { return false };
        self.dead_since(key, now).is_some_and(|since| is_over(keyspace, since, now))
            || (key.versions.len() > 1 && !self.removable_versions(keyspace, key, now).is_empty())
    }

    /// The versions that have been dead for long enough, oldest first; never the last one, nor one of a rotation in
    /// progress.
    fn removable_versions(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> Vec<VersionId> {
        let rotation = in_progress(self, key);
        let is_needed = |id: VersionId| rotation.as_ref().is_some_and(|one| one.new == Some(id) || one.old == Some(id));
        let is_gone = |version: &&Version| {
            !is_needed(version.id) && version_died_at(version, now).is_some_and(|since| is_over(keyspace, since, now))
        };
        key.versions.iter().filter(is_gone).map(|version| version.id).take(key.versions.len() - 1).collect()
    }
}

/// By its own revocation or its end. What a cut reached is written down later than it happened: then its retention
/// begins where that is written.
fn died_at(key: &Key, now: UnixMillis) -> Option<UnixMillis> {
    let revoked = key.revocation().map(|revocation| revocation.effective_at).filter(|at| *at <= now);
    let revoked = revoked.map(|at| at.max(key.changed().at));
    let expired = key.expires_at.filter(|end| *end <= now);
    revoked.into_iter().chain(expired).min()
}

fn version_died_at(version: &Version, now: UnixMillis) -> Option<UnixMillis> {
    let revoked = version.revocation().map(|revocation| revocation.effective_at);
    [revoked, version.ends_at()].into_iter().flatten().min().filter(|at| *at <= now)
}
