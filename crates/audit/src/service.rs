//! The service as a whole: the journal, who follows, who trims, who walks, and the listener. The only place where they are put together.

use crate::archive::{Place, Publisher};
use crate::checkpoint::{CheckpointKey, CheckpointKeyError, Checkpoints, Fork, Signer};
use crate::cluster::Cluster;
use crate::disk::{Disk, DiskError};
use crate::entries::Entries;
use crate::exporting::{self, Exports};
use crate::follow::{Follower, Halt, trim};
use crate::handlers::{Handlers, Opened};
use crate::index::IndexOptions;
use crate::journal::JournalOptions;
use crate::keeping::{halted, measure, retire, trimmable};
use crate::notices::operators::Watched;
use crate::notices::{Operators, Senders};
use crate::observing::{Observations, observe};
use crate::over_registry::OverRegistry;
use crate::proofs::{Listener, ListenerError, OverArchive, Prover, Proving};
use crate::run::Keys;
use crate::vault::Vault;
use crate::vault_keys::VaultKeys;
use latchkey_config::{AuditSettings, NoticeSettings, SinkSettings};
use latchkey_domain::Workload;
use latchkey_kms::{InsideError, Kms, refuse_inside};
use latchkey_link::service::{self, StartError as ServiceError};
use latchkey_link::{Observing, Registry, Vouching};
use latchkey_telemetry::{OsEntropy, SystemClock, folder};
use latchkey_transport::{PUBLIC_MESSAGE_BYTES_MAX, ServeError};
use latchkey_wire::pb::v1::audit_service_server::AuditServiceServer;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Between two attempts to find out which cluster this is.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one such attempt may take.
const CALL_MAX: Duration = Duration::from_secs(5);

/// How long operators are told why the service stops, before it does.
const LAST_NOTICE_MAX: Duration = Duration::from_secs(15);
/// How long a round of publishing that is on its way may take when the service ends. It is done again after the next start.
const LAST_ROUND_MAX: Duration = Duration::from_secs(2);

/// Where the log lies for good.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// Where.
    pub place: Place,
    /// From one round of publishing to the next.
    pub interval: Duration,
    /// How long entries are kept that were published; absent: for ever.
    pub retention: Option<Duration>,
}

/// What the service runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its listener, its replicas, its secrets.
    pub service: service::Options,
    /// The folder with the audit log.
    pub data_folder: PathBuf,
    /// How the journal is kept.
    pub journal: JournalOptions,
    /// Where the log lies for good.
    pub archive: ArchiveOptions,
    /// Where anybody reads tiles over plain HTTP; absent: nowhere.
    pub tiles_listen: Option<SocketAddr>,
    /// The file with the key that signs checkpoints, made where it is missing; absent: nothing is signed.
    pub checkpoint_key_file: Option<PathBuf>,
    /// The file with the key that signed before: it hands the log over. Absent: none did, or it has.
    pub checkpoint_key_file_previous: Option<PathBuf>,
    /// Where entries go besides.
    pub sinks: Vec<SinkSettings>,
    /// How people are told what concerns their keys; absent: they are not.
    pub notices: Option<NoticeSettings>,
    /// How usage and the access log are kept.
    pub observed: crate::collect::Options,
}

