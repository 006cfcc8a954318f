//! Commands: state <-> `latchkey.disk.v1.Command`.

mod backups;
mod bootstrap;
mod checkpoint;
mod create_keys;
mod denial;
mod directory;
mod driver;
mod epoch;
mod import_keys;
mod key_life;
mod replica;
mod ring;
mod rotation;
mod updates;
mod upkeep;

use super::parts::{read_grants, read_names, read_settings, texts, write_grants, write_settings};
use super::row::write_backup;
use super::{DecodeError, decode_message, fixed, parsed, required, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::pb::disk::v1::command::Operation as PbOperation;
use crate::words;
use bootstrap::{read_bootstrap, read_wrapped, write_bootstrap, write_wrapped};
use create_keys::{read_create_keys, write_create_keys};
use import_keys::{read_import_keys, write_import_keys};
use latchkey_domain::{
    DisplayName, IdentityName, KeyName, KeyspaceName, NodeId, OwnerName, ReasonText, RingNumber, RoleName, Sequence,
    Slug, TenantName,
};
use latchkey_state::{
    Actor, BeginAuditLog, Command, CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant, Cut, CutScope, Operation,
    RequestMark, RevokeKey,
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
        Actor::Key(name) => disk::actor::Actor::Key(name.to_string()),
        Actor::Service(word) => disk::actor::Actor::Service(word.to_string()),
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
        disk::actor::Actor::Key(name) => Actor::Key(parsed(KeyName::parse(name), "actor.key")?),
        disk::actor::Actor::Service(word) => Actor::Service(parsed(Slug::parse(word), "actor.service")?),
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
            contacts: texts(operation.contacts.iter()),
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
        Operation::CreateKeys(operation) => PbOperation::CreateKeys(write_create_keys(operation)),
        Operation::ImportKeys(operation) => PbOperation::ImportKeys(write_import_keys(operation)),
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
                CutScope::Role(name) => disk::cut::Scope::Role(name.to_string()),
            }),
            reason: disk::RevocationReason::from(operation.reason).into(),
            text: operation.text.to_string(),
        }),
        Operation::AddRingKey(operation) => PbOperation::AddRingKey(ring::write_new(operation)),
        Operation::DropRingKey(number) => PbOperation::DropRingKey(disk::DropRingKey { number: number.0 }),
        Operation::RaiseFeatureLevel(level) => {
            PbOperation::RaiseFeatureLevel(disk::RaiseFeatureLevel { feature_level: *level })
        }
        Operation::UpdateTenant(operation) => PbOperation::UpdateTenant(updates::write_tenant(operation)),
        Operation::UpdateKeyspace(operation) => PbOperation::UpdateKeyspace(updates::write_keyspace(operation)),
        Operation::UpdateOwner(operation) => PbOperation::UpdateOwner(updates::write_owner(operation)),
        Operation::CreateRole(operation) => PbOperation::CreateRole(directory::write_create_role(operation)),
        Operation::UpdateRole(operation) => PbOperation::UpdateRole(updates::write_role(operation)),
        Operation::UpdateIdentity(operation) => PbOperation::UpdateIdentity(updates::write_identity(operation)),
        Operation::Delete(operation) => PbOperation::Delete(directory::write_delete(operation)),
        Operation::UpdateKey(operation) => PbOperation::UpdateKey(updates::write_key(operation)),
        Operation::SuspendKey(operation) => PbOperation::SuspendKey(key_life::write_suspend(operation)),
        Operation::ResumeKey(operation) => PbOperation::ResumeKey(key_life::write_resume(operation)),
        Operation::RestrictKey(operation) => PbOperation::RestrictKey(key_life::write_restrict(operation)),
        Operation::RevokeKeys(operation) => PbOperation::RevokeKeys(key_life::write_revoke_keys(operation)),
        Operation::RotateKey(operation) => PbOperation::RotateKey(rotation::write_rotate(operation)),
        Operation::PrepareStandby(operation) => PbOperation::PrepareStandby(rotation::write_standby(operation)),
        Operation::StepRotation(operation) => PbOperation::StepRotation(rotation::write_step(operation)),
        Operation::Settle => PbOperation::Settle(disk::Settle {}),
        Operation::RemoveDead(keys) => PbOperation::RemoveDead(upkeep::write_remove_dead(keys)),
        Operation::MarkRevoked(operation) => PbOperation::MarkRevoked(upkeep::write_mark_revoked(operation)),
        Operation::Trim(through) => PbOperation::Trim(disk::Trim { through_sequence: through.0 }),
        Operation::RecordRefusals(refusals) => PbOperation::RecordRefusals(upkeep::write_refusals(refusals)),
        Operation::RecordDenials(denials) => PbOperation::RecordDenials(denial::write_denials(denials)),
        Operation::RecordExplanation(operation) => PbOperation::RecordExplanation(upkeep::write_explanation(operation)),
        Operation::AdmitReplica(operation) => PbOperation::AdmitReplica(replica::write_admit(operation)),
        Operation::StepReplica(operation) => PbOperation::StepReplica(replica::write_step(*operation)),
        Operation::BeginEpoch(operation) => PbOperation::BeginEpoch(epoch::write_begin(operation)),
        Operation::ClaimRotations(operation) => PbOperation::ClaimRotations(driver::write_claim(*operation)),
        Operation::PlanRotations(operation) => PbOperation::PlanRotations(driver::write_plan(operation)),
        Operation::PrepareRotation(operation) => PbOperation::PrepareRotation(driver::write_prepare(operation)),
        Operation::AdvanceRotation(operation) => PbOperation::AdvanceRotation(driver::write_advance(operation)),
        Operation::GiveNotices(operation) => PbOperation::GiveNotices(driver::write_notices(operation)),
        Operation::GiveExpiryNotices(operation) => PbOperation::GiveExpiryNotices(driver::write_notices(operation)),
        Operation::RotateRingKey(operation) => PbOperation::RotateRingKey(ring::write_new(operation)),
        Operation::RewrapRingKeys(keys) => PbOperation::RewrapRingKeys(ring::write_rewrap(keys)),
        Operation::RedigestVersions(operation) => PbOperation::RedigestVersions(ring::write_redigest(operation)),
        Operation::ResealInners(operation) => PbOperation::ResealInners(ring::write_reseal(operation)),
        Operation::SetNodeKey { node, key } => PbOperation::SetNodeKey(checkpoint::write_node_key(*node, key)),
        Operation::RecordCheckpoint { checkpoint, through } => {
            PbOperation::RecordCheckpoint(checkpoint::write_record(checkpoint, *through))
        }
        Operation::BeginAuditLog(BeginAuditLog { force }) => {
            PbOperation::BeginAuditLog(disk::BeginAuditLog { force: *force })
        }
        Operation::RecordBackup(backup) => PbOperation::RecordBackup(write_backup(backup)),
        Operation::RecordKeptBackups { node, folder } => {
            PbOperation::RecordKeptBackups(backups::write_kept(*node, folder))
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
            contacts: read_names(&operation.contacts, "contacts")?,
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
        PbOperation::CreateKeys(operation) => Operation::CreateKeys(read_create_keys(operation)?),
        PbOperation::ImportKeys(operation) => Operation::ImportKeys(read_import_keys(operation)?),
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
                disk::cut::Scope::Role(name) => CutScope::Role(parsed(RoleName::parse(name), "scope.role")?),
            },
            reason: parsed(words::disk_revocation_reason(operation.reason), "reason")?,
            text: parsed(ReasonText::parse(&operation.text), "text")?,
        }),
        PbOperation::AddRingKey(operation) => Operation::AddRingKey(ring::read_new(operation)?),
        PbOperation::DropRingKey(operation) => Operation::DropRingKey(RingNumber(operation.number)),
        PbOperation::RaiseFeatureLevel(operation) => Operation::RaiseFeatureLevel(operation.feature_level),
        PbOperation::UpdateTenant(operation) => Operation::UpdateTenant(updates::read_tenant(operation)?),
        PbOperation::UpdateKeyspace(operation) => {
            Operation::UpdateKeyspace(Box::new(updates::read_keyspace(operation)?))
        }
        PbOperation::UpdateOwner(operation) => Operation::UpdateOwner(updates::read_owner(operation)?),
        PbOperation::CreateRole(operation) => Operation::CreateRole(directory::read_create_role(operation)?),
        PbOperation::UpdateRole(operation) => Operation::UpdateRole(updates::read_role(operation)?),
        PbOperation::UpdateIdentity(operation) => Operation::UpdateIdentity(updates::read_identity(operation)?),
        PbOperation::Delete(operation) => Operation::Delete(directory::read_delete(operation)?),
        PbOperation::UpdateKey(operation) => Operation::UpdateKey(Box::new(updates::read_key(operation)?)),
        PbOperation::SuspendKey(operation) => Operation::SuspendKey(key_life::read_suspend(operation)?),
        PbOperation::ResumeKey(operation) => Operation::ResumeKey(key_life::read_resume(operation)?),
        PbOperation::RestrictKey(operation) => Operation::RestrictKey(key_life::read_restrict(operation)?),
        PbOperation::RevokeKeys(operation) => Operation::RevokeKeys(key_life::read_revoke_keys(operation)?),
        PbOperation::RotateKey(operation) => Operation::RotateKey(Box::new(rotation::read_rotate(operation)?)),
        PbOperation::PrepareStandby(operation) => {
            Operation::PrepareStandby(Box::new(rotation::read_standby(operation)?))
        }
        PbOperation::StepRotation(operation) => Operation::StepRotation(rotation::read_step(operation)?),
        PbOperation::Settle(disk::Settle {}) => Operation::Settle,
        PbOperation::RemoveDead(operation) => Operation::RemoveDead(upkeep::read_remove_dead(operation)?),
        PbOperation::MarkRevoked(operation) => Operation::MarkRevoked(upkeep::read_mark_revoked(operation)?),
        PbOperation::Trim(operation) => Operation::Trim(Sequence(operation.through_sequence)),
        PbOperation::RecordRefusals(operation) => Operation::RecordRefusals(upkeep::read_refusals(operation)?),
        PbOperation::RecordDenials(operation) => Operation::RecordDenials(denial::read_denials(operation)?),
        PbOperation::RecordExplanation(operation) => Operation::RecordExplanation(upkeep::read_explanation(operation)?),
        PbOperation::AdmitReplica(operation) => Operation::AdmitReplica(replica::read_admit(operation)?),
        PbOperation::StepReplica(operation) => Operation::StepReplica(replica::read_step(operation)?),
        PbOperation::BeginEpoch(operation) => Operation::BeginEpoch(Box::new(epoch::read_begin(operation)?)),
        PbOperation::ClaimRotations(operation) => Operation::ClaimRotations(driver::read_claim(operation)?),
        PbOperation::PlanRotations(operation) => Operation::PlanRotations(driver::read_plan(operation)?),
        PbOperation::PrepareRotation(operation) => {
            Operation::PrepareRotation(Box::new(driver::read_prepare(operation)?))
        }
        PbOperation::AdvanceRotation(operation) => {
            Operation::AdvanceRotation(Box::new(driver::read_advance(operation)?))
        }
        PbOperation::GiveNotices(operation) => Operation::GiveNotices(driver::read_notices(operation)?),
        PbOperation::GiveExpiryNotices(operation) => Operation::GiveExpiryNotices(driver::read_notices(operation)?),
        PbOperation::RotateRingKey(operation) => Operation::RotateRingKey(ring::read_new(operation)?),
        PbOperation::RewrapRingKeys(operation) => Operation::RewrapRingKeys(ring::read_rewrap(operation)?),
        PbOperation::RedigestVersions(operation) => Operation::RedigestVersions(ring::read_redigest(operation)?),
        PbOperation::ResealInners(operation) => Operation::ResealInners(Box::new(ring::read_reseal(operation)?)),
        PbOperation::SetNodeKey(operation) => checkpoint::read_node_key(operation)?,
        PbOperation::RecordCheckpoint(operation) => checkpoint::read_record(operation)?,
        PbOperation::BeginAuditLog(disk::BeginAuditLog { force }) => {
            Operation::BeginAuditLog(BeginAuditLog { force: *force })
        }
        PbOperation::RecordBackup(operation) => backups::read_record(operation)?,
        PbOperation::RecordKeptBackups(operation) => backups::read_kept(operation)?,
    })
}

/// An etag to compare, as a command carries it.
fn write_etag(etag: Option<&str>) -> Option<String> {
    etag.map(str::to_owned)
}

fn read_etag(etag: Option<&String>) -> Option<Box<str>> {
    etag.map(|etag| etag.as_str().into())
}

fn read_text(text: &str) -> Result<ReasonText, DecodeError> {
    parsed(ReasonText::parse(text), "text")
}
