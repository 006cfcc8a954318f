//! Keys are validated, and whoever asked counts, while the leader, other replicas and audit are killed. What audit counted
//! afterwards is what was asked: nothing twice, and nothing less than what it stated to be lost.

use crate::binaries::Binaries;
use crate::caller::Caller;
use crate::cluster::{CALL_MAX, Cluster, KEYSPACE, STUCK};
use crate::keys::{Made, create, make, validate};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::query_usage_request::{Dimension, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many replicas, and how often audit, are killed.
    pub(crate) kills: u64,
    /// When nothing new is begun.
    pub(crate) by: Instant,
}

/// Keys, the last of which is revoked before it is asked about.
const KEYS: usize = 5;

/// How long one validation may take: a replica that dies answers none.
const TRY_MAX: Duration = Duration::from_secs(2);

/// Between two validations at one replica.
const PAUSE: Duration = Duration::from_millis(3);

/// The longest that all are left alone, and that anything dead stays dead. Milliseconds.
const REST_MAX_MS: u64 = 2_500;
const AWAY_MAX_MS: u64 = 1_200;

/// How often it is looked whether all is counted.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

const MINUTE_MS: u64 = 60_000;

/// How far the time of the cluster, by which a replica states what is counted, may be ahead of the callers' clock: a replica adds to its
/// leader's time what has passed since it asked for it, so a slow answer puts it ahead.
const AHEAD_MAX_MS: u64 = 250;

/// One validation that was asked for.
#[derive(Clone, Debug)]
struct Asked {
    replica: u64,
    key: usize,
    /// What was answered. `None`: nothing, and it may have been counted or not.
    outcome: Option<v1::Outcome>,
    began_ms: u64,
    ended_ms: u64,
}

/// What a replica took with it: what it answered in this time was not stated to be counted when it died.
#[derive(Clone, Copy, Debug)]
struct Death {
    replica: u64,
    counted_ms: u64,
    died_ms: u64,
}

/// Requests by key and outcome.
type Sums = BTreeMap<(usize, String), u64>;

/// Kills as planned.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = usage(&mut cluster, plan, random, report).await;
    cluster.told(ended, report)
}

async fn usage(cluster: &mut Cluster, plan: Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    cluster.start_audit()?;
    cluster.audit_serves().await?;
    let keys = keys(cluster, random).await?;
    let began_ms = now_ms();
    let callers = Callers::start(cluster, &keys, random);
    let (mut deaths, mut audits) = (Vec::new(), 0);
    while ((deaths.len() as u64) < plan.kills || audits < plan.kills) && Instant::now() < plan.by {
        sleep(Duration::from_millis(random.below(REST_MAX_MS))).await;
        // Stated before anything dies, so that it has to hold whoever does.
        let counted_ms = counted_through(cluster).await?;
        let draw = random.below(3);
        let audit = audits < plan.kills && draw != 1;
        let replica = (deaths.len() as u64) < plan.kills && (draw != 0 || !audit);
        if audit {
            cluster.kill_audit();
            audits += 1;
        }
        let mut died = None;
        if replica {
            let leader = cluster.leader().await?;
            let others = cluster.others(leader);
            let replica = if random.below(2) == 0 { leader } else { *random.one(&others).unwrap_or(&leader) };
            cluster.kill(replica);
            deaths.push(Death { replica, counted_ms, died_ms: now_ms() });
            died = Some(replica);
        }
        sleep(Duration::from_millis(random.below(AWAY_MAX_MS))).await;
        if audit {
            cluster.start_audit()?;
        }
        if let Some(replica) = died {
            cluster.start(replica)?;
            cluster.serves(replica, "latchkey.validate").await?;
        }
        cluster.audit_serves().await?;
    }
    let asked = callers.finish().await;
    let ended_ms = now_ms();
    cluster.all_serve().await?;
    let took = all_counted(cluster, ended_ms).await?;
    let answer = query(cluster, KEYSPACE, began_ms).await?;
    let mut counted = Sums::new();
    for (number, key) in keys.iter().enumerate() {
        for series in query(cluster, &key.name, began_ms).await?.series {
            let outcome = series.labels.get("outcome").cloned().unwrap_or_default();
            *counted.entry((number, outcome)).or_default() += series.requests;
        }
    }
    tell(&asked, &counted, &answer, (&deaths, audits), report);
    report.figure("all was counted after", format!("{:.1} s", took.as_secs_f64()));
    Ok(())
}

