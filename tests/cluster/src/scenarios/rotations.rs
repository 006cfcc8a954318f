//! Keys are rotated again and again, by their policy or by hand, while their consumers validate and take each new secret
//! when they please, and leaders and rotation services are killed.

mod by_hand;
mod checks;
mod consumers;
mod harm;
mod load;

use crate::binaries::Binaries;
use crate::cluster::{CALL_MAX, Cluster};
use crate::keys::{create, list_of, make};
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use by_hand::Operators;
use checks::{check_once, check_secrets, check_untouched, settle, untouched};
use consumers::{Consumer, Promise, place};
use harm::Kills;
use latchkey_wire::pb::v1;
use load::Load;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// The rotation services, as the policy of the keyspace says.
    Policy,
    /// Operators, who deliver what they are shown.
    Hand,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) keys: usize,
    /// Validations a second.
    pub(crate) rate: u64,
    /// How many leaders, and how many rotation services, are killed.
    pub(crate) kills: u64,
    /// How many rotation services there are.
    pub(crate) services: usize,
    pub(crate) rotated_by: By,
    /// When nothing new is begun.
    pub(crate) by: Instant,
}

/// The keyspaces, and what becomes there of an old version that is still used at its deadline.
const KEYSPACES: [(&str, v1::AtDeadline); 2] = [
    ("tenants/acme/keyspaces/enforced", v1::AtDeadline::Enforce),
    ("tenants/acme/keyspaces/held", v1::AtDeadline::Hold),
];

/// Rotates under kills for as long as planned.
pub(crate) async fn run(
    binaries: &Binaries,
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = rotate(&mut cluster, plan, random, report).await;
    cluster.told(ended, report)
}

async fn rotate(cluster: &mut Cluster, plan: Plan, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let secrets = cluster.folder().join("secrets");
    cluster.start_rotators(plan.services, &settings(&secrets)).await?;
    let terms = Terms::of(plan);
    for (keyspace, _) in KEYSPACES {
        let prefix = format!("acme_{}", id_of(keyspace));
        cluster.add_keyspace(keyspace, v1::Keyspace { prefix, ..Default::default() }).await?;
    }
    let consumers = consumers(cluster, &secrets, plan.keys, terms.switches_within, random).await?;
    let before = untouched(keys_of(cluster).await?);

    let load = Load::start(cluster, consumers.clone(), plan.rate, terms.promise, random)?;
    let operators = match plan.rotated_by {
        By::Hand => Some(Operators::start(cluster, &consumers, random)?),
        By::Policy => {
            for (keyspace, at_deadline) in KEYSPACES {
                set_policy(cluster, keyspace, Some(terms.policy(at_deadline, plan.keys))).await?;
            }
            None
        }
    };
    let due = Kills { leaders: plan.kills, rotators: plan.kills };
    let all_switched = || consumers.iter().all(|consumer| consumer.switched() > 0);
    let began = Instant::now();
    let kills = Kills::until(due, plan.by, cluster, random, all_switched).await?;
    if let Some(operators) = operators {
        report.figure("rotated by hand", operators.finish().await?);
    }
    let mut stuck = Vec::new();
    for (keyspace, _) in KEYSPACES {
        set_policy(cluster, keyspace, None).await?;
        stuck.extend(settle(cluster, keyspace).await?);
    }
    let lasted = began.elapsed();
    let answered = load.finish().await?;

    report.figure("kills", format!("{} of leaders, {} of rotation services", kills.leaders, kills.rotators));
    let switches = consumers.iter().map(Consumer::switched);
    let never = switches.clone().filter(|switched| *switched == 0).count();
    report.figure("consumers switched", format!("{} times, {never} of {} never", switches.sum::<u64>(), plan.keys));
    told(answered, lasted, report);
    report.check("no rotation is stuck", &stuck);
    cluster.all_serve().await?;
    check_untouched(&before, &untouched(keys_of(cluster).await?), report);
    check_secrets(cluster, &consumers, report).await?;
    let counts = check_once(cluster, &consumers, report).await?;
    report.figure("events of rotations", format!("{counts:?}"));
    crate::history::check_states(cluster, report).await
}

/// The last part of a name.
pub(super) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Where new secrets are delivered: a file for each key.
pub(super) fn settings(secrets: &Path) -> String {
    let path = secrets.join("{keyspace}").join("{key}");
    format!("[[delivery]]\nname = \"files\"\nkind = \"file\"\nkeyspaces = [\"acme/*\"]\npath = {path:?}\n")
}

/// What the policy says, and what consumers make of it.
#[derive(Clone, Copy, Debug)]
struct Terms {
    promise: Promise,
    switches_within: Duration,
    interval: Duration,
    jitter: Duration,
    overlap_min: Duration,
}

