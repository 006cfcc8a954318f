//! What the kernel knows of this process, read when somebody asks.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::clock::{Clock as _, SystemClock};
use crate::metrics::Point;
use crate::names;

/// Ticks of `/proc/self/stat` in a second. It is a constant of the kernel's interface, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Each point with the name of its metric.
pub(crate) fn points(service: &'static str) -> Vec<(&'static str, Point)> {
    let mut points = Vec::with_capacity(8);
    let mut add = |name, labels: &[(&str, &str)], value| points.push((name, Point::number(labels, value)));
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::read) {
        add(names::PROCESS_CPU_TIME, &[("cpu.mode", "user")], stat.user_seconds);
        add(names::PROCESS_CPU_TIME, &[("cpu.mode", "system")], stat.system_seconds);
        add(names::PROCESS_THREADS, &[], stat.threads);
        let boot_seconds = float(SystemClock.boottime_millis()) / 1_000.0;
        add(names::PROCESS_UPTIME, &[], (boot_seconds - stat.started_seconds).max(0.0));
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        add(names::PROCESS_MEMORY_USAGE, &[], bytes);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // Listing them opens one more.
        add(names::PROCESS_FILE_DESCRIPTORS, &[], float(descriptors.count().saturating_sub(1) as u64));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        add(names::FILE_DESCRIPTORS_MAX, &[], float(most));
    }
    add(names::TARGET_INFO, &[("service.name", service), ("service.version", env!("CARGO_PKG_VERSION"))], 1.0);
    points
}

/// What is wanted of `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    user_seconds: f64,
    system_seconds: f64,
    threads: f64,
    started_seconds: f64,
}

impl Stat {
    /// The second field is the name of the program, in brackets, and may hold anything: what is wanted comes after it.
    fn read(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
        Some(Self {
            user_seconds: float(field(14)?) / TICKS_PER_SECOND,
            system_seconds: float(field(15)?) / TICKS_PER_SECOND,
            threads: float(field(20)?),
            started_seconds: float(field(22)?) / TICKS_PER_SECOND,
        })
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(float(kib * 1_024))
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_brackets_and_blanks_in_its_name_is_read_all_the_same() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 12 0 300 1 1 1 1";
        let stat = Stat { user_seconds: 2.5, system_seconds: 0.5, threads: 12.0, started_seconds: 3.0 };
        assert_eq!(Stat::read(text), Some(stat));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t  12 kB\n"), Some(12_288.0));
    }

    #[test]
    fn everything_is_told_of_a_process_that_runs() {
        let points = points("test");
        assert_eq!(points.len(), 8, "{points:?}");
    }
}
