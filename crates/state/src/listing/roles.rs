//! The roles of a tenant, the built-in ones among them.

use super::merge::Merged;
use crate::records::Role;
use crate::state::State;
use alloc::sync::Arc;
use latchkey_domain::{BuiltInRole, Slug, TenantNumber};

/// A role, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyRole {
    /// One that every tenant has.
    BuiltIn(BuiltInRole),
    /// One that the tenant made.
    Made(Arc<Role>),
}

impl AnyRole {
    /// Its id within the tenant.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::BuiltIn(role) => role.as_str(),
            Self::Made(role) => role.id.as_str(),
        }
    }
}

impl State {
    /// The roles of a tenant in the order of their ids, beginning after `after`.
    pub fn list_roles(&self, tenant: TenantNumber, after: Option<&Slug>) -> impl Iterator<Item = AnyRole> {
        let mut built_in = BuiltInRole::ALL;
        built_in.sort_unstable_by_key(|role| role.as_str());
        let is_after = |role: &BuiltInRole| after.is_none_or(|after| role.as_str() > after.as_str());
        let begin = built_in.iter().position(is_after).unwrap_or(built_in.len());
        let built_in = built_in.into_iter().skip(begin).map(AnyRole::BuiltIn);
        let made = self.roles().of_tenant(tenant, after).cloned().map(AnyRole::Made);
        Merged::new(built_in, made, |left, right| left.id().cmp(right.id()))
    }
}
