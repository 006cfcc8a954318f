//! One replica: all that a cluster does, without another to talk to.

mod support;

use latchkey_domain::NodeId;
use latchkey_kms::OsEntropy;
use latchkey_kms::testing::Switch;
use latchkey_link::{Material, testing::conformance};
use latchkey_registry::Condition;
use latchkey_transport::Unavailable;
use latchkey_wire::request::Consistency;
use std::time::Duration;
use support::{Ground, WITHIN};

const NODE: NodeId = NodeId(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_what_the_handlers_expect_of_a_registry() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NODE).await;
    replica.until("it can write", |registry| registry.can_write() && registry.core().state().cluster().is_some()).await;
    let material = Material::new(ground.kms.clone());
    conformance::suite(&replica.registry, &material, &ground.root_text(), &mut OsEntropy).await;
    replica.registry.core().state().check_invariants().unwrap();
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_stopped() {
    // The first restart of all panicked while it loaded its rows, and fenced itself.
    let ground = Ground::found(1).await;
    let first = ground.start(NODE).await;
    first.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    let before = first.registry.core().state().clone();
    first.stop().await;

    let second = ground.start(NODE).await;
    second.until("it is loaded", |registry| registry.core().state().revision() >= before.revision()).await;
    let after = second.registry.core().state().clone();
    assert_eq!(after.cluster(), before.cluster());
    assert_eq!(after.progress().next, before.progress().next);
    assert!(after.progress().frontier.size() >= before.progress().frontier.size());
    after.check_invariants().unwrap();
    second.until("it can write", latchkey_registry::Registry::can_write).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_kek_is_locked_until_the_kek_is_back() {
    let ground = Ground::found(1).await;
    let first = ground.start(NODE).await;
    first.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    first.stop().await;

    ground.kms.set(Switch::Unavailable);
    let locked = ground.start(NODE).await;
    locked.until("it is locked", |registry| registry.condition() == Condition::Locked).await;
    let refused = locked.registry.reader().view(Consistency::MinimizeLatency, Duration::ZERO).await.err();
    assert_eq!(refused, Some(latchkey_registry::ViewError::Unavailable(Unavailable::Locked)));

    ground.kms.set(Switch::Available);
    locked.until("it is unlocked", |registry| registry.condition() == Condition::Ready).await;
    locked.until("it can write", latchkey_registry::Registry::can_write).await;
    locked.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fully_consistent_view_knows_what_was_acknowledged() {
    let ground = Ground::found(1).await;
    let replica = ground.start(NODE).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    let view = replica.registry.reader().view(Consistency::FullyConsistent, WITHIN).await.unwrap();
    assert!(view.state().revision() >= replica.registry.core().state().revision());
    assert!(view.age().unwrap().millis() < 2_000);
    replica.stop().await;
}
