//! What proves the log to whoever does not trust who runs it: checkpoints, proofs, and tiles over plain HTTP.
//!
//! ```text
//! archive -> PublicLog -> Prover -> GetCheckpoint, GetInclusionProof, GetConsistencyProof
//!                     '-> Listener -> GET /checkpoint, /tile/<level>/<number>, /tile/entries/<number>
//! ```
//! A proof is checked here before it leaves: what is damaged on the disk is an error and an incident, and no answer that
//! would look like a forged log.

mod answer;
mod http;
mod over_archive;
mod prover;
mod request;
mod rpc;

pub use http::{Listener, ListenerError};
pub use over_archive::OverArchive;
pub use prover::{Inclusion, Newest, Prover};
pub(crate) use request::{ConsistencyAsked, InclusionAsked, read_checkpoint};

use latchkey_transparency::Resource;
use latchkey_transparency::note::VerifierKey;
use std::sync::{Arc, OnceLock};
use tonic::{Status, async_trait};

/// What the log shows to everybody, as it is stored.
#[async_trait]
pub trait PublicLog: Send + Sync + 'static {
    /// What is stored under the path of `resource`; `None` where nothing is.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the store cannot be reached.
    async fn object(&self, resource: Resource) -> Result<Option<Vec<u8>>, Status>;

    /// The keys that verify checkpoints, as this process knows them: audit's own first, then the replicas'.
    fn verifier_keys(&self) -> Vec<VerifierKey>;

    /// The notes by which older keys of the log handed it over, the oldest first.
    fn handovers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The prover, once there is something to prove.
pub type Proving = Arc<OnceLock<Prover>>;
