//! A replica that votes alone, and whose disk does not answer.

mod support;

use latchkey_domain::NodeId;
use latchkey_registry::ProposeError;
use latchkey_storage::{Facts, Faults, MemoryStore};
use latchkey_transport::Unavailable;
use std::sync::Arc;
use std::time::Duration;
use support::three::{owner, propose};
use support::{Ground, WITHIN};

const NODE: NodeId = NodeId(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_disk_that_does_not_answer_does_not_grow_without_a_bound() {
    let ground = Ground::found(1).await;
    let store = Arc::new(MemoryStore::new(Facts { node_id: NODE.0, cluster_id: ground.cluster.0, epoch: 1 }));
    let replica = ground.start_over(NODE, Arc::default(), store.clone()).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    assert!(propose(&[&replica], &owner("before")).await.answer.is_ok());

    store.set_faults(Faults { hold: true, ..Faults::default() });
    let refused = async {
        loop {
            // What is begun may happen: nobody is told that it did not.
            match replica.registry.propose(owner("held"), Duration::from_millis(100)).await {
                Err(ProposeError::Unknown) => {}
                other => return other,
            }
        }
    };
    let refused = tokio::time::timeout(WITHIN, refused).await.expect("it is refused in the end");
    let refused = refused.expect_err("nothing is durable");
    assert_eq!(refused, ProposeError::Unavailable(Unavailable::NoLeader { node: Some(NODE) }));

    store.set_faults(Faults::default());
    assert!(propose(&[&replica], &owner("after")).await.answer.is_ok(), "a disk that answers again is used again");
    replica.stop().await;
}
