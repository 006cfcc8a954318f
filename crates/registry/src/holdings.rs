//! Which key-encryption keys this replica has, and what its folder still needs of them and of the keyring. It says so with
//! each renewal of its lease, and a leader destroys nothing that anybody needs or has not spoken about.
//!
//! Where a record still lies in the log under an older log key, the log is purged behind a snapshot, so that nothing of
//! it is left to be sent to anybody.

use crate::core::{Condition, Core};
use crate::registry::Registry;
use crate::resealing::replaced;
use arc_swap::ArcSwapOption;
use latchkey_domain::{KekId, RingNumber};
use latchkey_kms::{Kms, KmsError};
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_state::{RingKey, RingPurpose, State};
use latchkey_storage::{StateSource, StoreError};
use latchkey_wire::pb::internal::v1 as pb;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{debug, info, warn};

/// How often a replica looks what its folder needs.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Looks between two attempts to purge the log.
const LOOKS_PER_PURGE: u32 = 4;

/// Keys that a replica names at most as needed. Beyond it everything counts as needed.
pub(crate) const NAMED_MAX: usize = 1_024;

/// What a replica says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The KEKs at hand, the one that wraps first.
    pub keks: Vec<KekId>,
    /// The KEKs that something in its folder needs.
    pub keks_needed: BTreeSet<KekId>,
    /// The keys of the keyring that were replaced, and that something in its folder still needs.
    pub older: BTreeSet<RingNumber>,
    /// The newest key of the keyring that it knows: what was replaced by a newer one it has not judged yet.
    pub known: RingNumber,
    /// Whether the folder was looked at as a whole. Where it was not, it may need anything.
    pub complete: bool,
    /// The last record of which its log holds nothing, and which its rows have taken in durably; absent: not known.
    pub holds_from: Option<u64>,
}

impl Holding {
    /// Of a folder that was not looked at.
    const fn unknown(keks: Vec<KekId>) -> Self {
        Self {
            keks,
            keks_needed: BTreeSet::new(),
            older: BTreeSet::new(),
            known: RingNumber(0),
            complete: false,
            holds_from: None,
        }
    }

    /// Whether the folder may need a key that `newest` took the place of.
    #[must_use]
    pub fn needs(&self, number: RingNumber, newest: RingNumber) -> bool {
        !self.complete || self.known < newest || self.older.contains(&number)
    }

    /// Whether the folder may need a KEK.
    #[must_use]
    pub fn needs_kek(&self, kek: KekId) -> bool {
        !self.complete || self.keks_needed.contains(&kek)
    }
}

/// As it travels.
pub(crate) fn write_holding(holding: &Holding) -> pb::KeyHolding {
    pb::KeyHolding {
        keks: holding.keks.iter().map(|kek| kek.0.to_vec()).collect(),
        keks_needed: holding.keks_needed.iter().map(|kek| kek.0.to_vec()).collect(),
        older_keys: holding.older.iter().map(|number| number.0).collect(),
        known_key: holding.known.0,
        complete: holding.complete,
        holds_from: holding.holds_from,
    }
}

/// From how it travels. What cannot be read is not known, and so may be needed.
pub(crate) fn read_holding(holding: &pb::KeyHolding) -> Holding {
    let kek = |bytes: &Vec<u8>| <[u8; 8]>::try_from(&bytes[..]).ok().map(KekId);
    let needed: Option<BTreeSet<_>> = holding.keks_needed.iter().map(kek).collect();
    Holding {
        keks: holding.keks.iter().filter_map(kek).collect(),
        complete: holding.complete && needed.is_some() && holding.older_keys.len() <= NAMED_MAX,
        keks_needed: needed.unwrap_or_default(),
        older: holding.older_keys.iter().copied().map(RingNumber).collect(),
        known: RingNumber(holding.known_key),
        holds_from: holding.holds_from,
    }
}

/// What this replica knows of its own folder.
#[derive(Default)]
pub(crate) struct Holdings {
    said: ArcSwapOption<Holding>,
    /// Keys that were replaced and that nothing in the tables is under.
    clean: Mutex<BTreeSet<RingNumber>>,
}

impl Holdings {
    /// What is said with the next renewal.
    pub(crate) fn said(&self) -> Option<Arc<Holding>> {
        self.said.load_full()
    }

