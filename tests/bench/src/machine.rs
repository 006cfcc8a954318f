//! What this runs on: what is said of it, and how its processors are shared out.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;

/// The processors of the servers and those of the load generator: a half each, so that neither takes from the other. On
/// one processor they share it, and the figures are worth less.
#[derive(Clone, Debug)]
pub(crate) struct Halves {
    /// For whatever is measured.
    pub(crate) servers: Vec<usize>,
    /// For the load generator.
    pub(crate) callers: Vec<usize>,
}

/// Shares out what this process may use.
pub(crate) fn halves() -> io::Result<Halves> {
    let ours = sched_getaffinity(None)?;
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu)).collect();
    if all.len() < 2 {
        return Ok(Halves { servers: all.clone(), callers: all });
    }
    let (servers, callers) = all.split_at(all.len() / 2);
    Ok(Halves { servers: servers.to_vec(), callers: callers.to_vec() })
}

/// Keeps this thread, and those that it starts from now on, on `cpus`.
pub(crate) fn stay_on(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Memory that is to be had without anybody else losing any. Bytes.
pub(crate) fn memory_available() -> io::Result<u64> {
    crate::process::field(&std::fs::read_to_string("/proc/meminfo")?, "MemAvailable:")
}

/// Bytes that are free on the disk of `folder`.
pub(crate) fn disk_free(folder: &std::path::Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// The processor and the kernel, in words.
pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| rest.trim_start_matches(|c: char| c.is_whitespace() || c == ':'));
    let processors = info.lines().filter(|line| line.starts_with("processor")).count();
    format!("{processors} x {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
