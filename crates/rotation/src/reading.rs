//! `GetRotation` and `ListRotations`.

use crate::Handlers;
use latchkey_domain::{RotationName, Scope};
use latchkey_link::{Authorized, Call, READERS, Registry, answers};
use latchkey_wire::pb::internal::v1::ListQuery;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{ListRotations, RotationParent};
use tonic::Status;

impl<R: Registry> Handlers<R> {
    pub(crate) async fn rotation(&self, call: Call<RotationName>) -> Result<v1::Rotation, Status> {
        let Call { asked, identity, by, .. } = call;
        let key = asked.key.clone();
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &key, &READERS, by).await?;
        answers::rotation(&*self.registry, authorized.request(), by).await
    }

    /// Those of management keys are listed by key, or, in progress, as a whole.
    pub(crate) async fn rotations(&self, call: Call<ListRotations>) -> Result<v1::ListRotationsResponse, Status> {
        let Call { asked, identity, by, .. } = call;
        let parent = asked.parent.clone();
        let authorized = match &parent {
            RotationParent::Key(key) => {
                Authorized::check_key(&*self.registry, asked, identity, key, &READERS, by).await?
            }
            RotationParent::Keyspace(keyspace) => {
                Authorized::check(asked, identity, &READERS, &Scope::Keyspace(keyspace.clone()))?
            }
        };
        let asked = authorized.request();
        let query = ListQuery {
            collection: Collection::Rotations.into(),
            parent: parent.to_string(),
            page_size: asked.page_size,
            // That the caller may read all of the parent was just checked.
            scopes: vec![String::new()],
            position: asked.position.clone().unwrap_or_default(),
            ..ListQuery::default()
        };
        let (page, revision) = answers::page(&*self.registry, query, by).await?;
        let next = Some(page.next_position).filter(|position| !position.is_empty());
        Ok(v1::ListRotationsResponse {
            rotations: page.rotations,
            next_page_token: next.map(|position| asked.next_page_token(&position)).unwrap_or_default(),
            revision: Some(revision.into()),
        })
    }
}
