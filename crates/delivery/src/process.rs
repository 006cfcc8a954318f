//! Running a command of the settings: a hook, or a consumer's check.
//!
//! It gets its input on standard input, a few variables and nothing else of ours; what it writes goes nowhere, since it may
//! repeat the secret. When its time is over, it and everything that it started is killed.

use latchkey_config::CommandLine;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a killed process may take to be gone.
const REAP_MAX: Duration = Duration::from_secs(5);

/// Why a command of the settings did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It cannot be started.
    #[error("cannot start {program}; is it there, and may the rotation service execute it?")]
    Start {
        /// The program; its arguments are not told.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It ended with a code other than 0.
    #[error("{program} ended with exit code {code}, expected 0; 75 would say: try again")]
    Ended {
        /// The program.
        program: PathBuf,
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it.
    #[error("{program} was ended by signal {signal}")]
    Signal {
        /// The program.
        program: PathBuf,
        /// The number of the signal.
        signal: i32,
    },
    /// It was not done in time, and was killed.
    #[error("{program} was not done within {} s and was killed; make it quicker or raise its time limit", limit.as_secs())]
    Time {
        /// The program.
        program: PathBuf,
        /// Its time.
        limit: Duration,
    },
    /// The system did not tell how it ended.
    #[error("cannot wait for {program}")]
    Wait {
        /// The program.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Runs a command to its end.
pub(crate) async fn run(
    line: &CommandLine,
    variables: &[(&str, String)],
    input: &[u8],
    limit: Duration,
) -> Result<(), ProcessError> {
    let program = || line.program.clone();
    let mut command = Command::new(&line.program);
    command.args(&line.arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own, so that what it started can be ended with it.
    command.current_dir("/").process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(|source| ProcessError::Start { program: program(), source })?;
    let mut group = Group { child };
    let Ok(ended) = timeout(limit, group.feed_and_wait(input)).await else {
        group.kill();
        // Killed, it can only be gone: this takes it from the table of processes.
        let _ = timeout(REAP_MAX, group.child.wait()).await;
        return Err(ProcessError::Time { program: program(), limit });
    };
    judge(program(), ended.map_err(|source| ProcessError::Wait { program: program(), source })?)
}

fn judge(program: PathBuf, status: ExitStatus) -> Result<(), ProcessError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ProcessError::Ended { program, code }),
        (None, signal) => Err(ProcessError::Signal { program, signal: signal.unwrap_or_default() }),
    }
}

/// A process and all that it started. Dropped before its end, all of them are killed.
struct Group {
    child: Child,
}

impl Group {
    async fn feed_and_wait(&mut self, input: &[u8]) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let fed = async move {
            if let Some(mut stdin) = stdin {
                // Whoever closed it early has read enough: the exit code alone says whether all is well.
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), status) = tokio::join!(fed, self.child.wait());
        status
    }

    fn kill(&self) {
        // There is no id once it has been waited for, and so nobody else's group is ever meant.
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
