//! What a leader does after a pepper, a data key or the key of a tenant was rotated: whatever was made with the old one
//! is made anew, in walks that any leader begins again, and the old one is destroyed once nothing uses it.
//!
//! Nothing has to be remembered for it: the state counts what each key of the keyring is used for, so the next leader
//! knows what is left, and a step twice does nothing the second time.

use super::own;
use crate::core::Core;
use crate::keyring::KeyringError;
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_crypto::envelope;
use latchkey_domain::{DurationMillis, RingNumber, UnixMillis};
use latchkey_kms::OsEntropy;
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_minting::{Numbered, open_inner, rewrap, seal_inner};
use latchkey_state::{
    Answer, Key, KeyAt, Operation, REKEYED_PER_COMMAND_MAX, RedigestVersions, ResealInners, RewrappedKey, RingPurpose,
    SealedInner, State,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long one of these commands may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Between two records of a walk: callers come first.
const PACE: Duration = Duration::from_millis(20);

/// Keys that are looked at between two rests.
const SCANNED_KEYS: usize = 10_000;

/// Keys of one step. Each may have several versions.
const KEYS_PER_STEP: usize = 1_000;

/// How often a leader looks whether there is something to do.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How soon a walk that left something behind begins again.
const RETRY: Duration = Duration::from_secs(30);

/// How long a key of the keyring stays after another took its place, at least: what was minted with it just before is
/// still on its way, and would be refused and minted again.
const REPLACED_FOR_MIN: DurationMillis = DurationMillis::from_secs(3);

/// Where the walks of a leader stand.
#[derive(Debug, Default)]
pub(super) struct Rekey {
    /// Where the walk over all keys goes on; absent: from the beginning.
    after: Option<KeyAt>,
    /// Versions that this walk could not make anew.
    left: Left,
    /// Whether this walk made anything anew.
    made: bool,
    /// Boot time when the next look is due, and the next step of a walk.
    look_at_ms: u64,
    walk_at_ms: u64,
}

/// How many versions could not be made anew, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    /// What is kept of their secrets does not open.
    damaged: u64,
    /// A key of the keyring that they need is not unwrapped here.
    waiting: u64,
}

/// What one step of the walk makes anew.
#[derive(Default)]
struct Step {
    redigested: Option<RedigestVersions>,
    /// By data key.
    resealed: BTreeMap<RingNumber, ResealInners>,
    left: Left,
}

impl Rekey {
    /// Takes one step of what is due.
    pub(super) async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        let boot_ms = registry.core().clock.boottime_millis();
        if boot_ms < self.look_at_ms {
            return Ok(());
        }
        let state = registry.core().state();
        if state.progress().feature_level < Operation::RewrapRingKeys(Vec::new()).feature_level() {
            return Ok(());
        }
        let is_left = state.versions_to_rekey() != (0, 0);
        drop(state);
        rewrap_keys(registry).await?;
        if is_left && self.walk_at_ms <= boot_ms {
            self.walk(registry, boot_ms).await?;
        } else {
            self.look_at_ms = boot_ms + millis(LOOK_INTERVAL);
        }
        if !is_left {
            *self = Self { look_at_ms: self.look_at_ms, ..Self::default() };
        }
        // Whatever is left of one key of the keyring keeps no other.
        destroy_unused(registry).await
    }

    /// Makes anew what some keys need, and goes on behind them the next time.
    async fn walk(&mut self, registry: &Registry, boot_ms: u64) -> Result<(), ProposeError> {
        let (core, after) = (registry.core().clone(), self.after);
        // Many records to look at, and many seals: raft's threads must not wait for it.
        let look = move || {
            let state = core.state();
            let (keys, next) = state.keys_to_rekey(after, SCANNED_KEYS, KEYS_PER_STEP);
            (prepare(&core, &state, &keys), next)
        };
        let Ok((step, next)) = tokio::task::spawn_blocking(look).await else { return Ok(()) };
        self.left.damaged += step.left.damaged;
        self.left.waiting += step.left.waiting;
        for operation in step.into_operations() {
            let applied = registry.propose(own(registry, operation), WITHIN).await?;
            match &applied.answer {
                Ok(_) => self.made = true,
                Err(refusal) => warn!(?refusal, "what an old key of the keyring made could not be made anew"),
            }
            tokio::time::sleep(PACE).await;
        }
        self.after = next;
        if next.is_none() {
            self.end_walk(boot_ms);
        }
        Ok(())
    }

    /// Tells what a walk over all keys left behind, and lets the next one wait where this one was in vain.
    fn end_walk(&mut self, boot_ms: u64) {
        let Left { damaged, waiting } = std::mem::take(&mut self.left);
        if damaged > 0 {
            error!(
                versions = damaged,
                "versions keep an old key of the keyring: what is kept of their secrets does not open"
            );
        }
        if waiting > 0 {
            warn!(versions = waiting, "versions wait for a key of the keyring that is not unwrapped yet");
        }
        let in_vain = !std::mem::take(&mut self.made);
        if damaged > 0 || waiting > 0 {
            self.walk_at_ms = boot_ms + millis(RETRY);
        } else if in_vain {
            self.walk_at_ms = boot_ms + millis(LOOK_INTERVAL);
        }
    }
}

