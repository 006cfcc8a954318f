//! The world of one simulation: it moves in ticks of a millisecond, and after each of them everybody is looked at.

mod harm;

use crate::clock::{BEGAN_MS, TrueTime};
use crate::decide::{Answer, decide};
use crate::ground::{Ground, Machine, Profile, REGIONS};
use crate::history::{Decided, History};
use crate::invariants::{Invariants, Look, Seen};
use crate::net::{Direction, host_of};
use latchkey_domain::NodeId;
use latchkey_registry::Registry;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use turmoil::{Builder, Sim};

/// The machine from which everybody calls.
const CALLERS: &str = "callers";

/// Within how long everybody knows all that was acknowledged, where nothing is wrong any more. Simulated time.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

/// The latest events of a world that fails are shown; so many.
const EVENTS_SHOWN: usize = 400;

/// What fails in a simulation, with all that is needed to understand it.
#[derive(Debug)]
pub struct Failure {
    /// Which rule was broken.
    pub invariant: String,
    /// How.
    pub what: String,
    /// The seed.
    pub seed: u64,
    /// The last events, with their times.
    pub events: Vec<String>,
}

/// That a simulation is over, with what it found.
pub type Outcome<T = ()> = Result<T, Box<Failure>>;

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} (seed {})", self.invariant, self.what, self.seed)
    }
}

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One simulation.
pub struct World {
    sim: Sim<'static>,
    time: TrueTime,
    /// What the replicas have in common.
    pub ground: Arc<Ground>,
    /// How the cluster is laid out.
    pub profile: Profile,
    /// The seed of all that is drawn.
    pub seed: u64,
    calls: mpsc::UnboundedSender<Call>,
    history: Arc<Mutex<History>>,
    invariants: Invariants,
    stalls: Option<Stalls>,
    random: Random,
    thaws: Vec<(u64, NodeId)>,
}

/// A direction is shut for a share of the time, for so long each time.
struct Stalls {
    per_mille: u64,
    length_ms: u64,
    ends: Vec<(u64, Direction)>,
}

/// Numbers from a seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From this seed on.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

impl World {
    /// A cluster that runs, fresh everywhere.
    ///
    /// # Errors
    /// Where it does not become so within a minute.
    pub fn new(profile: Profile, seed: u64) -> Outcome<Self> {
        Self::prepared(profile, seed, |_| {})
    }

