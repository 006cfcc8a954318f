//! What an audit log tells whoever goes on from an older state.

use crate::script::{CLUSTER, Script};
use crate::setting::{Following, options};
use latchkey_audit::archive::Place;
use latchkey_audit::journal::Journal;
use latchkey_audit::{Before, Later, LaterError, Told};
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, RingNumber};
use latchkey_transparency::{Frontier, Hash};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Events of the script; enough for several segments.
const EVENTS: u64 = 300;

/// The keys of the script, but for those of one tenant.
fn key_but_of_tenant_4(number: RingNumber) -> Option<Arc<DataKey>> {
    let tenant = u8::try_from(number.0 - 100).unwrap();
    (tenant != 4).then(|| Arc::new(DataKey::new([tenant; 32])))
}

fn is_revocation(told: &Told) -> bool {
    told.action == "key.revoked"
}

async fn stored() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let following = Following::begin(&Script::with(EVENTS), folder.path(), options());
    following.stored(EVENTS).await;
    following.stop().await;
    folder
}

/// What the log in this folder tells of revocations.
async fn later(
    folder: &Path,
    cluster: ClusterId,
    before: &Before,
    key: impl FnMut(RingNumber) -> Option<Arc<DataKey>> + Send,
) -> Result<Later, LaterError> {
    latchkey_audit::later(folder, &Place::of("", folder), cluster, before, key, is_revocation).await
}

/// A state that knows this tree, all of which the audit service had.
fn knows(tree: &Frontier) -> Before {
    Before { tree: tree.clone(), had: tree.size() }
}

/// The tree of the first entries.
fn tree(folder: &Path, size: u64) -> Frontier {
    let reader = Journal::open(folder, options()).unwrap().unwrap().reader;
    let mut tree = Frontier::new();
    while tree.size() < size {
        let block = reader.block(tree.size()).unwrap().unwrap();
        let left = usize::try_from(size - tree.size()).unwrap();
        block.frames.iter().take(left).for_each(|frame| tree.push(frame.leaf));
    }
    tree
}

#[tokio::test]
async fn what_came_after_a_state_is_told_and_counted() {
    let folder = stored().await;
    let before = knows(&tree(folder.path(), 100));
    let told = later(folder.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap();
    assert_eq!(told.tree, tree(folder.path(), EVENTS), "the cluster goes on with the tree of the audit log");
    assert_eq!((told.epoch, told.sealed), (1, 50), "a quarter is of a tenant that the state does not know");
    assert_eq!(told.counts.values().sum::<u64>(), 150);
    assert_eq!(told.kept.len() as u64, told.counts["key.revoked"]);
    assert!(told.kept.iter().all(is_revocation) && told.kept.is_sorted_by_key(|one| one.at));
    // Whoever knows all hears of nothing.
    let all = later(folder.path(), CLUSTER, &knows(&told.tree), key_but_of_tenant_4).await.unwrap();
    assert_eq!((all.epoch, all.counts.len(), all.tree.size()), (0, 0, EVENTS));
}

#[tokio::test]
async fn a_log_that_does_not_go_on_from_the_state_is_refused() {
    let folder = stored().await;
    let mut other = Frontier::new();
    (0..100).for_each(|_| other.push(Hash::new([7; 32])));
    let refused = later(folder.path(), CLUSTER, &knows(&other), key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::OtherTree { size: 64, .. }), "by its first peak: {refused}");
    let before = knows(&tree(folder.path(), 100));
    let refused = later(folder.path(), ClusterId([1; 16]), &before, key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::OtherCluster { .. }), "{refused}");
    let refused = later(&folder.path().join("none"), CLUSTER, &before, key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::Nothing { .. }), "{refused}");
}

#[tokio::test]
async fn a_log_that_is_older_than_the_state_cannot_tell_what_came_after_it() {
    let folder = stored().await;
    let mut newer = tree(folder.path(), EVENTS);
    newer.push(Hash::new([7; 32]));
    // The last entry had not come yet: the state has it itself, and nothing is missing.
    let before = Before { tree: newer.clone(), had: EVENTS };
    assert!(later(folder.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap().kept.is_empty());
    // It had come: this is a copy from before, and what it lacks may be revocations.
    let refused = later(folder.path(), CLUSTER, &knows(&newer), key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::TooOld { size: EVENTS, had: 301, .. }), "{refused}");
}

