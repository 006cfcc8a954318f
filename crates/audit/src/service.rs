//! The service as a whole: the store, who follows, who trims, who walks, and the listener. The only place where they are put together.

use crate::archive::Archive;
use crate::cluster::Cluster;
use crate::follow::{Follower, Halt, trim};
use crate::handlers::{Handlers, Opened};
use crate::over_registry::OverRegistry;
use crate::store::{OpenError, Store, StoreOptions};
use crate::vault::Vault;
use latchkey_config::AuditSettings;
use latchkey_domain::Workload;
use latchkey_kms::{InsideError, Kms, refuse_inside};
use latchkey_link::Registry;
use latchkey_link::service::{self, StartError as ServiceError};
use latchkey_telemetry::{OsEntropy, SystemClock, folder, names};
use latchkey_transport::{PUBLIC_MESSAGE_BYTES_MAX, ServeError};
use latchkey_wire::pb::v1::audit_service_server::AuditServiceServer;
use metrics::gauge;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Between two attempts to find out which cluster this is, and between two walks over closed segments that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one such attempt may take.
const CALL_MAX: Duration = Duration::from_secs(5);

/// What the service runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its listener, its replicas, its secrets.
    pub service: service::Options,
    /// The folder with the audit log.
    pub data_folder: PathBuf,
    /// How the log is kept.
    pub store: StoreOptions,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file, the listener or the metrics.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A secret would lie beside what it protects.
    #[error(transparent)]
    Inside(#[from] InsideError),
    /// The folder.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Why the service ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listener failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// What the cluster sends cannot be believed, or not be stored.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The folder, on the first start of all.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// The audit service.
#[derive(Debug)]
pub struct Audit;

/// A service that serves. Dropping it does not end it: [`Self::stop`] does.
#[derive(Debug)]
pub struct Running {
    service: service::Running,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<Result<(), RunError>>,
}

impl Audit {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn options(settings: &AuditSettings) -> Result<Options, StartError> {
        refuse_inside(&settings.data_folder, &settings.kek_file)?;
        for file in [&settings.cluster_secret_file, &settings.tls.key_file].into_iter().flatten() {
            refuse_inside(&settings.data_folder, file)?;
        }
        let secret_file = settings.cluster_secret_file.as_deref();
        let (security, kms) = service::open(&settings.tls, secret_file, &settings.kek_file, Workload::Audit)?;
        let service = service::Options {
            listen: settings.listen,
            metrics_listen: Some(settings.metrics_listen),
            replicas: settings.registry_endpoints.clone(),
            security,
            kms,
        };
        Ok(Options { service, data_folder: settings.data_folder.clone(), store: StoreOptions::default() })
    }

    /// Starts it. It serves what it has stored before any replica can be reached.
    ///
    /// # Errors
    /// [`StartError`]: among others, the folder is damaged.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let Options { service, data_folder, store } = options;
        let kms = service.kms.clone();
        let found = open(data_folder.clone(), store.clone()).await?;
        let (stop, stopped) = watch::channel(false);
        let mut keeping = None;
        let service = service::start("audit", service, |server, entrance, _material| {
            let registry = entrance.registry().clone();
            let opened = Opened::default();
            let handlers = Handlers::new(entrance, opened.clone(), stopped.clone());
            let halted = handlers.halted();
            let keeper = Keeper { registry, kms, opened, data_folder, options: store, stopped };
            keeping = Some(tokio::spawn(async move {
                let kept = keeper.keep(found).await;
                halted.store(kept.is_err(), Ordering::Relaxed);
                kept
            }));
            server.service(AuditServiceServer::new(handlers).max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX))
        });
        let service = match service.await {
            Ok(service) => service,
            Err(error) => {
                stop.send_replace(true);
                return Err(error.into());
            }
        };
        let keeping = keeping.expect("a service that has started has asked what it serves");
        Ok(Running { service, stop, keeping })
    }
}