    /// As [`Self::new`], with machines that were changed before they start.
    ///
    /// # Errors
    /// Where the cluster does not become fresh within a minute.
    pub fn prepared(profile: Profile, seed: u64, prepare: impl FnOnce(&mut Preparation)) -> Outcome<Self> {
        let time = TrueTime::default();
        let mut preparation = Preparation { timing: Vec::new(), rates: Vec::new() };
        prepare(&mut preparation);
        let mut ground = Ground::found(&profile, &time);
        for (node, timing) in &preparation.timing {
            Arc::get_mut(&mut ground).expect("nobody has it yet").retime(*node, *timing);
        }
        for (node, ppm) in &preparation.rates {
            ground.machines[node].clock.set_rate(*ppm);
        }
        let mut builder = Builder::new();
        let one_way = Duration::from_millis(profile.one_way_ms);
        builder
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(BEGAN_MS))
            .simulation_duration(Duration::from_secs(1 << 32))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(one_way)
            .max_message_latency(one_way)
            .tcp_capacity(1 << 16)
            .enable_random_order();
        let mut sim = builder.build();
        for node in ground.machines.keys().copied() {
            let ground = ground.clone();
            sim.host(host_of(node), move || ground.clone().run(node));
        }
        let (calls, asked) = mpsc::unbounded_channel::<Call>();
        let asked = Arc::new(Mutex::new(Some(asked)));
        sim.host(CALLERS, move || {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                let Some(mut asked) = asked else { return Ok(()) };
                while let Some(call) = asked.recv().await {
                    tokio::spawn(call);
                }
                Ok(())
            }
        });
        let mut world = Self {
            sim,
            time,
            ground,
            profile,
            seed,
            calls,
            history: Arc::default(),
            invariants: Invariants::all(),
            stalls: None,
            random: Random::new(seed),
            thaws: Vec::new(),
        };
        world.until(Duration::from_secs(60), "a cluster that is fresh everywhere", |world| world.is_fresh())?;
        Ok(world)
    }

    /// The true time since the beginning. Milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.time.ms()
    }

    /// The clock that tells it.
    #[must_use]
    pub fn time(&self) -> TrueTime {
        self.time.clone()
    }

    /// What happened so far.
    ///
    /// # Panics
    /// Never; a lock that is poisoned is taken all the same.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history, for callers.
    #[must_use]
    pub fn shared_history(&self) -> Arc<Mutex<History>> {
        self.history.clone()
    }

    /// The numbers of this world.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Notes an event.
    pub fn note(&self, what: impl Into<String>) {
        self.history().note(self.time.ms(), what.into());
    }

    /// A replica's machine.
    #[must_use]
    pub fn machine(&self, node: NodeId) -> &Arc<Machine> {
        &self.ground.machines[&node]
    }

    /// The replicas that run.
    #[must_use]
    pub fn running(&self) -> Vec<(NodeId, Registry)> {
        let running = |machine: &Arc<Machine>| Some((machine.node, machine.process()?));
        self.ground.machines.values().filter_map(running).collect()
    }

    /// The ids of all.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.ground.machines.keys().copied().collect()
    }

    /// Whether every replica runs and is fresh.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let running = self.running();
        running.len() == self.ground.machines.len()
            && running
                .iter()
                .all(|(_, registry)| registry.core().state().cluster().is_some() && registry.reader().is_fresh())
    }

    /// The leader that can take writes.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader_among(&self.nodes())
    }

    /// The leader of these that can take writes.
    #[must_use]
    pub fn leader_among(&self, nodes: &[NodeId]) -> Option<NodeId> {
        let leads = |(node, registry): &(NodeId, Registry)| {
            nodes.contains(node) && registry.status().leader == Some(*node) && registry.can_write()
        };
        self.running().iter().find(|one| leads(one)).map(|(node, _)| *node)
    }

    /// Whether one of these takes itself for the leader.
    #[must_use]
    pub fn leads_among(&self, nodes: &[NodeId]) -> bool {
        let leads =
            |(node, registry): &(NodeId, Registry)| nodes.contains(node) && registry.status().leader == Some(*node);
        self.running().iter().any(leads)
    }

    /// Everybody but these.
    #[must_use]
    pub fn others(&self, of: &[NodeId]) -> Vec<NodeId> {
        self.nodes().into_iter().filter(|node| !of.contains(node)).collect()
    }

    /// Moves on by a tick, and looks at everybody.
    ///
    /// # Errors
    /// Where a rule is broken.
    pub fn step(&mut self) -> Outcome {
        self.stall();
        self.thaw();
        self.time.set(self.time.ms() + 1);
        self.sim.step().map_err(|error| self.failure("the simulation itself", error.to_string()))?;
        self.look()
    }

    /// Moves on for this long.
    ///
    /// # Errors
    /// Where a rule is broken.
    pub fn pass(&mut self, span: Duration) -> Outcome {
        let end = self.time.ms() + u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        while self.time.ms() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Moves on until this holds. Tells how long that took, in milliseconds.
    ///
    /// # Errors
    /// Where a rule is broken, or it does not come to hold in time.
    pub fn until(&mut self, within: Duration, what: &str, mut holds: impl FnMut(&mut Self) -> bool) -> Outcome<u64> {
        let began = self.time.ms();
        let end = began + u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        while !holds(self) {
            if self.time.ms() >= end {
                let states: Vec<_> = self.ground.machines.values().map(|machine| describe(machine)).collect();
                let what = format!("{what}: not within {within:?}; {}", states.join("; "));
                return Err(self.failure("liveness", what));
            }
            self.step()?;
        }
        Ok(self.time.ms() - began)
    }

    /// Lets a caller do something, beside all else that happens.
    pub fn spawn<T>(&self, call: impl Future<Output = T> + Send + 'static) {
        let call = async move {
            let _unheard = call.await;
        };
        // The callers' machine is never stopped.
        drop(self.calls.send(Box::pin(call)));
    }

    /// Lets a caller do something, and waits for what comes of it.
    ///
    /// # Errors
    /// Where a rule is broken meanwhile, or nothing comes of it within this time.
    pub fn call<T: Send + 'static>(
        &mut self,
        what: &str,
        within: Duration,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Outcome<T> {
        let (answer, mut answered) = oneshot::channel();
        self.spawn(async move { drop(answer.send(call.await)) });
        let mut answer = None;
        self.until(within, what, |_| {
            answer = answered.try_recv().ok();
            answer.is_some()
        })?;
        Ok(answer.expect("just waited for"))
    }

    /// Waits until everybody knows all that was acknowledged, and checks what can only be said then. Everything is healed.
    ///
    /// # Errors
    /// Where a rule is broken, or somebody does not catch up.
    pub fn finish(&mut self) -> Outcome {
        let entries = self.entries()?;
        // Who is fresh may still know a write later than its caller.
        self.until(CAUGHT_UP_WITHIN, "everybody knows all that was acknowledged", |world| {
            let newest = world.history().newest();
            world.seen().iter().all(|seen| newest <= Some(seen.state.revision()))
        })?;
        let seen = self.seen();
        let history = self.history.clone();
        let history = history.lock().unwrap_or_else(PoisonError::into_inner);
        let look = Look { now_ms: self.time.ms(), seen: &seen, history: &history, decided: &[], entries: &entries };
        let broken = self.invariants.end(&look);
        drop(history);
        broken.map_err(|(invariant, what)| self.failure(invariant, what))
    }

    /// A failure of this world, now.
    #[must_use]
    pub fn failure(&self, invariant: &str, what: impl Into<String>) -> Box<Failure> {
        let events = self.history().last_events(EVENTS_SHOWN);
        let what = format!("at {} ms: {}", self.time.ms(), what.into());
        Box::new(Failure { invariant: invariant.to_owned(), what, seed: self.seed, events })
    }

    /// The sequences of the entries that each replica can be followed for.
    fn entries(&mut self) -> Outcome<Vec<(NodeId, u64, Vec<u64>)>> {
        let mut entries = Vec::new();
        for (node, registry) in self.running() {
            let size = registry.core().state().progress().frontier.size();
            let asked = async move { registry.entries(0).await };
            entries.push((node, size, self.call("the entries of a replica", Duration::from_secs(60), asked)?));
        }
        Ok(entries)
    }

    fn seen(&self) -> Vec<Seen> {
        let awake = self.ground.machines.values().filter(|machine| !machine.is_frozen());
        awake.filter_map(|machine| Some(Seen::of(machine, machine.process()?))).collect()
    }

    fn look(&mut self) -> Outcome {
        let (now_ms, seen) = (self.time.ms(), self.seen());
        let history = self.history.clone();
        let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decided = Vec::new();
        for one in &seen {
            for key in history.watched(one.node, one.life) {
                let answer = decide(&one.registry, &history.keys[key].text);
                decided.push(Decided { node: one.node, life: one.life, key, answer });
                // It is as old for the others: one keyspace has one bound.
                if answer == Answer::Unavailable {
                    break;
                }
            }
        }
        history.take(now_ms, &decided);
        let look = Look { now_ms, seen: &seen, history: &history, decided: &decided, entries: &[] };
        let broken = self.invariants.look(&look);
        drop(history);
        broken.map_err(|(invariant, what)| self.failure(invariant, what))
    }

    /// Whether a replica answers for this key now, and what.
    #[must_use]
    pub fn decide(&self, node: NodeId, key: usize) -> Answer {
        let Some(registry) = self.machine(node).process() else { return Answer::Unavailable };
        let text = self.history().keys[key].text.clone();
        decide(&registry, &text)
    }
}

/// What is changed before the machines start.
pub struct Preparation {
    /// How raft is timed on a machine that differs from the others.
    pub timing: Vec<(NodeId, latchkey_registry::Timing)>,
    /// By how much a machine's clocks run fast.
    pub rates: Vec<(NodeId, i64)>,
}

fn describe(machine: &Machine) -> String {
    let Some(registry) = machine.process() else {
        return format!("replica {}: no process, {:?}", machine.node, machine.why_not());
    };
    let (status, state) = (registry.status(), registry.core().state());
    format!(
        "replica {} in {}: {:?}, leader {:?}, writes {}, fresh {}, revision {}",
        machine.node,
        REGIONS.get(usize::try_from(machine.node.0 - 1).unwrap_or(0)).unwrap_or(&"?"),
        registry.condition(),
        status.leader,
        registry.can_write(),
        registry.reader().is_fresh(),
        state.revision(),
    )
}
