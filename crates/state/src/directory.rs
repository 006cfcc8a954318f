//! A table of numbered records, found by number or by their id within a tenant.

use alloc::sync::Arc;
use imbl::OrdMap;
use latchkey_domain::{Slug, TenantNumber};

/// What a directory needs to know of its records.
pub trait Listed {
    /// The number's type.
    type Number: Ord + Copy;
    /// The record's number.
    fn number(&self) -> Self::Number;
    /// The tenant it is in; a tenant is in [`NO_TENANT`].
    fn tenant(&self) -> TenantNumber;
    /// Its id within the tenant.
    fn slug(&self) -> &Slug;
}

/// The parent of tenants. No tenant has this number.
pub const NO_TENANT: TenantNumber = TenantNumber(0);

/// Records by number, and their numbers by id.
#[derive(Debug, PartialEq, Eq)]
pub struct Directory<R: Listed> {
    records: OrdMap<R::Number, Arc<R>>,
    numbers: OrdMap<(TenantNumber, Slug), R::Number>,
}

impl<R: Listed> Default for Directory<R> {
    fn default() -> Self {
        Self { records: OrdMap::new(), numbers: OrdMap::new() }
    }
}

impl<R: Listed> Clone for Directory<R> {
    fn clone(&self) -> Self {
        Self { records: self.records.clone(), numbers: self.numbers.clone() }
    }
}

impl<R: Listed> Directory<R> {
    /// By number.
    #[must_use]
    pub fn by_number(&self, number: R::Number) -> Option<&Arc<R>> {
        self.records.get(&number)
    }

    /// By id within a tenant.
    #[must_use]
    pub fn by_id(&self, tenant: TenantNumber, id: &Slug) -> Option<&Arc<R>> {
        // A tuple key cannot be looked up by reference; directories are small and asked far off the hot path.
        self.records.get(self.numbers.get(&(tenant, id.clone()))?)
    }

    /// Those of one tenant in the order of their ids, beginning after `after`.
    pub fn of_tenant<'a>(&'a self, tenant: TenantNumber, after: Option<&Slug>) -> impl Iterator<Item = &'a Arc<R>> {
        use core::ops::Bound::{Excluded, Included, Unbounded};
        let start = match after {
            Some(id) => Excluded((tenant, id.clone())),
            None => Included((tenant, Slug::lowest())),
        };
        self.numbers
            .range((start, Unbounded))
            .take_while(move |((of, _), _)| *of == tenant)
            .filter_map(|(_, number)| self.records.get(number))
    }

    /// How many there are in one tenant.
    #[must_use]
    pub fn count(&self, tenant: TenantNumber) -> usize {
        self.of_tenant(tenant, None).count()
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.records.values()
    }

    pub(crate) fn insert(&mut self, record: Arc<R>) {
        self.numbers.insert((record.tenant(), record.slug().clone()), record.number());
        self.records.insert(record.number(), record);
    }

    pub(crate) fn remove(&mut self, number: R::Number) {
        if let Some(record) = self.records.remove(&number) {
            self.numbers.remove(&(record.tenant(), record.slug().clone()));
        }
    }
}
