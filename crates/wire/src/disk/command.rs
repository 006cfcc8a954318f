//! Commands: state <-> `latchkey.disk.v1.Command`.

use super::parts::{
    read_digest, read_grants, read_metadata, read_names, read_purpose, read_settings, read_terms, texts, write_grants,
    write_metadata, write_purpose, write_settings, write_terms,
};
use super::{DecodeError, decode_message, fixed, key_id, parsed, required, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::pb::disk::v1::command::Operation as PbOperation;
use crate::words;
use latchkey_domain::{
    ClusterId, DisplayName, IdentityName, KeyName, KeyspaceName, NodeId, OwnerName, Purpose, ReasonText, RingNumber,
    TenantName,
};
use latchkey_state::{
    Actor, Bootstrap, Command, CreateIdentity, CreateKeys, CreateKeyspace, CreateOwner, CreateTenant, Cut, CutScope,
    Expiry, HolderName, NewKey, NewRingKey, Operation, RequestMark, RevokeKey, WrappedKey,
};
use prost::Message as _;

/// A command's bytes, before they are sealed.
#[must_use]
pub fn encode_command(command: &Command) -> Vec<u8> {
    write_command(command).encode_to_vec()
}

/// The command in these bytes.
///
/// # Errors
/// [`DecodeError`]: the caller fences rather than skipping a record.
pub fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
    read_command(&decode_message(bytes)?)
}

/// Writes a command.
#[must_use]
pub fn write_command(command: &Command) -> disk::Command {
    let actor = match &command.actor {
        Actor::Identity(name) => disk::actor::Actor::Identity(name.to_string()),
        Actor::Replica(node) => disk::actor::Actor::Replica(node.0),
    };
    disk::Command {
        at_unix_ms: command.at.millis(),
        feature_level: command.feature_level,
        opening: command.opening.to_vec(),
        actor: Some(disk::Actor { actor: Some(actor) }),
        request: command.request.map(|mark| disk::RequestMark { id: mark.id.to_vec(), hash: mark.hash.to_vec() }),
        operation: Some(write_operation(&command.operation)),
    }
}

/// Reads a command.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn read_command(command: &disk::Command) -> Result<Command, DecodeError> {
    let actor = command.actor.as_ref().and_then(|actor| actor.actor.as_ref());
    let actor = match required(actor, "actor")? {
        disk::actor::Actor::Identity(name) => Actor::Identity(parsed(IdentityName::parse(name), "actor.identity")?),
        disk::actor::Actor::Replica(node) => Actor::Replica(NodeId(*node)),
    };
    let request = command
        .request
        .as_ref()
        .map(|mark| Ok(RequestMark { id: fixed(&mark.id, "request.id")?, hash: fixed(&mark.hash, "request.hash")? }));
    Ok(Command {
        at: time(command.at_unix_ms, "at")?,
        feature_level: command.feature_level,
        opening: fixed(&command.opening, "opening")?,
        actor,
        request: request.transpose()?,
        operation: read_operation(required(command.operation.as_ref(), "operation")?)?,
    })
}

