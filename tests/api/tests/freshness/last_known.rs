//! `STALENESS_POLICY_LAST_KNOWN` and `STALENESS_POLICY_REFUSE` on a replica that hears of no leader.

use crate::cluster::{Cluster, STALENESS};
use latchkey_api::clients::Clients;
use latchkey_api::requests::{self, seconds};
use latchkey_api::why::{Why, why};
use latchkey_wire::pb::v1;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Code;
use v1::decision_basis::Kind;
use v1::validate_key_result::Result as ItemResult;

/// How long `acme/orders` is answered for beyond the bound.
const BEYOND: Duration = Duration::from_secs(4);

/// How long a drill may take at most: both bounds, twice.
const DRILL_MAX: Duration = Duration::from_secs(20);

/// Two keyspaces with a key each, of the two policies; gives the texts.
async fn furnish(root: &mut Clients) -> [String; 2] {
    root.directory.create_tenant(requests::tenant("acme")).await.unwrap();
    let mut lenient = requests::keyspace("acme", "orders", "acme_live");
    let keyspace = lenient.keyspace.as_mut().unwrap();
    keyspace.staleness_policy = v1::StalenessPolicy::LastKnown.into();
    keyspace.last_known_max = seconds(BEYOND.as_secs().try_into().unwrap());
    let made = root.directory.create_keyspace(lenient).await.unwrap().into_inner();
    assert_eq!((made.staleness_policy(), made.last_known_max), (v1::StalenessPolicy::LastKnown, seconds(4)));
    let strict = root.directory.create_keyspace(requests::keyspace("acme", "strict", "acme_strict")).await.unwrap();
    let mut texts = Vec::new();
    for parent in [requests::KEYSPACE, &strict.into_inner().name] {
        let key = v1::CreateKeyRequest {
            parent: parent.to_owned(),
            permissions: vec!["orders:*".to_owned()],
            ..Default::default()
        };
        texts.push(root.keys.create_key(key).await.unwrap().into_inner().key_text);
    }
    texts.try_into().unwrap()
}

/// What a key is answered: on which basis and how old, or that it cannot be said.
async fn answer(root: &mut Clients, text: &str) -> Result<(Kind, Duration), Code> {
    match root.validation.validate_key(requests::validate(text)).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            assert_eq!(answer.outcome(), v1::Outcome::Valid);
            let basis = answer.decision_basis.unwrap();
            Ok((basis.kind(), Duration::try_from(basis.age.unwrap()).unwrap()))
        }
        Err(status) => {
            assert_eq!(Why::read(&status), Why::new(Code::Unavailable, "NOT_FRESH", &[]));
            Err(status.code())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_one_keyspace_stops_at_its_bound_and_the_other_says_for_how_long_it_goes_on() {
    let mut cluster = Cluster::found().await;
    let mut root = cluster.root(0);
    let [lenient, strict] = furnish(&mut root).await;
    for text in [&lenient, &strict] {
        assert_eq!(answer(&mut root, text).await.unwrap().0, Kind::Current);
    }
    cluster.stop_one(1).await;
    cluster.stop_one(2).await;
    let (began, bound) = (Instant::now(), STALENESS + BEYOND);
    let (mut strict_ended, mut last_known) = (None, 0);
    loop {
        assert!(began.elapsed() < DRILL_MAX, "it answers for ever");
        if strict_ended.is_none() {
            match answer(&mut root, &strict).await {
                Ok((kind, age)) => assert!(kind == Kind::Current && age <= STALENESS, "{kind:?} {age:?}"),
                Err(_) => strict_ended = Some(began.elapsed()),
            }
        }
        match answer(&mut root, &lenient).await {
            Ok((Kind::Current, age)) => assert!(age <= STALENESS && last_known == 0, "{age:?}"),
            Ok((_, age)) => {
                assert!(STALENESS < age && age <= bound, "{age:?}");
                if last_known == 0 {
                    other_ways(&mut root, &lenient, &strict).await;
                }
                last_known += 1;
            }
            Err(_) => break,
        }
    }
    println!("REFUSE stopped after {strict_ended:?}, LAST_KNOWN after {:?}, {last_known} answers", began.elapsed());
    assert!(strict_ended.is_some() && last_known > 0);
    assert!(answer(&mut root, &strict).await.is_err());
    let scraped = latchkey_telemetry::metrics::recorder().render();
    let counted = scraped.lines().find_map(|line| line.strip_prefix("latchkey_validations_last_known_total "));
    assert!(counted.unwrap().parse::<u64>().unwrap() >= last_known, "{scraped}");

    // What it knew last is what a lease of this life has vouched for: a restart ends it.
    cluster.stop_one(0).await;
    cluster.start_one(0).await;
    let mut root = cluster.root(0);
    crate::cluster::until("its state is loaded", || cluster.replica(0).registry().reader().now().is_ok()).await;
    let refused = why(root.validation.validate_key(requests::validate(&lenient)).await);
    assert_eq!(refused, Why::new(Code::Unavailable, "STARTING", &[]));
    cluster.stop().await;
}

/// A batch and a stream say the same of each key.
async fn other_ways(root: &mut Clients, lenient: &str, strict: &str) {
    let item =
        |text: &str| v1::BatchValidateKeysItem { id: text[..8].to_owned(), request: Some(requests::validate(text)) };
    let batch = v1::BatchValidateKeysRequest { items: vec![item(lenient), item(strict)] };
    let results = root.validation.batch_validate_keys(batch).await.unwrap().into_inner().results;
    let [first, second] = results.try_into().unwrap();
    let Some(ItemResult::Response(answer)) = first.result else { panic!("{first:?}") };
    assert_eq!(answer.decision_basis.unwrap().kind(), Kind::LastKnown);
    let Some(ItemResult::Error(error)) = second.result else { panic!("{second:?}") };
    assert_eq!(Code::from(error.code), Code::Unavailable);

    let item =
        |text: &str| v1::StreamValidateKeysRequest { id: "one".to_owned(), request: Some(requests::validate(text)) };
    let items = tokio_stream::iter([item(lenient), item(strict)]);
    let mut answers = root.validation.stream_validate_keys(items).await.unwrap().into_inner();
    let first = answers.next().await.unwrap().unwrap();
    let Some(ItemResult::Response(answer)) = first.result.unwrap().result else { panic!("no answer") };
    assert_eq!(answer.decision_basis.unwrap().kind(), Kind::LastKnown);
    let second = answers.next().await.unwrap().unwrap();
    assert!(matches!(second.result.as_ref().unwrap().result, Some(ItemResult::Error(_))), "{second:?}");
    // Nobody looks at a state that is as old as this who asked for more.
    let consistency = Some(v1::Consistency {
        requirement: Some(v1::consistency::Requirement::FullyConsistent(v1::consistency::FullyConsistent {})),
    });
    let asked = v1::ValidateKeyRequest { consistency, ..requests::validate(lenient) };
    assert_eq!(root.validation.validate_key(asked).await.unwrap_err().code(), Code::Unavailable);
}
