//! A part of a measurement in a process of its own, which ends with us, and what it costs.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A part that runs. None outlives this program: ours ends when its standard input does, and a program of others when
/// the thread that started it does, so it has to be the main one.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
    foreign: bool,
}

/// How much of the memory is a process's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now. Bytes.
    pub(crate) resident_bytes: u64,
    /// Resident at most, ever. Bytes.
    pub(crate) peak_bytes: u64,
}

/// Processor time by thread. Nanoseconds.
pub(crate) type Spent = HashMap<String, u64>;

impl Part {
    /// Starts this program again as `kind` of part, on `cpus`; with none, on all.
    pub(crate) fn start(kind: &str, cpus: &[usize], flags: &[(String, String)]) -> io::Result<Self> {
        let mut command = again(kind, cpus)?;
        for (name, value) in flags {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        Ok(Self { child: command.stdin(Stdio::piped()).spawn()?, foreign: false })
    }

    /// Starts a program of others on `cpus`. What it says is written to `log`.
    pub(crate) fn start_foreign<A: AsRef<OsStr>>(
        program: &str,
        arguments: &[A],
        cpus: &[usize],
        log: &Path,
    ) -> io::Result<Self> {
        let log = File::create(log)?;
        let mut command = again("foreign", cpus)?;
        command.arg("--").arg(program).args(arguments);
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: command.spawn()?, foreign: true })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> io::Result<ExitStatus> {
        if self.foreign {
            self.foreign = false;
            kill_process(self.pid(), Signal::TERM)?;
        }
        drop(self.child.stdin.take());
        self.child.wait()
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a number")
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(Memory { resident_bytes: field(&status, "VmRSS:")?, peak_bytes: field(&status, "VmHWM:")? })
    }

    /// The processor time of each thread that it has now.
    pub(crate) fn spent(&self) -> io::Result<Spent> {
        let mut spent = Spent::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // A thread that has just ended is no longer to be read.
            if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
                let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default();
                spent.insert(thread.file_name().to_string_lossy().into_owned(), nanos);
            }
        }
        Ok(spent)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.foreign || self.child.stdin.is_some() {
            // It may have ended by itself, and then there is nothing left to end.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// This program once more, as `kind` of part on `cpus`.
fn again(kind: &str, cpus: &[usize]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(kind);
    for cpu in cpus {
        command.arg("--cpu").arg(cpu.to_string());
    }
    Ok(command)
}

/// What was spent between two looks. Nanoseconds.
pub(crate) fn between(before: &Spent, after: &Spent) -> u64 {
    after.iter().map(|(thread, nanos)| nanos - before.get(thread).copied().unwrap_or(0).min(*nanos)).sum()
}

/// The first line that a program of others says of its version; none where it is not installed.
pub(crate) fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// Bytes that a folder takes on its disk, with all that is in it. What vanishes meanwhile is not counted.
pub(crate) fn bytes_on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { bytes_on_disk(&entry.path()) } else { metadata.blocks() * 512 })
    });
    bytes.sum()
}

pub(crate) fn field(status: &str, name: &str) -> io::Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next());
    let kibibytes: Option<u64> = value.and_then(|value| value.parse().ok());
    kibibytes.map(|value| value * 1_024).ok_or_else(|| io::Error::other(format!("no {name} in /proc")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_came_later_counts_from_zero_and_one_that_went_does_not_count() {
        let spent = |all: &[(&str, u64)]| all.iter().map(|(name, nanos)| ((*name).to_owned(), *nanos)).collect();
        let (before, after) = (spent(&[("1", 10), ("2", 5)]), spent(&[("1", 30), ("3", 7)]));
        assert_eq!(between(&before, &after), 27);
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        assert_eq!(field("VmHWM:\t  12 kB\nVmRSS:\t  10 kB\n", "VmRSS:").unwrap(), 10_240);
        assert!(field("", "VmRSS:").is_err());
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/file"), [7; 10_000]).unwrap();
        assert!((10_000..30_000).contains(&bytes_on_disk(folder.path())));
        assert_eq!(bytes_on_disk(&folder.path().join("none")), 0);
    }

    #[test]
    fn a_program_that_is_not_installed_has_no_version() {
        assert_eq!(version_of("latchkey-of-nobody"), None);
    }
}
