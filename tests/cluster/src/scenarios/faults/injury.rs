//! What is done to the cluster, and undone.

use crate::cluster::Cluster;
use crate::process::Process;
use crate::random::Random;
use crate::report::Trouble;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `SIGKILL`, and a start later.
    Kill,
    /// `SIGTERM`, and a start later.
    End,
    /// `SIGSTOP`, then `SIGCONT`.
    Pause,
    /// One direction of one link.
    CutOneWay,
    /// Both directions of one link.
    Cut,
    /// All links of one replica.
    CutOff,
    /// The wall clock of one replica jumps, and back.
    Clock,
    /// Each sync of one replica takes 50 ms more.
    SlowDisk,
    /// Syncs of one replica fail.
    FailingDisk,
    /// The disk of one replica is filled.
    FullDisk,
}

const ALL: [Kind; 10] = [
    Kind::Kill,
    Kind::End,
    Kind::Pause,
    Kind::CutOneWay,
    Kind::Cut,
    Kind::CutOff,
    Kind::Clock,
    Kind::SlowDisk,
    Kind::FailingDisk,
    Kind::FullDisk,
];

/// The shortest and the longest time that a fault lasts. The longest is beyond the bound of one site.
const LASTS_MS: (u64, u64) = (300, 7_000);

/// How far a clock jumps at most: beyond what is tolerated, mostly.
const JUMP_MS_MAX: u64 = 8_000;

/// A process whose sync failed has ended by then, on the slowest of machines.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// System calls that make bytes durable.
const SYNCS: &str = "fdatasync,fsync,sync_file_range";

/// What is filled, leaves less than the storage keeps free.
const LEFT_BYTES: u64 = 20 << 20;

struct Injury {
    kind: Kind,
    /// The replica, and the other one of a link.
    at: (u64, u64),
    ends: Instant,
    /// What does it, where it takes a process.
    tracer: Option<(Process, PathBuf)>,
}

/// All faults of a run.
pub(super) struct Injuries {
    kinds: Vec<Kind>,
    began: Instant,
    random: Random,
    current: Vec<Injury>,
    counts: BTreeMap<Kind, u64>,
    log: Vec<String>,
    survivors: Vec<String>,
}

impl Injuries {
    pub(super) fn new(cluster: &Cluster, only: &[Kind], random: Random) -> Self {
        let can = |kind: &Kind| match kind {
            Kind::SlowDisk | Kind::FailingDisk => has("strace"),
            Kind::FullDisk => cluster.has_small_disks(),
            _ => true,
        };
        let wanted: &[Kind] = if only.is_empty() { &ALL } else { only };
        let kinds: Vec<_> = wanted.iter().copied().filter(can).collect();
        for kind in wanted.iter().filter(|kind| !kinds.contains(kind)) {
            println!("   {kind:?}: not run: this machine or this account cannot bring it about");
        }
        Self {
            kinds,
            began: Instant::now(),
            random,
            current: Vec::new(),
            counts: BTreeMap::new(),
            log: Vec::new(),
            survivors: Vec::new(),
        }
    }

    /// When the first fault could be made.
    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    pub(super) const fn current(&self) -> usize {
        self.current.len()
    }

    pub(super) const fn counts(&self) -> &BTreeMap<Kind, u64> {
        &self.counts
    }

    /// Processes that went on although their disk failed.
    pub(super) fn survivors(&self) -> &[String] {
        &self.survivors
    }

    /// The last lines of what was done.
    pub(super) fn log(&self, lines: usize) -> String {
        self.log[self.log.len().saturating_sub(lines)..].join("\n")
    }

    /// Begins one more fault.
    pub(super) fn add(&mut self, cluster: &mut Cluster) -> Result<(), Trouble> {
        let (Some(kind), ids) = (self.random.one(&self.kinds).copied(), cluster.ids()) else { return Ok(()) };
        let id = *self.random.one(&ids).expect("a cluster has replicas");
        let other = *self.random.one(&cluster.others(id)).expect("a cluster has more than one");
        // Two faults of one process would undo each other.
        let is_busy = self.current.iter().any(|injury| injury.at.0 == id && injury.kind.is_of_process());
        if kind.is_of_process() && (is_busy || !cluster.node(id).runs()) {
            return Ok(());
        }
        let (least, most) = LASTS_MS;
        let lasts = Duration::from_millis(least + self.random.below(most - least));
        let mut injury = Injury { kind, at: (id, other), ends: Instant::now() + lasts, tracer: None };
        match kind {
            Kind::Kill => cluster.kill(id),
            Kind::End => cluster.ask_to_end(id)?,
            Kind::Pause => cluster.pause(id)?,
            Kind::CutOneWay => cluster.links().cut_one_way(id, other),
            Kind::Cut => cluster.links().cut(id, other),
            Kind::CutOff => cluster.cut_off(id),
            Kind::Clock => {
                let jump = i64::try_from(self.random.below(2 * JUMP_MS_MAX)).expect("a small number")
                    - i64::try_from(JUMP_MS_MAX).expect("a small number");
                cluster.move_clock(id, jump)?;
                self.say(&format!("the clock of {id} jumps by {jump} ms"));
            }
            Kind::SlowDisk => injury.tracer = Some(trace(cluster, id, "delay_enter=50000")?),
            Kind::FailingDisk => injury.tracer = Some(trace(cluster, id, "error=EIO")?),
            Kind::FullDisk => cluster.fill_disk(id, LEFT_BYTES)?,
        }
        *self.counts.entry(kind).or_default() += 1;
        self.say(&format!("{kind:?} of {id}, {other} for {lasts:?}"));
        self.current.push(injury);
        Ok(())
    }

