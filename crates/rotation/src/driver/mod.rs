//! The driver: rotations that policies ask for, and each of them step by step to its end.
//!
//! ```text
//! claim -> one process drives; each of its commands carries the fence
//!   survey of all keys   -> planning -> PlanRotations, GiveNotices
//!   rotations under way  -> decision -> carrying out -> PrepareRotation, AdvanceRotation
//!   keys that soon end   -> those that end first     -> GiveExpiryNotices
//! ```
//! In: the claim, what is planned, the next step of a rotation and how it is carried out, who is told before a key ends,
//! tries and their pace, metrics.
//! Out: what a step does to the state (`state`), where secrets go (`delivery`), who uses which version (`evidence`), when
//! windows open (`schedule`).
//!
//! # Decisions
//! **What to do is decided by pure functions, and done elsewhere.** `decision`, `planning` and `claim` are told the
//! rotation, the time and what was seen. So every state can be tested at every moment, and a driver that takes over decides
//! as the last one would have.
//! **Nothing is remembered that matters.** What was tried and what was seen is kept for pace; a process that dies takes
//! nothing along, as every step is written down before the next one is taken, and taking one twice changes nothing.
//! **A process whose claim may be over stops where it stands.** It drops what it does, at whichever await that is. What it
//! had proposed may still arrive, and is then refused by its fence.

mod attempts;
mod budget;
mod carrying;
mod claim;
mod decision;
mod expiring;
mod finishing;
mod look;
mod pause;
mod planner;
mod planning;
mod stepper;
mod telling;
mod trouble;

use crate::driver::budget::Budget;
use crate::driver::claim::{CLAIM_LIFE, ClaimStep, Tenure, claim_step};
use crate::driver::expiring::Expiring;
use crate::driver::finishing::Finished;
use crate::driver::planner::Planner;
use crate::driver::stepper::{Memory, Stepper};
use crate::driver::trouble::Trouble;
use latchkey_config::DriverSettings;
use latchkey_crypto::draw;
use latchkey_delivery::Stores;
use latchkey_domain::{Refusal, Slug};
use latchkey_link::{Material, Registry, driving};
use latchkey_state::{Actor, ClaimRotations, Command, Operation, PLANS_PER_COMMAND_MAX};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::applied::Told;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

/// The feature level from which on there is something to drive.
const FEATURE_LEVEL: u32 = 5;

/// How long one question or one write may take. Shorter than what is left of a claim that was just renewed.
const CALL_MAX: Duration = Duration::from_secs(5);

/// How a driver works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverOptions {
    /// How often the claim and the rotations are looked at.
    pub poll: Duration,
    /// Keys written a second, at most.
    pub writes_per_second_max: u32,
    /// Rotations worked on at once, at most; those of one store at most a quarter of it.
    pub parallel_max: usize,
}

impl DriverOptions {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &DriverSettings) -> Self {
        let to_u32 = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            poll: Duration::from_millis(settings.poll_ms),
            writes_per_second_max: to_u32(settings.writes_per_second_max),
            parallel_max: usize::try_from(settings.parallel_max).unwrap_or(usize::MAX),
        }
    }

    /// Keys that one command names: at most what a second may write.
    fn lot(&self) -> usize {
        PLANS_PER_COMMAND_MAX.min(self.writes_per_second_max.max(1) as usize)
    }
}

impl Default for DriverOptions {
    fn default() -> Self {
        Self { poll: Duration::from_secs(1), writes_per_second_max: 50, parallel_max: 32 }
    }
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Whether this process holds the claim.
    pub drives: bool,
    /// Rotations that were planned.
    pub planned: u64,
    /// Steps that were taken.
    pub steps: u64,
}

/// Drives rotations while it holds the claim. Any number of processes may have one each.
#[derive(Debug)]
pub struct Driver<R> {
    shared: Arc<Shared<R>>,
}

/// What the parts of a driver share.
#[derive(Debug)]
struct Shared<R> {
    registry: Arc<R>,
    material: Arc<Material>,
    stores: Stores,
    options: DriverOptions,
    holder: [u8; 16],
    budget: Mutex<Budget>,
    tenure: watch::Sender<Option<Tenure>>,
    /// Of the cluster, as it was when the claim was last looked at.
    feature_level: AtomicU32,
    memory: Memory,
    finished: Finished,
}

impl<R: Registry> Driver<R> {
    /// Over a registry, with this access to the KEK and these stores.
    #[must_use]
    pub fn new(registry: Arc<R>, material: Arc<Material>, stores: Stores, options: DriverOptions) -> Self {
        telling::begin(&options);
        let budget = Mutex::new(Budget::new(options.writes_per_second_max, Instant::now()));
        let (holder, tenure) = (draw(&mut OsEntropy), watch::Sender::new(None));
        Self {
            shared: Arc::new(Shared {
                registry,
                material,
                stores,
                options,
                holder,
                budget,
                tenure,
                feature_level: AtomicU32::new(0),
                memory: Memory::default(),
                finished: Finished::default(),
            }),
        }
    }

