//! A malicious audit service: whoever runs it has its disk and its key, and drops, reorders, edits, forks and rolls back. Each is
//! detected, and each test says by whom: by the replica that is asked to vouch, by the replicated state, by audit's own start, or by
//! whoever verifies with nothing but public keys.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]
#![recursion_limit = "256"]

use latchkey_api::{Furniture, House, requests, why};
use latchkey_audit::archive::{Archive, Place};
use latchkey_audit::checkpoint::{CheckpointKey, Signer};
use latchkey_audit::{Audit, Halt, RunError};
use latchkey_config::{AuditSettings, NoticeSettings, Sources, ValidationSettings};
use latchkey_domain::{Revision, Sequence, Slug};
use latchkey_link::service::{self, open_files};
use latchkey_state::{Actor, AuditCheckpoint, Command, Operation};
use latchkey_telemetry::OsEntropy;
use latchkey_transparency::note::{Algorithm, Note, SignerKey, VerifierKey};
use latchkey_transparency::{
    Checkpoint, Frontier, Hash, Leaf, Nodes, consistency_proof, hash_preimage, leaf_hash, verify_consistency,
};
use latchkey_validation::{Running, Validation};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as internal;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Status;

const WITHIN: Duration = Duration::from_secs(60);

/// The log as it lies in the archive: what the malicious service has, and may change as it likes.
struct Thief {
    origin: String,
    signer: SignerKey,
    public: [u8; 32],
    target: internal::Target,
    leaves: Vec<Hash>,
    preimages: Vec<Leaf>,
}

impl Thief {
    /// Takes what lies on audit's disk, the key included.
    async fn breaks_in(house: &House, honest: &Checkpoint) -> Self {
        let key = CheckpointKey::open_or_make(&house.layout().checkpoint_key(), &mut OsEntropy).unwrap();
        let text = fs::read_to_string(house.layout().checkpoint_key()).unwrap();
        let seed = <[u8; 32]>::try_from(base64_of(text.trim())).unwrap();
        let archive = archive(house).await;
        let (mut leaves, mut preimages) = (Vec::new(), Vec::new());
        for sequence in 0..honest.size {
            let preimage = archive.leaf(sequence).await.unwrap().unwrap();
            leaves.push(hash_preimage(&preimage));
            preimages.push(Leaf::read(&preimage));
        }
        let who = house.registry().introduce(internal::IntroduceRequest {}).await.unwrap().into_inner();
        let target = internal::Target { cluster_id: who.cluster_id, epoch: who.epoch, node_id: who.node_id };
        let signer = SignerKey::new(&honest.origin, Algorithm::Ed25519, &seed).unwrap();
        Self { origin: honest.origin.clone(), signer, public: key.public(), target, leaves, preimages }
    }

    /// A checkpoint of any tree, signed with the right key.
    fn signs(&self, leaves: &[Hash]) -> Note {
        let tree = grown(leaves);
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: tree.size(), root: tree.root() };
        let mut note = Note::new(&checkpoint.text()).unwrap();
        note.sign(&self.signer);
        note
    }

    async fn asks(&self, house: &House, note: &Note) -> Result<internal::CosignResponse, Status> {
        let (target, key, note) = (Some(self.target.clone()), self.public.to_vec(), note.to_string());
        let request = internal::CosignRequest { target, key, note };
        Ok(house.registry().cosign(request).await?.into_inner())
    }

    /// What the replicated state says to a checkpoint that audit says to have signed.
    async fn records(&self, house: &House, leaves: &[Hash]) -> String {
        let tree = grown(leaves);
        let checkpoint = AuditCheckpoint { size: tree.size(), root: tree.root(), key: self.public };
        let operation = Operation::RecordCheckpoint { checkpoint, through: None };
        let command = Command::new(Actor::Service(Slug::parse("audit").unwrap()), [7; 32], operation);
        let request =
            internal::ProposeRequest { target: Some(self.target.clone()), command: Some(write_command(&command)) };
        let applied = house.registry().propose(request).await.unwrap().into_inner().applied.unwrap();
        format!("{:?}", applied.result)
    }
}

fn base64_of(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits = text.trim_end_matches('=').bytes().fold((Vec::new(), 0_u32, 0), |(mut out, bits, count), byte| {
        let (bits, count) = (bits << 6 | u32::from(value(byte)), count + 6);
        if count < 8 {
            return (out, bits, count);
        }
        out.push(u8::try_from(bits >> (count - 8) & 0xFF).unwrap());
        (out, bits & ((1 << (count - 8)) - 1), count - 8)
    });
    bits.0
}

/// A tree in memory, each node computed when it is asked for.
struct Leaves<'a>(&'a [Hash]);

impl Nodes for Leaves<'_> {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let (width, index) = (1_usize << level, usize::try_from(index).unwrap());
        Ok(grown(&self.0[index * width..(index + 1) * width]).root())
    }
}

