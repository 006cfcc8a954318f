//! What operators denied on this replica: kept by itself, so that it holds without a leader and after a restart.
//!
//! It lies beside raft's words, sealed under the log key like a row, and is read before the first answer. Readers get
//! what is in force with their view; where nothing is denied, which is nearly always, that is one load of a null.

use crate::core::Core;
use crate::keyring::sealing_key;
use crate::resealing::{Replaced, ResealError};
use crate::sealing::UnsealError;
use arc_swap::ArcSwapOption;
use latchkey_crypto::envelope;
use latchkey_decision::Denials;
use latchkey_domain::{Quota, Refusal};
use latchkey_state::LocalDenial;
use latchkey_storage::{Store, StoreError, Word};
use latchkey_telemetry::{OsEntropy, names};
use latchkey_transport::Unavailable;
use latchkey_wire::disk::{decode_denials, encode_denials};
use metrics::gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard, oneshot};

/// Keys and versions that one replica denies at most. An incident of more keys is one for `RevokeKeys`, or for taking the
/// replica out of service.
pub const LOCAL_DENIALS_MAX: usize = 64;

/// As many are kept besides until the audit log has heard of them: whoever is cut off and takes some back has room for
/// others, and can always take back.
const KEPT_DENIALS_MAX: usize = 2 * LOCAL_DENIALS_MAX;

/// Why what is denied did not change.
#[derive(Debug, thiserror::Error)]
pub enum DenialError {
    /// There are too many.
    #[error("{0:?}")]
    Refused(Refusal),
    /// This replica cannot keep it now.
    #[error("the denial cannot be kept now: {0:?}")]
    Unavailable(Unavailable),
}

/// The denials of one replica.
#[derive(Default)]
pub(crate) struct DenialBook {
    in_force: ArcSwapOption<Denials>,
    /// All of them, those included that are lifted and not yet told. Held while a change becomes durable.
    all: Mutex<Vec<LocalDenial>>,
    loaded: AtomicBool,
    /// Held by whoever carries what is denied here to the others, so that nobody does it twice.
    carrying: Mutex<()>,
}

impl DenialBook {
    /// What is in force; `None`: nothing.
    pub(crate) fn in_force(&self) -> Option<Arc<Denials>> {
        self.in_force.load_full()
    }

    /// Whether what lies on disk is in force. Before that nobody may answer.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Reads what lies on disk, where it was not read before.
    pub(crate) async fn load(&self, core: &Core) -> Result<(), UnsealError> {
        let mut all = self.all.lock().await;
        if !self.is_loaded() {
            if let Some(sealed) = core.store.word(Word::Denials) {
                let plain = core.sealer.open_denials(&sealed).await?;
                *all =
                    decode_denials(&plain).map_err(|error| UnsealError::Content { what: "list of denials", error })?;
            }
            self.show(&all);
            self.loaded.store(true, Ordering::Release);
        }
        drop(all);
        Ok(())
    }

    /// Moves what lies on disk from a key that another took the place of to that one.
    pub(crate) async fn reseal(&self, core: &Core, replaced: &Replaced) -> Result<(), ResealError> {
        // Whoever changes it meanwhile seals it anew.
        let all = self.all.lock().await;
        let sealed = core.store.word(Word::Denials);
        let number = sealed.as_deref().and_then(|sealed| envelope::ring_number(sealed).ok());
        let Some(to) = number.and_then(|number| replaced.get(&number)) else { return Ok(()) };
        let plain = encode_denials(&all);
        let sealed = core.sealer.seal_denials(*to, &plain, &mut OsEntropy).await.map_err(UnsealError::Keyring)?;
        save(core.store.as_ref(), sealed).await?;
        drop(all);
        Ok(())
    }

    fn show(&self, all: &[LocalDenial]) {
        let mut denials = Denials::default();
        for denial in all.iter().filter(|denial| denial.is_in_force()) {
            denials.deny(denial.key.key, denial.version);
        }
        let count = u32::try_from(all.iter().filter(|denial| denial.is_in_force()).count()).unwrap_or(u32::MAX);
        gauge!(names::LOCAL_DENIALS).set(f64::from(count));
        self.in_force.store((!denials.is_empty()).then(|| Arc::new(denials)));
    }
}

impl Core {
    /// The denials of this replica, in the order in which they were given.
    pub async fn local_denials(&self) -> Vec<LocalDenial> {
        self.denials.all.lock().await.clone()
    }

    /// The right to carry what is denied here to the others: one task at a time does.
    pub async fn carry_denials(&self) -> MutexGuard<'_, ()> {
        self.denials.carrying.lock().await
    }

    /// Changes what this replica denies. What `change` made is durable and in force when this returns.
    ///
    /// # Errors
    /// [`DenialError`]; nothing has changed then.
    pub async fn change_denials<T>(&self, change: impl FnOnce(&mut Vec<LocalDenial>) -> T) -> Result<T, DenialError> {
        if let Some(unavailable) = self.unavailable() {
            return Err(DenialError::Unavailable(unavailable));
        }
        let all = self.denials.all.lock().await;
        let mut changed = all.clone();
        let changing = change(&mut changed);
        if changed == *all {
            return Ok(changing);
        }
        let in_force = |list: &[LocalDenial]| list.iter().filter(|one| one.is_in_force()).count();
        if in_force(&changed) > LOCAL_DENIALS_MAX.max(in_force(&all)) || changed.len() > KEPT_DENIALS_MAX.max(all.len())
        {
            let limit = LOCAL_DENIALS_MAX as u64;
            return Err(DenialError::Refused(Refusal::QuotaExceeded { quota: Quota::LocalDenials, limit }));
        }
        self.keep(all, changed).await.map(|()| changing)
    }

    async fn keep(
        &self,
        mut all: MutexGuard<'_, Vec<LocalDenial>>,
        changed: Vec<LocalDenial>,
    ) -> Result<(), DenialError> {
        let locked = || DenialError::Unavailable(Unavailable::Locked);
        // By a key that is on disk: this is durable before the rows of the newest records are.
        let on_disk = sealing_key(&self.rows.on_disk(), None).or_else(|| sealing_key(&self.state(), None));
        let log_key = on_disk.ok_or(DenialError::Unavailable(Unavailable::Starting))?;
        let plain = encode_denials(&changed);
        let sealed = self.sealer.seal_denials(log_key, &plain, &mut OsEntropy).await.map_err(|_| locked())?;
        save(self.store.as_ref(), sealed).await.map_err(|_| DenialError::Unavailable(Unavailable::DiskFull))?;
        self.denials.show(&changed);
        *all = changed;
        Ok(())
    }
}

async fn save(store: &dyn Store, sealed: Vec<u8>) -> Result<(), StoreError> {
    let (answer, answered) = oneshot::channel();
    store.save_word(Word::Denials, sealed.into(), Box::new(move |result| drop(answer.send(result))));
    answered.await.unwrap_or_else(|_| Err(StoreError::Stopped { why: "the store is gone".into() }))
}
