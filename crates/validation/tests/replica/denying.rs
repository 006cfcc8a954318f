//! What becomes of a key that was denied on one replica.

use crate::house::{ask, by, make_identity, ready, settings};
use crate::validating::validate;
use latchkey_domain::{Duty, Grant, Scope};
use latchkey_validation::{Purpose, Validation, init};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient;
use std::fs;
use std::time::Duration;

/// The level before that of entries about denials.
const NO_ENTRIES_LEVEL: u64 = 3;

/// Longer than it takes to look twice.
const CARRIED_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_key_is_revoked_although_no_entry_of_the_denial_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    // As where audit is behind: then as well the entry has to wait, and a revocation has not.
    settings.raft.feature_level_max = NO_ENTRIES_LEVEL;
    let bootstrap_file = folder.path().join("root");
    init(&settings, &Purpose::Found { bootstrap_file: bootstrap_file.clone() }).await.unwrap();
    let root = fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();
    let running = Validation::start(&settings).await.unwrap();
    let channel = ready(&running).await;
    let validator = vec![Grant { duty: Duty::Validator, scope: Scope::System }];
    let validator = make_identity(running.registry(), "gateway", validator).await;

    let name = validate(&channel, &root, ask(&validator)).await.key;
    let request = v1::DenyKeyLocallyRequest {
        name,
        reason: v1::RevocationReason::Compromised.into(),
        then: v1::local_denial::FollowUp::Revoke.into(),
        ..Default::default()
    };
    let mut client = ClusterServiceClient::new(channel.clone());
    assert!(!client.deny_key_locally(by(&root, request)).await.unwrap().into_inner().recorded);
    let revoked = async {
        while validate(&channel, &root, ask(&validator)).await.outcome() != v1::Outcome::Revoked {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(CARRIED_MAX, revoked).await.expect("it is revoked, and not denied alone");

    // The denial stays until the audit log has it.
    let denials = client.list_local_denials(by(&root, v1::ListLocalDenialsRequest {})).await.unwrap().into_inner();
    assert_eq!(denials.denials.len(), 1);
    drop((client, channel));
    running.shutdown().await.unwrap();
}
