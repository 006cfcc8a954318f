//! How much one replica denies.

mod support;

use latchkey_domain::{IdentityName, KeyName, NodeId, Quota, ReasonText, Refusal, RevocationReason, UnixMillis};
use latchkey_registry::{DenialError, LOCAL_DENIALS_MAX, Registry};
use latchkey_state::{FollowUp, LocalDenial};
use support::Ground;

const NODE: NodeId = NodeId(1);

/// The number of one that finds no room.
const ONE_MORE: usize = 999;

fn denial(number: usize) -> LocalDenial {
    LocalDenial {
        id: (number as u128).to_be_bytes(),
        key: KeyName::parse(&format!("tenants/acme/keyspaces/live/keys/{number:016}")).expect("a name"),
        version: None,
        reason: RevocationReason::Compromised,
        text: ReasonText::default(),
        then: FollowUp::Nothing,
        by: IdentityName::parse("tenants/acme/identities/ann").expect("a name"),
        at: UnixMillis::new(1_000),
        told: false,
        lifted: None,
    }
}

async fn deny(registry: &Registry, number: usize) -> Result<(), DenialError> {
    registry.core().change_denials(|all| all.push(denial(number))).await
}

/// As an operator who is cut off: the audit log does not hear of it.
async fn allow_all(registry: &Registry) {
    let lift = |one: &mut LocalDenial| one.lifted = Some((one.by.clone(), one.at));
    registry.core().change_denials(|all| all.iter_mut().for_each(lift)).await.expect("one can always take back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_leaves_room_for_others_and_is_bounded_itself() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NODE).await;
    replica.until("it can write", |registry| registry.can_write() && registry.core().state().cluster().is_some()).await;
    let registry = &replica.registry;
    let full = |denied: Result<(), DenialError>| {
        let limit = LOCAL_DENIALS_MAX as u64;
        let quota = Refusal::QuotaExceeded { quota: Quota::LocalDenials, limit };
        matches!(denied, Err(DenialError::Refused(refusal)) if refusal == quota)
    };
    let mut numbers = 0..;
    for _ in 0..2 {
        for number in numbers.by_ref().take(LOCAL_DENIALS_MAX) {
            deny(registry, number).await.expect("there is room");
        }
        assert!(full(deny(registry, ONE_MORE).await));
        allow_all(registry).await;
    }
    assert!(full(deny(registry, ONE_MORE).await), "what the audit log has not heard of is kept");
    replica.stop().await;
}
