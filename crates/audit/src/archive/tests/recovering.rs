//! A start: what the archive has is not read again, what the journal lost is taken from there, and what contradicts is refused.

use super::*;
use crate::disk::DiskError;
use crate::journal::OpenError;
use std::fs;

fn copied(from: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_start_reads_what_is_not_published_and_the_segment_with_it() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut disk = disk(folder.path(), &place).await;
    for _ in 0..20 {
        append(&mut disk, 60);
    }
    let segments = disk.log.journal().segments().len();
    assert!(segments > 8);
    publish(&disk).await.unwrap();
    append(&mut disk, 10);
    assert!(disk.log.journal().segments().len() <= 2);
    drop(disk);
    let disk = Disk::open(folder.path(), options(), &place).await.unwrap().unwrap();
    assert!(disk.log.journal().first() > 1_000);
    assert_eq!((disk.log.next(), disk.writer.frontier()), (1_210, &tree(1_210)));
    publish(&disk).await.unwrap();
    check(&disk.archive, 1_210, tree(1_210).root()).await.unwrap();
}

#[tokio::test]
async fn segments_that_a_kill_left_after_they_were_published_go_at_the_next_start() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut one = disk(folder.path(), &place).await;
    for _ in 0..10 {
        append(&mut one, 60);
    }
    let before = copied(folder.path());
    publish(&one).await.unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    drop(one);
    assert!(fs::read_dir(before.path()).unwrap().count() > left);
    let again = disk(before.path(), &place).await;
    assert_eq!((again.log.next(), fs::read_dir(before.path()).unwrap().count()), (600, left));
}

#[tokio::test]
async fn a_journal_that_was_lost_goes_on_where_the_archive_ends() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut one = disk(folder.path(), &place).await;
    append(&mut one, 300);
    let older = copied(folder.path());
    append(&mut one, 300);
    publish(&one).await.unwrap();
    drop(one);

    // With nothing of it left, and with an older copy of it.
    for folder in [TempDir::new().unwrap(), older] {
        let mut disk = Disk::open(folder.path(), options(), &place).await.unwrap().unwrap();
        assert_eq!((disk.log.next(), disk.writer.frontier(), disk.log.journal().cluster()), (600, &tree(600), CLUSTER));
        assert_eq!(disk.log.frame(450).await.unwrap(), Some(frame(450)));
        append(&mut disk, 5);
        drop(disk);
        let disk = Disk::open(folder.path(), options(), &place).await.unwrap().unwrap();
        assert_eq!((disk.log.next(), disk.writer.frontier()), (605, &tree(605)));
        for sequence in [0, 299, 300, 599, 604] {
            assert_eq!(disk.log.frame(sequence).await.unwrap(), Some(frame(sequence)), "{sequence}");
        }
    }
}

#[tokio::test]
async fn a_journal_and_an_archive_that_are_two_logs_are_refused() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut one = disk(folder.path(), &place).await;
    append(&mut one, 300);
    publish(&one).await.unwrap();
    drop(one);
    for count in [100, 300, 400] {
        let other = TempDir::new().unwrap();
        let mut journal = Journal::open_or_create(other.path(), CLUSTER, options()).unwrap();
        journal.writer.append(&(1..=count).map(frame).collect::<Vec<_>>()).unwrap();
        drop(journal);
        let refused = Disk::open(other.path(), options(), &place).await.unwrap_err();
        assert!(matches!(refused, DiskError::Journal(OpenError::OtherTree { .. })), "{count}: {refused}");
    }
    let other = TempDir::new().unwrap();
    let refused = Disk::open_or_create(other.path(), options(), &place, ClusterId([9; 16])).await.unwrap_err();
    assert!(matches!(refused, DiskError::Archive(ArchiveError::OtherCluster { .. })), "{refused}");
    // A journal whose beginning went, beside an archive that has none of it.
    let refused = Disk::open(folder.path(), options(), &in_memory().1).await;
    assert!(refused.is_ok_and(|disk| disk.is_some_and(|disk| disk.log.next() == 300)), "its one segment is whole");
}

