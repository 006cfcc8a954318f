//! The service as a whole: handlers, listener, metrics, probes. The only place where they are put together.

use crate::Handlers;
use latchkey_config::IssuanceSettings;
use latchkey_kms::{FileKms, KekFileError, Kms};
use latchkey_link::{Link, Material};
use latchkey_telemetry::{Endpoint, serve_metrics};
use latchkey_transport::{
    BATCH_MESSAGE_BYTES_MAX, BindError, ClusterSecret, ClusterSecretError, Health, PUBLIC_MESSAGE_BYTES_MAX, Probe,
    ServeError, Server,
};
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1::directory_service_server::DirectoryServiceServer;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceServiceServer;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, interval};

/// How often the replicas are asked who leads, for the probe `latchkey.write`.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What the service runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where callers reach it; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where metrics are scraped; absent: nowhere, as in a process where another service serves them.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the replicas are reached.
    pub replicas: Vec<SocketAddr>,
    /// What the services of the cluster share.
    pub secret: ClusterSecret,
    /// The KEK.
    pub kms: Arc<dyn Kms>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster secret cannot be had.
    #[error(transparent)]
    Secret(#[from] ClusterSecretError),
    /// The KEK cannot be had.
    #[error(transparent)]
    Kek(#[from] KekFileError),
    /// The listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The listener for metrics cannot be bound.
    #[error("cannot serve metrics at {address}")]
    Metrics {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Options {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn of(settings: &IssuanceSettings) -> Result<Self, StartError> {
        Ok(Self {
            listen: settings.listen,
            metrics_listen: Some(settings.metrics_listen),
            replicas: settings.registry_endpoints.clone(),
            secret: ClusterSecret::read(&settings.cluster_secret_file, None)?,
            kms: Arc::new(FileKms::open(&settings.kek_file)?),
        })
    }
}

/// The issuance service.
#[derive(Debug)]
pub struct Issuance;

/// A service that serves. Dropping it does not end it: [`Self::stop`] does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    metrics: Option<Endpoint>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), ServeError>>,
    probing: JoinHandle<()>,
}

impl Issuance {
    /// Starts it. It serves before any replica can be reached, and says so in `latchkey.write`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let metrics = match options.metrics_listen {
            None => None,
            Some(address) => {
                let served = serve_metrics(address).await;
                Some(served.map_err(|source| StartError::Metrics { address, source })?)
            }
        };
        let link = Link::new(options.replicas, &options.secret);
        let handlers = Handlers::new(Arc::new(link.clone()), Arc::new(Material::new(options.kms)));
        let issuance = IssuanceServiceServer::new(handlers.clone());
        let directory = DirectoryServiceServer::new(handlers);
        let server = Server::bind(options.listen)
            .await?
            .descriptors(FILE_DESCRIPTOR_SET)
            .service(issuance.max_decoding_message_size(BATCH_MESSAGE_BYTES_MAX))
            .service(directory.max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX));
        let (address, health) = (server.address(), server.health());
        let (stop, mut stopped) = watch::channel(false);
        let probing = tokio::spawn(probe(link, health, stopped.clone()));
        let serving = tokio::spawn(server.serve(async move {
            // An error means that nobody holds the service any more, which is the end as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }));
        tracing::info!(%address, "issuance serves");
        Ok(Running { address, metrics, stop, serving, probing })
    }
}

impl Running {
    /// Where it really listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are really scraped.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Endpoint::address)
    }

    /// Takes no more calls, lets those in progress end, and returns.
    ///
    /// # Errors
    /// [`ServeError`] where serving had failed before.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Returns when serving ends, by itself or because of `until`.
    ///
    /// # Errors
    /// [`ServeError`] where serving failed.
    pub async fn until(mut self, until: impl Future<Output = ()>) -> Result<(), ServeError> {
        tokio::select! {
            ended = &mut self.serving => {
                self.stop.send_replace(true);
                flatten(ended)
            }
            () = until => self.stop().await,
        }
    }

    async fn ended(self) -> Result<(), ServeError> {
        let ended = flatten(self.serving.await);
        if let Err(error) = self.probing.await {
            tracing::error!(%error, "the probe of the leader failed");
        }
        ended
    }
}

/// A panic of the listener's task is ours: handlers catch theirs.
fn flatten(ended: Result<Result<(), ServeError>, JoinError>) -> Result<(), ServeError> {
    ended.expect("nobody aborts serving, and it does not panic")
}

/// Tells in `latchkey.write` whether a leader is found.
async fn probe(link: Link, health: Health, mut stopped: watch::Receiver<bool>) {
    health.set(Probe::Write, false).await;
    let mut ticks = interval(PROBE_INTERVAL);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = ticks.tick() => {}
        }
        health.set(Probe::Write, link.finds_leader(Instant::now() + PROBE_INTERVAL).await).await;
    }
    health.set(Probe::Write, false).await;
}
