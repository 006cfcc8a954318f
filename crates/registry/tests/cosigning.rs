//! Cosigning: three replicas tell their keys, vouch for what is of their own tree, and for nothing else, also after a
//! restart.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use latchkey_domain::{NodeId, Refusal, Sequence, Slug};
use latchkey_link::{FollowItem, Registry as _};
use latchkey_registry::Registry;
use latchkey_state::{Actor, AuditCheckpoint, Command, Operation, State, cosigner_name, log_name};
use latchkey_transparency::note::{Algorithm, Note, Signature, SignerKey, VerifierKey};
use latchkey_transparency::{Checkpoint, Hash};
use latchkey_transport::{Dialer, Peer, Proof};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::sync::Arc;
use support::three::{carry_out, leader, owner, propose, three};
use support::{Ground, Replica};
use tokio_stream::StreamExt as _;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

const AUDIT: [u8; 32] = [0xA0; 32];

/// An audit service of this test, with its own key: whatever it likes to have vouched for.
struct Audit {
    ground: Arc<Ground>,
    seed: [u8; 32],
}

impl Audit {
    fn signer(&self) -> SignerKey {
        SignerKey::new(&log_name(self.ground.cluster, 0, 0), Algorithm::Ed25519, &self.seed).unwrap()
    }

    fn note(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint { origin: log_name(self.ground.cluster, 0, 0), size, root };
        let mut note = Note::new(&checkpoint.text()).unwrap();
        note.sign(&self.signer());
        note.to_string()
    }

    async fn ask(&self, registry: &Registry, note: &str) -> Result<pb::CosignResponse, Status> {
        let node_id = registry.node().0;
        let target = Some(pb::Target { cluster_id: self.ground.cluster.0.to_vec(), epoch: 1, node_id });
        let key = self.signer().verifier().public().to_vec();
        let address = &self.ground.members[&registry.node()].address;
        let channel = Dialer::plain().channel(address, Peer::Replica(registry.node()));
        let proof = Proof::from(self.ground.secret.clone());
        let mut client = RegistryServiceClient::new(InterceptedService::new(channel, proof.attach()));
        let request = Request::new(pb::CosignRequest { target, key, note: note.to_owned() });
        Ok(client.cosign(request).await?.into_inner())
    }

    /// That the replica refuses, and says that it would fork the log.
    async fn refused(&self, registry: &Registry, size: u64, root: Hash) -> String {
        let status = self.ask(registry, &self.note(size, root)).await.expect_err("a replica vouches for nothing else");
        let reason = status.get_details_error_info().map(|info| info.reason);
        assert_eq!(reason.as_deref(), Some("CHECKPOINT_CONFLICT"), "{status:?}");
        status.message().to_owned()
    }

    fn command(&self, checkpoint: AuditCheckpoint, through: Option<Sequence>) -> Command {
        let actor = Actor::Service(Slug::parse("audit").unwrap());
        Command::new(actor, [7; 32], Operation::RecordCheckpoint { checkpoint, through })
    }
}

/// Audit says to have all through this one.
fn trim(through: u64) -> Command {
    let actor = Actor::Service(Slug::parse("audit").unwrap());
    Command::new(actor, [8; 32], Operation::Trim(Sequence(through)))
}

fn tree(state: &State) -> (u64, Hash) {
    (state.progress().frontier.size(), state.progress().frontier.root())
}

async fn until_keys_are_told(replicas: &[Replica]) {
    for replica in replicas {
        let all =
            |registry: &Registry| registry.core().state().replicas().filter(|one| one.node_key.is_some()).count() == 3;
        replica.until("each replica has told its key", all).await;
    }
}

/// Returns the tree once all have it and it rests.
async fn settled(replicas: &[Replica]) -> (u64, Hash) {
    let furthest = replicas.iter().map(|replica| tree(&replica.registry.core().state()).0).max().unwrap();
    for replica in replicas {
        replica.until("it has the tree", |registry| tree(&registry.core().state()).0 >= furthest).await;
    }
    tree(&replicas[0].registry.core().state())
}

