//! Regions far apart: what is revoked in one is seen in all, a region that is cut off is named by the end of its lease,
//! and nobody anywhere answers `VALID` after that.

use super::revoking::{REVOKE_MAX, Revoked, make_keys, revoke};
use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::cluster::{Cluster, region_of};
use crate::keys::{Made, validate};
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use crate::shape::{Profile, Shape};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica_status::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How often a client asks about a key that is about to be revoked.
const ASK_INTERVAL: Duration = Duration::from_millis(2);

/// How long one question may take.
const ASK_MAX: Duration = Duration::from_secs(5);

/// Revocations at once: one would measure nothing but itself, and more would measure this machine.
const AT_ONCE: usize = 2;

/// For how long a region is asked on after its bound is over.
const ASKED_BEYOND: Duration = Duration::from_secs(2);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) replicas: usize,
    pub(crate) profile: Profile,
    /// How many keys are revoked while all links are whole.
    pub(crate) revocations: usize,
    /// How many regions are cut off, one after the other: a follower's, then the leader's.
    pub(crate) cuts: u64,
    /// When nothing new is begun.
    pub(crate) by: Instant,
}

/// Revokes as planned.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::of(binaries, Shape::linked(plan.replicas, plan.profile), random).await?;
    let ended = async {
        whole(&cluster, plan, random, report).await?;
        cut_off(&mut cluster, plan, random, report).await
    };
    let ended = ended.await;
    let (strangers, carried) = cluster.links().counts();
    report.figure("connections through links", carried);
    report.figure("connections of nobody known", strangers);
    cluster.told(ended, report)
}

/// What one revocation showed while all links were whole.
struct Round {
    /// From the call until the slowest region answered `REVOKED`.
    visible: Duration,
    /// From the call until the barrier answered.
    confirmed: Duration,
    wrong: Vec<String>,
    unanswered: u64,
}

async fn whole(cluster: &Cluster, plan: Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let keys = make_keys(&cluster.issuance(), plan.revocations, random).await?;
    cluster.all_alike().await?;
    let callers: Arc<Vec<_>> = Arc::new(cluster.ids().into_iter().map(|id| (id, cluster.replica(id))).collect());
    let mut workers = JoinSet::new();
    for keys in keys.chunks(keys.len().div_ceil(AT_ONCE).max(1)) {
        let (keys, callers, mut random) = (keys.to_vec(), callers.clone(), random.fork());
        workers.spawn(async move {
            let mut rounds = Vec::new();
            for key in keys {
                if Instant::now() > plan.by {
                    break;
                }
                rounds.push(one(&callers, key, &mut random).await?);
            }
            Ok::<_, Trouble>(rounds)
        });
    }
    let (mut visible, mut confirmed, mut wrong, mut unanswered) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while let Some(ended) = workers.join_next().await {
        for round in ended.map_err(Trouble::not_run)?? {
            visible.push(round.visible);
            confirmed.push(round.confirmed);
            wrong.extend(round.wrong);
            unanswered += round.unanswered;
        }
    }
    report.figure("revocations through any region", visible.len());
    let spread = |times: &mut Vec<Duration>| {
        format!("p50 {}, p99 {}, at most {}", percentile(times, 50), percentile(times, 99), percentile(times, 100))
    };
    report.figure("visible in every region after", spread(&mut visible));
    report.figure("barrier answers after", spread(&mut confirmed));
    report.figure("questions that were not answered", unanswered);
    report.check("with all links whole every region confirms, and none answers VALID afterwards", &wrong);
    Ok(())
}

