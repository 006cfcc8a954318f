//! Backup, wipe, restore, over all services: what was taken away after the backup does not come back, and the audit log
//! goes on as one tree.

use latchkey_api::requests;
use latchkey_api::{Clients, Furniture, House, why};
use latchkey_audit::Audit;
use latchkey_config::{Sources, ValidationSettings};
use latchkey_issuance::Issuance;
use latchkey_link::service::{self, open_files};
use latchkey_transparency::note::{Note, VerifierKey};
use latchkey_transparency::{Checkpoint, Hash, hash_preimage, verify_inclusion};
use latchkey_validation::{BackupFile, RestoreOptions, Running, Validation, restore};
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::v1::create_backup_response::Part;
use latchkey_wire::pb::v1::{self, Outcome};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

/// The name and the text of a new key.
async fn key(root: &mut Clients) -> (String, String) {
    let made = root.keys.create_key(requests::key()).await.unwrap().into_inner();
    (made.key.unwrap().name, made.key_text)
}

async fn back_up(root: &mut Clients, path: &Path) {
    let mut parts = root.cluster.create_backup(v1::CreateBackupRequest {}).await.unwrap().into_inner();
    let first = parts.message().await.unwrap().and_then(|message| message.part);
    assert!(matches!(first, Some(Part::Backup(_))), "what it is of comes first");
    let mut bytes = Vec::new();
    while let Some(message) = parts.message().await.unwrap() {
        let Some(Part::Piece(piece)) = message.part else { panic!("then nothing but pieces") };
        bytes.extend_from_slice(&piece);
    }
    fs::write(path, bytes).unwrap();
}

pub(crate) fn settings(house: &House, node: u64, data: &Path) -> ValidationSettings {
    let (layout, ports) = (house.layout(), house.ports());
    let flags = [
        ("node.id", node.to_string()),
        ("node.region", "south".to_owned()),
        ("node.data_folder", data.display().to_string()),
        ("listen", ports.validation().to_string()),
        ("raft.listen", ports.raft().to_string()),
        ("metrics_listen", "127.0.0.1:0".to_owned()),
        ("cluster_secret_file", layout.cluster_secret().display().to_string()),
        ("kek_file", layout.kek().display().to_string()),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value)).to_vec();
    ValidationSettings::load(&Sources { flags, ..Sources::default() }).unwrap()
}

fn service(house: &House, listen: SocketAddr) -> service::Options {
    let layout = house.layout();
    let (secret, kms) = open_files(&layout.cluster_secret(), (&layout.kek(), &[])).unwrap();
    let replicas = vec![house.ports().validation().into()];
    service::Options { listen, metrics_listen: None, replicas, security: secret.into(), kms }
}

async fn audit(house: &House) -> latchkey_audit::Running {
    let service = service(house, house.ports().audit());
    let data_folder = house.layout().audit();
    Audit::start(latchkey_audit::Options::new(service, data_folder)).await.unwrap()
}

