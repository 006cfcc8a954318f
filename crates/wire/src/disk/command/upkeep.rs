//! What replicas and services ask on their own account.

use super::read_text;
use crate::disk::parts::{read_key_ids, write_key_ids};
use crate::disk::{DecodeError, parsed, required};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{
    IdentityName, KeyId, KeyName, KeyspaceName, KeyspaceNumber, OwnerNumber, RoleNumber, TenantNumber,
};
use latchkey_state::{Explanation, GatheredRefusal, MarkRevoked, RevokedScope};

pub(super) fn write_remove_dead(keys: &[(KeyspaceNumber, KeyId)]) -> disk::RemoveDead {
    disk::RemoveDead { keys: write_keys(keys) }
}

pub(super) fn read_remove_dead(operation: &disk::RemoveDead) -> Result<Vec<(KeyspaceNumber, KeyId)>, DecodeError> {
    read_keys(&operation.keys)
}

pub(super) fn write_mark_revoked(operation: &MarkRevoked) -> disk::MarkRevoked {
    use disk::mark_revoked::Scope;
    let scope = match operation.scope {
        RevokedScope::Tenant(number) => Scope::Tenant(number.0),
        RevokedScope::Keyspace(number) => Scope::Keyspace(number.0),
        RevokedScope::Owner(number) => Scope::Owner(number.0),
        RevokedScope::Role(number) => Scope::Role(number.0),
    };
    disk::MarkRevoked { scope: Some(scope), keys: write_keys(&operation.keys), done: operation.done }
}

pub(super) fn read_mark_revoked(operation: &disk::MarkRevoked) -> Result<MarkRevoked, DecodeError> {
    use disk::mark_revoked::Scope;
    let scope = match required(operation.scope, "scope")? {
        Scope::Tenant(number) => RevokedScope::Tenant(TenantNumber(number)),
        Scope::Keyspace(number) => RevokedScope::Keyspace(KeyspaceNumber(number)),
        Scope::Owner(number) => RevokedScope::Owner(OwnerNumber(number)),
        Scope::Role(number) => RevokedScope::Role(RoleNumber(number)),
    };
    Ok(MarkRevoked { scope, keys: read_keys(&operation.keys)?, done: operation.done })
}

fn write_keys(keys: &[(KeyspaceNumber, KeyId)]) -> Vec<disk::KeysOfKeyspace> {
    let together = keys.chunk_by(|(one, _), (other, _)| one == other);
    let write = |keys: &[(KeyspaceNumber, KeyId)]| disk::KeysOfKeyspace {
        keyspace: keys.first().map_or(0, |(keyspace, _)| keyspace.0),
        key_ids: write_key_ids(keys.iter().map(|(_, key)| key)),
    };
    together.map(write).collect()
}

fn read_keys(parts: &[disk::KeysOfKeyspace]) -> Result<Vec<(KeyspaceNumber, KeyId)>, DecodeError> {
    let mut keys = Vec::new();
    for part in parts {
        let ids = read_key_ids(&part.key_ids, "keys.key_ids")?;
        keys.extend(ids.into_iter().map(|id| (KeyspaceNumber(part.keyspace), id)));
    }
    Ok(keys)
}

pub(super) fn write_refusals(refusals: &[GatheredRefusal]) -> disk::RecordRefusals {
    let write = |refusal: &GatheredRefusal| disk::GatheredRefusal {
        identity: refusal.identity.to_string(),
        method: refusal.method.clone(),
        reason: refusal.reason.clone(),
        subject: refusal.subject.clone(),
        count: refusal.count,
    };
    disk::RecordRefusals { refusals: refusals.iter().map(write).collect() }
}

pub(super) fn read_refusals(operation: &disk::RecordRefusals) -> Result<Vec<GatheredRefusal>, DecodeError> {
    let read = |refusal: &disk::GatheredRefusal| {
        Ok(GatheredRefusal {
            identity: parsed(IdentityName::parse(&refusal.identity), "refusal.identity")?,
            method: refusal.method.clone(),
            reason: refusal.reason.clone(),
            subject: refusal.subject.clone(),
            count: refusal.count,
        })
    };
    operation.refusals.iter().map(read).collect()
}

pub(super) fn write_explanation(operation: &Explanation) -> disk::RecordExplanation {
    disk::RecordExplanation {
        key: operation.key.as_ref().map(ToString::to_string),
        keyspace: operation.keyspace.as_ref().map(ToString::to_string),
        outcome: disk::Outcome::from(operation.outcome).into(),
        text: operation.text.to_string(),
    }
}

pub(super) fn read_explanation(operation: &disk::RecordExplanation) -> Result<Explanation, DecodeError> {
    Ok(Explanation {
        key: operation.key.as_deref().map(|name| parsed(KeyName::parse(name), "key")).transpose()?,
        keyspace: operation
            .keyspace
            .as_deref()
            .map(|name| parsed(KeyspaceName::parse(name), "keyspace"))
            .transpose()?,
        outcome: parsed(words::disk_outcome(operation.outcome), "outcome")?,
        text: read_text(&operation.text)?,
    })
}
