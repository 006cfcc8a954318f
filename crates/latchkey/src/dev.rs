//! `latchkey dev`: every service in one process.

use crate::seed::{self, Seed, SeedError, SeededKey};
use crate::{Layout, Ports, first_start};
use latchkey_audit::{Audit, RunError};
use latchkey_config::{KeyspacePattern, Mistakes};
use latchkey_delivery::{FileStore, Outlet, Stores};
use latchkey_domain::Slug;
use latchkey_issuance::Issuance;
use latchkey_kms::KekFileError;
use latchkey_link::service::{self, open_files};
use latchkey_rotation::Rotation;
use latchkey_rotation::driver::DriverOptions;
use latchkey_state::FEATURE_LEVEL_NEWEST;
use latchkey_storage::OpenError;
use latchkey_transport::{ClusterSecretError, ServeError};
use latchkey_validation::{Running as Replica, StopError, Validation};
use std::fs::DirBuilder;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How long the one replica may take until it leads and answers. An election takes 3 s at most.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Somebody else listens where a service is to.
    #[error("{address}, where {what} is to listen, cannot be had: {source}")]
    Taken {
        /// For whom.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process has the data folder open.
    #[error("{path} is in use by another process")]
    InUse {
        /// Which.
        path: PathBuf,
    },
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
    /// A service that holds no state.
    #[error("{0} does not start")]
    Service(&'static str, #[source] service::StartError),
    /// Audit.
    #[error("audit does not start")]
    Audit(#[from] latchkey_audit::StartError),
    /// The replica does not come to lead itself.
    #[error("the replica was not ready after {} s; a look at the log with --log info may tell why", READY_WITHIN.as_secs())]
    NotReady,
    /// Validation did not end in peace.
    #[error("validation failed")]
    ValidationEnded(#[from] StopError),
    /// A service that holds no state did not end in peace.
    #[error("{0} failed")]
    ServiceEnded(&'static str, #[source] ServeError),
    /// Audit did not end in peace.
    #[error("audit failed")]
    AuditEnded(#[from] RunError),
}

/// Every service, serving.
#[must_use = "dropping it stops the services at once"]
pub struct Dev {
    replica: Replica,
    others: Others,
    first: bool,
}

/// The services beside the replica. Each is there unless it did not start.
#[derive(Default)]
struct Others {
    issuance: Option<service::Running>,
    rotation: Option<service::Running>,
    audit: Option<latchkey_audit::Running>,
}

impl Dev {
    /// Starts them, with what is in the folders of `layout`; makes those on the first start. Answers when keys can be made
    /// and validated.
    ///
    /// # Errors
    /// [`DevError`]; nothing is left running then.
    pub async fn start(layout: &Layout, ports: Ports) -> Result<Self, DevError> {
        // Before anything is made: what is refused leaves no folder behind.
        free(ports)?;
        let first = first_start::ensure(layout, ports).await?;
        let settings = first_start::settings(layout, &layout.data(), ports)?;
        // Boxed, as the next: the type of what waits for every service is deeper than the compiler goes.
        let replica = Box::pin(Validation::start(&settings)).await.map_err(not_started)?;
        let mut others = Others::default();
        let started = Box::pin(others.start(layout, ports)).await;
        let dev = Self { replica, others, first };
        if let Err(error) = started {
            // Dropped, they would keep their folders and ports for a while.
            dev.stop().await?;
            return Err(error);
        }
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
        let Self { mut replica, others, .. } = self;
        let (stop, stopped) = watch::channel(false);
        let watching = async {
            let ended = tokio::select! {
                ended = Box::pin(replica.ended()) => ended,
                () = asked => Ok(()),
                () = told(stopped.clone()) => Ok(()),
            };
            stop.send_replace(true);
            ended
        };
        // Before the replica: their calls in progress still need it.
        let (watched, others) = tokio::join!(watching, others.until(&stop));
        let replica = Box::pin(replica.shutdown()).await;
        watched?;
        others?;
        Ok(replica?)
    }

    /// Stops them: calls in progress end.
    ///
    /// # Errors
    /// [`DevError`]; everything has stopped all the same.
    pub async fn stop(self) -> Result<(), DevError> {
        self.until(std::future::ready(())).await
    }

    /// Returns once a key can be made and validated, and the cluster takes every command of this release.
    async fn ready(&self) {
        let registry = self.replica.registry();
        let newest = || {
            let view = registry.reader().now();
            view.is_ok_and(|view| view.state().progress().feature_level == FEATURE_LEVEL_NEWEST)
        };
        while !(registry.can_write() && registry.reader().is_fresh() && newest()) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// One store, `files`: whatever is delivered to it lies in a file of its key.
fn stores(layout: &Layout) -> Result<Stores, DevError> {
    let path = layout.delivered();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|source| DevError::Folder { path: path.clone(), source })?;
    let store = FileStore::new(&format!("{}/{{tenant}}/{{keyspace}}/{{key}}", path.display()));
    let name = Slug::parse("files").expect("it is a word");
    Ok(Stores::of([Outlet::of(name, vec![KeyspacePattern::every()], Box::new(store))]))
}

impl Others {
    async fn start(&mut self, layout: &Layout, ports: Ports) -> Result<(), DevError> {
        let options = |name, listen: SocketAddr, metrics: SocketAddr| {
            let files = open_files(&layout.cluster_secret(), (&layout.kek(), &layout.keks_previous()));
            let (secret, kms) = files.map_err(|error| DevError::Service(name, error))?;
            let replicas = vec![ports.validation().into()];
            Ok::<_, DevError>(service::Options {
                listen,
                metrics_listen: Some(metrics),
                replicas,
                security: secret.into(),
                kms,
            })
        };
        let failed = |name| move |error| DevError::Service(name, error);
        let issuance = Issuance::start(options("issuance", ports.issuance(), ports.issuance_metrics())?);
        self.issuance = Some(issuance.await.map_err(failed("issuance"))?);
        let rotation = Rotation::start(latchkey_rotation::Options {
            service: options("rotation", ports.rotation(), ports.rotation_metrics())?,
            stores: stores(layout)?,
            driver: Some(DriverOptions::default()),
        });
        self.rotation = Some(rotation.await.map_err(failed("rotation"))?);
        let service = options("audit", ports.audit(), ports.audit_metrics())?;
        let audit = latchkey_audit::Options {
            checkpoint_key_file: Some(layout.checkpoint_key()),
            tiles_listen: Some(ports.tiles()),
            ..latchkey_audit::Options::new(service, layout.audit())
        };
        self.audit = Some(Audit::start(audit).await?);
        Ok(())
    }

    /// Serves until `stop` says true, or until one of them ends by itself: then it says so to all.
    async fn until(self, stop: &watch::Sender<bool>) -> Result<(), DevError> {
        let Self { issuance, rotation, audit } = self;
        let stateless = async |name, running: Option<service::Running>| {
            let Some(running) = running else { return Ok(()) };
            let ended = running.until(told(stop.subscribe())).await;
            stop.send_replace(true);
            ended.map_err(|error| DevError::ServiceEnded(name, error))
        };
        let audit = async {
            let Some(running) = audit else { return Ok(()) };
            let ended = running.until(told(stop.subscribe())).await;
            stop.send_replace(true);
            Ok(ended?)
        };
        let (issuance, rotation, audit) =
            tokio::join!(stateless("issuance", issuance), stateless("rotation", rotation), audit);
        issuance?;
        rotation?;
        audit
    }
}

/// Whether every port can be had. One that is taken between this and its use is told by the service.
fn free(ports: Ports) -> Result<(), DevError> {
    for (what, address) in ports.all() {
        TcpListener::bind(address).map_err(|source| DevError::Taken { what, address, source })?;
    }
    Ok(())
}

/// A folder that is open elsewhere is whole: nothing has to be made.
fn not_started(error: latchkey_validation::StartError) -> DevError {
    match error {
        latchkey_validation::StartError::Folder(OpenError::Locked { path }) => DevError::InUse { path },
        other => DevError::Validation(other),
    }
}

/// Returns once it says true, or once nobody can say it any more.
async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_before_anything_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path().join("dev"));
        let ports = Ports::free(std::process::id()).expect("five hundred blocks are not all taken");
        // The last of them, so that the ports before it were free.
        let _taken = TcpListener::bind(ports.audit_metrics()).expect("it was free a moment ago");
        let told = Dev::start(&layout, ports).await.err().expect("it is refused");
        assert!(matches!(told, DevError::Taken { .. }), "{told:?}");
        assert!(!layout.folder().exists());
    }
}