#[tokio::test]
async fn a_journal_whose_archive_is_gone_is_refused() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut one = disk(folder.path(), &place).await;
    for _ in 0..10 {
        append(&mut one, 60);
    }
    publish(&one).await.unwrap();
    drop(one);
    let refused = Disk::open(folder.path(), options(), &in_memory().1).await.unwrap_err();
    assert!(matches!(refused, DiskError::Journal(OpenError::Damaged { .. })), "{refused}");
    assert!(refused.to_string().contains("expected 0"), "{refused}");
}

/// A folder as it was before there was an archive: frames without preimages.
fn of_old(folder: &Path, count: u64) {
    drop(Journal::open_or_create(folder, CLUSTER, options()).unwrap());
    let path = folder.join(format!("segment-{:020}", 0));
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] = 1;
    let body = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..body]).to_be_bytes();
    bytes[body..].copy_from_slice(&crc);
    for sequence in 0..count {
        let Frame { leaf, tenant, sealed, .. } = frame(sequence);
        let tenant = tenant.map_or(0, |tenant| tenant.0).to_be_bytes();
        let content = [leaf.as_bytes(), &tenant[..], &sealed].concat();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let crc = crc32fast::hash(&[&sequence.to_be_bytes()[..], &length, &content].concat()).to_be_bytes();
        bytes.extend([&length[..], &crc, &content].concat());
    }
    fs::write(path, bytes).unwrap();
}

/// Opens all entries but those of one tenant, whose key was destroyed.
struct Opening;

impl Preimages for Opening {
    async fn preimage(&self, sequence: u64, frame: &Frame) -> Result<Option<Preimage>, Status> {
        Ok(frame.tenant.is_none().then(|| preimage(sequence)))
    }
}

#[tokio::test]
async fn a_folder_from_before_the_archive_is_published_from_its_first_entry_on() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    of_old(folder.path(), 120);
    let mut disk = Disk::open(folder.path(), options(), &place).await.unwrap().unwrap();
    assert_eq!(disk.log.next(), 120);
    append(&mut disk, 180);
    let publisher = Publisher::new(disk.log.clone(), disk.archive.clone(), Opening, CLUSTER, Duration::from_secs(1));
    while publisher.round().await.unwrap() {}
    assert_eq!((disk.archive.size(), disk.archive.frontier()), (300, tree(300)));
    for sequence in 0..300 {
        let known = sequence >= 120 || frame(sequence).tenant.is_none();
        let expected = if known { preimage(sequence) } else { [0; 57] };
        assert_eq!(disk.archive.leaf(sequence).await.unwrap(), Some(expected), "{sequence}");
        let sealed = disk.archive.sealed(sequence).await.unwrap().unwrap();
        assert_eq!((sealed.leaf, sealed.sealed), (frame(sequence).leaf, frame(sequence).sealed));
    }
    drop(disk);
    let disk = Disk::open(folder.path(), options(), &place).await.unwrap().unwrap();
    assert_eq!(disk.writer.frontier(), &tree(300));
}

#[tokio::test]
async fn a_folder_from_before_the_archive_without_an_entry_is_begun_anew() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    of_old(folder.path(), 0);
    let mut one = disk(folder.path(), &place).await;
    append(&mut one, 2);
    drop(one);
    let one = disk(folder.path(), &place).await;
    assert_eq!(one.log.frame(1).await.unwrap(), Some(frame(1)));
}

#[tokio::test]
async fn tiles_above_the_leaves_that_a_kill_left_too_wide_are_made_again() {
    let (folder, (_, place)) = (TempDir::new().unwrap(), in_memory());
    let mut one = disk(folder.path(), &place).await;
    append(&mut one, 600);
    publish(&one).await.unwrap();
    append(&mut one, 600);
    publish(&one).await.unwrap();
    drop(one);
    // As if it had been one round, of which the last tiles of leaves were not written.
    let archive = Archive::open(&place).await.unwrap();
    for path in ["tile/0/003", "tile/0/004.p/176", "tile/1/000.p/2"] {
        archive.objects().delete(path).await.unwrap();
    }
    let archive = Archive::open(&place).await.unwrap();
    assert_eq!((archive.size(), archive.frontier()), (768, tree(768)));
    let _ = archive.nodes(&latchkey_transparency::root_nodes(768)).await.unwrap();
    let disk = disk(folder.path(), &place).await;
    publish(&disk).await.unwrap();
    check(&disk.archive, 1_200, tree(1_200).root()).await.unwrap();
}
