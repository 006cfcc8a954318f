//! What was denied while no leader was to be had, carried to the others: an entry for each denial, then what the operator
//! wanted to become of the key. A denial goes once that holds in the state here.

use latchkey_crypto::draw;
use latchkey_domain::{DurationMillis, Refusal, Slug, UnixMillis};
use latchkey_link::answers::told;
use latchkey_registry::Registry;
use latchkey_state::{
    Actor, Command, DENIALS_PER_COMMAND_MAX, FollowUp, LocalDenial, Operation, RequestMark, RevokeKey, State,
    SuspendKey,
};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::applied::Proposed;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Status;
use tracing::{info, warn};

/// How often it is looked. Nobody waits for it: the key is denied here already.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long whoever denies waits for the entry. The denial holds already.
const TELL_NOW_MAX: Duration = Duration::from_millis(500);

/// How long one proposal may take.
const PROPOSE_MAX: Duration = Duration::from_secs(5);

/// Carries what is denied here to the others, for as long as it is polled.
pub(crate) async fn run(registry: Registry) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(status) = reconcile(&registry).await {
            warn!(code = %status.code(), message = status.message(), "what is denied here is not carried on yet");
        }
    }
}

/// Tells the audit log at once what is new, where that can be done: whoever denies while all is well finds the entry when
/// he is answered.
pub(super) async fn tell_now(registry: &Registry) {
    let telling = async {
        let _turn = registry.core().carry_denials().await;
        tell(registry, &registry.core().local_denials().await).await
    };
    if registry.reader().is_fresh() {
        // What fails is tried again soon.
        drop(tokio::time::timeout(TELL_NOW_MAX, telling).await);
    }
}

async fn reconcile(registry: &Registry) -> Result<(), Status> {
    // On an old state nobody knows what the others have done about it meanwhile.
    if !registry.reader().is_fresh() {
        return Ok(());
    }
    let _turn = registry.core().carry_denials().await;
    // What audit has no room for, and what is refused of one key, holds up nothing that ends the others.
    let mut carried = tell(registry, &registry.core().local_denials().await).await;
    let denials = registry.core().local_denials().await;
    for denial in denials.iter().filter(|denial| denial.is_in_force() && denial.then != FollowUp::Nothing) {
        carried = carried.and(carry_on(registry, denial).await);
    }
    carried
}

/// Carries one denial on, and drops it once what it led to holds here and the audit log has it.
async fn carry_on(registry: &Registry, denial: &LocalDenial) -> Result<(), Status> {
    let view = registry.reader().now()?;
    if !holds(view.state(), view.now(), denial) {
        return follow_up(registry, denial).await;
    }
    if denial.told {
        forget(registry, |one| one.id == denial.id).await;
        info!(key = %denial.key, "what was denied here holds everywhere");
    }
    Ok(())
}

/// Makes entries of what the audit log does not have.
async fn tell(registry: &Registry, denials: &[LocalDenial]) -> Result<(), Status> {
    let node = registry.node();
    let untold: Vec<_> = denials.iter().flat_map(|denial| denial.untold(node)).collect();
    for some in untold.chunks(DENIALS_PER_COMMAND_MAX) {
        let service = Slug::parse("validation").expect("the word of a service is a slug");
        propose(registry, Actor::Service(service), None, Operation::RecordDenials(some.to_vec())).await?;
    }
    if untold.is_empty() {
        return Ok(());
    }
    let change = |all: &mut Vec<LocalDenial>| {
        let was = |one: &LocalDenial| denials.iter().find(|denial| denial.id == one.id);
        // One that was lifted meanwhile is told of that the next time.
        all.retain(|one| !(one.lifted.is_some() && was(one).is_some_and(|was| was.lifted.is_some())));
        for one in all.iter_mut() {
            one.told |= was(one).is_some();
        }
    };
    if let Err(error) = registry.core().change_denials(change).await {
        warn!(%error, "entries of denials may be written twice");
    }
    Ok(())
}

/// Whether the state does what the denial was to lead to, or has no such key any more.
fn holds(state: &State, now: UnixMillis, denial: &LocalDenial) -> bool {
    let Some(key) = state.key(&denial.key) else { return true };
    let version = denial.version.map(|id| key.versions.iter().find(|version| version.id == id));
    let is_dead = match version {
        None => state.death_of(key, now).is_some(),
        Some(None) => true,
        Some(Some(version)) => state.death_of_version(key, version, now).is_some(),
    };
    is_dead || (denial.then == FollowUp::Suspend && key.suspension().is_some())
}

/// In the name of whoever denied, where he still may; else on the account of this replica, which may take away.
async fn follow_up(registry: &Registry, denial: &LocalDenial) -> Result<(), Status> {
    let LocalDenial { id, key, version, reason, text, .. } = denial.clone();
    let operation = || match denial.then {
        FollowUp::Revoke => {
            let (key, text, grace) = (key.clone(), text.clone(), DurationMillis::ZERO);
            Operation::RevokeKey(RevokeKey { key, version, reason, text, grace, etag: None })
        }
        FollowUp::Nothing | FollowUp::Suspend => {
            Operation::SuspendKey(SuspendKey { key: key.clone(), text: text.clone(), etag: None })
        }
    };
    // The id stands for the request, and is never given to another.
    let mut hash = [0; 32];
    hash[..id.len()].copy_from_slice(&id);
    let by_operator = Actor::Identity(denial.by.clone());
    let proposed = ask(registry, by_operator, Some(RequestMark { id, hash }), operation()).await?;
    let proposed = match proposed.answer {
        Err(Refusal::PermissionDenied { .. }) => {
            ask(registry, Actor::Replica(registry.node()), None, operation()).await?
        }
        Ok(_) | Err(_) => proposed,
    };
    told(proposed).map(drop)
}

async fn propose(
    registry: &Registry,
    actor: Actor,
    request: Option<RequestMark>,
    operation: Operation,
) -> Result<(), Status> {
    told(ask(registry, actor, request, operation).await?).map(drop)
}

async fn ask(
    registry: &Registry,
    actor: Actor,
    request: Option<RequestMark>,
    operation: Operation,
) -> Result<Proposed, Status> {
    let command = Command { request, ..Command::new(actor, draw(&mut OsEntropy), operation) };
    latchkey_link::Registry::propose(registry, &command, Instant::now() + PROPOSE_MAX).await
}

async fn forget(registry: &Registry, is: impl Fn(&LocalDenial) -> bool) {
    let change = |all: &mut Vec<LocalDenial>| all.retain(|one| !is(one));
    if let Err(error) = registry.core().change_denials(change).await {
        warn!(%error, "a denial stays that is not needed any more");
    }
}
