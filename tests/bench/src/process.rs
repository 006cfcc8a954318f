//! A part of a cluster in a process of its own, which ends with us, and what it costs.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A part that runs. It ends when its standard input does, so none outlives this program.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
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
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(kind).stdin(Stdio::piped());
        for cpu in cpus {
            command.arg("--cpu").arg(cpu.to_string());
        }
        for (name, value) in flags {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        Ok(Self { child: command.spawn()? })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> io::Result<ExitStatus> {
        drop(self.child.stdin.take());
        self.child.wait()
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
        if self.child.stdin.is_some() {
            // It may have ended by itself, and then there is nothing left to end.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What was spent between two looks. Nanoseconds.
pub(crate) fn between(before: &Spent, after: &Spent) -> u64 {
    after.iter().map(|(thread, nanos)| nanos - before.get(thread).copied().unwrap_or(0).min(*nanos)).sum()
}

fn field(status: &str, name: &str) -> io::Result<u64> {
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
}
