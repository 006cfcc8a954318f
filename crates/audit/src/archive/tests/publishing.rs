//! What is published is what was stored, in every store; and what was changed afterwards is found.

use super::faulty::{Faulty, Last};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// All that an archive promises, over any store.
async fn conforms(place: &Place) {
    let folder = TempDir::new().unwrap();
    let mut disk = disk(folder.path(), place).await;
    let mut size = 0;
    for step in [1, 1, 253, 1, 1, 255, 88, 700, 3] {
        append(&mut disk, step);
        publish(&disk).await.unwrap();
        size += step;
        assert_eq!((disk.archive.size(), disk.archive.frontier()), (size, tree(size)));
        check(&disk.archive, size, tree(size).root()).await.unwrap();
    }
    for sequence in 0..size {
        let expected = Some(frame(sequence));
        assert_eq!(disk.archive.sealed(sequence).await.unwrap(), expected, "{sequence}");
        assert_eq!(disk.log.frame(sequence).await.unwrap(), expected, "{sequence}");
        if sequence % 61 == 0 {
            assert_eq!(disk.archive.leaf(sequence).await.unwrap(), Some(preimage(sequence)));
            let block = disk.log.block(sequence).await.unwrap().unwrap();
            let at = usize::try_from(sequence - block.first).unwrap();
            assert_eq!(block.frames[at], frame(sequence));
            assert_eq!(disk.archive.frontier_at(sequence).await.unwrap(), tree(sequence));
        }
    }
    assert!(disk.log.journal().first() > 0, "segments that are published go");
    assert_eq!(disk.log.block(size).await.unwrap(), None);
    assert_eq!(disk.archive.leaf(size).await.unwrap(), None);
    assert!(disk.archive.node(0, size).await.is_err());
    let nodes = latchkey_transparency::inclusion_nodes(size / 2, size);
    let known = disk.archive.nodes(&nodes).await.unwrap();
    let proof = latchkey_transparency::inclusion_proof(&known, size / 2, size).unwrap();
    let leaf = hash_preimage(&preimage(size / 2));
    latchkey_transparency::verify_inclusion(&leaf, size / 2, size, &proof, &tree(size).root()).unwrap();
    // A partial tile that went is cut from the full one: whoever has an older checkpoint goes on.
    let narrow = TileId::at(0, 0, 200).unwrap();
    assert_eq!(disk.archive.objects().get(&narrow.path()).await.unwrap(), None);
    let cut = disk.archive.public(Resource::Tile(narrow)).await.unwrap().unwrap();
    assert_eq!(Tile::decode(narrow, &cut).unwrap().hashes().len(), 200);

    assert!(disk.archive.write_checkpoint(size + 1, "too much").await.is_err());
    assert_eq!(disk.archive.checkpoint().await.unwrap(), None);
    disk.archive.write_checkpoint(size, "one").await.unwrap();
    disk.archive.write_checkpoint(size, "another").await.unwrap();
    assert_eq!(disk.archive.checkpoint().await.unwrap().unwrap(), "another".as_bytes());

    let again = Archive::open(place).await.unwrap();
    assert_eq!((again.size(), again.frontier(), again.cluster()), (size, tree(size), Some(CLUSTER)));
}

#[tokio::test]
async fn an_archive_in_memory_conforms() {
    conforms(&in_memory().1).await;
}

#[tokio::test]
async fn an_archive_in_a_folder_conforms() {
    let folder = TempDir::new().unwrap();
    conforms(&Place::Folder(folder.path().join("deep/down"))).await;
}

/// Run by hand or by the peers' script, against a server that speaks S3.
#[cfg(feature = "s3")]
#[tokio::test]
#[ignore = "needs a server: LATCHKEY_TEST_S3_URL, and the variables that the tools of AWS read"]
async fn an_archive_in_s3_conforms() {
    let Ok(url) = std::env::var("LATCHKEY_TEST_S3_URL") else { return };
    conforms(&Place::Url(url)).await;
}

