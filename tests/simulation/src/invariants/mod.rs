//! What must always hold, a file each. All of it is looked at after each millisecond, and once more at the end.

mod after_the_bound;
mod clock;
mod confirmed;
mod consistent;
mod fences;
mod nothing_lost;
mod replicas_equal;
mod revisions;
mod sequences;
mod visible;

use crate::ground::Machine;
use crate::history::{Decided, History};
use latchkey_domain::NodeId;
use latchkey_registry::Registry;
use latchkey_state::State;
use std::sync::Arc;

/// One replica that runs, as it shows itself now.
pub struct Seen {
    /// The replica.
    pub node: NodeId,
    /// Which life of it.
    pub life: u64,
    /// Itself.
    pub registry: Registry,
    /// What its readers see.
    pub state: Arc<State>,
}

impl Seen {
    pub(crate) fn of(machine: &Machine, registry: Registry) -> Self {
        let state = Arc::clone(&registry.core().state());
        Self { node: machine.node, life: machine.lives(), registry, state }
    }
}

/// The world at one instant.
pub struct Look<'a> {
    /// The true time. Milliseconds.
    pub now_ms: u64,
    /// The replicas that run and are awake.
    pub seen: &'a [Seen],
    /// What happened so far.
    pub history: &'a History,
    /// What was decided in this instant.
    pub decided: &'a [Decided],
    /// At the end: how many entries each replica's tree has, and the sequences that it can be followed for.
    pub entries: &'a [(NodeId, u64, Vec<u64>)],
}

/// One rule.
pub(crate) trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Looks at one instant.
    fn look(&mut self, look: &Look<'_>) -> Result<(), String>;

    /// Looks at the end, when everything is healed and everybody has caught up.
    fn end(&mut self, _look: &Look<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// All rules.
pub struct Invariants(Vec<Box<dyn Invariant>>);

impl Invariants {
    /// Each of them, before anything happened.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![
            Box::new(after_the_bound::AfterTheBound),
            Box::new(confirmed::Confirmed),
            Box::new(consistent::Consistent),
            Box::new(visible::Visible),
            Box::new(revisions::Revisions::default()),
            Box::new(replicas_equal::ReplicasEqual::default()),
            Box::new(clock::Clock),
            Box::new(fences::Fences),
            Box::new(nothing_lost::NothingLost),
            Box::new(sequences::Sequences),
        ])
    }

    /// The first that is broken now, and how.
    ///
    /// # Errors
    /// That one.
    pub fn look(&mut self, look: &Look<'_>) -> Result<(), (&'static str, String)> {
        self.0.iter_mut().try_for_each(|rule| rule.look(look).map_err(|what| (rule.name(), what)))
    }

    /// The first that is broken at the end, and how.
    ///
    /// # Errors
    /// That one.
    pub fn end(&mut self, look: &Look<'_>) -> Result<(), (&'static str, String)> {
        self.0.iter_mut().try_for_each(|rule| rule.end(look).map_err(|what| (rule.name(), what)))
    }
}
