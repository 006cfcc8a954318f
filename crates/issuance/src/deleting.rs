//! Deleting what the directory holds: what holds nothing that lives.

use crate::Handlers;
use crate::creating::MAKERS;
use crate::handlers::Manner;
use latchkey_domain::Scope;
use latchkey_link::answers::unexpected;
use latchkey_link::{Authorized, Call, Registry};
use latchkey_state::{Delete, DirectoryName, Operation};
use latchkey_wire::applied::Told;
use latchkey_wire::request::Write;
use tonic::Status;

impl<R: Registry> Handlers<R> {
    pub(crate) async fn delete(&self, call: Call<Write<Delete>>) -> Result<(), Status> {
        let scope = scope(&call.asked.operation.name);
        let (asked, identity) = Authorized::check(call.asked, call.identity, &MAKERS, &scope)?.into_parts();
        let Write { operation, request, validate_only } = asked;
        let manner = Manner::of(request, validate_only);
        match self.change(&identity, manner, Operation::Delete(operation), call.by).await?.0 {
            Told::Done => Ok(()),
            _ => Err(unexpected("a deletion")),
        }
    }
}

/// A resource is deleted by whoever could make it.
fn scope(name: &DirectoryName) -> Scope {
    match name {
        DirectoryName::Tenant(_) => Scope::System,
        DirectoryName::Keyspace(name) => Scope::Tenant(name.parent()),
        DirectoryName::Owner(name) => Scope::Tenant(name.parent()),
        DirectoryName::Role(name) => Scope::Tenant(name.parent()),
        DirectoryName::Identity(name) => Scope::Tenant(name.parent()),
    }
}
