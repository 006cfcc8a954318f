//! What clients ask for, read once into domain types. Each `read_…` tells all mistakes of a request at once.

mod consistency;
mod create_key;
mod directory;
mod key_details;
mod mark;
mod page;
mod revoke_key;
mod validate_key;
mod wait;

pub use consistency::{Consistency, read_consistency};
pub use create_key::{CreateKeys, read_batch_create_keys, read_create_key};
pub use directory::{
    CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant, DEAD_RETENTION_DEFAULT, GRANTS_MAX, OWNER_CONTACTS_MAX,
    read_create_identity, read_create_keyspace, read_create_owner, read_create_tenant,
};
pub use page::{
    List, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageTokenInvalid, ReadListError, next_page_token, read_list_identities,
    read_list_keys, read_list_keyspaces, read_list_owners, read_list_tenants,
};
pub use revoke_key::{GRACE_MAX, RevokeKey, read_revoke_key};
pub use validate_key::{
    BATCH_ITEMS_MAX, BatchItem, LogContext, TAGS_BYTES_MAX, TAGS_MAX, USER_AGENT_BYTES_MAX, ValidateKey,
    read_batch_validate_keys, read_validate_key,
};
pub use wait::{CREATE_WAIT_DEFAULT, REVOKE_WAIT_DEFAULT, WAIT_MAX, Wait};

use crate::violation::{FieldViolations, Fields};
use core::fmt::Display;

/// Reads the one field of a `Get…` request.
///
/// # Errors
/// The violation of the field `name`.
pub fn read_name<T, E: Display>(parsed: Result<T, E>) -> Result<T, FieldViolations> {
    let mut fields = Fields::default();
    let name = fields.take("name", parsed);
    fields.finish(name)
}
