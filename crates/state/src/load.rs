//! What rows must fulfil to make up a state, whatever their order: those that refer to others find them, and no two
//! claim the same.

use crate::directory::{Directory, Listed};
use crate::hash::StateHash;
use crate::key::{Holder, Imported, Key};
use crate::rotation::Rotation;
use crate::row::{Row, RowId};
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{BuiltInRole, KeyspaceNumber, RoleNumber, RotationState, TenantNumber, Terms};

/// Rows that do not make up a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The row that is wrong.
    pub row: RowId,
    /// What is wrong with it.
    pub problem: String,
}

/// A state that is being loaded. Keys are gathered, and all that finds them is made at once at the end: row by row it
/// would take five times as long.
#[derive(Debug, Default)]
pub struct Loading {
    state: State,
    keys: Vec<Arc<Key>>,
    hash: StateHash,
}

impl Loading {
    /// Takes a row. Rows may come in any order, none of them twice.
    pub fn add(&mut self, row: Row) {
        let hash = StateHash::default().plus(&row);
        self.add_hashed([row], hash);
    }

    /// Takes rows whose sum is at hand: hashing is most of the work, and can be done beside.
    pub fn add_hashed(&mut self, rows: impl IntoIterator<Item = Row>, hash: StateHash) {
        self.hash = self.hash.and(hash);
        for row in rows {
            match row {
                Row::Key(key) => self.keys.push(key),
                row => {
                    self.hash = self.hash.minus(&row);
                    self.state.install(row);
                }
            }
        }
    }

    /// How many keys came so far.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The state.
    ///
    /// # Errors
    /// [`LoadError`] where a row refers to one that is missing, or two claim the same.
    pub fn finish(mut self) -> Result<State, LoadError> {
        let place = |key: &Arc<Key>| (key.keyspace, key.id);
        // A store gives them in order, and then this only looks.
        self.keys.sort_by_key(place);
        if let Some([key, _]) = self.keys.array_windows().find(|[one, next]| place(one) == place(next)) {
            return check(false, || (RowId::Key(key.keyspace, key.id), "it is another key's")).map(|()| self.state);
        }
        share_terms(&mut self.keys);
        if let Err(version) = self.state.install_all(&self.keys, self.hash) {
            let claims = |key: &&Arc<Key>| key.version(version).is_some();
            let key = self.keys.iter().rev().find(claims).expect("two keys claim this version");
            let row = RowId::Key(key.keyspace, key.id);
            return check(false, || (row, "a version of it is another key's")).map(|()| self.state);
        }
        self.state.check_rows()?;
        Ok(self.state)
    }
}

/// Lets neighbours that may the same share it. Most keys of a keyspace may do the same, and a million of them live in
/// memory.
fn share_terms(keys: &mut [Arc<Key>]) {
    let mut last: Option<(KeyspaceNumber, Arc<Terms>)> = None;
    for key in keys {
        match &last {
            Some((_, terms)) if Arc::ptr_eq(terms, &key.terms) => {}
            Some((keyspace, terms)) if *keyspace == key.keyspace && *terms == key.terms => {
                if let Some(key) = Arc::get_mut(key) {
                    key.terms = terms.clone();
                }
            }
            _ => last = Some((key.keyspace, key.terms.clone())),
        }
    }
}

impl State {
    /// From rows in any order, none of them twice.
    ///
    /// # Errors
    /// As [`Loading::finish`].
    pub fn load(rows: impl Iterator<Item = Row>) -> Result<Self, LoadError> {
        let mut loading = Loading::default();
        rows.for_each(|row| loading.add(row));
        loading.finish()
    }

    pub(crate) fn check_rows(&self) -> Result<(), LoadError> {
        check_ids(self.tenants(), RowId::Tenant)?;
        check_ids(self.keyspaces(), RowId::Keyspace)?;
        check_ids(self.owners(), RowId::Owner)?;
        check_ids(self.identities(), RowId::Identity)?;
        check_ids(self.roles(), RowId::Role)?;
        self.check_tenants(self.keyspaces(), RowId::Keyspace)?;
        self.check_tenants(self.owners(), RowId::Owner)?;
        self.check_tenants(self.identities(), RowId::Identity)?;
        self.check_tenants(self.roles(), RowId::Role)?;
        for keyspace in self.keyspaces().iter() {
            let holder = self.keyspace_of_prefix(&keyspace.settings.prefix);
            check(holder.is_some_and(|holder| holder.number == keyspace.number), || {
                (RowId::Keyspace(keyspace.number), "its prefix is another keyspace's")
            })?;
        }
        self.all_keys().try_for_each(|key| self.check_key(key))?;
        self.all_rotations().try_for_each(|rotation| self.check_rotation(rotation))
    }

