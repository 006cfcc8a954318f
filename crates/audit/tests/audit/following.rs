//! What is believed, what is waited for, and what stops the service.

use crate::script::{Script, usual};
use crate::setting::{Following, everything, options};
use latchkey_audit::journal::{FreeBytes, Journal, JournalOptions};
use latchkey_audit::{Cursor, Event, Halt};
use latchkey_domain::{ClusterId, Sequence};
use latchkey_transparency::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

async fn halted(falsify: impl FnOnce(&mut Vec<Event>)) -> (Halt, u64) {
    let (folder, script) = (folder(), Script::with(100));
    let following = Following::begin(&script, folder.path(), options());
    following.stored(100).await;
    following.stop().await;
    script.happen((100..200).map(usual));
    script.falsify(falsify);
    let following = Following::begin(&script, folder.path(), options());
    let reader = following.reader.clone();
    (following.halted().await, reader.next())
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_missing_stops_the_service_before_it() {
    let (halt, stored) = halted(|log| drop(log.remove(150))).await;
    assert!(matches!(halt, Halt::Gap { expected: 150, found: 151 }), "{halt}");
    assert!(stored <= 150);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_twice_stops_the_service() {
    let (halt, _) = halted(|log| log.insert(150, log[149].clone())).await;
    assert!(matches!(halt, Halt::Gap { expected: 150, found: 149 }), "{halt}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_changed_stops_the_service_before_it() {
    let changes: [fn(&mut Event); 5] = [
        |event| event.bytes[9] ^= 1,
        |event| event.o[0] ^= 1,
        |event| event.revision.index += 1,
        |event| event.format = 2,
        |event| event.root = Hash::new([0; 32]),
    ];
    for change in changes {
        let (halt, stored) = halted(|log| change(&mut log[150])).await;
        assert!(matches!(halt, Halt::Root { sequence: 150 }), "{halt}");
        assert!(stored <= 150);
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_that_was_rewritten_stops_the_service() {
    let rewritten = Script::new();
    rewritten.happen((1..=200).map(usual));
    let (folder, script) = (folder(), Script::with(100));
    let following = Following::begin(&script, folder.path(), options());
    following.stored(100).await;
    following.stop().await;
    let halt = Following::begin(&rewritten, folder.path(), options()).halted().await;
    assert!(matches!(halt, Halt::Root { sequence: 100 }), "{halt}");
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_has_trimmed_and_nobody_stored_stops_the_service() {
    let (halt, stored) = {
        let (folder, script) = (folder(), Script::with(100));
        script.set_kept(1);
        let following = Following::begin(&script, folder.path(), options());
        let reader = following.reader.clone();
        (following.halted().await, reader.next())
    };
    assert!(matches!(halt, Halt::Trimmed { next: 0 }), "{halt}");
    assert_eq!(stored, 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ended_is_not_gone_on_with_when_another_begins() {
    let (folder, script) = (folder(), Script::with(100));
    let following = Following::begin(&script, folder.path(), options());
    following.stored(100).await;
    // The stream is open, and nothing comes of it: the other log is shorter than this one.
    script.set_size(3);
    let halt = following.halted().await;
    assert!(matches!(halt, Halt::OtherLog { size: 3, stored: 100, .. }), "{halt}");
    assert!(halt.to_string().contains("start with empty ones"), "{halt}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_one_replica_alone_lacks_is_asked_for_again() {
    // A replica that has not applied yet that another log began says that its first entries are gone.
    let (folder, script) = (folder(), Script::with(100));
    script.set_kept(1);
    script.set_lags(true);
    let following = Following::begin(&script, folder.path(), options());
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    script.set_kept(0);
    following.stored(100).await;
    following.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_cluster_is_not_followed() {
    let (folder, script) = (folder(), Script::with(100));
    script.set_cluster(ClusterId([9; 16]));
    let halt = Following::begin(&script, folder.path(), options()).halted().await;
    assert!(matches!(halt, Halt::Cluster { .. }), "{halt}");
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_are_taken_up_where_they_broke() {
    let (folder, script) = (folder(), Script::with(1_000));
    script.set_breaks_after(37);
    let following = Following::begin(&script, folder.path(), options());
    following.stored(1_000).await;
    let all = following.all(&everything(), Cursor::From(0), 1_000).await;
    assert!((0..).zip(&all).all(|(sequence, found)| found.event.sequence == Sequence(sequence)));
    assert_eq!(all.len(), 1_000);
    following.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kek_that_is_away_is_waited_for() {
    let (folder, script) = (folder(), Script::with(100));
    script.set_locked(true);
    let following = Following::begin(&script, folder.path(), options());
    let mut healthy = following.healthy.clone();
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(60), healthy.wait_for(|healthy| *healthy)).await.is_err()
    );
    assert_eq!(following.reader.next(), 0);
    script.set_locked(false);
    following.stored(100).await;
    following.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stores_and_trims_nothing_until_there_is_room() {
    let free = Arc::new(AtomicU64::new(0));
    let asked = free.clone();
    let free_bytes: FreeBytes = Arc::new(move |_| Ok(asked.load(Ordering::Relaxed)));
    let (folder, script) = (folder(), Script::with(100));
    let following = Following::begin(&script, folder.path(), JournalOptions { free_bytes, ..options() });
    let mut healthy = following.healthy.clone();
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(60), healthy.wait_for(|healthy| *healthy)).await.is_err()
    );
    assert_eq!((following.reader.next(), script.trims()), (0, Vec::new()));
    free.store(u64::MAX, Ordering::Relaxed);
    following.stored(100).await;
    following.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_is_promised_on_the_disk_is_trimmed_and_at_most_once_a_second() {
    let (folder, script) = (folder(), Script::with(1_000));
    let following = Following::begin(&script, folder.path(), options());
    let began = tokio::time::Instant::now();
    while script.trims().last() != Some(&999) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    script.happen((1_000..1_500).map(usual));
    while script.trims().last() != Some(&1_499) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let trims = script.trims();
    assert!(trims.is_sorted() && trims.len() as u64 <= began.elapsed().as_secs() + 1, "{trims:?}");
    following.stop().await;
    let journal = Journal::open(folder.path(), options()).unwrap().unwrap();
    assert_eq!(journal.writer.promised(), 1_500);
}

#[tokio::test(start_paused = true)]
async fn what_was_promised_and_not_trimmed_before_a_kill_is_trimmed_after_it() {
    let (folder, script) = (folder(), Script::with(50));
    let mut journal = Journal::open_or_create(folder.path(), crate::script::CLUSTER, options()).unwrap();
    assert_eq!(journal.writer.promise().unwrap(), 0);
    drop(journal);
    let following = Following::begin(&script, folder.path(), options());
    following.stored(50).await;
    following.stop().await;
    let again = Following::begin(&Script::with(50), folder.path(), options());
    again.stored(50).await;
    again.stop().await;
    let script = Script::with(50);
    let again = Following::begin(&script, folder.path(), options());
    while script.trims() != [49] {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    again.stop().await;
}
