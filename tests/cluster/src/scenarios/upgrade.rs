//! Replicas rolled one after another while a client that uses the documented retry policy sends requests: it sees no
//! error, also while two builds stand side by side.

use super::audit::Followed;
use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::cluster::{CALL_MAX, Cluster};
use crate::history;
use crate::keys::{Made, create, made, question};
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use crate::retry::{self, Policy};
use crate::shape::Shape;
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

/// One request in so many is a creation; the others are validations.
const CREATION_ONCE_IN: u64 = 20;

/// For how long requests are sent before the first, between two and after the last.
const PAUSE: Duration = Duration::from_secs(2);

/// How long the cluster may take to raise its feature level once all replicas know it.
const RAISE_MAX: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Requests a second, over all replicas.
    pub(crate) rate: u64,
    /// The build that the cluster begins with. None: this one, held at an older feature level.
    pub(crate) other: Option<PathBuf>,
    /// The feature level that the older build is held at, where it is this one.
    pub(crate) held_at: u32,
    /// Whether audit runs from the first entry on; replicas forget then what it has.
    pub(crate) audit: bool,
}

/// What the client saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) sent: AtomicU64,
    pub(super) tried_again: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) ends: AtomicBool,
}

/// Rolls from the older build to this one, back before the level is raised, and forth again.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let held = plan.other.is_none().then(|| format!("feature_level_max = {}", plan.held_at));
    let shape = Shape { raft_lines: held.into_iter().collect(), program: plan.other.clone(), ..Shape::default() };
    let mut cluster = Cluster::of(binaries, shape, random).await?;
    let ended = roll(&mut cluster, &plan, random, report).await;
    cluster.told(ended, report)
}

async fn roll(cluster: &mut Cluster, plan: &Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let before = level(cluster).await?;
    let audit = if plan.audit { Some(Followed::start(cluster).await?) } else { None };
    let seen = Arc::new(Seen::default());
    let client = send(cluster, plan.rate, seen.clone(), random)?;
    sleep(PAUSE).await;
    let ids = cluster.ids();
    let mut gaps = Vec::new();
    // The first two, and the first of them back: before all replicas know the new level, going back is a restart.
    for id in &ids[..2] {
        gaps.push(exchange(cluster, *id, true).await?);
    }
    gaps.push(exchange(cluster, ids[0], false).await?);
    let mixed = level(cluster).await?;
    if let Some(audit) = &audit {
        audit.before(cluster, report).await?;
    }
    for id in [ids[0], ids[2]] {
        gaps.push(exchange(cluster, id, true).await?);
    }
    let by = Instant::now() + RAISE_MAX;
    let mut after = level(cluster).await?;
    while after == before && Instant::now() < by && plan.raises() {
        sleep(Duration::from_millis(200)).await;
        after = level(cluster).await?;
    }
    sleep(PAUSE).await;
    seen.ends.store(true, Ordering::Relaxed);
    let sent = client.await.map_err(Trouble::not_run)?;
    report.figure("requests sent", seen.sent.load(Ordering::Relaxed));
    report.figure("not sent, as the client lagged", seen.skipped.load(Ordering::Relaxed));
    report.figure("tries beyond the first", seen.tried_again.load(Ordering::Relaxed));
    let Sent { mut took, errors, made } = sent;
    report.figure(
        "a request takes, tries included",
        format!(
            "p50 {}, p99 {}, at most {}",
            percentile(&mut took, 50),
            percentile(&mut took, 99),
            percentile(&mut took, 100)
        ),
    );
    report.figure("a replica is away for", format!("{} at most", percentile(&mut gaps, 100)));
    report.figure("feature level", format!("{before} before, {mixed} while builds are mixed, {after} after"));
    let wrong: Vec<_> = errors.iter().map(|(why, count)| format!("{count} times {why}")).collect();
    report.check("a client with the documented retry policy sees no error while replicas are rolled", &wrong);
    let early = (mixed != before).then(|| format!("{before}, then {mixed}"));
    report.check("the feature level is not raised while a replica does not know it", &Vec::from_iter(early));
    let stays = (plan.raises() && after == before).then(|| format!("it is still {after}"));
    report.check("once all replicas know the new level it is raised", &Vec::from_iter(stays));
    cluster.all_serve().await?;
    let mut refused = Vec::new();
    for id in cluster.ids() {
        refused.extend(crate::keys::validate_all(&cluster.replica(id), &made).await?);
    }
    report.check("what was made meanwhile is valid on every replica", &refused);
    match audit {
        Some(audit) => audit.after(cluster, report).await?,
        None => drop(history::check_events(cluster, report).await?),
    }
    history::check_states(cluster, report).await
}

impl Plan {
    /// Whether the level rises with the newer build. Of another build nobody here knows.
    const fn raises(&self) -> bool {
        self.other.is_none()
    }
}

