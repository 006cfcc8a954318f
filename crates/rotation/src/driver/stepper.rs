//! Walks over the rotations in progress and takes the next step of each: several at once, never two of one rotation.

use super::attempts::Attempts;
use super::decision::{Standing, Step, next_step};
use super::look::{Look, watched};
use super::trouble::Trouble;
use super::{CALL_MAX, Shared, telling};
use crate::evidence::{self, Detail, ROTATIONS_PER_GATHERING};
use latchkey_domain::{Delivery, Revision, RotationMode, RotationName, RotationState, Slug, UnixMillis};
use latchkey_link::Registry;
use latchkey_link::driving::{self, Driven};
use latchkey_schedule::Windows;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Steps of one rotation one after the other, before others have their turn.
const STEPS_AT_ONCE_MAX: usize = 8;

/// Of all rotations that are worked on at once, one store has this part at most: one that hangs keeps no other waiting.
const STORE_SHARE: usize = 4;

/// Rotations that are kept until there is room for them. Of those beyond the next round decides.
const LEFT_MAX: usize = 1_000;

/// What this process remembers of rotations in progress. It outlives the claim: who gets it back need not try all anew.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<RotationName, Known>>);

/// What this process remembers of a rotation: what it tried, and what it saw.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The revision of the rotation that the rest is about: a change of it begins anew.
    changed: Revision,
    attempts: Attempts,
    text_lost: bool,
    look: Option<Look>,
}

/// Takes steps under one fence. Dropping it drops what is under way.
pub(super) struct Stepper<R> {
    shared: Arc<Shared<R>>,
    fence: u64,
    under_way: JoinSet<Walked>,
    /// Whose steps are under way, and at which store.
    busy: HashMap<Id, (RotationName, Option<Slug>)>,
    /// Those for which there was no room in this round, in their order.
    left: VecDeque<(Driven, Step)>,
    steps: u64,
}

/// What came of walking along one rotation.
struct Walked {
    steps: u64,
    fenced: bool,
}

