//! Reads for the services that hold no state: what a replica answers, and the registry in memory alike.

mod audit_log;
mod driving;
mod listing;
mod material;
mod page;
mod reach;
mod rotations;
mod select;

pub use select::select;

use crate::{Query, rehearse};
use latchkey_domain::{
    IdentityName, KeyName, KeyspaceName, NameError, OwnerName, Refusal, ResourceKind, RoleName, RotationName,
    TenantName, UnixMillis,
};
use latchkey_state::State;
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::refusal::write_refusal;
use latchkey_wire::request::read_name;
use latchkey_wire::resource::View;
use std::fmt::Display;
use tonic::Status;

/// Answers one query from one state, at `now`. What is not there is a refusal in the answer.
///
/// # Errors
/// `INVALID_ARGUMENT` where a name, a filter or a position is none.
pub fn answer(state: &State, now: UnixMillis, query: &Query) -> Result<Answer, Status> {
    let view = View::new(state, now);
    Ok(match query {
        Query::Tenant(text) => {
            let name = name(TenantName::parse(text))?;
            let found = state.tenant(&name).map(|tenant| Answer::Tenant(view.tenant(tenant)));
            found.unwrap_or_else(|| not_found(ResourceKind::Tenant, text))
        }
        Query::Keyspace(text) => {
            let name = name(KeyspaceName::parse(text))?;
            let found = state.keyspace(&name).map(|keyspace| Answer::Keyspace(view.keyspace(keyspace)));
            found.unwrap_or_else(|| not_found(ResourceKind::Keyspace, text))
        }
        Query::Owner(text) => {
            let name = name(OwnerName::parse(text))?;
            let found = state.owner(&name).map(|owner| Answer::Owner(view.owner(owner)));
            found.unwrap_or_else(|| not_found(ResourceKind::Owner, text))
        }
        Query::Identity(text) => {
            let name = name(IdentityName::parse(text))?;
            let found = state.identity(&name).map(|identity| Answer::Identity(view.identity(identity)));
            found.unwrap_or_else(|| not_found(ResourceKind::Identity, text))
        }
        Query::Key(text) => {
            let name = name(KeyName::parse(text))?;
            let found = state.key(&name).map(|key| Answer::Key(view.key(key)));
            found.unwrap_or_else(|| not_found(ResourceKind::Key, text))
        }
        Query::Role(text) => {
            let name = name(RoleName::parse(text))?;
            found_role(&view, &name).unwrap_or_else(|| not_found(ResourceKind::Role, text))
        }
        Query::Rotation(text) => {
            let name = name(RotationName::parse(text))?;
            let found = state.rotation(&name).map(|rotation| Answer::Rotation(view.rotation_with_text(rotation)));
            found.unwrap_or_else(|| not_found(ResourceKind::Rotation, text))
        }
        Query::List(list) => page::page(&view, list)?,
        Query::Material(query) => material::material(state, now, query)?,
        Query::Rehearsal(command) => Answer::Rehearsed(rehearse(state, now, command)?),
        Query::Reach(scope) => reach::reach(&view, scope)?,
        Query::Driving(query) => driving::driving(state, now, query)?,
        Query::AuditLog(pb::AuditLogQuery {}) => Answer::AuditLog(audit_log::audit_log(state)),
    })
}

/// The built-in ones are in every tenant that is there.
fn found_role(view: &View<'_>, name: &RoleName) -> Option<Answer> {
    if let Some(role) = latchkey_domain::BuiltInRole::parse(name.role.as_str()) {
        let tenant = view.state.tenant(&name.parent())?;
        return Some(Answer::Role(view.built_in_role(&tenant.id, role)));
    }
    view.state.role(name).map(|role| Answer::Role(view.role(role)))
}

fn name<T>(parsed: Result<T, NameError>) -> Result<T, Status> {
    read_name(parsed).map_err(|violations| Rejection::FieldsInvalid(violations).into())
}

fn not_found(kind: ResourceKind, name: &impl Display) -> Answer {
    Answer::Refusal(write_refusal(&Refusal::NotFound { kind, name: name.to_string() }))
}