pub(crate) async fn until_it_serves(running: &Running) {
    let serves = async {
        // One that leads can write before it has a lease of its own.
        while !(running.registry().can_write() && running.registry().reader().is_fresh()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, serves).await.expect("the one replica leads");
}

/// All entries, once audit has at least one of this action.
async fn entries_with(root: &mut Clients, action: &str) -> Vec<v1::Entry> {
    let stored = async {
        loop {
            let filter = format!("action = {action:?}");
            let list = v1::ListEntriesRequest { filter, ..Default::default() };
            let found = root.audit.list_entries(list).await;
            if found.is_ok_and(|found| !found.into_inner().entries.is_empty()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let list = v1::ListEntriesRequest { page_size: 1_000, ..Default::default() };
        root.audit.list_entries(list).await.unwrap().into_inner().entries
    };
    tokio::time::timeout(WITHIN, stored).await.expect("audit goes on with the restored cluster")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_away_after_a_backup_does_not_come_back_with_it() {
    let (mut house, _) = Furniture::house().await;
    let mut root = house.root();
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(key(&mut root).await);
    }
    let [before, later, suspended, resumed, rotated, valid] = &made[..] else { unreachable!("six were made") };
    root.keys.revoke_key(requests::revoke(&before.0)).await.unwrap();
    let file = house.folder().join("monday.latchkey");
    back_up(&mut root, &file).await;
    let (_, mut reader) = house.identity("acme", "reader", &[(v1::Duty::Issuer, "tenants/acme")]).await;
    assert_eq!(why(reader.cluster.create_backup(v1::CreateBackupRequest {}).await).reason, "PERMISSION_DENIED");

    root.keys.revoke_key(requests::revoke(&later.0)).await.unwrap();
    for name in [&suspended.0, &resumed.0] {
        root.keys.suspend_key(requests::suspend(name)).await.unwrap();
    }
    root.keys.resume_key(requests::resume(&resumed.0)).await.unwrap();
    root.rotation.rotate_key(requests::rotate(&rotated.0)).await.unwrap();
    let lost = key(&mut root).await;
    root.directory.create_tenant(requests::tenant("lost")).await.unwrap();
    let entries = house.entries().await;
    let known = entries.len();
    // It and its two keys; what its caller was refused meanwhile may come behind them.
    let of_lost = entries.iter().filter(|entry| entry.tenant == "tenants/lost");
    let unreadable: Vec<_> = of_lost.map(|entry| entry.sequence).collect();
    assert_eq!(unreadable.len(), 3, "{entries:#?}");
    let old_revision = root.cluster.get_cluster(v1::GetClusterRequest {}).await.unwrap().into_inner().revision;
    house.stop().await;
    fs::remove_dir_all(house.layout().data()).unwrap();

    assert_eq!(BackupFile::open(&file).unwrap().header().revision.epoch, 1);
    let (data, wrong) = (house.folder().join("restored"), house.folder().join("nothing"));
    let settings = settings(&house, 9, &data);
    let options = |audit_folder: PathBuf| RestoreOptions {
        backup: file.clone(),
        audit_folder: Some(audit_folder),
        suspend_changed: false,
        epoch: None,
    };
    restore(&settings, &options(wrong)).await.expect_err("there is no audit log");
    let restored = restore(&settings, &options(house.layout().audit())).await.unwrap();
    let later_entries = restored.later.expect("audit was asked");
    assert_eq!((later_entries["key.revoked"], later_entries["key.suspended"]), (1, 2), "{later_entries:?}");
    // One revoked, one suspended, one that has another secret.
    assert_eq!(restored.gone_on.taken_away, 3, "{:?}", restored.gone_on.left);

    let running = Validation::start(&settings).await.unwrap();
    let audit = audit(&house).await;
    until_it_serves(&running).await;
    let issuance = Issuance::start(service(&house, house.ports().issuance())).await.unwrap();
    let mut root = house.root();
    for (what, text, expected) in [
        ("revoked before the backup", &before.1, Outcome::Revoked),
        ("revoked after it", &later.1, Outcome::Revoked),
        ("suspended after it", &suspended.1, Outcome::Suspended),
        ("suspended and resumed after it", &resumed.1, Outcome::Valid),
        ("rotated after it", &rotated.1, Outcome::Suspended),
        ("untouched", &valid.1, Outcome::Valid),
        ("made after it", &lost.1, Outcome::NotFound),
    ] {
        let answer = root.validation.validate_key(requests::validate(text)).await.unwrap().into_inner();
        assert_eq!(answer.outcome(), expected, "{what}");
    }
    // A revision of the epoch that is over is answered with what to do, and not with something older.
    let old = v1::consistency::AtLeastAsFresh { revision: old_revision };
    let old = v1::Consistency { requirement: Some(v1::consistency::Requirement::AtLeastAsFresh(old)) };
    let asked = v1::ValidateKeyRequest { consistency: Some(old), ..requests::validate(&valid.1) };
    assert_eq!(why(root.validation.validate_key(asked).await).reason, "EPOCH_CHANGED");

    // A new tenant is none of those whose keys are lost: what audit has of them stays theirs, and the rest readable.
    root.directory.create_tenant(requests::tenant("fresh")).await.unwrap();
    let entries = entries_with(&mut root, "epoch.began").await;
    let sequences: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
    let mut sorted = sequences.clone();
    sorted.sort_unstable();
    // Those of the tenant that is lost do not open any more.
    let readable = (0..=*sorted.last().unwrap()).filter(|sequence| !unreadable.contains(sequence));
    assert_eq!(sorted, readable.collect::<Vec<_>>(), "one tree without a gap");
    let began = entries.iter().find(|entry| entry.action == "epoch.began").unwrap();
    assert_eq!(began.sequence, known as u64, "right after all that audit knew");
    audit.stop().await.unwrap();
    issuance.stop().await.unwrap();
    running.shutdown().await.unwrap();
}

/// The newest checkpoint that audit has signed, opened with the keys that come with it.
async fn checkpoint(root: &mut Clients, at_least: u64) -> (Checkpoint, Vec<VerifierKey>) {
    let signed = async {
        loop {
            if let Ok(answer) = root.audit.get_checkpoint(v1::GetCheckpointRequest {}).await {
                let shown = answer.into_inner();
                let keys: Vec<_> = shown.verifier_keys.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
                let note = Note::parse(&shown.note).unwrap();
                assert!(!note.open(&keys).unwrap().is_empty(), "audit signed it");
                let found = Checkpoint::parse(note.text()).unwrap();
                if found.size >= at_least {
                    return (found, keys);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, signed).await.expect("audit signs a checkpoint of so many entries")
}

/// Proves an entry against the newest checkpoint.
async fn proved(root: &mut Clients, sequence: u64, of: &Checkpoint) {
    let request = v1::GetInclusionProofRequest { sequence, tree_size: of.size };
    let proof = root.audit.get_inclusion_proof(request).await.unwrap().into_inner();
    let hashes: Vec<_> = proof.hashes.iter().map(|hash| Hash::new(hash[..].try_into().unwrap())).collect();
    let leaf = hash_preimage(proof.leaf[..].try_into().unwrap());
    verify_inclusion(&leaf, sequence, of.size, &hashes, &of.root).expect("its leaf is in the tree");
}

/// Waits until the cluster has recorded a checkpoint, and the replica has let entries go that audit has.
pub(crate) async fn until_trimmed(house: &House) {
    let trimmed = async {
        let mut cluster = house.root().cluster;
        while cluster.get_cluster(v1::GetClusterRequest {}).await.unwrap().into_inner().log_verifier_key.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        loop {
            let mut registry = house.registry();
            let who = registry.introduce(internal::IntroduceRequest {}).await.unwrap().into_inner();
            let target = internal::Target { cluster_id: who.cluster_id, epoch: who.epoch, node_id: who.node_id };
            let request = internal::FollowRequest { target: Some(target), from_sequence: 0 };
            if registry.follow(request).await.unwrap().into_inner().message().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, trimmed).await.expect("what is signed is let go");
}

/// As [`until_trimmed`], of all below `size`.
async fn until_trimmed_below(running: &Running, size: u64) {
    let trimmed = || running.registry().core().state().progress().trimmed.map_or(0, |trimmed| trimmed.next.0);
    let forgets = async {
        while trimmed() < size {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, forgets).await.expect("what is signed is let go");
}

/// An audit service with a folder and a key of its own.
fn audit_in(house: &House, folder: &Path) -> latchkey_audit::Options {
    latchkey_audit::Options {
        checkpoint_key_file: Some(house.folder().join("another.key")),
        ..latchkey_audit::Options::new(service(house, house.ports().audit()), folder.to_owned())
    }
}

/// A cluster that was restored without its audit log, of which entries had been let go; and the last checkpoint of the old log.
async fn restored_without_log(house: &mut House) -> (Running, Checkpoint, Vec<VerifierKey>) {
    let mut root = house.root();
    until_trimmed(house).await;
    let file = house.folder().join("monday.latchkey");
    back_up(&mut root, &file).await;
    drop(key(&mut root).await);
    let known = house.entries().await.len() as u64;
    let (old, old_keys) = checkpoint(&mut root, known).await;
    proved(&mut root, 0, &old).await;
    proved(&mut root, known - 1, &old).await;
    house.stop().await;
    fs::remove_dir_all(house.layout().data()).unwrap();
    let settings = settings(house, 9, &house.folder().join("restored"));
    let options = RestoreOptions { backup: file, audit_folder: None, suspend_changed: false, epoch: None };
    restore(&settings, &options).await.unwrap();
    let running = Validation::start(&settings).await.unwrap();
    until_it_serves(&running).await;
    (running, old, old_keys)
}

/// The first two entries that audit has, by what was done.
async fn first_entries(root: &mut Clients, action: &str) -> Vec<v1::Entry> {
    let mut entries = entries_with(root, action).await;
    entries.sort_unstable_by_key(|entry| entry.sequence);
    entries.truncate(2);
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_on_without_its_audit_log_has_another_one_and_the_old_one_stays_provable() {
    let (mut house, _) = Furniture::house().await;
    // Nobody has the first entries any more: what goes on is another log, and says so by its name.
    let (running, old, old_keys) = restored_without_log(&mut house).await;
    let audit = Audit::start(audit_in(&house, &house.folder().join("audit-anew"))).await.unwrap();
    let mut root = house.root();
    let (new, new_keys) = checkpoint(&mut root, 2).await;
    assert_eq!(new.origin, format!("{}/e2", old.origin), "the epoch that began it is in its name");
    assert!(old_keys[0].name() != new_keys[0].name(), "a signature of one is none of the other");
    let entries = first_entries(&mut root, "epoch.began").await;
    let began: Vec<_> = entries.iter().map(|entry| (entry.sequence, entry.action.as_str())).collect();
    assert_eq!(began, [(0, "audit.log_began"), (1, "epoch.began")]);
    let facts = &entries[0].facts;
    assert_eq!((&facts["log"], &facts["previous_log"]), (&new.origin, &old.origin));
    let signed: u64 = facts["checkpoint_size"].parse().unwrap();
    assert!(0 < signed && signed <= old.size, "it was signed when the backup was made: {facts:?}");
    proved(&mut root, 0, &new).await;
    proved(&mut root, 1, &new).await;

    // The cluster goes on as any other: what is done is in that log, and the replicas forget it when it is signed.
    let issuance = Issuance::start(service(&house, house.ports().issuance())).await.unwrap();
    drop(key(&mut root).await);
    let (newer, _) = checkpoint(&mut root, new.size + 1).await;
    proved(&mut root, new.size, &newer).await;
    until_trimmed_below(&running, new.size).await;
    issuance.stop().await.unwrap();
    audit.stop().await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_runs_begins_another_audit_log_where_its_own_is_lost() {
    let (mut house, _) = Furniture::house().await;
    let (running, ..) = restored_without_log(&mut house).await;
    let (kept, lost) = (house.folder().join("audit-kept"), house.folder().join("audit-lost"));
    let audit = Audit::start(audit_in(&house, &kept)).await.unwrap();
    let mut root = house.root();
    let (old, _) = checkpoint(&mut root, 2).await;
    until_trimmed_below(&running, 2).await;
    audit.stop().await.unwrap();

    // A service without that folder is told what there is to do.
    let ended = Audit::start(audit_in(&house, &lost)).await.unwrap().until(std::future::pending()).await.unwrap_err();
    let told = std::iter::successors(Some(&ended as &dyn std::error::Error), |error| error.source());
    let told: Vec<_> = told.map(ToString::to_string).collect();
    assert!(told.join(": ").contains("latchkey cluster begin-audit-log"), "{told:?}");
    fs::remove_dir_all(&lost).unwrap();

    let asked = v1::BeginAuditLogRequest::default();
    let refused = why(root.cluster.begin_audit_log(asked.clone()).await);
    assert_eq!(refused.reason, "AUDIT_LOG_NOT_LOST");
    let asked = v1::BeginAuditLogRequest { force: true, ..asked };
    let tried = v1::BeginAuditLogRequest { validate_only: true, ..asked.clone() };
    let tried = root.cluster.begin_audit_log(tried).await.unwrap().into_inner();
    assert_eq!((tried.log.as_str(), tried.replayed), ("", false));
    let asked = v1::BeginAuditLogRequest { request_id: "7d1c2c44-7f0e-4d5b-8f0e-3f8f6d8a4b11".to_owned(), ..asked };
    let begun = root.cluster.begin_audit_log(asked.clone()).await.unwrap().into_inner();
    let again = root.cluster.begin_audit_log(asked).await.unwrap().into_inner();
    assert_eq!((again.replayed, &again.log, again.revision), (true, &begun.log, begun.revision));
    let index = begun.revision.unwrap().index;
    assert_eq!(begun.log, format!("{}-{index}", old.origin), "the record that began it is in its name");

    let audit = Audit::start(audit_in(&house, &lost)).await.unwrap();
    let (new, _) = checkpoint(&mut root, 1).await;
    assert_eq!(new.origin, begun.log);
    let first = first_entries(&mut root, "audit.log_began").await.swap_remove(0);
    assert_eq!((first.sequence, first.action.as_str()), (0, "audit.log_began"));
    let facts = &first.facts;
    assert_eq!((&facts["log"], &facts["previous_log"]), (&begun.log, &old.origin));
    assert!(facts["previous_size"].parse::<u64>().unwrap() >= old.size, "{facts:?}");
    proved(&mut root, 0, &new).await;
    until_trimmed_below(&running, 1).await;
    audit.stop().await.unwrap();

    // The folder that was lost turns up: it is evidence, and no log that this cluster goes on with.
    let ended = Audit::start(audit_in(&house, &kept)).await.unwrap().until(std::future::pending()).await.unwrap_err();
    let told = std::iter::successors(Some(&ended as &dyn std::error::Error), |error| error.source());
    let told: Vec<_> = told.map(ToString::to_string).collect();
    assert!(told.join(": ").contains("keep"), "{told:?}");
    running.shutdown().await.unwrap();
}
