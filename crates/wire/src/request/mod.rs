//! What clients ask for, read once into domain types. Each `read_…` tells all mistakes of a request at once.

mod audit;
mod consistency;
mod create_directory;
mod create_key;
mod delete_directory;
mod directory_fields;
mod filter;
mod import_keys;
mod key_details;
mod keyring;
mod list_keys;
mod list_rotations;
mod local_denial;
mod mark;
mod mask;
mod membership;
mod page;
mod report_usage;
mod revoke_key;
mod revoke_keys;
mod rotation;
mod rotation_policy;
mod suspend_key;
mod update_directory;
mod update_key;
mod validate_key;
mod wait;
mod write;

pub use audit::{ListEntries, WatchEntries, read_list_entries, read_watch_entries, scope_of_entries};
pub use consistency::{Consistency, read_consistency};
pub use create_directory::{
    CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant, read_create_identity, read_create_keyspace,
    read_create_owner, read_create_role, read_create_tenant,
};
pub use create_key::{CreateKeys, read_batch_create_keys, read_create_key};
pub use delete_directory::{
    read_delete_identity, read_delete_keyspace, read_delete_owner, read_delete_role, read_delete_tenant,
};
pub use directory_fields::{ALLOWED_ROLES_MAX, CONTACTS_MAX, DEAD_RETENTION_DEFAULT, GRANTS_MAX};
pub use filter::RotationFilter;
pub use import_keys::{ImportKeys, RowToImport, imported_row, read_import_keys, refused_row};
pub use keyring::{GetKeyring, RotatingKey, next_keyring_token, read_get_keyring, read_rotate_keyring};
pub use list_keys::{ListKeys, read_list_keys};
pub use list_rotations::{
    DUE_WITHIN_MAX, DueParent, ListDueRotations, ListRotations, RotationParent, read_list_due_rotations,
    read_list_rotations,
};
pub use local_denial::{DenyKeyLocally, read_allow_key_locally, read_deny_key_locally, write_local_denial};
pub use membership::{
    Transfer, read_add_replica, read_begin_audit_log, read_demote_replica, read_promote_replica, read_remove_replica,
    read_transfer_leadership,
};
pub use page::{
    List, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageTokenInvalid, ReadListError, next_page_token, read_list_identities,
    read_list_keyspaces, read_list_owners, read_list_roles, read_list_tenants,
};
pub use report_usage::{REPORTS_MAX, ReportUsage, UsageReport, read_report_usage};
pub use revoke_key::{GRACE_MAX, RevokeKey, SelfRevocation, read_revoke_key, read_self_revocation};
pub use revoke_keys::{RevokeKeys, RevokeTarget, read_revoke_keys};
pub use rotation::{
    PrepareStandby, RotateKey, read_cancel_rotation, read_complete_rotation, read_hold_rotation, read_prepare_standby,
    read_resume_rotation, read_roll_back_rotation, read_rotate_key,
};
pub use suspend_key::{read_restrict_key, read_resume_key, read_suspend_key};
pub use update_directory::{
    read_update_identity, read_update_keyspace, read_update_owner, read_update_role, read_update_tenant,
};
pub use update_key::read_update_key;
pub use validate_key::{
    BATCH_ITEMS_MAX, BatchItem, ExplainValidation, LogContext, TAGS_BYTES_MAX, TAGS_MAX, USER_AGENT_BYTES_MAX,
    ValidateKey, read_batch_validate_keys, read_explain_validation, read_stream_item, read_validate_key,
};
pub use wait::{CREATE_WAIT_DEFAULT, REVOKE_WAIT_DEFAULT, WAIT_MAX, Wait};
pub use write::{AwaitedWrite, Write};

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
