//! A cluster of one state whose every record is checked against what the ten rules say.

use super::build::{
    START, bootstrap, by_replica, by_root, create_identity, create_keyspace, create_owner, create_tenant, grant,
    settings, stamped,
};
use super::oracle::{defined_root, leaf_of, rows_of};
use latchkey_crypto::opening;
use latchkey_domain::{Duty, Refusal, Revision, Sequence};
use latchkey_state::{Action, Answer, Applied, Command, DecodedEvent, Entry, Operation, Progress, Row, RowId, State};
use latchkey_transparency::Hash;

#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) state: State,
    /// Every record applied so far.
    pub(crate) log: Vec<(Revision, Command)>,
    leaves: Vec<Hash>,
}

impl World {
    /// A cluster right after its first command.
    pub(crate) fn bootstrapped() -> Self {
        let mut world = Self::default();
        world.done(stamped(by_replica(Operation::Bootstrap(Box::new(bootstrap()))), START));
        world
    }

    /// Two tenants, `acme` and `globex`, each with the keyspaces `live` and `test`, the owner `shop`, and an identity
    /// named after each duty that holds it in the whole tenant.
    pub(crate) fn furnished() -> Self {
        let mut world = Self::bootstrapped();
        for (tenant, live, test) in [("acme", "acme_live", "acme_test"), ("globex", "globex_live", "globex_test")] {
            world.done(by_root(create_tenant(tenant)));
            world.done(by_root(create_keyspace(&format!("{tenant}/live"), settings(live))));
            world.done(by_root(create_keyspace(&format!("{tenant}/test"), settings(test))));
            world.done(by_root(create_owner(&format!("{tenant}/shop"))));
            for duty in Duty::ALL {
                world.done(by_root(create_identity(&format!("{tenant}/{duty}"), &[grant(duty, tenant)])));
            }
        }
        world
    }

    /// Applies a command and checks the record.
    pub(crate) fn apply(&mut self, command: Command) -> Applied {
        let revision = Revision::new(1, self.log.len() as u64 + 1);
        let before = self.state.clone();
        let applied = self.state.apply(revision, &command);
        if applied.entries.first().is_some_and(begins_log) {
            self.leaves.clear();
        }
        self.leaves.extend(applied.entries.iter().map(leaf_of));
        self.check(&before, &command, &applied);
        self.log.push((revision, command));
        applied
    }

    /// Applies a command that must be carried out.
    pub(crate) fn done(&mut self, command: Command) -> Answer {
        self.apply(command).answer.unwrap()
    }

    /// Applies a command that must be refused.
    pub(crate) fn refused(&mut self, command: Command) -> Refusal {
        self.apply(command).answer.unwrap_err()
    }

    fn check(&self, before: &State, command: &Command, applied: &Applied) {
        let after = &self.state;
        check_changes(before, after, applied);
        check_entries(before, command, applied);
        assert_eq!(after.progress().frontier.root(), defined_root(&self.leaves));
        assert!(after.clock() >= before.clock(), "the clock went back");
        assert_eq!(after.revision(), Revision::new(1, self.log.len() as u64 + 1));
        if applied.answer.is_err() {
            check_refused(before, after, applied);
        }
        after.check_invariants().unwrap();
    }
}

fn check_changes(before: &State, after: &State, applied: &Applied) {
    let (old, new) = (rows_of(before), rows_of(after));
    let differences = old.keys().chain(new.keys()).filter(|id| old.get(id) != new.get(id));
    let expected = differences.map(|id| (*id, new.get(id).cloned())).collect();
    assert_eq!(applied.changes, expected, "`changes` is not the difference of state");
}

/// Whether this is the first entry of a log that follows on one that was lost. The cluster's very first log begins without it.
pub(crate) fn begins_log(entry: &Entry) -> bool {
    DecodedEvent::decode(&entry.event).unwrap().action == Action::AuditLogBegan
}

fn check_entries(before: &State, command: &Command, applied: &Applied) {
    // That a claim goes on is no news: one that another takes has an entry.
    let is_told_of = |id: &RowId| !matches!(id, RowId::Progress | RowId::Request(..) | RowId::RotationClaim);
    assert!(!applied.changes.keys().any(is_told_of) || !applied.entries.is_empty(), "a change without an entry");
    let next = if applied.entries.first().is_some_and(begins_log) { 0 } else { before.progress().frontier.size() };
    for (sequence, entry) in (next..).zip(&applied.entries) {
        assert_eq!(entry.sequence, Sequence(sequence));
        assert_eq!(entry.revision, applied.revision);
        assert_eq!(entry.o, opening::of_entry(&command.opening, entry.sequence));
    }
    // What is made anew of a version is nobody's affair but the cluster's: one entry tells how many there were.
    if matches!(command.operation, Operation::RedigestVersions(_) | Operation::ResealInners(_)) {
        return;
    }
    // Each key that changed is named by an entry of its own.
    for (id, row) in &applied.changes {
        let (RowId::Key(..), Some(Row::Key(key))) = (id, row) else { continue };
        let text = key.id.to_string();
        assert!(applied.entries.iter().any(|entry| has(&entry.event, text.as_bytes())), "no entry names key {text}");
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What was refused changed nothing, apart from the clock, the position, and requests whose time had come.
fn check_refused(before: &State, after: &State, applied: &Applied) {
    assert!(applied.entries.is_empty());
    assert!(applied.changes.keys().all(|id| matches!(id, RowId::Progress | RowId::Request(..))));
    let expected = Progress { last: after.revision(), clock: after.clock(), ..before.progress().clone() };
    assert_eq!(*after.progress(), expected);
}