fn write_operation(operation: &Operation) -> PbOperation {
    match operation {
        Operation::Bootstrap(operation) => PbOperation::Bootstrap(write_bootstrap(operation)),
        Operation::AdvanceClock { readings } => PbOperation::AdvanceClock(disk::AdvanceClock {
            readings: readings
                .iter()
                .map(|(node, time)| disk::ClockReading { node_id: node.0, unix_ms: time.millis() })
                .collect(),
        }),
        Operation::CreateTenant(operation) => PbOperation::CreateTenant(disk::CreateTenant {
            name: TenantName::new(operation.tenant.clone()).to_string(),
            display_name: operation.display_name.to_string(),
            tenant_key: Some(write_wrapped(&operation.tenant_key)),
            audit_key: Some(write_wrapped(&operation.audit_key)),
        }),
        Operation::CreateKeyspace(operation) => PbOperation::CreateKeyspace(disk::CreateKeyspace {
            name: operation.name.to_string(),
            settings: Some(write_settings(&operation.settings)),
            data_key: Some(write_wrapped(&operation.data_key)),
        }),
        Operation::CreateOwner(operation) => PbOperation::CreateOwner(disk::CreateOwner {
            name: operation.name.to_string(),
            display_name: operation.display_name.to_string(),
            contacts: texts(operation.contacts.iter()),
        }),
        Operation::CreateIdentity(operation) => PbOperation::CreateIdentity(disk::CreateIdentity {
            name: operation.name.to_string(),
            display_name: operation.display_name.to_string(),
            grants: write_grants(&operation.grants),
        }),
        Operation::CreateKeys(operation) => PbOperation::CreateKeys(disk::CreateKeys {
            keyspace: operation.keyspace.to_string(),
            keys: operation.keys.iter().map(write_new_key).collect(),
            replay: operation.replay.as_deref().map(<[u8]>::to_vec),
        }),
        Operation::RevokeKey(operation) => PbOperation::RevokeKey(disk::RevokeKey {
            key: operation.key.to_string(),
            version_id: operation.version.map(|version| version.bytes().to_vec()),
            reason: disk::RevocationReason::from(operation.reason).into(),
            text: operation.text.to_string(),
            grace_ms: operation.grace.millis(),
            etag: operation.etag.as_deref().map(str::to_owned),
        }),
        Operation::Cut(operation) => PbOperation::Cut(disk::Cut {
            scope: Some(match &operation.scope {
                CutScope::Tenant(name) => disk::cut::Scope::Tenant(name.to_string()),
                CutScope::Keyspace(name) => disk::cut::Scope::Keyspace(name.to_string()),
                CutScope::Owner(name) => disk::cut::Scope::Owner(name.to_string()),
            }),
            reason: disk::RevocationReason::from(operation.reason).into(),
            text: operation.text.to_string(),
        }),
        Operation::AddRingKey(operation) => PbOperation::AddRingKey(disk::AddRingKey {
            id: operation.id.to_vec(),
            purpose: Some(write_purpose(operation.purpose)),
            wrapped_by: operation.wrapped_by.0,
            wrapped: operation.wrapped.to_vec(),
        }),
        Operation::DropRingKey(number) => PbOperation::DropRingKey(disk::DropRingKey { number: number.0 }),
        Operation::RaiseFeatureLevel(level) => {
            PbOperation::RaiseFeatureLevel(disk::RaiseFeatureLevel { feature_level: *level })
        }
    }
}

