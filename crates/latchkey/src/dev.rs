//! `latchkey dev`: every service in one process.

use crate::seed::{self, Seed, SeedError, SeededKey};
use crate::{Layout, Ports, first_start};
use latchkey_config::Mistakes;
use latchkey_issuance::{Issuance, Options};
use latchkey_kms::{FileKms, KekFileError};
use latchkey_transport::{ClusterSecret, ClusterSecretError, ServeError};
use latchkey_validation::{Running as Replica, StopError, Validation};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the one replica may take until it leads and answers. An election takes 3 s at most.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A folder or file cannot be made or moved.
    #[error("cannot prepare {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What we set is refused, which is a mistake of ours, or of the paths given.
    #[error("the settings do not fit")]
    Settings(#[from] Mistakes),
    /// The first start.
    #[error("the first start failed")]
    Init(#[from] latchkey_validation::InitError),
    /// The KEK.
    #[error("the key-encryption key cannot be had")]
    Kek(#[from] KekFileError),
    /// The cluster's secret.
    #[error("the secret of the cluster cannot be had")]
    Secret(#[from] ClusterSecretError),
    /// Validation.
    #[error("validation does not start")]
    Validation(#[from] latchkey_validation::StartError),
    /// Issuance.
    #[error("issuance does not start")]
    Issuance(#[from] latchkey_issuance::StartError),
    /// The replica does not come to lead itself.
    #[error("the replica was not ready after {} s; a look at the log with --log info may tell why", READY_WITHIN.as_secs())]
    NotReady,
    /// Validation did not end in peace.
    #[error("validation failed")]
    ValidationEnded(#[from] StopError),
    /// Issuance did not end in peace.
    #[error("issuance failed")]
    IssuanceEnded(#[from] ServeError),
}

/// Every service, serving.
#[must_use = "dropping it stops the services at once"]
pub struct Dev {
    replica: Replica,
    issuance: latchkey_issuance::Running,
    first: bool,
}

impl Dev {
    /// Starts them, with what is in the folders of `layout`; makes those on the first start. Answers when keys can be made
    /// and validated.
    ///
    /// # Errors
    /// [`DevError`]; nothing is left running then.
    pub async fn start(layout: &Layout, ports: Ports) -> Result<Self, DevError> {
        let first = first_start::ensure(layout, ports).await?;
        let settings = first_start::settings(layout, &layout.data(), ports)?;
        let replica = Validation::start(&settings).await?;
        let issuance = match start_issuance(layout, ports).await {
            Ok(issuance) => issuance,
            Err(error) => {
                // Dropped, it would keep the folder for a while.
                replica.shutdown().await?;
                return Err(error);
            }
        };
        let dev = Self { replica, issuance, first };
        if tokio::time::timeout(READY_WITHIN, dev.ready()).await.is_err() {
            dev.stop().await?;
            return Err(DevError::NotReady);
        }
        Ok(dev)
    }

    /// Whether this start founded the cluster.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.first
    }

    /// Makes what a seed says and is not there yet.
    ///
    /// # Errors
    /// [`SeedError`]; what was made stays.
    pub async fn seed(&self, seed: &Seed, layout: &Layout, ports: Ports) -> Result<Vec<SeededKey>, SeedError> {
        seed::apply(seed, layout, ports).await
    }

    /// Serves until `asked`, or until a service ends by itself; then stops the others.
    ///
    /// # Errors
    /// [`DevError`], of the service that failed first.
    pub async fn until(self, asked: impl Future<Output = ()>) -> Result<(), DevError> {
        let Self { mut replica, issuance, .. } = self;
        let mut failed = Ok(());
        let asked_or_failed = async {
            tokio::select! {
                ended = replica.ended() => failed = ended,
                () = asked => {}
            }
        };
        // Issuance first: its calls in progress still need the replica.
        let issuance = issuance.until(asked_or_failed).await;
        let replica = replica.shutdown().await;
        failed?;
        issuance?;
        Ok(replica?)
    }

    /// Stops them: calls in progress end.
    ///
    /// # Errors
    /// [`DevError`]; everything has stopped all the same.
    pub async fn stop(self) -> Result<(), DevError> {
        self.until(std::future::ready(())).await
    }

    /// Returns once a key can be made and validated.
    async fn ready(&self) {
        let registry = self.replica.registry();
        while !(registry.can_write() && registry.reader().is_fresh()) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

async fn start_issuance(layout: &Layout, ports: Ports) -> Result<latchkey_issuance::Running, DevError> {
    let options = Options {
        listen: ports.issuance(),
        metrics_listen: Some(ports.issuance_metrics()),
        replicas: vec![ports.validation()],
        secret: ClusterSecret::read(&layout.cluster_secret(), Some(&layout.data()))?,
        kms: Arc::new(FileKms::open(&layout.kek())?),
    };
    Ok(Issuance::start(options).await?)
}
