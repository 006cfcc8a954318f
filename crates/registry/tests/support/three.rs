//! Three replicas, and what is asked of them.

use super::{Ground, Replica, WITHIN};
use latchkey_crypto::draw;
use latchkey_domain::{DisplayName, IdentityName, NodeId, OwnerName, Slug};
use latchkey_kms::OsEntropy;
use latchkey_registry::Registry;
use latchkey_state::{Actor, Applied, Command, CreateOwner, Operation};
use std::sync::Arc;
use std::time::Duration;

/// Three replicas that serve and are fresh.
pub async fn three() -> (Ground, Vec<Replica>) {
    let ground = Ground::found(3).await;
    let mut replicas = Vec::new();
    for id in 1..=3 {
        replicas.push(ground.start(NodeId(id)).await);
    }
    for replica in &replicas {
        replica.until("it knows the cluster", |registry| registry.core().state().cluster().is_some()).await;
        replica.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    }
    (ground, replicas)
}

/// Makes an owner of the system tenant.
pub fn owner(id: &str) -> Command {
    let slug = |text| Slug::parse(text).expect("a slug");
    let operation = Operation::CreateOwner(CreateOwner {
        name: OwnerName::new(slug("system"), slug(id)),
        display_name: DisplayName::default(),
        contacts: Vec::new(),
    });
    of_root(operation)
}

/// A command of `root`.
pub fn of_root(operation: Operation) -> Command {
    let slug = |text| Slug::parse(text).expect("a slug");
    let root = IdentityName::new(slug("system"), slug("root"));
    Command::new(Actor::Identity(root), draw(&mut OsEntropy), operation)
}

/// Proposes wherever the leader is, until somebody takes it.
pub async fn propose(replicas: &[&Replica], command: &Command) -> Arc<Applied> {
    let asking = async {
        loop {
            for replica in replicas {
                if let Ok(applied) = replica.registry.propose(command.clone(), Duration::from_secs(2)).await {
                    return applied;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, asking).await.expect("somebody leads in the end")
}

/// The place of the leader.
pub fn leader(replicas: &[Replica]) -> usize {
    replicas.iter().position(|replica| replica.registry.can_write() && leads(&replica.registry)).unwrap_or(0)
}

pub fn leads(registry: &Registry) -> bool {
    registry.status().leader == Some(registry.node())
}

/// Returns once all show the same state; fails where they differ.
pub async fn same_state(replicas: &[&Replica]) {
    let furthest = replicas.iter().map(|replica| replica.registry.core().state().revision()).max().expect("replicas");
    for replica in replicas {
        replica.until("it caught up", |registry| registry.core().state().revision() >= furthest).await;
    }
    // They may move on together meanwhile, so compare at a revision that all show at once.
    let compared = async {
        loop {
            let hashes: Vec<_> = replicas.iter().map(|replica| replica.registry.core().state().hashed_at()).collect();
            if hashes.iter().all(|hashed| hashed.revision == hashes[0].revision) {
                assert!(hashes.iter().all(|hashed| hashed.hash == hashes[0].hash), "replicas differ: {hashes:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WITHIN, compared).await.expect("replicas meet at one revision");
}

/// As [`propose`], for a command that is not refused.
pub async fn carry_out(replicas: &[&Replica], operation: Operation) -> Arc<Applied> {
    let applied = propose(replicas, &of_root(operation)).await;
    assert!(applied.answer.is_ok(), "{:?}", applied.answer);
    applied
}
