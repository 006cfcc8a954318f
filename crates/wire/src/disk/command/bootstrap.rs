//! The first command of a cluster, and wrapped keys as commands carry them.

use super::create_keys::{read_new_key, write_new_key};
use crate::disk::parts::{read_settings, write_settings};
use crate::disk::{DecodeError, fixed, required, span};
use crate::pb::disk::v1 as disk;
use latchkey_domain::ClusterId;
use latchkey_state::{Bootstrap, WrappedKey};

pub(super) fn write_bootstrap(operation: &Bootstrap) -> disk::Bootstrap {
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

pub(super) fn read_bootstrap(operation: &disk::Bootstrap) -> Result<Bootstrap, DecodeError> {
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

pub(super) fn write_wrapped(key: &WrappedKey) -> disk::WrappedKey {
    disk::WrappedKey { id: key.id.to_vec(), wrapped: key.wrapped.to_vec() }
}

pub(super) fn read_wrapped(key: Option<&disk::WrappedKey>, field: &'static str) -> Result<WrappedKey, DecodeError> {
    let key = required(key, field)?;
    Ok(WrappedKey { id: fixed(&key.id, field)?, wrapped: key.wrapped.as_slice().into() })
}
