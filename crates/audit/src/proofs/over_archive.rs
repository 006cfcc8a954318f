//! [`PublicLog`] over the archive.

use crate::archive::Archive;
use crate::proofs::PublicLog;
use latchkey_transparency::Resource;
use latchkey_transparency::note::VerifierKey;
use latchkey_transport::{Unavailable, status};
use tokio::sync::watch;
use tonic::{Status, async_trait};

/// What an archive shows to everybody.
#[derive(Clone, Debug)]
pub struct OverArchive {
    archive: Archive,
    keys: watch::Receiver<Vec<VerifierKey>>,
    handovers: watch::Receiver<Vec<String>>,
}

impl OverArchive {
    /// Over this archive, whose checkpoints these keys verify, audit's own first, and what leads to that from older ones.
    #[must_use]
    pub const fn new(
        archive: Archive,
        keys: watch::Receiver<Vec<VerifierKey>>,
        handovers: watch::Receiver<Vec<String>>,
    ) -> Self {
        Self { archive, keys, handovers }
    }
}

#[async_trait]
impl PublicLog for OverArchive {
    async fn object(&self, resource: Resource) -> Result<Option<Vec<u8>>, Status> {
        let found = self.archive.public(resource).await.map_err(|error| {
            if error.may_pass() {
                tracing::warn!(%error, "the archive cannot be read");
                return Unavailable::Starting.into();
            }
            status::bug(&error.to_string())
        });
        Ok(found?.map(Vec::from))
    }

    fn verifier_keys(&self) -> Vec<VerifierKey> {
        self.keys.borrow().clone()
    }

    fn handovers(&self) -> Vec<String> {
        self.handovers.borrow().clone()
    }
}
