//! A revocation that is confirmed in all regions while one replica stands still: it is named by its lease's end, and
//! whatever it is asked then, it never answers that the key is valid.

use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::cluster::Cluster;
use crate::keys::{Made, create, make, validate};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::replica_status::State;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long a revocation may wait for its confirmation: more than the bound of its keyspace and an election.
const WAIT: Duration = Duration::from_secs(20);

/// Questions that lie before a replica when it goes on.
const QUESTIONS: usize = 64;

/// How long a replica that went on is asked.
const ASKED_FOR: Duration = Duration::from_secs(3);

/// How much slower the clocks run of a replica with the planted bug.
const SLOWNESS: u64 = 20;

/// What is to be done.
pub(crate) struct Plan {
    /// How many revocations there are, each beside another replica that stands still: a follower, then the leader.
    pub(crate) rounds: u64,
    /// When no round is begun any more that would not fit.
    pub(crate) by: Instant,
    /// Whether the clocks of the replica that stands still, then always a follower, are too slow. That is to be found.
    pub(crate) slow_clock: bool,
}

/// Revokes as planned.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let mut seen = Seen::default();
    let mut ended = Ok(());
    let Plan { rounds, by, slow_clock } = plan;
    for round in 0..rounds {
        // One whole wait has to fit, and not only its beginning.
        if round > 0 && Instant::now() + WAIT / 2 > by {
            break;
        }
        ended = one(&mut cluster, Round { leads: round % 2 == 1, slow_clock }, random, &mut seen).await;
        if ended.is_err() {
            break;
        }
    }
    seen.tell(report);
    cluster.told(ended, report)
}

#[derive(Default)]
struct Seen {
    rounds: u64,
    valid: Vec<String>,
    unnamed: Vec<String>,
    others: Vec<String>,
    silent: Vec<String>,
    answers: BTreeMap<String, u64>,
    waits: Vec<Duration>,
}

impl Seen {
    fn tell(mut self, report: &mut Report) {
        report.figure("revocations while a replica stood still", self.rounds);
        let (half, most) =
            (crate::report::percentile(&mut self.waits, 50), crate::report::percentile(&mut self.waits, 100));
        report.figure("confirmed after", format!("p50 {half}, at most {most}"));
        report.figure("answers of replicas that went on", format!("{:?}", self.answers));
        report.check("a replica that stands still is named by the end of its lease", &self.unnamed);
        report.check("the others are named as having applied it", &self.others);
        report
            .check("a confirmed revocation is never VALID again, at the replica that stood still neither", &self.valid);
        report.check("a replica that went on refuses until it has heard again, and then knows", &self.silent);
    }
}

/// Who stands still in one round.
#[derive(Clone, Copy)]
struct Round {
    leads: bool,
    slow_clock: bool,
}

async fn one(cluster: &mut Cluster, round: Round, random: &mut Random, seen: &mut Seen) -> Result<(), Trouble> {
    seen.rounds += 1;
    cluster.all_serve().await?;
    let key = make(&cluster.issuance(), create("to be revoked", &random.uuid())).await?;
    let leads = round.leads && !round.slow_clock;
    let victim = if leads { cluster.leader().await? } else { cluster.follower().await? };
    if round.slow_clock {
        cluster.slow_down(victim, SLOWNESS).await?;
    }
    let other = cluster.others(victim)[0];
    // Connected before it stands still: a process that is stopped accepts nobody.
    let caller = cluster.replica(victim);
    match validate(&caller, &key, true, Duration::from_secs(5)).await {
        Ok(v1::Outcome::Valid) => {}
        other => return Err(Trouble::wrong(format!("a new key is {other:?}"))),
    }
    cluster.pause(victim)?;
    let revoked = revoke(&cluster.replica(other), &key, random).await;
    let (answer, took) = match revoked {
        Ok(revoked) => revoked,
        Err(trouble) => {
            cluster.resume(victim)?;
            return Err(trouble);
        }
    };
    seen.waits.push(took);
    let confirmed = note_statuses(&answer, victim, seen);
    let mut waiting = JoinSet::new();
    for _ in 0..QUESTIONS {
        let (caller, key) = (caller.clone(), key.clone());
        waiting.spawn(async move { validate(&caller, &key, false, Duration::from_secs(10)).await });
    }
    // The questions are on their way to a process that does not read yet.
    sleep(Duration::from_millis(50)).await;
    cluster.resume(victim)?;
    while let Some(answered) = waiting.join_next().await {
        note(answered.map_err(Trouble::not_run)?, victim, confirmed, seen);
    }
    ask_until_known(&caller, &key, victim, confirmed, seen).await;
    Ok(())
}

