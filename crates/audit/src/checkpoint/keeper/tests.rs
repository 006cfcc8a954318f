use super::*;
use crate::archive::{Place, Preimages, Publisher};
use crate::checkpoint::CheckpointKey;
use crate::disk::Disk;
use crate::journal::{Frame, JournalOptions, Preimage};
use latchkey_domain::{ClusterId, KeyspaceName, NodeId, Refusal, Revision, Sequence, VersionId};
use latchkey_link::evidence::Gathered as Seen;
use latchkey_link::{Barrier, Following, ObservingReplica, ProvenIdentity, Query, Selected};
use latchkey_state::cosigner_name;
use latchkey_transparency::note::{Note, SignerKey};
use latchkey_transparency::{Handover, leaf_preimage};
use latchkey_transport::status;
use latchkey_wire::applied::{Proposed, Told};
use latchkey_wire::disk::write_checkpoint;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use object_store::memory::InMemory;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use tempfile::TempDir;

const CLUSTER: ClusterId = ClusterId([0xC1; 16]);
const NODES: [u64; 3] = [1, 2, 3];

/// What a replica says when it is asked to vouch.
#[derive(Clone, Copy, Debug)]
enum Says {
    Yes,
    No,
    Nothing,
}

/// Three replicas and what the cluster knows of the log.
#[derive(Debug)]
struct World {
    says: [Says; 3],
    recorded: Option<AuditCheckpoint>,
    /// Recorded by another audit service while the replicas are asked.
    meanwhile: Option<AuditCheckpoint>,
    /// How many entries the cluster has; absent: more than there are here.
    size: Option<u64>,
}

#[derive(Debug)]
struct Cluster(Mutex<World>);

impl Cluster {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

fn cosigner(node: u64) -> SignerKey {
    let seed = [u8::try_from(node).unwrap(); 32];
    SignerKey::new(&cosigner_name(CLUSTER, NodeId(node)), Algorithm::CosignatureV1, &seed).unwrap()
}

impl Vouching for Cluster {
    async fn cosigners(&self, _: Instant) -> Result<Vec<ObservingReplica>, Status> {
        let replica =
            |node| ObservingReplica { node: NodeId(node), region: "here".to_owned(), address: "x:1".to_owned() };
        Ok(NODES.map(replica).into())
    }

    async fn cosign(
        &self,
        by_replica: &ObservingReplica,
        _: [u8; 32],
        note: &str,
        _: Instant,
    ) -> Result<pb::CosignResponse, Status> {
        let mut world = self.world();
        world.recorded = world.meanwhile.or(world.recorded);
        let (node, note) = (by_replica.node.0, Note::parse(note).unwrap());
        match world.says[usize::try_from(node).unwrap() - 1] {
            Says::Yes => {
                let signer = cosigner(node);
                let line = signer.cosign(1_700_000_000, note.text()).to_string();
                Ok(pb::CosignResponse { node_key: signer.verifier().public().to_vec(), line })
            }
            Says::No => {
                let problem = "expected another root".to_owned();
                Err(status::refused(&Refusal::CheckpointConflict { size: 1, problem }))
            }
            Says::Nothing => Err(status::deadline_exceeded()),
        }
    }
}

impl Registry for Cluster {
    async fn cluster(&self, _: Instant) -> Result<ClusterId, Status> {
        Ok(CLUSTER)
    }

    async fn propose(&self, command: &Command, _: Instant) -> Result<Proposed, Status> {
        let Operation::RecordCheckpoint { checkpoint, .. } = command.operation else { panic!("{command:?}") };
        self.world().recorded = Some(checkpoint);
        Ok(Proposed { revision: Revision::new(1, 1), replayed: false, answer: Ok(Told::Done) })
    }

    async fn query(&self, _: Query, _: Consistency, _: Instant) -> Result<pb::QueryResponse, Status> {
        let cosigners = NODES.map(|node| pb::AuditCosigner {
            node_id: node,
            region: "here".to_owned(),
            node_key: cosigner(node).verifier().public().to_vec(),
            retired: false,
        });
        let size = self.world().size;
        let recorded = self.world().recorded;
        let answer = pb::AuditLogAnswer {
            feature_level: LEVEL,
            tree_epoch: 0,
            tree_index: 0,
            kept_from: 0,
            size: size.unwrap_or(1_000_000),
            root: vec![0; 32],
            checkpoint: recorded.as_ref().map(write_checkpoint),
            cosigners: cosigners.into(),
        };
        Ok(pb::QueryResponse { revision: Some(Revision::new(1, 1).into()), answer: Some(Answer::AuditLog(answer)) })
    }

