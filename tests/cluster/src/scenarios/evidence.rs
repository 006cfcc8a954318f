//! What is seen of an old version decides when it ends: one that fell silent is retired early, one with traffic is held
//! at its deadline, and the report names who still uses it; one whose policy ends it all the same names whom that hurts before.

use super::rotations::{id_of, settings, whole};
use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::cluster::{CALL_MAX, Cluster, KEYSPACE, STUCK};
use crate::history;
use crate::keys::{Made, create, make};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_state::DecodedEvent;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation::{HoldCause, State};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long both versions are accepted at most, and at least.
const OVERLAP: Duration = Duration::from_secs(16);
const OVERLAP_MIN: Duration = Duration::from_secs(3);

/// How long both are accepted where the old one ends all the same: whom it hurts is told of in the last tenth.
const OVERLAP_ENFORCED: Duration = Duration::from_secs(60);

/// What was not used for so long is silent.
const SILENCE: Duration = Duration::from_secs(4);

/// How often each caller calls.
const CALL_INTERVAL: Duration = Duration::from_millis(200);

/// Who keeps using the old version, and how a report writes its network.
const LATE: (&str, &str, &str) = ("203.0.113.77", "203.0.113.0/24", "billing-nightly/2.4");

/// Who keeps using an old version that ends all the same.
const HURT: (&str, &str, &str) = ("192.0.2.44", "192.0.2.0/24", "report-weekly/1.0");

/// Who takes what is delivered.
const PROMPT: (&str, &str, &str) = ("198.51.100.9", "198.51.100.0/24", "shop/7.1");

/// Rotates a key whose callers all switch, and two with a caller that does not: one that is held for him, one that is not.
pub(crate) async fn run(binaries: &Binaries, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = watch(&mut cluster, random, report).await;
    cluster.told(ended, report)
}

async fn watch(cluster: &mut Cluster, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let secrets = cluster.folder().join("secrets");
    fs::create_dir(&secrets).map_err(Trouble::not_run)?;
    cluster.start_rotators(2, &settings(&secrets)).await?;
    let place = |key: &Made| secrets.join(id_of(KEYSPACE)).join(id_of(&key.name));
    let (silent, busy) = (key(cluster, "silent", random).await?, key(cluster, "busy", random).await?);
    let enforced = key(cluster, "enforced", random).await?;
    let late = Use::begin(cluster, busy.text.clone(), LATE);
    let hurt = Use::begin(cluster, enforced.text.clone(), HURT);
    let mut prompt = Vec::new();
    let mut rotations = Vec::new();
    for (key, at_deadline) in
        [(&silent, v1::AtDeadline::Hold), (&busy, v1::AtDeadline::Hold), (&enforced, v1::AtDeadline::Enforce)]
    {
        let old = Use::begin(cluster, key.text.clone(), PROMPT);
        let rotation = rotate(cluster, key, at_deadline, random).await?;
        let text = delivered(place(key)).await?;
        old.end().await?;
        prompt.push(Use::begin(cluster, text, PROMPT));
        rotations.push(rotation);
    }
    let [silent_rotation, busy_rotation, enforced_rotation] = &rotations[..] else {
        unreachable!("three keys were rotated")
    };

    let ended = reaches(cluster, silent_rotation, &[State::Completed, State::Held]).await?;
    report.check("an old version that fell silent is retired before its deadline", &early(&ended));
    report.check("a version that was retired is refused at every replica", &accepted(cluster, &silent).await?);

    let held = reaches(cluster, busy_rotation, &[State::Held, State::Completed]).await?;
    let cause = held.hold.as_ref().map(v1::rotation::Hold::cause);
    let wrong = (cause != Some(HoldCause::StillUsed)).then(|| format!("{:?}, {cause:?}", held.state()));
    report.check("an old version with traffic is held at its deadline", &Vec::from_iter(wrong));
    let names = callers(&held);
    report.figure("the report names", format!("{names:?}"));
    let (_, network, agent) = LATE;
    let named = names.iter().any(|(its, who)| its == network && who == agent);
    report.check("the report names the network and the user agent that still use it", &unless(named, &names));
    let (_, moved, _) = PROMPT;
    report.check(
        "and only these",
        &Vec::from_iter(names.iter().filter(|one| one.0 == moved).map(|one| format!("{one:?}"))),
    );
    report.check("and they are not refused", &late.wrong());

    let ended = reaches(cluster, enforced_rotation, &[State::Completed]).await?;
    let (warned, over) = (ended.in_use_warning_time.as_ref().map(seconds), ended.end_time.as_ref().map(seconds));
    let in_last_tenth = |(warned, over): (f64, f64)| over - warned <= OVERLAP_ENFORCED.as_secs_f64() / 10.0;
    let in_time = warned.zip(over).is_some_and(in_last_tenth);
    report.figure(
        "whom it hurts was told",
        format!("{:.1} s before the end", over.zip(warned).map_or(f64::NAN, |(over, warned)| over - warned)),
    );
    report.check(
        "in the last tenth before a used version ends all the same, that is told",
        &unless(in_time, &(warned, over)),
    );
    report.check("and then it ends", &accepted(cluster, &enforced).await?);
    hurt.end().await?;

    late.end().await?;
    let ended = reaches(cluster, busy_rotation, &[State::Completed]).await?;
    report.figure("it ended", format!("{:?}, once its last caller was silent", ended.state()));
    report.check("a version that was held is refused once it is retired", &accepted(cluster, &busy).await?);
    for one in prompt {
        report.check("whoever took what was delivered is never refused", &one.wrong());
        one.end().await?;
    }
    let events = history::check_events(cluster, report).await?;
    let events: Vec<_> = events.iter().filter_map(|event| DecodedEvent::decode(&event.event).ok()).collect();
    report.check("the event of the hold names them too", &told_of(&events, "rotation.held", busy_rotation, LATE));
    let wrong = told_of(&events, "rotation.ends_in_use", enforced_rotation, HURT);
    report.check("that of an end in use names whom it hurts, of no other key", &wrong);
    Ok(())
}