/// Ends a replica in peace and starts it in the newer or the older build. Returns for how long it did not serve.
async fn exchange(cluster: &mut Cluster, id: u64, newer: bool) -> Result<Duration, Trouble> {
    let began = Instant::now();
    cluster.stop(id).await?;
    cluster.exchange(id, newer)?;
    cluster.start(id)?;
    cluster.serves(id, "latchkey.validate").await?;
    cluster.serves(id, "latchkey.write").await?;
    let gap = began.elapsed();
    sleep(PAUSE).await;
    Ok(gap)
}

async fn level(cluster: &Cluster) -> Result<u32, Trouble> {
    let id = cluster.leader().await?;
    let caller = cluster.replica(id);
    let asked = caller.cluster().get_cluster(caller.ask(v1::GetClusterRequest {}, CALL_MAX)).await;
    Ok(asked.map_err(|status| Trouble::wrong(format!("GetCluster: {status}")))?.into_inner().feature_level)
}

/// What the client was told in the end.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) took: Vec<Duration>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) made: Vec<Made>,
}

type Answered = (Duration, Result<Option<Made>, String>);

/// Sets such a client to work.
pub(super) fn send(
    cluster: &Cluster,
    rate: u64,
    seen: Arc<Seen>,
    random: &mut Random,
) -> Result<tokio::task::JoinHandle<Sent>, Trouble> {
    let policies = (retry::policy("latchkey.v1.IssuanceService")?, retry::policy("latchkey.v1.ValidationService")?);
    let replicas: Vec<_> = cluster.ids().into_iter().map(|id| cluster.replica(id)).collect();
    let client = Client { issuance: cluster.issuance(), replicas: replicas.into(), policies, seen };
    Ok(tokio::spawn(client.run(rate, random.fork())))
}

/// A client as the manual describes it: one channel over all replicas, and retries.
#[derive(Clone)]
struct Client {
    issuance: Caller,
    replicas: Arc<[Caller]>,
    policies: (Policy, Policy),
    seen: Arc<Seen>,
}

impl Client {
    async fn run(self, rate: u64, mut random: Random) -> Sent {
        let mut ticks = interval(Duration::from_micros(1_000_000 / rate.max(1)));
        let mut calls: JoinSet<Answered> = JoinSet::new();
        let mut sent = Sent::default();
        while !self.seen.ends.load(Ordering::Relaxed) {
            ticks.tick().await;
            while let Some(ended) = calls.try_join_next() {
                sent.note(ended);
            }
            // As a client with a pool of its own: it does not pile up calls without an end.
            if calls.len() > 2_000 {
                self.seen.skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let number = self.seen.sent.fetch_add(1, Ordering::Relaxed);
            let (client, random, known) = (self.clone(), random.fork(), random.one(&sent.made).cloned());
            match known.filter(|_| !number.is_multiple_of(CREATION_ONCE_IN)) {
                Some(key) => calls.spawn(client.validate(key, random)),
                None => calls.spawn(client.create(number, random)),
            };
        }
        while let Some(ended) = calls.join_next().await {
            sent.note(ended);
        }
        sent
    }

    async fn create(self, number: u64, mut random: Random) -> Answered {
        let (began, request_id) = (Instant::now(), random.uuid());
        let again = &self.seen.tried_again;
        let answered = self.policies.0.call(again, &mut random, |_| async {
            let request = create(&format!("rolled {number}"), &request_id);
            self.issuance.issuance().create_key(self.issuance.ask(request, CALL_MAX)).await
        });
        let answered = match answered.await {
            Ok(answer) => made(answer.into_inner()).map(Some).map_err(|trouble| trouble.to_string()),
            Err(status) => Err(format!("CreateKey: {} {}", reason(&status), status.message())),
        };
        (began.elapsed(), answered)
    }

    async fn validate(self, key: Made, mut random: Random) -> Answered {
        let began = Instant::now();
        let first = usize::try_from(random.below(64)).expect("a small number");
        let again = &self.seen.tried_again;
        let answered = self.policies.1.call(again, &mut random, |attempt| {
            // Round robin, as `round_robin` of a gRPC client does.
            let replica = self.replicas[(first + attempt) % self.replicas.len()].clone();
            let question = question(&key, true);
            async move { replica.validation().validate_key(replica.ask(question, CALL_MAX)).await }
        });
        let answered = match answered.await.map(tonic::Response::into_inner) {
            Ok(answer) if answer.outcome() == v1::Outcome::Valid => Ok(None),
            Ok(answer) => Err(format!("ValidateKey: {:?}", answer.outcome())),
            Err(status) => Err(format!("ValidateKey: {} {}", reason(&status), status.message())),
        };
        (began.elapsed(), answered)
    }
}

impl Sent {
    fn note(&mut self, ended: Result<Answered, tokio::task::JoinError>) {
        match ended {
            Ok((took, Ok(made))) => {
                self.took.push(took);
                self.made.extend(made);
            }
            Ok((took, Err(why))) => {
                self.took.push(took);
                *self.errors.entry(why).or_default() += 1;
            }
            Err(error) => *self.errors.entry(format!("the client itself: {error}")).or_default() += 1,
        }
    }
}
