//! The keys that the cluster itself seals and digests with change while a client validates: pepper, data key, tenant key, log
//! key and key-encryption key. Leaders are killed and a replica is away meanwhile; afterwards nothing is under an old one.

use super::upgrade::{Seen, Sent, send};
use crate::binaries::Binaries;
use crate::caller::reason;
use crate::cluster::{CALL_MAX, Cluster, KEYSPACE, STUCK, TENANT};
use crate::history;
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::ring_key::{Purpose, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long requests are sent before the first change and after the last one.
const PAUSE: Duration = Duration::from_secs(2);

/// How often the keyring is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The key-encryption key that comes.
const NEXT_KEK: [u8; 32] = [0x5E; 32];

/// Changes all of them under `rate` requests a second.
pub(crate) async fn run(
    binaries: &Binaries,
    rate: u64,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = change(&mut cluster, rate, random, report).await;
    cluster.told(ended, report)
}

async fn change(cluster: &mut Cluster, rate: u64, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let began = keyring(cluster).await?;
    let seen = Arc::new(Seen::default());
    let client = send(cluster, rate, seen.clone(), random)?;
    sleep(PAUSE).await;

    for (purpose, of) in [(Purpose::Keyspace, KEYSPACE), (Purpose::Tenant, TENANT)] {
        rotate(cluster, purpose, of).await?;
        let took = until(cluster, |keyring| old_of(keyring, purpose).is_empty()).await?;
        report.figure(&format!("{purpose:?}: the old one is destroyed after"), format!("{took:?}"));
    }
    // The leader dies with the walk begun.
    for purpose in [Purpose::Pepper, Purpose::Log] {
        rotate(cluster, purpose, "").await?;
        let leader = cluster.leader().await?;
        cluster.kill(leader);
        cluster.start(leader)?;
        cluster.serves(leader, "latchkey.validate").await?;
        let took = until(cluster, |keyring| old_of(keyring, purpose).is_empty()).await?;
        report.figure(&format!("{purpose:?}, a leader killed: the old one is destroyed after"), format!("{took:?}"));
    }
    away(cluster, report).await?;
    change_kek(cluster, report).await?;

    sleep(PAUSE).await;
    seen.ends.store(true, Ordering::Relaxed);
    let Sent { mut took, errors, made } = client.await.map_err(Trouble::not_run)?;
    report.figure("requests sent", seen.sent.load(Ordering::Relaxed));
    report.figure("tries beyond the first", seen.tried_again.load(Ordering::Relaxed));
    report.figure(
        "a request takes, tries included",
        format!("p50 {}, p99 {}", percentile(&mut took, 50), percentile(&mut took, 99)),
    );
    let of_creations: Vec<_> = errors.iter().filter(|(why, _)| !why.starts_with("ValidateKey")).collect();
    report.figure("creations that found no leader in time", format!("{of_creations:?}"));
    let failed = errors.iter().filter(|(why, _)| why.starts_with("ValidateKey"));
    let failed: Vec<_> = failed.map(|(why, count)| format!("{count} times {why}")).collect();
    report.check("no validation fails while all keys of the keyring and the KEK change", &failed);
    let mut refused = Vec::new();
    for id in cluster.ids() {
        refused.extend(crate::keys::validate_all(&cluster.replica(id), &made).await?);
    }
    report.check("whatever was made before and meanwhile is valid on every replica", &refused);

    let ended = keyring(cluster).await?;
    let numbers = |keyring: &v1::GetKeyringResponse| -> BTreeSet<u32> {
        let changed = [Purpose::Log, Purpose::Pepper, Purpose::Tenant, Purpose::Keyspace];
        let keys = keyring.ring_keys.iter().filter(|key| changed.contains(&key.purpose()));
        keys.filter(|key| matches!(key.purpose(), Purpose::Log | Purpose::Pepper) || of_ours(key))
            .map(|key| key.number)
            .collect()
    };
    let (before, after) = (numbers(&began), numbers(&ended));
    let kept: Vec<_> = before.intersection(&after).map(|number| format!("key {number}")).collect();
    report.check("no key of before is in the keyring", &kept);
    cluster.all_alike().await?;
    history::check_events(cluster, report).await?;
    history::check_states(cluster, report).await?;
    cluster.kill_all();
    for id in cluster.ids() {
        let found = history::numbers_in(cluster, id)?;
        let wrong: Vec<_> = found.intersection(&before).map(|number| format!("key {number}")).collect();
        report.check(&format!("nothing in the folder of replica {id} is sealed under a key of before"), &wrong);
    }
    Ok(())
}

/// A replica is away while pepper and log key change twice over: it is waited for, and comes back.
async fn away(cluster: &mut Cluster, report: &mut Report) -> Result<(), Trouble> {
    let id = cluster.follower().await?;
    cluster.stop(id).await?;
    rotate(cluster, Purpose::Pepper, "").await?;
    rotate(cluster, Purpose::Log, "").await?;
    let others = cluster.others(id);
    until(cluster, |keyring| {
        let needed: BTreeSet<_> = keyring.ring_keys.iter().flat_map(|key| key.needed_by.iter().copied()).collect();
        !needed.iter().any(|one| others.contains(one)) && old_of(keyring, Purpose::Pepper).is_empty()
    })
    .await?;
    let waits = old_of(&keyring(cluster).await?, Purpose::Log);
    let wrong = (waits.len() != 1).then(|| format!("{waits:?}"));
    report.check("the old log key waits for a replica that is away", &Vec::from_iter(wrong));
    cluster.start(id)?;
    cluster.serves(id, "latchkey.validate").await?;
    let took = until(cluster, |keyring| old_of(keyring, Purpose::Log).is_empty()).await?;
    report.figure("a replica that was away: the old log key is destroyed after", format!("{took:?}"));
    Ok(())
}

/// All processes get the new one beside the old one, the keyring moves, and the old one is destroyed.
async fn change_kek(cluster: &mut Cluster, report: &mut Report) -> Result<(), Trouble> {
    let old = keyring(cluster).await?.keks.into_iter().map(|kek| kek.id).collect::<Vec<_>>();
    cluster.name_next_kek(NEXT_KEK)?;
    let ids = cluster.ids();
    restart(cluster, ids[0]).await?;
    let early = ask(cluster, ids[0], Purpose::Kek, "").await;
    let named = early.as_ref().is_err_and(|why| why.contains("KEK_NOT_EVERYWHERE"));
    let wrong = (!named).then(|| format!("{early:?}"));
    report.check("nothing moves to a KEK that not all replicas have", &Vec::from_iter(wrong));
    for id in &ids[1..] {
        restart(cluster, *id).await?;
    }
    cluster.kill_issuance();
    cluster.start_issuance()?;
    rotate(cluster, Purpose::Kek, "").await?;
    // The leader dies with the keyring moved in part, or just now.
    let leader = cluster.leader().await?;
    cluster.kill(leader);
    cluster.start(leader)?;
    cluster.serves(leader, "latchkey.validate").await?;
    let is_free = |keyring: &v1::GetKeyringResponse| {
        let mut olds = keyring.keks.iter().filter(|kek| old.contains(&kek.id));
        !keyring.keks.is_empty() && olds.all(|kek| kek.ring_keys == 0 && kek.needed_by.is_empty())
    };
    let took = until(cluster, is_free).await?;
    report.figure("KEK, a leader killed: nothing needs the old one after", format!("{took:?}"));
    cluster.destroy_old_kek()?;
    for id in ids {
        restart(cluster, id).await?;
    }
    cluster.kill_issuance();
    cluster.start_issuance()
}

async fn restart(cluster: &mut Cluster, id: u64) -> Result<(), Trouble> {
    cluster.stop(id).await?;
    cluster.start(id)?;
    cluster.serves(id, "latchkey.validate").await?;
    cluster.serves(id, "latchkey.write").await
}

/// The keys of one kind that others took the place of.
fn old_of(keyring: &v1::GetKeyringResponse, purpose: Purpose) -> Vec<u32> {
    let olds = keyring.ring_keys.iter().filter(|key| key.purpose() == purpose && key.state() != State::Current);
    olds.map(|key| key.number).collect()
}

/// Whether it is a key of the keyspace or the tenant whose keys are changed here.
fn of_ours(key: &v1::RingKey) -> bool {
    key.of == KEYSPACE || key.of == TENANT
}

async fn keyring(cluster: &Cluster) -> Result<v1::GetKeyringResponse, Trouble> {
    let by = Instant::now() + STUCK;
    loop {
        let id = cluster.leader().await?;
        let caller = cluster.replica(id);
        let request = v1::GetKeyringRequest { all: true, page_size: 1_000, ..Default::default() };
        match caller.cluster().get_keyring(caller.ask(request, CALL_MAX)).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if Instant::now() >= by => {
                return Err(Trouble::wrong(format!("GetKeyring: {}", reason(&status))));
            }
            Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

/// Waits until the keyring is so; tells how long it took.
async fn until(cluster: &Cluster, is_so: impl Fn(&v1::GetKeyringResponse) -> bool) -> Result<Duration, Trouble> {
    let began = Instant::now();
    loop {
        let now = keyring(cluster).await?;
        if is_so(&now) {
            return Ok(began.elapsed());
        }
        if began.elapsed() >= STUCK {
            return Err(Trouble::wrong(format!("the keyring does not come to it: {now:?}")));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Asks until it is a record. The leader may have changed, or not have heard of all.
async fn rotate(cluster: &Cluster, purpose: Purpose, of: &str) -> Result<(), Trouble> {
    let by = Instant::now() + STUCK;
    loop {
        let leader = cluster.leader().await?;
        match ask(cluster, leader, purpose, of).await {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= by => {
                return Err(Trouble::wrong(format!("RotateKeyring {purpose:?}: {why}")));
            }
            Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

async fn ask(cluster: &Cluster, id: u64, purpose: Purpose, of: &str) -> Result<(), String> {
    let caller = cluster.replica(id);
    let request = v1::RotateKeyringRequest { purpose: purpose.into(), of: of.to_owned(), ..Default::default() };
    let asked = caller.cluster().rotate_keyring(caller.ask(request, CALL_MAX)).await;
    asked.map(drop).map_err(|status| format!("{} {}", reason(&status), status.message()))
}
