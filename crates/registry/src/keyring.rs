//! The keyring of this process: wrapped keys from the state, unwrapped once and kept in memory.

use crate::types::IntroducedKey;
use arc_swap::ArcSwap;
use latchkey_crypto::{DataKey, Pepper};
use latchkey_domain::{ClusterId, RingNumber, UnixMillis};
use latchkey_kms::{Kms, KmsError};
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_minting::unwrap;
use latchkey_state::{Changes, RingKey, RingPurpose, Row, RowId, State};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::watch;

/// How deep keys may wrap each other: KEK, tenant key, data key.
const DEPTH_MAX: usize = 4;

/// Why a key of the keyring is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The key-encryption key is away, or is another.
    #[error("cannot unwrap key {number} of the keyring")]
    Kms {
        /// Which key.
        number: u32,
        /// Why.
        #[source]
        source: KmsError,
    },
    /// The keyring has no such key.
    #[error("key {number} is not in the keyring")]
    Unknown {
        /// Which key.
        number: u32,
    },
    /// The wrapped bytes are not what was wrapped.
    #[error("key {number} of the keyring does not open under key {wrapped_by}")]
    Damaged {
        /// Which key.
        number: u32,
        /// What wraps it.
        wrapped_by: u32,
    },
}

/// The peppers by number: what validation needs of the keyring.
pub type Peppers = BTreeMap<RingNumber, Arc<Pepper>>;

/// Wrapped keys, and those that were unwrapped.
pub struct Keyring {
    cluster: ClusterId,
    kms: Arc<dyn Kms>,
    wrapped: Mutex<BTreeMap<RingNumber, Arc<RingKey>>>,
    unwrapped: RwLock<BTreeMap<RingNumber, Arc<DataKey>>>,
    peppers: ArcSwap<Peppers>,
    /// Set once the state lists a key, and not only the first record brought one.
    listed: AtomicBool,
    news: watch::Sender<()>,
}

impl Keyring {
    /// An empty one.
    #[must_use]
    pub fn new(cluster: ClusterId, kms: Arc<dyn Kms>) -> Self {
        Self {
            cluster,
            kms,
            wrapped: Mutex::default(),
            unwrapped: RwLock::default(),
            peppers: ArcSwap::default(),
            listed: AtomicBool::new(false),
            news: watch::Sender::new(()),
        }
    }

    /// Takes note of the log key that the first records bring, before the state lists it.
    pub(crate) fn add_introduced(&self, key: &IntroducedKey) {
        let key = Arc::new(introduced(key));
        self.wrapped().entry(key.number).or_insert(key);
    }

    /// Takes note of a wrapped key that the state lists.
    pub fn add(&self, key: Arc<RingKey>) {
        self.listed.store(true, Ordering::Relaxed);
        self.wrapped().insert(key.number, key);
        self.news.send_replace(());
    }

    /// Takes note of what a record changed, where no reader still needs what it destroyed.
    pub(crate) fn follow(&self, changes: &Changes) {
        for (id, row) in changes {
            match (id, row) {
                (RowId::RingKey(number), None) => self.remove(*number),
                (_, Some(Row::RingKey(key))) => self.add(key.clone()),
                _ => {}
            }
        }
    }

    /// Forgets a key that was destroyed.
    pub fn remove(&self, number: RingNumber) {
        // One lock over both, so that an unwrapping under way does not bring it back.
        let mut wrapped = self.wrapped();
        wrapped.remove(&number);
        self.unwrapped.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if self.peppers.load().contains_key(&number) {
            self.peppers.rcu(|peppers| {
                let mut peppers = Peppers::clone(peppers);
                peppers.remove(&number);
                peppers
            });
        }
    }

    /// The keys here that `state` does not list: whatever took the place of the state before, they were destroyed.
    pub(crate) fn unlisted(&self, state: &State) -> Vec<RingNumber> {
        self.wrapped().keys().filter(|number| state.ring_key(**number).is_none()).copied().collect()
    }

    /// What a key is for.
    pub(crate) fn purpose(&self, number: RingNumber) -> Option<RingPurpose> {
        self.wrapped().get(&number).map(|key| key.purpose)
    }

    /// Whether rows at rest may be sealed under a key: then it is needed for as long as such rows wait to be written.
    pub(crate) fn seals_rows(&self, number: RingNumber) -> bool {
        let purpose = self.wrapped().get(&number).map(|key| key.purpose);
        matches!(purpose, Some(RingPurpose::Log | RingPurpose::Keyspace(_) | RingPurpose::Audit(_)))
    }