#[tokio::test]
async fn the_publisher_follows_the_journal_and_ends_when_it_is_asked_to() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut disk = disk(folder.path(), &place).await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(publisher(&disk).run(stopped));
    for next in [1, 300, 1_000_u64] {
        let count = next - disk.log.next();
        append(&mut disk, count);
        disk.archive.published().wait_for(|published| *published == next).await.unwrap();
    }
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_object_with_other_bytes_is_a_fork_and_stops_the_service() {
    for path in ["tile/0/000.p/100", "tile/entries/000.p/100", "sealed/000.p/100", "tile/0/000", "tile/1/000.p/1"] {
        let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
        let mut disk = disk(folder.path(), &place).await;
        let other = match path {
            // Sealed under other nonces it would be the same; with other leaves it is not.
            "sealed/000.p/100" => {
                let id = TileId::new(0, 0, 100).unwrap();
                bundle::encode(CLUSTER, id, &(1..101).map(frame).collect::<Vec<_>>())
            }
            _ => vec![7; 32],
        };
        disk.archive.objects().put(path, other.into()).await.unwrap();
        append(&mut disk, 100);
        let mut ended = publish(&disk).await;
        if ended.is_ok() {
            append(&mut disk, 200);
            ended = publish(&disk).await;
        }
        let error = ended.unwrap_err();
        assert!(matches!(&error, ArchiveError::Fork { path: found, .. } if found == path), "{path}: {error}");
        assert!(!error.may_pass());
    }
}

#[tokio::test]
async fn entries_that_were_sealed_once_more_are_the_same() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut disk = disk(folder.path(), &place).await;
    let id = TileId::new(0, 0, 100).unwrap();
    let again: Vec<_> = (0..100).map(|sequence| Frame { sealed: vec![9; 50], ..frame(sequence) }).collect();
    disk.archive.objects().put(&sealed_path(id), bundle::encode(CLUSTER, id, &again).into()).await.unwrap();
    append(&mut disk, 100);
    publish(&disk).await.unwrap();
    assert_eq!(disk.archive.sealed(5).await.unwrap().unwrap().sealed, [9; 50]);
}

#[tokio::test]
async fn what_retention_could_not_remove_goes_with_the_next_try() {
    for last in [Last::Lost, Last::Done] {
        let (folder, (inner, _)) = (TempDir::new().unwrap(), in_memory());
        let faulty = Arc::new(Faulty { inner, left: AtomicU64::new(u64::MAX), last });
        let mut disk = disk(folder.path(), &Place::Store(faulty.clone())).await;
        append(&mut disk, 900);
        publish(&disk).await.unwrap();
        let now = latchkey_domain::UnixMillis::LAST;
        // The second removal fails.
        faulty.left.store(2, Ordering::SeqCst);
        assert!(disk.archive.retire(Duration::ZERO, now).await.unwrap_err().may_pass());
        assert_eq!(disk.archive.sealed(300).await.unwrap(), None, "nobody reads what may be gone");
        faulty.left.store(u64::MAX, Ordering::SeqCst);
        assert_eq!(disk.archive.retire(Duration::ZERO, now).await.unwrap(), 2);
        let left: Vec<_> =
            objects(&disk.archive).await.into_keys().filter(|path| path.starts_with("sealed/")).collect();
        assert_eq!(left, ["sealed/003.p/132"], "{last:?}");
    }
}

#[tokio::test]
async fn what_a_round_that_failed_left_of_sealed_entries_goes_with_the_next() {
    let (folder, (inner, _)) = (TempDir::new().unwrap(), in_memory());
    let faulty = Arc::new(Faulty { inner, left: AtomicU64::new(6), last: Last::Lost });
    let mut disk = disk(folder.path(), &Place::Store(faulty.clone())).await;
    append(&mut disk, 300);
    assert!(publish(&disk).await.unwrap_err().may_pass());
    assert!(objects(&disk.archive).await.contains_key("sealed/001.p/44"));
    faulty.left.store(u64::MAX, Ordering::SeqCst);
    append(&mut disk, 300);
    publish(&disk).await.unwrap();
    let partial = |path: &String| path.contains(".p/");
    let left: Vec<_> = objects(&disk.archive).await.into_keys().filter(partial).collect();
    // Of the tile above, which is not full, both stay: they tell nothing of any entry.
    let above = ["tile/1/000.p/1", "tile/1/000.p/2"];
    assert_eq!(left, ["sealed/002.p/88", "tile/0/002.p/88", above[0], above[1], "tile/entries/002.p/88"]);
}

