//! A process of the cluster. It is ended by its own id, and by nothing wider.

use crate::report::Trouble;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a process may take to end in peace. Longer than its listeners wait for the calls in progress.
const PEACE_MAX: Duration = Duration::from_secs(20);

/// How often a process that was asked to end is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// One life of one process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints is added to the file `log`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        args: &[A],
        log: PathBuf,
    ) -> Result<Self, Trouble> {
        let begin = || {
            let output = OpenOptions::new().create(true).append(true).open(&log)?;
            let errors = output.try_clone()?;
            Command::new(program).args(args).stdin(Stdio::null()).stdout(output).stderr(errors).spawn()
        };
        let child =
            begin().map_err(|error| Trouble::not_run(format!("{} does not start: {error}", program.display())))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// `SIGKILL`: nothing is written any more, nobody is told.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// `SIGTERM`, and waits.
    pub(crate) async fn stop(mut self) -> Result<(), Trouble> {
        self.ask_to_end()?;
        let status = self.ended().await?;
        if status.success() {
            return Ok(());
        }
        Err(Trouble::wrong(format!("{} ended with {status} when asked to", self.name)))
    }

    /// `SIGTERM`, and waits until it has ended, however that may be.
    pub(crate) async fn stop_any(mut self) -> Result<(), Trouble> {
        if self.exited().is_none() {
            self.ask_to_end()?;
            self.ended().await?;
        }
        Ok(())
    }

    /// `SIGTERM`.
    pub(crate) fn ask_to_end(&self) -> Result<(), Trouble> {
        self.signal(Signal::TERM)
    }

    async fn ended(&mut self) -> Result<ExitStatus, Trouble> {
        let by = Instant::now() + PEACE_MAX;
        while Instant::now() < by {
            if let Some(status) = self.exited() {
                return Ok(status);
            }
            sleep(LOOK_INTERVAL).await;
        }
        Err(Trouble::wrong(format!("{} does not end within {} s of SIGTERM", self.name, PEACE_MAX.as_secs())))
    }

    /// `SIGSTOP`: it stands still, and its clocks run on.
    pub(crate) fn pause(&self) -> Result<(), Trouble> {
        self.signal(Signal::STOP)
    }

    /// `SIGCONT`.
    pub(crate) fn resume(&self) -> Result<(), Trouble> {
        self.signal(Signal::CONT)
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Trouble::not_run("a process without an id"))?;
        // It was not waited for yet, so the id is still its own.
        kill_process(pid, signal).map_err(|error| Trouble::wrong(format!("{} cannot be signalled: {error}", self.name)))
    }

    fn end(&mut self) {
        // A process that has ended already is as dead as one that is killed now.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last lines of a log, for whoever has to find out.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

impl Process {
    /// Where its output lies.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}
