//! The data of a tenant that was deleted before is destroyed, over all services: its entries are unreadable, the proofs of their leaves
//! verify, and what is told names the last backup that holds it.

use latchkey_api::{Clients, Furniture, requests, why};
use latchkey_transparency::note::{Note, VerifierKey};
use latchkey_transparency::{Checkpoint, Hash, hash_preimage, verify_inclusion};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_backup_response::Part;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

/// Takes a backup, reads it to its end, and tells what it is of.
async fn back_up(root: &mut Clients) -> v1::Backup {
    let mut parts = root.cluster.create_backup(v1::CreateBackupRequest {}).await.unwrap().into_inner();
    let Some(Part::Backup(backup)) = parts.message().await.unwrap().and_then(|message| message.part) else {
        panic!("what it is of comes first")
    };
    while parts.message().await.unwrap().is_some() {}
    backup
}

/// The entries that this filter finds, once there are so many.
async fn entries(root: &mut Clients, filter: &str, count: usize) -> Vec<v1::Entry> {
    let stored = async {
        loop {
            let list = v1::ListEntriesRequest { filter: filter.to_owned(), page_size: 1_000, ..Default::default() };
            let found = root.audit.list_entries(list).await.unwrap().into_inner().entries;
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, stored).await.unwrap_or_else(|_| panic!("{count} entries of {filter}"))
}

async fn destroy(clients: &mut Clients, number: u32) -> Result<(), tonic::Status> {
    let name = "tenants/brief".to_owned();
    let request = v1::DeleteTenantRequest { name, destroy: true, number: Some(number), ..Default::default() };
    clients.directory.delete_tenant(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_when_its_tenant_was_deleted_is_destroyed_later() {
    let (mut house, _) = Furniture::house().await;
    let mut root = house.root();
    root.directory.create_tenant(requests::tenant("brief")).await.unwrap();
    let gone = v1::DeleteTenantRequest { name: "tenants/brief".to_owned(), ..Default::default() };
    root.directory.delete_tenant(gone).await.unwrap();
    let of_brief = entries(&mut root, "subject = tenants/brief", 2).await;
    let number = of_brief[0].tenant_number;
    assert!(number != 0 && of_brief.iter().all(|entry| entry.tenant_number == number), "{of_brief:?}");
    let backup = back_up(&mut root).await;
    let cluster = root.cluster.get_cluster(v1::GetClusterRequest {}).await.unwrap().into_inner();
    let known = cluster.replicas[0].backups.clone().and_then(|backups| backups.given).expect("it gave one");
    assert_eq!((&known.name, known.replica), (&backup.name, 1));

    let (_, mut admin) = house.identity("system", "admin", &[(v1::Duty::Admin, "")]).await;
    assert_eq!(why(destroy(&mut admin, number).await).reason, "PERMISSION_DENIED", "it is for root alone");
    assert_eq!(why(destroy(&mut root, number + 900).await).reason, "NOT_FOUND");
    destroy(&mut root, number).await.unwrap();
    destroy(&mut root, number).await.unwrap();

    let left = entries(&mut root, "action = tenant.data_destroyed", 1).await;
    assert_eq!(left.len(), 1, "a repeat changes nothing: {left:?}");
    let [destroyed] = &left[..] else { unreachable!("there is one") };
    assert_eq!((&destroyed.facts["destroyed"], &destroyed.facts["last_backup"]), (&number.to_string(), &backup.name));
    let taken = entries(&mut root, "action = backup.created", 1).await;
    assert_eq!(taken[0].subject, backup.name);
    let readable = entries(&mut root, "subject = tenants/brief", 1).await;
    assert_eq!(readable.len(), 1, "its own are unreadable: {readable:?}");
    assert_eq!(readable[0].action, "tenant.data_destroyed");
    for entry in &of_brief {
        proved(&mut root, entry.sequence).await;
    }
    house.stop().await;
}

/// The leaf of an entry is in the tree of the checkpoint that audit gives with its proof, signed.
async fn proved(root: &mut Clients, sequence: u64) {
    let proof = async {
        loop {
            let request = v1::GetInclusionProofRequest { sequence, ..Default::default() };
            match root.audit.get_inclusion_proof(request).await {
                Ok(proof) => return proof.into_inner(),
                // No checkpoint covers it yet.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let proof = tokio::time::timeout(WITHIN, proof).await.expect("a checkpoint covers it in the end");
    let hash = |bytes: &Vec<u8>| Hash::new(bytes[..].try_into().expect("32 bytes"));
    let leaf = hash_preimage(proof.leaf[..].try_into().expect("57 bytes"));
    let hashes: Vec<_> = proof.hashes.iter().map(hash).collect();
    verify_inclusion(&leaf, sequence, proof.tree_size, &hashes, &hash(&proof.root)).expect("its leaf is in the tree");
    assert!(proof.opening.is_empty() && proof.event.is_empty() && proof.entry.is_none(), "and nobody reads it");
    let shown = proof.checkpoint.expect("a proof comes with one");
    let note = Note::parse(&shown.note).expect("a note");
    let keys: Vec<_> = shown.verifier_keys.iter().map(|key| VerifierKey::parse(key).expect("a key")).collect();
    assert!(!note.open(&keys).expect("well signed").is_empty());
    let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
    assert_eq!((checkpoint.size, checkpoint.root), (proof.tree_size, hash(&proof.root)));
}
