//! Backups: a consistent cut, proved by who has the key, refused where a byte is another.

mod support;

use latchkey_domain::NodeId;
use latchkey_kms::testing::SwitchableKms;
use latchkey_registry::{BackupFile, BackupPlan};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::three::{owner, propose};
use support::{Ground, Replica};

const DAY: Duration = Duration::from_secs(86_400);

async fn one_with_owners(count: usize) -> (Ground, Replica) {
    let ground = Ground::found(1).await;
    let replica = ground.start(NodeId(1)).await;
    replica.until("it is founded", |registry| registry.core().state().cluster().is_some()).await;
    for number in 0..count {
        propose(&[&replica], &owner(&format!("owner-{number}"))).await;
    }
    (ground, replica)
}

fn plan(folder: &Path) -> BackupPlan {
    BackupPlan { folder: folder.into(), interval: DAY, keep: 2 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_proved_and_tells_what_it_is_of() {
    let (ground, replica) = one_with_owners(20).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = replica.registry.write_backup(&plan(folder.path())).await.expect("there is room");
    let header = written.verify(ground.kms.clone()).await.expect("it is whole");
    assert_eq!((header.cluster, header.node, header.revision.epoch), (ground.cluster, NodeId(1), 1));
    assert_eq!(BackupFile::open(written.path()).expect("it is whole").header(), &header);

    let stranger = Arc::new(SwitchableKms::new([8; 32]));
    let refused = BackupFile::open(written.path()).expect("it is whole").verify(stranger).await;
    let refused = refused.expect_err("nothing opens without the key of its cluster");
    assert!(refused.to_string().contains("key-encryption key"), "{refused}");
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_taken_under_writes_is_a_consistent_cut() {
    let (ground, replica) = one_with_owners(5).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let writing = async {
        for number in 0..60 {
            propose(&[&replica], &owner(&format!("meanwhile-{number}"))).await;
        }
    };
    let plan = plan(folder.path());
    let backing_up = async {
        let mut backups = Vec::new();
        for _ in 0..4 {
            backups.push(replica.registry.write_backup(&plan).await.expect("there is room"));
        }
        backups
    };
    let ((), backups) = tokio::join!(writing, backing_up);
    for backup in &backups[2..] {
        backup.verify(ground.kms.clone()).await.expect("the rows are those of one revision");
    }
    assert!(backups[3].header().revision > backups[0].header().revision);
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 2, "as many as are to be kept, and nothing half made");
    replica.stop().await;
}

/// A byte each at as many places: 1,000 with some hundred bytes between.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_another_or_missing_is_refused_and_nothing_panics() {
    let (ground, replica) = one_with_owners(100).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = replica.registry.write_backup(&plan(folder.path())).await.expect("there is room");
    replica.stop().await;
    let whole = fs::read(written.path()).expect("it was written");
    let damaged = folder.path().join("damaged");
    let mut told = std::collections::BTreeSet::new();
    let mut refused = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).expect("there is room");
        let opened = catch_unwind(|| BackupFile::open(&damaged)).unwrap_or_else(|_| panic!("{what} panics"));
        let error = opened.map(drop).expect_err(what);
        told.insert(error.to_string().split(':').next().unwrap_or_default().replace(&*damaged.to_string_lossy(), "it"));
    };
    for place in 0..1_000 {
        let at = place * whole.len() / 1_000;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (place % 8);
        refused(&bytes, &format!("byte {at} flipped"));
    }
    for place in 0..200 {
        let length = place * whole.len() / 200;
        refused(&whole[..length], &format!("cut to {length} bytes"));
    }
    refused(&[&whole[..], &[0]].concat(), "a byte more");
    println!("{} bytes, 1,000 flips and 200 cuts: {told:?}", whole.len());
    fs::write(&damaged, &whole).expect("there is room");
    let again = BackupFile::open(&damaged).expect("it is whole again");
    again.verify(ground.kms.clone()).await.expect("it is whole again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_the_file_and_ends_with_whoever_reads_it() {
    let (ground, replica) = one_with_owners(50).await;
    let mut stream = replica.registry.backup().await.expect("it is loaded");
    let mut bytes = Vec::new();
    while let Some(piece) = stream.pieces.recv().await {
        bytes.extend_from_slice(&piece.expect("nothing is in its way"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("streamed");
    fs::write(&path, &bytes).expect("there is room");
    let read = BackupFile::open(&path).expect("it is whole");
    assert_eq!(read.header(), &stream.header);
    read.verify(ground.kms.clone()).await.expect("it is whole");

    drop(replica.registry.backup().await.expect("it is loaded"));
    replica.stop().await;
}
