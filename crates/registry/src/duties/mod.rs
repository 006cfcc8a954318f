//! What a leader does without being asked: founds the cluster, moves the clock, renews the replay keys, keeps up.

pub(crate) mod kek;
mod rekey;
mod retire;
mod upkeep;

use crate::core::Condition;
use crate::init::PendingFounding;
use crate::membership::Following;
use crate::propose::ProposeError;
use crate::registry::Registry;
use kek::Rewrap;
use latchkey_crypto::draw;
use latchkey_domain::{DurationMillis, Revision, UnixMillis};
use latchkey_kms::OsEntropy;
use latchkey_minting::DrawnKey;
use latchkey_minting::contexts::RingKind;
use latchkey_state::{Actor, Command, NewRingKey, Operation, REPLAY_KEY_LIFE, REPLAY_WINDOW, RingPurpose};
use latchkey_transport::Unavailable;
use rekey::Rekey;
use retire::Retire;
use std::time::Duration;
use tracing::{debug, info, warn};
use upkeep::Upkeep;

/// How often a leader looks whether something is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Looks in a row that find the leader's clock wrong before it stands down: one reading of a follower may be late.
const SKEWED_LOOKS_MAX: u32 = 20;

/// After this long without a record the leader moves the clock, so that keys expire in an idle cluster's log too.
const IDLE_MAX: DurationMillis = DurationMillis::from_secs(60);

/// How long one of these commands may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Runs for as long as the replica lives.
pub(crate) async fn run(registry: Registry, mut founding: Option<PendingFounding>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut idle, mut skewed, mut upkeep) = (Idle::default(), 0_u32, Upkeep::default());
    let (mut following, mut rings) = (Following::default(), Rings::default());
    loop {
        ticks.tick().await;
        if registry.leads() && registry.condition() == Condition::Removed {
            // It answers no more, and still leads: the others wait for it to hand over.
            let _done = following.step(&registry).await;
            continue;
        }
        if !registry.leads() || registry.core().unavailable().is_some() {
            (upkeep, following, rings) = (Upkeep::default(), Following::default(), Rings::default());
            continue;
        }
        // A leader whose clock is wrong refuses every write; the others' may be right.
        let wrong = matches!(registry.leadership().stamp(), Err(Unavailable::ClockSkew { .. }));
        skewed = if wrong { skewed + 1 } else { 0 };
        if skewed >= SKEWED_LOOKS_MAX {
            skewed = 0;
            registry.stand_down().await;
            continue;
        }
        let looked = match look(&registry, &mut founding, &mut idle).await {
            Ok(()) if registry.core().state().cluster().is_some() => match following.step(&registry).await {
                Ok(()) => match upkeep.step(&registry).await {
                    Ok(()) => rings.step(&registry).await,
                    failed => failed,
                },
                failed => failed,
            },
            looked => looked,
        };
        if let Err(error) = looked {
            debug!(?error, "a leader's duty waits");
        }
    }
}

/// Where the walks over the keyring stand.
#[derive(Default)]
struct Rings {
    rekey: Rekey,
    rewrap: Rewrap,
    retire: Retire,
}

impl Rings {
    async fn step(&mut self, registry: &Registry) -> Result<(), ProposeError> {
        self.rewrap.step(registry).await?;
        self.rekey.step(registry).await?;
        self.retire.step(registry).await
    }
}

/// Since when no record came, in boot time: the wall clock may be what is wrong.
#[derive(Default)]
struct Idle {
    revision: Revision,
    since_ms: u64,
}

impl Idle {
    fn is_long(&mut self, registry: &Registry) -> bool {
        let (revision, now_ms) = (registry.core().state().revision(), registry.core().clock.boottime_millis());
        if revision != self.revision {
            *self = Self { revision, since_ms: now_ms };
        }
        now_ms.saturating_sub(self.since_ms) >= IDLE_MAX.millis()
    }
}

async fn look(
    registry: &Registry,
    founding: &mut Option<PendingFounding>,
    idle: &mut Idle,
) -> Result<(), ProposeError> {
    if registry.leadership().needs_clock() || idle.is_long(registry) {
        advance_clock(registry).await?;
    }
    if registry.core().state().cluster().is_none() {
        if let Some(pending) = founding.as_ref() {
            registry.propose_founding(pending, WITHIN).await?;
            info!("the cluster is founded");
        }
        return Ok(());
    }
    if let Some(done) = founding.take() {
        done.discard();
    }
    renew_replay_keys(registry).await
}

async fn advance_clock(registry: &Registry) -> Result<(), ProposeError> {
    let Some((term, readings)) = registry.leadership().readings() else { return Ok(()) };
    let operation = Operation::AdvanceClock { readings };
    registry.propose_unstamped(own(registry, operation), WITHIN).await?;
    registry.leadership().clock_advanced(term);
    Ok(())
}

/// A replay key seals for an hour and lives for two: every box that it sealed has closed when it is destroyed.
async fn renew_replay_keys(registry: &Registry) -> Result<(), ProposeError> {
    let (newest, oldest, clock) = {
        let state = registry.core().state();
        let oldest = state.ring().find(|key| key.purpose == RingPurpose::Replay).cloned();
        (state.newest_ring_key(RingPurpose::Replay).cloned(), oldest, state.clock())
    };
    let older = |at: Option<UnixMillis>, span| at.is_none_or(|at| at.plus(span) <= clock);
    if older(newest.map(|key| key.created_at), REPLAY_WINDOW) {
        let drawn = DrawnKey::draw(&mut OsEntropy, registry.core().cluster(), RingKind::Replay);
        let (wrapped, kek) = match registry.wrap_ring_key(&drawn).await {
            Ok(wrapped) => wrapped,
            Err(error) => {
                // Nothing stops but the replaying of secrets, once the last replay key is gone.
                warn!(%error, "no new replay key: the key-encryption key is away");
                return Ok(());
            }
        };
        let key = NewRingKey {
            id: wrapped.id,
            purpose: RingPurpose::Replay,
            wrapped_by: latchkey_domain::RingNumber(0),
            kek: Some(kek),
            wrapped: wrapped.wrapped,
        };
        registry.propose(own(registry, Operation::AddRingKey(key)), WITHIN).await?;
    }
    if let Some(key) = oldest.filter(|key| key.created_at.plus(REPLAY_KEY_LIFE) <= clock) {
        registry.propose(own(registry, Operation::DropRingKey(key.number)), WITHIN).await?;
    }
    Ok(())
}

/// A command of this leader.
pub(crate) fn own(registry: &Registry, operation: Operation) -> Command {
    Command::new(Actor::Replica(registry.core().node()), draw(&mut OsEntropy), operation)
}
