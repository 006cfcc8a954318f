//! The store: takes batches, and answers from memory and runs as one.

use super::batch::Batch;
use super::log::{self, Log, act};
pub(crate) use super::manifest::Lost;
use super::manifest::{Manifest, Position, Unread};
use super::memory::Memory;
use super::options::Options;
use super::shelf::{Run, Shelf};
use crate::run::{Keys, KeysAway, Reader, RunError};
use crate::usage::countries::Countries;
use crate::whole_file::write_whole;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{ClusterId, NodeId};
use latchkey_telemetry::names;
use metrics::{counter, gauge};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const MANIFEST: &str = "manifest";
/// Batches that are read at once where the log is read again.
const REPLAY_RECORDS: usize = 64;

/// Why something is not stored or not read.
#[derive(Debug, thiserror::Error)]
pub enum ObservedError {
    /// The disk.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what was written.
    #[error("{} is damaged at byte {offset}; put back a copy of its folder, or remove the folder to begin anew without its usage", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// It was written by another build.
    #[error(
        "{} has format {found}, and this build reads format {expected}: nothing in its folder was changed; start the build \
         that wrote it, or a newer one, or move the folder away to begin anew without its usage",
        path.display()
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// The format that it says it has.
        found: u8,
        /// The format that is read here.
        expected: u8,
    },
    /// What names all other files is not there, and they are.
    #[error(
        "{} is missing, and without it nobody knows what the files beside it are: nothing was changed; put back a copy of \
         the folder, or move it away to begin anew without its usage",
        path.display()
    )]
    NoManifest {
        /// Which file.
        path: PathBuf,
    },
    /// It belongs to another cluster.
    #[error("{} is not of cluster {expected}; correct registry_endpoints or data_folder", path.display())]
    OtherCluster {
        /// Which file.
        path: PathBuf,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// A part of a record does not open under its tenant's key.
    #[error("record {sequence} of tenant {tenant} does not open; its log was changed")]
    Sealed {
        /// The record.
        sequence: u64,
        /// Whose.
        tenant: u32,
    },
    /// A question took longer than its caller waits.
    #[error("it was not answered in time; ask for a shorter range, or for less at once")]
    Late,
    /// The database of countries.
    #[error("{} is no database of countries: {what}", path.display())]
    Countries {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<KeysAway> for ObservedError {
    fn from(away: KeysAway) -> Self {
        Self::Run(away.into())
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is durable, and counted.
    New,
    /// It was before.
    Known,
}

/// The store. Cheap to clone; its calls block their thread.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(super) inner: Arc<Inner>,
    /// Until when a question may be answered; absent: for as long as it takes.
    by: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) folder: PathBuf,
    pub(super) cluster: ClusterId,
    pub(super) keys: Arc<dyn Keys>,
    pub(super) options: Options,
    pub(super) countries: Countries,
    /// Whoever writes runs and the manifest has this, which is what the manifest says. Taken before `log`, and that before `state`.
    pub(super) written: Mutex<Manifest>,
    pub(super) log: Mutex<Log>,
    state: RwLock<State>,
    pub(super) appended: watch::Sender<u64>,
    pub(super) holds: Mutex<BTreeMap<String, u64>>,
}

/// What queries see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) active: Memory,
    /// What is being written, and what the manifest says once it is.
    pub(super) frozen: Option<(Arc<Memory>, Boundary)>,
    pub(super) shelf: Shelf,
    pub(super) positions: BTreeMap<u64, Position>,
    pub(super) lost: Lost,
    pub(super) regions: Vec<String>,
    pub(super) lines_from_ms: u64,
    members: BTreeSet<u64>,
    missing: BTreeSet<u64>,
}

/// Where memory was cut: what is before it is in runs once they are written.
#[derive(Clone, Debug)]
pub(super) struct Boundary {
    pub(super) log_from: u64,
    pub(super) positions: BTreeMap<u64, Position>,
    pub(super) lost: Lost,
    pub(super) regions: Vec<String>,
}

/// How far all is counted, and what is not.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Before when all of every member is counted. Milliseconds since 1970. `None`: no member was heard yet.
    pub(crate) complete_ms: Option<u64>,
    pub(crate) lost: Lost,
    /// Members that do not answer.
    pub(crate) missing: Vec<u64>,
    pub(crate) regions: Vec<String>,
    pub(crate) lines_from_ms: u64,
}