/// What is wrong with the entries of an action: there is one, of this rotation, and it names this caller, so that an alarm can.
fn told_of(
    events: &[DecodedEvent],
    action: &str,
    rotation: &str,
    (_, network, agent): (&str, &str, &str),
) -> Vec<String> {
    let told: Vec<_> = events.iter().filter(|event| event.action.as_str() == action).collect();
    let callers = told.iter().flat_map(|event| &event.facts).filter(|(name, _)| *name == "caller");
    let callers: Vec<_> = callers.map(|(_, value)| value.to_string()).collect();
    let alone = told.len() == 1 && told[0].subject == rotation;
    let named = callers.iter().any(|caller| caller.contains(network) && caller.contains(agent));
    unless(alone && named, &(told.len(), callers))
}

fn unless(right: bool, found: &impl std::fmt::Debug) -> Vec<String> {
    if right { Vec::new() } else { vec![format!("{found:?}")] }
}

/// What is wrong with how a rotation ended that had to end early.
fn early(rotation: &v1::Rotation) -> Vec<String> {
    let times = (rotation.overlap_begin_time.as_ref().map(seconds), rotation.end_time.as_ref().map(seconds));
    let (Some(began), Some(ended), State::Completed) = (times.0, times.1, rotation.state()) else {
        return vec![format!("{:?} {times:?}", rotation.state())];
    };
    let lasted = ended - began;
    let right = (OVERLAP_MIN.as_secs_f64()..OVERLAP.as_secs_f64()).contains(&lasted);
    unless(right, &format!("both were accepted for {lasted} s"))
}

