//! A kill, or a store that goes away, at each write that there is.

use super::faulty::{Faulty, Last};
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is appended between two attempts to publish: partial tiles, one that is filled, several at once, and one entry more.
const STEPS: [u64; 6] = [3, 100, 153, 1, 600, 40];

/// Appends and publishes step by step, over a store that carries out `writes` writes. Whether all were carried out.
async fn live(folder: &Path, inner: &Arc<InMemory>, writes: u64, last: Last) -> bool {
    let faulty = Arc::new(Faulty { inner: inner.clone(), left: AtomicU64::new(writes), last });
    let mut disk = match Disk::open_or_create(folder, options(), &Place::Store(faulty.clone()), CLUSTER).await {
        Ok(disk) => disk,
        Err(error) => panic!("{error}"),
    };
    let stored: Vec<_> = STEPS.iter().scan(0, |sum, step| Some(std::mem::replace(sum, *sum + step))).collect();
    for (step, before) in STEPS.into_iter().zip(stored) {
        if disk.log.next() <= before {
            append(&mut disk, step);
        }
        if let Err(error) = publish(&disk).await {
            assert!(error.may_pass(), "{error}");
            return false;
        }
    }
    faulty.left.load(Ordering::SeqCst) > 0
}

#[tokio::test]
async fn a_kill_at_any_write_leaves_an_archive_that_the_next_start_completes() {
    let size = STEPS.iter().sum();
    let root = tree(size).root();
    let whole = {
        let (folder, (store, place)) = (TempDir::new().unwrap(), in_memory());
        assert!(live(folder.path(), &store, u64::MAX, Last::Done).await);
        objects(&Archive::open(&place).await.unwrap()).await
    };
    let mut kills = 0;
    for last in [Last::Lost, Last::Done] {
        for writes in 1.. {
            let (folder, (store, place)) = (TempDir::new().unwrap(), in_memory());
            if live(folder.path(), &store, writes, last).await {
                break;
            }
            kills += 1;
            // Whatever was published is whole.
            let archive = Archive::open(&place).await.unwrap();
            let published = archive.size();
            check(&archive, published, tree(published).root()).await.unwrap();
            // The next life goes on and ends where one without a kill does, object by object.
            assert!(live(folder.path(), &store, u64::MAX, last).await);
            let disk = disk(folder.path(), &place).await;
            publisher(&disk).sweep().await.unwrap();
            check(&disk.archive, size, root).await.unwrap();
            let found = objects(&disk.archive).await;
            let lacks: Vec<_> = whole.iter().filter(|(path, bytes)| found.get(*path) != Some(bytes)).collect();
            assert!(lacks.is_empty(), "{writes} {last:?}: {:?}", lacks.iter().map(|one| one.0).collect::<Vec<_>>());
        }
    }
    assert!(kills > 60, "{kills}");
}

#[tokio::test]
async fn a_life_of_many_kills_has_no_gap_and_no_duplicate() {
    let (folder, (store, place)) = (TempDir::new().unwrap(), in_memory());
    let mut lives = 0;
    for writes in [1, 5, 2, 9, 4, 14, 3, 7, 1, 6].into_iter().cycle() {
        lives += 1;
        if live(folder.path(), &store, writes, if lives % 2 == 0 { Last::Lost } else { Last::Done }).await {
            break;
        }
        assert!(lives < 500, "it gets further each time");
    }
    let (size, archive) = (STEPS.iter().sum(), Archive::open(&place).await.unwrap());
    assert_eq!(archive.size(), size);
    check(&archive, size, tree(size).root()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_loses_nothing_and_is_gone_on_with() {
    let (folder, (store, _)) = (TempDir::new().unwrap(), in_memory());
    let faulty = Arc::new(Faulty { inner: store, left: AtomicU64::new(0), last: Last::Lost });
    let mut disk = disk(folder.path(), &Place::Store(faulty.clone())).await;
    for _ in 0..5 {
        append(&mut disk, 300);
        assert!(publish(&disk).await.unwrap_err().may_pass());
    }
    assert_eq!(
        (disk.archive.size(), disk.log.next(), disk.log.journal().first()),
        (0, 1_500, 0),
        "the journal keeps all"
    );
    faulty.left.store(u64::MAX, Ordering::SeqCst);
    publish(&disk).await.unwrap();
    check(&disk.archive, 1_500, tree(1_500).root()).await.unwrap();
    assert!(disk.log.journal().first() > 0, "what is published goes");
}