impl Observed {
    /// Opens the store in a folder, or makes it. What a kill left half written goes; what was acknowledged is there.
    ///
    /// # Errors
    /// [`ObservedError`]; [`RunError::KeysAway`] may pass.
    pub fn open(
        folder: &Path,
        cluster: ClusterId,
        keys: Arc<dyn Keys>,
        options: Options,
    ) -> Result<Self, ObservedError> {
        act("create", folder, |folder| fs::create_dir_all(folder))?;
        let countries = Countries::open(options.country_database.as_deref())?;
        let manifest = match read_manifest(folder, cluster)? {
            Some(manifest) => manifest,
            None => no_manifest(folder)?,
        };
        let shelf = open_runs(folder, cluster, &keys, &manifest)?;
        let log = Log::open(folder, cluster, manifest.log_from)?;
        let (appended, _) = watch::channel(log.next());
        let state = State {
            shelf,
            positions: manifest.positions.clone(),
            lost: manifest.lost,
            regions: manifest.regions.clone(),
            lines_from_ms: manifest.lines_from_ms,
            ..State::default()
        };
        // Each says how far it is once it reads; what is let go of before that would be missed.
        let holds = options.followers.iter().map(|name| (name.clone(), 0)).collect();
        let inner = Inner {
            folder: folder.into(),
            cluster,
            keys,
            options,
            countries,
            written: Mutex::new(manifest),
            log: Mutex::new(log),
            state: RwLock::new(state),
            appended,
            holds: Mutex::new(holds),
        };
        let observed = Self { inner: Arc::new(inner), by: None };
        observed.replay()?;
        Ok(observed)
    }

    /// Takes a batch. Durable on return; one that was taken before changes nothing.
    ///
    /// # Errors
    /// [`ObservedError`]: it is not taken, and may come again.
    pub fn take(&self, batch: &Batch) -> Result<Taken, ObservedError> {
        // What cannot be written is not taken: replicas bound what waits with them, and here nobody would.
        while self.is_full() {
            self.flush()?;
        }
        let mut log = self.log();
        if self.state().knows(batch) && !planted::is(Plant::CountTwice) {
            return Ok(Taken::Known);
        }
        if !planted::is(Plant::AcknowledgeEarly) {
            log.append(batch, &*self.inner.keys)?;
        }
        self.state_mut().count(batch, &self.inner.countries);
        let next = log.next();
        drop(log);
        self.inner.appended.send_replace(next);
        counter!(names::USAGE_BATCHES).increment(1);
        Ok(Taken::New)
    }

    fn is_full(&self) -> bool {
        self.state().active.bytes() >= self.inner.options.memory_bytes_max
    }

    /// The last batch of a replica that is counted: its process life, and its number. Both 0: none is.
    #[must_use]
    pub fn position(&self, node: NodeId) -> (u64, u64) {
        let state = self.state();
        state.positions.get(&node.0).map_or((0, 0), |position| (position.incarnation, position.batch))
    }

    /// Notes that a replica has handed over all that it saw before this time: also one that began anew and has seen nothing
    /// yet.
    pub fn complete(&self, node: NodeId, incarnation: u64, complete_ms: u64) {
        self.state_mut().position(node, incarnation, complete_ms);
    }

    /// Notes which replicas there are, and which of them do not answer.
    pub fn note_members(&self, members: impl IntoIterator<Item = NodeId>, missing: impl IntoIterator<Item = NodeId>) {
        let mut state = self.state_mut();
        state.members = members.into_iter().map(|node| node.0).collect();
        state.missing = missing.into_iter().map(|node| node.0).collect();
        gauge!(names::USAGE_REPLICAS_MISSING).set(state.missing.len() as f64);
    }

    /// The same store, for a question that nobody waits for any more after this time.
    #[must_use]
    pub fn within(&self, by: Instant) -> Self {
        Self { inner: self.inner.clone(), by: Some(by) }
    }

    /// Whether anybody still waits, a while before which an answer has to leave.
    pub(crate) fn has_time(&self, margin: Duration) -> bool {
        self.by.is_none_or(|by| Instant::now() + margin < by)
    }

    /// Ends what nobody waits for any more.
    pub(crate) fn in_time(&self) -> Result<(), ObservedError> {
        if self.has_time(Duration::ZERO) { Ok(()) } else { Err(ObservedError::Late) }
    }

    /// How it is kept.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Bytes of runs and of the log; bytes of memory of sums and of readers.
    #[must_use]
    pub fn bytes(&self) -> (u64, usize) {
        let log = self.log().bytes();
        let state = self.state();
        let frozen = state.frozen.as_ref().map_or(0, |(memory, _)| memory.bytes());
        (log + state.shelf.bytes(), state.active.bytes() + frozen + state.shelf.memory_bytes())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let complete = |node: &u64| state.positions.get(node).map_or(0, |position| position.complete_ms);
        Snapshot {
            complete_ms: state.members.iter().map(complete).min(),
            lost: state.lost,
            missing: state.missing.iter().copied().collect(),
            regions: state.regions.clone(),
            lines_from_ms: state.lines_from_ms,
        }
    }

    /// Calls `look` with what is in memory, the older first, then gives the runs that belong to it. What `look` saw and the runs together
    /// are all there is, each once.
    pub(crate) fn look(&self, mut look: impl FnMut(&Memory)) -> Shelf {
        let state = self.state();
        if let Some((frozen, _)) = &state.frozen {
            look(frozen);
        }
        look(&state.active);
        state.shelf.clone()
    }

