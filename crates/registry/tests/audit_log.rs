//! An audit log that is lost: another one begins on every replica alike, and no entry of the one before is taken for one of it.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use latchkey_domain::{Sequence, Slug};
use latchkey_link::{FollowItem, Following, Registry as _};
use latchkey_registry::Registry;
use latchkey_state::{Actor, BeginAuditLog, Command, Operation};
use std::time::Duration;
use support::three::{carry_out, leader, owner, propose, same_state, three};
use support::{Ground, Replica, WITHIN};
use tokio_stream::StreamExt as _;

fn by() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(5)
}

fn size(registry: &Registry) -> u64 {
    registry.core().state().progress().frontier.size()
}

/// More entries than one read or one removal takes, of which audit has taken all but the last few.
async fn followed() -> (Ground, Vec<Replica>, u64) {
    let (ground, replicas) = three().await;
    let all: Vec<_> = replicas.iter().collect();
    for count in 0..700 {
        assert!(propose(&all, &owner(&format!("before-{count}"))).await.answer.is_ok());
    }
    let (size, audit) = (size(&replicas[0].registry), Actor::Service(Slug::parse("audit").unwrap()));
    let trim = Command::new(audit, [8; 32], Operation::Trim(Sequence(size - 600)));
    assert!(propose(&all, &trim).await.answer.is_ok());
    same_state(&all).await;
    (ground, replicas, size)
}

async fn begin(replicas: &[&Replica]) {
    carry_out(replicas, Operation::BeginAuditLog(BeginAuditLog { force: true })).await;
}

/// Every replica has all of the new log, from its first entry on, and nothing else lies on its disk.
async fn check(replicas: &[&Replica]) {
    same_state(replicas).await;
    for replica in replicas {
        let registry = &replica.registry;
        let all = || (0..size(registry)).collect::<Vec<_>>();
        let told = async {
            while registry.entries(0).await != all() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, told).await.expect("all is there, without a hole");
        replica.until("nothing else is on disk", |registry| registry.entries_on_disk() as u64 == size(registry)).await;
    }
}

async fn end_of(following: &mut Following) -> tonic::Status {
    let ended = async {
        loop {
            match following.next().await.expect("it ends with an error") {
                Ok(FollowItem::Event(_) | FollowItem::Progress { .. }) => {}
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(WITHIN, ended).await.expect("whoever follows the log before is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_begins_on_all_replicas_and_no_entry_of_the_one_before_is_left() {
    let (ground, mut replicas, before) = followed().await;
    let all: Vec<_> = replicas.iter().collect();
    let mut following = replicas[1].registry.follow(Sequence(before - 1), by()).await.unwrap();
    begin(&all).await;
    let status = end_of(&mut following).await;
    assert_eq!(
        status.code(),
        tonic::Code::Unavailable,
        "it may ask again, and learn that there is another: {status:?}"
    );
    check(&all).await;
    assert!(size(&replicas[0].registry) < 10, "it begins with nothing");
    // Past the sequences at which entries of the log before lay.
    for count in 0..200 {
        assert!(propose(&all, &owner(&format!("after-{count}"))).await.answer.is_ok());
    }
    check(&all).await;

    // What lies on disk is what a restart goes on with.
    let last = replicas.pop().unwrap();
    let node = last.registry.node();
    last.stop().await;
    let rest: Vec<_> = replicas.iter().collect();
    assert!(propose(&rest, &owner("while-it-was-away")).await.answer.is_ok());
    let back = ground.start(node).await;
    check(&[&replicas[0], &replicas[1], &back]).await;
    back.registry.core().state().check_invariants().unwrap();
    back.stop().await;
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_away_when_another_log_began_takes_it_from_the_log_or_from_a_snapshot() {
    for by_snapshot in [false, true] {
        let (ground, mut replicas, _) = followed().await;
        let at = leader(&replicas);
        let away = replicas.remove((at + 1) % 3);
        let node = away.registry.node();
        away.stop().await;
        let rest: Vec<_> = replicas.iter().collect();
        begin(&rest).await;
        for count in 0..300 {
            assert!(propose(&rest, &owner(&format!("after-{count}"))).await.answer.is_ok());
        }
        if by_snapshot {
            for replica in &replicas {
                replica.registry.compact().await;
            }
            assert!(propose(&rest, &owner("last")).await.answer.is_ok());
        }
        let back = ground.start(node).await;
        check(&[&replicas[0], &replicas[1], &back]).await;
        back.stop().await;
        for replica in replicas {
            replica.stop().await;
        }
    }
}