/// Revokes one key through a region, while a client in each region asks about it.
async fn one(callers: &[(u64, Caller)], key: Made, random: &mut Random) -> Result<Round, Trouble> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for (id, caller) in callers {
        let (id, caller, key) = (*id, caller.clone(), key.clone());
        clients.spawn(async move { (id, until_revoked(&caller, &key).await) });
    }
    let (_, through) = random.one(callers).expect("a cluster has replicas").clone();
    let revoked = revoke(&through, &key, v1::WaitFor::AllRegions, random).await?;
    let mut round = Round {
        visible: Duration::ZERO,
        confirmed: revoked.answered.duration_since(revoked.began),
        wrong: Vec::new(),
        unanswered: 0,
    };
    let unconfirmed = revoked.states().into_iter().filter(|(_, state)| *state != State::Applied);
    // A machine that is too slow loses leases, and that is told as what it is.
    round.unanswered += u64::try_from(unconfirmed.count()).unwrap_or(u64::MAX);
    while let Some(seen) = clients.join_next().await {
        let (id, seen) = seen.map_err(Trouble::not_run)?;
        round.unanswered += seen.unanswered;
        round.visible = round.visible.max(seen.revoked.duration_since(began));
        if seen.last_valid_began.is_some_and(|valid| valid > revoked.answered) && revoked.is_confirmed(callers.len()) {
            round.wrong.push(format!("{}: {} was VALID after the confirmation", region_of(id), key.name));
        }
    }
    for (id, caller) in callers {
        if let Ok(outcome) = validate(caller, &key, false, ASK_MAX).await
            && outcome != v1::Outcome::Revoked
        {
            round.wrong.push(format!("{}: {} was REVOKED and is {outcome:?}", region_of(*id), key.name));
        }
    }
    Ok(round)
}

/// What a client saw of a key until it was revoked.
struct Seen {
    last_valid_began: Option<Instant>,
    revoked: Instant,
    unanswered: u64,
}

async fn until_revoked(caller: &Caller, key: &Made) -> Seen {
    let begun = Instant::now();
    let (mut last_valid_began, mut unanswered) = (None, 0);
    while begun.elapsed() < REVOKE_MAX {
        let began = Instant::now();
        match validate(caller, key, false, ASK_MAX).await {
            Ok(v1::Outcome::Revoked) => break,
            Ok(_) => last_valid_began = Some(began),
            Err(_) => unanswered += 1,
        }
        sleep(ASK_INTERVAL).await;
    }
    Seen { last_valid_began, revoked: Instant::now(), unanswered }
}

async fn cut_off(cluster: &mut Cluster, plan: Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let bound = Duration::from_millis(plan.profile.bound_ms());
    let mut checks = Checks::default();
    for cut in 0..plan.cuts {
        if cut > 0 && Instant::now() + bound * 3 > plan.by {
            break;
        }
        cluster.all_serve().await?;
        let leads = cluster.leader().await?;
        let victim = if cut % 2 == 0 { cluster.follower().await? } else { leads };
        let keys = make_keys(&cluster.issuance(), 2, random).await?;
        cluster.all_alike().await?;
        one_cut(cluster, victim, [&keys[0], &keys[1]], bound, random, &mut checks).await?;
        cluster.links().heal();
        cluster.all_serve().await?;
        for key in &keys {
            let known = cluster.all_alike().await.map(|_| cluster.replica(victim))?;
            match validate(&known, key, true, ASK_MAX).await {
                Ok(v1::Outcome::Revoked) | Err(_) => {}
                Ok(outcome) => checks.returned.push(format!("{} is {outcome:?}", key.name)),
            }
        }
    }
    checks.tell(bound, report);
    Ok(())
}

#[derive(Default)]
struct Checks {
    cuts: u64,
    confirmed: Vec<Duration>,
    printed: Vec<String>,
    went_on: Vec<Duration>,
    stopped: BTreeMap<String, u64>,
    unnamed: Vec<String>,
    late: Vec<String>,
    silent: Vec<String>,
    returned: Vec<String>,
}

impl Checks {
    fn tell(mut self, bound: Duration, report: &mut Report) {
        report.figure("regions cut off", self.cuts);
        report.figure("bound of the keyspace", format!("{bound:?}"));
        let (half, most) = (percentile(&mut self.confirmed, 50), percentile(&mut self.confirmed, 100));
        report.figure("barrier answers with a region cut off after", format!("p50 {half}, at most {most}"));
        for line in &self.printed {
            report.figure("barrier named", line);
        }
        let (half, most) = (percentile(&mut self.went_on, 50), percentile(&mut self.went_on, 100));
        report.figure("a region that is cut off answers VALID for", format!("p50 {half}, at most {most}"));
        report.figure("then it answers", format!("{:?}", self.stopped));
        report
            .check("a region that is cut off is named as one whose lease ended, the others as applied", &self.unnamed);
        report.check("no VALID begins after acknowledged + bound, nor after the confirmation", &self.late);
        report.check("a region that is cut off goes on answering at first", &self.silent);
        report.check("what was revoked while a region was cut off is revoked there afterwards", &self.returned);
    }
}

