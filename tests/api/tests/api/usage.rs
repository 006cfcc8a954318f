//! What was used comes to those who may know of it, and to nobody else.

use latchkey_api::requests::{self, KEYSPACE, OWNER};
use latchkey_api::{Clients, Furniture, House, Why, why};
use latchkey_wire::pb::v1;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;
use v1::query_usage_request::Dimension;

/// How long what a replica saw may take to be shown on a machine that is busy with other tests; 10 s are promised.
const SHOWN_MAX: Duration = Duration::from_secs(60);

/// Between two looks at it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

fn by(parent: &str, dimensions: &[Dimension]) -> v1::QueryUsageRequest {
    let group_by = dimensions.iter().map(|one| i32::from(*one)).collect();
    v1::QueryUsageRequest { parent: parent.to_owned(), group_by, ..Default::default() }
}

/// Asks until `seen` says that it is there; whoever asks waits for nothing but the answer.
async fn until(
    clients: &mut Clients,
    asked: &v1::QueryUsageRequest,
    seen: impl Fn(&v1::QueryUsageResponse) -> bool,
) -> v1::QueryUsageResponse {
    let shown = async {
        loop {
            match clients.audit.query_usage(asked.clone()).await {
                Ok(answer) if seen(answer.get_ref()) => return answer.into_inner(),
                _ => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    };
    tokio::time::timeout(SHOWN_MAX, shown).await.expect("what was used is shown")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_was_used_for_is_shown_to_the_auditors_of_its_tenant() {
    let (mut house, furniture) = Furniture::house().await;
    let (mut root, key) = (house.root(), furniture.key_name().to_owned());
    for _ in 0..5 {
        root.validation.validate_key(requests::validate(&furniture.made.key_text)).await.unwrap();
    }
    let denied = v1::ValidateKeyRequest {
        permission_query: "nobody:has:this".to_owned(),
        ..requests::validate(&furniture.made.key_text)
    };
    root.validation.validate_key(denied).await.unwrap();
    let (_, mut auditor) = house.identity("acme", "auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let (_, mut narrow) = house.identity("acme", "narrow", &[(v1::Duty::Auditor, KEYSPACE)]).await;
    let (_, mut issuer) = house.identity("acme", "issuer", &[(v1::Duty::Issuer, "tenants/acme")]).await;

    let of_key = by(&key, &[Dimension::Outcome]);
    let answer = until(&mut auditor, &of_key, |answer| answer.series.len() == 2).await;
    let told: Vec<_> = answer.series.iter().map(|one| (one.labels["outcome"].as_str(), one.requests)).collect();
    assert_eq!(told, [("VALID", 5), ("INSUFFICIENT_PERMISSIONS", 1)]);
    assert!(answer.series[0].last_used_time.is_some() && answer.lost.is_none(), "{answer:?}");
    assert!(answer.complete_through.is_some());

    let keys = auditor.audit.query_usage(by("tenants/acme", &[Dimension::Key])).await.unwrap().into_inner();
    assert_eq!((keys.series[0].labels["key"].as_str(), keys.series[0].requests), (key.as_str(), 6));
    assert!(!keys.series[0].is_estimate);
    let total = narrow.audit.query_usage(by(KEYSPACE, &[])).await.unwrap().into_inner();
    assert_eq!((total.series[0].requests, total.series[0].points[0].denials), (6, 1));
    let of_owner = auditor.audit.query_usage(by(OWNER, &[Dimension::Keyspace])).await.unwrap().into_inner();
    assert_eq!(of_owner.series[0].labels["keyspace"], KEYSPACE);

    let refused: [(&mut Clients, &[&str]); 3] =
        [(&mut auditor, &["", "tenants/rival"]), (&mut narrow, &["", "tenants/acme"]), (&mut issuer, &["", KEYSPACE])];
    for (clients, parents) in refused {
        for parent in parents {
            assert_eq!(why(clients.audit.query_usage(by(parent, &[])).await).code, Code::PermissionDenied, "{parent}");
            // An auditor of a tenant may list what is his without naming it.
            if !parent.is_empty() {
                let lines = v1::ListAccessRequest { parent: (*parent).to_owned(), ..Default::default() };
                assert_eq!(why(clients.audit.list_access(lines).await).code, Code::PermissionDenied, "{parent}");
            }
        }
    }
    let all = root.audit.query_usage(by("", &[Dimension::Keyspace])).await.unwrap().into_inner();
    assert!(all.series.iter().any(|one| one.labels["keyspace"] == KEYSPACE), "{all:?}");
    assert!(all.lost.is_some());

    // The denial has a line of its own.
    let lines = v1::ListAccessRequest { parent: key.clone(), filter: "kind = DENIED".to_owned(), ..Default::default() };
    let found = auditor.audit.list_access(lines.clone()).await.unwrap().into_inner();
    assert_eq!(found.lines.len(), 1, "{found:?}");
    let line = &found.lines[0];
    assert_eq!(
        (line.key.as_str(), line.keyspace.as_str(), line.tenant.as_str()),
        (key.as_str(), KEYSPACE, "tenants/acme")
    );
    assert_eq!(line.outcome(), v1::Outcome::InsufficientPermissions);

    // A restart loses none of it.
    house.restart().await;
    let (mut root, of_tenant) = (house.root(), by("tenants/acme", &[]));
    let after = until(&mut root, &of_tenant, |answer| !answer.series.is_empty()).await;
    assert_eq!(after.series[0].requests, total_of(&after));
    assert!(after.series[0].requests >= 6);
    assert_eq!(root.audit.list_access(lines).await.unwrap().into_inner().lines, found.lines);
}

fn total_of(answer: &v1::QueryUsageResponse) -> u64 {
    answer.series.iter().flat_map(|one| &one.points).map(|point| point.requests).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_of_usage_is_refused_by_field() {
    let house = House::empty().await;
    let mut root = house.root();
    let ready = by("", &[]);
    until(&mut root, &ready, |_| true).await;
    for asked in [
        v1::QueryUsageRequest { parent: "keys".to_owned(), ..Default::default() },
        v1::QueryUsageRequest { step: v1::query_usage_request::Step::Minute.into(), ..by("", &[Dimension::Network]) },
        v1::QueryUsageRequest { filter: "outcome = GOOD".to_owned(), ..Default::default() },
        v1::QueryUsageRequest { top_n: -1, ..Default::default() },
        by("", &[Dimension::Version]),
    ] {
        assert_eq!(why(root.audit.query_usage(asked.clone()).await).code, Code::InvalidArgument, "{asked:?}");
    }
    // Of a key it is told that its keyspace is not there.
    for (parent, missing) in [
        ("tenants/nobody", "tenants/nobody"),
        ("tenants/system/keyspaces/none", "tenants/system/keyspaces/none"),
        ("tenants/system/keyspaces/none/keys/0000000000000001", "tenants/system/keyspaces/none"),
    ] {
        let lines = v1::ListAccessRequest { parent: parent.to_owned(), ..Default::default() };
        let usage = root.audit.query_usage(by(parent, &[])).await.unwrap_err();
        let access = root.audit.list_access(lines).await.unwrap_err();
        for status in [usage, access] {
            assert_eq!(Why::read(&status), Why::new(Code::NotFound, "NOT_FOUND", &[]), "{parent}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["name"], missing, "{parent}");
        }
    }
    for filter in ["kind = OTHER", "network = nowhere", "age > soon", "outcome = EXPIRD"] {
        let asked = v1::ListAccessRequest { filter: filter.to_owned(), ..Default::default() };
        assert_eq!(why(root.audit.list_access(asked).await).code, Code::InvalidArgument, "{filter}");
    }
}