fn read_operation(operation: &PbOperation) -> Result<Operation, DecodeError> {
    Ok(match operation {
        PbOperation::Bootstrap(operation) => Operation::Bootstrap(Box::new(read_bootstrap(operation)?)),
        PbOperation::AdvanceClock(operation) => {
            let readings = operation
                .readings
                .iter()
                .map(|reading| Ok((NodeId(reading.node_id), time(reading.unix_ms, "reading.unix_ms")?)));
            Operation::AdvanceClock { readings: readings.collect::<Result<_, DecodeError>>()? }
        }
        PbOperation::CreateTenant(operation) => Operation::CreateTenant(CreateTenant {
            tenant: parsed(TenantName::parse(&operation.name), "name")?.tenant,
            display_name: parsed(DisplayName::parse(&operation.display_name), "display_name")?,
            tenant_key: read_wrapped(operation.tenant_key.as_ref(), "tenant_key")?,
            audit_key: read_wrapped(operation.audit_key.as_ref(), "audit_key")?,
        }),
        PbOperation::CreateKeyspace(operation) => Operation::CreateKeyspace(Box::new(CreateKeyspace {
            name: parsed(KeyspaceName::parse(&operation.name), "name")?,
            settings: read_settings(required(operation.settings.as_ref(), "settings")?)?,
            data_key: read_wrapped(operation.data_key.as_ref(), "data_key")?,
        })),
        PbOperation::CreateOwner(operation) => Operation::CreateOwner(CreateOwner {
            name: parsed(OwnerName::parse(&operation.name), "name")?,
            display_name: parsed(DisplayName::parse(&operation.display_name), "display_name")?,
            contacts: read_names(&operation.contacts, "contacts")?,
        }),
        PbOperation::CreateIdentity(operation) => Operation::CreateIdentity(CreateIdentity {
            name: parsed(IdentityName::parse(&operation.name), "name")?,
            display_name: parsed(DisplayName::parse(&operation.display_name), "display_name")?,
            grants: read_grants(&operation.grants)?,
        }),
        PbOperation::CreateKeys(operation) => Operation::CreateKeys(CreateKeys {
            keyspace: parsed(KeyspaceName::parse(&operation.keyspace), "keyspace")?,
            keys: operation.keys.iter().map(read_new_key).collect::<Result<_, _>>()?,
            replay: operation.replay.as_deref().map(Into::into),
        }),
        PbOperation::RevokeKey(operation) => Operation::RevokeKey(RevokeKey {
            key: parsed(KeyName::parse(&operation.key), "key")?,
            version: operation.version_id.as_deref().map(|id| version_id(id, "version_id")).transpose()?,
            reason: parsed(words::disk_revocation_reason(operation.reason), "reason")?,
            text: parsed(ReasonText::parse(&operation.text), "text")?,
            grace: span(operation.grace_ms, "grace")?,
            etag: operation.etag.as_deref().map(Into::into),
        }),
        PbOperation::Cut(operation) => Operation::Cut(Cut {
            scope: match required(operation.scope.as_ref(), "scope")? {
                disk::cut::Scope::Tenant(name) => CutScope::Tenant(parsed(TenantName::parse(name), "scope.tenant")?),
                disk::cut::Scope::Keyspace(name) => {
                    CutScope::Keyspace(parsed(KeyspaceName::parse(name), "scope.keyspace")?)
                }
                disk::cut::Scope::Owner(name) => CutScope::Owner(parsed(OwnerName::parse(name), "scope.owner")?),
            },
            reason: parsed(words::disk_revocation_reason(operation.reason), "reason")?,
            text: parsed(ReasonText::parse(&operation.text), "text")?,
        }),
        PbOperation::AddRingKey(operation) => Operation::AddRingKey(NewRingKey {
            id: fixed(&operation.id, "id")?,
            purpose: read_purpose(operation.purpose)?,
            wrapped_by: RingNumber(operation.wrapped_by),
            wrapped: operation.wrapped.as_slice().into(),
        }),
        PbOperation::DropRingKey(operation) => Operation::DropRingKey(RingNumber(operation.number)),
        PbOperation::RaiseFeatureLevel(operation) => Operation::RaiseFeatureLevel(operation.feature_level),
    })
}

fn write_bootstrap(operation: &Bootstrap) -> disk::Bootstrap {
    disk::Bootstrap {
        cluster_id: operation.cluster.0.to_vec(),
        staleness_floor_ms: operation.staleness_floor.millis(),
        staleness_default_ms: operation.staleness_default.millis(),
        log_key: Some(write_wrapped(&operation.log_key)),
        pepper: Some(write_wrapped(&operation.pepper)),
        replay_key: Some(write_wrapped(&operation.replay_key)),
        tenant_key: Some(write_wrapped(&operation.tenant_key)),
        audit_key: Some(write_wrapped(&operation.audit_key)),
        keyspace_key: Some(write_wrapped(&operation.keyspace_key)),
        management: Some(write_settings(&operation.management)),
        root_key: Some(write_new_key(&operation.root_key)),
    }
}

