//! Making tenants, keyspaces, owners and identities.

use crate::handlers::{Call, Handlers, command};
use crate::rehearsal::Rehearsal;
use latchkey_domain::{Duty, Grant, Refusal, ResourceKind, RingNumber, Scope};
use latchkey_link::answers::{self, told, unexpected};
use latchkey_link::{ProvenIdentity, Registry, TenantMaterial};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{Operation, RequestMark, WrappedKey, may_give};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::status;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant};
use tokio::time::Instant;
use tonic::{Code, Status};

/// Who may make what the directory holds.
const MAKERS: [Duty; 1] = [Duty::Admin];

impl<R: Registry> Handlers<R> {
    pub(crate) async fn create_tenant(&self, call: Call<CreateTenant>) -> Result<v1::Tenant, Status> {
        let by = call.by;
        let (asked, identity) = call.authorize(&MAKERS, &Scope::System)?.into_parts();
        let CreateTenant { name, display_name, request, validate_only } = asked;
        let (tenant_key, audit_key) =
            if validate_only { (unwrapped(), unwrapped()) } else { self.tenant_keys(by).await? };
        let tenant = name.tenant.clone();
        let operation =
            Operation::CreateTenant(latchkey_state::CreateTenant { tenant, display_name, tenant_key, audit_key });
        let told = if validate_only {
            let rehearsal = Rehearsal::new(&self.material.cluster(&*self.registry, by).await?, &identity);
            let told = rehearsal.perform(command(&identity, None, operation))?;
            absent(answers::tenant(&*self.registry, &name, by).await, ResourceKind::Tenant, &name)?;
            told
        } else {
            self.carry_out(&identity, request, operation, by).await?
        };
        let Told::Tenant(tenant) = told else { return Err(unexpected("a new tenant")) };
        Ok(tenant)
    }

    pub(crate) async fn create_keyspace(&self, call: Call<CreateKeyspace>) -> Result<v1::Keyspace, Status> {
        let by = call.by;
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = call.authorize(&MAKERS, &scope)?.into_parts();
        let CreateKeyspace { name, settings, request, validate_only } = asked;
        let material = self.material.tenant(&*self.registry, &name.parent(), by).await?;
        let data_key = if validate_only { unwrapped() } else { self.data_key(&material, by).await? };
        let operation = latchkey_state::CreateKeyspace { name: name.clone(), settings, data_key };
        let operation = Operation::CreateKeyspace(Box::new(operation));
        let told = if validate_only {
            let told = rehearse(&material, &identity, operation)?;
            absent(answers::keyspace(&*self.registry, &name, by).await, ResourceKind::Keyspace, &name)?;
            told
        } else {
            self.carry_out(&identity, request, operation, by).await?
        };
        let Told::Keyspace(keyspace) = told else { return Err(unexpected("a new keyspace")) };
        Ok(keyspace)
    }

    pub(crate) async fn create_owner(&self, call: Call<CreateOwner>) -> Result<v1::Owner, Status> {
        let by = call.by;
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = call.authorize(&MAKERS, &scope)?.into_parts();
        let CreateOwner { name, display_name, contacts, request, validate_only } = asked;
        let operation = latchkey_state::CreateOwner { name: name.clone(), display_name, contacts };
        let operation = Operation::CreateOwner(operation);
        let told = if validate_only {
            let material = self.material.tenant(&*self.registry, &name.parent(), by).await?;
            let told = rehearse(&material, &identity, operation)?;
            absent(answers::owner(&*self.registry, &name, by).await, ResourceKind::Owner, &name)?;
            told
        } else {
            self.carry_out(&identity, request, operation, by).await?
        };
        let Told::Owner(owner) = told else { return Err(unexpected("a new owner")) };
        Ok(owner)
    }

