//! `DenyKeyLocally`, `AllowKeyLocally` and `ListLocalDenials`, without a quorum and when it is back.

use crate::cluster::{Cluster, until};
use latchkey_api::clients::Clients;
use latchkey_api::requests::{self, deny_locally};
use latchkey_api::why::{Why, why};
use latchkey_wire::pb::v1;
use tonic::Code;
use v1::create_key_request::Expiry;
use v1::local_denial::FollowUp;

struct Furnished {
    /// A key of `acme`, by text and by name.
    text: String,
    key: String,
    /// An operator of `acme`, one of `rival`, and one of `acme` whose key ends soon.
    operators: [String; 3],
}

async fn furnish(root: &mut Clients) -> Furnished {
    let mut operators = Vec::new();
    for (tenant, id, lifetime) in [("acme", "oncall", None), ("rival", "oncall", None), ("acme", "late", Some(3))] {
        if id == "oncall" {
            root.directory.create_tenant(requests::tenant(tenant)).await.unwrap();
        }
        let scope = format!("tenants/{tenant}");
        let identity = requests::identity(tenant, id, &[(v1::Duty::Operator, &scope)]);
        let identity = root.directory.create_identity(identity).await.unwrap().into_inner();
        let mut key = requests::management_key(&identity.name);
        key.expiry = lifetime.map(|seconds| Expiry::Lifetime(prost_types::Duration { seconds, nanos: 0 }));
        operators.push(root.keys.create_key(key).await.unwrap().into_inner().key_text);
    }
    // Answered for as long as this test may take.
    let mut keyspace = requests::keyspace("acme", "orders", "acme_live");
    let lenient = keyspace.keyspace.as_mut().unwrap();
    lenient.staleness_policy = v1::StalenessPolicy::LastKnown.into();
    lenient.last_known_max = requests::seconds(900);
    root.directory.create_keyspace(keyspace).await.unwrap();
    let key = v1::CreateKeyRequest {
        parent: requests::KEYSPACE.to_owned(),
        permissions: vec!["orders:*".to_owned()],
        ..Default::default()
    };
    let made = root.keys.create_key(key).await.unwrap().into_inner();
    Furnished { text: made.key_text, key: made.key.unwrap().name, operators: operators.try_into().unwrap() }
}

async fn outcome(clients: &mut Clients, text: &str) -> Result<v1::Outcome, Code> {
    let answer = clients.validation.validate_key(requests::validate(text)).await;
    answer.map(|answer| answer.into_inner().outcome()).map_err(|status| status.code())
}

