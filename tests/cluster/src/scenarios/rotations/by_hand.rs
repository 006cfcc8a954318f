//! Operators who rotate by hand, with the documented retry policy, and deliver what they were shown.

use super::super::revoking::may_pass;
use super::consumers::{Consumer, place};
use crate::caller::{Caller, reason};
use crate::cluster::{Cluster, STUCK};
use crate::random::Random;
use crate::report::Trouble;
use crate::retry::{self, Policy};
use latchkey_wire::pb::v1;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};

/// How many rotate at once.
const OPERATORS: usize = 4;

/// The old version lives for so long, unless its rotation is completed: longer than any operator takes.
pub(super) const OVERLAP: Duration = Duration::from_secs(600);

/// One in so many has a standby that is activated.
const STANDBY_ONCE_IN: u64 = 4;

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(5);

/// How often it is looked whether a consumer has switched.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Operators at work.
pub(super) struct Operators {
    ends: Arc<AtomicBool>,
    work: JoinSet<Result<u64, Trouble>>,
}

struct Operator {
    rotators: Vec<Caller>,
    policy: Policy,
    again: AtomicU64,
    random: Random,
}

impl Operators {
    /// Sets them to work: each rotates its share of the keys again and again.
    pub(super) fn start(cluster: &Cluster, consumers: &Arc<[Consumer]>, random: &mut Random) -> Result<Self, Trouble> {
        let (ends, mut work) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for share in 0..OPERATORS {
            let (ends, consumers) = (ends.clone(), consumers.clone());
            let operator = Operator {
                rotators: cluster.rotators().map(|number| cluster.rotator(number)).collect(),
                policy: retry::policy("latchkey.v1.RotationService")?,
                again: AtomicU64::new(0),
                random: random.fork(),
            };
            work.spawn(operator.run(consumers, share, ends));
        }
        Ok(Self { ends, work })
    }

    /// Lets each end its rotation. How many there were.
    pub(super) async fn finish(mut self) -> Result<u64, Trouble> {
        self.ends.store(true, Ordering::Relaxed);
        let mut rotated = 0;
        while let Some(ended) = self.work.join_next().await {
            rotated += ended.map_err(Trouble::not_run)??;
        }
        Ok(rotated)
    }
}

impl Operator {
    async fn run(mut self, consumers: Arc<[Consumer]>, share: usize, ends: Arc<AtomicBool>) -> Result<u64, Trouble> {
        let mut rotated = 0;
        for consumer in consumers.iter().skip(share).step_by(OPERATORS).cycle() {
            if ends.load(Ordering::Relaxed) {
                break;
            }
            self.rotate(consumer).await?;
            rotated += 1;
        }
        Ok(rotated)
    }

    /// One key from one secret to the next.
    async fn rotate(&mut self, consumer: &Consumer) -> Result<(), Trouble> {
        let generation = consumer.switched();
        let mut text = String::new();
        if self.random.below(STANDBY_ONCE_IN) == 0 {
            let request = v1::PrepareStandbyRequest {
                name: consumer.key.clone(),
                request_id: self.random.uuid(),
                ..Default::default()
            };
            let prepare = |caller: Caller, request: v1::PrepareStandbyRequest| async move {
                caller.rotation().prepare_standby(caller.ask(request, TRY_MAX)).await
            };
            text = self.patiently("PrepareStandby", &request, prepare).await?.key_text;
        }
        let request = v1::RotateKeyRequest {
            name: consumer.key.clone(),
            overlap: super::whole(OVERLAP),
            request_id: self.random.uuid(),
            ..Default::default()
        };
        let rotation = self.rotated_everywhere(&request, &mut text).await?;
        place(consumer.file(), &text)?;
        while !consumer.is_done_with(generation) {
            sleep(LOOK_INTERVAL).await;
        }
        let request =
            v1::CompleteRotationRequest { name: rotation, request_id: self.random.uuid(), ..Default::default() };
        let complete = |caller: Caller, request: v1::CompleteRotationRequest| async move {
            caller.rotation().complete_rotation(caller.ask(request, TRY_MAX)).await
        };
        self.patiently("CompleteRotation", &request, complete).await.map(|_| ())
    }

    /// Asks until every region accepts the new version: a repeat waits anew. The name of the rotation.
    async fn rotated_everywhere(
        &mut self,
        request: &v1::RotateKeyRequest,
        text: &mut String,
    ) -> Result<String, Trouble> {
        let by = Instant::now() + STUCK;
        while Instant::now() < by {
            let rotate = |caller: Caller, request: v1::RotateKeyRequest| async move {
                caller.rotation().rotate_key(caller.ask(request, TRY_MAX)).await
            };
            let answer = self.patiently("RotateKey", request, rotate).await?;
            if text.is_empty() {
                *text = answer.key_text;
            }
            if !answer.regions.is_empty() && answer.regions.iter().all(|region| region.visible) {
                return Ok(answer.rotation.map(|rotation| rotation.name).unwrap_or_default());
            }
        }
        Err(Trouble::wrong(format!("{} is not visible everywhere", request.name)))
    }

    /// As the documented policy says, and on from there: an operator does not go home in the middle.
    async fn patiently<Q: Clone, A, F: Future<Output = Result<Response<A>, Status>>>(
        &mut self,
        method: &str,
        request: &Q,
        call: impl Fn(Caller, Q) -> F,
    ) -> Result<A, Trouble> {
        let by = Instant::now() + STUCK;
        let first = usize::try_from(self.random.below(64)).expect("a small number");
        loop {
            let answer = self.policy.call(&self.again, &mut self.random, |attempt| {
                let rotator = self.rotators[(first + attempt) % self.rotators.len()].clone();
                call(rotator, request.clone())
            });
            match answer.await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if may_pass(&status) && Instant::now() < by => sleep(LOOK_INTERVAL).await,
                Err(status) => {
                    return Err(Trouble::wrong(format!("{method}: {} {}", reason(&status), status.message())));
                }
            }
        }
    }
}
