//! Putting a replica together. The only place where its parts meet.

use crate::cluster_service::ClusterFace;
use crate::issuance_service::IssuanceFace;
use crate::raft_runtime::RaftRuntime;
use crate::running::{Addresses, Parts as RunningParts, Running};
use crate::stopping::Stop;
use crate::validation_service::ValidationFace;
use latchkey_config::{BackupSettings, LogFormat, ObservationSettings, TelemetrySettings, ValidationSettings};
use latchkey_domain::{ClusterId, NodeId, Workload};
use latchkey_kms::{AwaitedFileKms, InsideError, KekFileError, Kms, refuse_inside};
use latchkey_link::Refusals;
use latchkey_link::security::{self, SecurityError};
use latchkey_registry::{
    BackupPlan, ObservedOptions, Parts, Registry, Timing, is_interrupted, pending_founding, store_folder,
};
use latchkey_storage::{OpenError, Options, SledStore, Store};
use latchkey_telemetry::{Clock, SystemClock, serve_metrics, serve_metrics_over};
use latchkey_transport::{BindError, Direct, Limits, PUBLIC_MESSAGE_BYTES_MAX, Probe, Server, Strangers};
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1::cluster_service_server::ClusterServiceServer;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceServiceServer;
use latchkey_wire::pb::v1::validation_service_server::ValidationServiceServer;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A generated server with the bound of public messages. The servers share no trait that has this method.
macro_rules! bounded {
    ($server:expr) => {
        $server.max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX)
    };
}

