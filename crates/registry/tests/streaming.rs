//! A follower that was away takes the state while writes go on: it serves nothing meanwhile, and the leader hardly notices.
//! How long the longest write took is printed; more keys with `LATCHKEY_STREAM_KEYS`.

mod support;

use latchkey_state::{Expiry, Operation};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::keys::{keyspace_name, make_keys, make_keyspace};
use support::three::{leader, leads, of_root, owner, propose, same_state, three};
use tokio::time::Instant;

/// Keys that are streamed: as many as a debug build makes in some seconds.
const KEYS: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_lagging_replica_takes_a_snapshot_while_writes_go_on() {
    let keys = std::env::var("LATCHKEY_STREAM_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(KEYS);
    let (ground, mut replicas) = three().await;
    let at = leader(&replicas);
    let away = replicas.remove((at + 1) % 3);
    let node = away.registry.node();
    away.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    make_keyspace(&ground, &rest).await;
    make_keys(&ground, &rest, keys, Expiry::Default).await;
    for replica in &replicas {
        replica.registry.compact().await;
    }
    let leading = rest.iter().find(|replica| leads(&replica.registry)).expect("a leader").registry.clone();

    let (done, mut quiet, mut longest, mut count) = (AtomicBool::new(false), Duration::ZERO, Duration::ZERO, 0_u64);
    let write = async |name: String| {
        let begun = Instant::now();
        let Operation::CreateOwner(operation) = owner(&name).operation else { unreachable!("it makes an owner") };
        let applied = leading.propose(of_root(Operation::CreateOwner(operation)), support::WITHIN).await;
        applied.expect("the leader stays").answer.clone().expect("it is new");
        begun.elapsed()
    };
    for number in 0..100 {
        quiet = quiet.max(write(format!("quiet-{number}")).await);
    }
    let writing = async {
        while !done.load(Ordering::Relaxed) {
            longest = longest.max(write(format!("meanwhile-{count}")).await);
            count += 1;
        }
    };
    let catching_up = async {
        let begun = Instant::now();
        let back = ground.start(node).await;
        back.until("it has the keys", |registry| {
            let state = registry.core().state();
            let has =
                state.keyspace(&keyspace_name()).is_some_and(|found| state.keys_of(found.number, None).count() == keys);
            // What it has not caught up with it does not answer by.
            assert!(
                has || !registry.reader().is_fresh() || registry.core().state().keyspace(&keyspace_name()).is_none()
            );
            has
        })
        .await;
        done.store(true, Ordering::Relaxed);
        (back, begun.elapsed())
    };
    let ((), (back, took)) = tokio::join!(writing, catching_up);
    println!("{keys} keys streamed in {took:?}; {count} writes meanwhile, the longest {longest:?}; before {quiet:?}");
    same_state(&[rest, vec![&back]].concat()).await;
    assert!(propose(&replicas.iter().collect::<Vec<_>>(), &owner("afterwards")).await.answer.is_ok());
    back.stop().await;
    for replica in replicas {
        replica.stop().await;
    }
}
