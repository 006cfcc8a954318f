//! Changing tenants, keyspaces, owners, roles and identities: what the mask names, and nothing else.

use crate::Handlers;
use crate::creating::MAKERS;
use crate::handlers::Manner;
use latchkey_domain::Scope;
use latchkey_link::answers::unexpected;
use latchkey_link::{Authorized, Call, Registry};
use latchkey_state::{Operation, UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::Write;
use tonic::Status;

/// A change of one kind of resource: which scope it needs, what it asks of the state, and what is answered.
macro_rules! updates {
    ($($method:ident, $operation:ident, $scope:expr, $into:expr, $told:ident, $what:literal;)+) => {
        impl<R: Registry> Handlers<R> {$(
            pub(crate) async fn $method(&self, call: Call<Write<$operation>>) -> Result<v1::$told, Status> {
                let scope = $scope(&call.asked.operation);
                let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
                let Write { operation, request, validate_only } = asked;
                let manner = Manner::of(request, validate_only);
                match self.change(&identity, manner, $into(operation), call.by).await?.0 {
                    Told::$told(changed) => Ok(changed),
                    _ => Err(unexpected($what)),
                }
            }
        )+}
    };
}
updates! {
    update_tenant, UpdateTenant, UpdateTenant::authority, Operation::UpdateTenant, Tenant, "a changed tenant";
    update_keyspace, UpdateKeyspace, UpdateKeyspace::authority, boxed_keyspace, Keyspace, "a changed keyspace";
    update_owner, UpdateOwner, scope_of_owner, Operation::UpdateOwner, Owner, "a changed owner";
    update_role, UpdateRole, scope_of_role, Operation::UpdateRole, Role, "a changed role";
    update_identity, UpdateIdentity, scope_of_identity, Operation::UpdateIdentity, Identity, "a changed identity";
}

fn boxed_keyspace(operation: UpdateKeyspace) -> Operation {
    Operation::UpdateKeyspace(Box::new(operation))
}

fn scope_of_owner(operation: &UpdateOwner) -> Scope {
    Scope::Tenant(operation.name.parent())
}

fn scope_of_role(operation: &UpdateRole) -> Scope {
    Scope::Tenant(operation.name.parent())
}

fn scope_of_identity(operation: &UpdateIdentity) -> Scope {
    Scope::Tenant(operation.name.parent())
}
