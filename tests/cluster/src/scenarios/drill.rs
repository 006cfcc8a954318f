//! Quorum is lost and comes back: a keyspace that refuses stops at its bound, one that answers from what was known last
//! goes on, marked, until its own; a replica that starts anew meanwhile answers for neither.

use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::cluster::{CALL_MAX, Cluster, KEYSPACE};
use crate::keys::{Made, create, make, question};
use crate::random::Random;
use crate::report::{Report, Trouble};
use crate::shape::Shape;
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use v1::decision_basis::Kind;

/// The keyspace that goes on for a while.
const GOES_ON: &str = "tenants/acme/keyspaces/goes-on";

/// For how much longer than its `staleness_max`.
const LAST_KNOWN_SECONDS: u64 = 4;

/// For how long both are asked after the longest bound is over.
const ASKED_BEYOND: Duration = Duration::from_secs(2);

/// How often a key is asked about.
const ASK_INTERVAL: Duration = Duration::from_millis(5);

/// Loses quorum `rounds` times: the survivor is a follower, then the leader.
pub(crate) async fn run(
    binaries: &Binaries,
    rounds: u64,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::of(binaries, Shape::default(), random).await?;
    let ended = async {
        let keyspace = v1::Keyspace {
            prefix: "acme_on".to_owned(),
            staleness_policy: v1::StalenessPolicy::LastKnown.into(),
            last_known_max: Some(prost_types::Duration {
                seconds: i64::try_from(LAST_KNOWN_SECONDS).expect("a small number"),
                nanos: 0,
            }),
            ..Default::default()
        };
        cluster.add_keyspace(GOES_ON, keyspace).await?;
        let mut keys = Vec::new();
        for parent in [KEYSPACE, GOES_ON] {
            let request = v1::CreateKeyRequest { parent: parent.to_owned(), ..create(parent, &random.uuid()) };
            keys.push(make(&cluster.issuance(), request).await?);
        }
        for round in 0..rounds {
            drill(&mut cluster, &keys, round % 2 == 1, report).await?;
        }
        Ok(())
    };
    let ended = ended.await;
    cluster.told(ended, report)
}

/// What one keyspace answered while there was no quorum.
#[derive(Default)]
struct Seen {
    /// When each `VALID` began, and on what it was decided.
    valid: Vec<(Instant, Kind)>,
    others: BTreeMap<String, u64>,
}

impl Seen {
    /// When the last `VALID` of a kind began, counted from `since`.
    fn last(&self, kind: Kind, since: Instant) -> Option<Duration> {
        let of_kind = self.valid.iter().rev().find(|(_, other)| *other == kind);
        of_kind.map(|(at, _)| at.saturating_duration_since(since))
    }

    fn first(&self, kind: Kind, since: Instant) -> Option<Duration> {
        let of_kind = self.valid.iter().find(|(_, other)| *other == kind);
        of_kind.map(|(at, _)| at.saturating_duration_since(since))
    }
}

