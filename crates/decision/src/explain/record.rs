//! The names of the records that decide.

use alloc::string::{String, ToString};
use core::ptr;
use latchkey_domain::{KeyId, KeyName, OwnerName, RoleName, TenantName, VersionName};
use latchkey_state::{By, Found, Holder, Key, ScopeCut, State};

/// The version that is explained, with all that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    state: &'a State,
    found: Found<'a>,
}

impl<'a> Records<'a> {
    pub(super) const fn of(state: &'a State, found: Found<'a>) -> Self {
        Self { state, found }
    }

    /// The record of this kind. Where it is gone by now, its children tell: then the key.
    pub(super) fn by(&self, by: By) -> String {
        match by {
            By::Version => self.version(),
            By::Key => self.key(),
            By::Parent => self.parent().unwrap_or_else(|| self.key()),
            By::Owner => self.owner().unwrap_or_else(|| self.key()),
            By::Role => self.cut_role().unwrap_or_else(|| self.key()),
            By::Keyspace => self.keyspace(),
            By::Tenant => TenantName::new(self.found.tenant.id.clone()).to_string(),
        }
    }

    pub(super) fn version(&self) -> String {
        VersionName { key: self.key_name(self.found.key.id), version: self.found.version.id }.to_string()
    }

    pub(super) fn key(&self) -> String {
        self.key_name(self.found.key.id).to_string()
    }

    pub(super) fn keyspace(&self) -> String {
        self.state.keyspace_name(self.found.keyspace).to_string()
    }

    /// The cut that reaches the key, where one does.
    pub(super) fn cut(&self) -> Option<&'a ScopeCut> {
        let Found { tenant, keyspace, key, .. } = self.found;
        self.state.cut_of(tenant, keyspace, key)
    }

    /// The key itself, or its parent, where that is there.
    pub(super) fn key_of(&self, by: By) -> Option<&'a Key> {
        let key = self.found.key;
        match by {
            By::Parent => key.parent().and_then(|parent| self.state.key_at(key.keyspace, parent)).map(AsRef::as_ref),
            _ => Some(key),
        }
    }

    fn parent(&self) -> Option<String> {
        self.found.key.parent().map(|parent| self.key_name(parent).to_string())
    }

    fn owner(&self) -> Option<String> {
        let Holder::Owner(number) = self.found.key.holder else { return None };
        let owner = self.state.owners().by_number(number)?;
        Some(OwnerName::new(self.found.tenant.id.clone(), owner.id.clone()).to_string())
    }

    /// The role whose cut it was: of several roles the one with the earliest.
    fn cut_role(&self) -> Option<String> {
        let cut = self.cut()?;
        let mut roles = self.found.key.terms.roles.iter().filter_map(|number| self.state.roles().by_number(*number));
        let role = roles.find(|role| role.cut.as_deref().is_some_and(|own| ptr::eq(own, cut)))?;
        Some(RoleName::new(self.found.tenant.id.clone(), role.id.clone()).to_string())
    }

    fn key_name(&self, key: KeyId) -> KeyName {
        KeyName { keyspace: self.state.keyspace_name(self.found.keyspace), key }
    }
}
