//! The first command of a cluster: the system tenant, the management keyspace, the identity `root` and its key.

use super::Answer;
use super::change::ROOT;
use super::create_keys::create_keys;
use super::directory::{create_identity, make_keyspace, make_tenant, slug, wrapped};
use super::transaction::{Telling, Transaction};
use crate::command::{Bootstrap, CreateIdentity, CreateKeys, CreateKeyspace, CreateTenant, bootstrap_ring};
use crate::event::Action;
use crate::records::{Cluster, RingPurpose};
use crate::row::Row;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use latchkey_domain::{
    DisplayName, Duty, Grant, IdentityName, KeyspaceName, Refusal, ResourceKind, RingNumber, SYSTEM_TENANT, Scope,
    TenantName,
};

pub(super) fn bootstrap(transaction: &mut Transaction<'_>, operation: &Bootstrap) -> Result<Answer, Refusal> {
    if transaction.state().cluster().is_some() {
        let name = TenantName::system().to_string();
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Tenant, name });
    }
    transaction.advance_clock(transaction.command().at);
    let created_at = transaction.now();
    let feature_level = transaction.command().feature_level;
    transaction.put(Row::Cluster(Arc::new(Cluster {
        id: operation.cluster,
        staleness_floor: operation.staleness_floor,
        staleness_default: operation.staleness_default,
        created_at,
    })));
    transaction.set_feature_level(feature_level);
    let facts = vec![("cluster", operation.cluster.to_string())];
    transaction.emit(Action::ClusterBootstrapped, "cluster".to_string(), Telling { facts, ..Telling::default() });

    for (purpose, key, number) in [
        (RingPurpose::Log, &operation.log_key, bootstrap_ring::LOG),
        (RingPurpose::Pepper, &operation.pepper, bootstrap_ring::PEPPER),
        (RingPurpose::Replay, &operation.replay_key, bootstrap_ring::REPLAY),
    ] {
        let given = wrapped(transaction, purpose, RingNumber(0), key)?;
        debug_assert_eq!(given, number, "the keyring of a new cluster is empty");
    }
    make_tenant(
        transaction,
        &TenantName::system(),
        &CreateTenant {
            tenant: slug(SYSTEM_TENANT),
            display_name: text("Latchkey itself"),
            contacts: vec![],
            tenant_key: operation.tenant_key.clone(),
            audit_key: operation.audit_key.clone(),
        },
    )?;
    make_keyspace(
        transaction,
        &CreateKeyspace {
            name: KeyspaceName::management(),
            settings: operation.management.clone(),
            data_key: operation.keyspace_key.clone(),
        },
    )?;
    let root = IdentityName::new(slug(SYSTEM_TENANT), slug(ROOT));
    create_identity(
        transaction,
        &CreateIdentity {
            name: root,
            display_name: text("The first identity"),
            grants: vec![Grant { duty: Duty::Root, scope: Scope::System }],
        },
    )?;
    create_keys(
        transaction,
        &CreateKeys { keyspace: KeyspaceName::management(), keys: vec![operation.root_key.clone()], replay: None },
    )
}

fn text(text: &str) -> DisplayName {
    DisplayName::parse(text).expect("built-in names are well-formed")
}