fn read_bootstrap(operation: &disk::Bootstrap) -> Result<Bootstrap, DecodeError> {
    Ok(Bootstrap {
        cluster: ClusterId(fixed(&operation.cluster_id, "cluster_id")?),
        staleness_floor: span(operation.staleness_floor_ms, "staleness_floor")?,
        staleness_default: span(operation.staleness_default_ms, "staleness_default")?,
        log_key: read_wrapped(operation.log_key.as_ref(), "log_key")?,
        pepper: read_wrapped(operation.pepper.as_ref(), "pepper")?,
        replay_key: read_wrapped(operation.replay_key.as_ref(), "replay_key")?,
        tenant_key: read_wrapped(operation.tenant_key.as_ref(), "tenant_key")?,
        audit_key: read_wrapped(operation.audit_key.as_ref(), "audit_key")?,
        keyspace_key: read_wrapped(operation.keyspace_key.as_ref(), "keyspace_key")?,
        management: read_settings(required(operation.management.as_ref(), "management")?)?,
        root_key: read_new_key(required(operation.root_key.as_ref(), "root_key")?)?,
    })
}

fn write_wrapped(key: &WrappedKey) -> disk::WrappedKey {
    disk::WrappedKey { id: key.id.to_vec(), wrapped: key.wrapped.to_vec() }
}

fn read_wrapped(key: Option<&disk::WrappedKey>, field: &'static str) -> Result<WrappedKey, DecodeError> {
    let key = required(key, field)?;
    Ok(WrappedKey { id: fixed(&key.id, field)?, wrapped: key.wrapped.as_slice().into() })
}

fn write_new_key(key: &NewKey) -> disk::NewKey {
    use disk::new_key::{Expiry as PbExpiry, Holder as PbHolder};
    disk::NewKey {
        key_id: key.id.bytes().to_vec(),
        version_id: key.version.bytes().to_vec(),
        pepper: key.pepper.0,
        digest: key.digest.as_bytes().to_vec(),
        inner: key.inner.to_vec(),
        holder: match &key.holder {
            HolderName::None => None,
            HolderName::Owner(name) => Some(PbHolder::Owner(name.to_string())),
            HolderName::Identity(name) => Some(PbHolder::Identity(name.to_string())),
        },
        display_name: key.display_name.to_string(),
        purpose: key.purpose.to_string(),
        terms: Some(write_terms(&key.terms)),
        metadata: write_metadata(key.metadata.iter()),
        not_before_unix_ms: key.not_before.map(latchkey_domain::UnixMillis::millis),
        expiry: match key.expiry {
            Expiry::Default => None,
            Expiry::At(time) => Some(PbExpiry::ExpiresAtUnixMs(time.millis())),
            Expiry::After(span) => Some(PbExpiry::LifetimeMs(span.millis())),
        },
    }
}

fn read_new_key(key: &disk::NewKey) -> Result<NewKey, DecodeError> {
    use disk::new_key::{Expiry as PbExpiry, Holder as PbHolder};
    Ok(NewKey {
        id: key_id(&key.key_id, "key.id")?,
        version: version_id(&key.version_id, "key.version_id")?,
        pepper: RingNumber(key.pepper),
        digest: read_digest(&key.digest)?,
        inner: fixed(&key.inner, "key.inner")?,
        holder: match &key.holder {
            None => HolderName::None,
            Some(PbHolder::Owner(name)) => HolderName::Owner(parsed(OwnerName::parse(name), "key.owner")?),
            Some(PbHolder::Identity(name)) => HolderName::Identity(parsed(IdentityName::parse(name), "key.identity")?),
        },
        display_name: parsed(DisplayName::parse(&key.display_name), "key.display_name")?,
        purpose: parsed(Purpose::parse(&key.purpose), "key.purpose")?,
        terms: read_terms(required(key.terms.as_ref(), "key.terms")?)?,
        metadata: read_metadata(&key.metadata)?,
        not_before: key.not_before_unix_ms.map(|millis| time(millis, "key.not_before")).transpose()?,
        expiry: match key.expiry {
            None => Expiry::Default,
            Some(PbExpiry::ExpiresAtUnixMs(millis)) => Expiry::At(time(millis, "key.expires_at")?),
            Some(PbExpiry::LifetimeMs(millis)) => Expiry::After(span(millis, "key.lifetime")?),
        },
    })
}
