//! A service that holds no state, as a whole: its listener, its metrics, and the probe of who leads. The only place
//! where they are put together; what it serves comes from its crate.

use crate::security::{self, SecurityError};
use crate::{Entrance, Link, Material, Refusals};
use latchkey_config::{HostPort, TlsSettings};
use latchkey_domain::{Slug, Workload};
use latchkey_kms::{FileKms, KekFileError, Kms};
use latchkey_telemetry::{Endpoint, OsEntropy, serve_metrics, serve_metrics_over};
use latchkey_transport::{BindError, ClusterSecret, ClusterSecretError, Health, Probe, Security, ServeError, Server};
use latchkey_wire::FILE_DESCRIPTOR_SET;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, interval};

/// How often the replicas are asked who leads, for the probe `latchkey.write`.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What such a service runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where callers reach it; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where metrics are scraped; absent: nowhere, as in a process where another service serves them.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the replicas are reached.
    pub replicas: Vec<HostPort>,
    /// How the processes of the cluster know each other.
    pub security: Security,
    /// The KEK.
    pub kms: Arc<dyn Kms>,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster secret cannot be had.
    #[error(transparent)]
    Secret(#[from] ClusterSecretError),
    /// Nor can the certificates.
    #[error(transparent)]
    Security(#[from] SecurityError),
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

/// Reads what the settings of a service name: its certificates, or else the secret, and the KEKs, the one that wraps and
/// those before it.
///
/// # Errors
/// [`StartError`].
pub fn open(
    tls: &TlsSettings,
    secret_file: Option<&Path>,
    keks: (&Path, &[PathBuf]),
    workload: Workload,
) -> Result<(Security, Arc<dyn Kms>), StartError> {
    Ok((security::open(tls, secret_file, None, workload)?, open_keks(keks.0, keks.1)?))
}

/// Reads what every service on loopback needs: the secret, and the KEKs, the one that wraps and those before it.
///
/// # Errors
/// [`StartError`].
pub fn open_files(secret_file: &Path, keks: (&Path, &[PathBuf])) -> Result<(ClusterSecret, Arc<dyn Kms>), StartError> {
    Ok((ClusterSecret::read(secret_file, None)?, open_keks(keks.0, keks.1)?))
}

/// All of them have to be there: a service has no folder to wait for it with, and whoever started it looks.
fn open_keks(kek_file: &Path, previous: &[PathBuf]) -> Result<Arc<dyn Kms>, StartError> {
    let kms = FileKms::open_with(kek_file, previous)?;
    for (place, kek) in kms.keks().iter().enumerate() {
        tracing::info!(%kek, place, kms = kms.name(), "a key-encryption key is at hand");
    }
    Ok(Arc::new(kms))
}

/// A service that serves. Dropping it does not end it: [`Self::stop`] does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    metrics: Option<Endpoint>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), ServeError>>,
    probing: JoinHandle<()>,
    writing: JoinHandle<()>,
    beside: Vec<(JoinHandle<()>, &'static str)>,
}

/// Ends when a service is asked to stop.
pub type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts the service with this name. It serves before any replica can be reached, and says so in `latchkey.write`.
/// `serve` adds what it serves to the listener.
///
/// # Errors
/// [`StartError`].
///
/// # Panics
/// Where the name is none.
pub async fn start(
    name: &'static str,
    options: Options,
    serve: impl FnOnce(Server, Entrance<Link>, Arc<Material>) -> Server,
) -> Result<Running, StartError> {
    let word = Slug::parse(name).expect("the name of a service is a word");
    let metrics = match options.metrics_listen {
        None => None,
        Some(address) => {
            let served = match options.security.scrape_acceptor(address) {
                Some(acceptor) => serve_metrics_over(acceptor, address).await,
                None => serve_metrics(address).await,
            };
            Some(served.map_err(|source| StartError::Metrics { address, source })?)
        }
    };
    let link = Link::new(options.replicas, &options.security.dialer(), &options.security.proof());
    let server = Server::bind(options.listen).await?.tls(options.security.acceptor()).descriptors(FILE_DESCRIPTOR_SET);
    let refusals = Refusals::default();
    let entrance = Entrance::new(Arc::new(link.clone()), refusals.clone());
    let server = serve(server, entrance, Arc::new(Material::new(options.kms)));
    let (address, health) = (server.address(), server.health());
    let (stop, mut stopped) = watch::channel(false);
    let probing = tokio::spawn(probe(link.clone(), health, stopped.clone()));
    let writing = tokio::spawn(write(refusals, link, word, stopped.clone()));
    let serving = tokio::spawn(server.serve(async move {
        // An error means that nobody holds the service any more, which is the end as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }));
    tracing::info!(service = name, %address, "serves");
    Ok(Running { address, metrics, stop, serving, probing, writing, beside: Vec::new() })
}

impl Running {
    /// Has a task go on beside the listener, until it is asked to stop; `what` tells of it in the log, should it fail.
    #[must_use]
    pub fn with<F>(mut self, what: &'static str, task: impl FnOnce(Stopped) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stop = self.stop.subscribe();
        let stopped = Box::pin(async move {
            // An error means that nobody holds the service any more, which is the end as well.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        self.beside.push((tokio::spawn(task(stopped)), what));
        self
    }

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
        let own = [(self.probing, "the probe of the leader"), (self.writing, "writing refusals")];
        for (task, what) in own.into_iter().chain(self.beside) {
            if let Err(error) = task.await {
                tracing::error!(%error, what, "a task failed");
            }
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

/// Writes what is refused into the audit log, and at the end what is left.
async fn write(refusals: Refusals, link: Link, service: Slug, mut stopped: watch::Receiver<bool>) {
    let mut entropy = OsEntropy;
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = refusals.write_into(&link, &service, &mut entropy) => {}
    }
    refusals.write(&link, &service, &mut entropy).await;
}
