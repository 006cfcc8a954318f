//! `GetRotation`, `ListRotations` and `ListDueRotations`.

use crate::Handlers;
use latchkey_domain::RotationName;
use latchkey_link::{Authorized, Call, READERS, Registry, answers};
use latchkey_wire::pb::internal::v1::ListQuery;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{ListDueRotations, ListRotations, RotationParent};
use std::fmt::Display;
use tonic::Status;

impl<R: Registry> Handlers<R> {
    pub(crate) async fn rotation(&self, call: Call<RotationName>) -> Result<v1::Rotation, Status> {
        let Call { asked, identity, by, .. } = call;
        let key = asked.key.clone();
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &key, &READERS, by).await?;
        let mut rotation = answers::rotation(&*self.registry, authorized.request(), by).await?;
        rotation.evidence = self.shown_evidence(&rotation, by).await;
        Ok(rotation)
    }

    /// Those of management keys are listed by key, or, in progress, as a whole.
    pub(crate) async fn rotations(&self, call: Call<ListRotations>) -> Result<v1::ListRotationsResponse, Status> {
        let Call { asked, identity, by, .. } = call;
        let parent = asked.parent.clone();
        let authorized = match &parent {
            RotationParent::Key(key) => {
                Authorized::check_key(&*self.registry, asked, identity, key, &READERS, by).await?
            }
            RotationParent::InProgress(parent) => Authorized::check(asked, identity, &READERS, &parent.scope())?,
        };
        let asked = authorized.request();
        let query = ListQuery {
            collection: Collection::Rotations.into(),
            filter: asked.filter.clone(),
            ..query_of(&parent, asked.page_size, asked.position.as_ref())
        };
        let (page, revision) = answers::page(&*self.registry, query, by).await?;
        let next = Some(page.next_position).filter(|position| !position.is_empty());
        Ok(v1::ListRotationsResponse {
            rotations: page.rotations,
            next_page_token: next.map(|position| asked.next_page_token(&position)).unwrap_or_default(),
            revision: Some(revision.into()),
        })
    }

    pub(crate) async fn due_rotations(
        &self,
        call: Call<ListDueRotations>,
    ) -> Result<v1::ListDueRotationsResponse, Status> {
        let Call { asked, identity, by, .. } = call;
        let scope = asked.parent.scope();
        let authorized = Authorized::check(asked, identity, &READERS, &scope)?;
        let asked = authorized.request();
        let query = ListQuery {
            collection: Collection::DueRotations.into(),
            within_ms: asked.within.millis(),
            ..query_of(&asked.parent, asked.page_size, asked.position.as_ref())
        };
        let (page, revision) = answers::page(&*self.registry, query, by).await?;
        let next = Some(page.next_position).filter(|position| !position.is_empty());
        Ok(v1::ListDueRotationsResponse {
            due_rotations: page.due_rotations,
            next_page_token: next.map(|position| asked.next_page_token(&position)).unwrap_or_default(),
            revision: Some(revision.into()),
        })
    }
}

fn query_of(parent: &impl Display, page_size: u32, position: Option<&Vec<u8>>) -> ListQuery {
    ListQuery {
        parent: parent.to_string(),
        page_size,
        // That the caller may read all of the parent was just checked.
        scopes: vec![String::new()],
        position: position.cloned().unwrap_or_default(),
        ..ListQuery::default()
    }
}
