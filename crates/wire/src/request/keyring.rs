//! What an operator asks of the keyring.

use super::page::{PageTokenInvalid, ReadListError, mark, page_size, read_token, write_token};
use super::write::{Write, said};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{KeyspaceName, RingNumber, TenantName};
use v1::ring_key::Purpose;

/// A page of the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetKeyring {
    /// Whether also what is in use in tenants and keyspaces is shown.
    pub all: bool,
    /// How many at most.
    pub page_size: u32,
    /// The last number of the page before; absent: from the beginning.
    pub after: Option<RingNumber>,
}

/// What tells a page of one of the two listings from one of the other.
fn listing(all: bool) -> [u8; 8] {
    mark(&[if all { "keyring/all" } else { "keyring" }])
}

/// Reads `GetKeyring`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_get_keyring(request: &v1::GetKeyringRequest) -> Result<GetKeyring, ReadListError> {
    let mut fields = Fields::default();
    let size = page_size(&mut fields, request.page_size);
    let page_size = fields.finish(size)?;
    let after = read_token(listing(request.all), &request.page_token)?;
    let number = |bytes: Vec<u8>| bytes.try_into().map(|bytes| RingNumber(u32::from_be_bytes(bytes)));
    let after = after.map(number).transpose().map_err(|_| PageTokenInvalid)?;
    Ok(GetKeyring { all: request.all, page_size, after })
}

/// The token of the page of the keyring that begins after `last`.
#[must_use]
pub fn next_keyring_token(all: bool, last: RingNumber) -> String {
    write_token(listing(all), &last.0.to_be_bytes())
}

/// Which key rotates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotatingKey {
    /// The key-encryption key.
    Kek,
    /// The key of the log.
    Log,
    /// The pepper.
    Pepper,
    /// The key of a tenant.
    Tenant(TenantName),
    /// The data key of a keyspace.
    Keyspace(KeyspaceName),
}

/// Reads `RotateKeyring`.
///
/// # Errors
/// All violations.
pub fn read_rotate_keyring(request: &v1::RotateKeyringRequest) -> Result<Write<RotatingKey>, FieldViolations> {
    let mut fields = Fields::default();
    let which = which(&mut fields, request);
    let asked = v1::RotateKeyringRequest { request_id: String::new(), ..request.clone() };
    let write = said!("RotateKeyring", request).read(&mut fields, &asked, || which);
    fields.finish(write)
}

fn which(fields: &mut Fields, request: &v1::RotateKeyringRequest) -> Option<RotatingKey> {
    let of = request.of.as_str();
    let alone = |fields: &mut Fields, which| {
        if !of.is_empty() {
            fields.refuse("of", "must be empty: only tenants and keyspaces have keys of their own");
            return None;
        }
        Some(which)
    };
    match request.purpose() {
        Purpose::Kek => alone(fields, RotatingKey::Kek),
        Purpose::Log => alone(fields, RotatingKey::Log),
        Purpose::Pepper => alone(fields, RotatingKey::Pepper),
        Purpose::Tenant => {
            let name = TenantName::parse(of).ok();
            if name.is_none() {
                fields.refuse("of", "must be the name of a tenant, such as tenants/acme");
            }
            name.map(RotatingKey::Tenant)
        }
        Purpose::Keyspace => {
            let name = KeyspaceName::parse(of).ok();
            if name.is_none() {
                fields.refuse("of", "must be the name of a keyspace, such as tenants/acme/keyspaces/payments-live");
            }
            name.map(RotatingKey::Keyspace)
        }
        Purpose::Unspecified | Purpose::Replay | Purpose::Audit => {
            let expected = "must be PURPOSE_PEPPER, PURPOSE_LOG, PURPOSE_TENANT, PURPOSE_KEYSPACE or PURPOSE_KEK";
            fields.refuse("purpose", expected);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(purpose: Purpose, of: &str) -> Result<RotatingKey, Vec<String>> {
        let request = v1::RotateKeyringRequest {
            purpose: purpose.into(),
            of: of.to_owned(),
            ..v1::RotateKeyringRequest::default()
        };
        let named = |violations: FieldViolations| violations.list().iter().map(|one| one.field.clone()).collect();
        read_rotate_keyring(&request).map(|write| write.operation).map_err(named)
    }

    #[test]
    fn a_page_goes_on_where_its_token_says_and_in_its_own_listing() {
        let page = |all, page_token| {
            read_get_keyring(&v1::GetKeyringRequest { all, page_token, ..v1::GetKeyringRequest::default() })
        };
        let token = next_keyring_token(true, RingNumber(7));
        assert_eq!(page(true, token.clone()).unwrap().after, Some(RingNumber(7)));
        assert_eq!(page(false, token), Err(PageTokenInvalid.into()));
        assert_eq!(page(false, String::new()).unwrap().after, None);
    }

    #[test]
    fn only_tenants_and_keyspaces_are_named() {
        assert_eq!(read(Purpose::Pepper, ""), Ok(RotatingKey::Pepper));
        assert_eq!(read(Purpose::Kek, ""), Ok(RotatingKey::Kek));
        let keyspace = KeyspaceName::parse("tenants/acme/keyspaces/live").unwrap();
        assert_eq!(read(Purpose::Keyspace, "tenants/acme/keyspaces/live"), Ok(RotatingKey::Keyspace(keyspace)));
        for (purpose, of) in
            [(Purpose::Log, "tenants/acme"), (Purpose::Tenant, ""), (Purpose::Keyspace, "tenants/acme")]
        {
            assert_eq!(read(purpose, of), Err(vec!["of".to_owned()]));
        }
        for purpose in [Purpose::Unspecified, Purpose::Replay, Purpose::Audit] {
            assert_eq!(read(purpose, ""), Err(vec!["purpose".to_owned()]));
        }
    }
}