#[tokio::test]
async fn another_log_is_refused_though_it_is_shorter_than_that_of_the_state() {
    let folder = stored().await;
    // As long as that of the state was when audit last told; which of it the state knows are its peaks, of 256, 32 and 8 entries.
    let mut other = Frontier::new();
    (0..EVENTS + 5).for_each(|_| other.push(Hash::new([7; 32])));
    let before = Before { tree: other, had: EVENTS - 5 };
    let refused = later(folder.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::OtherTree { size: 256.., .. }), "{refused}");
    // Its own goes on, from wherever.
    let mut own = tree(folder.path(), EVENTS);
    (0..5).for_each(|_| own.push(Hash::new([7; 32])));
    let before = Before { tree: own, had: EVENTS - 5 };
    assert_eq!(later(folder.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap().tree.size(), EVENTS);
}

#[tokio::test]
async fn an_entry_that_does_not_open_by_its_key_is_no_entry_of_somebody_else() {
    let folder = stored().await;
    let before = knows(&tree(folder.path(), 100));
    let wrong = |number: RingNumber| match number.0 {
        102 => Some(Arc::new(DataKey::new([9; 32]))),
        _ => key_but_of_tenant_4(number),
    };
    let refused = later(folder.path(), CLUSTER, &before, wrong).await.unwrap_err();
    assert!(matches!(refused, LaterError::Entry { .. }), "{refused}");
}

fn copied(from: &Path, to: &Path, names: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && names(name) {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[tokio::test]
async fn a_folder_that_was_copied_while_its_service_ran_is_told_as_far_as_it_goes_and_left_as_it_is() {
    let (folder, copy) = (stored().await, tempfile::tempdir().unwrap());
    let before = knows(&tree(folder.path(), 100));
    copied(folder.path(), copy.path(), |name| name.starts_with("segment-"));
    // More comes, is promised, and its witness is copied.
    let following = Following::begin(&Script::with(EVENTS + 40), folder.path(), options());
    following.stored(EVENTS + 40).await;
    following.stop().await;
    copied(folder.path(), copy.path(), |name| name == "witness" || name == "lock");
    let whole = files(copy.path());
    let told = later(copy.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap();
    assert_eq!((told.tree.clone(), told.sealed), (tree(folder.path(), EVENTS), 50));
    assert!(files(copy.path()) == whole, "whoever reads changes nothing");
    // It does not have what the state knows that the service had.
    let newer = knows(&tree(folder.path(), EVENTS + 1));
    let refused = later(copy.path(), CLUSTER, &newer, key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::TooOld { size: EVENTS, had: 301, .. }), "{refused}");

    // Its last entry was being appended.
    let (last, bytes) = whole.iter().rfind(|(name, _)| name.starts_with("segment-")).unwrap();
    fs::write(copy.path().join(last), &bytes[..bytes.len() - 5]).unwrap();
    let cut = files(copy.path());
    let told = later(copy.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap();
    assert_eq!(told.tree, tree(folder.path(), EVENTS - 1));
    assert!(files(copy.path()) == cut);
    // What is there and wrong is damage, and no end: behind it may be revocations.
    let mut wrong = bytes.clone();
    wrong[bytes.len() - 5] ^= 1;
    fs::write(copy.path().join(last), wrong).unwrap();
    let refused = later(copy.path(), CLUSTER, &before, key_but_of_tenant_4).await.unwrap_err();
    assert!(matches!(refused, LaterError::Open(_)), "{refused}");
    // Whoever goes on with such a folder as its service is told that it lacks something.
    fs::write(copy.path().join(last), bytes).unwrap();
    assert!(Journal::open(copy.path(), options()).is_err());
}

#[tokio::test]
async fn what_a_copy_lacks_of_the_journal_is_read_from_the_archive_and_its_files_stay() {
    let (folder, copy) = (stored().await, tempfile::tempdir().unwrap());
    let before = knows(&tree(folder.path(), 100));
    copied(folder.path(), copy.path(), |_| true);
    // All of it is published, and more.
    let script = Script::with(EVENTS + 400);
    let following = Following::archived(&script, folder.path(), options(), Duration::from_millis(1)).await;
    following.published(EVENTS + 400).await;
    following.stop().await;
    let (whole, place) = (files(copy.path()), Place::of("", folder.path()));
    let told = latchkey_audit::later(copy.path(), &place, CLUSTER, &before, key_but_of_tenant_4, is_revocation);
    let told = told.await.unwrap();
    assert_eq!((told.tree.size(), told.counts.values().sum::<u64>()), (EVENTS + 400, 450));
    assert!(files(copy.path()) == whole, "whoever reads changes nothing");
}
