//! A KMS for tests, which can be taken away or replaced, and the suite that every implementer passes.
use crate::keks::{self, Kek};
use crate::{BoxFuture, Kms, KmsError, Wrapped};
use latchkey_crypto::{DataKey, Entropy};
use latchkey_domain::KekId;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub mod conformance;

/// How a [`SwitchableKms`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Wraps and unwraps.
    Available,
    /// Answers [`KmsError::Unavailable`].
    Unavailable,
    /// Wraps and unwraps under another KEK, as after a wrong restore: what the right one wrapped does not open.
    WrongKey,
}

/// KEKs in memory that a test takes away, gives back and changes. Deterministic: the salts are counted, so use no two with
/// the same KEK for the same keys.
#[derive(Debug)]
pub struct SwitchableKms {
    /// The one that wraps first, and with each the wrong one that [`Switch::WrongKey`] puts in its place.
    keks: Mutex<Arc<Vec<(Kek, Kek)>>>,
    switch: Mutex<Switch>,
    salts: AtomicU64,
    calls: AtomicU64,
}

impl SwitchableKms {
    /// With this KEK, [`Switch::Available`].
    #[must_use]
    pub fn new(kek: [u8; 32]) -> Self {
        Self {
            keks: Mutex::new(Arc::new(pairs(&[kek]))),
            switch: Mutex::new(Switch::Available),
            salts: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// Has these KEKs from now on, the one that wraps first, as after a restart with other settings.
    pub fn set_keks(&self, keks: &[[u8; 32]]) {
        *self.keks.lock().expect("no test panics while it sets the KEKs") = Arc::new(pairs(keks));
    }

    /// Behaves so from now on.
    pub fn set(&self, switch: Switch) {
        *self.switch.lock().expect("no test panics while it sets the switch") = switch;
    }

    /// How often it was asked to wrap or unwrap a key, refused calls included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Does something with the KEKs at hand.
    fn with<T>(&self, act: impl FnOnce(&mut dyn Iterator<Item = &Kek>) -> Result<T, KmsError>) -> Result<T, KmsError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let keks = self.keks.lock().expect("no test panics while it sets the KEKs").clone();
        match *self.switch.lock().expect("no test panics while it sets the switch") {
            Switch::Available => act(&mut keks.iter().map(|(right, _)| right)),
            Switch::Unavailable => Err(KmsError::Unavailable),
            Switch::WrongKey => act(&mut keks.iter().map(|(_, wrong)| wrong)),
        }
    }
}

fn pairs(keks: &[[u8; 32]]) -> Vec<(Kek, Kek)> {
    let pair = |kek: &[u8; 32]| (Kek::new(DataKey::new(*kek)), Kek::new(DataKey::new(kek.map(|byte| !byte))));
    keks.iter().map(pair).collect()
}

impl Kms for SwitchableKms {
    fn name(&self) -> &'static str {
        "switchable"
    }

    fn keks(&self) -> Vec<KekId> {
        // No call to a KMS: what it has is known without one.
        let keks = self.keks.lock().expect("no test panics while it sets the KEKs").clone();
        match *self.switch.lock().expect("no test panics while it sets the switch") {
            Switch::Available => keks::ids(keks.iter().map(|(right, _)| right)),
            Switch::Unavailable => Vec::new(),
            Switch::WrongKey => keks::ids(keks.iter().map(|(_, wrong)| wrong)),
        }
    }

    fn wrap_under<'a>(
        &'a self,
        under: KekId,
        context: &'a [u8],
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        let mut salts = Counted(&self.salts);
        Box::pin(ready(self.with(|keks| keks::wrap(keks, under, context, key, &mut salts))))
    }

    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(ready(self.with(|keks| keks::unwrap(keks, context, wrapped)).map(|(_, key)| key)))
    }

    fn identify<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<KekId, KmsError>> {
        Box::pin(ready(self.with(|keks| keks::unwrap(keks, context, wrapped)).map(|(kek, _)| kek)))
    }
}

/// Numbers for randomness: never the same twice, always the same in the next run.
struct Counted<'a>(&'a AtomicU64);

impl Entropy for Counted<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&number.to_be_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::now;

    #[test]
    fn a_key_is_out_of_reach_until_the_kms_is_back() {
        let kms = SwitchableKms::new([1; 32]);
        let wrapped = now(kms.wrap(b"log key", &DataKey::new([9; 32]))).unwrap();
        kms.set(Switch::Unavailable);
        let error = now(kms.unwrap(b"log key", wrapped.as_bytes())).unwrap_err();
        assert!(error == KmsError::Unavailable && error.is_retryable());
        // Without a KEK at hand there is nothing to ask it for.
        assert_eq!(now(kms.wrap(b"log key", &DataKey::new([9; 32]))).unwrap_err(), KmsError::Unavailable);
        kms.set(Switch::Available);
        assert_eq!(now(kms.unwrap(b"log key", wrapped.as_bytes())).unwrap().expose(), &[9; 32]);
        assert_eq!(kms.calls(), 3);
    }

    #[test]
    fn a_wrong_key_is_told_from_an_absent_one() {
        let kms = SwitchableKms::new([1; 32]);
        let wrapped = now(kms.wrap(b"log key", &DataKey::new([9; 32]))).unwrap();
        kms.set(Switch::WrongKey);
        let error = now(kms.unwrap(b"log key", wrapped.as_bytes())).unwrap_err();
        assert!(error == KmsError::WrongKey && !error.is_retryable());
    }

    #[test]
    fn the_switchable_kms_passes_the_conformance_suite() {
        conformance::suite(&SwitchableKms::new([1; 32]), &SwitchableKms::new([2; 32]));
    }

    #[test]
    fn the_switchable_kms_changes_its_kek_as_a_restart_would() {
        let kms = SwitchableKms::new([1; 32]);
        let wrapped = now(kms.wrap(b"log key", &DataKey::new([9; 32]))).unwrap();
        kms.set_keks(&[[2; 32], [1; 32]]);
        assert_eq!(kms.keks()[1], wrapped.kek());
        assert!(now(kms.unwrap(b"log key", wrapped.as_bytes())).is_ok());
        kms.set_keks(&[[2; 32]]);
        assert_eq!(now(kms.unwrap(b"log key", wrapped.as_bytes())).unwrap_err(), KmsError::WrongKey);
        let (before, both, after) = ([1; 32], [[2; 32], [1; 32]], [2; 32]);
        let changing = SwitchableKms::new(before);
        changing.set_keks(&both);
        conformance::change(&SwitchableKms::new(before), &changing, &SwitchableKms::new(after));
    }
}