    async fn confirm(&self, _: Barrier, _: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        unreachable!("a checkpoint waits for no barrier")
    }

    async fn select(&self, _: &KeyspaceName, _: &str, _: Instant) -> Result<Selected, Status> {
        unreachable!("a checkpoint is of no keys")
    }

    async fn evidence(&self, _: &[VersionId], _: bool, _: Instant) -> Result<Seen, Status> {
        unreachable!("a checkpoint is of no keys")
    }

    async fn follow(&self, _: Sequence, _: Instant) -> Result<Following, Status> {
        unreachable!("somebody else follows")
    }

    async fn authenticate(&self, _: &str, _: Option<IpAddr>, _: Instant) -> Result<ProvenIdentity, Status> {
        unreachable!("nobody asks")
    }
}

struct Nobody;

impl Preimages for Nobody {
    async fn preimage(&self, _: u64, _: &Frame) -> Result<Option<Preimage>, Status> {
        unreachable!("each entry is stored with its preimage")
    }
}

/// An audit service with its disk, of which rounds are carried out one by one.
struct House {
    folder: TempDir,
    disk: Disk,
    cluster: Arc<Cluster>,
    checkpoints: Checkpoints<Cluster>,
}

impl House {
    /// With so many entries in the journal, none of them published.
    async fn with(stored: u64, says: [Says; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Store(Arc::new(InMemory::new()));
        let journal = folder.path().join("journal");
        let disk = Disk::open_or_create(&journal, JournalOptions::default(), &place, CLUSTER).await.unwrap();
        let key = CheckpointKey::open_or_make(&folder.path().join("key"), &mut OsEntropy).unwrap();
        let cluster = Arc::new(Cluster(Mutex::new(World { says, recorded: None, meanwhile: None, size: None })));
        let signer = Some(Signer::open(key).unwrap());
        let checkpoints = Checkpoints::new(cluster.clone(), disk.archive.clone(), signer, stored);
        let mut house = Self { folder, disk, cluster, checkpoints };
        house.append(stored);
        house
    }

    fn append(&mut self, count: u64) {
        let next = self.disk.log.next();
        let frame = |sequence| {
            Frame::new(leaf_preimage(1, Sequence(sequence), Revision::new(1, sequence), &[7; 32]), None, vec![1; 40])
        };
        self.disk.writer.append(&(next..next + count).map(frame).collect::<Vec<_>>()).unwrap();
    }

    async fn publish(&self) {
        let (log, archive) = (self.disk.log.clone(), self.disk.archive.clone());
        let publisher = Publisher::new(log, archive, Nobody, CLUSTER, Duration::from_secs(1));
        while publisher.round().await.unwrap() {}
    }

    async fn round(&mut self) -> Result<(), String> {
        match self.checkpoints.round().await {
            Ok(()) => Ok(()),
            Err(End::Again(status)) => panic!("{status:?}"),
            Err(End::Fork(fork)) => Err(fork.what),
        }
    }

    /// The replicas whose lines are below the checkpoint that is shown, each of which verifies.
    async fn vouchers(&self) -> Vec<u64> {
        let shown = self.disk.archive.checkpoint().await.unwrap().expect("one is shown");
        let note = Note::parse(std::str::from_utf8(&shown).unwrap()).unwrap();
        let vouches = |node: &u64| note.open(&[cosigner(*node).verifier().clone()]).is_ok();
        NODES.into_iter().filter(vouches).collect()
    }

    /// Of how many entries the recorded checkpoint is.
    fn recorded(&self) -> Option<u64> {
        self.cluster.world().recorded.map(|recorded| recorded.size)
    }

    fn bound(&self) -> u64 {
        *self.checkpoints.bound().borrow()
    }
}

#[tokio::test(start_paused = true)]
async fn one_replica_that_refuses_stops_nothing_and_a_majority_stops_the_service() {
    let mut house = House::with(5, [Says::No, Says::Nothing, Says::Nothing]).await;
    house.publish().await;
    house.round().await.expect("one bad replica while the others are away is no fork");
    assert_eq!(house.recorded(), None);
    house.cluster.world().says = [Says::No, Says::Yes, Says::Nothing];
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.bound()), (Some(5), 5));
    // Those who watch signing hear of the one that refuses, until it does no more.
    house.checkpoints.measure();
    let signing = house.checkpoints.signing().borrow().clone();
    assert!(signing.signed == 5 && signing.refused.is_some_and(|said| said.contains("replica 1")));
    house.append(1);
    house.publish().await;
    house.checkpoints.measure();
    tokio::time::advance(Duration::from_secs(700)).await;
    house.checkpoints.measure();
    assert_eq!(house.checkpoints.signing().borrow().waits, Duration::from_secs(700));
    house.cluster.world().says = [Says::Yes; 3];
    house.round().await.unwrap();
    house.checkpoints.measure();
    let signing = house.checkpoints.signing().borrow().clone();
    assert_eq!(signing, Signing { is_on: true, signed: 6, ..Signing::default() });
    house.append(1);
    house.publish().await;
    house.cluster.world().says = [Says::No, Says::Yes, Says::No];
    let told = house.round().await.unwrap_err();
    assert!(told.contains("2 replicas have another log than this one, and 1 have this one"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn replicas_that_refuse_what_another_audit_service_overtook_are_no_fork() {
    let mut house = House::with(5, [Says::No; 3]).await;
    house.publish().await;
    house.cluster.world().meanwhile = Some(AuditCheckpoint { size: 9, root: Hash::new([1; 32]), key: [3; 32] });
    house.round().await.expect("another service recorded more while this one asked");
    assert_eq!(house.recorded(), Some(9));
    // It waits until it has more itself.
    house.round().await.unwrap();
    assert_eq!(house.recorded(), Some(9));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_vouches_the_first_checkpoint_waits_for_a_minute_and_those_after_it_do_not() {
    let mut house = House::with(5, [Says::Nothing; 3]).await;
    house.publish().await;
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.bound()), (None, 0));
    tokio::time::advance(ALONE_AFTER).await;
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.bound()), (Some(5), 5));
    for more in 6..9 {
        house.append(1);
        house.publish().await;
        house.round().await.unwrap();
        assert_eq!((house.recorded(), house.bound()), (Some(more), more), "nobody waits for them a second time");
    }
    house.cluster.world().says[1] = Says::Yes;
    house.append(1);
    house.publish().await;
    house.round().await.unwrap();
    house.cluster.world().says[1] = Says::Nothing;
    house.append(1);
    house.publish().await;
    house.round().await.unwrap();
    assert_eq!(house.recorded(), Some(9), "whoever was there is waited for");
}