    /// Does all there is to do now: sees to the claim, surveys and plans, takes the steps of all rotations, and gives notice
    /// of keys that soon end.
    ///
    /// # Errors
    /// `UNAVAILABLE`: nobody could be asked. What was done is done.
    pub async fn turn(&self) -> Result<Turn, Status> {
        let shared = &self.shared;
        shared.see_to_claim().await?;
        let Some(tenure) = shared.tenure() else { return Ok(Turn::default()) };
        let work = async {
            let mut planner = Planner::new(shared.clone(), tenure.fence);
            let planned = planner.round().await?;
            let mut stepper = Stepper::new(shared.clone(), tenure.fence);
            stepper.round().await?;
            let steps = stepper.drain().await;
            planner.drain().await;
            Expiring::new(shared.clone(), tenure.fence).round().await?;
            Ok::<_, Trouble>(Turn { drives: true, planned, steps })
        };
        tokio::select! {
            () = shared.lost(tenure.fence) => Ok(Turn::default()),
            turn = work => turn.or_else(|trouble| match trouble {
                Trouble::Away(status) => Err(status),
                _ => Ok(Turn::default()),
            }),
        }
    }

    /// Drives until `stopped`.
    pub async fn run(self, stopped: impl Future<Output = ()>) {
        let shared = &self.shared;
        tokio::select! {
            () = shared.keep_claim() => {}
            () = shared.work() => {}
            () = stopped => {}
        }
        telling::stopped();
    }
}

impl<R: Registry> Shared<R> {
    /// Polls the claim, takes it where it is free, and renews it.
    async fn keep_claim(&self) {
        let mut away = false;
        loop {
            match self.see_to_claim().await {
                Ok(()) => away = false,
                Err(status) if !away => {
                    tracing::warn!(code = %status.code(), message = status.message(), "nobody tells who drives rotations");
                    away = true;
                }
                Err(_) => {}
            }
            sleep(self.options.poll).await;
        }
    }

    async fn see_to_claim(&self) -> Result<(), Status> {
        let view = driving::claim(&*self.registry, Instant::now() + CALL_MAX).await?;
        self.feature_level.store(view.feature_level, Ordering::Relaxed);
        if view.feature_level < FEATURE_LEVEL {
            return Ok(());
        }
        match claim_step(view.claim.as_ref(), self.holder, self.tenure().is_some(), view.now) {
            ClaimStep::Keep => Ok(()),
            ClaimStep::Leave => {
                self.give_up("another process has the claim");
                Ok(())
            }
            ClaimStep::Claim => self.claim().await,
        }
    }

    async fn claim(&self) -> Result<(), Status> {
        let asked = Instant::now();
        let operation = Operation::ClaimRotations(ClaimRotations { holder: self.holder, life: CLAIM_LIFE });
        let proposed = self.registry.propose(&command(operation), asked + CALL_MAX).await?;
        match proposed.answer {
            Ok(Told::Claim(claim)) => {
                let is_new = self.tenure().is_none_or(|tenure| tenure.fence != claim.fence);
                if is_new {
                    tracing::info!(fence = claim.fence, "this process drives rotations");
                }
                self.tenure.send_replace(Some(Tenure::of(&claim, asked)));
                telling::claim(true);
            }
            Err(Refusal::RotationClaimed { .. }) => self.give_up("another process has taken the claim"),
            answer => tracing::error!(?answer, "the rotation claim was answered with what it cannot be"),
        }
        Ok(())
    }

    /// Works whenever this process has the claim, and drops all of it when it has not.
    async fn work(self: &Arc<Self>) {
        let mut tenure = self.tenure.subscribe();
        loop {
            let Some(fence) = self.tenure().map(|tenure| tenure.fence) else {
                if tenure.changed().await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                () = self.lost(fence) => self.give_up("its time is over"),
                () = Stepper::new(self.clone(), fence).run() => {}
                () = Planner::new(self.clone(), fence).run() => {}
                () = Expiring::new(self.clone(), fence).run() => {}
            }
            // Whoever ended by itself was told that the fence is old.
            self.give_up("its fence is old");
        }
    }

    /// Returns once the claim with this fence is not ours any more, or may not be.
    async fn lost(&self, fence: u64) {
        let mut tenure = self.tenure.subscribe();
        loop {
            let until = match *tenure.borrow_and_update() {
                Some(tenure) if tenure.fence == fence && tenure.holds(Instant::now()) => tenure.until,
                Some(_) | None => return,
            };
            tokio::select! {
                // Its sender lives as long as we do.
                _ = tenure.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// The claim, while it may be acted on.
    fn tenure(&self) -> Option<Tenure> {
        self.tenure.borrow().filter(|tenure| tenure.holds(Instant::now()))
    }

    fn give_up(&self, why: &str) {
        if self.tenure.send_replace(None).is_some() {
            tracing::warn!(why, "this process drives rotations no more");
            telling::claim(false);
        }
    }

    /// Proposes a command that changes `keys` keys, within the budget.
    async fn propose(&self, fence: u64, operation: Operation, keys: usize) -> Result<Told, Trouble> {
        let may_write_at = self.budget().take(u32::try_from(keys).unwrap_or(u32::MAX), Instant::now());
        sleep_until(may_write_at).await;
        if self.tenure().is_none_or(|tenure| tenure.fence != fence) {
            return Err(Trouble::Fenced);
        }
        telling::wrote(keys);
        match self.registry.propose(&command(operation), Instant::now() + CALL_MAX).await?.answer {
            Ok(told) => Ok(told),
            Err(Refusal::RotationFenced { .. }) => Err(Trouble::Fenced),
            Err(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    fn feature_level(&self) -> u32 {
        self.feature_level.load(Ordering::Relaxed)
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn command(operation: Operation) -> Command {
    let service = Slug::parse("rotation").expect("the name of a service is a word");
    Command::new(Actor::Service(service), draw(&mut OsEntropy), operation)
}
