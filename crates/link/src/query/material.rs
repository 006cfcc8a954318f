//! What it takes to mint, and to seal or open audit entries.

use super::{name, not_found};
use latchkey_domain::{KeyspaceName, ResourceKind, RingNumber, TenantName, TenantNumber, UnixMillis};
use latchkey_state::{Keyspace, RingKey, RingPurpose, State, Tenant};
use latchkey_wire::disk::{write_keyspace_row, write_ring_key_row, write_tenant_row};
use latchkey_wire::pb::disk::v1 as disk;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::material_query::Scope;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use std::sync::Arc;
use tonic::Status;

pub(super) fn material(state: &State, now: UnixMillis, query: &pb::MaterialQuery) -> Result<Answer, Status> {
    let (tenant, keyspace): (Option<&Arc<Tenant>>, Option<&Arc<Keyspace>>) = match &query.scope {
        None => (None, None),
        Some(Scope::Tenant(text)) => match state.tenant(&name(TenantName::parse(text))?) {
            None => return Ok(not_found(ResourceKind::Tenant, text)),
            found => (found, None),
        },
        Some(Scope::Keyspace(text)) => match state.keyspace(&name(KeyspaceName::parse(text))?) {
            None => return Ok(not_found(ResourceKind::Keyspace, text)),
            Some(keyspace) => (state.tenants().by_number(keyspace.tenant), Some(keyspace)),
        },
        Some(Scope::AuditOfTenantNumber(number)) => return Ok(audit(state, TenantNumber(*number))),
    };
    let cluster = state.cluster();
    let pepper = state.newest_ring_key(RingPurpose::Pepper);
    let is_other = |key: &&Arc<RingKey>| Some(key.number) != pepper.map(|pepper| pepper.number);
    let data_key = keyspace.and_then(|keyspace| state.ring_key(keyspace.data_key));
    // While the key of a tenant rotates, the older one may still wrap the data key.
    let tenant_key = data_key.map(|key| key.wrapped_by).or_else(|| tenant.map(|tenant| tenant.tenant_key));
    Ok(Answer::Material(pb::Material {
        pepper: pepper.map(|key| write_ring_key_row(key)),
        other_peppers: state
            .ring_keys_of(RingPurpose::Pepper)
            .filter(is_other)
            .map(|key| write_ring_key_row(key))
            .collect(),
        replay_keys: state
            .ring()
            .filter(|key| key.purpose == RingPurpose::Replay)
            .map(|key| write_ring_key_row(key))
            .collect(),
        tenant: tenant.map(|tenant| write_tenant_row(tenant)),
        tenant_key: tenant_key.and_then(|number| row(state, number)),
        keyspace: keyspace.map(|keyspace| write_keyspace_row(keyspace)),
        data_key: data_key.map(|key| write_ring_key_row(key)),
        feature_level: state.progress().feature_level,
        staleness_floor_ms: cluster.map_or(0, |cluster| cluster.staleness_floor.millis()),
        staleness_default_ms: cluster.map_or(0, |cluster| cluster.staleness_default.millis()),
        now_unix_ms: now.millis(),
    }))
}

/// By number, since the keys of a tenant outlive it: its trail has to stay readable.
fn audit(state: &State, tenant: TenantNumber) -> Answer {
    let Some(audit_key) = state.newest_ring_key(RingPurpose::Audit(tenant)) else {
        return not_found(ResourceKind::Tenant, &format_args!("with the number {}", tenant.0));
    };
    let living = state.tenants().by_number(tenant);
    Answer::Audit(pb::AuditMaterial {
        tenant_number: tenant.0,
        tenant: living.map(|tenant| tenant.id.to_string()).unwrap_or_default(),
        tenant_key: row(state, audit_key.wrapped_by),
        audit_key: Some(write_ring_key_row(audit_key)),
    })
}

fn row(state: &State, number: RingNumber) -> Option<disk::RingKeyRow> {
    state.ring_key(number).map(|key| write_ring_key_row(key))
}
