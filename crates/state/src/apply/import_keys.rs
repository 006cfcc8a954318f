//! Importing keys: a row that is not good is refused by itself, and those that are come in together.

use super::Answer;
use super::create_keys::{facts, make, share, terms};
use super::transaction::{Telling, Transaction};
use crate::command::{ImportKeys, ImportOutcome, ImportRow, KEYS_PER_COMMAND_MAX, KeyToImport};
use crate::event::Action;
use crate::key::{Imported, Key, Suspension};
use crate::records::{Keyspace, RingPurpose};
use crate::row::Row;
use crate::state::State;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter;
use latchkey_domain::{ImportFormat, ImportRefusal, KeyspaceName, Quota, ReasonText, Refusal, ResourceKind, Terms};

pub(super) fn import_keys(transaction: &mut Transaction<'_>, operation: &ImportKeys) -> Result<Answer, Refusal> {
    if operation.keys.len() > KEYS_PER_COMMAND_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: KEYS_PER_COMMAND_MAX as u64 });
    }
    let name = &operation.keyspace;
    if name.is_management() {
        // What proves an identity is drawn here and nowhere else.
        return Err(Refusal::Reserved { name: name.to_string() });
    }
    let not_found = || Refusal::NotFound { kind: ResourceKind::Keyspace, name: name.to_string() };
    let mut keyspace = transaction.state().keyspace(name).ok_or_else(not_found)?.as_ref().clone();
    operation.keys.iter().try_for_each(|new| need_all_peppers(transaction.state(), new))?;
    let mut last = None;
    let mut rows = Vec::with_capacity(operation.keys.len());
    for new in &operation.keys {
        let outcome = match standing(transaction.state(), &keyspace, &operation.formats, new) {
            Some(outcome) => outcome,
            None => match import(transaction, name, &keyspace, new, &mut last) {
                Ok(key) => {
                    keyspace.keys += 1;
                    tell(transaction, name, &keyspace, &key, new);
                    ImportOutcome::Made(key.id, new.key.version)
                }
                Err(refusal) => ImportOutcome::Refused(of_row(refusal)?),
            },
        };
        rows.push(ImportRow { index: new.index, outcome });
    }
    let number = keyspace.number;
    transaction.put(Row::Keyspace(Arc::new(keyspace)));
    Ok(Answer::Imported { keyspace: number, rows })
}

/// What a row is told without anything being made: it is here already, or cannot be.
fn standing(state: &State, keyspace: &Keyspace, formats: &[ImportFormat], new: &KeyToImport) -> Option<ImportOutcome> {
    let Imported { format, start, source_id, .. } = &new.imported;
    let refused = |word| Some(ImportOutcome::Refused(word));
    let Some(format) = keyspace.settings.import_format(format).filter(|format| formats.contains(format)) else {
        return refused(ImportRefusal::FormatUnknown);
    };
    if !format.may_begin_with(start) {
        return refused(ImportRefusal::StartInvalid);
    }
    let digests = iter::once((new.key.pepper, new.key.digest)).chain(new.also.iter().copied());
    let found = digests.filter_map(|(pepper, digest)| {
        let found = state.imported(keyspace.number, &digest)?;
        (found.version.pepper == pepper).then_some((found, digest))
    });
    if let Some((found, digest)) = { found }.next() {
        let is_same = found.version.digest == digest
            && found.key.imported().is_some_and(|imported| imported.source_id == *source_id);
        return match is_same {
            true => Some(ImportOutcome::Existing(found.key.id, found.version.id)),
            false => refused(ImportRefusal::DigestTaken),
        };
    }
    match state.key_of_source(keyspace.number, source_id) {
        Some(_) => refused(ImportRefusal::SourceIdTaken),
        None => None,
    }
}

/// The level from which peppers rotate.
const PEPPERS_ROTATE_LEVEL: u32 = 5;

/// A text that came in under another pepper would not be found by its digest under this one, and would come in twice.
fn need_all_peppers(state: &State, new: &KeyToImport) -> Result<(), Refusal> {
    if state.progress().feature_level < PEPPERS_ROTATE_LEVEL {
        return Ok(());
    }
    let told = |number| number == new.key.pepper || new.also.iter().any(|(pepper, _)| *pepper == number);
    let mut used = state.ring_keys_of(RingPurpose::Pepper).filter(|key| state.ring_uses(key.number).versions > 0);
    match used.all(|key| told(key.number)) {
        true => Ok(()),
        false => Err(Refusal::RingKeyGone { number: new.key.pepper.0 }),
    }
}

fn import(
    transaction: &mut Transaction<'_>,
    name: &KeyspaceName,
    keyspace: &Keyspace,
    new: &KeyToImport,
    last: &mut Option<Arc<Terms>>,
) -> Result<Arc<Key>, Refusal> {
    let state = transaction.state();
    if keyspace.keys >= keyspace.settings.keys_max {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfKeyspace, limit: keyspace.settings.keys_max });
    }
    let asked = terms(state, name, keyspace, &new.key)?;
    let terms = share(last, state.shared_terms(keyspace.number, new.key.id, &asked), &asked);
    let mut key = make(transaction, name, keyspace, &new.key, terms)?;
    let suspension = new.suspended.then(|| Suspension { at: transaction.now(), text: ReasonText::default() });
    key.details.change(|details| {
        details.imported = Some(Box::new(Imported { version: new.key.version, ..new.imported.clone() }));
        details.suspension = suspension.map(Box::new);
    });
    let key = Arc::new(key);
    transaction.put(Row::Key(key.clone()));
    Ok(key)
}

/// What is wrong with a row alone.
///
/// # Errors
/// What is wrong with the whole command.
fn of_row(refusal: Refusal) -> Result<ImportRefusal, Refusal> {
    Ok(match refusal {
        Refusal::NotFound { kind: ResourceKind::Owner | ResourceKind::Identity, .. } => ImportRefusal::OwnerNotFound,
        Refusal::NotFound { kind: ResourceKind::Role, .. } => ImportRefusal::RoleNotFound,
        Refusal::OwnerNotAllowed { .. } => ImportRefusal::OwnerNotAllowed,
        Refusal::RoleNotAllowed { .. } => ImportRefusal::RoleNotAllowed,
        Refusal::PermissionNotAllowed { .. } => ImportRefusal::PermissionNotAllowed,
        Refusal::ExpiryPast { .. } => ImportRefusal::ExpiryPast,
        Refusal::LifetimeTooLong { .. } => ImportRefusal::LifetimeTooLong,
        Refusal::NotBeforeAfterExpiry { .. } => ImportRefusal::NotBeforeAfterExpiry,
        refusal => return Err(refusal),
    })
}

fn tell(transaction: &mut Transaction<'_>, name: &KeyspaceName, keyspace: &Keyspace, key: &Key, new: &KeyToImport) {
    let mut facts = facts(transaction.state(), key, &new.key);
    facts.push(("format", new.imported.format.to_string()));
    if !new.imported.source_id.is_empty() {
        facts.push(("source_id", new.imported.source_id.to_string()));
    }
    if new.suspended {
        facts.push(("suspended", "true".to_string()));
    }
    facts.sort_unstable_by_key(|(name, _)| *name);
    let subject = format!("{name}/keys/{}", key.id);
    let telling = Telling { tenant: Some(keyspace.tenant), facts, ..Telling::default() };
    transaction.emit(Action::KeyImported, subject, telling);
}
