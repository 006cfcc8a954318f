//! What is done to the machine of one replica: its clock and its disk.

use super::auditing::{ballast, fill};
use super::founding::write;
use super::{Cluster, Node};
use crate::report::Trouble;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The size of a small disk: what the storage wants free beside its reserve, and some more.
const SMALL_DISK: &str = "512m";

impl Node {
    /// The disk of its own, where it has one.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }
}

/// File systems of our own, which end with the cluster.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// A small disk at a folder. `false` where this account may not mount.
    pub(super) fn add(&mut self, at: PathBuf) -> Result<bool, Trouble> {
        fs::create_dir(&at).map_err(Trouble::not_run)?;
        let size = format!("size={SMALL_DISK}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "latchkey"]).arg(&at).output();
        if !mounted.is_ok_and(|made| made.status.success()) {
            return Ok(false);
        }
        self.0.push(at);
        Ok(true)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for at in &self.0 {
            // Its processes are gone; if one still ends, the kernel lets go of the disk with it.
            drop(Command::new("umount").arg("--lazy").arg(at).output());
        }
    }
}

impl Cluster {
    /// Whether each replica has a disk of its own that can be filled.
    pub(crate) fn has_small_disks(&self) -> bool {
        !self.mounts.0.is_empty()
    }

    /// From now on the wall clock of a replica is ahead by so many milliseconds.
    pub(crate) fn move_clock(&self, id: u64, ahead_ms: i64) -> Result<(), Trouble> {
        write(&self.node(id).clock(), &ahead_ms.to_string())
    }

    /// Fills the disk of a replica until so many bytes are left.
    pub(crate) fn fill_disk(&self, id: u64, left_bytes: u64) -> Result<(), Trouble> {
        fill(&self.node(id).disk(), left_bytes)
    }

    /// Empties the disk of a replica again.
    pub(crate) fn empty_disk(&self, id: u64) -> Result<(), Trouble> {
        fs::remove_file(ballast(&self.node(id).disk())).map_err(Trouble::not_run)
    }

    /// Asks a replica to end, and does not wait.
    pub(crate) fn ask_to_end(&self, id: u64) -> Result<(), Trouble> {
        self.node(id).process()?.ask_to_end()
    }

    /// Waits until a replica that was asked to end has ended.
    pub(crate) async fn wait_for_end(&mut self, id: u64) -> Result<(), Trouble> {
        match self.node_mut(id).process.take() {
            Some(process) => process.stop_any().await,
            None => Ok(()),
        }
    }
}