/// Why a replica does not start. What to do about it is in its source.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The KEK.
    #[error("the key-encryption key cannot be had")]
    Kek(#[from] KekFileError),
    /// The KEK file lies where every copy of the data would carry it.
    #[error("the key-encryption key must lie outside the data folder")]
    Inside(#[from] InsideError),
    /// The certificates, or the cluster's secret.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The data folder.
    #[error("the data folder cannot be opened; a new one is made by `init`")]
    Folder(#[from] OpenError),
    /// The data folder is another replica's.
    #[error("the data folder is that of node {found}, node.id is {expected}")]
    OtherNode {
        /// Whose it is.
        found: u64,
        /// Whose it was to be.
        expected: u64,
    },
    /// What `init` left to be done.
    #[error("the cluster cannot be founded")]
    Founding(#[from] latchkey_registry::InitError),
    /// A restore or a recovery did not end.
    #[error("a restore or a recovery of {path} was interrupted; run it again")]
    Interrupted {
        /// The data folder.
        path: PathBuf,
    },
    /// The replica.
    #[error("the replica does not start")]
    Registry(#[from] latchkey_registry::StartError),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The scrape endpoint.
    #[error("cannot serve metrics on {address}")]
    Metrics {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Raft's runtime.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
}

/// The validation service.
#[derive(Debug)]
pub struct Validation;

impl Validation {
    /// Starts a replica whose folder `init` has made, and serves until [`Running::shutdown`]. Port 0 takes any free port.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(settings: &ValidationSettings) -> Result<Running, StartError> {
        Self::start_by(settings, Arc::new(SystemClock)).await
    }

    /// As [`Self::start`], by a clock that is given: a test may have one that is wrong.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start_by(settings: &ValidationSettings, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        let folder = &settings.node.data_folder;
        for file in std::iter::once(&settings.kek_file).chain(&settings.kek_files_previous) {
            refuse_inside(folder, file)?;
        }
        if is_interrupted(folder) {
            return Err(StartError::Interrupted { path: folder.clone() });
        }
        // A file that is not mounted yet locks the replica, which votes and appends meanwhile.
        let kms: Arc<dyn Kms> = Arc::new(AwaitedFileKms::open_with(&settings.kek_file, &settings.kek_files_previous)?);
        for (place, kek) in kms.keks().iter().enumerate() {
            tracing::info!(%kek, place, kms = kms.name(), "a key-encryption key is at hand");
        }
        let workload = Workload::Replica(NodeId(settings.node.id));
        let secret_file = settings.cluster_secret_file.as_deref();
        let security = security::open(&settings.tls, secret_file, Some(folder), workload)?;

        // Bound before anything is started: a port that is taken is the most frequent reason to stop here.
        let api = Server::bind(settings.listen).await?.tls(security.acceptor());
        let raft = Server::bind(settings.raft.listen).await?.tls(security.replica_acceptor());
        let served = match security.scrape_acceptor(settings.metrics_listen) {
            Some(acceptor) => serve_metrics_over(acceptor, settings.metrics_listen).await,
            None => serve_metrics(settings.metrics_listen).await,
        };
        let metrics = served.map_err(|source| StartError::Metrics { address: settings.metrics_listen, source })?;
        let addresses = Addresses { api: api.address(), raft: raft.address(), metrics: metrics.address() };

        let store = open_store(settings).await?;
        let cluster = ClusterId(store.facts().cluster_id);
        let founding = pending_founding(folder)?;
        let raft_settings = &settings.raft;
        let timing = Timing {
            heartbeat_ms: raft_settings.heartbeat_ms,
            election_min_ms: raft_settings.election_min_ms,
            election_max_ms: raft_settings.election_max_ms,
        };
        let (dialer, proof) = (security.dialer(), security.proof());
        let parts = Parts { store, kms, clock: clock.clone(), dialer, proof, timing, founding };
        let level = u32::try_from(raft_settings.feature_level_max).ok().filter(|level| *level > 0);
        let runtime = RaftRuntime::build().map_err(StartError::Threads)?;
        let started = runtime.handle().spawn(Registry::start_at_most(parts, level)).await;
        let registry = started.expect("starting neither panics nor is cancelled")?;
        registry.observed().configure(observed_options(&settings.observations));

        let health = api.health();
        for probe in [Probe::Validate, Probe::Write] {
            health.set(probe, false).await;
        }
        let (stop, stopping) = Stop::new();
        let refusals = Refusals::default();
        let validation = ValidationFace::new(registry.clone(), refusals.clone(), stopping);
        let issuance = IssuanceFace::new(registry.clone(), refusals.clone(), clock);
        let cluster_face = ClusterFace::new(registry.clone(), refusals.clone());
        let raft = raft.limits(Limits::RAFT).descriptors(FILE_DESCRIPTOR_SET).service(registry.raft_service());
        let api = api
            .descriptors(FILE_DESCRIPTOR_SET)
            .strangers(strangers(&registry))
            .service(Direct::new(
                bounded!(ValidationServiceServer::new(validation.clone())),
                validation,
                PUBLIC_MESSAGE_BYTES_MAX,
            ))
            .service(bounded!(IssuanceServiceServer::new(issuance)))
            .service(bounded!(ClusterServiceServer::new(cluster_face)))
            .service(registry.registry_service());
        tracing::info!(
            node = settings.node.id, %cluster, region = %settings.node.region,
            api = %addresses.api, raft = %addresses.raft, metrics = %addresses.metrics,
            "replica started"
        );
        let data_folder = folder.clone();
        let mut running = Running::new(RunningParts {
            addresses,
            registry,
            runtime,
            stop,
            refusals,
            api,
            raft,
            metrics,
            data_folder,
        });
        if let Some(plan) = backup_plan(&settings.backup) {
            running.keep_backups(plan);
        }
        Ok(running)
    }
}

fn observed_options(settings: &ObservationSettings) -> ObservedOptions {
    ObservedOptions {
        enabled: settings.enabled,
        bytes_max: usize::try_from(settings.memory_mib).unwrap_or(usize::MAX).saturating_mul(1_024 * 1_024),
        lines_per_minute: u32::try_from(settings.lines_per_minute).unwrap_or(u32::MAX),
    }
}

/// Whoever proves no identity, of whichever service here, stands in the access log.
fn strangers(registry: &Registry) -> Strangers {
    let registry = registry.clone();
    Strangers::new(move |rpc, client| registry.observe_stranger(rpc, client))
}

fn backup_plan(settings: &BackupSettings) -> Option<BackupPlan> {
    let folder = settings.folder.clone()?;
    let keep = usize::try_from(settings.keep).unwrap_or(usize::MAX);
    Some(BackupPlan { folder, interval: Duration::from_secs(settings.interval_s), keep })
}

/// Opens the storage on a thread that may block: it reads the whole log.
pub(crate) async fn open_store(settings: &ValidationSettings) -> Result<Arc<dyn Store>, StartError> {
    let folder = store_folder(&settings.node.data_folder);
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&folder, &Options::default())).await;
    let store = opened.expect("opening catches the panics of the storage")?;
    let (found, expected) = (store.facts().node_id, settings.node.id);
    if found != expected {
        return Err(StartError::OtherNode { found, expected });
    }
    Ok(Arc::new(store))
}

/// What telemetry is to do.
#[must_use]
pub fn telemetry_options(settings: &TelemetrySettings) -> latchkey_telemetry::Options {
    latchkey_telemetry::Options {
        log_format: match settings.log_format {
            LogFormat::Text => latchkey_telemetry::LogFormat::Text,
            LogFormat::Json => latchkey_telemetry::LogFormat::Json,
        },
        log_filter: settings.log_filter.clone(),
        otlp_endpoint: settings.otlp_endpoint.clone(),
        trace_sample_ratio: settings.trace_sample_ratio,
    }
}