    /// Reads what is in the log and not in the runs.
    fn replay(&self) -> Result<(), ObservedError> {
        let log = self.log();
        let mut from = self.written().log_from.max(log.first());
        loop {
            let records = log.read(from, REPLAY_RECORDS)?;
            let Some(last) = records.last() else { return Ok(()) };
            from = last.sequence + 1;
            for record in records {
                let batch = record.open(&*self.inner.keys)?;
                self.state_mut().count(&batch, &self.inner.countries);
            }
        }
    }

    pub(super) fn written(&self) -> MutexGuard<'_, Manifest> {
        self.inner.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.inner.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the manifest. Durable on return.
    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), ObservedError> {
        let bytes = manifest.encode(self.inner.cluster);
        act("write", &self.inner.folder.join(MANIFEST), |path| write_whole(path, bytes))
    }
}

impl State {
    fn knows(&self, batch: &Batch) -> bool {
        let position = self.positions.get(&batch.node.0);
        position.is_some_and(|position| position.incarnation == batch.incarnation && batch.number <= position.batch)
    }

    /// How far a replica's process life is counted, before when all of it now is.
    fn position(&mut self, node: NodeId, incarnation: u64, complete_ms: u64) -> &mut Position {
        let position = self.positions.entry(node.0).or_default();
        if position.incarnation != incarnation {
            self.lost.restarts += u64::from(position.incarnation != 0);
            *position = Position { incarnation, batch: 0, complete_ms: position.complete_ms };
        }
        position.complete_ms = position.complete_ms.max(complete_ms);
        position
    }

    fn count(&mut self, batch: &Batch, countries: &Countries) {
        let region = match self.regions.iter().position(|region| *region == batch.region) {
            Some(at) => at,
            None => {
                self.regions.push(batch.region.clone());
                self.regions.len() - 1
            }
        };
        // More regions than that have no name of their own.
        let region = u16::try_from(region).unwrap_or(u16::MAX);
        self.active.add(batch, region, countries);
        let position = self.position(batch.node, batch.incarnation, batch.complete_ms);
        let before = std::mem::replace(&mut position.batch, batch.number);
        self.lost.batches += (batch.number - 1).saturating_sub(before);
        self.lost.requests += batch.lost.0;
        self.lost.lines += batch.lost.1;
        let Lost { requests, lines, batches, .. } = self.lost;
        gauge!(names::USAGE_LOST, "what" => "requests").set(requests as f64);
        gauge!(names::USAGE_LOST, "what" => "lines").set(lines as f64);
        gauge!(names::USAGE_LOST, "what" => "batches").set(batches as f64);
    }
}

/// `None`: there is none.
fn read_manifest(folder: &Path, cluster: ClusterId) -> Result<Option<Manifest>, ObservedError> {
    let path = folder.join(MANIFEST);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ObservedError::Io { action: "read", path, source }),
    };
    match Manifest::decode(&bytes) {
        Ok((found, manifest)) if found == cluster => Ok(Some(manifest)),
        Ok(_) => Err(ObservedError::OtherCluster { path, expected: cluster }),
        Err(Unread::Format { found, expected }) => Err(ObservedError::Format { path, found, expected }),
        Err(Unread::Damaged) => Err(ObservedError::Damaged { path, offset: 0 }),
    }
}

/// A store that has written no manifest yet: its log begins with the first record of all. Where it does not, what runs there are was
/// named by a manifest that is gone, and nothing of it may be taken for what a kill left.
fn no_manifest(folder: &Path) -> Result<Manifest, ObservedError> {
    let (mut has_runs, mut has_all) = (false, false);
    for entry in act("list", folder, |folder| fs::read_dir(folder))? {
        let path = act("list", folder, |_| entry)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        has_runs |= name.ends_with(".run");
        has_all |= log::segment(name) == Some(0);
    }
    if has_runs && !has_all {
        return Err(ObservedError::NoManifest { path: folder.join(MANIFEST) });
    }
    Ok(Manifest::default())
}

/// Opens the runs that the manifest names, and removes what a kill left of others.
fn open_runs(
    folder: &Path,
    cluster: ClusterId,
    keys: &Arc<dyn Keys>,
    manifest: &Manifest,
) -> Result<Shelf, ObservedError> {
    let mut shelf = Shelf::default();
    let mut known = BTreeSet::new();
    for entry in &manifest.runs {
        let file = entry.file();
        let reader = match Reader::open(&folder.join(&file), cluster, keys.clone()) {
            Ok(reader) => reader,
            Err(RunError::Format { path, found, expected }) => {
                return Err(ObservedError::Format { path, found, expected });
            }
            Err(error) => return Err(error.into()),
        };
        shelf.add(Run::new(entry.clone(), reader));
        known.insert(file);
    }
    for entry in act("list", folder, |folder| fs::read_dir(folder))? {
        let path = act("list", folder, |_| entry)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if (name.ends_with(".run") && !known.contains(name)) || name.ends_with(".new") {
            act("remove", &path, |path| fs::remove_file(path))?;
        }
    }
    Ok(shelf)
}
