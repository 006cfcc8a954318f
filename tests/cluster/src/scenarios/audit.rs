//! Entries are written in batches while the leader and audit are killed and audit's disk is full for a while. Then the log is
//! read as an operator reads it, and as an auditor does who trusts nobody.

mod checks;
mod harm;
mod log;
mod raised;
mod seen;
mod writers;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::process::tail;
use crate::random::Random;
use crate::report::{Report, Trouble};
use checks::{caught_up, check_entries, check_log, cosigned, entries, opened, verifier_keys};
use harm::{Kills, fill_for_a_while};
use latchkey_transparency::note::VerifierKey;
pub(super) use raised::Followed;
use seen::Onlooker;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use writers::Writers;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// So many entries at least.
    pub(crate) entries: u64,
    /// How many leaders, and how often audit, are killed.
    pub(crate) kills: u64,
    /// Where to leave the log, the keys and the checkpoints that were seen.
    pub(crate) keep: Option<PathBuf>,
    /// When nothing new is begun.
    pub(crate) by: Instant,
}

/// Where many entries are wanted: as many keys as a batch may have. Else each batch is one record among many.
const MANY: u64 = 50_000;

/// The longest that the command may take which verifies a log.
const VERIFY_MAX: Duration = Duration::from_secs(600);

/// Where the command finds the keys that it verifies by, and the first checkpoint that was seen.
const KEYS: &str = "log.keys";
const SEEN: &str = "log.seen";

/// How often it is looked how far the writers are.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Writes as planned, under kills.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = audit(&mut cluster, &plan, random, report).await;
    cluster.told(ended, report)
}

async fn audit(cluster: &mut Cluster, plan: &Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let many = plan.entries >= MANY;
    // What many entries take does not fit on a small disk.
    let has_disk = !many && cluster.give_audit_a_disk()?;
    cluster.start_audit()?;
    cluster.audit_serves().await?;
    let onlooker = Onlooker::at(&cluster.archive());
    let batch_keys = if many { 1_000 } else { 60 };
    let writers = Writers::start(&cluster.issuance(), batch_keys, plan.entries, random);

    let (mut kills, due) = (Kills::default(), Kills { leaders: plan.kills, audits: plan.kills, ..Kills::default() });
    let half = Kills { leaders: plan.kills / 2, audits: plan.kills / 2, ..Kills::default() };
    while !kills.are(&half) && Instant::now() < plan.by {
        kills.once(&half, cluster, random).await?;
    }
    if has_disk {
        fill_for_a_while(cluster).await?;
    }
    while !kills.are(&due) && Instant::now() < plan.by {
        kills.once(&due, cluster, random).await?;
    }
    while writers.entries() < plan.entries && Instant::now() < plan.by {
        cluster.audit_lives()?;
        sleep(LOOK_INTERVAL).await;
    }
    let (written, lasted) = writers.finish().await;
    let acknowledged = written.keys.len() + written.revoked.len();
    let rate = acknowledged as f64 / lasted.as_secs_f64().max(f64::EPSILON);
    report.figure(
        "kills",
        format!("{} of leaders, {} of audit, {} while it wrote", kills.leaders, kills.audits, kills.amidst),
    );
    report.check("whenever audit dies, its newest checkpoint stands on entries and tiles that are there", &kills.left);
    report.figure("audit's disk", if has_disk { "full for 6 s" } else { "never full: not run" });
    report.figure("entries that were acknowledged", format!("{acknowledged}, {rate:.0} a second"));
    report.figure("of unknown outcome", written.unknown.len());
    report.figure("tries that failed", format!("{:?}", written.failed));

    cluster.all_serve().await?;
    let due = caught_up(cluster).await?;
    let audit = cluster.audit();
    let found = entries(&audit).await?;
    report.figure("entries", found.len());
    check_entries(cluster, &found, &written, report).await?;
    let keys = verifier_keys(&audit).await?;
    let replicas = cluster.ids().len();
    let began = Instant::now();
    let (note, newest) = cosigned(|| onlooker.newest(), &keys, due, replicas).await?;
    report
        .figure("the checkpoint over all took, once all was quiet", format!("{:.1} s", began.elapsed().as_secs_f64()));
    report.check("the newest checkpoint is signed by audit and cosigned by every replica", &[]);
    let notes = onlooker.all();
    // What was seen is from many lives of audit, and each was signed.
    let seen = notes.iter().map(|note| Ok(opened(note, &keys)?.0)).collect::<Result<Vec<_>, Trouble>>()?;
    check_log(&cluster.archive(), &newest, &seen, report);
    // As it is left lying, it is what it was.
    cluster.stop_audit().await?;
    report.check("audit leaves a log that is right when it is asked to end", &log::left(&cluster.archive()));
    // The oldest that all vouched for: whoever was being killed did not.
    let vouched = |note: &&String| opened(note, &keys).is_ok_and(|(_, vouchers)| vouchers >= replicas);
    verify(cluster, &keys, notes.iter().find(vouched).unwrap_or(&note), report).await?;
    match &plan.keep {
        Some(folder) => keep(&cluster.archive(), folder, &keys, &notes, &note),
        None => crate::history::check_states(cluster, report).await,
    }
}

