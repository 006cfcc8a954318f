//! What callers of `AuditService` ask for, read once.
//!
//! A page token says of which listing it is, where the next page begins, and from when `age` counts. It is opaque to clients and holds
//! nothing that they did not see; a forged one reads nothing that an honest one could not, since the border between tenants is drawn
//! anew for each page.

use crate::list::Cursor;
use latchkey_domain::{TenantName, UnixMillis};
use latchkey_wire::pb::v1;
use latchkey_wire::request::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageTokenInvalid, ReadListError};
use latchkey_wire::violation::FieldViolations;
use sha2::{Digest as _, Sha256};

/// Bytes of a token that say of which listing it is.
const MARK_BYTES: usize = 8;
const TOKEN_BYTES: usize = MARK_BYTES + 8 + 8;

/// One page of entries, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct ListEntries {
    /// Whose; absent: all that the caller may see.
    pub(crate) parent: Option<TenantName>,
    /// Which.
    pub(crate) filter: String,
    /// Where the page begins; absent: at the end of the log that the order names.
    pub(crate) cursor: Option<Cursor>,
    /// Whether the newest come first.
    pub(crate) newest_first: bool,
    /// How many at most.
    pub(crate) page_size: usize,
    /// From when `age` counts; absent: from now.
    pub(crate) now: Option<UnixMillis>,
    mark: [u8; MARK_BYTES],
}

/// Entries as they come, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct WatchEntries {
    /// Whose; absent: all that the caller may see.
    pub(crate) parent: Option<TenantName>,
    /// Which.
    pub(crate) filter: String,
    /// The first sequence to look at; absent: from now on.
    pub(crate) from: Option<u64>,
}

impl ListEntries {
    /// Reads a request.
    ///
    /// # Errors
    /// [`ReadListError`].
    pub(crate) fn read(request: &v1::ListEntriesRequest) -> Result<Self, ReadListError> {
        let parent = read_parent(&request.parent)?;
        let newest_first = match request.order_by.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [] | ["sequence"] | ["sequence", "asc"] => false,
            ["sequence", "desc"] => true,
            _ => return Err(FieldViolations::one("order_by", "must be `sequence` or `sequence desc`").into()),
        };
        let page_size = match u32::try_from(request.page_size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(FieldViolations::one("page_size", "must not be negative").into()),
        };
        let mark = mark(&request.parent, &request.filter, newest_first);
        let (cursor, now) = match read_token(&request.page_token, mark)? {
            Some((at, now)) => (Some(cursor(newest_first, at)), Some(now)),
            None => (None, None),
        };
        let page_size = usize::try_from(page_size).expect("PAGE_SIZE_MAX fits any address");
        Ok(Self { parent, filter: request.filter.clone(), cursor, newest_first, page_size, now, mark })
    }

    /// The first cursor, over a log whose next sequence is `stored`.
    pub(crate) const fn start(&self, stored: u64) -> Cursor {
        cursor(self.newest_first, if self.newest_first { stored } else { 0 })
    }

    /// The token of the page that begins at `next`.
    pub(crate) fn next_page_token(&self, next: Option<Cursor>, now: UnixMillis) -> String {
        let Some(Cursor::From(at) | Cursor::Below(at)) = next else { return String::new() };
        let bytes = [&self.mark[..], &at.to_be_bytes(), &now.millis().to_be_bytes()].concat();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl WatchEntries {
    /// Reads a request.
    ///
    /// # Errors
    /// [`FieldViolations`].
    pub(crate) fn read(request: &v1::WatchEntriesRequest) -> Result<Self, FieldViolations> {
        let parent = read_parent(&request.parent)?;
        Ok(Self { parent, filter: request.filter.clone(), from: request.from_sequence })
    }
}

fn read_parent(text: &str) -> Result<Option<TenantName>, FieldViolations> {
    if text.is_empty() {
        return Ok(None);
    }
    TenantName::parse(text).map(Some).map_err(|error| FieldViolations::one("parent", error))
}

const fn cursor(newest_first: bool, at: u64) -> Cursor {
    if newest_first { Cursor::Below(at) } else { Cursor::From(at) }
}

fn mark(parent: &str, filter: &str, newest_first: bool) -> [u8; MARK_BYTES] {
    let hash = Sha256::new()
        .chain_update(b"entries\0")
        .chain_update(parent)
        .chain_update([0, u8::from(newest_first)])
        .chain_update(filter)
        .finalize();
    *hash.first_chunk().expect("SHA-256 has 32 bytes")
}

fn read_token(token: &str, mark: [u8; MARK_BYTES]) -> Result<Option<(u64, UnixMillis)>, PageTokenInvalid> {
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() != TOKEN_BYTES * 2 || !token.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(PageTokenInvalid);
    }
    let number = |at: usize| u64::from_str_radix(&token[at * 2..at * 2 + 16], 16).map_err(|_| PageTokenInvalid);
    if number(0)?.to_be_bytes() != mark {
        return Err(PageTokenInvalid);
    }
    Ok(Some((number(MARK_BYTES)?, UnixMillis::new(number(MARK_BYTES + 8)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(filter: &str, order_by: &str, page_token: String) -> v1::ListEntriesRequest {
        v1::ListEntriesRequest {
            parent: "tenants/acme".to_owned(),
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
            page_size: 0,
            page_token,
        }
    }

    #[test]
    fn a_token_goes_on_where_its_page_ended_and_nowhere_else() {
        let now = UnixMillis::new(1_700_000_000_123);
        let first = ListEntries::read(&request("age < 1d", "sequence desc", String::new())).unwrap();
        assert_eq!((first.start(9), first.cursor, first.page_size), (Cursor::Below(9), None, 100));
        let token = first.next_page_token(Some(Cursor::Below(u64::MAX)), now);
        let next = ListEntries::read(&request("age < 1d", "sequence desc", token.clone())).unwrap();
        assert_eq!((next.cursor, next.now), (Some(Cursor::Below(u64::MAX)), Some(now)));
        assert_eq!(first.next_page_token(None, now), "");
        for (filter, order_by, token) in [
            ("age < 2d", "sequence desc", token.clone()),
            ("age < 1d", "sequence", token.clone()),
            ("age < 1d", "sequence desc", token[1..].to_owned()),
            ("age < 1d", "sequence desc", format!("+{}", &token[1..])),
            ("age < 1d", "sequence desc", "é".repeat(24)),
        ] {
            let error = ListEntries::read(&request(filter, order_by, token)).unwrap_err();
            assert_eq!(error, ReadListError::PageToken(PageTokenInvalid));
        }
    }

    #[test]
    fn fields_that_are_not_what_they_must_be_are_named() {
        let field = |request: &v1::ListEntriesRequest| match ListEntries::read(request).unwrap_err() {
            ReadListError::Fields(fields) => fields.list()[0].field.clone(),
            other @ ReadListError::PageToken(_) => panic!("{other:?}"),
        };
        let good = request("", "", String::new());
        assert_eq!(field(&v1::ListEntriesRequest { parent: "tenants".to_owned(), ..good.clone() }), "parent");
        assert_eq!(field(&v1::ListEntriesRequest { order_by: "time".to_owned(), ..good.clone() }), "order_by");
        assert_eq!(field(&v1::ListEntriesRequest { page_size: -1, ..good }), "page_size");
    }
}