impl Terms {
    /// Many keys take longer than a few.
    fn of(plan: Plan) -> Self {
        if plan.rotated_by == By::Hand {
            let promise = Promise { overlap: by_hand::OVERLAP, silence: None };
            let (none, switches_within) = (Duration::ZERO, Duration::from_millis(1_500));
            return Self { promise, switches_within, interval: none, jitter: none, overlap_min: none };
        }
        let scale = if plan.keys > 200 { 3 } else { 1 };
        let seconds = |seconds| Duration::from_secs(seconds) * scale;
        Self {
            promise: Promise { overlap: seconds(10), silence: Some(seconds(4)) },
            // What is left of the overlap is for tries of the last call by the old secret.
            switches_within: seconds(10) - Duration::from_secs(4),
            interval: seconds(14),
            jitter: seconds(10),
            overlap_min: seconds(2),
        }
    }

    fn policy(&self, at_deadline: v1::AtDeadline, keys: usize) -> v1::RotationPolicy {
        let terms = v1::RotationTerms {
            overlap: whole(self.promise.overlap),
            overlap_min: whole(self.overlap_min),
            silence: self.promise.silence.and_then(whole),
            at_deadline: at_deadline.into(),
            hold_max: whole(self.promise.overlap).filter(|_| at_deadline == v1::AtDeadline::Hold),
            ..Default::default()
        };
        let delivery = v1::rotation_delivery::Target::Store("files".to_owned());
        v1::RotationPolicy {
            risk_class: v1::RiskClass::Custom.into(),
            mode: v1::RotationMode::Automatic.into(),
            interval: whole(self.interval),
            jitter: whole(self.jitter),
            terms: Some(terms),
            at_once_max: u32::try_from(keys).ok(),
            delivery: Some(v1::RotationDelivery { target: Some(delivery) }),
            ..Default::default()
        }
    }
}

/// As the protocol has it.
pub(super) fn whole(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}

/// Gives a keyspace a policy, or takes it away.
pub(super) async fn set_policy(
    cluster: &Cluster,
    name: &str,
    policy: Option<v1::RotationPolicy>,
) -> Result<(), Trouble> {
    let caller = cluster.issuance();
    let keyspace = v1::Keyspace { name: name.to_owned(), rotation_policy: policy, ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["rotation_policy".to_owned()] });
    let request = v1::UpdateKeyspaceRequest { keyspace: Some(keyspace), update_mask, ..Default::default() };
    let answer = caller.directory().update_keyspace(caller.ask(request, CALL_MAX)).await;
    answer.map_err(|status| Trouble::wrong(format!("UpdateKeyspace: {status}")))?;
    Ok(())
}

async fn keys_of(cluster: &Cluster) -> Result<Vec<v1::Key>, Trouble> {
    let mut keys = Vec::new();
    for (keyspace, _) in KEYSPACES {
        keys.extend(list_of(&cluster.issuance(), keyspace).await?);
    }
    Ok(keys)
}

/// What consumers were told.
fn told(mut answered: load::Answered, lasted: Duration, report: &mut Report) {
    let rate = answered.valid as f64 / lasted.as_secs_f64().max(f64::EPSILON);
    report.figure("validations", format!("{} VALID, {rate:.0} a second", answered.valid));
    report.figure("not sent, as the clients lagged", answered.skipped);
    report.figure("tries beyond the first", answered.tried_again);
    report.figure("refusals that prove nothing", format!("{:?}", answered.excused));
    let took = &mut answered.took;
    let (half, most) = (percentile(took, 50), percentile(took, 99));
    report.figure(
        "a validation takes, tries included",
        format!("p50 {half}, p99 {most}, at most {}", percentile(took, 100)),
    );
    report.check("no valid request is refused, whenever its consumer switches", &answered.wrong);
}

/// Makes keys, each with its secret in a file of its own, and a consumer that reads it.
async fn consumers(
    cluster: &Cluster,
    secrets: &Path,
    count: usize,
    switches_within: Duration,
    random: &mut Random,
) -> Result<Arc<[Consumer]>, Trouble> {
    let issuance = cluster.issuance();
    let mut consumers = Vec::with_capacity(count);
    for number in 0..count {
        let (keyspace, _) = KEYSPACES[number % KEYSPACES.len()];
        let request = v1::CreateKeyRequest {
            parent: keyspace.to_owned(),
            permissions: vec![format!("orders-{}:read", number % 7)],
            metadata: [("number".to_owned(), number.to_string())].into(),
            ..create(&format!("consumer {number}"), &random.uuid())
        };
        let key = make(&issuance, request).await?;
        let folder = secrets.join(id_of(keyspace));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Trouble::not_run)?;
        let file = folder.join(id_of(&key.name));
        place(&file, &key.text)?;
        consumers.push(Consumer::new(key.name, key.text, file, switches_within, random.fork()));
    }
    Ok(consumers.into())
}
