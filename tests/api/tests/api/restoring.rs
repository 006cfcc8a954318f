//! Backup, wipe, restore, over all services: what was taken away after the backup does not come back, and the audit log
//! goes on as one tree.

use latchkey_api::requests;
use latchkey_api::{Clients, Furniture, House, why};
use latchkey_audit::{Audit, store::StoreOptions};
use latchkey_config::{Sources, ValidationSettings};
use latchkey_issuance::Issuance;
use latchkey_link::service::{self, open_files};
use latchkey_validation::{BackupFile, RestoreOptions, Running, Validation, restore};
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

fn settings(house: &House, node: u64, data: &Path) -> ValidationSettings {
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
    let (secret, kms) = open_files(&layout.cluster_secret(), &layout.kek()).unwrap();
    let replicas = vec![house.ports().validation().into()];
    service::Options { listen, metrics_listen: None, replicas, security: secret.into(), kms }
}

async fn audit(house: &House) -> latchkey_audit::Running {
    let service = service(house, house.ports().audit());
    let (data_folder, store) = (house.layout().audit(), StoreOptions::default());
    Audit::start(latchkey_audit::Options { service, data_folder, store }).await.unwrap()
}

async fn until_it_writes(running: &Running) {
    let writes = async {
        while !running.registry().can_write() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, writes).await.expect("the one replica leads");
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
    let known = house.entries().await.len();
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
    until_it_writes(&running).await;
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
    // Those of the tenant that is lost do not open any more: it and its two keys came last before the new epoch.
    let unreadable = known as u64 - 3..known as u64;
    let readable = (0..=*sorted.last().unwrap()).filter(|sequence| !unreadable.contains(sequence));
    assert_eq!(sorted, readable.collect::<Vec<_>>(), "one tree without a gap");
    let began = entries.iter().find(|entry| entry.action == "epoch.began").unwrap();
    assert_eq!(began.sequence, known as u64, "right after all that audit knew");
    audit.stop().await.unwrap();
    issuance.stop().await.unwrap();
    running.shutdown().await.unwrap();
}
