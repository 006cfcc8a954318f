//! Each method that changes something leaves an event, and no other does.

use crate::restoring::until_trimmed;
use latchkey_api::requests::{self, KEYSPACE, OWNER};
use latchkey_api::{Furniture, House, Spares, World, methods, raw};
use latchkey_transport::channel;
use latchkey_wire::pb::v1;
use prost::Message as _;
use std::collections::BTreeMap;
use tonic::metadata::{MetadataMap, MetadataValue};

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Changes,
    Reads,
}

/// For each public method a call that succeeds for root in a furnished house. A method that is missing here fails the
/// test: say what it does.
pub(crate) fn calls(furniture: &Furniture, spares: &Spares) -> BTreeMap<&'static str, (Effect, Vec<u8>)> {
    use Effect::{Changes, Reads};
    let name = |name: &str| name.to_owned();
    let (acme, key, key_text) = ("tenants/acme", furniture.key_name(), furniture.made.key_text.as_str());
    let item = v1::BatchValidateKeysItem { id: name("1"), request: Some(requests::validate(key_text)) };
    let identity = requests::identity("acme", "deploy", &[(v1::Duty::Issuer, acme)]);
    let spare = |number: usize| spares.keys[number].as_str();
    let stream = v1::StreamValidateKeysRequest { id: name("1"), request: Some(requests::validate(key_text)) };
    let explain = v1::ExplainValidationRequest { request: Some(requests::validate(key_text)), ..Default::default() };
    let changed = || name("changed");
    BTreeMap::from([
        ("latchkey.v1.ClusterService/GetCluster", (Reads, v1::GetClusterRequest {}.encode_to_vec())),
        ("latchkey.v1.ClusterService/GetKeyring", (Reads, v1::GetKeyringRequest::default().encode_to_vec())),
        (
            "latchkey.v1.ClusterService/RotateKeyring",
            (Changes, {
                let purpose = v1::ring_key::Purpose::Keyspace.into();
                v1::RotateKeyringRequest { purpose, of: name(KEYSPACE), ..Default::default() }.encode_to_vec()
            }),
        ),
        // Carried out it would end the audit log that everything here is looked up in.
        ("latchkey.v1.ClusterService/BeginAuditLog", {
            let asked = v1::BeginAuditLogRequest { force: true, validate_only: true, ..Default::default() };
            (Reads, asked.encode_to_vec())
        }),
        ("latchkey.v1.ClusterService/CreateBackup", (Changes, v1::CreateBackupRequest {}.encode_to_vec())),
        ("latchkey.v1.ClusterService/AddReplica", (Changes, requests::replica(9).encode_to_vec())),
        // In a house of one replica nobody else can get a vote or lose it, and what is so already changes nothing.
        (
            "latchkey.v1.ClusterService/PromoteReplica",
            (Reads, v1::PromoteReplicaRequest { id: 1, ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.ClusterService/DemoteReplica",
            (Reads, v1::DemoteReplicaRequest { id: spares.replica, ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.ClusterService/RemoveReplica",
            (Changes, v1::RemoveReplicaRequest { id: spares.replica, ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.ClusterService/TransferLeadership",
            (Changes, v1::TransferLeadershipRequest { id: 1, ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.ClusterService/DenyKeyLocally",
            (Changes, requests::deny_locally(spare(5), v1::local_denial::FollowUp::Nothing).encode_to_vec()),
        ),
        // It comes when nothing is denied yet.
        (
            "latchkey.v1.ClusterService/AllowKeyLocally",
            (Reads, v1::AllowKeyLocallyRequest { name: name(spare(5)) }.encode_to_vec()),
        ),
        ("latchkey.v1.ClusterService/ListLocalDenials", (Reads, v1::ListLocalDenialsRequest {}.encode_to_vec())),
        ("latchkey.v1.DirectoryService/CreateTenant", (Changes, requests::tenant("new").encode_to_vec())),
        (
            "latchkey.v1.DirectoryService/CreateKeyspace",
            (Changes, requests::keyspace("acme", "new", "new").encode_to_vec()),
        ),
        ("latchkey.v1.DirectoryService/CreateOwner", (Changes, requests::owner("acme", "new").encode_to_vec())),
        ("latchkey.v1.DirectoryService/CreateIdentity", (Changes, identity.encode_to_vec())),
        ("latchkey.v1.DirectoryService/GetTenant", (Reads, v1::GetTenantRequest { name: name(acme) }.encode_to_vec())),
        (
            "latchkey.v1.DirectoryService/GetKeyspace",
            (Reads, v1::GetKeyspaceRequest { name: name(KEYSPACE) }.encode_to_vec()),
        ),
        ("latchkey.v1.DirectoryService/GetOwner", (Reads, v1::GetOwnerRequest { name: name(OWNER) }.encode_to_vec())),
        (
            "latchkey.v1.DirectoryService/GetIdentity",
            (Reads, v1::GetIdentityRequest { name: name("tenants/system/identities/root") }.encode_to_vec()),
        ),
        ("latchkey.v1.DirectoryService/ListTenants", (Reads, v1::ListTenantsRequest::default().encode_to_vec())),
        (
            "latchkey.v1.DirectoryService/ListKeyspaces",
            (Reads, v1::ListKeyspacesRequest { parent: name(acme), ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.DirectoryService/ListOwners",
            (Reads, v1::ListOwnersRequest { parent: name(acme), ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.DirectoryService/ListIdentities",
            (Reads, v1::ListIdentitiesRequest { parent: name(acme), ..Default::default() }.encode_to_vec()),
        ),
        ("latchkey.v1.DirectoryService/CreateRole", (Changes, requests::role("acme", "new").encode_to_vec())),
        (
            "latchkey.v1.DirectoryService/GetRole",
            (Reads, v1::GetRoleRequest { name: name("tenants/acme/roles/read-only") }.encode_to_vec()),
        ),
        (
            "latchkey.v1.DirectoryService/ListRoles",
            (Reads, v1::ListRolesRequest { parent: name(acme), ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.DirectoryService/UpdateTenant",
            (Changes, {
                let tenant = Some(v1::Tenant { name: name(acme), display_name: changed(), ..Default::default() });
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateTenantRequest { tenant, update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/UpdateKeyspace",
            (Changes, {
                let keyspace =
                    Some(v1::Keyspace { name: name(KEYSPACE), display_name: changed(), ..Default::default() });
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateKeyspaceRequest { keyspace, update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/UpdateOwner",
            (Changes, {
                let owner = Some(v1::Owner { name: name(OWNER), display_name: changed(), ..Default::default() });
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateOwnerRequest { owner, update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/UpdateRole",
            (Changes, {
                let role =
                    v1::Role { name: name("tenants/acme/roles/writer"), display_name: changed(), ..Default::default() };
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateRoleRequest { role: Some(role), update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/UpdateIdentity",
            (Changes, {
                let root = name("tenants/system/identities/root");
                let identity = Some(v1::Identity { name: root, display_name: changed(), ..Default::default() });
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateIdentityRequest { identity, update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/DeleteTenant",
            (Changes, v1::DeleteTenantRequest { name: name("tenants/spare"), ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.DirectoryService/DeleteKeyspace",
            (Changes, {
                let name = name("tenants/acme/keyspaces/spare");
                v1::DeleteKeyspaceRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/DeleteOwner",
            (Changes, {
                let name = name("tenants/acme/owners/spare");
                v1::DeleteOwnerRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/DeleteRole",
            (Changes, {
                let name = name("tenants/acme/roles/spare");
                v1::DeleteRoleRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.DirectoryService/DeleteIdentity",
            (Changes, {
                let name = name("tenants/acme/identities/spare");
                v1::DeleteIdentityRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.IssuanceService/UpdateKey",
            (Changes, {
                let key = Some(v1::Key { name: name(spare(1)), display_name: changed(), ..Default::default() });
                let update_mask = requests::mask(&["display_name"]);
                v1::UpdateKeyRequest { key, update_mask, ..Default::default() }.encode_to_vec()
            }),
        ),
        ("latchkey.v1.IssuanceService/SuspendKey", (Changes, requests::suspend(spare(2)).encode_to_vec())),
        ("latchkey.v1.IssuanceService/ResumeKey", (Changes, requests::resume(spare(0)).encode_to_vec())),
        ("latchkey.v1.IssuanceService/RestrictKey", (Changes, requests::restrict(spare(3)).encode_to_vec())),
        (
            "latchkey.v1.IssuanceService/RevokeKeys",
            (Changes, requests::revoke_scope("tenants/acme/roles/writer").encode_to_vec()),
        ),
        ("latchkey.v1.RotationService/RotateKey", (Changes, requests::rotate(spare(4)).encode_to_vec())),
        (
            "latchkey.v1.RotationService/PrepareStandby",
            (Changes, { v1::PrepareStandbyRequest { name: name(spare(5)), ..Default::default() }.encode_to_vec() }),
        ),
        (
            "latchkey.v1.RotationService/CompleteRotation",
            (Changes, {
                let name = spares.overlapping[0].clone();
                v1::CompleteRotationRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.RotationService/RollBackRotation",
            (Changes, {
                let name = spares.overlapping[1].clone();
                v1::RollBackRotationRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.RotationService/CancelRotation",
            (Changes, {
                let name = spares.prepared.clone();
                v1::CancelRotationRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.RotationService/HoldRotation",
            (Changes, {
                let name = spares.overlapping[2].clone();
                v1::HoldRotationRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.RotationService/ResumeRotation",
            (Changes, {
                let name = spares.held.clone();
                v1::ResumeRotationRequest { name, ..Default::default() }.encode_to_vec()
            }),
        ),
        (
            "latchkey.v1.RotationService/GetRotation",
            (Reads, v1::GetRotationRequest { name: spares.prepared.clone() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.RotationService/ListRotations",
            (Reads, v1::ListRotationsRequest { parent: name(KEYSPACE), ..Default::default() }.encode_to_vec()),
        ),
        (
            "latchkey.v1.RotationService/ListDueRotations",
            (Reads, v1::ListDueRotationsRequest { parent: name(KEYSPACE), ..Default::default() }.encode_to_vec()),
        ),
        ("latchkey.v1.AuditService/GetCheckpoint", (Reads, v1::GetCheckpointRequest {}.encode_to_vec())),
        (
            "latchkey.v1.AuditService/GetInclusionProof",
            (Reads, v1::GetInclusionProofRequest::default().encode_to_vec()),
        ),
        (
            "latchkey.v1.AuditService/GetConsistencyProof",
            (Reads, v1::GetConsistencyProofRequest::default().encode_to_vec()),
        ),
        ("latchkey.v1.AuditService/ListAccess", (Reads, v1::ListAccessRequest::default().encode_to_vec())),
        ("latchkey.v1.AuditService/ListExports", (Reads, v1::ListExportsRequest {}.encode_to_vec())),
        ("latchkey.v1.AuditService/QueryUsage", (Reads, v1::QueryUsageRequest::default().encode_to_vec())),
        ("latchkey.v1.AuditService/ListEntries", (Reads, v1::ListEntriesRequest::default().encode_to_vec())),
        ("latchkey.v1.AuditService/WatchEntries", (Reads, v1::WatchEntriesRequest::default().encode_to_vec())),
        ("latchkey.v1.ValidationService/StreamValidateKeys", (Reads, stream.encode_to_vec())),
        (
            "latchkey.v1.ValidationService/ReportUsage",
            (Reads, requests::report(&furniture.made.version).encode_to_vec()),
        ),
        ("latchkey.v1.ValidationService/ExplainValidation", (Changes, explain.encode_to_vec())),
        ("latchkey.v1.IssuanceService/CreateKey", (Changes, requests::key().encode_to_vec())),
        ("latchkey.v1.IssuanceService/BatchCreateKeys", (Changes, requests::keys(3).encode_to_vec())),
        (
            "latchkey.v1.IssuanceService/ImportKeys",
            (Changes, requests::import(vec![requests::key_to_import(1)]).encode_to_vec()),
        ),
        ("latchkey.v1.IssuanceService/GetKey", (Reads, v1::GetKeyRequest { name: name(key) }.encode_to_vec())),
        ("latchkey.v1.IssuanceService/ListKeys", (Reads, requests::list_keys(KEYSPACE).encode_to_vec())),
        ("latchkey.v1.IssuanceService/RevokeKey", (Changes, requests::revoke(key).encode_to_vec())),
        ("latchkey.v1.ValidationService/ValidateKey", (Reads, requests::validate(key_text).encode_to_vec())),
        (
            "latchkey.v1.ValidationService/BatchValidateKeys",
            (Reads, v1::BatchValidateKeysRequest { items: vec![item] }.encode_to_vec()),
        ),
    ])
}

fn as_root(house: &House) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let value: MetadataValue<_> = format!("Bearer {}", house.root_text()).parse().unwrap();
    metadata.insert("authorization", value);
    metadata
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_method_of_proto_does_is_known() {
    let (house, furniture) = Furniture::house().await;
    let spares = Spares::put_into(&house, &furniture).await;
    let public: Vec<String> =
        methods::all().iter().filter(|method| !method.is_internal()).map(methods::Method::path).collect();
    let known: Vec<&str> = calls(&furniture, &spares).into_keys().collect();
    let forgotten: Vec<_> = public.iter().filter(|path| !known.contains(&path.as_str())).collect();
    let gone: Vec<_> = known.iter().filter(|path| !public.iter().any(|one| one == *path)).collect();
    assert!(forgotten.is_empty() && gone.is_empty(), "say what these do: {forgotten:?}; no more there: {gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_an_event_and_a_reading_leaves_none() {
    let (house, furniture) = Furniture::house().await;
    let spares = Spares::put_into(&house, &furniture).await;
    let calls = calls(&furniture, &spares);
    until_trimmed(&house).await;
    let mut wrong = Vec::new();
    // Readings first, since a change is what a reading must not be taken for.
    for effect in [Effect::Reads, Effect::Changes] {
        for (path, (_, message)) in calls.iter().filter(|(_, call)| call.0 == effect) {
            let method = methods::all().into_iter().find(|method| method.path() == *path).unwrap();
            let address = method.served_by(house.ports())[0];
            let before = house.change_count().await;
            let answer = raw::call(channel(address), path, as_root(&house), message.clone()).await;
            let events = house.change_count().await - before;
            if answer.is_err() || (events > 0) != (effect == Effect::Changes) {
                wrong.push(format!("{path} left {events} events: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_changes_nothing_again() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let key = v1::CreateKeyRequest { request_id: requests::request_id(1), ..requests::key() };
    root.keys.create_key(key.clone()).await.unwrap();
    root.keys.revoke_key(requests::revoke(furniture.key_name())).await.unwrap();
    let (world, events) = (World::see(&mut root).await, house.change_count().await);

    assert!(root.keys.create_key(key).await.unwrap().into_inner().replayed);
    root.keys.revoke_key(requests::revoke(furniture.key_name())).await.unwrap();
    root.revocation.revoke_key(requests::revoke(furniture.key_name())).await.unwrap();

    assert_eq!(World::see(&mut root).await, world);
    assert_eq!(house.change_count().await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_no_holes_and_a_restart_loses_none() {
    let (mut house, _) = Furniture::house().await;
    let before = house.entries().await;
    assert!(before.iter().map(|entry| entry.sequence).eq(0..before.len() as u64), "{} entries", before.len());
    house.restart().await;
    house.root().directory.create_tenant(requests::tenant("later")).await.unwrap();
    let after = house.entries().await;
    assert_eq!(after[..before.len()], before[..]);
    assert!(after.len() > before.len());
}
