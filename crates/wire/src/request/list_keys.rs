//! `ListKeys`.

use super::filter::{key_filter, key_order};
use super::page::{ReadListError, mark, page_size, read_token, write_token};
use crate::pb::v1;
use crate::violation::Fields;
use latchkey_domain::KeyspaceName;

/// One page of the keys of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListKeys {
    /// Where.
    pub parent: KeyspaceName,
    /// How many at most, 1 to [`PAGE_SIZE_MAX`](super::PAGE_SIZE_MAX).
    pub page_size: u32,
    /// Which; it reads. Empty: all.
    pub filter: String,
    /// In which order; it is one. Empty: by name.
    pub order_by: String,
    /// Where the page before ended, as the answer to it said; absent: from the beginning.
    pub position: Option<Vec<u8>>,
}

impl ListKeys {
    /// The token of the page that begins at `position`, as the answer to this one said.
    #[must_use]
    pub fn next_page_token(&self, position: &[u8]) -> String {
        write_token(self.mark(), position)
    }

    fn mark(&self) -> [u8; 8] {
        mark(&["keys", &self.parent.to_string(), &self.filter, &self.order_by])
    }
}

/// Reads `ListKeys`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_list_keys(request: &v1::ListKeysRequest) -> Result<ListKeys, ReadListError> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", KeyspaceName::parse(&request.parent));
    let page_size = page_size(&mut fields, request.page_size);
    let filter = key_filter(&mut fields, &request.filter);
    let order_by = key_order(&mut fields, &request.order_by);
    let list = || {
        Some(ListKeys { parent: parent?, page_size: page_size?, filter: filter?, order_by: order_by?, position: None })
    };
    let list = fields.finish(list())?;
    let position = read_token(list.mark(), &request.page_token)?;
    Ok(ListKeys { position, ..list })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::PageTokenInvalid;

    const KEYSPACE: &str = "tenants/acme/keyspaces/live";

    fn keys() -> v1::ListKeysRequest {
        v1::ListKeysRequest {
            parent: KEYSPACE.to_owned(),
            filter: "state = ACTIVE AND age > 90d".to_owned(),
            order_by: "create_time desc".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named_and_no_text_is_echoed() {
        let wrong = v1::ListKeysRequest {
            parent: "tenants/acme".to_owned(),
            page_size: -1,
            filter: "secret = 1".to_owned(),
            order_by: "secret".to_owned(),
            ..Default::default()
        };
        let Err(ReadListError::Fields(violations)) = read_list_keys(&wrong) else { panic!("it reads") };
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["parent", "page_size", "filter", "order_by"]);
        assert!(violations.list().iter().all(|one| !one.description.contains("secret")), "{violations:?}");
    }

    #[test]
    fn orders_are_read_with_and_without_a_direction_and_no_others() {
        let order = |order_by: &str| read_list_keys(&v1::ListKeysRequest { order_by: order_by.to_owned(), ..keys() });
        for order_by in ["", "name", "name desc", "create_time", "update_time desc", "expire_time"] {
            assert_eq!(order(order_by).unwrap().order_by, order_by);
        }
        for order_by in ["desc", " desc", "name asc", "name  desc", "name,create_time", "state", "Name"] {
            assert!(order(order_by).is_err(), "{order_by}");
        }
    }

    #[test]
    fn a_token_belongs_to_its_parent_filter_and_order() {
        let list = read_list_keys(&keys()).unwrap();
        let page_token = list.next_page_token(&[0, 255, 7]);
        let read = |request: v1::ListKeysRequest| {
            read_list_keys(&v1::ListKeysRequest { page_token: page_token.clone(), ..request })
        };
        assert_eq!(read(keys()).unwrap().position, Some(vec![0, 255, 7]));
        assert_eq!(read(v1::ListKeysRequest { page_size: 7, ..keys() }).unwrap().page_size, 7);
        for other in [
            v1::ListKeysRequest { parent: "tenants/acme/keyspaces/test".to_owned(), ..keys() },
            v1::ListKeysRequest { filter: String::new(), ..keys() },
            v1::ListKeysRequest { order_by: "create_time".to_owned(), ..keys() },
        ] {
            assert_eq!(read(other), Err(PageTokenInvalid.into()));
        }
    }
}
