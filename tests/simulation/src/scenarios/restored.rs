//! What a cluster is after it was restored, to those who knew it before.

use super::Scenario;
use super::barrier::{keys_everywhere, led};
use crate::furniture::Furniture;
use crate::ground::Profile;
use crate::net::address_of;
use crate::world::{Outcome, World};
use latchkey_domain::planted::Plant;
use latchkey_domain::{NodeId, Revision};
use latchkey_registry::{BackupPlan, Member, NewEpoch, Remains, store_folder};
use latchkey_storage::{Options, SledStore, Store as _};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

/// A number that no replica had.
const NEW: NodeId = NodeId(9);

pub(super) const RESTORED: Scenario = Scenario {
    name: "restored",
    story: "A cluster is backed up, goes on, and is lost. It is restored: callers who pass back a revision from after the \
            backup must not take what they are answered for something that knows it. So every revision of the restored \
            cluster is newer than any that was ever seen.",
    finds: Plant::RevisionBackOnRestore,
    run: restored,
};

fn restored(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 2)?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let leader = led(&mut world)?;
    let registry = world.machine(leader).process().expect("it leads");
    let plan = BackupPlan { folder: folder.path().into(), interval: WITHIN, keep: 1 };
    let backing_up = async move { registry.write_backup(&plan).await.map(|file| file.path().to_owned()) };
    let backup = world.call("a backup", WITHIN, backing_up)?;
    let backup = backup.map_err(|error| world.failure("the disk", error.to_string()))?;
    // What the backup does not know, and callers do.
    keys_everywhere(&mut world, &furniture, 5)?;
    let seen = world.running().iter().map(|(_, registry)| registry.core().state().revision()).max();
    let seen = seen.expect("three replicas run");
    for node in world.nodes() {
        world.crash(node, true);
    }
    let data = folder.path().join("data");
    let restoring = restore(&world, &backup, &data);
    // In real time: what is restored is no replica yet.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let restored =
        runtime.block_on(restoring).map_err(|error| world.failure("a backup restores", error.to_string()))?;
    if restored > seen {
        return Ok(());
    }
    let what = format!("callers have seen {seen}, and the restored cluster goes on from {restored}");
    Err(world.failure("revisions go forward", what))
}

/// Restores a backup into a new folder. Tells where it stands, by the epoch that the folder names.
async fn restore(world: &World, backup: &Path, data: &Path) -> Result<Revision, Box<dyn Error>> {
    let member = Member { region: "south".into(), raft_address: address_of(NEW), address: address_of(NEW) };
    let remains = Remains::of_backup(backup, world.ground.kms.clone()).await?;
    let gone_on = remains.go_on(data, NewEpoch { epoch: None, node: NEW, member, after: None }).await?;
    let store = SledStore::open(&store_folder(data), &Options::default())?;
    Ok(Revision::new(store.facts().epoch, gone_on.revision.index))
}
