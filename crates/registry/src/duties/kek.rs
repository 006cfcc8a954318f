//! The key-encryption key: which one wraps new keys of the keyring, and moving all that it wraps to another.
//!
//! A new key is wrapped under the KEK that wraps the newest log key, whatever the settings of this process name first:
//! while settings are changed one process after another, nobody is locked out. An operator's word moves the keyring, once
//! every replica has the other KEK and would wrap with it; the leader goes on from there, and so does the next one.

use super::own;
use crate::membership::Roster;
use crate::propose::ProposeError;
use crate::registry::Registry;
use crate::rekeying::DrawError;
use latchkey_domain::{KekId, NodeId, Refusal, RingNumber};
use latchkey_kms::KmsError;
use latchkey_minting::DrawnKey;
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_state::{
    Answer, Operation, REKEYED_PER_COMMAND_MAX, RewrappedKey, RingKey, RingPurpose, State, WrappedKey,
};
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// How long one of these commands may take.
const WITHIN: Duration = Duration::from_secs(5);

/// How often a leader looks whether keys are left under another KEK than the one that they are moved to.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What wraps the keys at the top.
const BY_KEK: RingNumber = RingNumber(0);

/// Refuses to move the keyring to a KEK that a replica does not have, or would not wrap with. `roster` is the leader's.
pub(crate) fn check(roster: &Roster, keys: &[RewrappedKey]) -> Result<(), Refusal> {
    let Some(kek) = keys.iter().find(|key| key.wrapped_by == BY_KEK).and_then(|key| key.kek) else { return Ok(()) };
    let has_it = |replica: &&crate::registry::ReplicaStatus| {
        replica.holding.as_ref().and_then(|holding| holding.keks.first()) == Some(&kek)
    };
    let missing: Vec<NodeId> =
        roster.replicas.iter().filter(|replica| !has_it(replica)).map(|replica| replica.node).collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::KekNotEverywhere { kek, missing }) }
}

impl Registry {
    /// Wraps a new key of the keyring under the KEK that wraps the others.
    ///
    /// # Errors
    /// [`KmsError`].
    pub(crate) async fn wrap_ring_key(&self, drawn: &DrawnKey) -> Result<(WrappedKey, KekId), KmsError> {
        let under = self.kek_in_use().await?;
        let wrapped = self.kms().wrap_under(under, &drawn.place().kek_context(), drawn.key()).await?;
        Ok((drawn.wrapped(wrapped.into_bytes()), under))
    }

    /// The KEK that wraps the newest log key: where the keyring is moved to another, this key goes first.
    async fn kek_in_use(&self) -> Result<KekId, KmsError> {
        let log_key = self.core().state().newest_ring_key(RingPurpose::Log).cloned();
        match log_key {
            Some(key) => self.kek_of(&key).await,
            None => self.kms().keks().first().copied().ok_or(KmsError::Unavailable),
        }
    }

    /// The KEK that wraps a key at the top of the keyring.
    ///
    /// # Errors
    /// [`KmsError`], where its record does not say so.
    pub async fn kek_of(&self, key: &RingKey) -> Result<KekId, KmsError> {
        match key.kek {
            Some(kek) => Ok(kek),
            // Older records do not say so, and a build of before may have added one.
            None => {
                let context = RingKeyPlace::new(self.core().cluster(), key.purpose, key.id).kek_context();
                self.kms().identify(&context, &key.wrapped).await
            }
        }
    }

    /// A command that moves keys of the keyring to the KEK that `kek_file` names here: as many as one may hold. Empty where
    /// all are under it.
    ///
    /// # Errors
    /// [`DrawError`].
    pub async fn move_to_kek(&self) -> Result<Operation, DrawError> {
        let target = self.kms().keks().first().copied().ok_or(KmsError::Unavailable)?;
        let keys = { under_another(&self.core().state(), target) };
        let mut rewrapped = Vec::with_capacity(keys.len().min(REKEYED_PER_COMMAND_MAX));
        for key in keys.into_iter().take(REKEYED_PER_COMMAND_MAX) {
            let plain = self.core().keyring.key(key.number).await?;
            let context = RingKeyPlace::new(self.core().cluster(), key.purpose, key.id).kek_context();
            let wrapped = self.kms().wrap_under(target, &context, &plain).await?;
            rewrapped.push(RewrappedKey {
                number: key.number,
                wrapped_by: BY_KEK,
                kek: Some(target),
                wrapped: wrapped.into_bytes().into(),
            });
        }
        Ok(Operation::RewrapRingKeys(rewrapped))
    }
}

/// The keys at the top whose records do not say that this KEK wraps them, the newest log key first: new keys follow it.
fn under_another(state: &State, target: KekId) -> Vec<Arc<RingKey>> {
    let newest = state.newest_ring_key(RingPurpose::Log).map(|key| key.number);
    let others = state.ring().filter(|key| key.wrapped_by == BY_KEK && key.kek != Some(target));
    let mut keys: Vec<_> = others.cloned().collect();
    keys.sort_by_key(|key| (Some(key.number) != newest, key.number));
    keys
}

/// Where a leader stands with it.
#[derive(Debug, Default)]
pub(super) struct Rewrap {
    look_at_ms: u64,
}

impl Rewrap {
    /// Goes on where the newest log key is under the KEK that is named first here, and others are not yet.
    pub(super) async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.look_at_ms || !is_begun(registry) {
            return Ok(());
        }
        self.look_at_ms = boot_ms + u64::try_from(LOOK_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let operation = match registry.move_to_kek().await {
            Ok(operation) => operation,
            Err(error) => {
                warn!(%error, "keys of the keyring wait for a key-encryption key");
                return Ok(());
            }
        };
        let applied = registry.propose(own(registry, operation), WITHIN).await?;
        match &applied.answer {
            Ok(Answer::Counted(count)) => {
                info!(count, "keys of the keyring are wrapped under the new key-encryption key");
            }
            Ok(_) => {}
            // A replica came meanwhile that does not have it.
            Err(refusal) => debug!(?refusal, "the keyring is not moved on"),
        }
        Ok(())
    }
}

/// Whether an operator's word has begun to move the keyring to the KEK that is first here, and has not come to its end.
fn is_begun(registry: &Registry) -> bool {
    let Some(target) = registry.kms().keks().first().copied() else { return false };
    let state = registry.core().state();
    let begun = state.newest_ring_key(RingPurpose::Log).is_some_and(|key| key.kek == Some(target));
    begun && !under_another(&state, target).is_empty()
}