    /// The thread that writes rows found nothing under these.
    pub(crate) fn clean(&self, clean: &BTreeSet<RingNumber>) {
        self.cleaned().clone_from(clean);
        // What was said before may be too much, and never too little: it is said anew with the next look, unless something
        // is needed again.
        if clean.is_empty() {
            self.said.store(None);
        }
    }

    fn cleaned(&self) -> MutexGuard<'_, BTreeSet<RingNumber>> {
        self.clean.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it takes to judge one look after the other.
#[derive(Default)]
struct Looks {
    /// The KEKs that the keyring was wrapped under, by the revision from which on. The disk may go back to any of them
    /// that is not older than what it has for sure.
    wrapped_under: Vec<(u64, BTreeSet<KekId>)>,
    /// Which KEK wrapped a key whose record does not say so, by the wrapped bytes.
    identified: BTreeMap<Box<[u8]>, KekId>,
    count: u32,
}

impl Registry {
    /// Looks at the folder for as long as the replica lives.
    pub(crate) async fn follow_holdings(self) {
        let core = self.core().clone();
        let reading = tokio::task::spawn_blocking({
            let core = core.clone();
            move || core.log_keys.read(core.store.as_ref())
        });
        if let Ok(Err(error)) = reading.await {
            // Whoever asks is told that anything may be needed.
            warn!(%error, "the log could not be read: no older key of the keyring is destroyed while this replica is a member");
        }
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looks = Looks::default();
        loop {
            ticks.tick().await;
            if core.condition() == Condition::Fenced {
                return;
            }
            let holding = looks.judge(&core, self.kms()).await;
            if core.holdings.said().as_deref() != Some(&holding) {
                debug!(?holding, "what this replica's folder needs has changed");
                core.holdings.said.store(Some(Arc::new(holding)));
            }
            looks.count += 1;
            if looks.count.is_multiple_of(LOOKS_PER_PURGE) {
                self.purge_older().await;
            }
        }
    }

    /// Purges the log behind the last record that is under an older key, or that brings a key along as it was wrapped
    /// once; one step at a time, since raft builds a snapshot in its own time.
    async fn purge_older(&self) {
        let Some(through) = outdated_through(self.core()).max(brings_destroyed_through(self.core())) else { return };
        let snapshot = self.inner.raft.metrics().borrow().snapshot.map(|snapshot| snapshot.index);
        if self.core().state().revision().index < through {
            return;
        }
        let raft = self.inner.raft.trigger();
        let asked = if snapshot.is_some_and(|index| index >= through) {
            info!(through, "the log is purged of what older keys seal");
            raft.purge_log(through).await
        } else {
            raft.snapshot().await
        };
        if let Err(error) = asked {
            debug!(%error, "raft has ended");
        }
    }
}

/// The last record of the log that should be gone.
fn outdated_through(core: &Core) -> Option<u64> {
    let first = core.store.first_index()?;
    let state = core.state();
    let newest = state.newest_ring_key(RingPurpose::Log)?.number;
    let sealed = core.log_keys.older(first, newest).into_values().max();
    let brings = core.log_keys.introduced(first).filter(|(_, key)| {
        let listed = state.ring_key(RingNumber(key.number));
        listed.is_none_or(|listed| listed.wrapped[..] != key.wrapped[..])
    });
    sealed.max(brings.map(|(index, _)| index))
}

/// The record that took a key of a tenant out of the keyring, replaced or destroyed with all that lay under it, where the log goes
/// back to before: it brings that key along, wrapped. The state says so, so a replica that was away or starts anew knows.
fn brings_destroyed_through(core: &Core) -> Option<u64> {
    let gone = core.state().progress().tenant_keys_gone.filter(|gone| gone.epoch == core.epoch())?;
    core.store.first_index().filter(|first| *first <= gone.index).map(|_| gone.index)
}

/// The last record of which nothing lies in the folder, where no snapshot file does.
fn holds_from(core: &Core) -> Option<u64> {
    let durable = core.store.state_durable_through()?;
    // An empty log was purged as far as the state goes.
    let purged = core.store.first_index().map_or(durable, |first| first.saturating_sub(1));
    Some(purged.min(durable))
}

impl Looks {
    async fn judge(&mut self, core: &Core, kms: &dyn Kms) -> Holding {
        let keks = kms.keks();
        match self.look(core, kms).await {
            Ok(Some((older, keks_needed, known))) if older.len() <= NAMED_MAX => {
                Holding { keks, keks_needed, older, known, complete: true, holds_from: holds_from(core) }
            }
            Ok(_) => Holding::unknown(keks),
            Err(error) => {
                debug!(%error, "what this folder needs cannot be told now");
                Holding::unknown(keks)
            }
        }
    }