impl<R: Registry> Stepper<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, fence: u64) -> Self {
        Self { shared, fence, under_way: JoinSet::new(), busy: HashMap::new(), left: VecDeque::new(), steps: 0 }
    }

    /// Takes steps until the fence is old.
    pub(super) async fn run(mut self) {
        loop {
            match self.round().await {
                Err(Trouble::Fenced) => return,
                Err(trouble) => tracing::info!(trouble = trouble.word(), "the rotations in progress cannot be read"),
                Ok(()) => {}
            }
            if self.rest().await.is_err() {
                return;
            }
        }
    }

    /// Waits for the next round. What takes long goes on meanwhile, and those for which there was no room have their turn.
    async fn rest(&mut self) -> Result<(), Trouble> {
        let until = Instant::now() + self.shared.options.poll;
        while !self.left.is_empty() {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                walked = self.under_way.join_next_with_id() => {
                    walked.map_or(Ok(()), |walked| self.take(walked))?;
                    self.begin_left();
                }
            }
        }
        sleep_until(until).await;
        Ok(())
    }

    /// Begins the next step of each rotation that has one.
    pub(super) async fn round(&mut self) -> Result<(), Trouble> {
        let (mut after, mut seen) = (Vec::new(), HashSet::new());
        self.left.clear();
        let (mut states, mut ending_in_use) = ([0; RotationState::ALL.len()], 0);
        loop {
            let page = driving::rotations(&*self.shared.registry, after, Instant::now() + CALL_MAX).await?;
            for (sum, more) in states.iter_mut().zip(page.states) {
                *sum += more;
            }
            let mut unseen = Vec::new();
            for driven in page.rotations {
                seen.insert(driven.name.clone());
                ending_in_use += u64::from(ends_in_use(&driven, page.now));
                self.reap()?;
                if self.busy.values().any(|(name, _)| *name == driven.name) {
                    continue;
                }
                match self.shared.decide(&driven, page.now) {
                    Step::Wait(_) => {}
                    Step::Look => unseen.push(driven),
                    step => self.begin(driven, step),
                }
            }
            for some in unseen.chunks(ROTATIONS_PER_GATHERING) {
                self.look_at(some).await?;
            }
            after = page.next;
            if after.is_empty() {
                break;
            }
        }
        telling::rotations(&states, ending_in_use);
        self.shared.memory.keep(&seen);
        Ok(())
    }

    /// Waits for what is under way, and tells how many steps were taken.
    pub(super) async fn drain(mut self) -> u64 {
        while let Some(walked) = self.under_way.join_next_with_id().await {
            if self.take(walked).is_err() {
                self.left.clear();
            }
            self.begin_left();
        }
        self.steps
    }

    /// Asks the replicas about some rotations, and begins what follows.
    async fn look_at(&mut self, rotations: &[Driven]) -> Result<(), Trouble> {
        let asked = rotations.iter().filter_map(|driven| Some((driven, watched(&driven.rotation)?)));
        let (asked, watched): (Vec<_>, Vec<_>) = asked.unzip();
        let by = Instant::now() + CALL_MAX;
        let seen = match evidence::gather(&*self.shared.registry, &watched, Detail::Totals, by).await {
            Ok(seen) => seen,
            Err(status) => {
                tracing::info!(code = %status.code(), message = status.message(), "nobody tells who uses which version");
                return Ok(());
            }
        };
        for (driven, seen) in asked.into_iter().zip(&seen) {
            self.shared.memory.of(driven, |known| known.look = Some(Look::of(seen, &driven.rotation)));
            match self.shared.decide(driven, seen.now) {
                Step::Wait(_) | Step::Look => {}
                step => self.begin(driven.clone(), step),
            }
        }
        Ok(())
    }

    /// Begins to walk along a rotation, or keeps it until there is room.
    fn begin(&mut self, driven: Driven, step: Step) {
        if self.has_room(&driven) {
            let of = (driven.name.clone(), store_of(&driven).cloned());
            let task = self.under_way.spawn(along(self.shared.clone(), self.fence, driven, step));
            self.busy.insert(task.id(), of);
        } else if self.left.len() < LEFT_MAX {
            self.left.push_back((driven, step));
        }
    }

    /// Begins those that are left and for which there is room now.
    fn begin_left(&mut self) {
        for (driven, step) in std::mem::take(&mut self.left) {
            self.begin(driven, step);
        }
    }

    fn has_room(&self, driven: &Driven) -> bool {
        let all = self.shared.options.parallel_max.max(1);
        let at_store = |store| self.busy.values().filter(|(_, of)| of.as_ref() == Some(store)).count();
        self.busy.len() < all && store_of(driven).is_none_or(|store| at_store(store) < (all / STORE_SHARE).max(1))
    }

    /// Takes note of what has ended meanwhile.
    fn reap(&mut self) -> Result<(), Trouble> {
        while let Some(walked) = self.under_way.try_join_next_with_id() {
            self.take(walked)?;
        }
        Ok(())
    }

    fn take(&mut self, walked: Result<(Id, Walked), JoinError>) -> Result<(), Trouble> {
        let id = walked.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let rotation = self.busy.remove(&id).map(|(rotation, _)| rotation);
        match walked {
            Ok((_, walked)) => {
                self.steps += walked.steps;
                if walked.fenced { Err(Trouble::Fenced) } else { Ok(()) }
            }
            Err(error) => {
                let rotation = rotation.map(tracing::field::display);
                tracing::error!(rotation, %error, "a step of a rotation panicked");
                Ok(())
            }
        }
    }
}

/// Whether somebody was told that its old version soon ends though it is used, and it has not ended yet.
fn ends_in_use(driven: &Driven, now: UnixMillis) -> bool {
    let course = driven.rotation.course.as_deref();
    course.is_some_and(|course| course.warned_at.is_some()) && !driven.rotation.state_at(now).is_final()
}

/// Where its secret goes, and what may let it wait.
fn store_of(driven: &Driven) -> Option<&Slug> {
    match &driven.rotation.course.as_deref()?.delivery {
        Some(Delivery::Store(store)) => Some(store),
        Some(Delivery::Recipient(_)) | None => None,
    }
}

