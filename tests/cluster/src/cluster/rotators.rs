//! The rotation services: any number, of which one drives.

use super::founding::{free_address, write};
use super::{Cluster, watch};
use crate::caller::Caller;
use crate::process::Process;
use crate::report::Trouble;
use crate::settings::of_service;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One rotation service, running or not.
#[derive(Debug)]
pub(super) struct Rotator {
    number: usize,
    at: SocketAddr,
    settings: PathBuf,
    pub(super) log: PathBuf,
    process: Option<Process>,
}

impl Rotator {
    pub(super) fn name(&self) -> String {
        format!("rotation {}", self.number)
    }
}

impl Cluster {
    /// Starts so many rotation services with these lines in their settings, and waits until each finds a leader.
    pub(crate) async fn start_rotators(&mut self, count: usize, lines: &str) -> Result<(), Trouble> {
        let (secret, kek) = (self.folder.path().join("cluster.secret"), self.nodes[0].kek());
        for number in 0..count {
            let (at, within) = (free_address()?, self.folder.path());
            let settings = within.join(format!("rotation-{number}.toml"));
            write(&settings, &format!("{}{lines}", of_service(at, &self.nodes, &secret, &kek)))?;
            let log = within.join(format!("rotation-{number}.log"));
            self.rotators.push(Rotator { number, at, settings, log, process: None });
        }
        for number in 0..count {
            self.start_rotator(number)?;
        }
        for number in 0..count {
            let channel = self.rotator(number).channel();
            let process = self.rotators[number].process.as_mut().map(|process| (process, "rotation"));
            watch(channel, "latchkey.write", process).await?;
        }
        Ok(())
    }

    /// The numbers of all rotation services, from 0.
    pub(crate) fn rotators(&self) -> std::ops::Range<usize> {
        0..self.rotators.len()
    }

    /// A rotation service, called as root.
    pub(crate) fn rotator(&self, number: usize) -> Caller {
        Caller::new(self.rotators[number].at, &self.root, &self.secret)
    }

    /// Starts a rotation service that does not run.
    pub(crate) fn start_rotator(&mut self, number: usize) -> Result<(), Trouble> {
        let program = self.binaries.rotation.clone();
        let rotator = &mut self.rotators[number];
        let args = ["--config".to_owned(), rotator.settings.display().to_string()];
        rotator.process = Some(Process::start(&rotator.name(), &program, &args, rotator.log.clone())?);
        Ok(())
    }

    /// Kills a rotation service.
    pub(crate) fn kill_rotator(&mut self, number: usize) {
        if let Some(process) = self.rotators[number].process.take() {
            process.kill();
        }
    }

    /// Kills all rotation services.
    pub(crate) fn kill_rotators(&mut self) {
        self.rotators().for_each(|number| self.kill_rotator(number));
    }

    /// That each rotation service that was not killed still runs.
    pub(crate) fn rotators_live(&mut self) -> Result<(), Trouble> {
        for rotator in &mut self.rotators {
            if let Some(status) = rotator.process.as_mut().and_then(Process::exited) {
                return Err(Trouble::wrong(format!("{} ended by itself with {status}", rotator.name())));
            }
        }
        Ok(())
    }
}
