//! What all handlers share.

use latchkey_crypto::draw;
use latchkey_domain::{Duty, Scope};
use latchkey_link::{Authorized, Material, ProvenIdentity, Registry, Time, fields_invalid, identify};
use latchkey_state::{Command, Operation, RequestMark};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::violation::FieldViolations;
use std::sync::Arc;
use tokio::time::Instant;
use tonic::{Extensions, Request, Status};

/// The RPCs of issuance over any registry. Cheap to clone.
#[derive(Debug)]
pub struct Handlers<R> {
    pub(crate) registry: Arc<R>,
    pub(crate) material: Arc<Material>,
}

impl<R> Clone for Handlers<R> {
    fn clone(&self) -> Self {
        Self { registry: self.registry.clone(), material: self.material.clone() }
    }
}

/// A request whose caller is known and whose fields are what they must be.
pub(crate) struct Call<T> {
    pub(crate) asked: T,
    pub(crate) identity: ProvenIdentity,
    pub(crate) extensions: Extensions,
    pub(crate) by: Instant,
}

impl<R: Registry> Handlers<R> {
    /// Over this registry, minting with this access to the KEK.
    #[must_use]
    pub const fn new(registry: Arc<R>, material: Arc<Material>) -> Self {
        Self { registry, material }
    }

    /// Finds out who calls, then reads the request: a stranger is told nothing about fields.
    pub(crate) async fn call<M, T>(
        &self,
        request: Request<M>,
        read: impl FnOnce(&M) -> Result<T, FieldViolations>,
    ) -> Result<Call<T>, Status> {
        self.call_or(request, |message| read(message).map_err(fields_invalid)).await
    }

    /// As [`Self::call`], for requests with refusals of their own.
    pub(crate) async fn call_or<M, T>(
        &self,
        request: Request<M>,
        read: impl FnOnce(&M) -> Result<T, Status>,
    ) -> Result<Call<T>, Status> {
        let (_, extensions, message) = request.into_parts();
        let by = Time::of(&extensions);
        let identity = identify(&*self.registry, &extensions, by).await?;
        Ok(Call { asked: read(&message)?, identity, extensions, by })
    }
}

impl<T> Call<T> {
    /// Checks that the caller holds one of `duties` on `scope`.
    pub(crate) fn authorize(self, duties: &[Duty], scope: &Scope) -> Result<Authorized<T>, Status> {
        Authorized::check(self.asked, self.identity, duties, scope)
    }
}

/// A command of a proven identity.
pub(crate) fn command(identity: &ProvenIdentity, request: Option<RequestMark>, operation: Operation) -> Command {
    Command { request, ..Command::new(identity.actor(), draw(&mut OsEntropy), operation) }
}