async fn denied(clients: &mut Clients) -> Vec<v1::LocalDenial> {
    clients.cluster.list_local_denials(v1::ListLocalDenialsRequest {}).await.unwrap().into_inner().denials
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_stopped_without_a_quorum_and_everywhere_when_it_is_back() {
    let mut cluster = Cluster::found().await;
    let mut root = cluster.root(0);
    let Furnished { text, key, operators } = furnish(&mut root).await;
    let [operator, rival, late] = operators.each_ref().map(|text| cluster.clients(0, text));
    let (mut operator, mut rival, mut late) = (operator, rival, late);
    let clock = |cluster: &Cluster| cluster.replica(0).registry().reader().now().unwrap().now();
    let late_ends = clock(&cluster).millis() + 3_000;
    let before = cluster.entries().await;
    cluster.stop_one(1).await;
    cluster.stop_one(2).await;
    until("no leader is heard of", || !cluster.replica(0).registry().reader().is_fresh()).await;
    assert_eq!(outcome(&mut root, &text).await, Ok(v1::Outcome::Valid));

    // Whoever may not touch it learns that there is no such key, in the same words as for one that is not there.
    let nothing = format!("{}0", &key[..key.len() - 1]);
    let suspend = |name: &str| deny_locally(name, FollowUp::Suspend);
    let hidden = rival.cluster.deny_key_locally(suspend(&key)).await.unwrap_err();
    let missing = operator.cluster.deny_key_locally(suspend(&nothing)).await.unwrap_err();
    assert_eq!(hidden.message().replace(&key, "X"), missing.message().replace(&nothing, "X"));
    assert_eq!((hidden.code(), missing.code()), (Code::NotFound, Code::NotFound));
    // Time goes on here as well: by the leader's last word and what has passed since.
    until("the key of an operator ends", || clock(&cluster).millis() > late_ends + 500).await;
    let expired = why(late.cluster.deny_key_locally(suspend(&key)).await);
    assert_eq!(expired, Why::new(Code::Unauthenticated, "IDENTITY_UNKNOWN", &[]));
    let unsaid = why(operator.cluster.deny_key_locally(v1::DenyKeyLocallyRequest { then: 0, ..suspend(&key) }).await);
    assert_eq!(unsaid.code, Code::InvalidArgument);

    let answer = operator.cluster.deny_key_locally(suspend(&key)).await.unwrap().into_inner();
    assert_eq!((answer.replica, answer.recorded, answer.then()), (1, false, FollowUp::Suspend));
    assert_eq!(outcome(&mut root, &text).await, Ok(v1::Outcome::Suspended));
    // Again: nothing changes.
    let again = operator.cluster.deny_key_locally(suspend(&key)).await.unwrap().into_inner();
    assert_eq!(again, answer);
    assert_eq!(denied(&mut operator).await, std::slice::from_ref(&answer));
    assert!(denied(&mut rival).await.is_empty());
    let undone = v1::AllowKeyLocallyRequest { name: key.clone() };
    assert_eq!(rival.cluster.allow_key_locally(undone.clone()).await.unwrap_err().code(), Code::NotFound);

    // A restart keeps it, before anything is answered.
    cluster.stop_one(0).await;
    cluster.start_one(0).await;
    until("its state is loaded", || cluster.replica(0).registry().reader().now().is_ok()).await;
    let mut operator = cluster.clients(0, &operators[0]);
    assert_eq!(denied(&mut operator).await, [answer]);

    // The cluster is whole: each replica suspends it, the denial goes, and the audit log has both, once.
    cluster.start_one(1).await;
    cluster.start_one(2).await;
    cluster.until_whole().await;
    let denials = async {
        while !denied(&mut operator).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), denials).await.expect("it is carried to the others");
    for at in 0..3 {
        let mut root = cluster.root(at);
        let asked = v1::ValidateKeyRequest {
            consistency: Some(v1::Consistency {
                requirement: Some(v1::consistency::Requirement::FullyConsistent(v1::consistency::FullyConsistent {})),
            }),
            ..requests::validate(&text)
        };
        let answer = root.validation.validate_key(asked).await.unwrap().into_inner();
        assert_eq!(answer.outcome(), v1::Outcome::Suspended, "replica {}", at + 1);
    }
    assert_eq!(cluster.entries().await - before, 2, "that it was denied, and that it is suspended");
    let shown = cluster.root(0).keys.get_key(v1::GetKeyRequest { name: key.clone() }).await.unwrap().into_inner();
    assert_eq!(shown.state(), v1::key::State::Suspended);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_leads_to_nothing_stays_until_it_is_taken_back() {
    let cluster = Cluster::found().await;
    let mut root = cluster.root(0);
    let Furnished { text, key, operators } = furnish(&mut root).await;
    let mut operator = cluster.clients(0, &operators[0]);
    let answer = operator.cluster.deny_key_locally(deny_locally(&key, FollowUp::Nothing)).await.unwrap().into_inner();
    assert!(answer.recorded, "all is well, so the audit log has it at once");
    assert_eq!(outcome(&mut root, &text).await, Ok(v1::Outcome::Suspended));
    assert_eq!(outcome(&mut cluster.root(1), &text).await, Ok(v1::Outcome::Valid), "elsewhere nothing is denied");
    let explained = v1::ExplainValidationRequest { request: Some(requests::validate(&text)), ..Default::default() };
    let explained = root.validation.explain_validation(explained).await.unwrap().into_inner();
    assert_eq!(explained.outcome(), v1::Outcome::Suspended);
    assert!(explained.checks.iter().any(|check| check.detail.contains("on this replica")), "{explained:?}");

    // A management key of nobody that `acme` operates is none of its business; root denies it here.
    let management = root.keys.list_keys(requests::list_keys(requests::MANAGEMENT)).await.unwrap().into_inner().keys;
    let rivals = management.iter().find(|key| key.owner.contains("rival")).unwrap().name.clone();
    let hidden = operator.cluster.deny_key_locally(deny_locally(&rivals, FollowUp::Nothing)).await;
    assert_eq!(hidden.unwrap_err().code(), Code::NotFound);
    let mut rival = cluster.clients(0, &operators[1]);
    rival.cluster.list_local_denials(v1::ListLocalDenialsRequest {}).await.unwrap();
    root.cluster.deny_key_locally(deny_locally(&rivals, FollowUp::Nothing)).await.unwrap();
    let nobody = why(rival.cluster.list_local_denials(v1::ListLocalDenialsRequest {}).await);
    assert_eq!(nobody, Why::new(Code::Unauthenticated, "IDENTITY_UNKNOWN", &[]));

    let allow = v1::AllowKeyLocallyRequest { name: key.clone() };
    assert!(operator.cluster.allow_key_locally(allow.clone()).await.unwrap().into_inner().was_denied);
    assert!(!operator.cluster.allow_key_locally(allow).await.unwrap().into_inner().was_denied);
    assert_eq!(outcome(&mut root, &text).await, Ok(v1::Outcome::Valid));
    assert!(denied(&mut operator).await.is_empty());

    // One is denied still, so 64 more are one too many.
    let parent = requests::KEYSPACE.to_owned();
    let keys = v1::CreateKeyRequest { parent: parent.clone(), ..Default::default() };
    let batch = v1::BatchCreateKeysRequest { parent, requests: vec![keys; 64], ..Default::default() };
    let made = root.keys.batch_create_keys(batch).await.unwrap().into_inner();
    let mut refused = None;
    for one in made.keys.iter().filter_map(|made| made.key.as_ref()) {
        let denied = root.cluster.deny_key_locally(deny_locally(&one.name, FollowUp::Nothing)).await;
        refused = refused.or(denied.err());
    }
    assert_eq!(Why::read(&refused.unwrap()), Why::new(Code::ResourceExhausted, "QUOTA_EXCEEDED", &[]));
    cluster.stop().await;
}