    pub(crate) async fn create_identity(&self, call: Call<CreateIdentity>) -> Result<v1::Identity, Status> {
        let by = call.by;
        let scope = Scope::Tenant(call.asked.name.parent());
        let (asked, identity) = call.authorize(&MAKERS, &scope)?.into_parts();
        let CreateIdentity { name, display_name, grants, request, validate_only } = asked;
        let operation = latchkey_state::CreateIdentity { name: name.clone(), display_name, grants: grants.clone() };
        let operation = Operation::CreateIdentity(operation);
        let told = if validate_only {
            let material = self.material.tenant(&*self.registry, &name.parent(), by).await?;
            let mine = identity.identity == name;
            let mut rehearsal = Rehearsal::new(&material.cluster, &identity);
            rehearsal.tenant(&material);
            self.put_scopes(&mut rehearsal, &identity, &grants, by).await?;
            let told = if mine { None } else { Some(rehearsal.perform(command(&identity, None, operation))?) };
            absent(answers::identity(&*self.registry, &name, by).await, ResourceKind::Identity, &name)?;
            told.ok_or_else(|| unexpected("an identity that called and is not there"))?
        } else {
            self.carry_out(&identity, request, operation, by).await?
        };
        let Told::Identity(identity) = told else { return Err(unexpected("a new identity")) };
        Ok(identity)
    }

    /// Puts what grants are on, so that a rehearsal finds it. Not for a grant that the caller may not give: that is refused
    /// first, and tells nothing of what there is.
    async fn put_scopes(
        &self,
        rehearsal: &mut Rehearsal,
        identity: &ProvenIdentity,
        grants: &[Grant],
        by: Instant,
    ) -> Result<(), Status> {
        for grant in grants.iter().filter(|grant| may_give(&identity.grants, grant)) {
            match &grant.scope {
                Scope::System => {}
                Scope::Tenant(name) => rehearsal.tenant(&self.material.tenant(&*self.registry, name, by).await?),
                Scope::Keyspace(name) => {
                    let material = self.material.keyspace(&*self.registry, name, by).await?;
                    rehearsal.keyspace(&material.tenant, &material.keyspace);
                }
            }
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        identity: &ProvenIdentity,
        request: Option<RequestMark>,
        operation: Operation,
        by: Instant,
    ) -> Result<Told, Status> {
        let proposed = self.registry.propose(&command(identity, request, operation), by).await?;
        Ok(told(proposed)?.0)
    }

    async fn tenant_keys(&self, by: Instant) -> Result<(WrappedKey, WrappedKey), Status> {
        let cluster = self.registry.cluster(by).await?;
        let tenant = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Tenant);
        let audit = DrawnKey::draw(&mut OsEntropy, cluster, RingKind::Audit);
        // The tenant's key has no number yet.
        let audit_key = audit.wrapped_under(Numbered::new(RingNumber(0), tenant.key()), &mut OsEntropy);
        Ok((self.material.wrap(&tenant, by).await?, audit_key))
    }

    async fn data_key(&self, material: &TenantMaterial, by: Instant) -> Result<WrappedKey, Status> {
        let tenant_key = self.material.tenant_key(material, by).await?;
        let drawn = DrawnKey::draw(&mut OsEntropy, material.cluster.cluster, RingKind::Keyspace);
        Ok(drawn.wrapped_under(Numbered::new(tenant_key.number, &*tenant_key.key), &mut OsEntropy))
    }
}

fn rehearse(material: &TenantMaterial, identity: &ProvenIdentity, operation: Operation) -> Result<Told, Status> {
    let mut rehearsal = Rehearsal::new(&material.cluster, identity);
    rehearsal.tenant(material);
    rehearsal.perform(command(identity, None, operation))
}

/// Stands for a wrapped key in a rehearsal, where nothing is sealed.
fn unwrapped() -> WrappedKey {
    WrappedKey { id: [0; 16], wrapped: Box::default() }
}

/// That nothing has this name, as far as this process knows.
fn absent<T>(found: Result<T, Status>, kind: ResourceKind, name: &impl ToString) -> Result<(), Status> {
    match found {
        Ok(_) => Err(status::refused(&Refusal::AlreadyExists { kind, name: name.to_string() })),
        Err(status) if status.code() == Code::NotFound => Ok(()),
        Err(status) => Err(status),
    }
}
