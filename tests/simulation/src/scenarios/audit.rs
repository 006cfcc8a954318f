//! The audit log: who vouches for it, what is published of it, and what is counted beside it.

use super::barrier::{keys_everywhere, led};
use super::{Scenario, broken};
use crate::furniture::{Furniture, propose};
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_audit::archive::{Place, Preimages, Publisher};
use latchkey_audit::checkpoint::{CheckpointKey, Signer};
use latchkey_audit::collect::{Batch, Observed, Options, Taken};
use latchkey_audit::journal::{Frame, JournalOptions, Preimage};
use latchkey_audit::run::{Keys, KeysAway, SealingKey};
use latchkey_audit::{Disk, Halt};
use latchkey_crypto::{DataKey, draw};
use latchkey_domain::planted::Plant;
use latchkey_domain::{ClusterId, NodeId, Revision, RingNumber, Sequence, Slug, TenantNumber};
use latchkey_kms::OsEntropy;
use latchkey_registry::Registry;
use latchkey_state::{Actor, AuditCheckpoint, Command, Operation, log_name};
use latchkey_transparency::note::{Algorithm, Note, SignerKey};
use latchkey_transparency::{Checkpoint, EntryTile, Hash, Tile, TileId, leaf_preimage};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Interceptor as _;
use tonic::{Code, Request, Status};

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

pub(super) const FORGED: Scenario = Scenario {
    name: "forged",
    story: "The audit service signs a checkpoint of a log that never was, and asks each replica to vouch for it. Each knows \
            the root of its own tree, and refuses.",
    finds: Plant::CosignUnseen,
    run: forged,
};

pub(super) const FORKED: Scenario = Scenario {
    name: "forked",
    story: "The disk of the audit service is put back to what it was, and goes on otherwise. What it signed before it must \
            not contradict.",
    finds: Plant::SignUnchecked,
    run: forked,
};

pub(super) const FORGOTTEN: Scenario = Scenario {
    name: "forgotten",
    story: "The audit service records a checkpoint, and then says to have entries that came after it. The replicas keep what no \
            checkpoint covers, so that they can still show it.",
    finds: Plant::TrimUnchecked,
    run: forgotten,
};

pub(super) const LEFT_OUT: Scenario = Scenario {
    name: "left-out",
    story: "Some hundred entries are published. Each leaf of the tree has the entry that it is the hash of beside it.",
    finds: Plant::BundleLeftOut,
    run: left_out,
};

pub(super) const ACKNOWLEDGED_EARLY: Scenario = Scenario {
    name: "acknowledged-early",
    story: "A replica hands over what it observed, forgets it once that is acknowledged, and the audit service is killed. \
            What was acknowledged is there.",
    finds: Plant::AcknowledgeEarly,
    run: acknowledged_early,
};

pub(super) const COUNTED_TWICE: Scenario = Scenario {
    name: "counted-twice",
    story: "The acknowledgement of a batch is lost, so the replica hands it over again. It is counted once.",
    finds: Plant::CountTwice,
    run: counted_twice,
};

fn forged(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 3)?;
    led(&mut world)?;
    let have_keys = |world: &mut World| {
        let told =
            |registry: &Registry| registry.core().state().replicas().filter(|one| one.node_key.is_some()).count();
        world.running().iter().all(|(_, registry)| told(registry) == 3)
    };
    world.until(WITHIN, "every replica has a key to vouch with", have_keys)?;
    let origin = log_name(world.ground.cluster, 0, 0);
    let signer = SignerKey::new(&origin, Algorithm::Ed25519, &[0xA0; 32]).expect("a name and a seed");
    let nodes = world.nodes();
    for node in nodes {
        let Some(registry) = world.machine(node).process() else { continue };
        // Whatever lies in its outbox by now, it knows the root of all that it has.
        let size = registry.core().state().progress().frontier.size();
        let forged = Checkpoint { origin: origin.clone(), size, root: Hash::new([0xF0; 32]) };
        let mut note = Note::new(&forged.text()).expect("a checkpoint is a note");
        note.sign(&signer);
        let request = pb::CosignRequest {
            target: Some(pb::Target { cluster_id: world.ground.cluster.0.to_vec(), epoch: 1, node_id: node.0 }),
            key: signer.verifier().public().to_vec(),
            note: note.to_string(),
        };
        let secret = world.ground.secret.clone();
        let asked = world.call("an answer", WITHIN, async move {
            let mut asked = Request::new(request);
            *asked.metadata_mut() = secret.attach().call(Request::new(()))?.metadata().clone();
            RegistryServiceClient::new(registry.registry_service()).cosign(asked).await.map(drop)
        })?;
        match asked {
            Err(status) if status.code() == Code::FailedPrecondition => {}
            told => {
                let what = format!("asked for a forged checkpoint of {size} entries, {node:?} says {told:?}");
                return Err(world.failure("a replica vouches for its own tree alone", what));
            }
        }
    }
    world.finish()
}

