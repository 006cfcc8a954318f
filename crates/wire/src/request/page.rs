//! Pages of a listing.
//!
//! A page token says of which listing it is and after what the next page begins: a name, or a position in an order. Both
//! are stable, so writes between two pages neither repeat a resource nor hide another. The token is opaque to clients and
//! holds nothing that they did not see; a forged one reads nothing that an honest one could not.

use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::TenantName;
use sha2::{Digest as _, Sha256};
use std::fmt::{Display, Write as _};

/// Resources in a page that names no size.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// Resources in a page at most: what one message and one millisecond of reading hold.
pub const PAGE_SIZE_MAX: u32 = 1_000;

/// Longest page token: a listing's mark and the longest name, in hexadecimal digits.
const TOKEN_CHARS_MAX: usize = 1_024;
/// Bytes of a token that say of which listing it is.
const MARK_BYTES: usize = 8;

/// One page of the listing under a parent, ordered by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<P> {
    /// Under what; `()` for tenants.
    pub parent: P,
    /// How many at most, 1 to [`PAGE_SIZE_MAX`].
    pub page_size: u32,
    /// The name of the last resource of the page before; absent: from the beginning.
    pub after: Option<String>,
}

/// The page token is none of this listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page token is none of this listing")]
pub struct PageTokenInvalid;

/// Why a listing cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadListError {
    /// Fields are not what they must be.
    #[error(transparent)]
    Fields(#[from] FieldViolations),
    /// The page token is none of this listing.
    #[error(transparent)]
    PageToken(#[from] PageTokenInvalid),
}

/// The token of the page that begins after `last`, the name of the last resource of this page.
#[must_use]
pub fn next_page_token(collection: &str, parent: &impl Display, last: &str) -> String {
    write_token(mark(&[&format!("{parent}/{collection}")]), last.as_bytes())
}

/// What tells one listing from every other: each part of what was asked, in order.
pub(super) fn mark(parts: &[&str]) -> [u8; MARK_BYTES] {
    // No part holds a zero byte that could be taken for the border between two: names, filters and orders have none.
    let hash = Sha256::digest(parts.join("\0"));
    *hash.first_chunk().expect("SHA-256 has 32 bytes")
}

/// The token of a listing with this mark that goes on after `after`.
pub(super) fn write_token(mark: [u8; MARK_BYTES], after: &[u8]) -> String {
    mark.iter().chain(after).fold(String::with_capacity((MARK_BYTES + after.len()) * 2), |mut token, byte| {
        write!(token, "{byte:02x}").expect("writing to a string cannot fail");
        token
    })
}

/// After what the page begins; `None` for an empty token, from the beginning.
pub(super) fn read_token(mark: [u8; MARK_BYTES], token: &str) -> Result<Option<Vec<u8>>, PageTokenInvalid> {
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > TOKEN_CHARS_MAX || token.len() % 2 == 1 {
        return Err(PageTokenInvalid);
    }
    let digit = |char: u8| char::from(char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        token.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    let bytes = bytes.ok_or(PageTokenInvalid)?;
    let (found, after) = bytes.split_first_chunk::<MARK_BYTES>().ok_or(PageTokenInvalid)?;
    if *found != mark || after.is_empty() {
        return Err(PageTokenInvalid);
    }
    Ok(Some(after.to_vec()))
}

/// Reads `page_size`.
pub(super) fn page_size(fields: &mut Fields, page_size: i32) -> Option<u32> {
    match u32::try_from(page_size) {
        Ok(0) => Some(PAGE_SIZE_DEFAULT),
        Ok(size) => Some(size.min(PAGE_SIZE_MAX)),
        Err(_) => {
            fields.refuse("page_size", "must not be negative");
            None
        }
    }
}

fn read<P, E: Display>(
    parent: Result<P, E>,
    printed: &str,
    collection: &str,
    size: i32,
    token: &str,
) -> Result<List<P>, ReadListError> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", parent);
    let size = page_size(&mut fields, size);
    let (parent, page_size) = fields.finish(parent.zip(size))?;
    let after = read_token(mark(&[&format!("{printed}/{collection}")]), token)?;
    let after = after.map(|name| String::from_utf8(name).map_err(|_| PageTokenInvalid)).transpose()?;
    Ok(List { parent, page_size, after })
}

/// Reads `ListTenants`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_list_tenants(request: &v1::ListTenantsRequest) -> Result<List<()>, ReadListError> {
    read(Ok::<_, FieldViolations>(()), "", "tenants", request.page_size, &request.page_token)
}

macro_rules! read_list {
    ($($reader:ident, $request:ident, $collection:literal, $method:literal;)+) => {$(
        #[doc = concat!("Reads `", $method, "`.")]
        ///
        /// # Errors
        /// [`ReadListError`].
        pub fn $reader(request: &v1::$request) -> Result<List<TenantName>, ReadListError> {
            let parent = TenantName::parse(&request.parent);
            read(parent, &request.parent, $collection, request.page_size, &request.page_token)
        }
    )+};
}
read_list! {
    read_list_keyspaces, ListKeyspacesRequest, "keyspaces", "ListKeyspaces";
    read_list_owners, ListOwnersRequest, "owners", "ListOwners";
    read_list_roles, ListRolesRequest, "roles", "ListRoles";
    read_list_identities, ListIdentitiesRequest, "identities", "ListIdentities";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(page_size: i32, page_token: String) -> v1::ListOwnersRequest {
        v1::ListOwnersRequest { parent: "tenants/acme".to_owned(), page_size, page_token }
    }

    #[test]
    fn a_token_of_another_listing_is_refused() {
        let parent = TenantName::parse("tenants/acme").unwrap();
        let other = TenantName::parse("tenants/other").unwrap();
        let good = next_page_token("owners", &parent, "tenants/acme/owners/shop");
        for token in [
            next_page_token("keyspaces", &parent, "tenants/acme/keyspaces/x"),
            next_page_token("owners", &other, "tenants/other/owners/x"),
            good[..good.len() - 1].to_owned(),
            good[..16].to_owned(),
            format!("{}ff", &good[..16]),
            "zz".to_owned(),
            "ab".repeat(10_000),
        ] {
            assert_eq!(read_list_owners(&owners(0, token)), Err(PageTokenInvalid.into()));
        }
        let list = read_list_owners(&owners(0, good)).unwrap();
        assert_eq!(list.after.as_deref(), Some("tenants/acme/owners/shop"));
    }

    #[test]
    fn a_token_that_the_first_release_gave_still_reads() {
        let token = "f7418a1159d4c9a761".to_owned();
        assert_eq!(read_list_owners(&owners(0, token)).unwrap().after.as_deref(), Some("a"));
    }

    #[test]
    fn a_page_has_a_size_within_bounds() {
        let size = |asked| read_list_owners(&owners(asked, String::new())).map(|list| list.page_size);
        assert_eq!(size(0), Ok(PAGE_SIZE_DEFAULT));
        assert_eq!(size(i32::MAX), Ok(PAGE_SIZE_MAX));
        assert!(matches!(size(-1), Err(ReadListError::Fields(_))));
    }
}