#[tokio::test(start_paused = true)]
async fn who_was_away_when_a_checkpoint_was_signed_vouches_for_it_though_the_log_grows_no_more() {
    let mut house = House::with(5, [Says::Yes, Says::Nothing, Says::Nothing]).await;
    house.publish().await;
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.vouchers().await), (Some(5), vec![1]));
    // Whoever vouched for it may be away now, and is not forgotten.
    house.cluster.world().says = [Says::Nothing, Says::Yes, Says::Nothing];
    house.round().await.unwrap();
    assert_eq!(house.vouchers().await, [1], "nobody is asked in each round");
    tokio::time::advance(ASK_AGAIN).await;
    house.round().await.unwrap();
    assert_eq!(house.vouchers().await, [1, 2]);
    house.cluster.world().says[2] = Says::Yes;
    tokio::time::advance(ASK_AGAIN).await;
    house.round().await.unwrap();
    assert_eq!(house.vouchers().await, [1, 2, 3]);
    // A line is of one checkpoint.
    house.append(1);
    house.publish().await;
    house.cluster.world().says = [Says::Nothing, Says::Nothing, Says::Yes];
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.vouchers().await), (Some(6), vec![3]));
}

#[tokio::test(start_paused = true)]
async fn while_an_old_folder_is_published_nothing_is_signed_and_the_cluster_may_forget() {
    let mut house = House::with(9_000, [Says::Nothing; 3]).await;
    let (log, archive) = (house.disk.log.clone(), house.disk.archive.clone());
    let publisher = Publisher::new(log, archive, Nobody, CLUSTER, Duration::from_secs(1));
    assert!(publisher.round().await.unwrap(), "more than a round");
    house.round().await.unwrap();
    tokio::time::advance(ALONE_AFTER * 2).await;
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.bound()), (None, UNBOUNDED));
    publisher.round().await.unwrap();
    house.cluster.world().says = [Says::Yes; 3];
    house.round().await.unwrap();
    assert_eq!((house.recorded(), house.bound()), (Some(9_000), 9_000));
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_the_log_of_the_cluster_is_signed_for_nobody() {
    // Another log began, and whoever follows has not found out yet: under its name this tree would be a fork.
    let mut house = House::with(9, [Says::Nothing; 3]).await;
    house.publish().await;
    house.cluster.world().size = Some(8);
    house.round().await.unwrap();
    tokio::time::advance(ALONE_AFTER * 2).await;
    house.round().await.unwrap();
    assert_eq!((house.recorded(), *house.checkpoints.signed().borrow()), (None, 0));
    house.cluster.world().size = Some(9);
    house.cluster.world().says = [Says::Yes; 3];
    house.round().await.unwrap();
    assert_eq!(house.recorded(), Some(9));
}