    /// Changes whenever a wrapped key is added.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Whether the state lists no key yet.
    pub(crate) fn is_empty(&self) -> bool {
        !self.listed.load(Ordering::Relaxed)
    }

    /// The peppers that are unwrapped.
    #[must_use]
    pub fn peppers(&self) -> Arc<Peppers> {
        self.peppers.load_full()
    }

    /// A key that was unwrapped before.
    #[must_use]
    pub fn at_hand(&self, number: RingNumber) -> Option<Arc<DataKey>> {
        self.unwrapped.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// A key, unwrapped now if it was not before.
    ///
    /// # Errors
    /// [`KeyringError`]; [`KmsError::is_retryable`] tells whether to try again.
    pub async fn key(&self, number: RingNumber) -> Result<Arc<DataKey>, KeyringError> {
        let mut chain = Vec::with_capacity(DEPTH_MAX);
        let mut next = number;
        // Down to a key at hand, or to one that the KEK wraps.
        let mut parent = loop {
            if let Some(key) = self.at_hand(next) {
                break Some(key);
            }
            let unknown = KeyringError::Unknown { number: next.0 };
            let wrapped = self.wrapped().get(&next).cloned().ok_or(unknown)?;
            let wrapped_by = wrapped.wrapped_by;
            chain.push(wrapped);
            if wrapped_by.0 == 0 || chain.len() == DEPTH_MAX {
                break None;
            }
            next = wrapped_by;
        };
        while let Some(wrapped) = chain.pop() {
            let key = Arc::new(match parent {
                None => self.unwrap_by_kek(&wrapped).await?,
                Some(parent) => unwrap_by_parent(self.cluster, &wrapped, &parent)?,
            });
            self.keep(&wrapped, &key);
            parent = Some(key);
        }
        parent.ok_or(KeyringError::Unknown { number: number.0 })
    }

    /// Unwraps all that a replica needs to start: what seals the log and the rows, and the peppers.
    ///
    /// # Errors
    /// The first that fails.
    pub async fn unwrap_all(&self) -> Result<(), KeyringError> {
        let numbers: Vec<_> = self.wrapped().keys().copied().collect();
        for number in numbers {
            self.key(number).await?;
        }
        Ok(())
    }

    async fn unwrap_by_kek(&self, wrapped: &RingKey) -> Result<DataKey, KeyringError> {
        let context = RingKeyPlace::new(self.cluster, wrapped.purpose, wrapped.id).kek_context();
        let unwrapped = self.kms.unwrap(&context, &wrapped.wrapped).await;
        unwrapped.map_err(|source| KeyringError::Kms { number: wrapped.number.0, source })
    }

    fn keep(&self, wrapped: &RingKey, key: &Arc<DataKey>) {
        // Held to the end, so that a pepper that is destroyed meanwhile does not come back.
        let listed = self.wrapped();
        if !listed.contains_key(&wrapped.number) {
            return;
        }
        self.unwrapped.write().unwrap_or_else(PoisonError::into_inner).insert(wrapped.number, key.clone());
        if wrapped.purpose == RingPurpose::Pepper {
            self.peppers.rcu(|peppers| {
                let mut peppers = Peppers::clone(peppers);
                peppers.insert(wrapped.number, Arc::new(Pepper::new(key.expose())));
                peppers
            });
        }
    }

    fn wrapped(&self) -> MutexGuard<'_, BTreeMap<RingNumber, Arc<RingKey>>> {
        self.wrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unwrap_by_parent(cluster: ClusterId, wrapped: &RingKey, parent: &DataKey) -> Result<DataKey, KeyringError> {
    let place = RingKeyPlace::new(cluster, wrapped.purpose, wrapped.id);
    unwrap(parent, &place, &wrapped.wrapped)
        .map_err(|_| KeyringError::Damaged { number: wrapped.number.0, wrapped_by: wrapped.wrapped_by.0 })
}

/// The ring key that seals a row.
pub(crate) fn sealing_key(state: &State, keyspace: Option<latchkey_domain::KeyspaceNumber>) -> Option<RingNumber> {
    match keyspace {
        Some(number) => state.keyspaces().by_number(number).map(|keyspace| keyspace.data_key),
        None => state.newest_ring_key(RingPurpose::Log).map(|key| key.number),
    }
}

/// A wrapped log key as the first record brings it, before there is a state that lists it.
fn introduced(key: &IntroducedKey) -> RingKey {
    RingKey {
        number: RingNumber(key.number),
        id: key.id,
        purpose: RingPurpose::Log,
        wrapped_by: RingNumber(key.wrapped_by),
        kek: None,
        wrapped: key.wrapped[..].into(),
        created_at: UnixMillis::default(),
    }
}
