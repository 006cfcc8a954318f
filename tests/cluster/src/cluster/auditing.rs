//! The audit service: one process, which may have a small disk of its own.

use super::founding::{free_address, write};
use super::{Cluster, KNOCK_INTERVAL, STUCK};
use crate::caller::Caller;
use crate::process::{Process, tail};
use crate::report::Trouble;
use crate::settings::of_service;
use latchkey_wire::pb::v1;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one question takes at most that only asks whether it is there.
const KNOCK_MAX: Duration = Duration::from_secs(2);

/// The audit service, running or not.
#[derive(Debug)]
pub(super) struct Auditor {
    at: SocketAddr,
    /// Whether its data lie on a small disk of their own.
    has_disk: bool,
    process: Option<Process>,
}

impl Auditor {
    pub(super) fn new() -> Result<Self, Trouble> {
        Ok(Self { at: free_address()?, has_disk: false, process: None })
    }

    pub(super) const fn runs(&self) -> bool {
        self.process.is_some()
    }
}

impl Cluster {
    /// Starts audit, which does not run: without it entries wait in the replicas, of which each holds a million at most.
    pub(crate) fn start_audit(&mut self) -> Result<(), Trouble> {
        let settings = self.folder.path().join("audit.toml");
        let (secret, kek) = (self.folder.path().join("cluster.secret"), self.nodes[0].kek());
        let data = self.audit_folder();
        let key = self.folder.path().join("checkpoint.key");
        let own = format!("data_folder = {data:?}\ncheckpoint_key_file = {key:?}\ntiles_listen = \"127.0.0.1:0\"\n");
        let text = format!("{own}{}", of_service(self.auditor.at, &self.nodes, &secret, &kek));
        write(&settings, &text)?;
        let args = ["--config".to_owned(), settings.display().to_string()];
        self.auditor.process = Some(Process::start("audit", &self.binaries.audit, &args, self.audit_log())?);
        Ok(())
    }

    /// Gives audit, which never ran, a small disk of its own. `false` where this account may not mount.
    pub(crate) fn give_audit_a_disk(&mut self) -> Result<bool, Trouble> {
        self.auditor.has_disk = self.mounts.add(self.audit_disk())?;
        Ok(self.auditor.has_disk)
    }

    /// Kills audit.
    pub(crate) fn kill_audit(&mut self) {
        if let Some(process) = self.auditor.process.take() {
            process.kill();
        }
    }

    /// Asks audit to end, and waits.
    pub(crate) async fn stop_audit(&mut self) -> Result<(), Trouble> {
        match self.auditor.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// That audit, if it was started, has not ended by itself.
    pub(crate) fn audit_lives(&mut self) -> Result<(), Trouble> {
        let Some(status) = self.auditor.process.as_mut().and_then(Process::exited) else { return Ok(()) };
        Err(Trouble::wrong(format!("audit ended by itself with {status}:\n{}", tail(&self.audit_log(), 12))))
    }

    /// Waits until audit shows entries.
    pub(crate) async fn audit_serves(&mut self) -> Result<(), Trouble> {
        let by = Instant::now() + STUCK;
        while Instant::now() < by {
            self.audit_lives()?;
            let (caller, one) = (self.audit(), v1::ListEntriesRequest { page_size: 1, ..Default::default() });
            if caller.audit().list_entries(caller.ask(one, KNOCK_MAX)).await.is_ok() {
                return Ok(());
            }
            sleep(KNOCK_INTERVAL).await;
        }
        Err(Trouble::wrong(format!("audit shows no entries within {} s", STUCK.as_secs())))
    }

    /// Audit, called as root.
    pub(crate) fn audit(&self) -> Caller {
        Caller::new(self.auditor.at, &self.root, &self.secret)
    }

    /// What audit publishes: checkpoint, tiles, sealed entries.
    pub(crate) fn archive(&self) -> PathBuf {
        self.audit_folder().join("archive")
    }

    /// Fills the disk of audit until so many bytes are left.
    pub(crate) fn fill_audit_disk(&self, left_bytes: u64) -> Result<(), Trouble> {
        fill(&self.audit_disk(), left_bytes)
    }

    /// Empties the disk of audit again.
    pub(crate) fn empty_audit_disk(&self) -> Result<(), Trouble> {
        fs::remove_file(ballast(&self.audit_disk())).map_err(Trouble::not_run)
    }

    fn audit_disk(&self) -> PathBuf {
        self.folder.path().join("audit-disk")
    }

    fn audit_folder(&self) -> PathBuf {
        let within = if self.auditor.has_disk { self.audit_disk() } else { self.folder.path().to_owned() };
        within.join("audit")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }
}

/// What fills a disk.
pub(super) fn ballast(disk: &Path) -> PathBuf {
    disk.join("ballast")
}

/// Fills a disk until so many bytes are left.
pub(super) fn fill(disk: &Path, left_bytes: u64) -> Result<(), Trouble> {
    let ballast = File::create(ballast(disk)).map_err(Trouble::not_run)?;
    loop {
        let room = statvfs(disk).map_err(Trouble::not_run)?;
        let fill = (room.f_bavail * room.f_frsize).saturating_sub(left_bytes);
        if fill == 0 {
            return Ok(());
        }
        let taken = ballast.metadata().map_err(Trouble::not_run)?.len();
        match fallocate(&ballast, FallocateFlags::empty(), taken, fill) {
            // Whoever writes there took some of it since: there is less to be filled.
            Err(Errno::NOSPC) => {}
            filled => return filled.map_err(Trouble::not_run),
        }
    }
}
