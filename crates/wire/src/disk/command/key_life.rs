//! Suspending, restricting and revoking keys.

use super::{read_etag, read_text, write_etag};
use crate::disk::parts::{read_key_ids, read_networks, read_permissions, texts, write_key_ids};
use crate::disk::{DecodeError, fixed, parsed, required, span, time};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{KeyName, KeyspaceName, PermissionSet};
use latchkey_state::{End, RestrictKey, ResumeKey, RevokeKeys, SuspendKey};

pub(super) fn write_suspend(operation: &SuspendKey) -> disk::SuspendKey {
    disk::SuspendKey {
        key: operation.key.to_string(),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_suspend(operation: &disk::SuspendKey) -> Result<SuspendKey, DecodeError> {
    Ok(SuspendKey {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_resume(operation: &ResumeKey) -> disk::ResumeKey {
    disk::ResumeKey {
        key: operation.key.to_string(),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_resume(operation: &disk::ResumeKey) -> Result<ResumeKey, DecodeError> {
    Ok(ResumeKey {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_restrict(operation: &RestrictKey) -> disk::RestrictKey {
    use disk::restrict_key::End as PbEnd;
    let list = |permissions: &PermissionSet| disk::PermissionList { permissions: texts(permissions.iter()) };
    disk::RestrictKey {
        key: operation.key.to_string(),
        permissions: operation.permissions.as_ref().map(list),
        networks: texts(operation.networks.iter()),
        end: Some(match operation.end {
            End::At(time) => PbEnd::AtUnixMs(time.millis()),
            End::After(span) => PbEnd::AfterMs(span.millis()),
        }),
        text: operation.text.to_string(),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_restrict(operation: &disk::RestrictKey) -> Result<RestrictKey, DecodeError> {
    use disk::restrict_key::End as PbEnd;
    let list = |list: &disk::PermissionList| read_permissions(&list.permissions, "permissions");
    Ok(RestrictKey {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        permissions: operation.permissions.as_ref().map(list).transpose()?,
        networks: read_networks(&operation.networks, "networks")?,
        end: match required(operation.end, "end")? {
            PbEnd::AtUnixMs(millis) => End::At(time(millis, "end.at")?),
            PbEnd::AfterMs(millis) => End::After(span(millis, "end.after")?),
        },
        text: read_text(&operation.text)?,
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_revoke_keys(operation: &RevokeKeys) -> disk::RevokeKeys {
    disk::RevokeKeys {
        keyspace: operation.keyspace.to_string(),
        key_ids: write_key_ids(operation.keys.iter()),
        reason: disk::RevocationReason::from(operation.reason).into(),
        text: operation.text.to_string(),
        operation_id: operation.operation.to_vec(),
    }
}

pub(super) fn read_revoke_keys(operation: &disk::RevokeKeys) -> Result<RevokeKeys, DecodeError> {
    Ok(RevokeKeys {
        keyspace: parsed(KeyspaceName::parse(&operation.keyspace), "keyspace")?,
        keys: read_key_ids(&operation.key_ids, "key_ids")?,
        reason: parsed(words::disk_revocation_reason(operation.reason), "reason")?,
        text: read_text(&operation.text)?,
        operation: fixed(&operation.operation_id, "operation_id")?,
    })
}
