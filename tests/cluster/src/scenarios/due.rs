//! Many keys are due at one moment: the planner spreads them within the cap of their keyspace and its budget of writes,
//! and whoever looks meanwhile sees a first screen at once.

use super::rotations::{id_of, set_policy, whole};
use crate::binaries::Binaries;
use crate::cluster::{CALL_MAX, Cluster};
use crate::history;
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use latchkey_domain::Slug;
use latchkey_state::{Actor, DecodedEvent};
use latchkey_wire::pb::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The keyspace of all keys that are due.
const PLACE: &str = "tenants/acme/keyspaces/due";

/// Keys in one request.
const BATCH: usize = 1_000;

/// How old a version may become, and how long both are accepted: all keys are older once the last one is made.
const INTERVAL: Duration = Duration::from_secs(20);
const OVERLAP: Duration = Duration::from_secs(10);

/// How many rotations may be unsettled at once.
const CAP: u32 = 100;

/// How many records the driver may write in a second.
const BUDGET: u64 = 50;

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) keys: usize,
    /// For how long they are rotated.
    pub(crate) lasts: Duration,
}

/// Makes the keys, waits until all are due, lets two rotation services at them, and looks.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = spread(&mut cluster, plan, random, report).await;
    cluster.told(ended, report)
}

async fn spread(cluster: &mut Cluster, plan: Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    cluster.add_keyspace(PLACE, v1::Keyspace { prefix: "acme_due".to_owned(), ..Default::default() }).await?;
    make_all(cluster, plan.keys, random).await?;
    sleep(INTERVAL).await;
    set_policy(cluster, PLACE, Some(policy())).await?;
    cluster.start_rotators(2, &format!("[driver]\nwrites_per_second_max = {BUDGET}\n")).await?;
    let (mut most, mut looks, mut screens) = (0, Vec::new(), Vec::new());
    let until = Instant::now() + plan.lasts;
    while Instant::now() < until {
        let began = Instant::now();
        let first = in_progress(cluster, "", 100).await?;
        looks.push(began.elapsed());
        let began = Instant::now();
        let due = due(cluster).await?;
        screens.push(began.elapsed());
        most = most.max(in_progress(cluster, "state != OVERLAP", 1_000).await?);
        if first + due == 0 {
            break;
        }
        sleep(LOOK_INTERVAL).await;
    }
    cluster.kill_rotators();
    let figure = |name: &str, took: &mut [Duration], report: &mut Report| {
        let (half, most) = (percentile(took, 50), percentile(took, 100));
        report.figure(name, format!("p50 {half}, at most {most}, of {} looks", took.len()));
    };
    report.figure("keys that are due", plan.keys);
    figure("the first screen of rotations in progress", &mut looks, report);
    figure("the first screen of keys that are due", &mut screens, report);
    report.figure("unsettled at once", format!("{most} at most"));
    let over = (most > CAP as usize).then(|| format!("{most} where {CAP} may be"));
    report.check("rotations at once stay within the cap of their keyspace", &Vec::from_iter(over));
    let wrote = writes(cluster, report).await?;
    let (most, all) = (wrote.values().copied().max().unwrap_or(0), wrote.values().sum::<u64>());
    report.figure("records of the driver", format!("{all} in {} s, {most} in a second at most", wrote.len()));
    // What was saved in one second may be spent in the next.
    let over = wrote.iter().filter(|(_, count)| **count > 2 * BUDGET);
    let mut wrong: Vec<_> = over.map(|(second, count)| format!("{count} in second {second}")).collect();
    let seconds = wrote.keys().next_back().zip(wrote.keys().next()).map_or(1, |(last, first)| last - first + 1);
    wrong.extend((all > BUDGET * (seconds + 1)).then(|| format!("{all} in {seconds} s")));
    report.check("the driver writes no more than its budget", &wrong);
    report.check("and it writes", &Vec::from_iter((all == 0).then(|| "nothing".to_owned())));
    history::check_states(cluster, report).await
}

/// Any point of the curve: nobody opens what is sealed to it here.
const RECIPIENT: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 9;
    bytes
};

fn policy() -> v1::RotationPolicy {
    let key = Some(v1::recipient_key::Key::X25519(RECIPIENT.to_vec()));
    let target = Some(v1::rotation_delivery::Target::Recipient(v1::RecipientKey { key }));
    v1::RotationPolicy {
        risk_class: v1::RiskClass::Custom.into(),
        mode: v1::RotationMode::Automatic.into(),
        interval: whole(INTERVAL),
        terms: Some(v1::RotationTerms { overlap: whole(OVERLAP), ..Default::default() }),
        at_once_max: Some(CAP),
        delivery: Some(v1::RotationDelivery { target }),
        ..Default::default()
    }
}

async fn make_all(cluster: &Cluster, count: usize, random: &mut Random) -> Result<(), Trouble> {
    let caller = cluster.issuance();
    for first in (0..count).step_by(BATCH) {
        let one = v1::CreateKeyRequest { parent: PLACE.to_owned(), ..Default::default() };
        let request = v1::BatchCreateKeysRequest {
            parent: PLACE.to_owned(),
            requests: vec![one; BATCH.min(count - first)],
            request_id: random.uuid(),
            wait_for: v1::WaitFor::Committed.into(),
            ..Default::default()
        };
        let made = caller.issuance().batch_create_keys(caller.ask(request, CALL_MAX)).await;
        made.map_err(|status| Trouble::wrong(format!("BatchCreateKeys: {status}")))?;
    }
    Ok(())
}

/// How many rotations the first page of those in progress has.
async fn in_progress(cluster: &Cluster, filter: &str, page_size: i32) -> Result<usize, Trouble> {
    let caller = cluster.rotator(0);
    let filter = filter.to_owned();
    let request = v1::ListRotationsRequest { parent: PLACE.to_owned(), page_size, filter, ..Default::default() };
    let answer = caller.rotation().list_rotations(caller.ask(request, CALL_MAX)).await;
    Ok(answer.map_err(|status| Trouble::wrong(format!("ListRotations: {status}")))?.into_inner().rotations.len())
}

/// How many keys the first page of those that are due has.
async fn due(cluster: &Cluster) -> Result<usize, Trouble> {
    let caller = cluster.rotator(0);
    let request = v1::ListDueRotationsRequest { parent: PLACE.to_owned(), page_size: 100, ..Default::default() };
    let answer = caller.rotation().list_due_rotations(caller.ask(request, CALL_MAX)).await;
    Ok(answer.map_err(|status| Trouble::wrong(format!("ListDueRotations: {status}")))?.into_inner().due_rotations.len())
}

/// How many records the driver wrote in each second.
async fn writes(cluster: &Cluster, report: &mut Report) -> Result<BTreeMap<u64, u64>, Trouble> {
    let service = Slug::parse("rotation").map(Actor::Service).map_err(|_| Trouble::not_run("a slug"))?;
    let mut seen = BTreeSet::new();
    let mut wrote = BTreeMap::new();
    for event in history::check_events(cluster, report).await? {
        let decoded = DecodedEvent::decode(&event.event).map_err(|_| Trouble::wrong("an event that cannot be read"))?;
        let index = event.revision.map(|revision| revision.index);
        if decoded.actor == service && decoded.subject.contains(id_of(PLACE)) && seen.insert(index) {
            *wrote.entry(decoded.at.millis() / 1_000).or_default() += 1;
        }
    }
    Ok(wrote)
}
