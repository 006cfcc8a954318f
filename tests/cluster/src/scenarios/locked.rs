//! A replica starts without its key-encryption key: it votes and appends, answers nobody, and unlocks by itself.

use crate::binaries::Binaries;
use crate::caller::reason;
use crate::cluster::{CALL_MAX, Cluster, STUCK};
use crate::history;
use crate::keys::{Made, create, make, validate, validate_all};
use crate::random::Random;
use crate::report::{Report, Trouble};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a locked replica is asked while it is locked.
const QUESTIONS: u32 = 20;

/// Locks one replica, kills the leader beside it, and brings the key back.
pub(crate) async fn run(binaries: &Binaries, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let (mut cluster, fresh) = Cluster::found_with_one_locked(binaries).await?;
    let mut ended = locked_from_the_first_start(&mut cluster, fresh, random, report).await;
    if ended.is_ok() {
        ended = locked(&mut cluster, random, report).await;
    }
    cluster.told(ended, report)
}

/// Nothing is on its disk yet: the records that it gets are what it cannot open.
async fn locked_from_the_first_start(
    cluster: &mut Cluster,
    victim: u64,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let key = make(&cluster.issuance(), create("before it knew anything", &random.uuid())).await?;
    refuses(cluster, victim, &key, report).await?;
    cluster.node(victim).return_kek()?;
    cluster.serves(victim, "latchkey.validate").await?;
    let wrong = validate_all(&cluster.replica(victim), &[key]).await?;
    report.check("a new replica that began without its key catches up when it is there", &wrong);
    Ok(())
}

async fn locked(cluster: &mut Cluster, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let issuance = cluster.issuance();
    let mut keys = vec![make(&issuance, create("before", &random.uuid())).await?];
    let victim = cluster.follower().await?;
    // Rows on the disk are what it will not be able to open.
    sleep(Duration::from_secs(1)).await;
    cluster.stop(victim).await?;
    cluster.node(victim).take_kek()?;
    cluster.start(victim)?;
    refuses(cluster, victim, &keys[0], report).await?;

    let leader = cluster.leader().await?;
    cluster.kill(leader);
    let mut writes = Vec::new();
    match write(cluster, random).await {
        Ok(key) => keys.push(key),
        Err(trouble) => writes.push(trouble.to_string()),
    }
    report.check("a locked replica votes and appends: with it and one other, writes go on", &writes);
    let leads = cluster.leader().await?;
    let wrong = (leads == victim).then(|| format!("replica {victim} leads"));
    report.check("a locked replica does not lead", &Vec::from_iter(wrong));
    refuses(cluster, victim, &keys[0], report).await?;

    cluster.node(victim).return_kek()?;
    let began = Instant::now();
    cluster.serves(victim, "latchkey.validate").await?;
    report.figure("unlocked after", format!("{:?}", began.elapsed()));
    let wrong = validate_all(&cluster.replica(victim), &keys).await?;
    report.check("with its key back a replica catches up and answers", &wrong);
    cluster.start(leader)?;
    cluster.all_serve().await?;
    history::check_events(cluster, report).await?;
    history::check_states(cluster, report).await
}

/// While its key is away the replica answers every question with `LOCKED`.
async fn refuses(cluster: &mut Cluster, victim: u64, key: &Made, report: &mut Report) -> Result<(), Trouble> {
    let caller = cluster.replica(victim);
    let by = Instant::now() + STUCK;
    // Until it listens there is nothing to be asked.
    while validate(&caller, key, false, CALL_MAX).await.is_err_and(|status| reason(&status) != "LOCKED") {
        if let Some(status) = cluster.exited(victim) {
            return Err(Trouble::wrong(format!("a replica without its KEK file ends with {status}")));
        }
        if Instant::now() > by {
            return Err(Trouble::wrong("a replica without its KEK file never says LOCKED"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    let mut wrong = Vec::new();
    for _ in 0..QUESTIONS {
        match validate(&caller, key, false, CALL_MAX).await {
            Err(status) if reason(&status) == "LOCKED" && status.code() == tonic::Code::Unavailable => {}
            other => wrong.push(format!("{other:?}")),
        }
        sleep(Duration::from_millis(20)).await;
    }
    report.check("a locked replica answers UNAVAILABLE with reason LOCKED", &wrong);
    Ok(())
}

/// Makes a key while a leader is found.
async fn write(cluster: &Cluster, random: &mut Random) -> Result<Made, Trouble> {
    let (issuance, request_id, by) = (cluster.issuance(), random.uuid(), Instant::now() + STUCK);
    loop {
        match make(&issuance, create("while locked", &request_id)).await {
            Err(_) if Instant::now() < by => sleep(Duration::from_millis(50)).await,
            ended => return ended,
        }
    }
}