impl Step {
    fn into_operations(self) -> impl Iterator<Item = Operation> {
        let redigested = self.redigested.into_iter().flat_map(|RedigestVersions { pepper, versions }| {
            let parts: Vec<_> = versions.chunks(REKEYED_PER_COMMAND_MAX).map(<[_]>::to_vec).collect();
            parts.into_iter().map(move |versions| Operation::RedigestVersions(RedigestVersions { pepper, versions }))
        });
        let resealed = self.resealed.into_values().flat_map(|ResealInners { data_key, versions }| {
            let parts: Vec<_> = versions.chunks(REKEYED_PER_COMMAND_MAX).map(<[_]>::to_vec).collect();
            parts
                .into_iter()
                .map(move |versions| Operation::ResealInners(Box::new(ResealInners { data_key, versions })))
        });
        redigested.chain(resealed)
    }
}

/// New digests and seals for the versions of these keys that are under an old pepper or data key.
fn prepare(core: &Core, state: &State, keys: &[Arc<Key>]) -> Step {
    let mut step = Step::default();
    let Some((newest, pepper)) = newest_pepper(core, state) else { return step };
    for key in keys {
        let Some(keyspace) = state.keyspaces().by_number(key.keyspace) else { continue };
        let at = (key.keyspace, key.id);
        for version in &key.versions {
            let sealed_by = envelope::ring_number(&version.inner).ok();
            let (old_pepper, old_seal) = (version.pepper != newest, sealed_by != Some(keyspace.data_key));
            if !old_pepper && !old_seal {
                continue;
            }
            let by = sealed_by.and_then(|number| core.keyring.at_hand(number));
            let (Some(by), Some(data_key)) = (by, core.keyring.at_hand(keyspace.data_key)) else {
                // A seal that names no key does not open either.
                let left = &mut step.left;
                *(if sealed_by.is_some() { &mut left.waiting } else { &mut left.damaged }) += 1;
                continue;
            };
            let Ok(inner) = open_inner(&by, core.cluster(), keyspace.tenant, version) else {
                step.left.damaged += 1;
                continue;
            };
            if old_pepper {
                let none = || RedigestVersions { pepper: newest, versions: Vec::new() };
                let redigested = step.redigested.get_or_insert_with(none);
                redigested.versions.push((at, version.id, pepper.digest(&inner)));
            }
            if old_seal {
                let by = Numbered::new(keyspace.data_key, &*data_key);
                let sealed: SealedInner =
                    seal_inner(by, core.cluster(), keyspace.tenant, version, &inner, &mut OsEntropy);
                let none = || ResealInners { data_key: keyspace.data_key, versions: Vec::new() };
                step.resealed.entry(keyspace.data_key).or_insert_with(none).versions.push((at, version.id, sealed));
            }
        }
    }
    step
}

fn newest_pepper(core: &Core, state: &State) -> Option<(RingNumber, Arc<latchkey_crypto::Pepper>)> {
    let number = state.newest_ring_key(RingPurpose::Pepper)?.number;
    Some((number, core.peppers().get(&number)?.clone()))
}

/// Wraps by the newest key of their tenant what an older one wraps.
async fn rewrap_keys(registry: &Registry) -> Result<(), ProposeError> {
    let (keyring, cluster) = (&registry.core().keyring, registry.core().cluster());
    let keys = registry.core().state().ring_keys_to_rewrap(REKEYED_PER_COMMAND_MAX);
    let mut rewrapped = Vec::with_capacity(keys.len());
    for key in keys {
        let wrapped_by = registry.core().state().wrapping_key(key.purpose);
        let opened: Result<_, KeyringError> =
            async { Ok((keyring.key(key.number).await?, keyring.key(wrapped_by).await?)) }.await;
        match opened {
            Ok((plain, parent)) => {
                let place = RingKeyPlace::new(cluster, key.purpose, key.id);
                let wrapped = rewrap(&plain, &place, Numbered::new(wrapped_by, &parent), &mut OsEntropy);
                rewrapped.push(RewrappedKey { number: key.number, wrapped_by, kek: None, wrapped });
            }
            Err(error) => warn!(%error, "a key of the keyring cannot be wrapped by the new key of its tenant"),
        }
    }
    if !rewrapped.is_empty() {
        let applied = registry.propose(own(registry, Operation::RewrapRingKeys(rewrapped)), WITHIN).await?;
        if let Ok(Answer::Counted(count)) = applied.answer {
            info!(count, "keys of the keyring are wrapped by the new key of their tenant");
        }
    }
    Ok(())
}

/// Destroys what was replaced a while ago and is not used any more. Of the log key only the disks of all replicas tell,
/// so that is another duty's.
async fn destroy_unused(registry: &Registry) -> Result<(), ProposeError> {
    // The replicated clock stands still while nobody writes.
    let Ok(now) = registry.leadership().stamp() else { return Ok(()) };
    let unused: Vec<_> = {
        let state = registry.core().state();
        let is_settled = |purpose| {
            let newest = state.newest_ring_key(purpose).map(|key| key.created_at);
            newest.is_some_and(|at: UnixMillis| at.plus(REPLACED_FOR_MIN) <= now)
        };
        let unused = state.unused_ring_keys().into_iter();
        unused.filter(|key| key.purpose != RingPurpose::Log && is_settled(key.purpose)).collect()
    };
    for key in unused {
        let applied = registry.propose(own(registry, Operation::DropRingKey(key.number)), WITHIN).await?;
        match &applied.answer {
            Ok(_) => info!(number = key.number.0, "a key of the keyring that nothing uses any more is destroyed"),
            Err(refusal) => warn!(?refusal, "a key of the keyring could not be destroyed"),
        }
    }
    Ok(())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
