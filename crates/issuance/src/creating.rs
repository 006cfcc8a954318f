//! Making tenants, keyspaces, owners, roles and identities.

use crate::Handlers;
use crate::handlers::Manner;
use latchkey_domain::{Duty, RingNumber, Scope, TenantName};
use latchkey_link::answers::unexpected;
use latchkey_link::{Authorized, Call, Registry};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{CreateRole, Operation, WrappedKey};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant, Write};
use tokio::time::Instant;
use tonic::Status;

/// Who may make, change and delete what the directory holds.
pub(crate) const MAKERS: [Duty; 1] = [Duty::Admin];

impl<R: Registry> Handlers<R> {
    pub(crate) async fn create_tenant(&self, call: Call<CreateTenant>) -> Result<v1::Tenant, Status> {
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &Scope::System)?.into_parts();
        let CreateTenant { name, display_name, contacts, request, validate_only } = asked;
        let manner = Manner::of(request, validate_only);
        let (tenant_key, audit_key) =
            if manner.is_rehearsal() { (unwrapped(), unwrapped()) } else { self.tenant_keys(call.by).await? };
        let tenant = name.tenant;
        let operation = latchkey_state::CreateTenant { tenant, display_name, contacts, tenant_key, audit_key };
        match self.change(&identity, manner, Operation::CreateTenant(operation), call.by).await?.0 {
            Told::Tenant(tenant) => Ok(tenant),
            _ => Err(unexpected("a new tenant")),
        }
    }

    pub(crate) async fn create_keyspace(&self, call: Call<CreateKeyspace>) -> Result<v1::Keyspace, Status> {
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
        let CreateKeyspace { name, settings, request, validate_only } = asked;
        let manner = Manner::of(request, validate_only);
        let data_key = if manner.is_rehearsal() { unwrapped() } else { self.data_key(&name.parent(), call.by).await? };
        let operation = latchkey_state::CreateKeyspace { name, settings, data_key };
        match self.change(&identity, manner, Operation::CreateKeyspace(Box::new(operation)), call.by).await?.0 {
            Told::Keyspace(keyspace) => Ok(keyspace),
            _ => Err(unexpected("a new keyspace")),
        }
    }

    pub(crate) async fn create_owner(&self, call: Call<CreateOwner>) -> Result<v1::Owner, Status> {
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
        let CreateOwner { name, display_name, contacts, request, validate_only } = asked;
        let operation = Operation::CreateOwner(latchkey_state::CreateOwner { name, display_name, contacts });
        match self.change(&identity, Manner::of(request, validate_only), operation, call.by).await?.0 {
            Told::Owner(owner) => Ok(owner),
            _ => Err(unexpected("a new owner")),
        }
    }

    pub(crate) async fn create_role(&self, call: Call<Write<CreateRole>>) -> Result<v1::Role, Status> {
        let scope = Scope::Tenant(call.asked.operation.name.parent());
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
        let Write { operation, request, validate_only } = asked;
        let manner = Manner::of(request, validate_only);
        match self.change(&identity, manner, Operation::CreateRole(operation), call.by).await?.0 {
            Told::Role(role) => Ok(role),
            _ => Err(unexpected("a new role")),
        }
    }

    pub(crate) async fn create_identity(&self, call: Call<CreateIdentity>) -> Result<v1::Identity, Status> {
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
        let CreateIdentity { name, display_name, grants, request, validate_only } = asked;
        let operation = Operation::CreateIdentity(latchkey_state::CreateIdentity { name, display_name, grants });
        match self.change(&identity, Manner::of(request, validate_only), operation, call.by).await?.0 {
            Told::Identity(identity) => Ok(identity),
            _ => Err(unexpected("a new identity")),
        }
    }

    async fn tenant_keys(&self, by: Instant) -> Result<(WrappedKey, WrappedKey), Status> {
        let of = self.material.cluster(&*self.registry, by).await?;
        let tenant = DrawnKey::draw(&mut OsEntropy, of.cluster, RingKind::Tenant);
        let audit = DrawnKey::draw(&mut OsEntropy, of.cluster, RingKind::Audit);
        // The tenant's key has no number yet.
        let audit_key = audit.wrapped_under(Numbered::new(RingNumber(0), tenant.key()), &mut OsEntropy);
        Ok((self.material.wrap(&of, &tenant, by).await?, audit_key))
    }

    async fn data_key(&self, tenant: &TenantName, by: Instant) -> Result<WrappedKey, Status> {
        let material = self.material.tenant(&*self.registry, tenant, by).await?;
        let tenant_key = self.material.tenant_key(&material, by).await?;
        let drawn = DrawnKey::draw(&mut OsEntropy, material.cluster.cluster, RingKind::Keyspace);
        Ok(drawn.wrapped_under(Numbered::new(tenant_key.number, &*tenant_key.key), &mut OsEntropy))
    }
}

/// Stands for a wrapped key in a rehearsal, where nothing is sealed.
fn unwrapped() -> WrappedKey {
    WrappedKey { id: [0; 16], wrapped: Box::default() }
}
