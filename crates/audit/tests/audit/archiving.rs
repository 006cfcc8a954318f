//! The archive beside a follower: pages and restoring read it, and what is destroyed leaves a tree that verifies.

use crate::script::{CLUSTER, Script};
use crate::setting::{Following, everything, options};
use latchkey_audit::archive::Place;
use latchkey_audit::exporting::{Filter, Source as _};
use latchkey_audit::{Before, Cursor, later};
use latchkey_crypto::DataKey;
use latchkey_domain::{TenantNumber, UnixMillis};
use latchkey_transparency::{EntryTile, Resource, Tile, TileId};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const COUNT: u64 = 1_200;
const SOON: Duration = Duration::from_millis(1);

#[tokio::test]
async fn pages_are_read_from_the_archive_and_the_journal_alike() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = Following::archived(&script, folder.path(), options(), SOON).await;
    following.published(COUNT).await;
    script.happen((COUNT..COUNT + 100).map(crate::script::usual));
    following.stored(COUNT + 100).await;
    assert!(following.reader.first() > 500, "most is in the archive alone");
    let all = following.all(&everything(), Cursor::From(0), 97).await;
    assert!((0..).zip(&all).all(|(sequence, found)| found.event.sequence.0 == sequence));
    assert_eq!(all.len() as u64, COUNT + 100);
    let mut down = following.all(&everything(), Cursor::Below(u64::MAX), 101).await;
    down.reverse();
    assert!(down.iter().map(|found| &found.event).eq(all.iter().map(|found| &found.event)));
    following.stop().await;
}

#[tokio::test]
async fn a_tenant_that_was_destroyed_leaves_a_tree_that_verifies_and_no_entry() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = Following::archived(&script, folder.path(), options(), SOON).await;
    following.published(COUNT).await;
    let before = following.all(&everything(), Cursor::From(0), 500).await;
    let theirs = before.iter().filter(|found| found.told.tenant == Some(TenantNumber(4))).count();
    following.stop().await;
    assert!(theirs > 100, "{theirs}");

    script.destroy(TenantNumber(4));
    let following = Following::archived(&script, folder.path(), options(), SOON).await;
    let after = following.all(&everything(), Cursor::From(0), 500).await;
    assert_eq!(after.len(), before.len() - theirs);
    assert!(after.iter().all(|found| found.told.tenant != Some(TenantNumber(4))));

    // Whoever has the root checks each leaf, theirs too, with nobody's key.
    let archive = following.archive();
    assert_eq!(archive.frontier_at(COUNT).await.unwrap().root(), script.root());
    for id in TileId::all(COUNT).filter(|id| id.level() == 0) {
        let tile = archive.public(Resource::Tile(id)).await.unwrap().unwrap();
        let entries = archive.public(Resource::Entries(id)).await.unwrap().unwrap();
        assert_eq!(EntryTile::decode(id, &entries).unwrap().tile(), Tile::decode(id, &tile).unwrap());
    }
    following.stop().await;
}

#[tokio::test]
async fn entries_that_were_not_kept_are_passed_over() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = Following::archived(&script, folder.path(), options(), SOON).await;
    following.published(COUNT).await;
    let gone = following.archive().retire(Duration::ZERO, UnixMillis::LAST).await.unwrap();
    assert_eq!((gone, following.archive().kept_from()), (4, 1_024));
    let first = following.reader.first().min(1_024);
    let up = following.all(&everything(), Cursor::From(0), 97).await;
    assert!((first..).zip(&up).all(|(sequence, found)| found.event.sequence.0 == sequence));
    let down = following.all(&everything(), Cursor::Below(u64::MAX), 97).await;
    assert_eq!((up.len() as u64, down.len()), (COUNT - first, up.len()));
    // A sink that was away is told how many are gone, and goes on with the first that is there.
    let batch = following.entries.read(100, 10, &Filter::default()).await.unwrap();
    assert_eq!((batch.records.len(), batch.next, batch.missed), (0, first, first - 100));
    let batch = following.entries.read(batch.next, 10, &Filter::default()).await.unwrap();
    assert_eq!((batch.records[0].sequence(), batch.missed, following.entries.first()), (first, 0, first));
    following.stop().await;
    // Restoring hears of the leaves of those, and of the rest.
    let key =
        |number: latchkey_domain::RingNumber| Some(Arc::new(DataKey::new([u8::try_from(number.0 - 100).unwrap(); 32])));
    let place = Place::of("", folder.path());
    let told = later(folder.path(), &place, CLUSTER, &Before::default(), key, |_| true).await.unwrap();
    assert_eq!((told.kept.len() as u64, told.sealed, told.tree.root()), (COUNT - first, first, script.root()));
}

#[tokio::test]
async fn whoever_goes_on_from_an_older_state_hears_what_the_archive_has() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = Following::archived(&script, folder.path(), options(), SOON).await;
    following.published(COUNT).await;
    let tree = following.archive().frontier_at(100).await.unwrap();
    following.stop().await;
    let key =
        |number: latchkey_domain::RingNumber| Some(Arc::new(DataKey::new([u8::try_from(number.0 - 100).unwrap(); 32])));
    let (place, before) = (Place::of("", folder.path()), Before { tree, had: 100 });
    let told = later(folder.path(), &place, CLUSTER, &before, key, |_| true).await.unwrap();
    assert_eq!((told.kept.len() as u64, told.sealed, told.tree.root()), (COUNT - 100, 0, script.root()));
    // Without what is in the journal still, the archive alone tells as much.
    let copy = TempDir::new().unwrap();
    let told = later(copy.path(), &place, CLUSTER, &before, key, |_| true).await.unwrap();
    assert_eq!((told.kept.len() as u64, told.tree.root()), (COUNT - 100, script.root()));
}
