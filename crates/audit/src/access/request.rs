//! What callers of `ListAccess` ask for, read once.
//!
//! A page token says of which listing it is, the line before it, and from when `age` counts. Opaque; the border between tenants is drawn anew
//! for each page.

use super::KEY_BYTES;
use crate::usage::request::Parent;
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageTokenInvalid, ReadListError};
use latchkey_wire::violation::FieldViolations;
use sha2::{Digest as _, Sha256};

const MARK_BYTES: usize = 8;
const TOKEN_BYTES: usize = MARK_BYTES + 8 + KEY_BYTES + 4;

/// One page of the access log, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct ListAccess {
    pub(crate) parent: Parent,
    pub(crate) filter: String,
    pub(crate) oldest_first: bool,
    pub(crate) page_size: usize,
    /// The place of the line before the page: its key and its tenant. Absent: the first page.
    pub(crate) after: Option<Place>,
    /// From when `age` counts; absent: from now.
    pub(crate) now: Option<UnixMillis>,
    mark: [u8; MARK_BYTES],
}

/// Where a line stands among all: by its key, alike ones by tenant.
pub(crate) type Place = (Vec<u8>, u32);

impl ListAccess {
    /// Reads a request.
    ///
    /// # Errors
    /// [`ReadListError`].
    pub(crate) fn read(request: &v1::ListAccessRequest) -> Result<Self, ReadListError> {
        let expected = "must be empty, or the resource name of a tenant, a keyspace or a key";
        let parent = Parent::parse(&request.parent).filter(|parent| !matches!(parent, Parent::Owner(_)));
        let parent = parent.ok_or_else(|| FieldViolations::one("parent", expected))?;
        let oldest_first = match request.order_by.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [] | ["time", "desc"] => false,
            ["time"] | ["time", "asc"] => true,
            _ => return Err(FieldViolations::one("order_by", "must be `time` or `time desc`").into()),
        };
        let page_size = match u32::try_from(request.page_size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(FieldViolations::one("page_size", "must not be negative").into()),
        };
        let mark = mark(&request.parent, &request.filter, oldest_first);
        let (after, now) = match read_token(&request.page_token, mark)? {
            Some((after, now)) => (Some(after), Some(now)),
            None => (None, None),
        };
        let page_size = usize::try_from(page_size).expect("PAGE_SIZE_MAX fits any address");
        Ok(Self { parent, filter: request.filter.clone(), oldest_first, page_size, after, now, mark })
    }

    /// The token of the page that begins after a place.
    pub(crate) fn next_page_token(&self, after: Option<&Place>, now: UnixMillis) -> String {
        let Some((key, tenant)) = after else { return String::new() };
        let bytes = [&self.mark[..], &now.millis().to_be_bytes(), key, &tenant.to_be_bytes()].concat();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn mark(parent: &str, filter: &str, oldest_first: bool) -> [u8; MARK_BYTES] {
    let hash = Sha256::new()
        .chain_update(b"access\0")
        .chain_update(parent)
        .chain_update([0, u8::from(oldest_first)])
        .chain_update(filter)
        .finalize();
    *hash.first_chunk().expect("SHA-256 has 32 bytes")
}

fn read_token(token: &str, mark: [u8; MARK_BYTES]) -> Result<Option<(Place, UnixMillis)>, PageTokenInvalid> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = bytes(token).filter(|bytes| bytes.len() == TOKEN_BYTES).ok_or(PageTokenInvalid)?;
    let rest = bytes.strip_prefix(&mark).ok_or(PageTokenInvalid)?;
    let (now, rest) = rest.split_first_chunk().ok_or(PageTokenInvalid)?;
    let (key, tenant) = rest.split_last_chunk().ok_or(PageTokenInvalid)?;
    Ok(Some(((key.to_vec(), u32::from_be_bytes(*tenant)), UnixMillis::new(u64::from_be_bytes(*now)))))
}

/// The bytes that hexadecimal digits stand for.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_where_its_page_ended_and_nowhere_else() {
        let request = |filter: &str, page_token: &str| v1::ListAccessRequest {
            parent: "tenants/acme".to_owned(),
            filter: filter.to_owned(),
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let (now, place) = (UnixMillis::new(1_700_000_000_123), (vec![7; KEY_BYTES], 3));
        let first = ListAccess::read(&request("age < 1d", "")).unwrap();
        assert_eq!((first.oldest_first, first.page_size, first.after.clone()), (false, 100, None));
        let token = first.next_page_token(Some(&place), now);
        let next = ListAccess::read(&request("age < 1d", &token)).unwrap();
        assert_eq!((next.after, next.now), (Some(place), Some(now)));
        assert_eq!(first.next_page_token(None, now), "");
        for (filter, token) in [("age < 2d", &*token), ("age < 1d", &token[2..]), ("age < 1d", "é"), ("age < 1d", "0")]
        {
            let error = ListAccess::read(&request(filter, token)).unwrap_err();
            assert_eq!(error, ReadListError::PageToken(PageTokenInvalid), "{token}");
        }
    }
}
