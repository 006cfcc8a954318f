//! `UpdateKey`, `ResumeKey` and `RestrictKey`.

use crate::Handlers;
use crate::handlers::Manner;
use latchkey_domain::{DurationMillis, Duty, Revision};
use latchkey_link::answers::unexpected;
use latchkey_link::{Authorized, Call, ProvenIdentity, Registry, Time, regions, visibility};
use latchkey_state::{Operation, RestrictKey, ResumeKey, UpdateKey};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{AwaitedWrite, Write};
use tokio::time::Instant;
use tonic::Status;

/// Who may suspend, resume and restrict.
const OPERATORS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// A key that was changed, or would be.
struct Changed {
    key: v1::Key,
    bound: DurationMillis,
    revision: Revision,
    replayed: bool,
}

impl<R: Registry> Handlers<R> {
    pub(crate) async fn update_key(&self, call: Call<Write<UpdateKey>>) -> Result<v1::Key, Status> {
        let name = call.asked.operation.key.clone();
        // Not for one's own management keys: whoever has stolen one could take its networks away, and its end.
        let Call { asked, identity, by, .. } = call;
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &name, &[Duty::Issuer], by).await?;
        let (Write { operation, request, validate_only }, identity) = authorized.into_parts();
        let manner = Manner::of(request, validate_only);
        let operation = Operation::UpdateKey(Box::new(operation));
        Ok(self.change_key(&identity, manner, operation, by).await?.key)
    }

    pub(crate) async fn resume_key(
        &self,
        call: Call<AwaitedWrite<ResumeKey>>,
    ) -> Result<v1::ResumeKeyResponse, Status> {
        let Call { asked, identity, extensions, .. } = call;
        let (by, name) = (Time::waiting(&extensions, asked.wait), asked.operation.key.clone());
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &name, &OPERATORS, by).await?;
        let (AwaitedWrite { operation, request, validate_only, wait }, identity) = authorized.into_parts();
        let manner = Manner::of(request, validate_only);
        let changed = self.change_key(&identity, manner, Operation::ResumeKey(operation), by).await?;
        let Changed { key, bound, revision, replayed } = changed;
        let replicas = self.wait(manner, wait, revision, bound, by).await;
        let regions = visibility(&replicas);
        Ok(v1::ResumeKeyResponse { key: Some(key), revision: Some(revision.into()), regions, replayed })
    }

    pub(crate) async fn restrict_key(
        &self,
        call: Call<AwaitedWrite<RestrictKey>>,
    ) -> Result<v1::RestrictKeyResponse, Status> {
        let Call { asked, identity, extensions, .. } = call;
        let (by, name) = (Time::waiting(&extensions, asked.wait), asked.operation.key.clone());
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &name, &OPERATORS, by).await?;
        let (AwaitedWrite { operation, request, validate_only, wait }, identity) = authorized.into_parts();
        let manner = Manner::of(request, validate_only);
        let changed = self.change_key(&identity, manner, Operation::RestrictKey(operation), by).await?;
        let Changed { key, bound, revision, replayed } = changed;
        let replicas = self.wait(manner, wait, revision, bound, by).await;
        let regions = regions(&replicas, None);
        Ok(v1::RestrictKeyResponse { key: Some(key), revision: Some(revision.into()), regions, replayed })
    }

    async fn change_key(
        &self,
        identity: &ProvenIdentity,
        manner: Manner,
        operation: Operation,
        by: Instant,
    ) -> Result<Changed, Status> {
        let (told, revision, replayed) = self.change(identity, manner, operation, by).await?;
        let Told::Key { key, bound } = told else { return Err(unexpected("a changed key")) };
        Ok(Changed { key, bound, revision, replayed })
    }
}
