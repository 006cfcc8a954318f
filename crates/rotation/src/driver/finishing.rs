//! What is left to do at a store once a rotation has ended: the old secret that it kept is destroyed, or put back.
//!
//! Stores are the machines of others. One that hangs, or fails, keeps neither the planner nor another store waiting.

use super::{Shared, telling};
use latchkey_delivery::{DeliveryError, Ending};
use latchkey_domain::{Delivery, HoldCause, RotationName, RotationState, Slug};
use latchkey_link::Registry;
use latchkey_link::driving::Driven;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Ended rotations that are remembered by this process. Beyond it all are forgotten, and told once more.
const FINISHED_MAX: usize = 100_000;

/// After a store failed, its rotation is left alone for so long: others of the same store have their turn.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Rotations that one store is told of at once, and all stores together.
const AT_ONCE_OF_STORE: usize = 4;
const AT_ONCE: usize = 32;

/// Which stores were told. Telling one twice is harmless, so that a driver that takes over tells all anew.
#[derive(Debug, Default)]
pub(super) struct Finished(Mutex<HashMap<RotationName, Told>>);

/// How telling a store went.
#[derive(Clone, Copy, Debug)]
enum Told {
    Done,
    /// It failed, and is tried again then.
    Again(Instant),
}

impl Finished {
    /// Whether its store is not to be told now.
    fn is_settled(&self, name: &RotationName) -> bool {
        match self.lock().get(name) {
            Some(Told::Done) => true,
            Some(Told::Again(at)) => Instant::now() < *at,
            None => false,
        }
    }

    fn is_done(&self, name: &RotationName) -> bool {
        matches!(self.lock().get(name), Some(Told::Done))
    }

    fn remember(&self, name: &RotationName, told: Told) {
        let mut all = self.lock();
        if all.len() >= FINISHED_MAX {
            all.clear();
        }
        all.insert(name.clone(), told);
    }

    /// Its store has to be told again: something may have been laid there since.
    pub(super) fn forget(&self, name: &RotationName) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RotationName, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells stores, several at once. Dropping it drops what is under way.
pub(super) struct Finisher<R> {
    shared: Arc<Shared<R>>,
    under_way: JoinSet<RotationName>,
    /// Whose stores are being told, and which these are.
    busy: HashMap<RotationName, Slug>,
}

impl<R: Registry> Finisher<R> {
    pub(super) fn new(shared: Arc<Shared<R>>) -> Self {
        Self { shared, under_way: JoinSet::new(), busy: HashMap::new() }
    }

    /// Begins to tell the stores of rotations that have ended. Those for which there is no room have their turn at the
    /// next survey.
    pub(super) fn begin(&mut self, ended: Vec<Driven>) {
        while let Some(told) = self.under_way.try_join_next() {
            self.take(told);
        }
        for driven in ended {
            let Some((store, _)) = ending_of(&driven) else { continue };
            let of_store = self.busy.values().filter(|busy| *busy == store).count();
            let has_room = of_store < AT_ONCE_OF_STORE && self.under_way.len() < AT_ONCE;
            if !has_room || self.busy.contains_key(&driven.name) || self.shared.finished.is_settled(&driven.name) {
                continue;
            }
            self.busy.insert(driven.name.clone(), store.clone());
            let shared = self.shared.clone();
            self.under_way.spawn(async move {
                shared.finish(&driven).await;
                driven.name
            });
        }
    }

    /// Waits for what is under way.
    pub(super) async fn drain(mut self) {
        while let Some(told) = self.under_way.join_next().await {
            self.take(told);
        }
    }

    fn take(&mut self, told: Result<RotationName, tokio::task::JoinError>) {
        match told {
            Ok(name) => drop(self.busy.remove(&name)),
            Err(error) => {
                // Which one it was is not known. Telling one twice at the same time is harmless too.
                tracing::error!(%error, "telling a store panicked");
                self.busy.clear();
            }
        }
    }
}

impl<R: Registry> Shared<R> {
    /// Tells the store of a rotation that has ended, where it was not told yet. What fails is tried again later.
    pub(super) async fn finish(&self, driven: &Driven) {
        if let Some((store, ending)) = ending_of(driven).filter(|_| !self.finished.is_settled(&driven.name))
            && let Err(error) = self.tell_end(&driven.name, store, ending).await
        {
            telling::delivery_failed(HoldCause::Delivery);
            let (rotation, ending, problem) = (&driven.name, ending.as_str(), error.told());
            tracing::warn!(%rotation, ending, problem, "a store was not told of the end of a rotation");
        }
    }

    /// Tells this store of what has ended of one key, where it was not told yet; also where that failed just now. They come
    /// in the order of their ends: when the last one was delivered that was, the store had been told of all before it.
    ///
    /// # Errors
    /// [`DeliveryError`]: it is not told.
    pub(super) async fn finish_at(&self, ended: &[Driven], store: &Slug) -> Result<(), DeliveryError> {
        let endings = ended.iter().filter_map(|one| Some((one, ending_of(one)?)));
        let here: Vec<_> = endings.filter(|(_, (of, _))| *of == store).collect();
        let is_delivered = |one: &Driven| one.rotation.course.as_ref().is_some_and(|one| one.delivered_at.is_some());
        let last = here.iter().rposition(|(one, _)| is_delivered(one)).unwrap_or(0);
        for (one, (_, ending)) in here.into_iter().skip(last) {
            if !self.finished.is_done(&one.name) {
                self.tell_end(&one.name, store, ending).await?;
            }
        }
        Ok(())
    }

    async fn tell_end(&self, name: &RotationName, store: &Slug, ending: Ending) -> Result<(), DeliveryError> {
        let Some(outlet) = self.stores.find(store, &name.key) else { return Ok(()) };
        let done = outlet.finish(name, ending).await;
        let told = if done.is_ok() { Told::Done } else { Told::Again(Instant::now() + RETRY_AFTER) };
        self.finished.remember(name, told);
        done
    }
}

fn ending_of(driven: &Driven) -> Option<(&Slug, Ending)> {
    let course = driven.rotation.course.as_deref()?;
    let Some(Delivery::Store(store)) = &course.delivery else { return None };
    let ending = match driven.rotation.state {
        RotationState::Completed => Ending::Completed,
        RotationState::RolledBack | RotationState::Cancelled | RotationState::Failed => Ending::Undone,
        _ => return None,
    };
    Some((store, ending))
}
