//! Surveys all keys, plans rotations of those that are due, and gives notice of those that soon will be.

use super::finishing::Finisher;
use super::pause::{pause, sooner};
use super::planning::Surveyed;
use super::telling::{self, Fleet};
use super::trouble::Trouble;
use super::{CALL_MAX, Shared};
use latchkey_crypto::draw_rotation_id;
use latchkey_domain::{KeyName, KeyspaceName, RotationPolicy, UnixMillis};
use latchkey_link::Registry;
use latchkey_link::driving::{self, KeyspaceView};
use latchkey_schedule::Windows;
use latchkey_state::{DueKey, GiveNotices, Operation, PlanRotations, PlannedRotation};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::applied::Told;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// Plans under one fence.
pub(super) struct Planner<R> {
    shared: Arc<Shared<R>>,
    fence: u64,
    finisher: Finisher<R>,
    /// When the next key falls due, as the last survey saw it.
    wake_at: Option<Instant>,
}

/// One keyspace, while its keys are surveyed.
struct Keyspace {
    name: KeyspaceName,
    policy: Option<RotationPolicy>,
    surveyed: Surveyed,
}

impl<R: Registry> Planner<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, fence: u64) -> Self {
        Self { finisher: Finisher::new(shared.clone()), shared, fence, wake_at: None }
    }

    /// Plans until the fence is old.
    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            match self.round().await {
                Err(Trouble::Fenced) => return,
                Err(trouble) => tracing::info!(trouble = trouble.word(), "what is due cannot be planned now"),
                Ok(_) => {}
            }
            sleep(pause(began.elapsed(), self.wake_at, Instant::now(), self.shared.options.poll)).await;
        }
    }

    /// One survey of all keys. Tells how many rotations were planned.
    pub(super) async fn round(&mut self) -> Result<u64, Trouble> {
        let (mut after, mut planned) = (Vec::new(), 0);
        let (mut fleet, mut current) = (Fleet::default(), None::<Keyspace>);
        self.wake_at = None;
        loop {
            let page = driving::survey(&*self.shared.registry, after, Instant::now() + CALL_MAX).await?;
            for mut view in page.keyspaces {
                fleet.add(&view, page.now);
                self.wake_at = sooner(self.wake_at, view.next_due_at, page.now);
                self.give_notices(&view).await?;
                self.finisher.begin(std::mem::take(&mut view.ended));
                if current.as_ref().is_none_or(|keyspace| keyspace.name != view.name)
                    && let Some(whole) = current.replace(Keyspace::new(&view))
                {
                    planned += self.plan(whole, page.now, &mut fleet).await?;
                }
                if let Some(keyspace) = &mut current {
                    keyspace.add(view);
                }
            }
            after = page.next;
            if after.is_empty() {
                if let Some(whole) = current {
                    planned += self.plan(whole, page.now, &mut fleet).await?;
                }
                break;
            }
        }
        telling::fleet(&fleet);
        Ok(planned)
    }

    /// Waits until the stores that are being told have been.
    pub(super) async fn drain(self) {
        self.finisher.drain().await;
    }

    /// Plans what one keyspace may begin now.
    async fn plan(&self, keyspace: Keyspace, now: UnixMillis, fleet: &mut Fleet) -> Result<u64, Trouble> {
        let Keyspace { name, policy, surveyed } = keyspace;
        if surveyed.due.is_empty() {
            return Ok(0);
        }
        let at_once_max = at_once_max(policy.as_ref(), &surveyed.due);
        let of_keyspace = policy.as_ref().is_some_and(|policy| is_open(policy, now));
        let is_open = |due: &DueKey| due.own_policy.as_ref().map_or(of_keyspace, |own| is_open(own, now));
        let plan = surveyed.plan(at_once_max, now, is_open);
        if plan.behind {
            fleet.behind += 1;
            tracing::warn!(keyspace = %name, at_once_max, "more keys fall due than may be rotated at once; raise at_once_max");
        }
        let mut planned = 0;
        for keys in plan.keys.chunks(self.shared.options.lot()) {
            let plans = keys.iter().map(|due| PlannedRotation {
                key: KeyName { keyspace: name.clone(), key: due.key },
                rotation: draw_rotation_id(&mut OsEntropy),
                phase: due.phase,
                starts_at: None,
            });
            let operation = Operation::PlanRotations(PlanRotations { fence: self.fence, plans: plans.collect() });
            if let Told::Counted(count) = self.shared.propose(self.fence, operation, keys.len()).await? {
                planned += count;
            }
        }
        Ok(planned)
    }

    async fn give_notices(&self, view: &KeyspaceView) -> Result<(), Trouble> {
        for keys in view.noticed.chunks(self.shared.options.lot()) {
            let names = keys.iter().map(|key| KeyName { keyspace: view.name.clone(), key: *key });
            let operation = Operation::GiveNotices(GiveNotices { fence: self.fence, keys: names.collect() });
            self.shared.propose(self.fence, operation, keys.len()).await?;
        }
        Ok(())
    }
}

impl Keyspace {
    fn new(view: &KeyspaceView) -> Self {
        Self { name: view.name.clone(), policy: view.policy.clone(), surveyed: Surveyed::default() }
    }

    fn add(&mut self, view: KeyspaceView) {
        let keep = at_once_max(self.policy.as_ref(), &view.due) as usize;
        self.surveyed.add(view.due, &view.phases, view.unsettled, keep);
    }
}

/// That of the keyspace's policy; where only keys have policies, the most that one of these allows.
fn at_once_max(policy: Option<&RotationPolicy>, due: &[DueKey]) -> u32 {
    let own = || due.iter().filter_map(|due| due.own_policy.as_ref()).map(|policy| policy.at_once_max).max();
    policy.map(|policy| policy.at_once_max).or_else(own).unwrap_or(latchkey_domain::AT_ONCE_DEFAULT)
}

/// Whether a rotation may begin now. Windows that do not parse, which the API refuses, are never open.
fn is_open(policy: &RotationPolicy, now: UnixMillis) -> bool {
    Windows::parse(&policy.windows).is_ok_and(|windows| windows.is_open(now))
}