fn seconds(time: &prost_types::Timestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// Networks and user agents that still use the old version.
fn callers(rotation: &v1::Rotation) -> Vec<(String, String)> {
    let old = rotation.evidence.as_ref().and_then(|evidence| evidence.old.as_ref());
    let named = old.into_iter().flat_map(|old| &old.callers);
    let latest = named.clone().filter_map(|caller| caller.last_use_time).map(|time| time.seconds).max().unwrap_or(0);
    let silence = i64::try_from(SILENCE.as_secs()).expect("a small number");
    named
        .filter(|caller| caller.last_use_time.is_some_and(|time| time.seconds + silence >= latest))
        .map(|caller| (caller.network.clone(), caller.user_agent.clone()))
        .collect()
}

async fn key(cluster: &Cluster, name: &str, random: &mut Random) -> Result<Made, Trouble> {
    make(&cluster.issuance(), create(name, &random.uuid())).await
}

/// Asks for a rotation that goes on by itself.
async fn rotate(
    cluster: &Cluster,
    key: &Made,
    at_deadline: v1::AtDeadline,
    random: &mut Random,
) -> Result<String, Trouble> {
    let caller = cluster.rotator(0);
    let terms = v1::RotationTerms {
        overlap: whole(if at_deadline == v1::AtDeadline::Enforce { OVERLAP_ENFORCED } else { OVERLAP }),
        overlap_min: whole(OVERLAP_MIN),
        // Where there is none only the clock ends it.
        silence: (at_deadline == v1::AtDeadline::Hold).then(|| whole(SILENCE)).flatten(),
        at_deadline: at_deadline.into(),
        hold_max: (at_deadline == v1::AtDeadline::Hold).then(|| whole(STUCK * 2)).flatten(),
        ..Default::default()
    };
    let target = Some(v1::rotation_delivery::Target::Store("files".to_owned()));
    let request = v1::RotateKeyRequest {
        name: key.name.clone(),
        terms: Some(terms),
        delivery: Some(v1::RotationDelivery { target }),
        request_id: random.uuid(),
        ..Default::default()
    };
    let answer = caller.rotation().rotate_key(caller.ask(request, CALL_MAX)).await;
    let answer =
        answer.map_err(|status| Trouble::wrong(format!("RotateKey: {} {}", reason(&status), status.message())))?;
    Ok(answer.into_inner().rotation.map(|rotation| rotation.name).unwrap_or_default())
}

/// Waits for a secret.
async fn delivered(file: PathBuf) -> Result<String, Trouble> {
    let by = Instant::now() + STUCK;
    while Instant::now() < by {
        if let Ok(text) = fs::read_to_string(&file) {
            return Ok(text);
        }
        sleep(CALL_INTERVAL).await;
    }
    Err(Trouble::wrong(format!("nothing was delivered to {}", file.display())))
}

/// Waits until a rotation is in one of these states.
async fn reaches(cluster: &Cluster, name: &str, states: &[State]) -> Result<v1::Rotation, Trouble> {
    let by = Instant::now() + STUCK;
    let caller = cluster.rotator(0);
    loop {
        let request = v1::GetRotationRequest { name: name.to_owned() };
        let answer = caller.rotation().get_rotation(caller.ask(request, CALL_MAX)).await;
        let answer = answer.map_err(|status| Trouble::wrong(format!("GetRotation: {status}")))?.into_inner();
        if states.contains(&answer.state()) {
            return Ok(answer);
        }
        if Instant::now() >= by {
            return Err(Trouble::wrong(format!("{name} stays {:?}", answer.state())));
        }
        sleep(CALL_INTERVAL).await;
    }
}

/// The replicas that still accept the first text of a key.
async fn accepted(cluster: &Cluster, key: &Made) -> Result<Vec<String>, Trouble> {
    cluster.all_alike().await?;
    let mut wrong = Vec::new();
    for id in cluster.ids() {
        let answer = ask(&cluster.replica(id), &key.text, PROMPT).await?;
        wrong.extend(unless(answer != v1::Outcome::Valid, &format!("VALID at replica {id}")));
    }
    Ok(wrong)
}

async fn ask(
    replica: &Caller,
    key_text: &str,
    (address, _, agent): (&str, &str, &str),
) -> Result<v1::Outcome, Trouble> {
    let context =
        v1::RequestContext { client_ip: address.to_owned(), user_agent: agent.to_owned(), ..Default::default() };
    let request =
        v1::ValidateKeyRequest { key_text: key_text.to_owned(), context: Some(context), ..Default::default() };
    let answer = replica.validation().validate_key(replica.ask(request, CALL_MAX)).await;
    Ok(answer.map_err(|status| Trouble::wrong(format!("ValidateKey: {status}")))?.into_inner().outcome())
}

/// Somebody who uses one secret again and again, at one replica after the other.
struct Use {
    ends: Arc<AtomicBool>,
    refused: Arc<AtomicBool>,
    calls: JoinHandle<Result<(), Trouble>>,
}

impl Use {
    fn begin(cluster: &Cluster, text: String, who: (&'static str, &'static str, &'static str)) -> Self {
        let (ends, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let replicas: Vec<_> = cluster.ids().into_iter().map(|id| cluster.replica(id)).collect();
        let (stops, notes) = (ends.clone(), refused.clone());
        let calls = tokio::spawn(async move {
            for replica in replicas.iter().cycle() {
                if stops.load(Ordering::Relaxed) {
                    break;
                }
                notes.fetch_or(ask(replica, &text, who).await? != v1::Outcome::Valid, Ordering::Relaxed);
                sleep(CALL_INTERVAL).await;
            }
            Ok(())
        });
        Self { ends, refused, calls }
    }

    fn wrong(&self) -> Vec<String> {
        unless(!self.refused.load(Ordering::Relaxed), &"refused")
    }

    async fn end(self) -> Result<(), Trouble> {
        self.ends.store(true, Ordering::Relaxed);
        self.calls.await.map_err(Trouble::not_run)?
    }
}
