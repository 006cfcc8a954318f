//! Watching the room on the disk, and giving the reserve back.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use rustix::fs::FallocateFlags;

use super::options::{FreeSpace, Options};
use crate::error::StoreError;
use crate::space::{Space, SpaceLimits};

/// Appends between two looks at the disk while there is enough room.
const LOOK_APPENDS: u32 = 64;
/// Bytes appended between two looks: an eighth of the default room that appends leave.
const LOOK_BYTES: usize = 8 << 20;
/// This part of the reserve stays for purging and snapshots.
const RESERVE_KEPT_PARTS: u64 = 2;

pub(super) struct Gate {
    limits: SpaceLimits,
    free_space: FreeSpace,
    folder: PathBuf,
    reserve: PathBuf,
    watch: Mutex<Watch>,
}

struct Watch {
    space: Space,
    /// Free, the reserve among it once it is released.
    free_bytes: u64,
    beside_bytes: u64,
    reserved: bool,
    appends: u32,
    bytes: usize,
}

impl Gate {
    pub(super) fn open(folder: PathBuf, reserve: PathBuf, options: &Options) -> Self {
        let watch = Watch {
            space: Space::Enough,
            free_bytes: u64::MAX,
            beside_bytes: u64::MAX,
            reserved: fs::metadata(&reserve).is_ok_and(|file| file.len() >= options.space.reserve_bytes),
            appends: 0,
            bytes: 0,
        };
        let gate = Self {
            limits: options.space,
            free_space: options.free_space.clone(),
            folder,
            reserve,
            watch: Mutex::new(watch),
        };
        gate.look(&mut gate.lock());
        gate
    }

    /// Looks again wherever there was not enough, so that a caller who is refused sees when room comes back.
    pub(super) fn space(&self) -> Space {
        let mut watch = self.lock();
        if watch.space != Space::Enough {
            self.look(&mut watch);
        }
        watch.space
    }

    /// Whether `bytes` more may be appended. What was on its way when the disk filled up still goes into the reserve, and
    /// so does the little that raft writes by itself: above us an append that fails ends the replica, and whoever brings
    /// more is refused before it gets here.
    pub(super) fn admit(&self, bytes: usize) -> Result<(), StoreError> {
        let mut watch = self.lock();
        watch.appends += 1;
        watch.bytes += bytes;
        if watch.space != Space::Enough || watch.appends >= LOOK_APPENDS || watch.bytes >= LOOK_BYTES {
            self.look(&mut watch);
        }
        let kept_bytes = self.limits.reserve_bytes / RESERVE_KEPT_PARTS;
        if watch.space == Space::Full && watch.free_bytes < kept_bytes {
            return Err(StoreError::DiskFull { free_bytes: watch.free_bytes, needed_bytes: kept_bytes });
        }
        Ok(())
    }

    fn look(&self, watch: &mut Watch) {
        (watch.appends, watch.bytes) = (0, 0);
        let free_bytes = match (self.free_space)(&self.folder) {
            Ok(free_bytes) => free_bytes,
            Err(error) => return tracing::warn!(%error, "cannot ask for the free space"),
        };
        let before = watch.space;
        watch.free_bytes = free_bytes;
        (watch.space, watch.beside_bytes) = self.limits.judge(free_bytes, watch.reserved);
        match watch.space {
            Space::Full if watch.reserved => {
                watch.reserved = !self.release();
                watch.free_bytes = (self.free_space)(&self.folder).unwrap_or(free_bytes);
            }
            Space::Enough if !watch.reserved => watch.reserved = self.refill(),
            _ => {}
        }
        if before != watch.space {
            tracing::warn!(space = ?watch.space, free_bytes, "free space changed");
        }
    }

    fn release(&self) -> bool {
        fs::remove_file(&self.reserve).inspect_err(|error| tracing::warn!(%error, "cannot release the reserve")).is_ok()
    }

    /// A file system that cannot allocate ahead leaves the store without a reserve, and working.
    fn refill(&self) -> bool {
        self.allocate().inspect_err(|error| tracing::warn!(%error, "cannot hold a reserve")).is_ok()
    }

    fn allocate(&self) -> io::Result<()> {
        let reserve = File::create(&self.reserve)?;
        rustix::fs::fallocate(&reserve, FallocateFlags::empty(), 0, self.limits.reserve_bytes)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("nothing panics while it watches the space")
    }
}