    fn check_tenants<R: Listed>(&self, directory: &Directory<R>, id: fn(R::Number) -> RowId) -> Result<(), LoadError> {
        let is_there = |tenant: TenantNumber| self.tenants().by_number(tenant).is_some();
        directory
            .iter()
            .try_for_each(|record| check(is_there(record.tenant()), || (id(record.number()), "its tenant is missing")))
    }

    fn check_key(&self, key: &Key) -> Result<(), LoadError> {
        let row = RowId::Key(key.keyspace, key.id);
        let holder_is_there = match key.holder {
            Holder::None => true,
            Holder::Owner(number) => self.owners().by_number(number).is_some(),
            Holder::Identity(number) => self.identities().by_number(number).is_some(),
        };
        check(self.keyspaces().by_number(key.keyspace).is_some(), || (row, "its keyspace is missing"))?;
        check(holder_is_there, || (row, "its holder is missing"))?;
        let role_is_there = |number: &RoleNumber| {
            BuiltInRole::by_number(*number).is_some() || self.roles().by_number(*number).is_some()
        };
        check(key.terms.roles.iter().all(role_is_there), || (row, "a role of it is missing"))?;
        if let Some(id) = key.rotation() {
            let rotation = self.rotation_at(key.keyspace, key.id, id);
            let goes_on = rotation.is_some_and(|rotation| !rotation.state.is_final());
            check(goes_on, || (row, "its rotation in progress is missing"))?;
        }
        if let Some(imported) = key.imported() {
            self.check_imported(key, imported)?;
        }
        Ok(())
    }
}

impl State {
    /// An imported key is found by its text and by its id, and its keyspace knows the format.
    fn check_imported(&self, key: &Key, imported: &Imported) -> Result<(), LoadError> {
        let row = RowId::Key(key.keyspace, key.id);
        let keyspace = self.keyspaces().by_number(key.keyspace);
        let declared = keyspace.and_then(|keyspace| keyspace.settings.import_format(&imported.format));
        check(declared.is_some(), || (row, "its import format is missing"))?;
        if let Some(version) = key.imported_version() {
            let found = self.imported(key.keyspace, &version.digest);
            check(found.is_some_and(|found| found.key.id == key.id), || (row, "its imported text is another key's"))?;
        }
        let found = self.key_of_source(key.keyspace, &imported.source_id);
        let leads_here = imported.source_id.is_empty() || found.is_some_and(|found| found.id == key.id);
        check(leads_here, || (row, "its source id is another key's"))
    }

    /// A rotation in progress is the one that its key names, and changes a version that the key has.
    fn check_rotation(&self, rotation: &Rotation) -> Result<(), LoadError> {
        let row = RowId::Rotation(rotation.keyspace, rotation.key, rotation.id);
        let Some(key) = self.key_at(rotation.keyspace, rotation.key) else {
            return check(false, || (row, "its key is missing"));
        };
        if rotation.state.is_final() {
            return Ok(());
        }
        check(key.rotation() == Some(rotation.id), || (row, "another rotation of its key is in progress"))?;
        let has_new = rotation.new.is_none_or(|new| key.version(new).is_some());
        check(has_new, || (row, "its new version is missing"))?;
        let needs_new = rotation.effective_state() != RotationState::Planned;
        check(rotation.new.is_some() || !needs_new, || (row, "it is under way without a new version"))
    }
}

/// Whether each record is the one that its id leads to.
fn check_ids<R: Listed>(directory: &Directory<R>, id: fn(R::Number) -> RowId) -> Result<(), LoadError> {
    directory.iter().try_for_each(|record| {
        let found = directory.by_id(record.tenant(), record.slug());
        let leads_here = found.is_some_and(|found| found.number() == record.number());
        check(leads_here, || (id(record.number()), "its id is another record's"))
    })
}

fn check(holds: bool, otherwise: impl FnOnce() -> (RowId, &'static str)) -> Result<(), LoadError> {
    if holds {
        return Ok(());
    }
    let (row, problem) = otherwise();
    Err(LoadError { row, problem: problem.to_string() })
}
