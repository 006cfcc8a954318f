//! The key that this replica cosigns with, and what it cosigned last: one word of the storage, sealed under the log key.

use crate::core::Core;
use crate::keyring::sealing_key;
use crate::resealing::{Replaced, ResealError};
use crate::sealing::UnsealError;
use latchkey_crypto::{draw, envelope};
use latchkey_state::AuditCheckpoint;
use latchkey_storage::{Store, StoreError, Word};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::Unavailable;
use latchkey_wire::disk::{NodeKey, decode_node_key, encode_node_key};
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tonic::Status;
use zeroize::Zeroizing;

/// The node key of one replica. Absent until it was drawn.
#[derive(Default)]
pub(crate) struct NodeKeyBook {
    kept: Mutex<Option<NodeKey>>,
}

impl NodeKeyBook {
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<NodeKey>> {
        self.kept.lock().await
    }

    /// Reads what lies on disk, where there is something.
    pub(crate) async fn load(&self, core: &Core) -> Result<(), UnsealError> {
        let mut kept = self.lock().await;
        let Some(sealed) = core.store.word(Word::NodeKey).filter(|_| kept.is_none()) else { return Ok(()) };
        let plain = core.sealer.open_node_key(&sealed).await?;
        let read = decode_node_key(&plain).map_err(|error| UnsealError::Content { what: "node key", error })?;
        *kept = Some(read);
        Ok(())
    }

    /// The seed, drawn where there was none. Durable on return.
    pub(super) async fn seed(&self, core: &Core) -> Result<Zeroizing<[u8; 32]>, Status> {
        let mut kept = self.lock().await;
        let key = match kept.as_ref() {
            Some(key) => key.clone(),
            None => {
                let key = NodeKey { seed: Zeroizing::new(draw(&mut OsEntropy)), signed: None, tree: (0, 0) };
                keep(core, &key).await?;
                key
            }
        };
        let seed = key.seed.clone();
        *kept = Some(key);
        Ok(seed)
    }

    /// Takes note of what is vouched for, and of which log it is. Durable on return; a repeat is already.
    pub(super) async fn sign(
        &self,
        core: &Core,
        kept: &mut MutexGuard<'_, Option<NodeKey>>,
        checkpoint: AuditCheckpoint,
        tree: (u64, u64),
    ) -> Result<(), Status> {
        let Some(key) = kept.as_mut() else { return Err(Unavailable::Starting.into_status()) };
        if key.signed == Some(checkpoint) && key.tree == tree {
            return Ok(());
        }
        let signed = NodeKey { signed: Some(checkpoint), tree, ..key.clone() };
        keep(core, &signed).await?;
        *key = signed;
        Ok(())
    }

    /// Moves what lies on disk from a key that another took the place of to that one.
    pub(crate) async fn reseal(&self, core: &Core, replaced: &Replaced) -> Result<(), ResealError> {
        // Whoever changes it meanwhile seals it anew.
        let kept = self.lock().await;
        let sealed = core.store.word(Word::NodeKey);
        let number = sealed.as_deref().and_then(|sealed| envelope::ring_number(sealed).ok());
        let (Some(key), Some(to)) = (kept.as_ref(), number.and_then(|number| replaced.get(&number))) else {
            return Ok(());
        };
        let sealed = core.sealer.seal_node_key(*to, &encode_node_key(key), &mut OsEntropy).await;
        save(core.store.as_ref(), sealed.map_err(UnsealError::Keyring)?).await?;
        drop(kept);
        Ok(())
    }
}

async fn keep(core: &Core, key: &NodeKey) -> Result<(), Status> {
    // By a key that is on disk: this is durable before the rows of the newest records are.
    let on_disk = sealing_key(&core.rows.on_disk(), None).or_else(|| sealing_key(&core.state(), None));
    let log_key = on_disk.ok_or_else(|| Unavailable::Starting.into_status())?;
    let sealed = core.sealer.seal_node_key(log_key, &encode_node_key(key), &mut OsEntropy).await;
    let sealed = sealed.map_err(|_| Unavailable::Locked.into_status())?;
    save(core.store.as_ref(), sealed).await.map_err(|_| Unavailable::DiskFull.into_status())
}

async fn save(store: &dyn Store, sealed: Vec<u8>) -> Result<(), StoreError> {
    let (answer, answered) = oneshot::channel();
    store.save_word(Word::NodeKey, sealed.into(), Box::new(move |result| drop(answer.send(result))));
    answered.await.unwrap_or_else(|_| Err(StoreError::Stopped { why: "the store is gone".into() }))
}