/// Asks for something in the name of the audit service. Whether it was done.
fn as_audit(world: &mut World, operation: Operation) -> Outcome<bool> {
    let audit = Actor::Service(Slug::parse("audit").expect("a word"));
    let (ground, command) = (world.ground.clone(), Command::new(audit, draw(&mut OsEntropy), operation));
    world.call("an answer", WITHIN, async move { propose(&ground, NodeId(1), &command, WITHIN).await.is_some() })
}

fn forgotten(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 3)?;
    let leader = led(&mut world)?;
    let tree = |world: &World| {
        let registry = world.machine(leader).process();
        registry.map(|registry| registry.core().state().progress().frontier.clone()).unwrap_or_default()
    };
    let covered = tree(&world);
    let checkpoint = AuditCheckpoint { size: covered.size(), root: covered.root(), key: [0xA0; 32] };
    let is_recorded = as_audit(&mut world, Operation::RecordCheckpoint { checkpoint, through: None })?;
    keys_everywhere(&mut world, &furniture, 3)?;
    // Whoever is wrong about one entry is as wrong as whoever is about all.
    let last = tree(&world).size() - 1;
    let through = if seed.is_multiple_of(2) { last } else { covered.size() };
    let is_done = as_audit(&mut world, Operation::Trim(Sequence(through)))?;
    world.pass(Duration::from_secs(2))?;
    let kept_from =
        |registry: &Registry| registry.core().state().progress().trimmed.as_ref().map_or(0, |trimmed| trimmed.next.0);
    let kept: Vec<_> = world.running().iter().map(|(node, registry)| (*node, kept_from(registry))).collect();
    if is_recorded && !is_done && through <= last && kept.iter().all(|(_, from)| *from <= covered.size()) {
        return Ok(());
    }
    let what = format!(
        "a checkpoint of {} entries was recorded: {is_recorded}; trimming through {through}: {is_done}; kept from {kept:?}",
        covered.size()
    );
    Err(world.failure("what no checkpoint covers is kept", what))
}

fn forked(seed: u64) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    let open = || Signer::open(CheckpointKey::open_or_make(&key, &mut OsEntropy).expect("a key")).expect("a signer");
    let here =
        |size: u64, root: u8| Checkpoint { origin: "latchkey/test".to_owned(), size, root: Hash::new([root; 32]) };
    open().sign(&here(5, 5), None, (None, None)).expect("the first");
    // The disk was put back: the tree of now is another one where the last checkpoint was.
    let signed = open().sign(&here(7, 8), None, (Some(Hash::new([6; 32])), None));
    match signed {
        Err(_) => Ok(()),
        Ok(signed) => Err(broken("what is signed extends what was signed", format!("{signed:?}"), seed)),
    }
}

/// Each entry comes with its preimage here.
struct Known;

impl Preimages for Known {
    async fn preimage(&self, _: u64, _: &Frame) -> Result<Option<Preimage>, Status> {
        Ok(None)
    }
}

