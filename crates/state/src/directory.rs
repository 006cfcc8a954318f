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
    // Asked for each record made, which must not walk over all that a tenant has.
    counts: OrdMap<TenantNumber, usize>,
}

impl<R: Listed> Default for Directory<R> {
    fn default() -> Self {
        Self { records: OrdMap::new(), numbers: OrdMap::new(), counts: OrdMap::new() }
    }
}

impl<R: Listed> Clone for Directory<R> {
    fn clone(&self) -> Self {
        Self { records: self.records.clone(), numbers: self.numbers.clone(), counts: self.counts.clone() }
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
    pub fn of_tenant<'a>(
        &'a self,
        tenant: TenantNumber,
        after: Option<&Slug>,
    ) -> impl Iterator<Item = &'a Arc<R>> + use<'a, R> {
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
        self.counts.get(&tenant).copied().unwrap_or_default()
    }

    /// Those from a number on, by number.
    pub(crate) fn from(&self, number: R::Number) -> impl Iterator<Item = &Arc<R>> {
        self.records.range(number..).map(|(_, record)| record)
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.records.values()
    }

    pub(crate) fn insert(&mut self, record: Arc<R>) {
        self.remove(record.number());
        *self.counts.entry(record.tenant()).or_default() += 1;
        self.numbers.insert((record.tenant(), record.slug().clone()), record.number());
        self.records.insert(record.number(), record);
    }

    pub(crate) fn remove(&mut self, number: R::Number) {
        let Some(record) = self.records.remove(&number) else { return };
        let tenant = record.tenant();
        self.numbers.remove(&(tenant, record.slug().clone()));
        match self.count(tenant) {
            // A tenant without records leaves no trace, so that equal tables are equal.
            0 | 1 => self.counts.remove(&tenant),
            count => self.counts.insert(tenant, count - 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Owner;
    use alloc::vec::Vec;
    use latchkey_domain::{DisplayName, OwnerNumber, UnixMillis};

    fn owner(number: u32, tenant: u32, id: &str) -> Arc<Owner> {
        Arc::new(Owner {
            number: OwnerNumber(number),
            tenant: TenantNumber(tenant),
            id: Slug::parse(id).unwrap(),
            display_name: DisplayName::default(),
            contacts: Vec::new(),
            created_at: UnixMillis::new(0),
            changed: None,
            cut: None,
        })
    }

    #[test]
    fn the_count_is_that_of_the_records() {
        let mut owners = Directory::default();
        let records = [owner(1, 1, "b"), owner(2, 1, "a"), owner(3, 2, "a"), owner(2, 1, "c")];
        records.into_iter().for_each(|record| owners.insert(record));
        for tenant in [TenantNumber(1), TenantNumber(2), TenantNumber(3)] {
            assert_eq!(owners.count(tenant), owners.of_tenant(tenant, None).count());
        }
        let ids: Vec<_> = owners.of_tenant(TenantNumber(1), None).map(|owner| owner.id.as_str()).collect();
        assert_eq!(ids, ["b", "c"], "a record that was replaced is not found by its old id");
    }

    #[test]
    fn a_table_that_was_emptied_equals_one_that_was_never_filled() {
        let mut owners = Directory::default();
        owners.insert(owner(1, 1, "a"));
        owners.remove(OwnerNumber(1));
        owners.remove(OwnerNumber(1));
        assert_eq!(owners, Directory::default());
    }

    #[test]
    fn a_page_begins_after_the_id_given() {
        let mut owners = Directory::default();
        ["a", "b", "c"].iter().zip(1..).for_each(|(id, number)| owners.insert(owner(number, 1, id)));
        let page: Vec<_> = owners.of_tenant(TenantNumber(1), Some(&Slug::parse("a").unwrap())).collect();
        assert_eq!(page.len(), 2);
        assert_eq!(owners.of_tenant(TenantNumber(1), Some(&Slug::parse("zz").unwrap())).count(), 0);
    }
}
