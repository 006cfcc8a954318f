//! What callers on many threads and the one writer share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::desk::{Desk, Work};
use super::engine::Engine;
use super::folder::Folder;
use super::open::Loaded;
use super::options::Options;
use super::snapshots::Snapshots;
use super::space::Gate;
use super::standing::Standing;
use crate::error::{OpenError, StoreError};
use crate::facts::Facts;
use crate::queue::Op;
use crate::store::Done;

/// What callers and the writer share. The folder comes last, so that its lock is let go after sled has closed.
pub(super) struct Shared {
    pub(super) engine: Engine,
    /// One past the log index up to which the state is written, and up to which it is durable; 0 for none.
    pub(super) state_written: AtomicU64,
    pub(super) state_durable: AtomicU64,
    pub(super) facts: Facts,
    pub(super) gate: Gate,
    pub(super) snapshots: Snapshots,
    desk: Mutex<Desk>,
    wake: Condvar,
    standing: RwLock<Standing>,
    _folder: Folder,
}

impl Shared {
    pub(super) fn new(facts: Facts, mut loaded: Loaded, folder: Folder, options: &Options) -> Result<Self, OpenError> {
        let state = loaded.standing.index().map_or(0, |index| index + 1);
        let desk = loaded.desk();
        Ok(Self {
            state_written: AtomicU64::new(state),
            state_durable: AtomicU64::new(state),
            facts,
            gate: Gate::open(folder.path().into(), folder.reserve(), options),
            snapshots: Snapshots::open(folder.snapshots(), loaded.engine.fatal.clone())?,
            desk: Mutex::new(desk),
            wake: Condvar::new(),
            standing: RwLock::new(loaded.standing),
            engine: loaded.engine,
            _folder: folder,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("nothing panics while it holds the desk")
    }

    /// Blocks until there is something to do; `None` when the store is dropped and nothing waits.
    pub(super) fn wait_for_work(&self) -> Option<Work> {
        let mut desk = self.lock();
        desk.busy = false;
        loop {
            let state_through = self.state_written.load(Ordering::Acquire).checked_sub(1);
            if let Some(work) = desk.next_work(state_through, self.eager()) {
                desk.busy = true;
                return Some(work);
            }
            if desk.stop {
                return None;
            }
            desk = self.wake.wait(desk).expect("nothing panics while it holds the desk");
        }
    }

    pub(super) fn wake_writer(&self) {
        self.wake.notify_one();
    }

    /// Ends the writer once nothing waits.
    pub(super) fn stop_writer(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    /// Waits until the writer has nothing left to do.
    #[cfg(feature = "testing")]
    pub(super) fn settle(&self) {
        loop {
            let state_through = self.state_written.load(Ordering::Acquire).checked_sub(1);
            let desk = self.lock();
            if !desk.busy && desk.is_idle(state_through) {
                return;
            }
            drop(desk);
            std::thread::yield_now();
        }
    }

    /// Tells all that wait that the store has stopped, and lets nobody wait from now on.
    pub(super) fn refuse_all(&self) {
        let mut desk = self.lock();
        desk.stop = true;
        let waiting: Vec<_> = desk.queue.drain().filter_map(Op::into_done).collect();
        drop(desk);
        let why = self.running().err().unwrap_or_else(|| StoreError::Stopped { why: "the store was closed".into() });
        for done in waiting {
            done(Err(why.clone()));
        }
    }

    pub(super) fn state_durable_through(&self) -> Option<u64> {
        self.state_durable.load(Ordering::Acquire).checked_sub(1)
    }

    #[cfg(feature = "testing")]
    pub(super) fn eager(&self) -> bool {
        self.engine.planted(super::Planted::EagerPurge)
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "the twin of the function for tests")]
    pub(super) fn eager(&self) -> bool {
        false
    }

    pub(super) fn running(&self) -> Result<(), StoreError> {
        self.engine.fatal.running()
    }

    /// Queues with the desk in hand, and wakes the writer; tells `done` at once where there is no writer any more.
    pub(super) fn queue(&self, done: Done, queue: impl FnOnce(&mut Desk, Done)) {
        let mut desk = self.lock();
        if desk.stop {
            drop(desk);
            let why = self.running().err();
            return done(Err(why.unwrap_or_else(|| StoreError::Stopped { why: "the store was closed".into() })));
        }
        queue(&mut desk, done);
        drop(desk);
        self.wake.notify_one();
    }

    /// The state is written up to `index`: a promised purge may have waited for it.
    pub(super) fn written_through(&self, index: u64) {
        self.state_written.fetch_max(index + 1, Ordering::AcqRel);
        if self.lock().view.promised().is_some() {
            self.wake.notify_one();
        }
    }

    pub(super) fn standing(&self) -> RwLockReadGuard<'_, Standing> {
        // Standing changes by whole assignments after the batch is applied, so a panic leaves it true.
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing_mut(&self) -> RwLockWriteGuard<'_, Standing> {
        self.standing.write().unwrap_or_else(PoisonError::into_inner)
    }
}
