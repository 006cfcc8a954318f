//! One command's hold on the state: every change goes through here, so that what is reported is what was done.

use crate::command::{Actor, Command};
use crate::event::{Action, EVENT_FORMAT, Entry, Event};
use crate::records::{AuditCheckpoint, NextNumbers, Progress, Trimmed};
use crate::row::{Changes, Row, RowId};
use crate::state::State;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_crypto::opening;
use latchkey_domain::{Quota, ReasonText, Refusal, Revision, RevocationReason, Sequence, TenantNumber, UnixMillis};
use latchkey_transparency::{Frontier, commitment, leaf_hash};

/// The level from which the state knows up to where logs have to be purged.
const PURGING_LEVEL: u32 = 6;

pub(super) struct Transaction<'a> {
    state: &'a mut State,
    command: &'a Command,
    revision: Revision,
    // Each entry moves it, and hashing the row each time would cost more than all the rest: it is put back at the end.
    progress: Progress,
    changes: Changes,
    entries: Vec<Entry>,
}

/// What an event tells besides what the command says.
#[derive(Default)]
pub(super) struct Telling {
    pub(super) tenant: Option<TenantNumber>,
    pub(super) reason: Option<(RevocationReason, ReasonText)>,
    pub(super) facts: Vec<(&'static str, String)>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(state: &'a mut State, revision: Revision, command: &'a Command) -> Self {
        let progress = state.progress().clone();
        Self { state, command, revision, progress, changes: Changes::new(), entries: Vec::new() }
    }

    /// The state with the changes so far; its progress is [`Self::progress`].
    pub(super) fn state(&self) -> &State {
        self.state
    }

    pub(super) const fn command(&self) -> &'a Command {
        self.command
    }

    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The replicated clock, this command's time included.
    pub(super) const fn now(&self) -> UnixMillis {
        self.progress.clock
    }

    /// Puts a row; one that is there already in just this form is no change.
    pub(super) fn put(&mut self, row: Row) {
        let id = row.id();
        if self.state.row(id).as_ref() == Some(&row) {
            return;
        }
        self.state.install(row.clone());
        self.changes.insert(id, Some(row));
    }

    pub(super) fn delete(&mut self, id: RowId) {
        if self.state.row(id).is_some() {
            self.state.remove(id);
            self.changes.insert(id, None);
        }
    }

    /// Takes the next number of a kind. None is ever given twice, so there is an end to them.
    pub(super) fn next_number(
        &mut self,
        quota: Quota,
        kind: impl FnOnce(&mut NextNumbers) -> &mut u32,
    ) -> Result<u32, Refusal> {
        let next = kind(&mut self.progress.next);
        // Zero means "the KEK" in the keyring and "no tenant" in the directory, so numbers begin at one.
        *next = next.checked_add(1).ok_or(Refusal::QuotaExceeded { quota, limit: u32::MAX.into() })?;
        Ok(*next)
    }

    /// Passes over every number that may have been given in `entries` that this state lacks; each that is given has an entry
    /// of its own. The audit log tells of who had them, sealed by keys that are lost, and a new tenant must not be taken for
    /// one of those.
    pub(super) fn skip_numbers(&mut self, entries: u64) {
        let given = u32::try_from(entries).unwrap_or(u32::MAX);
        let NextNumbers { tenant, keyspace, owner, identity, role, ring } = &mut self.progress.next;
        for next in [tenant, keyspace, owner, identity, role, ring] {
            *next = next.saturating_add(given);
        }
    }

    pub(super) const fn set_trimmed(&mut self, trimmed: Trimmed) {
        self.progress.trimmed = Some(trimmed);
    }

    pub(super) const fn set_checkpoint(&mut self, checkpoint: AuditCheckpoint) {
        self.progress.checkpoint = Some(checkpoint);
    }

    /// From now on this is another log, and no checkpoint of the last one is of it. `index` is that of the record which begins
    /// it, where its epoch does not.
    pub(super) const fn name_tree(&mut self, epoch: u64, index: u64) {
        self.progress.tree_epoch = epoch;
        self.progress.tree_index = index;
        self.progress.checkpoint = None;
    }

    /// The tree begins again with nothing, and the next entry is its first. Nobody has said that he has any of it.
    pub(super) fn empty_tree(&mut self) {
        self.progress.frontier = Frontier::default();
        self.progress.trimmed = None;
    }

    /// A key of a tenant has left the keyring with this record: what brought it along must not stay in any log. Older builds know
    /// nothing of that.
    pub(super) fn note_tenant_key_gone(&mut self) {
        if self.progress.feature_level >= PURGING_LEVEL {
            self.progress.tenant_keys_gone = Some(self.revision);
        }
    }

    /// Goes on with another tree, which begins with this one.
    pub(super) fn set_frontier(&mut self, frontier: Frontier) {
        self.progress.frontier = frontier;
    }

    pub(super) const fn set_feature_level(&mut self, level: u32) {
        self.progress.feature_level = level;
    }

    /// Moves the clock ahead; never back.
    pub(super) fn advance_clock(&mut self, time: UnixMillis) {
        self.progress.clock = self.progress.clock.max(time);
    }

    /// Emits an event and adds its leaf to the tree.
    pub(super) fn emit(&mut self, action: Action, subject: String, telling: Telling) {
        self.emit_as(self.command.actor.clone(), action, subject, telling);
    }

    /// Emits an event of something that another did than whoever asked for the command.
    pub(super) fn emit_as(&mut self, actor: Actor, action: Action, subject: String, telling: Telling) {
        let at = self.now();
        if let Some(trimmed) = &mut self.progress.trimmed
            && trimmed.next.0 >= self.progress.frontier.size()
        {
            // Audit had all: from now on an entry waits.
            trimmed.at = at;
        }
        let event = Event {
            at,
            actor,
            action,
            subject,
            tenant: telling.tenant,
            reason: telling.reason,
            request: self.command.request,
            facts: telling.facts,
        }
        .encode();
        let sequence = Sequence(self.progress.frontier.size());
        let o = opening::of_entry(&self.command.opening, sequence);
        let leaf = leaf_hash(EVENT_FORMAT, sequence, self.revision, &commitment(&o, &event));
        self.progress.frontier.push(leaf);
        let root = self.progress.frontier.root();
        self.entries.push(Entry { sequence, revision: self.revision, tenant: telling.tenant, event, o, root });
    }

    /// Puts the progress back, and tells what was done. Without it the state is half changed.
    pub(super) fn finish(self) -> (Changes, Vec<Entry>) {
        if self.progress != *self.state.progress() {
            self.state.install(Row::Progress(self.progress));
        }
        (self.changes, self.entries)
    }
}
