//! Opening a folder: everything that can be found wrong is found here.

use core::ops::Range;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use bytes::Bytes;

use super::desk::Desk;
use super::engine::Engine;
use super::folder::{Folder, act, sync_folder};
use super::options::Options;
use super::standing::Standing;
use super::witness::Witness;
use super::{chores::Chore, log, words};
use crate::error::{OpenError, StoreError};
use crate::facts::Facts;
use crate::log::Purged;
use crate::log_view::LogView;
use crate::word::Word;

/// A folder that is held, and what lies in it.
pub(super) struct Opened {
    pub(super) facts: Facts,
    pub(super) witness: Witness,
    pub(super) loaded: Loaded,
    pub(super) folder: Folder,
}

/// What sled holds, read and checked.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) standing: Standing,
    words: BTreeMap<Word, Bytes>,
    purged: Option<Purged>,
    records: Option<Range<u64>>,
    syncs: u64,
}

/// Makes a folder. A folder that is half made counts as not made.
pub(super) fn create(path: &Path, facts: &Facts, options: &Options) -> Result<(), OpenError> {
    let folder = Folder::begin(path, facts)?;
    let Loaded { engine, .. } = guarded(&folder, options)?;
    engine.sync().map_err(|error| folder.damaged(error.to_string()))?;
    drop(engine);
    for name in ["conf", "db"] {
        act("sync", &folder.sled().join(name), |file| std::fs::File::open(file)?.sync_all())?;
    }
    sync_folder(&folder.sled())?;
    folder.finish()
}

pub(super) fn open(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let (folder, facts) = Folder::open(path)?;
    if let Some(expected) = options.cluster_id.filter(|expected| *expected != facts.cluster_id) {
        let (found, expected) = (hex(&facts.cluster_id), hex(&expected));
        return Err(OpenError::OtherCluster { path: path.into(), found, expected });
    }
    let witness = folder.witness()?;
    folder.remove_half_written_sled_snapshots()?;
    let loaded = guarded(&folder, options)?;
    if loaded.syncs < witness.seen() {
        let (found, expected) = (loaded.syncs, witness.seen());
        return Err(folder.damaged(format!("sled remembers {found} syncs, {expected} were acknowledged")));
    }
    // What an earlier life wrote and could not acknowledge counts from now on, so it must survive the next cut: raft takes
    // a record that it reads at its start for durable.
    loaded.engine.sync().map_err(|error| folder.damaged(error.to_string()))?;
    for names in [path, &folder.snapshots()] {
        sync_folder(names)?;
    }
    if let Some(base) = &loaded.standing.base
        && !folder.snapshots().join(base.name.as_str()).is_file()
    {
        return Err(folder.damaged(format!("the base file {} is gone", base.name)));
    }
    Ok(Opened { facts, witness, loaded, folder })
}

impl Loaded {
    fn read(path: &Path, options: &Options) -> Result<Self, String> {
        let engine = Engine::open(path, options).map_err(|error| format!("sled does not open: {error}"))?;
        let load = || -> Result<_, StoreError> {
            let purged = words::load_purged(&engine)?;
            let records = log::load(&engine, purged.as_ref())?;
            Ok((purged, records, words::load_words(&engine)?, words::load_syncs(&engine)?, Standing::load(&engine)?))
        };
        let (purged, records, words, syncs, standing) = load().map_err(|error| error.to_string())?;
        Ok(Self { engine, standing, words, purged, records, syncs })
    }

    /// The desk as it is right after opening, with what an earlier life left to remove.
    pub(super) fn desk(&mut self) -> Desk {
        let purged = self.purged.take();
        let records = self.records.take();
        let current = self.standing.generation;
        let purged_next = purged.as_ref().map_or(0, |purged| purged.through + 1);
        let mut desk = Desk {
            written_next: records.as_ref().map_or(purged_next, |records| records.end),
            words: core::mem::take(&mut self.words),
            ..Desk::default()
        };
        desk.chores.extend(purged.as_ref().map(|purged| Chore::Log { through: purged.through }));
        let others = [1..current, current + 1..self.standing.begun + 1];
        desk.chores.extend(others.into_iter().filter(|others| !others.is_empty()).map(Chore::Generations));
        desk.view = LogView::loaded(purged, records);
        desk
    }
}

/// sled panics on some damaged files, so it opens and is read for the first time in a thread of its own.
fn guarded(folder: &Folder, options: &Options) -> Result<Loaded, OpenError> {
    let (path, options) = (folder.sled(), options.clone());
    let opening = thread::Builder::new()
        .name("latchkey-open".into())
        .spawn(move || Loaded::read(&path, &options))
        .map_err(|source| OpenError::Io { action: "start a thread for", path: folder.path().into(), source })?;
    match opening.join() {
        Ok(loaded) => loaded.map_err(|what| folder.damaged(what)),
        Err(panic) => Err(folder.damaged(format!("sled panicked: {}", panic_text(panic.as_ref())))),
    }
}

pub(super) fn panic_text(panic: &(dyn core::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