/// Lets the command verify the folder that people would give it, and find a bit that is flipped.
async fn verify(cluster: &Cluster, keys: &[VerifierKey], seen: &str, report: &mut Report) -> Result<(), Trouble> {
    let copy = cluster.folder().join("log");
    log::copy(&cluster.archive(), &copy).map_err(Trouble::not_run)?;
    fs::write(cluster.folder().join(KEYS), lines(keys)).map_err(Trouble::not_run)?;
    fs::write(cluster.folder().join(SEEN), seen).map_err(Trouble::not_run)?;
    let wrong = verified(cluster, &copy).await?;
    report.check("`latchkey audit verify` finds the log right", &Vec::from_iter(wrong));
    let tile = copy.join("tile/entries/000");
    let Ok(mut bytes) = fs::read(&tile) else { return Ok(()) };
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tile, bytes).map_err(Trouble::not_run)?;
    let found = verified(cluster, &copy).await?;
    let missed = found.is_none().then(|| format!("{} has a bit flipped, and is found right", tile.display()));
    report.check("`latchkey audit verify` finds one flipped bit", &Vec::from_iter(missed));
    Ok(())
}

/// What the command says against a folder; none where it is right.
async fn verified(cluster: &Cluster, folder: &Path) -> Result<Option<String>, Trouble> {
    let path = |path: &Path| path.display().to_string();
    let (folder, keys) = (path(folder), path(&cluster.folder().join(KEYS)));
    let (seen, quorum) = (path(&cluster.folder().join(SEEN)), cluster.ids().len().to_string());
    let words = ["audit", "verify", &folder, "--key", &keys, "--quorum", &quorum, "--earlier", &seen];
    let mut command = cluster.command(&words, "verify.log")?;
    let by = Instant::now() + VERIFY_MAX;
    while Instant::now() < by {
        if let Some(status) = command.exited() {
            return Ok((!status.success()).then(|| format!("{status}: {}", tail(command.log(), 3))));
        }
        sleep(LOOK_INTERVAL).await;
    }
    Err(Trouble::wrong("the command does not end that verifies a log"))
}

/// Keys, one a line.
fn lines(keys: &[VerifierKey]) -> String {
    keys.iter().map(|key| format!("{key}\n")).collect()
}

/// Leaves what a verifier needs that others wrote: `log/`, `keys`, and each checkpoint that was seen under `checkpoints/`.
fn keep(archive: &Path, folder: &Path, keys: &[VerifierKey], seen: &[String], newest: &str) -> Result<(), Trouble> {
    let write = || -> std::io::Result<()> {
        log::copy(archive, &folder.join("log"))?;
        fs::write(folder.join("log/checkpoint"), newest)?;
        fs::write(folder.join("keys"), lines(keys))?;
        fs::create_dir_all(folder.join("checkpoints"))?;
        for (number, note) in seen.iter().enumerate() {
            fs::write(folder.join(format!("checkpoints/{number:04}")), note)?;
        }
        Ok(())
    };
    write().map_err(|error| Trouble::not_run(format!("{}: {error}", folder.display())))
}