fn key_of(registry: &Registry, node: u64) -> [u8; 32] {
    registry.core().state().replica(NodeId(node)).unwrap().node_key.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replica_vouches_for_its_own_tree_and_for_no_other() {
    let (ground, replicas) = three().await;
    until_keys_are_told(&replicas).await;
    let audit = Audit { ground: Arc::new(ground), seed: AUDIT };
    let all: Vec<_> = replicas.iter().collect();
    let (size, root) = settled(&replicas).await;
    let note = audit.note(size, root);
    for (node, replica) in (1..).zip(&replicas) {
        let answer = audit.ask(&replica.registry, &note).await.unwrap();
        assert_eq!(answer.node_key, key_of(&replica.registry, node));
        let name = cosigner_name(audit.ground.cluster, NodeId(node));
        let key = VerifierKey::new(&name, Algorithm::CosignatureV1, &key_of(&replica.registry, node)).unwrap();
        let text = Note::parse(&note).unwrap().text().to_owned();
        assert!(key.verify_cosignature(&text, &Signature::parse(&answer.line).unwrap()).is_some());
        // Another leaf anywhere is another root.
        let told = audit.refused(&replica.registry, size, Hash::new([9; 32])).await;
        assert!(told.contains("expected the root"), "{told}");
    }
    // The tree goes on: what is no longer its end is looked up where the entries lie, and a step back is refused.
    assert!(propose(&all, &owner("a")).await.answer.is_ok());
    assert!(propose(&all, &owner("b")).await.answer.is_ok());
    let (later, newest) = settled(&replicas).await;
    let replica = &replicas[1].registry;
    audit.refused(replica, later - 1, newest).await;
    audit.ask(replica, &audit.note(later, newest)).await.unwrap();
    let told = audit.refused(replica, size, root).await;
    assert!(told.contains("at least"), "{told}");
    // A note that somebody else signed, in audit's name.
    let thief = Audit { ground: audit.ground.clone(), seed: [0xFE; 32] };
    let status = audit.ask(replica, &thief.note(later, newest)).await.unwrap_err();
    assert!(status.message().contains("signature"), "{status:?}");
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_vouched_for_outlives_the_process_and_what_is_recorded_binds_all() {
    let (ground, mut replicas) = three().await;
    until_keys_are_told(&replicas).await;
    let audit = Audit { ground: Arc::new(ground), seed: AUDIT };
    let (size, root) = settled(&replicas).await;
    let before = key_of(&replicas[2].registry, 3);
    audit.ask(&replicas[2].registry, &audit.note(size, root)).await.unwrap();
    replicas.remove(2).stop().await;
    let all: Vec<_> = replicas.iter().collect();
    assert!(propose(&all, &owner("a")).await.answer.is_ok());
    let (later, newest) = settled(&replicas).await;
    replicas.push(audit.ground.start(NodeId(3)).await);
    let third = &replicas[2];
    third.until("it has the tree", |registry| tree(&registry.core().state()).0 >= later).await;
    third.until("it is fresh", |registry| registry.reader().is_fresh()).await;
    assert_eq!(key_of(&third.registry, 3), before, "the key is drawn once");
    audit.ask(&third.registry, &audit.note(later, newest)).await.unwrap();
    audit.refused(&third.registry, size, root).await;
    // What the cluster recorded binds those that were asked about nothing so far.
    let all: Vec<_> = replicas.iter().collect();
    let key = audit.signer().verifier().public();
    let checkpoint = AuditCheckpoint { size: later, root: newest, key };
    let recorded = propose(&all, &audit.command(checkpoint, Some(Sequence(later - 2)))).await;
    assert!(recorded.answer.is_ok(), "{:?}", recorded.answer);
    let first = &replicas[0];
    first.until("it is recorded", |registry| registry.core().state().progress().checkpoint == Some(checkpoint)).await;
    audit.refused(&first.registry, size, root).await;
    audit.ask(&first.registry, &audit.note(later, newest)).await.unwrap();
    carry_out(&all, owner("b").operation).await;
    for replica in replicas {
        replica.stop().await;
    }
}

/// Audit in the hands of somebody else: it records whatever it likes of a tree that has grown beyond it.
#[tokio::test(flavor = "multi_thread")]
async fn what_audit_recorded_alone_is_no_tree_that_a_replica_computed() {
    let (ground, replicas) = three().await;
    until_keys_are_told(&replicas).await;
    let audit = Audit { ground: Arc::new(ground), seed: AUDIT };
    let all: Vec<_> = replicas.iter().collect();
    let (size, root) = settled(&replicas).await;
    // One replica has vouched for what is true.
    audit.ask(&replicas[1].registry, &audit.note(size, root)).await.unwrap();
    assert!(propose(&all, &owner("a")).await.answer.is_ok());
    let (key, forged) = (audit.signer().verifier().public(), Hash::new([9; 32]));
    // The state knows the root of the whole tree alone; whoever leads knows this one too.
    let refused = propose(&all, &audit.command(AuditCheckpoint { size, root: forged, key }, None)).await;
    let Err(Refusal::CheckpointConflict { problem, .. }) = &refused.answer else { panic!("{:?}", refused.answer) };
    assert!(problem.contains("expected the root"), "{problem}");
    for replica in &replicas {
        assert_eq!(replica.registry.core().state().progress().checkpoint, None);
        let told = audit.refused(&replica.registry, size, forged).await;
        assert!(told.contains("expected the root"), "{told}");
    }
    // Nothing is recorded yet, so the entry can be let go: who saw it before knows, and who did not says nothing.
    assert!(propose(&all, &trim(size)).await.answer.is_ok());
    for (at, replica) in replicas.iter().enumerate() {
        let gone = |registry: &Registry| {
            registry.core().state().progress().trimmed.is_some_and(|trimmed| trimmed.next.0 > size)
        };
        replica.until("it is trimmed", gone).await;
        if at == 1 {
            audit.refused(&replica.registry, size, forged).await;
        } else {
            let status = audit.ask(&replica.registry, &audit.note(size, forged)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        }
    }
    for replica in replicas {
        replica.stop().await;
    }
}

/// A root that nobody can know yet. Behind an entry that is on its way it would be that of an older tree, which the state takes
/// audit's word for: so it must never become a record.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_more_than_there_is_becomes_no_record() {
    let (ground, replicas) = three().await;
    until_keys_are_told(&replicas).await;
    let audit = Audit { ground: Arc::new(ground), seed: AUDIT };
    let all: Vec<_> = replicas.iter().collect();
    let (size, _) = settled(&replicas).await;
    let key = audit.signer().verifier().public();
    let forged = AuditCheckpoint { size: size + 1, root: Hash::new([9; 32]), key };
    let leading = &replicas[leader(&replicas)].registry;
    let mut is_record = true;
    // The clock of the cluster is a record now and then.
    for _ in 0..20 {
        let before = leading.core().state().revision();
        let refused = propose(&all, &audit.command(forged, None)).await;
        let Err(Refusal::CheckpointConflict { problem, .. }) = &refused.answer else { panic!("{:?}", refused.answer) };
        assert!(problem.contains("at most"), "{problem}");
        is_record &= refused.revision != before;
    }
    assert!(!is_record, "each was a record");
    for replica in replicas {
        replica.stop().await;
    }
}

/// Audit was put back to an older disk, or lies: it says to have more than it signed.
#[tokio::test(flavor = "multi_thread")]
async fn no_replica_forgets_what_no_recorded_checkpoint_covers() {
    let (ground, replicas) = three().await;
    until_keys_are_told(&replicas).await;
    let audit = Audit { ground: Arc::new(ground), seed: AUDIT };
    let all: Vec<_> = replicas.iter().collect();
    let (size, root) = settled(&replicas).await;
    let checkpoint = AuditCheckpoint { size, root, key: audit.signer().verifier().public() };
    assert!(propose(&all, &audit.command(checkpoint, None)).await.answer.is_ok());
    for id in ["a", "b", "c"] {
        assert!(propose(&all, &owner(id)).await.answer.is_ok());
    }
    let (later, newest) = settled(&replicas).await;
    for through in [later - 1, size, u64::MAX - 1] {
        let refused = propose(&all, &trim(through)).await;
        assert!(
            matches!(refused.answer, Err(Refusal::CheckpointConflict { .. })),
            "through {through}: {:?}",
            refused.answer
        );
    }
    // All that is covered leaves, and every replica has the rest, and can vouch for it.
    assert!(propose(&all, &trim(size - 1)).await.answer.is_ok());
    for replica in &replicas {
        let gone = |registry: &Registry| {
            registry.core().state().progress().trimmed.is_some_and(|trimmed| trimmed.next.0 == size)
        };
        replica.until("what is covered is gone", gone).await;
        let mut following = replica.registry.follow(Sequence(size), support::keys::by()).await.unwrap();
        let first = following.next().await.unwrap().unwrap();
        assert!(matches!(&first, FollowItem::Event(event) if event.sequence.0 == size), "{first:?}");
        audit.ask(&replica.registry, &audit.note(later, newest)).await.unwrap();
    }
    for replica in replicas {
        replica.stop().await;
    }
}