/// Says what was asked, what was counted, and holds one against the other.
fn tell(
    asked: &[Asked],
    counted: &Sums,
    answer: &v1::QueryUsageResponse,
    (deaths, audits): (&[Death], u64),
    report: &mut Report,
) {
    let made = sums(asked.iter());
    let losable = sums(asked.iter().filter(|one| deaths.iter().any(|death| death.takes(one))));
    let unknown =
        asked.iter().filter(|one| one.outcome.is_none()).fold(BTreeMap::<usize, u64>::new(), |mut all, one| {
            *all.entry(one.key).or_default() += 1;
            all
        });
    let total = |sums: &Sums| sums.values().sum::<u64>();
    let unanswered: u64 = unknown.values().sum();
    report.figure("kills", format!("{} of replicas, {audits} of audit", deaths.len()));
    report.figure("validations", format!("{} answered, {unanswered} of unknown outcome", total(&made)));
    let missing: u64 = made.iter().map(|(of, made)| made.saturating_sub(*counted.get(of).unwrap_or(&0))).sum();
    report.figure(
        "counted; missing; stated to be lost at most",
        format!("{}; {missing}; {}", total(counted), total(&losable)),
    );
    let (mut twice, mut lost) = (Vec::new(), Vec::new());
    let of_all = made.keys().chain(counted.keys()).collect::<std::collections::BTreeSet<_>>();
    for of in of_all {
        let [made, counted, losable] = [&made, counted, &losable].map(|sums| *sums.get(of).unwrap_or(&0));
        // One of unknown outcome counts where it was carried out.
        if counted > made + unknown.get(&of.0).unwrap_or(&0) {
            twice.push(format!("key {} {}: {made} asked, {counted} counted", of.0, of.1));
        }
        if made.saturating_sub(counted) > losable {
            lost.push(format!("key {} {}: {made} asked, {counted} counted, {losable} may be lost", of.0, of.1));
        }
    }
    report.check("nothing is counted twice", &twice);
    report.check("nothing is missing but what was not stated to be counted when its replica died", &lost);
    let stated = answer.lost.unwrap_or_default();
    report.figure("stated as lost", format!("{stated:?}"));
    let expected = v1::UsageLost { restarts: stated.restarts, ..v1::UsageLost::default() };
    let wrong = (stated != expected).then(|| format!("{stated:?}"));
    report.check("no memory was full, and no batch passed over", &Vec::from_iter(wrong));
    // A replica that died before audit ever heard of its life is the one that it heard of before.
    let restarts = (missing == 0 || stated.restarts > 0) && stated.restarts <= deaths.len() as u64;
    let wrong = (!restarts).then(|| format!("{} stated, {} killed, {missing} missing", stated.restarts, deaths.len()));
    report.check("what is missing is stated as replicas that began anew", &Vec::from_iter(wrong));
}

impl Death {
    /// Whether this may have been lost with the replica: an answer of the dead may be read after its death, but no question is
    /// answered that was asked then.
    fn takes(&self, one: &Asked) -> bool {
        one.replica == self.replica && one.began_ms <= self.died_ms && one.ended_ms + AHEAD_MAX_MS >= self.counted_ms
    }
}

fn sums<'a>(asked: impl Iterator<Item = &'a Asked>) -> Sums {
    let mut sums = Sums::new();
    for one in asked {
        if let Some(outcome) = one.outcome {
            let word = outcome.as_str_name().trim_start_matches("OUTCOME_").to_owned();
            *sums.entry((one.key, word)).or_default() += 1;
        }
    }
    sums
}

async fn keys(cluster: &Cluster, random: &mut Random) -> Result<Vec<Made>, Trouble> {
    let mut keys = Vec::new();
    for number in 0..KEYS {
        keys.push(make(&cluster.issuance(), create(&format!("counted {number}"), &random.uuid())).await?);
    }
    let Some(last) = keys.last() else { return Ok(keys) };
    let issuance = cluster.issuance();
    let request = v1::RevokeKeyRequest {
        name: last.name.clone(),
        reason: v1::RevocationReason::Unused.into(),
        wait_for: v1::WaitFor::AllRegions.into(),
        request_id: random.uuid(),
        ..Default::default()
    };
    let revoked = issuance.issuance().revoke_key(issuance.ask(request, CALL_MAX)).await;
    revoked.map_err(|status| Trouble::wrong(format!("RevokeKey: {status}")))?;
    cluster.all_alike().await?;
    Ok(keys)
}

