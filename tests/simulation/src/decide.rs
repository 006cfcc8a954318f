//! One validation, as the validation service decides it: a view, a decision, and the age once more.

use latchkey_decision::{Access, Ground, Question, Undecided, decide as decide_on};
use latchkey_domain::{Duty, Grant, Outcome, Scope};
use latchkey_policy::AccessContext;
use latchkey_registry::Registry;
use latchkey_transport::Unavailable;
use std::sync::LazyLock;

/// What a caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// On the newest state that the replica is sure of.
    Current(Outcome),
    /// Nothing: not now, or not here.
    Unavailable,
}

impl Answer {
    /// Whether the key was accepted.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self == Self::Current(Outcome::Valid)
    }
}

/// A caller who may validate everywhere.
static EVERYWHERE: LazyLock<Vec<Grant>> = LazyLock::new(|| vec![Grant { duty: Duty::Validator, scope: Scope::System }]);

enum Not {
    Unavailable,
}

impl From<Undecided> for Not {
    fn from(_: Undecided) -> Self {
        Self::Unavailable
    }
}

impl From<Unavailable> for Not {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// Decides on a key text.
#[must_use]
pub fn decide(registry: &Registry, key_text: &str) -> Answer {
    let Ok(view) = registry.reader().now() else { return Answer::Unavailable };
    let ground = Ground { state: view.state(), peppers: view.peppers(), now: view.now(), denials: view.denials() };
    let question = Question::new(&EVERYWHERE, None);
    let access = Access { query: None, context: &AccessContext::default() };
    let age = || view.age().map_err(Not::from);
    let answer = decide_on(key_text, ground, question, access, age).and_then(|decision| {
        let age = view.age()?;
        Ok(decision.verdict(age).map_err(Undecided::from)?.outcome())
    });
    match answer {
        Ok(outcome) => Answer::Current(outcome),
        Err(Not::Unavailable) => Answer::Unavailable,
    }
}