async fn drill(cluster: &mut Cluster, keys: &[Made], leads: bool, report: &mut Report) -> Result<(), Trouble> {
    cluster.all_serve().await?;
    cluster.all_alike().await?;
    let survivor = if leads { cluster.leader().await? } else { cluster.follower().await? };
    let (bound, longer) = (cluster.bound(), Duration::from_secs(LAST_KNOWN_SECONDS));
    for other in cluster.others(survivor) {
        cluster.kill(other);
    }
    // Whatever the survivor was granted, it asked for before this moment.
    let lost = Instant::now();
    let caller = cluster.replica(survivor);
    let ends = lost + bound + longer + ASKED_BEYOND;
    let (refuses, goes_on) = tokio::join!(ask(&caller, &keys[0], ends), ask(&caller, &keys[1], ends));
    println!("   quorum lost, the survivor {}", if leads { "led" } else { "followed" });
    let shown = |at: Option<Duration>| at.map_or_else(|| "never".to_owned(), |at| format!("{at:.1?}"));
    report.figure(
        "a keyspace that refuses stops after",
        format!("{} of {bound:?}", shown(refuses.last(Kind::Current, lost))),
    );
    report.figure("then it answers", format!("{:?}", refuses.others));
    report.figure("one that goes on is marked from", shown(goes_on.first(Kind::LastKnown, lost)));
    let last = shown(goes_on.last(Kind::LastKnown, lost));
    report.figure("and stops after", format!("{last} of {:?}", bound + longer));
    report.figure("then it answers", format!("{:?}", goes_on.others));
    let beyond = |seen: &Seen, kind: Kind, limit: Duration| {
        let late = seen.last(kind, lost).filter(|at| *at > limit);
        late.map(|at| format!("VALID as {kind:?} began {at:?} after the loss, {:?} too late", at - limit))
    };
    let mut late = Vec::new();
    late.extend(beyond(&refuses, Kind::Current, bound));
    late.extend(refuses.last(Kind::LastKnown, lost).map(|_| "it answers from what was known last".to_owned()));
    report.check("a keyspace that refuses is never answered for beyond its bound", &late);
    let mut late = Vec::new();
    late.extend(beyond(&goes_on, Kind::Current, bound));
    late.extend(beyond(&goes_on, Kind::LastKnown, bound + longer));
    report.check("one that goes on is marked beyond staleness_max, and never answered for beyond its bound", &late);
    let silent = goes_on.last(Kind::LastKnown, lost).is_none().then(|| format!("{:?}", goes_on.others));
    report.check("one that goes on is answered for from what was known last", &Vec::from_iter(silent));

    cluster.kill(survivor);
    cluster.start(survivor)?;
    let caller = cluster.replica(survivor);
    let ends = Instant::now() + Duration::from_secs(3);
    let (refuses, goes_on) = tokio::join!(ask(&caller, &keys[0], ends), ask(&caller, &keys[1], ends));
    let count = refuses.valid.len() + goes_on.valid.len();
    let wrong = (count > 0).then(|| format!("{count} times VALID without a lease in this process life"));
    report.figure("a survivor that starts anew answers", format!("{:?}", goes_on.others));
    report.check("a survivor that starts anew without a quorum answers for nobody", &Vec::from_iter(wrong));

    let back = Instant::now();
    for other in cluster.others(survivor) {
        cluster.start(other)?;
    }
    cluster.all_serve().await?;
    report.figure("quorum is back: all serve after", format!("{:.1?}", back.elapsed()));
    let mut wrong = Vec::new();
    for id in cluster.ids() {
        for key in keys {
            let seen = ask(&cluster.replica(id), key, Instant::now() + Duration::from_millis(50)).await;
            let current = seen.valid.iter().all(|(_, kind)| *kind == Kind::Current) && !seen.valid.is_empty();
            if !current || !seen.others.is_empty() {
                wrong.push(format!("replica {id}: {:?} {:?}", seen.valid.last(), seen.others));
            }
        }
    }
    report.check("with a quorum every replica answers again, on a current basis", &wrong);
    Ok(())
}

/// Asks about a key until `ends`.
async fn ask(caller: &Caller, key: &Made, ends: Instant) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < ends {
        let began = Instant::now();
        let answer = caller.validation().validate_key(caller.ask(question(key, false), CALL_MAX)).await;
        let other = match answer.map(tonic::Response::into_inner) {
            Ok(answer) if answer.outcome() == v1::Outcome::Valid => {
                let kind = answer.decision_basis.map(|basis| basis.kind()).unwrap_or_default();
                seen.valid.push((began, kind));
                None
            }
            Ok(answer) => Some(answer.outcome().as_str_name().to_owned()),
            Err(status) => Some(reason(&status)),
        };
        if let Some(other) = other {
            *seen.others.entry(other).or_default() += 1;
        }
        sleep(ASK_INTERVAL).await;
    }
    seen
}