    async fn look(
        &mut self,
        core: &Core,
        kms: &dyn Kms,
    ) -> Result<Option<(BTreeSet<RingNumber>, BTreeSet<KekId>, RingNumber)>, LookError> {
        if core.condition() != Condition::Ready || !core.log_keys.is_read() {
            return Ok(None);
        }
        // A file that stands for the state, or is being received, may hold anything.
        let whole = matches!(core.store.state_source(), StateSource::Rows(_)) && core.store.snapshots()?.is_empty();
        if !whole {
            return Ok(None);
        }
        let first = core.store.first_index().unwrap_or(u64::MAX);
        let state = arc_swap::Guard::into_inner(core.state());
        let mut older: BTreeSet<_> = replaced(&state).into_keys().collect();
        for number in core.holdings.cleaned().iter() {
            older.remove(number);
        }
        let newest = state.newest_ring_key(RingPurpose::Log).map_or(RingNumber(0), |key| key.number);
        older.extend(core.log_keys.older(first, newest).into_keys());
        let known = state.ring().map(|key| key.number).max().unwrap_or(RingNumber(0));
        let mut needed = self.wrapped_under(core, kms, &state).await?;
        if let Some((_, key)) = core.log_keys.introduced(first) {
            let context = RingKeyPlace::new(core.cluster(), RingPurpose::Log, key.id).kek_context();
            needed.insert(self.identify(kms, &context, &key.wrapped).await?);
        }
        Ok(Some((older, needed, known)))
    }

    /// The KEKs that wrap the keyring now, or did where the disk may still go back to.
    async fn wrapped_under(&mut self, core: &Core, kms: &dyn Kms, state: &State) -> Result<BTreeSet<KekId>, LookError> {
        let mut now = BTreeSet::new();
        for key in state.ring().filter(|key| key.wrapped_by == RingNumber(0)) {
            now.insert(self.kek_of(core, kms, key).await?);
        }
        let known = self.identified.len();
        if known > state.ring().count().saturating_add(NAMED_MAX) {
            self.identified.clear();
        }
        if self.wrapped_under.last().is_none_or(|(_, before)| *before != now) {
            self.wrapped_under.push((state.revision().index, now));
        }
        let durable = core.store.state_durable_through().unwrap_or(0);
        // The newest that is surely on disk, and what came after it.
        let sure = self.wrapped_under.iter().rposition(|(from, _)| *from <= durable).unwrap_or(0);
        self.wrapped_under.drain(..sure);
        Ok(self.wrapped_under.iter().flat_map(|(_, keks)| keks.iter().copied()).collect())
    }

    async fn kek_of(&mut self, core: &Core, kms: &dyn Kms, key: &RingKey) -> Result<KekId, LookError> {
        match key.kek {
            Some(kek) => Ok(kek),
            None => {
                let context = RingKeyPlace::new(core.cluster(), key.purpose, key.id).kek_context();
                self.identify(kms, &context, &key.wrapped).await
            }
        }
    }

    async fn identify(&mut self, kms: &dyn Kms, context: &[u8], wrapped: &[u8]) -> Result<KekId, LookError> {
        if let Some(kek) = self.identified.get(wrapped) {
            return Ok(*kek);
        }
        let kek = kms.identify(context, wrapped).await?;
        self.identified.insert(wrapped.into(), kek);
        Ok(kek)
    }
}

/// Why a look did not end.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("the folder cannot be read")]
    Store(#[from] StoreError),
    #[error("a wrapped key is under no key-encryption key at hand")]
    Kms(#[from] KmsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_replica_has_not_judged_it_may_need() {
        let holding = Holding {
            older: BTreeSet::from([RingNumber(1)]),
            known: RingNumber(7),
            complete: true,
            holds_from: Some(9),
            ..Holding::unknown(Vec::new())
        };
        assert!(holding.needs(RingNumber(1), RingNumber(7)), "it says so");
        assert!(!holding.needs(RingNumber(2), RingNumber(7)));
        assert!(holding.needs(RingNumber(7), RingNumber(9)), "it does not know yet that 9 took its place");
        assert_eq!(read_holding(&write_holding(&holding)), holding);
        assert!(Holding { complete: false, ..holding }.needs(RingNumber(2), RingNumber(7)));
    }
}