/// Revokes at a replica that goes on, which finds whoever leads; tries again with the same request id.
async fn revoke(
    replica: &Caller,
    key: &Made,
    random: &mut Random,
) -> Result<(v1::RevokeKeyResponse, Duration), Trouble> {
    let (began, request_id) = (Instant::now(), random.uuid());
    loop {
        let request = v1::RevokeKeyRequest {
            name: key.name.clone(),
            reason: v1::RevocationReason::Compromised.into(),
            wait_for: v1::WaitFor::AllRegions.into(),
            wait_timeout: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
            request_id: request_id.clone(),
            ..Default::default()
        };
        let within = WAIT + Duration::from_secs(5);
        match replica.issuance().revoke_key(replica.ask(request, within)).await {
            Ok(answer) => return Ok((answer.into_inner(), began.elapsed())),
            // The leader may be what stands still: another has to be elected first.
            Err(_) if began.elapsed() < WAIT * 3 => sleep(Duration::from_millis(100)).await,
            Err(status) => return Err(Trouble::wrong(format!("RevokeKey: {status}"))),
        }
    }
}

/// Whether nobody is waited for any more.
fn note_statuses(answer: &v1::RevokeKeyResponse, victim: u64, seen: &mut Seen) -> bool {
    let statuses: Vec<_> = answer.regions.iter().flat_map(|region| &region.replicas).collect();
    let state = |id| statuses.iter().find(|status| status.replica == id).map(|status| status.state());
    match state(victim) {
        Some(State::LeaseEnded) => {}
        // Slow is not wrong: it is then told by when.
        Some(State::Waiting) => *seen.answers.entry("still waited for".to_owned()).or_default() += 1,
        other => seen.unnamed.push(format!("replica {victim} stands still and is {other:?}")),
    }
    for status in &statuses {
        if status.replica != victim && status.state() != State::Applied {
            seen.others.push(format!("replica {} is {:?}", status.replica, status.state()));
        }
    }
    statuses.len() == crate::cluster::REPLICAS && statuses.iter().all(|status| status.state() != State::Waiting)
}

fn note(answered: Result<v1::Outcome, tonic::Status>, victim: u64, confirmed: bool, seen: &mut Seen) {
    let answer = match answered {
        Ok(v1::Outcome::Valid) if confirmed => {
            seen.valid.push(format!("replica {victim} answers VALID after the confirmation"));
            "VALID".to_owned()
        }
        Ok(outcome) => format!("{outcome:?}"),
        Err(status) => reason(&status),
    };
    *seen.answers.entry(answer).or_default() += 1;
}

async fn ask_until_known(caller: &Caller, key: &Made, victim: u64, confirmed: bool, seen: &mut Seen) {
    let by = Instant::now() + crate::cluster::STUCK;
    let mut known_since = None;
    while Instant::now() < by {
        let answered = validate(caller, key, false, Duration::from_secs(2)).await;
        let knows = matches!(answered, Ok(v1::Outcome::Revoked));
        if let (Some(_), Ok(outcome)) = (known_since, &answered)
            && *outcome != v1::Outcome::Revoked
        {
            seen.silent.push(format!("replica {victim} knew of the revocation and then answers {outcome:?}"));
        }
        note(answered, victim, confirmed, seen);
        if knows && known_since.get_or_insert_with(Instant::now).elapsed() > ASKED_FOR {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    seen.silent.push(format!("replica {victim} never hears again"));
}
