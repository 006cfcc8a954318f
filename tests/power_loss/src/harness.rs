//! The writer as a process that is heard, stopped and ended.

use std::fs;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use latchkey_storage::{OpenError, SledStore};
use rustix::process::{Pid, Signal, kill_process};

use crate::expect::{Expect, FACTS};
use crate::writer::options;

/// Said into the pipe when the writer can say nothing more.
const END: &str = "end";

/// A writer that runs.
pub(crate) struct Running {
    pid: Pid,
    lines: BufReader<PipeReader>,
    own_end: PipeWriter,
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

/// The command that runs the writer.
pub(crate) fn writer(folder: &Path, round: u64, operations: u64) -> io::Result<Vec<String>> {
    let program = std::env::current_exe()?;
    let words = [&*program.to_string_lossy(), "write", &*folder.to_string_lossy()].map(str::to_owned);
    Ok(words.into_iter().chain([format!("--round={round}"), format!("--operations={operations}")]).collect())
}

impl Running {
    /// What it complains about goes to `complaints`.
    pub(crate) fn start(words: &[String], complaints: Stdio) -> io::Result<Self> {
        let (lines, own_end) = io::pipe()?;
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program).args(arguments).stdout(own_end.try_clone()?).stderr(complaints).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let mut last = own_end.try_clone()?;
        let waiter = thread::spawn(move || wait(child, &mut last));
        Ok(Self { pid, lines: BufReader::new(lines), own_end, waiter })
    }

    /// The next line; `None` when the writer has ended or was stopped.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok((line != END && !line.is_empty()).then_some(line))
    }

    /// Stops all its threads where they are; one in the kernel finishes its call first.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        kill_process(self.pid, Signal::STOP)?;
        while !self.stands_still() {
            thread::yield_now();
        }
        writeln!(self.own_end, "{END}")
    }

    pub(crate) fn kill(self) -> io::Result<()> {
        // It may have ended by itself already; the waiter has its status then.
        let _ = kill_process(self.pid, Signal::KILL);
        self.ended().map(drop)
    }

    /// How it ended.
    pub(crate) fn ended(self) -> io::Result<ExitStatus> {
        self.waiter.join().map_err(|_| io::Error::other("the waiter panicked"))?
    }

    fn stands_still(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero())) else { return true };
        threads.flatten().all(|thread| match fs::read_to_string(thread.path().join("stat")) {
            // The state follows the name, which is in parentheses.
            Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 'Z', 'X'])),
            Err(_) => true,
        })
    }
}

fn wait(mut child: Child, last: &mut PipeWriter) -> io::Result<ExitStatus> {
    let status = child.wait();
    // Nobody reads any more where the harness has ended the writer itself.
    let _ = writeln!(last, "{END}");
    status
}

/// Opens what the writer left, checks it, and says what is to be expected from then on.
pub(crate) fn check(folder: &Path, expect: &Expect) -> Result<Expect, String> {
    let options = options(None);
    match SledStore::open(folder, &options) {
        Ok(store) => {
            expect.check(&store)?;
            Expect::of(&store)
        }
        Err(OpenError::NotInitialised { .. }) if !expect.opened => {
            // Ended while it was being made: then it must be possible to make it.
            SledStore::create(folder, &FACTS, &options).map_err(|error| error.to_string())?;
            Ok(Expect::empty())
        }
        Err(error) => Err(format!("does not open: {error}")),
    }
}