async fn one_cut(
    cluster: &Cluster,
    victim: u64,
    [committed, confirmed]: [&Made; 2],
    bound: Duration,
    random: &mut Random,
    checks: &mut Checks,
) -> Result<(), Trouble> {
    checks.cuts += 1;
    let ends = Arc::new(AtomicBool::new(false));
    let caller = cluster.replica(victim);
    let watched = [committed.clone(), confirmed.clone()].map(|key| {
        let (caller, ends) = (caller.clone(), ends.clone());
        tokio::spawn(async move { watch(&caller, &key, &ends).await })
    });
    cluster.cut_off(victim);
    let cut_at = Instant::now();
    let other = cluster.others(victim)[0];
    let mut fork = random.fork();
    let through = cluster.replica(other);
    let (first, second) = tokio::join!(
        revoke(&through, committed, v1::WaitFor::Committed, random),
        revoke(&through, confirmed, v1::WaitFor::AllRegions, &mut fork),
    );
    let (first, second) = (first?, second?);
    checks.confirmed.push(second.answered.duration_since(second.began));
    note(&second, cluster, victim, checks);
    // The bound of the first has passed by then, and a little more.
    tokio::time::sleep_until((first.answered + bound).max(second.answered) + ASKED_BEYOND).await;
    ends.store(true, Ordering::Relaxed);
    let limits = [first.answered + bound, second.answered];
    for (watched, (key, limit)) in watched.into_iter().zip([committed, confirmed].into_iter().zip(limits)) {
        let Watched { valid, others } = watched.await.map_err(Trouble::not_run)?;
        let late: Vec<_> = valid.iter().filter(|began| **began > limit).collect();
        if let Some(worst) = late.last() {
            let by = worst.duration_since(limit);
            checks.late.push(format!("{}: {} VALID too late, the last by {by:?}", key.name, late.len()));
        }
        let after: Vec<_> = valid.iter().filter(|began| **began > cut_at).collect();
        match after.last() {
            Some(last) => checks.went_on.push(last.duration_since(cut_at)),
            None => checks.silent.push(format!("{} answers no VALID once it is cut off", region_of(victim))),
        }
        for (answer, count) in others {
            *checks.stopped.entry(answer).or_default() += count;
        }
    }
    Ok(())
}

fn note(revoked: &Revoked, cluster: &Cluster, victim: u64, checks: &mut Checks) {
    let states = revoked.states();
    for id in cluster.ids() {
        let state = states.get(&id).copied();
        let due = if id == victim { State::LeaseEnded } else { State::Applied };
        if state != Some(due) {
            checks.unnamed.push(format!("{} is {state:?} where {due:?} is due", region_of(id)));
        }
    }
    let took = revoked.answered.duration_since(revoked.began);
    checks.printed.push(format!("{} of {states:?} after {took:?}", region_of(victim)));
}

/// What a client in a region that is cut off saw.
struct Watched {
    valid: Vec<Instant>,
    others: BTreeMap<String, u64>,
}

async fn watch(caller: &Caller, key: &Made, ends: &AtomicBool) -> Watched {
    let mut watched = Watched { valid: Vec::new(), others: BTreeMap::new() };
    while !ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        let other = match validate(caller, key, false, ASK_MAX).await {
            Ok(v1::Outcome::Valid) => {
                watched.valid.push(began);
                None
            }
            Ok(outcome) => Some(outcome.as_str_name().to_owned()),
            Err(status) => Some(reason(&status)),
        };
        if let Some(other) = other {
            *watched.others.entry(other).or_default() += 1;
        }
        sleep(ASK_INTERVAL).await;
    }
    watched
}
