//! Faults that overlap, drawn by a seed, under callers whose every word is recorded; then all is mended, and the record
//! is checked.

mod callers;
mod injury;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::history;
use crate::keys::list;
use crate::random::Random;
use crate::record::Record;
use crate::report::{Report, Trouble};
use crate::shape::{Profile, Shape};
use callers::Callers;
use injury::{Injuries, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) replicas: usize,
    pub(crate) profile: Profile,
    /// The kinds of faults to draw from. None: all.
    pub(crate) only: Vec<Kind>,
    /// For how long faults are made.
    pub(crate) lasts: Duration,
}

pub(crate) use injury::Kind as FaultKind;

/// At most so many faults at once. Two of them may well take the quorum away: then nobody writes, and nothing is lost.
const AT_ONCE: usize = 3;

/// The shortest and the longest time between two beginnings.
const BETWEEN_MS: (u64, u64) = (200, 1_500);

/// Lines of the log of faults that are shown with a finding.
const SHOWN: usize = 60;

/// Injures the cluster for as long as planned.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let shape = Shape { moving_clocks: true, ..Shape::linked(plan.replicas, plan.profile) };
    let small = plan.only.is_empty() || plan.only.contains(&Kind::FullDisk);
    let mut cluster = Cluster::of(binaries, Shape { small_disks: small, ..shape }, random).await?;
    println!("   {} replicas, {}", plan.replicas, plan.profile.word());
    let mut injuries = Injuries::new(&cluster, &plan.only, random.fork());
    let (ended, record) = injure(&mut cluster, &plan, &mut injuries, random, report).await;
    let ended = match ended {
        Ok(()) => check(&mut cluster, &record, &injuries, report).await,
        wrong => wrong,
    };
    if ended.is_err() || report.has_failed() {
        println!("--- faults, the last {SHOWN}\n{}", injuries.log(SHOWN));
        for key in named(&record).into_iter().take(3) {
            println!("--- key {key}, in milliseconds of the same clock\n{}", record.story(key, injuries.began()));
        }
        println!("{}", cluster.last_words());
    }
    ended
}

/// The keys of which an answer was wrong.
fn named(record: &Record) -> BTreeSet<u64> {
    let wrong = record.check_values().into_iter().chain(record.check_order());
    let number = |text: &str| text.split_once("key ")?.1.split(' ').next()?.trim_end_matches(',').parse().ok();
    wrong.filter_map(|text| number(&text)).collect()
}

async fn injure(
    cluster: &mut Cluster,
    plan: &Plan,
    injuries: &mut Injuries,
    random: &mut Random,
    report: &mut Report,
) -> (Result<(), Trouble>, Record) {
    let callers = Callers::start(cluster, random);
    let until = Instant::now() + plan.lasts;
    let mut ended = Ok(());
    while ended.is_ok() && Instant::now() < until {
        ended = injuries.mend_due(cluster).await;
        if ended.is_ok() && injuries.current() < AT_ONCE {
            ended = injuries.add(cluster);
        }
        let (least, most) = BETWEEN_MS;
        sleep(Duration::from_millis(least + random.below(most - least))).await;
    }
    if ended.is_ok() {
        ended = injuries.mend_all(cluster).await;
    }
    if ended.is_ok() {
        let whole = Instant::now();
        ended = cluster.all_serve().await;
        report.figure("all links and processes whole: all serve after", format!("{:.1?}", whole.elapsed()));
    }
    (ended, callers.finish().await)
}

async fn check(
    cluster: &mut Cluster,
    record: &Record,
    injuries: &Injuries,
    report: &mut Report,
) -> Result<(), Trouble> {
    let told = record.writes.iter().filter(|write| write.told.is_some()).count();
    report.figure("faults", format!("{:?}", injuries.counts()));
    report.figure("writes acknowledged", told);
    report.figure("writes of unknown outcome", record.writes.len() - told);
    let mut outcomes = BTreeMap::new();
    for read in &record.reads {
        *outcomes.entry(read.outcome.as_str_name()).or_insert(0_u64) += 1;
    }
    report.figure("validations answered", format!("{} {outcomes:?}", record.reads.len()));
    report.check("a process whose disk fails ends at once", injuries.survivors());
    report.check("no write that began after another had ended lies below it", &record.check_order());
    report.check("every answer is that of the last write at or below its revision", &record.check_values());
    report.check(
        "no answer lacks what was acknowledged more than a bound earlier, was reported, or was asked for",
        &record.check_freshness(cluster.bound()),
    );
    report.check("what a replica answers from never goes back", &record.check_steadiness());
    let listed = list(&cluster.issuance()).await?;
    report.check("nothing acknowledged is lost, nothing is there twice, nothing unasked", &record.check_kept(&listed));
    history::check_events(cluster, report).await?;
    history::check_states(cluster, report).await
}
