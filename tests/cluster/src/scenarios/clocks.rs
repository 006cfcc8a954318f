//! Wall clocks that are wrong: a leader a year ahead expires nothing, and replicas that disagree on the time stay equal.

use super::{until_made, work};
use crate::binaries::Binaries;
use crate::caller::reason;
use crate::cluster::{Cluster, STUCK};
use crate::history;
use crate::keys::{Made, create, make, validate};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const YEAR_MS: i64 = 365 * 86_400_000;

/// The replica that lives in the next year. Not the first: whoever founds a cluster has to know the time.
const AHEAD: u64 = 3;

/// Lifetimes of keys that must not end: some end within the year that the clock is ahead.
const LIFETIMES_SECONDS: [i64; 3] = [600, 3_600, 30 * 86_400];

/// The lifetime of a key that has to end all the same.
const SHORT_SECONDS: i64 = 4;

/// How often the replica that is ahead is brought to lead, at most.
const ELECTIONS_MAX: u32 = 12;

/// How long it is left in the lead.
const LEADS_FOR: Duration = Duration::from_secs(3);

/// A leader a year ahead, then replicas that are off by a little less than what is tolerated.
pub(crate) async fn run(binaries: &Binaries, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let mut cluster = Cluster::found_by_clocks(binaries, [0, 0, YEAR_MS]).await?;
    let mut ended = a_year_ahead(&mut cluster, random, report).await;
    if ended.is_ok() {
        ended = history::check_states(&mut cluster, report).await;
    }
    if ended.is_ok() {
        cluster = Cluster::found_by_clocks(binaries, [220, 0, -220]).await?;
        ended = apart(&mut cluster, random, report).await;
    }
    cluster.told(ended, report)
}

async fn a_year_ahead(cluster: &mut Cluster, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let mut keys = Vec::new();
    for seconds in LIFETIMES_SECONDS {
        keys.push(make_for(cluster, seconds, random).await?);
    }
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut led = 0_u32;
    for _ in 0..ELECTIONS_MAX {
        if led >= 2 {
            break;
        }
        let leader = cluster.leader().await?;
        if leader == AHEAD {
            led += 1;
            observe(cluster, &keys, &mut seen, &mut wrong).await;
        }
        // Of the two that are left one is ahead: it leads next where it waits for the shorter time, which each draws at
        // its start, so that it starts anew where it does not.
        let down = cluster.leader().await?;
        cluster.kill(down);
        if cluster.leader().await? == AHEAD {
            led += 1;
            observe(cluster, &keys, &mut seen, &mut wrong).await;
        } else {
            cluster.kill(AHEAD);
            cluster.start(AHEAD)?;
        }
        cluster.start(down)?;
        cluster.all_serve().await?;
    }
    report.figure("times that the replica a year ahead led", led);
    report.figure("answers meanwhile", format!("{seen:?}"));
    if led == 0 {
        return Err(Trouble::not_run("the replica that is ahead never led"));
    }
    let short = make_for(cluster, SHORT_SECONDS, random).await?;
    observe(cluster, &keys, &mut seen, &mut wrong).await;
    report.check("a leader whose clock is a year ahead expires nothing", &wrong);
    report.check("a key whose time has come expires all the same", &expires(cluster, &short).await);
    Ok(())
}

/// Asks all replicas about all keys for a while.
async fn observe(cluster: &Cluster, keys: &[Made], seen: &mut BTreeMap<String, u64>, wrong: &mut Vec<String>) {
    let until = Instant::now() + LEADS_FOR;
    while Instant::now() < until {
        for id in cluster.ids() {
            for key in keys {
                let answer = match validate(&cluster.replica(id), key, false, Duration::from_secs(1)).await {
                    Ok(v1::Outcome::Valid) => "VALID".to_owned(),
                    Ok(outcome) => {
                        wrong.push(format!("replica {id}: {} is {outcome:?}", key.name));
                        format!("{outcome:?}")
                    }
                    Err(status) => reason(&status),
                };
                *seen.entry(answer).or_default() += 1;
            }
        }
    }
}

async fn make_for(cluster: &Cluster, seconds: i64, random: &mut Random) -> Result<Made, Trouble> {
    let expiry = v1::create_key_request::Expiry::Lifetime(prost_types::Duration { seconds, nanos: 0 });
    let label = format!("for {seconds} s");
    let (request_id, by) = (random.uuid(), Instant::now() + STUCK);
    loop {
        let request = v1::CreateKeyRequest { expiry: Some(expiry), ..create(&label, &request_id) };
        match make(&cluster.issuance(), request).await {
            // Whoever leads may be the one that is ahead, which refuses to write.
            Err(_) if Instant::now() < by => sleep(Duration::from_millis(50)).await,
            ended => return ended,
        }
    }
}

async fn expires(cluster: &Cluster, key: &Made) -> Vec<String> {
    let lifetime = Duration::from_secs(u64::try_from(SHORT_SECONDS).expect("a small number"));
    sleep(lifetime + Duration::from_secs(2)).await;
    let mut wrong = Vec::new();
    for id in cluster.ids() {
        match validate(&cluster.replica(id), key, false, Duration::from_secs(2)).await {
            Ok(v1::Outcome::Expired) | Err(_) => {}
            Ok(outcome) => wrong.push(format!("replica {id}: {outcome:?}")),
        }
    }
    wrong
}

/// Clocks that are apart, a restart of each replica under load: what is written is the same everywhere.
async fn apart(cluster: &mut Cluster, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let workload = work(cluster, random);
    for id in cluster.ids() {
        until_made(&workload, 150, Duration::from_secs(5)).await;
        workload.expect_down(id, true);
        cluster.kill(id);
        cluster.start(id)?;
        cluster.serves(id, "latchkey.validate").await?;
        workload.expect_down(id, false);
    }
    let (told, _) = workload.finish().await;
    cluster.all_serve().await?;
    history::check_told(cluster, &told, report).await?;
    history::check_events(cluster, report).await?;
    history::check_states(cluster, report).await
}