/// Takes steps along one rotation, for as long as one follows from the other.
async fn along<R: Registry>(shared: Arc<Shared<R>>, fence: u64, mut driven: Driven, mut step: Step) -> Walked {
    let mut walked = Walked { steps: 0, fenced: false };
    for _ in 0..STEPS_AT_ONCE_MAX {
        let Some(word) = step.word() else { break };
        match shared.carry_out(&driven, step, fence).await {
            Ok(()) => {
                walked.steps += 1;
                telling::step(word, "taken");
            }
            Err(trouble) => {
                telling::step(word, trouble.word());
                trouble.log(&driven.rotation, word);
                if matches!(trouble, Trouble::Fenced) {
                    walked.fenced = true;
                    break;
                }
                shared.remember(&driven, trouble).await;
            }
        }
        let by = Instant::now() + CALL_MAX;
        let Ok((now, Some(next))) = driving::rotation(&*shared.registry, &driven.name, by).await else { break };
        driven = next;
        if driven.rotation.state.is_final() {
            // Whoever ended it did so while something was being laid in its store, perhaps after that was told of the end.
            if matches!(word, "deliver" | "verify") {
                shared.finished.forget(&driven.name);
            }
            shared.finish(&driven).await;
            break;
        }
        step = shared.decide(&driven, now);
    }
    walked
}

impl<R: Registry> Shared<R> {
    /// The next step, by what is known.
    fn decide(&self, driven: &Driven, now: UnixMillis) -> Step {
        self.memory.decide(driven, now, self.feature_level())
    }

    /// Takes note of what went wrong, by the time of the cluster.
    async fn remember(&self, driven: &Driven, trouble: Trouble) {
        let view = driving::claim(&*self.registry, Instant::now() + CALL_MAX).await;
        // Nobody tells the time: then that of its last change, which puts nothing off.
        let now = view.map_or(driven.rotation.changed.at, |view| view.now);
        self.memory.of(driven, |known| match trouble {
            Trouble::TextLost => known.text_lost = true,
            Trouble::Failed(failure) => known.attempts.fail(failure, now),
            Trouble::Refused(refusal) => match Trouble::stands_in_the_way(&refusal) {
                Some((text, lasts)) => known.attempts.refuse(text, lasts, now),
                None => known.attempts.postpone(now),
            },
            Trouble::Fenced | Trouble::Away(_) | Trouble::NotVisible { .. } | Trouble::Overtaken => {
                known.attempts.postpone(now);
            }
        });
    }
}

impl Memory {
    /// The next step, by what is known.
    fn decide(&self, driven: &Driven, now: UnixMillis, level: u32) -> Step {
        self.of(driven, |known| {
            let Known { attempts, text_lost, look, .. } = &*known;
            let (rotation, opens_at, look) = (&driven.rotation, opens_at(driven, now), look.as_ref());
            let (old_lives, text_lost) = (driven.old_lives, *text_lost);
            next_step(Standing { rotation, now, opens_at, old_lives, attempts, text_lost, look, level })
        })
    }

    /// What is known of a rotation as it is.
    fn of<T>(&self, driven: &Driven, with: impl FnOnce(&mut Known) -> T) -> T {
        let changed = driven.rotation.changed.revision;
        let mut all = self.lock();
        let known = all.entry(driven.name.clone()).or_default();
        if known.changed != changed {
            *known = Known { changed, look: known.look.take(), ..Known::default() };
        }
        with(known)
    }

    /// Forgets all but these.
    fn keep(&self, names: &HashSet<RotationName>) {
        self.lock().retain(|name, _| names.contains(name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RotationName, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When its window is open next; at once where it waits for none. Absent: what a policy planned is wanted no more, since that
/// is gone or does not rotate by itself.
fn opens_at(driven: &Driven, now: UnixMillis) -> Option<UnixMillis> {
    if !driven.rotation.course.as_ref().is_some_and(|course| course.by_policy) {
        return Some(now);
    }
    let policy = driven.policy.as_ref().filter(|policy| policy.mode == RotationMode::Automatic)?;
    // What does not parse, which the API refuses, is never open.
    let windows = Windows::parse(&policy.windows).ok();
    Some(windows.and_then(|windows| windows.next_open(now)).unwrap_or(UnixMillis::LAST))
}
