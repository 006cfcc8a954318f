//! All calls, service by service.

use super::{ANSWER_BYTES_MAX, Answer, Api};
use crate::cli::error::CliError;
use crate::cli::service::Service;

calls! {
    Issuance by latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient {
        create_key(CreateKeyRequest) -> CreateKeyResponse;
        get_key(GetKeyRequest) -> Key;
        list_keys(ListKeysRequest) -> ListKeysResponse;
        update_key(UpdateKeyRequest) -> Key;
        suspend_key(SuspendKeyRequest) -> SuspendKeyResponse;
        resume_key(ResumeKeyRequest) -> ResumeKeyResponse;
        restrict_key(RestrictKeyRequest) -> RestrictKeyResponse;
        revoke_key(RevokeKeyRequest) -> RevokeKeyResponse;
        revoke_keys(RevokeKeysRequest) -> RevokeKeysResponse;
    }
    Issuance by latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient {
        create_tenant(CreateTenantRequest) -> Tenant;
        get_tenant(GetTenantRequest) -> Tenant;
        list_tenants(ListTenantsRequest) -> ListTenantsResponse;
        update_tenant(UpdateTenantRequest) -> Tenant;
        create_keyspace(CreateKeyspaceRequest) -> Keyspace;
        get_keyspace(GetKeyspaceRequest) -> Keyspace;
        list_keyspaces(ListKeyspacesRequest) -> ListKeyspacesResponse;
        update_keyspace(UpdateKeyspaceRequest) -> Keyspace;
        create_owner(CreateOwnerRequest) -> Owner;
        get_owner(GetOwnerRequest) -> Owner;
        list_owners(ListOwnersRequest) -> ListOwnersResponse;
        update_owner(UpdateOwnerRequest) -> Owner;
        create_role(CreateRoleRequest) -> Role;
        get_role(GetRoleRequest) -> Role;
        list_roles(ListRolesRequest) -> ListRolesResponse;
        update_role(UpdateRoleRequest) -> Role;
        create_identity(CreateIdentityRequest) -> Identity;
        get_identity(GetIdentityRequest) -> Identity;
        list_identities(ListIdentitiesRequest) -> ListIdentitiesResponse;
        update_identity(UpdateIdentityRequest) -> Identity;
    }
    Validation by latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient {
        validate_key(ValidateKeyRequest) -> ValidateKeyResponse;
        explain_validation(ExplainValidationRequest) -> ExplainValidationResponse;
        report_usage(ReportUsageRequest) -> ReportUsageResponse;
    }
    Validation by latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient {
        get_cluster(GetClusterRequest) -> Cluster;
        add_replica(AddReplicaRequest) -> AddReplicaResponse;
        promote_replica(PromoteReplicaRequest) -> PromoteReplicaResponse;
        demote_replica(DemoteReplicaRequest) -> DemoteReplicaResponse;
        remove_replica(RemoveReplicaRequest) -> RemoveReplicaResponse;
        transfer_leadership(TransferLeadershipRequest) -> TransferLeadershipResponse;
        get_keyring(GetKeyringRequest) -> GetKeyringResponse;
        rotate_keyring(RotateKeyringRequest) -> RotateKeyringResponse;
        begin_audit_log(BeginAuditLogRequest) -> BeginAuditLogResponse;
        deny_key_locally(DenyKeyLocallyRequest) -> LocalDenial;
        allow_key_locally(AllowKeyLocallyRequest) -> AllowKeyLocallyResponse;
        list_local_denials(ListLocalDenialsRequest) -> ListLocalDenialsResponse;
    }
    Rotation by latchkey_wire::pb::v1::rotation_service_client::RotationServiceClient {
        rotate_key(RotateKeyRequest) -> RotateKeyResponse;
        prepare_standby(PrepareStandbyRequest) -> PrepareStandbyResponse;
        get_rotation(GetRotationRequest) -> Rotation;
        list_rotations(ListRotationsRequest) -> ListRotationsResponse;
        list_due_rotations(ListDueRotationsRequest) -> ListDueRotationsResponse;
        hold_rotation(HoldRotationRequest) -> HoldRotationResponse;
        resume_rotation(ResumeRotationRequest) -> ResumeRotationResponse;
        complete_rotation(CompleteRotationRequest) -> CompleteRotationResponse;
        cancel_rotation(CancelRotationRequest) -> CancelRotationResponse;
        roll_back_rotation(RollBackRotationRequest) -> RollBackRotationResponse;
    }
    Audit by latchkey_wire::pb::v1::audit_service_client::AuditServiceClient {
        get_checkpoint(GetCheckpointRequest) -> Checkpoint;
        get_inclusion_proof(GetInclusionProofRequest) -> GetInclusionProofResponse;
        list_access(ListAccessRequest) -> ListAccessResponse;
        list_entries(ListEntriesRequest) -> ListEntriesResponse;
        list_exports(ListExportsRequest) -> ListExportsResponse;
        query_usage(QueryUsageRequest) -> QueryUsageResponse;
    }
}

deletions! {
    delete_tenant(DeleteTenantRequest);
    delete_keyspace(DeleteKeyspaceRequest);
    delete_owner(DeleteOwnerRequest);
    delete_role(DeleteRoleRequest);
    delete_identity(DeleteIdentityRequest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::json::descriptor;

    #[test]
    fn every_message_of_the_table_is_one_of_the_api() {
        assert!(CALLS.len() > 35);
        for (method, request, answer) in CALLS {
            let asked = descriptor(request);
            assert!(asked.name().ends_with("Request"), "{method}");
            descriptor(answer);
        }
    }
}
