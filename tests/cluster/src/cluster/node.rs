//! One replica of the cluster.

use crate::links::Entrance;
use crate::process::Process;
use crate::replica::Fault;
use crate::report::Trouble;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One replica, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number, from 1.
    pub(crate) id: u64,
    pub(super) folder: PathBuf,
    /// Where it serves.
    pub(crate) api: SocketAddr,
    /// Where it hears the others.
    pub(crate) raft: SocketAddr,
    /// Where the others reach it.
    pub(crate) entrance: Entrance,
    pub(super) process: Option<Process>,
    /// What is wrong with its clocks.
    pub(super) fault: Fault,
    /// Whether its wall clock can be moved while it runs.
    pub(super) moving_clock: bool,
    /// Whether it has a small disk of its own.
    pub(super) has_disk: bool,
    /// Another program than the one beside ours.
    pub(super) program: Option<PathBuf>,
}

impl Node {
    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join("settings.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Where it looks for how far its wall clock is ahead.
    pub(super) fn clock(&self) -> PathBuf {
        self.folder.join("clock")
    }

    /// Its key-encryption key.
    pub(crate) fn kek(&self) -> PathBuf {
        self.folder.join("kek")
    }

    /// Puts its key-encryption key where it does not look.
    pub(crate) fn take_kek(&self) -> Result<(), Trouble> {
        fs::rename(self.kek(), self.kek().with_extension("away")).map_err(Trouble::not_run)
    }

    /// Puts its key-encryption key back.
    pub(crate) fn return_kek(&self) -> Result<(), Trouble> {
        fs::rename(self.kek().with_extension("away"), self.kek()).map_err(Trouble::not_run)
    }

    /// What it writes.
    pub(crate) fn data(&self) -> PathBuf {
        let within = if self.has_disk { self.disk() } else { self.folder.clone() };
        within.join("data")
    }

    /// Whether its log has a line with `words`.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains(words))
    }

    /// Whether it was started and not ended by us.
    pub(crate) const fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process.
    pub(crate) fn process(&self) -> Result<&Process, Trouble> {
        self.process.as_ref().ok_or_else(|| Trouble::not_run(format!("replica {} does not run", self.id)))
    }
}