/// One caller at each replica, which knows what it asked.
struct Callers {
    ends: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Asked>>,
}

impl Callers {
    fn start(cluster: &Cluster, keys: &[Made], random: &mut Random) -> Self {
        let (ends, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for replica in cluster.ids() {
            tasks.spawn(call(ends.clone(), replica, cluster.replica(replica), keys.to_vec(), random.fork()));
        }
        Self { ends, tasks }
    }

    async fn finish(mut self) -> Vec<Asked> {
        self.ends.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(asked) = self.tasks.join_next().await {
            all.extend(asked.unwrap_or_default());
        }
        all
    }
}

async fn call(ends: Arc<AtomicBool>, replica: u64, caller: Caller, keys: Vec<Made>, mut random: Random) -> Vec<Asked> {
    let mut all = Vec::new();
    while !ends.load(Ordering::Relaxed) {
        let key = usize::try_from(random.below(keys.len() as u64)).unwrap_or(0);
        let began_ms = now_ms();
        let outcome = validate(&caller, &keys[key], false, TRY_MAX).await.ok();
        all.push(Asked { replica, key, outcome, began_ms, ended_ms: now_ms() });
        sleep(PAUSE).await;
    }
    all
}

/// What was used of a key, or of all of them, by outcome.
async fn query(cluster: &Cluster, parent: &str, began_ms: u64) -> Result<v1::QueryUsageResponse, Trouble> {
    let stamp = |ms: u64| prost_types::Timestamp { seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX), nanos: 0 };
    let request = v1::QueryUsageRequest {
        parent: parent.to_owned(),
        start_time: Some(stamp(began_ms.saturating_sub(MINUTE_MS))),
        end_time: Some(stamp(now_ms() + MINUTE_MS)),
        step: Step::Minute.into(),
        group_by: vec![Dimension::Outcome.into()],
        ..Default::default()
    };
    let (audit, by) = (cluster.audit(), Instant::now() + STUCK);
    loop {
        match audit.audit().query_usage(audit.ask(request.clone(), CALL_MAX)).await {
            Ok(answer) => return Ok(answer.into_inner()),
            // It opens what it had counted.
            Err(status) if Instant::now() > by => return Err(Trouble::wrong(format!("QueryUsage: {status}"))),
            Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

/// Up to when everything is stated to be counted; 0 where nothing is stated.
async fn counted_through(cluster: &Cluster) -> Result<u64, Trouble> {
    let through = query(cluster, KEYSPACE, now_ms()).await?.complete_through;
    let ms = through.map(|time| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000);
    Ok(ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0))
}

async fn all_counted(cluster: &mut Cluster, ended_ms: u64) -> Result<Duration, Trouble> {
    let began = Instant::now();
    while began.elapsed() < STUCK {
        cluster.audit_lives()?;
        if counted_through(cluster).await? > ended_ms {
            return Ok(began.elapsed());
        }
        sleep(LOOK_INTERVAL).await;
    }
    Err(Trouble::wrong(format!("usage is not stated to be complete within {} s", STUCK.as_secs())))
}

fn now_ms() -> u64 {
    SystemClock.unix_millis().millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(replica: u64, ended_ms: u64, outcome: Option<v1::Outcome>) -> Asked {
        Asked { replica, key: 0, outcome, began_ms: ended_ms - 1, ended_ms }
    }

    #[test]
    fn only_what_a_dead_replica_answered_since_it_was_last_counted_may_be_lost() {
        let death = Death { replica: 2, counted_ms: 100 + AHEAD_MAX_MS, died_ms: 500 };
        let valid = Some(v1::Outcome::Valid);
        assert!(death.takes(&asked(2, 100, valid)) && death.takes(&asked(2, 501, valid)));
        assert!(!death.takes(&asked(2, 99, valid)) && !death.takes(&asked(2, 502, valid)));
        assert!(!death.takes(&asked(1, 150, valid)));
        let all = [asked(1, 1, valid), asked(2, 2, valid), asked(2, 3, None)];
        assert_eq!(sums(all.iter()), Sums::from([((0, "VALID".to_owned()), 2)]));
    }
}