fn left_out(seed: u64) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("archive");
    let size = 700 + seed % 300;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(publish(folder.path(), &archive, size)).expect("a folder can be published into");
    for index in 0..size.div_ceil(256) {
        let id = TileId::at(0, index, size).expect("a tile below the size");
        let read = |path: String| std::fs::read(archive.join(path)).ok();
        let entries = read(id.entries_path()).and_then(|bytes| EntryTile::decode(id, &bytes).ok());
        let hashes = read(id.path()).and_then(|bytes| Tile::decode(id, &bytes).ok());
        if entries.is_none() || entries.map(|entries| entries.tile()) != hashes {
            let what = format!("{} of {size} entries is not what its leaves are the hashes of", id.entries_path());
            return Err(broken("what is published verifies", what, seed));
        }
    }
    Ok(())
}

async fn publish(folder: &Path, archive: &Path, size: u64) -> Result<(), Halt> {
    let place = Place::Folder(archive.to_owned());
    let opened = Disk::open_or_create(&folder.join("journal"), JournalOptions::default(), &place, CLUSTER).await;
    let mut disk = opened.expect("an empty folder opens");
    let frame = |number: u64| {
        let preimage = leaf_preimage(1, Sequence(number), Revision::new(1, number), &[7; 32]);
        Frame::new(preimage, Some(TenantNumber(1)), vec![7; 90])
    };
    disk.writer.append(&(0..size).map(frame).collect::<Vec<_>>()).expect("an empty disk has room");
    let publisher = Publisher::new(disk.log.clone(), disk.archive, Known, CLUSTER, Duration::from_secs(1));
    while publisher.round().await.expect("an empty folder takes all") {}
    Ok(())
}

/// One key for all.
#[derive(Debug)]
struct Ring;

impl Keys for Ring {
    fn key(&self, _: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        Ok(Some(SealingKey { number: RingNumber(1), key: Arc::new(DataKey::new([7; 32])) }))
    }
}

fn open(folder: &Path) -> Observed {
    Observed::open(folder, CLUSTER, Arc::new(Ring), Options::default()).expect("a folder opens")
}

/// The batch of a replica: one request.
fn batch(number: u64) -> Batch {
    let cell = pb::UsageCell {
        tenant: 1,
        key_id: vec![1; 12],
        version_id: vec![1; 12],
        minute: 28_333_440,
        outcomes: vec![0, 1],
        ..Default::default()
    };
    let answer = pb::TakeObservationsResponse {
        node_id: 1,
        incarnation: 1,
        batch: number,
        cells: vec![cell],
        ..Default::default()
    };
    Batch::read(NodeId(1), answer).expect("a batch").expect("it has a number")
}

/// Requests that were counted, as those read them who count by themselves.
fn counted(observed: &Observed) -> u64 {
    let page = observed.raw_read(0, 1_000).expect("what is stored is read");
    page.cells.iter().flat_map(|one| &one.cell.outcomes).sum()
}

fn acknowledged_early(seed: u64) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let observed = open(folder.path());
    observed.raw_hold("a test", 0);
    let batches = 3 + seed % 5;
    for number in 1..=batches {
        observed.take(&batch(number)).expect("there is room");
    }
    let acknowledged = observed.position(NodeId(1)).1;
    // Nothing is written on the way out: as after a kill.
    drop(observed);
    let found = counted(&open(folder.path()));
    if found == acknowledged {
        return Ok(());
    }
    let what = format!("{acknowledged} batches of one request were acknowledged, {found} are there after a kill");
    Err(broken("nothing acknowledged is lost", what, seed))
}

fn counted_twice(seed: u64) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let observed = open(folder.path());
    observed.raw_hold("a test", 0);
    let mut told = Vec::new();
    for number in [1, 1 + seed % 2, 2, 2] {
        told.push(observed.take(&batch(number)).expect("there is room"));
    }
    let found = counted(&observed);
    if found == 2 && told.iter().filter(|one| **one == Taken::New).count() == 2 {
        return Ok(());
    }
    Err(broken(
        "a batch is counted once",
        format!("2 batches of one request were taken as {told:?}: {found} requests"),
        seed,
    ))
}