#[tokio::test(start_paused = true)]
async fn whose_key_is_taken_away_says_so_and_asks_the_cluster_to_forget_no_more_than_was_signed() {
    let mut house = House::with(5, [Says::Yes; 3]).await;
    let unsigned = |house: &House| Checkpoints::new(house.cluster.clone(), house.disk.archive.clone(), None, 5);
    house.publish().await;
    let without = unsigned(&house);
    let signing = std::mem::replace(&mut house.checkpoints, without);
    house.round().await.unwrap();
    house.checkpoints.measure();
    tokio::time::advance(Duration::from_secs(700)).await;
    house.checkpoints.measure();
    assert_eq!(
        (house.bound(), house.checkpoints.signing().borrow().waits),
        (UNBOUNDED, Duration::ZERO),
        "never signed"
    );
    house.checkpoints = signing;
    house.round().await.unwrap();
    house.checkpoints = unsigned(&house);
    house.round().await.unwrap();
    house.checkpoints.measure();
    assert_eq!((house.bound(), house.checkpoints.signing().borrow().waits), (5, Duration::ZERO), "all is covered");
    house.append(1);
    house.publish().await;
    house.round().await.unwrap();
    house.checkpoints.measure();
    tokio::time::advance(Duration::from_secs(700)).await;
    house.round().await.unwrap();
    house.checkpoints.measure();
    assert_eq!((house.bound(), house.checkpoints.signing().borrow().waits), (5, Duration::from_secs(700)));
}

#[tokio::test(start_paused = true)]
async fn the_log_goes_on_under_another_key_and_its_cosigners_follow() {
    let mut house = House::with(5, [Says::Yes; 3]).await;
    house.publish().await;
    house.round().await.unwrap();
    let key = |name: &str| CheckpointKey::open_or_make(&house.folder.path().join(name), &mut OsEntropy).unwrap();
    let (old, new) = (key("key").public(), key("new").public());
    let signer = Signer::open(key("new")).unwrap().after(key("key")).unwrap();
    house.checkpoints = Checkpoints::new(house.cluster.clone(), house.disk.archive.clone(), Some(signer), 5);
    let (keys, handovers) = (house.checkpoints.keys(), house.checkpoints.handovers());
    let archive = house.disk.archive.clone();
    let stored = async || {
        let stored = archive.objects().get("checkpoint").await.unwrap().unwrap();
        Note::parse(std::str::from_utf8(&stored).unwrap()).unwrap()
    };
    // Nothing old is signed anew, and what is shown is still verified by the key that is listed.
    house.round().await.unwrap();
    assert_eq!((keys.borrow()[0].public(), keys.borrow().len(), handovers.borrow().len()), (old, 4, 0));
    let listed = keys.borrow()[0].clone();
    assert_eq!(Checkpoint::open(&stored().await, &listed, &[]).unwrap().0.size, 5);
    house.append(1);
    house.publish().await;
    house.round().await.unwrap();
    assert_eq!(house.cluster.world().recorded.map(|recorded| (recorded.size, recorded.key)), Some((6, new)));
    let shown = keys.borrow().clone();
    assert_eq!(shown[0].public(), new);
    let (checkpoint, vouchers) = Checkpoint::open(&stored().await, &shown[0], &shown[1..]).unwrap();
    assert_eq!((checkpoint.size, vouchers.len()), (6, 4), "the new key and all three replicas");
    let handovers = handovers.borrow().concat();
    let [(_, said)] = &Handover::open_all(&handovers).unwrap()[..] else { panic!("{handovers}") };
    assert_eq!((said.old.public(), said.new.public(), said.last.size), (old, new, 5));
}