    /// Undoes what has lasted long enough.
    pub(super) async fn mend_due(&mut self, cluster: &mut Cluster) -> Result<(), Trouble> {
        let now = Instant::now();
        while let Some(place) = self.current.iter().position(|injury| injury.ends <= now) {
            let injury = self.current.remove(place);
            self.mend(cluster, injury).await?;
        }
        self.restart_ended(cluster)
    }

    /// Undoes all.
    pub(super) async fn mend_all(&mut self, cluster: &mut Cluster) -> Result<(), Trouble> {
        while let Some(injury) = self.current.pop() {
            self.mend(cluster, injury).await?;
        }
        cluster.links().heal();
        self.restart_ended(cluster)
    }

    async fn mend(&mut self, cluster: &mut Cluster, injury: Injury) -> Result<(), Trouble> {
        let Injury { kind, at: (id, other), tracer, .. } = injury;
        self.say(&format!("{kind:?} of {id}, {other} ends"));
        match kind {
            Kind::Kill => cluster.start(id)?,
            Kind::End => {
                cluster.wait_for_end(id).await?;
                cluster.start(id)?;
            }
            Kind::Pause => cluster.resume(id)?,
            Kind::CutOneWay => cluster.links().mend(id, other),
            Kind::Cut => {
                cluster.links().mend(id, other);
                cluster.links().mend(other, id);
            }
            Kind::CutOff => {
                for other in cluster.others(id) {
                    cluster.links().mend(id, other);
                    cluster.links().mend(other, id);
                }
            }
            Kind::Clock => cluster.move_clock(id, 0)?,
            Kind::SlowDisk => {}
            Kind::FailingDisk => self.see_it_end(cluster, id, tracer.as_ref()).await,
            Kind::FullDisk => cluster.empty_disk(id)?,
        }
        if let Some((tracer, _)) = tracer {
            // It lets go of the process when it is asked to.
            drop(tracer.stop_any().await);
        }
        Ok(())
    }

    /// After a sync that failed, nobody knows what the disk holds: the process has to end.
    async fn see_it_end(&mut self, cluster: &mut Cluster, id: u64, tracer: Option<&(Process, PathBuf)>) {
        let failed = |log: &Path| fs::read_to_string(log).is_ok_and(|log| log.contains("INJECTED"));
        if !tracer.is_some_and(|(_, log)| failed(log)) {
            self.say(&format!("replica {id} made no sync meanwhile"));
            return;
        }
        let by = Instant::now() + ENDS_WITHIN;
        while cluster.exited(id).is_none() {
            if Instant::now() > by {
                let log = tracer.map(|(_, log)| crate::process::tail(log, 3)).unwrap_or_default();
                self.survivors.push(format!("replica {id} goes on after a sync that failed: {log}"));
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts what ended by itself: a disk that failed ends a process, and a full one may.
    fn restart_ended(&mut self, cluster: &mut Cluster) -> Result<(), Trouble> {
        for id in cluster.ids() {
            let is_due = self.current.iter().any(|injury| injury.at.0 == id && injury.kind.ends_processes());
            if is_due || !cluster.node(id).runs() {
                continue;
            }
            let Some(status) = cluster.exited(id) else { continue };
            self.say(&format!("replica {id} has ended with {status}, and is started"));
            if !self.counts.contains_key(&Kind::FailingDisk) && !self.counts.contains_key(&Kind::FullDisk) {
                return Err(Trouble::wrong(format!("replica {id} ended by itself with {status}")));
            }
            cluster.kill(id);
            cluster.start(id)?;
        }
        Ok(())
    }

    fn say(&mut self, what: &str) {
        self.log.push(format!("   {:>7} ms  {what}", self.began.elapsed().as_millis()));
    }
}

impl Kind {
    /// Whether it is done to the process, so that there is one such fault of a replica at a time.
    const fn is_of_process(self) -> bool {
        match self {
            Self::Kill | Self::End | Self::Pause | Self::SlowDisk | Self::FailingDisk | Self::FullDisk => true,
            Self::CutOneWay | Self::Cut | Self::CutOff | Self::Clock => false,
        }
    }

    const fn ends_processes(self) -> bool {
        matches!(self, Self::Kill | Self::End | Self::FailingDisk)
    }
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Attaches strace to a replica, and lets it do this to each sync.
fn trace(cluster: &Cluster, id: u64, what: &str) -> Result<(Process, PathBuf), Trouble> {
    let process = cluster.node(id).process()?.id().to_string();
    let log = cluster.folder().join(format!("strace-{process}-{}", what.len()));
    let (filter, inject) = (format!("trace={SYNCS}"), format!("inject={SYNCS}:{what}"));
    let output = log.display().to_string();
    let args = ["-f", "-qq", "-p", &process, "-o", &output, "-e", &filter, "-e", &inject];
    let tracer = Process::start("strace", Path::new("strace"), &args, cluster.folder().join("strace.log"))?;
    Ok((tracer, log))
}
