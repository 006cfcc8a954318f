//! A KMS for tests, which can be taken away or replaced, and the suite that every implementer passes.
use crate::{BoxFuture, Kms, KmsError, Wrapped, wrapping};
use latchkey_crypto::{DataKey, Entropy};
use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A KEK in memory that a test takes away and gives back. Deterministic: the salts are counted, so use no two with
/// the same KEK for the same keys.
#[derive(Debug)]
pub struct SwitchableKms {
    kek: DataKey,
    wrong: DataKey,
    switch: Mutex<Switch>,
    salts: AtomicU64,
    calls: AtomicU64,
}

impl SwitchableKms {
    /// With this KEK, [`Switch::Available`].
    #[must_use]
    pub fn new(kek: [u8; 32]) -> Self {
        Self {
            kek: DataKey::new(kek),
            wrong: DataKey::new(kek.map(|byte| !byte)),
            switch: Mutex::new(Switch::Available),
            salts: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// Behaves so from now on.
    pub fn set(&self, switch: Switch) {
        *self.switch.lock().expect("no test panics while it sets the switch") = switch;
    }

    /// How often a key was to be wrapped or unwrapped, refused calls included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn kek(&self) -> Result<&DataKey, KmsError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match *self.switch.lock().expect("no test panics while it sets the switch") {
            Switch::Available => Ok(&self.kek),
            Switch::Unavailable => Err(KmsError::Unavailable),
            Switch::WrongKey => Ok(&self.wrong),
        }
    }
}

impl Kms for SwitchableKms {
    fn name(&self) -> &'static str {
        "switchable"
    }

    fn wrap<'a>(&'a self, context: &'a [u8], key: &'a DataKey) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        let mut salts = Counted(&self.salts);
        Box::pin(ready(self.kek().map(|kek| wrapping::wrap(kek, context, key, &mut salts))))
    }

    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(ready(self.kek().and_then(|kek| wrapping::unwrap(kek, context, wrapped))))
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
        assert_eq!(now(kms.wrap(b"log key", &DataKey::new([9; 32]))).unwrap_err(), KmsError::Unavailable);
        kms.set(Switch::Available);
        assert_eq!(now(kms.unwrap(b"log key", wrapped.as_bytes())).unwrap().expose(), &[9; 32]);
        assert_eq!(kms.calls(), 4);
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
}
