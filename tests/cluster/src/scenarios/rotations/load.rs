//! Validations by all consumers, one after the other in turn, so many a second.

use super::consumers::{Consumer, Promise};
use crate::caller::{Caller, reason};
use crate::cluster::Cluster;
use crate::random::Random;
use crate::report::Trouble;
use crate::retry::{self, Policy};
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval};

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(2);

/// How often consumers look at their files.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Calls under way at once: beyond it a caller waits, as one with a pool of its own does.
const AT_ONCE: usize = 2_000;

/// What consumers were told.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) valid: u64,
    pub(super) tried_again: u64,
    pub(super) skipped: u64,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    /// Refusals that prove nothing, by reason.
    pub(super) excused: BTreeMap<&'static str, u64>,
    pub(super) took: Vec<Duration>,
}

/// Consumers at work.
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    runs: JoinHandle<Answered>,
}

/// How consumers call.
#[derive(Clone)]
struct Client {
    replicas: Arc<[Caller]>,
    policy: Policy,
    promise: Promise,
    again: Arc<AtomicU64>,
}

impl Load {
    /// Sets all consumers to work.
    pub(super) fn start(
        cluster: &Cluster,
        consumers: Arc<[Consumer]>,
        rate: u64,
        promise: Promise,
        random: &mut Random,
    ) -> Result<Self, Trouble> {
        let replicas: Vec<_> = cluster.ids().into_iter().map(|id| cluster.replica(id)).collect();
        let policy = retry::policy("latchkey.v1.ValidationService")?;
        let client = Client { replicas: replicas.into(), policy, promise, again: Arc::default() };
        let ends = Arc::new(AtomicBool::new(false));
        let runs = tokio::spawn(run(client, consumers, rate, ends.clone(), random.fork()));
        Ok(Self { ends, runs })
    }

    /// Lets all calls end.
    pub(super) async fn finish(self) -> Result<Answered, Trouble> {
        self.ends.store(true, Ordering::Relaxed);
        self.runs.await.map_err(Trouble::not_run)
    }
}

type One = (Duration, Result<(), Result<&'static str, String>>);

async fn run(
    client: Client,
    consumers: Arc<[Consumer]>,
    rate: u64,
    ends: Arc<AtomicBool>,
    mut random: Random,
) -> Answered {
    let mut ticks = interval(Duration::from_micros(1_000_000 / rate.max(1)));
    let (mut calls, mut answered) = (JoinSet::new(), Answered::default());
    let mut looked = Instant::now();
    for number in (0..consumers.len()).cycle() {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        ticks.tick().await;
        if looked.elapsed() >= LOOK_INTERVAL {
            looked = Instant::now();
            consumers.iter().for_each(Consumer::look);
        }
        while let Some(ended) = calls.try_join_next() {
            answered.note(ended);
        }
        if calls.len() > AT_ONCE {
            answered.skipped += 1;
            continue;
        }
        calls.spawn(client.clone().validate(consumers.clone(), number, random.fork()));
    }
    while let Some(ended) = calls.join_next().await {
        answered.note(ended);
    }
    answered.tried_again = client.again.load(Ordering::Relaxed);
    answered
}

impl Client {
    async fn validate(self, consumers: Arc<[Consumer]>, number: usize, mut random: Random) -> One {
        let consumer = &consumers[number];
        let used = consumer.begin();
        let first = usize::try_from(random.below(64)).expect("a small number");
        let answer = self.policy.call(&self.again, &mut random, |attempt| {
            // Round robin, as `round_robin` of a gRPC client does.
            let replica = self.replicas[(first + attempt) % self.replicas.len()].clone();
            let question = v1::ValidateKeyRequest { key_text: used.text.clone(), ..Default::default() };
            async move { replica.validation().validate_key(replica.ask(question, TRY_MAX)).await }
        });
        let told = match answer.await.map(tonic::Response::into_inner) {
            Ok(answer) if answer.outcome() == v1::Outcome::Valid && answer.key == consumer.key => {
                consumer.accepted(&used);
                Ok(())
            }
            Ok(answer) => {
                let story = format!("{} by {} is {:?}", consumer.key, used.describe(consumer), answer.outcome());
                Err(consumer.refused(&used, &self.promise).ok_or(story))
            }
            Err(status) => {
                consumer.failed(&used);
                Err(Err(format!("ValidateKey: {} {}", reason(&status), status.message())))
            }
        };
        (used.lasted(), told)
    }
}

impl Answered {
    fn note(&mut self, ended: Result<One, tokio::task::JoinError>) {
        match ended {
            Ok((took, told)) => {
                self.took.push(took);
                match told {
                    Ok(()) => self.valid += 1,
                    Err(Ok(excuse)) => *self.excused.entry(excuse).or_default() += 1,
                    Err(Err(wrong)) => self.wrong.push(wrong),
                }
            }
            Err(error) => self.wrong.push(format!("a consumer itself: {error}")),
        }
    }
}