fn grown(leaves: &[Hash]) -> Frontier {
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

async fn archive(house: &House) -> Archive {
    Archive::open(&Place::of("", &house.layout().audit())).await.unwrap()
}

/// The newest checkpoint in the archive, as soon as it is of at least `size` entries.
async fn checkpoint_of(house: &House, size: u64) -> (Checkpoint, Note) {
    let path = house.layout().audit().join("archive/checkpoint");
    let comes = async {
        loop {
            if let Ok(text) = fs::read_to_string(&path)
                && let Ok(note) = Note::parse(&text)
                && let Ok(checkpoint) = Checkpoint::parse(note.text())
                && checkpoint.size >= size
            {
                return (checkpoint, note);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, comes).await.expect("a checkpoint of all entries comes")
}

/// A house with some entries, and its newest checkpoint, which covers them.
async fn signed_house() -> (House, Checkpoint, Note) {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    for _ in 0..5 {
        root.keys.create_key(requests::key()).await.unwrap();
    }
    let count = house.entry_count().await;
    let (checkpoint, note) = checkpoint_of(&house, count).await;
    (house, checkpoint, note)
}

/// The key of the only replica, by which it vouches.
async fn replica_key(house: &House, origin: &str) -> VerifierKey {
    let cluster =
        house.root().cluster.get_cluster(latchkey_wire::pb::v1::GetClusterRequest {}).await.unwrap().into_inner();
    let [replica] = &cluster.replicas[..] else { panic!("one replica, found {}", cluster.replicas.len()) };
    let key = VerifierKey::parse(&replica.verifier_key).unwrap();
    assert!(key.name().starts_with(&format!("{origin}/replica/")), "{key}");
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_malicious_audit_service_signs_no_replica_vouches_for_and_the_state_does_not_record() {
    let (house, honest, note) = signed_house().await;
    let replica = replica_key(&house, &honest.origin).await;
    let thief = Thief::breaks_in(&house, &honest).await;
    let log = thief.signer.verifier().clone();
    assert_eq!(grown(&thief.leaves).root(), honest.root, "the thief has the whole log");
    let vouchers = Checkpoint::open(&note, &log, std::slice::from_ref(&replica)).unwrap().1;
    assert_eq!(vouchers.len(), 2, "audit signed, and the replica cosigned");

    let size = thief.leaves.len();
    let mut dropped = thief.leaves.clone();
    dropped.remove(size / 2);
    // An entry of its own in the place of the one that it drops: as many as before.
    let filler = leaf_hash(1, Sequence(honest.size - 1), Revision::new(1, 9_999), &[0xFE; 32]);
    let replaced = [&dropped[..], &[filler]].concat();
    let mut reordered = thief.leaves.clone();
    reordered.swap(size / 2, size / 2 + 1);
    let mut edited = thief.leaves.clone();
    let Leaf { format, sequence, revision, .. } = thief.preimages[size / 2];
    edited[size / 2] = leaf_hash(format, sequence, revision, &[0xED; 32]);
    let forked = [&thief.leaves[..size - 1], &[filler]].concat();
    let rolled_back = thief.leaves[..size - 1].to_vec();
    let first_keyset = [("drops", &replaced), ("drops and is shorter", &dropped), ("reorders", &reordered)];
    let others = [("edits", &edited), ("forks", &forked), ("rolls back", &rolled_back)];
    for (deed, leaves) in first_keyset.into_iter().chain(others) {
        let forged = thief.signs(leaves);
        // By the replica: it has computed the tree itself.
        let refused = thief.asks(&house, &forged).await.expect_err(deed);
        assert_eq!(why(Err::<(), _>(refused)).reason, "CHECKPOINT_CONFLICT", "{deed}");
        // By the replicated state: what was recorded binds whoever comes after.
        let recorded = thief.records(&house, leaves).await;
        assert!(recorded.contains("CheckpointConflict"), "{deed}: {recorded}");
        // By the verifier: the log's own signature is right, and nobody else's is there.
        let vouchers = Checkpoint::open(&forged, &log, std::slice::from_ref(&replica)).unwrap().1;
        assert_eq!(vouchers.len(), 1, "{deed}: nobody but the thief vouches");
        println!(
            "audit {deed}: detected by the replica that was asked, by the state, and by a verifier who asks for a cosignature"
        );
    }
    // By the verifier who kept yesterday's checkpoint: today's is no extension of it.
    let later = [&forked[..], &[filler; 3]].concat();
    let proof = consistency_proof(&Leaves(&later), honest.size, later.len() as u64).unwrap();
    let forged = grown(&later);
    assert!(verify_consistency(honest.size, &honest.root, forged.size(), &forged.root(), &proof).is_err());
    println!("audit forks: detected by a verifier who kept an older checkpoint");
}

/// The settings of the replica alone.
fn settings(house: &House) -> ValidationSettings {
    let (layout, ports) = (house.layout(), house.ports());
    let flags = [
        ("node.id", "1".to_owned()),
        ("node.region", "local".to_owned()),
        ("node.data_folder", layout.data().display().to_string()),
        ("listen", ports.validation().to_string()),
        ("raft.listen", ports.raft().to_string()),
        ("metrics_listen", "127.0.0.1:0".to_owned()),
        ("cluster_secret_file", layout.cluster_secret().display().to_string()),
        ("kek_file", layout.kek().display().to_string()),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value)).to_vec();
    ValidationSettings::load(&Sources { flags, ..Sources::default() }).unwrap()
}

async fn until_it_serves(running: &Running) {
    let serves = async {
        // One that leads can write before it has a lease of its own.
        while !(running.registry().can_write() && running.registry().reader().is_fresh()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, serves).await.expect("the one replica leads");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Operators with a mail server, and the first message that it takes.
async fn operators() -> (NoticeSettings, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let flags = [
        ("data_folder", "/data"),
        ("cluster_secret_file", "/s"),
        ("kek_file", "/k"),
        ("registry_endpoints", "127.0.0.1:1"),
        ("notices.enabled", "true"),
        ("notices.smtp_server", &server),
        ("notices.smtp_tls", "false"),
        ("notices.from", "latchkey@example.com"),
        ("notices.operators", "ops@example.com"),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let settings = AuditSettings::load(&Sources { flags, ..Sources::default() }).unwrap().notices;
    let taking = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let (mut line, mut text) = (String::new(), String::new());
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let is_data = line.starts_with("DATA");
            stream.write_all(if is_data { &b"354 go on\r\n"[..] } else { b"250 well\r\n" }).await.unwrap();
            while is_data && !text.ends_with("\r\n.\r\n") {
                stream.read_line(&mut text).await.unwrap();
            }
            if is_data {
                stream.write_all(b"250 taken\r\n").await.unwrap();
            }
            line.clear();
        }
        text
    });
    (settings, taking)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_rolled_back_is_found_by_audit_itself_and_never_signed() {
    let (mut house, early, _) = signed_house().await;
    house.stop().await;
    let (folder, kept) = (house.layout().audit(), house.folder().join("monday"));
    copy(&folder, &kept);
    house.restart().await;
    let mut root = house.root();
    for _ in 0..5 {
        root.keys.create_key(requests::key()).await.unwrap();
    }
    let (late, note) = checkpoint_of(&house, early.size + 5).await;
    house.stop().await;
    fs::remove_dir_all(&folder).unwrap();
    copy(&kept, &folder);

    // By the key's own memory: it signed more than is here.
    let key = CheckpointKey::open_or_make(&house.layout().checkpoint_key(), &mut OsEntropy).unwrap();
    let mut signer = Signer::open(key).unwrap();
    assert_eq!(signer.last().map(|last| last.size), Some(late.size));
    let here = Checkpoint { size: early.size, root: early.root, ..late.clone() };
    let fork = signer.sign(&here, None, (None, None)).unwrap_err();
    assert!(fork.what.contains("rolled back"), "{fork}");
    // By audit's own start, whichever it finds first: less than was signed, or a hole that no replica can fill.
    let layout = house.layout();
    let (secret, kms) = open_files(&layout.cluster_secret(), (&layout.kek(), &[])).unwrap();
    let replica = Validation::start(&settings(&house)).await.unwrap();
    until_it_serves(&replica).await;
    let replicas = vec![house.ports().validation().into()];
    let listen = house.ports().audit();
    let service = service::Options { listen, metrics_listen: None, replicas, security: secret.into(), kms };
    let (notices, mail) = operators().await;
    let options = latchkey_audit::Options {
        notices: Some(notices),
        checkpoint_key_file: Some(house.layout().checkpoint_key()),
        ..latchkey_audit::Options::new(service, folder)
    };
    let running = Audit::start(options).await.unwrap();
    let ended = tokio::time::timeout(WITHIN, running.until(std::future::pending())).await.expect("it stops by itself");
    let Err(RunError::Halt(halt @ (Halt::Fork { .. } | Halt::Trimmed { .. }))) = ended else { panic!("{ended:?}") };
    println!("audit rolls back: detected by its own start: {halt}");
    // Its operators heard of it before it ended.
    let told = tokio::time::timeout(WITHIN, mail).await.expect("operators are told").unwrap();
    assert!(told.contains("Subject: the audit log is followed no more") && told.contains(&halt.to_string()), "{told}");
    replica.shutdown().await.unwrap();
    // What was shown stays what it was: no newer note took its place.
    let shown = fs::read_to_string(kept.join("archive/checkpoint")).unwrap();
    assert!(
        Checkpoint::parse(Note::parse(&shown).unwrap().text()).unwrap().size
            < Checkpoint::parse(note.text()).unwrap().size
    );
}
