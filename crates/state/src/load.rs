//! What rows must fulfil to make up a state, whatever their order: those that refer to others find them, and no two
//! claim the same.

use crate::directory::{Directory, Listed};
use crate::key::{Holder, Imported, Key};
use crate::records::Rotation;
use crate::row::RowId;
use crate::state::State;
use alloc::string::{String, ToString};
use latchkey_domain::{BuiltInRole, RoleNumber, TenantNumber};

/// Rows that do not make up a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The row that is wrong.
    pub row: RowId,
    /// What is wrong with it.
    pub problem: String,
}

impl State {
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
        key.versions.iter().try_for_each(|version| {
            let leads_here = self
                .version(version.id)
                .is_some_and(|found| (found.key.keyspace, found.key.id) == (key.keyspace, key.id));
            check(leads_here, || (row, "a version of it is another key's"))
        })
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
        check(key.version(rotation.new).is_some(), || (row, "its new version is missing"))
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
