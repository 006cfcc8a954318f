//! A store in memory, which can be broken.

use crate::{BoxFuture, DeliveryError, Ending, Item, Store};
use latchkey_domain::{KeyName, RotationId, RotationName, VersionId, VersionName};
use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// A store in memory. Clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    keys: BTreeMap<KeyName, Slots>,
    broken: bool,
}

#[derive(Default)]
struct Slots {
    current: Option<(VersionId, String)>,
    rotation: Option<RotationId>,
    next: Option<(VersionId, String)>,
    before: Option<(VersionId, String)>,
}

impl MemoryStore {
    /// What the consumers of a key read now.
    #[must_use]
    pub fn read(&self, key: &KeyName) -> Option<String> {
        self.inner().keys.get(key)?.current.as_ref().map(|(_, text)| text.clone())
    }

    /// How many texts of a key lie beside the one that is read.
    #[must_use]
    pub fn kept(&self, key: &KeyName) -> usize {
        let inner = self.inner();
        let slots = inner.keys.get(key).map(|slots| [&slots.next, &slots.before]);
        slots.into_iter().flatten().flatten().count()
    }

    /// Lets each step fail from now on, or succeed again.
    pub fn set_broken(&self, broken: bool) {
        self.inner().broken = broken;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no step panics")
    }

    fn step(
        &self,
        rotation: &RotationName,
        step: impl FnOnce(&mut Slots, bool) -> Result<(), DeliveryError>,
    ) -> Result<(), DeliveryError> {
        let mut inner = self.inner();
        if inner.broken {
            let source = io::Error::other("it was broken by the test");
            return Err(DeliveryError::File { verb: "write", path: "memory".into(), source });
        }
        let slots = inner.keys.entry(rotation.key.clone()).or_default();
        let ours = slots.rotation == Some(rotation.rotation);
        step(slots, ours)
    }
}

impl Store for MemoryStore {
    fn place(&self) -> &str {
        "memory"
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(ready(self.step(item.rotation, |slots, ours| {
            if !ours {
                slots.before = None;
            }
            slots.rotation = Some(item.rotation.rotation);
            slots.next = Some((item.version, item.text.expose().to_owned()));
            Ok(())
        })))
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let is_it = |slot: &Option<(VersionId, String)>| slot.as_ref().is_some_and(|(id, _)| *id == version.version);
        Box::pin(ready(self.step(rotation, |slots, ours| {
            if ours && is_it(&slots.next) {
                let was = std::mem::replace(&mut slots.current, slots.next.take());
                slots.before = slots.before.take().or(was);
                return Ok(());
            }
            let there = is_it(&slots.current);
            there.then_some(()).ok_or_else(|| DeliveryError::NotStaged { place: "memory".into() })
        })))
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(ready(self.step(rotation, |slots, ours| {
            if ours {
                slots.next = None;
                if let (Ending::Undone, Some(before)) = (ending, slots.before.take()) {
                    slots.current = Some(before);
                }
            }
            Ok(())
        })))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Rig, conformance};

    impl Rig for MemoryStore {
        fn store(&self) -> &dyn Store {
            self
        }

        async fn read(&self, key: &KeyName) -> Option<String> {
            self.read(key)
        }

        async fn kept(&self, key: &KeyName) -> usize {
            self.kept(key)
        }

        async fn set_broken(&self, broken: bool) {
            self.set_broken(broken);
        }
    }

    #[tokio::test]
    async fn it_is_a_store() {
        conformance::suite(async || MemoryStore::default()).await;
    }
}
