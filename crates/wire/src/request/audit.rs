//! `ListEntries` and `WatchEntries`. The filter itself is read by whoever searches: what `age` counts from is known there.

use super::page::{PageTokenInvalid, ReadListError, mark, page_size, read_token, write_token};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{NameError, Scope, Sequence, TenantName};

/// One page of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntries {
    /// Whose: a tenant's, or all that the caller may see.
    pub parent: Option<TenantName>,
    /// Which, as it was given. Empty: all.
    pub filter: String,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// How many at most, 1 to [`PAGE_SIZE_MAX`](super::PAGE_SIZE_MAX).
    pub page_size: u32,
    /// The sequence after which the page begins, in its order; absent: from the beginning.
    pub after: Option<Sequence>,
}

/// Entries to be sent as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEntries {
    /// Whose: a tenant's, or all that the caller may see.
    pub parent: Option<TenantName>,
    /// Which, as it was given. Empty: all.
    pub filter: String,
    /// The first sequence to look at; absent: from now on.
    pub from: Option<Sequence>,
}

impl ListEntries {
    /// The token of the page that begins after `last`, in the order of this one.
    #[must_use]
    pub fn next_page_token(&self, last: Sequence) -> String {
        write_token(self.mark(), &last.0.to_be_bytes())
    }

    fn mark(&self) -> [u8; 8] {
        let parent = self.parent.as_ref().map(ToString::to_string).unwrap_or_default();
        mark(&["entries", &parent, &self.filter, if self.newest_first { "desc" } else { "" }])
    }
}

/// The scope on which an auditor needs his duty; the system, where no tenant is named.
#[must_use]
pub fn scope_of_entries(parent: Option<&TenantName>) -> Scope {
    parent.map_or(Scope::System, |tenant| Scope::Tenant(tenant.clone()))
}

/// Reads `ListEntries`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_list_entries(request: &v1::ListEntriesRequest) -> Result<ListEntries, ReadListError> {
    let mut fields = Fields::default();
    let parent = fields.take_optional("parent", parent(&request.parent));
    let newest_first = fields.take("order_by", newest_first(&request.order_by));
    let page_size = page_size(&mut fields, request.page_size);
    let list = || {
        Some(ListEntries {
            parent: parent?,
            filter: request.filter.clone(),
            newest_first: newest_first?,
            page_size: page_size?,
            after: None,
        })
    };
    let list = fields.finish(list())?;
    let after = read_token(list.mark(), &request.page_token)?;
    let after =
        after.map(|after| after.try_into().map(u64::from_be_bytes).map_err(|_| PageTokenInvalid)).transpose()?;
    Ok(ListEntries { after: after.map(Sequence), ..list })
}

/// Reads `WatchEntries`.
///
/// # Errors
/// All violations.
pub fn read_watch_entries(request: &v1::WatchEntriesRequest) -> Result<WatchEntries, FieldViolations> {
    let mut fields = Fields::default();
    let parent = fields.take_optional("parent", parent(&request.parent));
    let from = request.from_sequence.map(Sequence);
    let watch = parent.map(|parent| WatchEntries { parent, filter: request.filter.clone(), from });
    fields.finish(watch)
}

fn newest_first(order_by: &str) -> Result<bool, &'static str> {
    match order_by {
        "" | "sequence" => Ok(false),
        "sequence desc" => Ok(true),
        _ => Err("must be `sequence`, with ` desc` for the newest first, or empty"),
    }
}

fn parent(text: &str) -> Option<Result<TenantName, NameError>> {
    (!text.is_empty()).then(|| TenantName::parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> v1::ListEntriesRequest {
        v1::ListEntriesRequest {
            parent: "tenants/acme".to_owned(),
            filter: "action = key.*".to_owned(),
            order_by: "sequence desc".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::ListEntriesRequest {
            parent: "tenants/acme/keyspaces/live".to_owned(),
            order_by: "time".to_owned(),
            page_size: -1,
            ..Default::default()
        };
        let Err(ReadListError::Fields(violations)) = read_list_entries(&wrong) else { panic!("it reads") };
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["parent", "order_by", "page_size"]);
        let wrong = v1::WatchEntriesRequest { parent: "acme".to_owned(), ..Default::default() };
        assert_eq!(read_watch_entries(&wrong).unwrap_err().list()[0].field, "parent");
    }

    #[test]
    fn a_token_belongs_to_its_parent_filter_and_order() {
        let list = read_list_entries(&entries()).unwrap();
        assert!(list.newest_first);
        let page_token = list.next_page_token(Sequence(u64::MAX));
        let read = |request: v1::ListEntriesRequest| {
            read_list_entries(&v1::ListEntriesRequest { page_token: page_token.clone(), ..request })
        };
        assert_eq!(read(entries()).unwrap().after, Some(Sequence(u64::MAX)));
        for other in [
            v1::ListEntriesRequest { parent: String::new(), ..entries() },
            v1::ListEntriesRequest { filter: String::new(), ..entries() },
            v1::ListEntriesRequest { order_by: "sequence".to_owned(), ..entries() },
        ] {
            assert_eq!(read(other), Err(PageTokenInvalid.into()));
        }
        let cut = v1::ListEntriesRequest { page_token: page_token[..20].to_owned(), ..entries() };
        assert_eq!(read_list_entries(&cut), Err(PageTokenInvalid.into()));
    }

    #[test]
    fn no_tenant_is_all_that_the_caller_may_see() {
        let all = read_watch_entries(&v1::WatchEntriesRequest { from_sequence: Some(0), ..Default::default() });
        assert_eq!(all, Ok(WatchEntries { parent: None, filter: String::new(), from: Some(Sequence(0)) }));
        assert_eq!(scope_of_entries(None), Scope::System);
        let acme = TenantName::parse("tenants/acme").unwrap();
        assert_eq!(scope_of_entries(Some(&acme)), Scope::Tenant(acme.clone()));
    }
}