impl Running {
    /// Where it really listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Where metrics are really scraped.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.service.metrics_address()
    }

    /// Takes no more calls, ends streams, makes durable what came, and returns.
    ///
    /// # Errors
    /// [`RunError`] where it had failed before.
    pub async fn stop(self) -> Result<(), RunError> {
        self.stop.send_replace(true);
        let served = self.service.stop().await;
        self.keeping.await.expect("nobody aborts the keeper, and it does not panic")?;
        Ok(served?)
    }

    /// Returns when it ends, by itself or because of `until`.
    ///
    /// # Errors
    /// [`RunError`] where it failed.
    pub async fn until(self, until: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { service, stop, mut keeping } = self;
        let mut kept = None;
        let asked = async {
            tokio::select! {
                () = until => {}
                ended = &mut keeping => kept = Some(ended),
            }
            stop.send_replace(true);
        };
        let served = service.until(asked).await;
        stop.send_replace(true);
        let kept = match kept {
            Some(kept) => kept,
            None => keeping.await,
        };
        kept.expect("nobody aborts the keeper, and it does not panic")?;
        Ok(served?)
    }
}

/// Whoever keeps the log: opens it, follows, trims, walks.
struct Keeper<R> {
    registry: Arc<R>,
    kms: Arc<dyn Kms>,
    opened: Opened<R>,
    data_folder: PathBuf,
    options: StoreOptions,
    stopped: watch::Receiver<bool>,
}

impl<R: Registry> Keeper<R> {
    async fn keep(self, found: Option<Store>) -> Result<(), RunError> {
        let cluster = Arc::new(OverRegistry::new(self.registry.clone(), self.kms.clone()));
        let store = match found {
            Some(store) => store,
            None => match self.create(&cluster).await? {
                Some(store) => store,
                None => return Ok(()),
            },
        };
        let Store { writer, reader, .. } = store;
        let vault = Arc::new(Vault::new(cluster.clone()));
        let archive = Archive::new(reader, vault.clone());
        let _ = self.opened.set(archive.clone());
        let follower = Follower::new(cluster.clone(), vault, writer, OsEntropy, SystemClock);
        let trimming = tokio::spawn(trim(cluster, follower.promised(), self.stopped.clone()));
        let walking = tokio::spawn(walk(archive.clone()));
        let measuring = tokio::spawn(measure(archive, follower.healthy()));
        let weighing = tokio::spawn(folder::watch("audit", self.data_folder.clone()));
        let followed = follower.run(self.stopped.clone()).await;
        for task in [trimming, walking, measuring, weighing] {
            // They hold nothing that has to be put away.
            task.abort();
            let _ = task.await;
        }
        Ok(followed?)
    }

    /// On the first start of all: waits until a replica says which cluster this is.
    async fn create(&self, cluster: &OverRegistry<R>) -> Result<Option<Store>, RunError> {
        let mut stopped = self.stopped.clone();
        loop {
            match cluster.id(Instant::now() + CALL_MAX).await {
                Ok(id) => {
                    let (folder, options) = (self.data_folder.clone(), self.options.clone());
                    let made = tokio::task::spawn_blocking(move || Store::open_or_create(&folder, id, options)).await;
                    return Ok(Some(made.expect("opening a store does not panic")?));
                }
                Err(status) => tracing::warn!(message = status.message(), "no replica says which cluster this is"),
            }
            if timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                return Ok(None);
            }
        }
    }
}

async fn open(folder: PathBuf, options: StoreOptions) -> Result<Option<Store>, OpenError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&folder, options)).await;
    opened.expect("opening a store does not panic")
}

/// Walks each closed segment once, the newest first, so that searches pass over it.
async fn walk<C: Cluster>(archive: Archive<C>) {
    loop {
        for segment in archive.reader().closed().iter().rev().filter(|segment| segment.summary().is_none()) {
            if let Err(status) = archive.summarise(segment, Instant::now() + CALL_MAX).await {
                tracing::debug!(message = status.message(), "a segment was not walked");
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn measure<C: Cluster>(archive: Archive<C>, mut healthy: watch::Receiver<bool>) {
    let mut grows = archive.reader().watch();
    loop {
        gauge!(names::AUDIT_ENTRIES).set(*grows.borrow_and_update() as f64);
        gauge!(names::AUDIT_BYTES).set(archive.reader().bytes() as f64);
        gauge!(names::AUDIT_FOLLOWS).set(f64::from(u8::from(*healthy.borrow_and_update())));
        let changed = async {
            tokio::select! {
                _ = grows.changed() => {}
                _ = healthy.changed() => {}
            }
        };
        changed.await;
        // A gauge need not move more often than it is looked at.
        tokio::time::sleep(PAUSE).await;
    }
}