impl Options {
    /// With all that a data folder alone can say.
    #[must_use]
    pub fn new(service: service::Options, data_folder: PathBuf) -> Self {
        let archive = ArchiveOptions { place: Place::of("", &data_folder), interval: PAUSE, retention: None };
        Self {
            service,
            data_folder,
            journal: JournalOptions::default(),
            archive,
            checkpoint_key_file: None,
            checkpoint_key_file_previous: None,
            tiles_listen: None,
            sinks: Vec::new(),
            notices: None,
            observed: crate::collect::Options::default(),
        }
    }
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
    /// The folder, or the archive.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The listener of the tiles.
    #[error(transparent)]
    Tiles(#[from] ListenerError),
    /// The key that signs checkpoints.
    #[error(transparent)]
    CheckpointKey(#[from] CheckpointKeyError),
    /// What it signed last cannot be told.
    #[error(transparent)]
    Fork(#[from] Fork),
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
    /// The folder or the archive, where they could not be opened at once.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The audit service.
#[derive(Debug)]
pub struct Audit;

/// A service that serves. Dropping it does not end it: [`Self::stop`] does.
#[derive(Debug)]
pub struct Running {
    service: service::Running,
    tiles: Option<Listener>,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<Result<(), RunError>>,
}

impl Audit {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn options(settings: &AuditSettings) -> Result<Options, StartError> {
        for file in std::iter::once(&settings.kek_file).chain(&settings.kek_files_previous) {
            refuse_inside(&settings.data_folder, file)?;
        }
        let signing = [&settings.checkpoint_key_file, &settings.checkpoint_key_file_previous];
        let secrets = [&settings.cluster_secret_file, &settings.tls.key_file].into_iter().chain(signing);
        for file in secrets.flatten() {
            refuse_inside(&settings.data_folder, file)?;
        }
        for (_, file) in
            settings.sink.iter().flat_map(SinkSettings::secret_files).chain(settings.notices.secret_files())
        {
            refuse_inside(&settings.data_folder, file)?;
        }
        let secret_file = settings.cluster_secret_file.as_deref();
        let keks = (settings.kek_file.as_path(), &settings.kek_files_previous[..]);
        let (security, kms) = service::open(&settings.tls, secret_file, keks, Workload::Audit)?;
        let service = service::Options {
            listen: settings.listen,
            metrics_listen: Some(settings.metrics_listen),
            replicas: settings.registry_endpoints.clone(),
            security,
            kms,
        };
        let archive = ArchiveOptions {
            place: Place::of(settings.archive.url.as_deref().unwrap_or_default(), &settings.data_folder),
            interval: Duration::from_millis(settings.archive.interval_ms),
            retention: Some(Duration::from_secs(settings.archive.retention_days * 86_400))
                .filter(|span| !span.is_zero()),
        };
        let sinks = settings.sink.clone();
        let notices = settings.notices.enabled.then(|| settings.notices.clone());
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let observed = crate::collect::Options {
            minutes_kept: days(settings.usage.minutes_kept_days),
            hours_kept: days(settings.usage.hours_kept_days),
            days_kept: days(settings.usage.days_kept_days),
            lines_kept: days(settings.access.kept_days),
            lines_bytes_max: settings.access.bytes_max,
            raw_bytes_max: settings.usage.raw_bytes_max,
            followers: exporting::followers(&settings.sink),
            country_database: settings.usage.country_database.clone(),
            ..crate::collect::Options::default()
        };
        let tiles_listen = settings.tiles_listen;
        let checkpoint_key_file = settings.checkpoint_key_file.clone();
        let checkpoint_key_file_previous = settings.checkpoint_key_file_previous.clone();
        Ok(Options {
            checkpoint_key_file,
            checkpoint_key_file_previous,
            archive,
            tiles_listen,
            sinks,
            notices,
            observed,
            ..Options::new(service, settings.data_folder.clone())
        })
    }

    /// Starts it. It serves what it has stored before any replica can be reached.
    ///
    /// # Errors
    /// [`StartError`]: among others, the folder is damaged.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let Options {
            service,
            data_folder,
            journal,
            archive,
            tiles_listen,
            sinks,
            notices,
            observed,
            checkpoint_key_file,
            checkpoint_key_file_previous,
        } = options;
        let signer = signer(checkpoint_key_file.as_deref(), checkpoint_key_file_previous.as_deref())?;
        let kms = service.kms.clone();
        let found = match Disk::open(&data_folder, journal.clone(), &archive.place).await {
            Ok(found) => found,
            // Another machine may come back: until then this serves nothing.
            Err(error) if error.may_pass() && archive.place.is_remote() => None,
            Err(error) => return Err(error.into()),
        };
        let (stop, stopped) = watch::channel(false);
        let proving = Proving::default();
        let tiles = match tiles_listen {
            Some(address) => Some(Listener::start(address, proving.clone(), stopped.clone()).await?),
            None => None,
        };
        let mut keeping = None;
        let service = service::start("audit", service, |server, entrance, _material| {
            let registry = entrance.registry().clone();
            let opened = Opened::default();
            let handlers = Handlers::new(entrance, opened.clone(), stopped.clone()).proving_by(proving.clone());
            let halted = handlers.halted();
            let keeper = Keeper {
                signer,
                registry,
                kms,
                opened,
                proving,
                data_folder,
                journal,
                archive,
                sinks,
                notices,
                exports: handlers.sinks().clone(),
                observations: handlers.observations().clone(),
                observed,
                stopped,
            };
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
        Ok(Running { service, tiles, stop, keeping })
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

    /// Where tiles are really served.
    #[must_use]
    pub fn tiles_address(&self) -> Option<SocketAddr> {
        self.tiles.as_ref().map(Listener::address)
    }

    /// Takes no more calls, ends streams, makes durable what came, and returns.
    ///
    /// # Errors
    /// [`RunError`] where it had failed before.
    pub async fn stop(self) -> Result<(), RunError> {
        self.stop.send_replace(true);
        let served = self.service.stop().await;
        if let Some(tiles) = self.tiles {
            tiles.stop().await;
        }
        self.keeping.await.expect("nobody aborts the keeper, and it does not panic")?;
        Ok(served?)
    }

    /// Returns when it ends, by itself or because of `until`.
    ///
    /// # Errors
    /// [`RunError`] where it failed.
    pub async fn until(self, until: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { service, tiles, stop, mut keeping } = self;
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
        if let Some(tiles) = tiles {
            tiles.stop().await;
        }
        let kept = match kept {
            Some(kept) => kept,
            None => keeping.await,
        };
        kept.expect("nobody aborts the keeper, and it does not panic")?;
        Ok(served?)
    }
}

/// What signs checkpoints, and goes on from the key before it.
fn signer(file: Option<&Path>, previous: Option<&Path>) -> Result<Option<Signer>, StartError> {
    let Some(file) = file else { return Ok(None) };
    let signer = Signer::open(CheckpointKey::open_or_make(file, &mut OsEntropy)?)?;
    match previous {
        Some(previous) => Ok(Some(signer.after(CheckpointKey::open(previous)?)?)),
        None => Ok(Some(signer)),
    }
}

/// Whoever keeps the log: opens it, follows, trims, walks.
struct Keeper<R> {
    registry: Arc<R>,
    kms: Arc<dyn Kms>,
    opened: Opened<R>,
    proving: Proving,
    data_folder: PathBuf,
    journal: JournalOptions,
    archive: ArchiveOptions,
    signer: Option<Signer>,
    sinks: Vec<SinkSettings>,
    notices: Option<NoticeSettings>,
    exports: Exports,
    observations: Observations,
    observed: crate::collect::Options,
    stopped: watch::Receiver<bool>,
}

impl<R: Registry + Observing + Vouching> Keeper<R> {
    async fn keep(mut self, found: Option<Disk>) -> Result<(), RunError> {
        let cluster = Arc::new(OverRegistry::new(self.registry.clone(), self.kms.clone()));
        let disk = match found {
            Some(disk) => disk,
            None => match self.create(&cluster).await? {
                Some(disk) => disk,
                None => return Ok(()),
            },
        };
        let Disk { writer, log, archive } = disk;
        let vault = Arc::new(Vault::new(cluster.clone()));
        let entries = Entries::over(log.clone(), vault.clone());
        let _ = self.opened.set(entries.clone());
        let checkpoints = Checkpoints::new(self.registry.clone(), archive.clone(), self.signer.take(), log.next());
        let _ = self.proving.set(Prover::new(Arc::new(OverArchive::new(
            archive.clone(),
            checkpoints.keys(),
            checkpoints.handovers(),
        ))));
        let keys: Arc<dyn Keys> = Arc::new(VaultKeys::new(vault.clone(), tokio::runtime::Handle::current()));
        let kept_in = (self.data_folder.join("observed"), log.journal().cluster(), self.observed.clone());
        let observing = observe(self.observations.clone(), self.registry.clone(), keys, kept_in, self.stopped.clone());
        let mut observing = tokio::spawn(observing);
        let follower = Follower::new(cluster.clone(), vault, writer, OsEntropy, SystemClock);
        let (trimmable, bounding) = trimmable(
            follower.promised(),
            (archive.published(), archive.is_remote()),
            checkpoints.bound(),
            log.journal().without_preimages(),
        );
        let signing_told = checkpoints.signing();
        let mut signing = tokio::spawn(checkpoints.run(self.stopped.clone()));
        let trimming = tokio::spawn(trim(cluster, trimmable, self.stopped.clone()));
        let interval = self.archive.interval;
        let publisher =
            Publisher::new(log.clone(), archive.clone(), entries.clone(), log.journal().cluster(), interval);
        let mut publishing = tokio::spawn(publisher.run(self.stopped.clone()));
        let retiring = tokio::spawn(retire(archive, self.archive.retention));
        let index_folder = self.data_folder.join("index");
        let indexing = tokio::spawn(entries.clone().keep_index(index_folder, IndexOptions::default()));
        let (halting, halted_by) = watch::channel(None);
        let mut telling = None;
        let source = Arc::new(entries.clone());
        let raw = exporting::Raw::new(self.observations.clone(), log.journal().cluster());
        let mut sending = exporting::begin(&self.sinks, &self.data_folder, &source, &raw, &self.exports, &self.stopped);
        if let Some(notices) = &self.notices {
            let (folder, senders) = (self.data_folder.join("notices"), Senders::new(notices));
            let origin = exporting::origin(log.journal().cluster());
            let operators = Operators::new(notices, senders.clone(), &origin, &folder);
            let (exports, follows) = (self.exports.clone(), follower.healthy());
            let watched = Watched { exports, signing: signing_told, follows, halted: halted_by };
            telling = Some(tokio::spawn(operators.run(watched)));
            let (registry, how) = (self.registry.clone(), (notices, senders));
            exporting::begin_notices(&mut sending, how, folder, &source, registry, &self.exports, &self.stopped);
        }
        // What is on its way when it ends is sent again.
        let sending = tokio::spawn(sending.run());
        let measuring = tokio::spawn(measure(entries, follower.healthy()));
        let weighing = tokio::spawn(folder::watch("audit", self.data_folder.clone()));
        let kept = tokio::select! {
            followed = follower.run(self.stopped.clone()) => followed,
            halt = halted(&mut publishing) => Err(halt),
            halt = halted(&mut signing) => Err(halt),
        };
        if let Some(mut telling) = telling {
            if let Err(halt) = &kept {
                halting.send_replace(Some(halt.to_string()));
                let _ = timeout(LAST_NOTICE_MAX, &mut telling).await;
            }
            telling.abort();
        }
        // What it signed last is durable; what it had under way is done again after the next start.
        signing.abort();
        if !publishing.is_finished() {
            let _ = timeout(LAST_ROUND_MAX, &mut publishing).await;
        }
        for task in [trimming, indexing, sending, measuring, weighing, bounding, retiring] {
            // They hold nothing that has to be put away.
            task.abort();
            let _ = task.await;
        }
        publishing.abort();
        // What it has in memory is in its log as well; writing it makes the next start quicker.
        let _ = timeout(LAST_ROUND_MAX, &mut observing).await;
        observing.abort();
        Ok(kept?)
    }

    /// On the first start of all, or where the archive was away: waits until a replica says which cluster this is, and for the
    /// archive.
    async fn create(&self, cluster: &OverRegistry<R>) -> Result<Option<Disk>, RunError> {
        let mut stopped = self.stopped.clone();
        loop {
            match cluster.id(Instant::now() + CALL_MAX).await {
                Ok(id) => {
                    let journal = self.journal.clone();
                    match Disk::open_or_create(&self.data_folder, journal, &self.archive.place, id).await {
                        Ok(disk) => return Ok(Some(disk)),
                        Err(error) if error.may_pass() => tracing::warn!(%error, "the archive is not there yet"),
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(status) => tracing::warn!(message = status.message(), "no replica says which cluster this is"),
            }
            if timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                return Ok(None);
            }
        }
    }
}
