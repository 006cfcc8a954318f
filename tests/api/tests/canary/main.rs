//! No secret is in anything that the services leave behind: data, snapshots, logs, spans, metrics, errors.
//!
//! The search itself is tested by what it must find.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod paste;
mod sealed;
mod search;
mod witness;

use latchkey_api::requests::{self, KEYSPACE, request_id};
use latchkey_api::{Clients, Furniture, House};
use latchkey_wire::pb::v1::{self, Outcome};
use search::Search;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Status;
use witness::Witness;

/// The secret of a key text: 32 characters before the checksum.
fn secret_of(key_text: &str) -> &[u8] {
    let end = key_text.len() - 6;
    &key_text.as_bytes()[end - 32..end]
}

async fn scrape(address: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("latchkey_"), "metrics are served");
    answer
}

/// Everything that an error shows to whoever gets it.
fn shown(status: &Status) -> Vec<u8> {
    [format!("{status:?} {status}").as_bytes(), status.details(), status.message().as_bytes()].concat()
}

/// What callers do, right and wrong. Returns the errors, and the key texts that were made.
async fn live(house: &House, clients: &mut Clients, round: u32) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut errors = Vec::new();
    let mut texts = Vec::new();
    for number in 0..5 {
        let request = v1::CreateKeyRequest { request_id: request_id(round * 100 + number), ..requests::key() };
        let made = clients.keys.create_key(request.clone()).await.unwrap().into_inner();
        let again = clients.keys.create_key(request.clone()).await.unwrap().into_inner();
        assert_eq!(made.key_text, again.key_text);
        let reused = v1::CreateKeyRequest { display_name: "other".to_owned(), ..request };
        errors.push(shown(&clients.keys.create_key(reused).await.unwrap_err()));
        texts.push(made.key_text);
    }
    let batch = clients.keys.batch_create_keys(requests::keys(20)).await.unwrap().into_inner();
    texts.extend(batch.keys.into_iter().map(|one| one.key_text));
    let (management, mut issuer) =
        house.identity("acme", &format!("issuer{round}"), &[(v1::Duty::Issuer, KEYSPACE)]).await;
    for text in &texts {
        let request = requests::validate(text);
        let outcome = clients.validation.validate_key(request.clone()).await.unwrap().into_inner().outcome();
        assert_eq!(outcome, Outcome::Valid);
        // A query that does not parse, and a caller who may not ask.
        let wrong = v1::ValidateKeyRequest { permission_query: "and".to_owned(), ..request.clone() };
        errors.push(shown(&clients.validation.validate_key(wrong).await.unwrap_err()));
        errors.push(shown(&issuer.validation.validate_key(request).await.unwrap_err()));
    }
    let pasted = texts[0].clone();
    let item = |id: &str| v1::BatchValidateKeysItem { id: id.to_owned(), request: Some(requests::validate(&pasted)) };
    let twice = v1::BatchValidateKeysRequest { items: vec![item("a"), item("a")] };
    errors.push(shown(&clients.validation.batch_validate_keys(twice).await.unwrap_err()));
    let mut stranger = house.with(Some(&pasted));
    errors.push(shown(&stranger.keys.get_key(v1::GetKeyRequest::default()).await.unwrap_err()));
    let mut broken = house.with(Some(&format!("{}0", &management[..management.len() - 1])));
    errors.push(shown(&broken.keys.get_key(v1::GetKeyRequest::default()).await.unwrap_err()));

    let newest = v1::ListKeysRequest { order_by: "create_time desc".to_owned(), ..requests::list_keys(KEYSPACE) };
    let listed = clients.keys.list_keys(newest).await.unwrap().into_inner().keys;
    clients.keys.revoke_key(requests::revoke(&listed[0].name)).await.unwrap();
    clients.revocation.revoke_key(requests::revoke(&listed[1].name)).await.unwrap();
    texts.push(management);

    // The rest of a life: each text is shown once, sent by its holder, and told to nobody.
    let name = &listed[2].name;
    let rotate = v1::RotateKeyRequest { request_id: request_id(round * 100 + 50), ..requests::rotate(name) };
    let rotated = clients.rotation.rotate_key(rotate.clone()).await.unwrap().into_inner();
    assert_eq!(clients.rotation.rotate_key(rotate).await.unwrap().into_inner().key_text, rotated.key_text);
    errors.push(shown(&clients.rotation.rotate_key(requests::rotate(name)).await.unwrap_err()));
    let prepare = v1::PrepareStandbyRequest { name: listed[3].name.clone(), ..Default::default() };
    let standby = clients.rotation.prepare_standby(prepare).await.unwrap().into_inner();
    clients.keys.suspend_key(requests::suspend(&listed[4].name)).await.unwrap();
    for text in [&rotated.key_text, &standby.key_text, &texts[0]] {
        let request = Some(requests::validate(text));
        let explain = v1::ExplainValidationRequest { request, ..Default::default() };
        clients.validation.explain_validation(explain).await.unwrap();
    }
    let mut nobody = house.with(None);
    let by_text = |text: &str| v1::RevokeKeyRequest { key_text: text.to_owned(), ..Default::default() };
    nobody.revocation.revoke_key(by_text(&rotated.key_text)).await.unwrap();
    errors.push(shown(&nobody.keys.revoke_key(by_text(&standby.key_text)).await.unwrap_err()));
    texts.extend([rotated.key_text, standby.key_text]);
    texts.extend(sealed::texts(clients, &listed[5].name, &listed[6].name).await);
    (errors, texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_data_logs_spans_metrics_or_errors() {
    let witness = Witness::install();
    let (mut house, furniture) = Furniture::house().await;
    let mut search = Search::default();
    search.secret("root's key", secret_of(&house.root_text()));
    search.secret("a key", secret_of(&furniture.made.key_text));
    search.secret("a key of another tenant", secret_of(&furniture.rival.key_text));
    let kek = std::fs::read_to_string(house.layout().kek()).unwrap();
    search.hexadecimal("the key-encryption key", kek.trim_end().strip_prefix("latchkey-kek-1:").unwrap());
    let cluster = std::fs::read_to_string(house.layout().cluster_secret()).unwrap();
    search.hexadecimal("the cluster's secret", cluster.trim_end());

    for round in 1..=2 {
        let mut root = house.root();
        let (errors, texts) = live(&house, &mut root, round).await;
        for (at, text) in texts.iter().enumerate() {
            search.secret(&format!("key {at} of round {round}"), secret_of(text));
        }
        for error in paste::into_every_field(&house, &texts[0]).await {
            search.bytes("an error about a key text that was pasted", error);
        }
        for error in errors {
            search.bytes("an error", error);
        }
        let ports = house.ports();
        for address in
            [ports.issuance_metrics(), ports.validation_metrics(), ports.rotation_metrics(), ports.audit_metrics()]
        {
            search.bytes("metrics", scrape(address).await);
        }
        for entry in house.entries().await {
            search.bytes("an entry", format!("{entry:?}").into_bytes());
        }
        house.restart().await;
    }
    house.stop().await;
    search.folder(&house.layout().data());
    search.folder(&house.layout().audit());
    let logs = witness.written();
    assert!(witness.spans() > 100, "the spans of calls were seen");
    search.bytes("logs and spans", logs);

    assert!(search.bytes_searched() > 500_000, "only {} bytes were looked at", search.bytes_searched());
    assert_eq!(search.hits(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_logged_answered_or_written_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let secret = b"0123456789abcdefghijABCDEFGHIJxy";
    let planted: [(&str, Vec<u8>); 6] = [
        ("as it is", [b"before ", &secret[..], b" after"].concat()),
        ("in hexadecimal digits", search::hexadecimal(secret).into_bytes()),
        ("in capital hexadecimal digits", search::hexadecimal(secret).to_uppercase().into_bytes()),
        ("in base64", search::base64(secret).into_bytes()),
        ("in base64, in the middle of something", search::base64(&[b"xy", &secret[..], b"z"].concat()).into_bytes()),
        ("as the digits of its bytes", format!("{secret:?}").into_bytes()),
    ];
    for (how, bytes) in planted {
        std::fs::write(folder.path().join("planted"), bytes).unwrap();
        let mut search = Search::default();
        search.secret("it", secret);
        search.folder(folder.path());
        assert_eq!(search.hits().len(), 1, "{how}");
    }
    let mut search = Search::default();
    search.secret("it", secret);
    search.bytes("half of it", secret[..31].to_vec());
    assert_eq!(search.hits(), Vec::<String>::new());
}

#[test]
fn a_secret_in_a_log_line_or_in_the_field_of_a_span_is_found() {
    let secret = b"0123456789abcdefghijABCDEFGHIJxy";
    let text = std::str::from_utf8(secret).unwrap();
    let plantings: [fn(&str); 3] = [
        |text| tracing::trace!(text, "planted"),
        |text| drop(tracing::debug_span!("planted", text)),
        |text| {
            tracing::debug_span!("planted", text = tracing::field::Empty).record("text", text);
        },
    ];
    for planting in plantings {
        let witness = Witness::default();
        tracing::subscriber::with_default(witness.subscriber(), || planting(text));
        let mut search = Search::default();
        search.secret("it", secret);
        search.bytes("logs and spans", witness.written());
        assert!(!search.hits().is_empty());
    }
}