#[tokio::test]
async fn retention_takes_what_is_left_of_narrower_bundles_too() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut disk = disk(folder.path(), &place).await;
    append(&mut disk, 600);
    publish(&disk).await.unwrap();
    // As a process left it that ended before it could take it away.
    let narrow = bundle::encode(CLUSTER, TileId::new(0, 1, 44).unwrap(), &(256..300).map(frame).collect::<Vec<_>>());
    disk.archive.objects().put("sealed/001.p/44", narrow.into()).await.unwrap();
    assert_eq!(disk.archive.retire(Duration::ZERO, latchkey_domain::UnixMillis::LAST).await.unwrap(), 2);
    let left: Vec<_> = objects(&disk.archive).await.into_keys().filter(|path| path.starts_with("sealed/")).collect();
    assert_eq!(left, ["sealed/002.p/88"]);
}

#[tokio::test]
async fn what_is_old_enough_goes_and_its_leaves_stay() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut disk = disk(folder.path(), &place).await;
    append(&mut disk, 900);
    publish(&disk).await.unwrap();
    let written = disk.archive.objects().head("sealed/000").await.unwrap().unwrap().written_unix_ms;
    let now = latchkey_domain::UnixMillis::new(u64::try_from(written).unwrap() + 50_000);
    assert_eq!(disk.archive.retire(Duration::from_secs(90), now).await.unwrap(), 0);
    assert_eq!(disk.archive.retire(Duration::from_secs(30), now).await.unwrap(), 3, "one is not full yet");
    for archive in [disk.archive.clone(), Archive::open(&place).await.unwrap()] {
        assert_eq!(archive.kept_from(), 768);
        assert_eq!((archive.sealed(767).await.unwrap(), archive.sealed_block(0).await.unwrap()), (None, None));
        assert_eq!(archive.sealed(768).await.unwrap(), Some(frame(768)));
        assert_eq!(archive.leaf(3).await.unwrap(), Some(preimage(3)));
        assert_eq!(archive.frontier_at(500).await.unwrap(), tree(500));
    }
    // What should be there and is not, is told.
    disk.archive.objects().delete("sealed/003.p/132").await.unwrap();
    assert!(matches!(disk.archive.sealed(800).await, Err(ArchiveError::Damaged { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whoever checks an archive against a root that he trusts finds each change of each object.
    #[test]
    fn a_byte_that_changed_anywhere_is_found(object in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in 1..=u8::MAX) {
        const SIZE: u64 = 700;
        thread_local! {
            static KEPT: (tokio::runtime::Runtime, BTreeMap<String, Vec<u8>>) = {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let kept = runtime.block_on(async {
                    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
                    let mut disk = disk(folder.path(), &place).await;
                    append(&mut disk, SIZE);
                    publish(&disk).await.unwrap();
                    objects(&disk.archive).await
                });
                (runtime, kept)
            };
        }
        KEPT.with(|(runtime, kept)| runtime.block_on(async {
            let (store, place) = in_memory();
            let changed = object.index(kept.len());
            for (number, (path, bytes)) in kept.iter().enumerate() {
                let mut bytes = bytes.clone();
                if number == changed {
                    let at = at.index(bytes.len());
                    bytes[at] ^= with;
                }
                let path = object_store::path::Path::from(path.as_str());
                store.put_opts(&path, bytes.into(), object_store::PutOptions::default()).await.unwrap();
            }
            let path = kept.keys().nth(changed).unwrap();
            match Archive::open(&place).await {
                Err(error) => assert!(matches!(error, ArchiveError::Damaged { .. }), "{path}: {error}"),
                Ok(archive) => {
                    let found = check(&archive, SIZE, tree(SIZE).root()).await;
                    assert!(found.is_err(), "a byte of {path} was not noticed");
                }
            }
        }));
    }
}
