//! The generated trait of `DirectoryService`, each method one line over its operation.

use crate::Handlers;
use latchkey_domain::{IdentityName, KeyspaceName, OwnerName, RoleName, TenantName};
use latchkey_link::Registry;
use latchkey_wire::pb::v1::directory_service_server::DirectoryService;
use latchkey_wire::pb::v1::{
    CreateIdentityRequest, CreateKeyspaceRequest, CreateOwnerRequest, CreateRoleRequest, CreateTenantRequest,
    DeleteIdentityRequest, DeleteKeyspaceRequest, DeleteOwnerRequest, DeleteRoleRequest, DeleteTenantRequest,
    GetIdentityRequest, GetKeyspaceRequest, GetOwnerRequest, GetRoleRequest, GetTenantRequest, Identity, Keyspace,
    ListIdentitiesRequest, ListIdentitiesResponse, ListKeyspacesRequest, ListKeyspacesResponse, ListOwnersRequest,
    ListOwnersResponse, ListRolesRequest, ListRolesResponse, ListTenantsRequest, ListTenantsResponse, Owner, Role,
    Tenant, UpdateIdentityRequest, UpdateKeyspaceRequest, UpdateOwnerRequest, UpdateRoleRequest, UpdateTenantRequest,
};
use latchkey_wire::request;
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl<R: Registry> DirectoryService for Handlers<R> {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Result<Response<Tenant>, Status> {
        let method = "DirectoryService/CreateTenant";
        self.entrance.call(method, request, request::read_create_tenant, |call| self.create_tenant(call)).await
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<Tenant>, Status> {
        let read = |message: &GetTenantRequest| request::read_name(TenantName::parse(&message.name));
        self.entrance.call("DirectoryService/GetTenant", request, read, |call| self.tenant(call)).await
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let method = "DirectoryService/ListTenants";
        let page = self.entrance.call(method, request, request::read_list_tenants, |call| self.tenants(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (tenants, revision) = (page.tenants, Some(revision.into()));
            ListTenantsResponse { tenants, next_page_token, revision }
        }))
    }

    async fn update_tenant(&self, request: Request<UpdateTenantRequest>) -> Result<Response<Tenant>, Status> {
        let method = "DirectoryService/UpdateTenant";
        self.entrance.call(method, request, request::read_update_tenant, |call| self.update_tenant(call)).await
    }

    async fn delete_tenant(&self, request: Request<DeleteTenantRequest>) -> Result<Response<()>, Status> {
        let method = "DirectoryService/DeleteTenant";
        self.entrance.call(method, request, request::read_delete_tenant, |call| self.delete(call)).await
    }

    async fn create_keyspace(&self, request: Request<CreateKeyspaceRequest>) -> Result<Response<Keyspace>, Status> {
        let method = "DirectoryService/CreateKeyspace";
        self.entrance.call(method, request, request::read_create_keyspace, |call| self.create_keyspace(call)).await
    }

    async fn get_keyspace(&self, request: Request<GetKeyspaceRequest>) -> Result<Response<Keyspace>, Status> {
        let read = |message: &GetKeyspaceRequest| request::read_name(KeyspaceName::parse(&message.name));
        self.entrance.call("DirectoryService/GetKeyspace", request, read, |call| self.keyspace(call)).await
    }

    async fn list_keyspaces(
        &self,
        request: Request<ListKeyspacesRequest>,
    ) -> Result<Response<ListKeyspacesResponse>, Status> {
        let method = "DirectoryService/ListKeyspaces";
        let page =
            self.entrance.call(method, request, request::read_list_keyspaces, |call| self.keyspaces(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (keyspaces, revision) = (page.keyspaces, Some(revision.into()));
            ListKeyspacesResponse { keyspaces, next_page_token, revision }
        }))
    }

    async fn update_keyspace(&self, request: Request<UpdateKeyspaceRequest>) -> Result<Response<Keyspace>, Status> {
        let method = "DirectoryService/UpdateKeyspace";
        self.entrance.call(method, request, request::read_update_keyspace, |call| self.update_keyspace(call)).await
    }

    async fn delete_keyspace(&self, request: Request<DeleteKeyspaceRequest>) -> Result<Response<()>, Status> {
        let method = "DirectoryService/DeleteKeyspace";
        self.entrance.call(method, request, request::read_delete_keyspace, |call| self.delete(call)).await
    }

    async fn create_owner(&self, request: Request<CreateOwnerRequest>) -> Result<Response<Owner>, Status> {
        let method = "DirectoryService/CreateOwner";
        self.entrance.call(method, request, request::read_create_owner, |call| self.create_owner(call)).await
    }

    async fn get_owner(&self, request: Request<GetOwnerRequest>) -> Result<Response<Owner>, Status> {
        let read = |message: &GetOwnerRequest| request::read_name(OwnerName::parse(&message.name));
        self.entrance.call("DirectoryService/GetOwner", request, read, |call| self.owner(call)).await
    }

    async fn list_owners(&self, request: Request<ListOwnersRequest>) -> Result<Response<ListOwnersResponse>, Status> {
        let method = "DirectoryService/ListOwners";
        let page = self.entrance.call(method, request, request::read_list_owners, |call| self.owners(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (owners, revision) = (page.owners, Some(revision.into()));
            ListOwnersResponse { owners, next_page_token, revision }
        }))
    }

    async fn update_owner(&self, request: Request<UpdateOwnerRequest>) -> Result<Response<Owner>, Status> {
        let method = "DirectoryService/UpdateOwner";
        self.entrance.call(method, request, request::read_update_owner, |call| self.update_owner(call)).await
    }

    async fn delete_owner(&self, request: Request<DeleteOwnerRequest>) -> Result<Response<()>, Status> {
        let method = "DirectoryService/DeleteOwner";
        self.entrance.call(method, request, request::read_delete_owner, |call| self.delete(call)).await
    }

    async fn create_role(&self, request: Request<CreateRoleRequest>) -> Result<Response<Role>, Status> {
        let method = "DirectoryService/CreateRole";
        self.entrance.call(method, request, request::read_create_role, |call| self.create_role(call)).await
    }

    async fn get_role(&self, request: Request<GetRoleRequest>) -> Result<Response<Role>, Status> {
        let read = |message: &GetRoleRequest| request::read_name(RoleName::parse(&message.name));
        self.entrance.call("DirectoryService/GetRole", request, read, |call| self.role(call)).await
    }

    async fn list_roles(&self, request: Request<ListRolesRequest>) -> Result<Response<ListRolesResponse>, Status> {
        let method = "DirectoryService/ListRoles";
        let page = self.entrance.call(method, request, request::read_list_roles, |call| self.roles(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (roles, revision) = (page.roles, Some(revision.into()));
            ListRolesResponse { roles, next_page_token, revision }
        }))
    }

    async fn update_role(&self, request: Request<UpdateRoleRequest>) -> Result<Response<Role>, Status> {
        let method = "DirectoryService/UpdateRole";
        self.entrance.call(method, request, request::read_update_role, |call| self.update_role(call)).await
    }

    async fn delete_role(&self, request: Request<DeleteRoleRequest>) -> Result<Response<()>, Status> {
        let method = "DirectoryService/DeleteRole";
        self.entrance.call(method, request, request::read_delete_role, |call| self.delete(call)).await
    }

    async fn create_identity(&self, request: Request<CreateIdentityRequest>) -> Result<Response<Identity>, Status> {
        let method = "DirectoryService/CreateIdentity";
        self.entrance.call(method, request, request::read_create_identity, |call| self.create_identity(call)).await
    }

    async fn get_identity(&self, request: Request<GetIdentityRequest>) -> Result<Response<Identity>, Status> {
        let read = |message: &GetIdentityRequest| request::read_name(IdentityName::parse(&message.name));
        self.entrance.call("DirectoryService/GetIdentity", request, read, |call| self.identity(call)).await
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let method = "DirectoryService/ListIdentities";
        let page =
            self.entrance.call(method, request, request::read_list_identities, |call| self.identities(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (identities, revision) = (page.identities, Some(revision.into()));
            ListIdentitiesResponse { identities, next_page_token, revision }
        }))
    }

    async fn update_identity(&self, request: Request<UpdateIdentityRequest>) -> Result<Response<Identity>, Status> {
        let method = "DirectoryService/UpdateIdentity";
        self.entrance.call(method, request, request::read_update_identity, |call| self.update_identity(call)).await
    }

    async fn delete_identity(&self, request: Request<DeleteIdentityRequest>) -> Result<Response<()>, Status> {
        let method = "DirectoryService/DeleteIdentity";
        self.entrance.call(method, request, request::read_delete_identity, |call| self.delete(call)).await
    }
}
