//! Who is told of a key: the contacts of its owner and of its tenant.

use latchkey_domain::{KeyName, OwnerName};
use latchkey_link::{Registry, answers};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::{Code, Status};

/// Who is told of something.
pub trait Contacts: Send + Sync + 'static {
    /// The contacts of a key's owner and tenant, as they wrote them. Empty: there are none, or the key is gone.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    fn of(&self, about: &str, by: Instant) -> impl Future<Output = Result<Vec<String>, Status>> + Send;
}

/// As the replicated state knows them.
#[derive(Debug)]
pub struct OverRegistry<R> {
    registry: Arc<R>,
}

impl<R> OverRegistry<R> {
    /// Of this cluster.
    #[must_use]
    pub const fn new(registry: Arc<R>) -> Self {
        Self { registry }
    }
}

impl<R: Registry> Contacts for OverRegistry<R> {
    async fn of(&self, about: &str, by: Instant) -> Result<Vec<String>, Status> {
        let Ok(name) = KeyName::parse(about) else { return Ok(Vec::new()) };
        let Some(key) = there(answers::key(&*self.registry, &name, by).await)? else { return Ok(Vec::new()) };
        let mut contacts = Vec::new();
        if let Ok(owner) = OwnerName::parse(&key.0.owner) {
            contacts.extend(
                there(answers::owner(&*self.registry, &owner, by).await)?.into_iter().flat_map(|owner| owner.contacts),
            );
        }
        let tenant = there(answers::tenant(&*self.registry, &name.keyspace.parent(), by).await)?;
        contacts.extend(tenant.into_iter().flat_map(|tenant| tenant.contacts));
        Ok(contacts)
    }
}

/// What is gone has no contacts.
fn there<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}
