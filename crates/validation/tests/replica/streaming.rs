//! Keys in a stream.

use crate::house::{ask, by, reason};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};

type Answers = Streaming<v1::StreamValidateKeysResponse>;
type Open = (mpsc::Sender<v1::StreamValidateKeysRequest>, Answers);

fn item(id: &str, request: Option<v1::ValidateKeyRequest>) -> v1::StreamValidateKeysRequest {
    v1::StreamValidateKeysRequest { id: id.to_owned(), request }
}

/// The id of the next answer, and its outcome or the code of its error.
async fn next(answers: &mut Answers) -> Option<(String, Result<v1::Outcome, Code>)> {
    let result = answers.message().await.unwrap()?.result.unwrap();
    let told = match result.result.unwrap() {
        ItemResult::Response(answer) => Ok(answer.outcome()),
        ItemResult::Error(error) => Err(Code::from(error.code)),
    };
    Some((result.id, told))
}

/// Opens a stream, and answers its first item.
pub(crate) async fn opened(channel: &Channel, caller: &str, key_text: &str) -> Open {
    let (items, receiver) = mpsc::channel(8);
    items.send(item("first", Some(ask(key_text)))).await.unwrap();
    let mut client = ValidationServiceClient::new(channel.clone());
    let request = by(caller, ReceiverStream::new(receiver));
    let mut answers = client.stream_validate_keys(request).await.unwrap().into_inner();
    assert_eq!(next(&mut answers).await, Some(("first".to_owned(), Ok(v1::Outcome::Valid))));
    (items, answers)
}

pub(crate) async fn strangers_open_no_stream(channel: &Channel, root: &str, auditor: &str) {
    let mut client = ValidationServiceClient::new(channel.clone());
    let one = || tokio_stream::iter([item("a", Some(ask(root)))]);
    let missing = client.stream_validate_keys(Request::new(one())).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::Unauthenticated, "IDENTITY_MISSING"));
    let denied = client.stream_validate_keys(by(auditor, one())).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

pub(crate) async fn items_are_answered_in_order_each_on_its_own(channel: &Channel, root: &str, validator: &str) {
    let wrong = v1::ValidateKeyRequest { keyspace: "payments".to_owned(), ..ask(root) };
    let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
    let mut items = vec![
        item("good", Some(ask(root))),
        item("malformed", Some(ask(""))),
        item("wrong field", Some(wrong)),
        item("nothing", None),
        item("", Some(ask(root))),
        item(&too_long, Some(ask(root))),
        item(&longest, Some(ask(root))),
    ];
    // Far more than wait for a client to read them; the same word may come again.
    items.extend((0..1_000).map(|_| item("again", Some(ask(root)))));
    let mut client = ValidationServiceClient::new(channel.clone());
    let request = by(validator, tokio_stream::iter(items));
    let mut answers = client.stream_validate_keys(request).await.unwrap().into_inner();
    for (id, told) in [
        ("good", Ok(v1::Outcome::Valid)),
        ("malformed", Ok(v1::Outcome::Malformed)),
        ("wrong field", Err(Code::InvalidArgument)),
        ("nothing", Err(Code::InvalidArgument)),
        ("", Err(Code::InvalidArgument)),
        ("", Err(Code::InvalidArgument)),
        (&longest, Ok(v1::Outcome::Valid)),
    ] {
        assert_eq!(next(&mut answers).await, Some((id.to_owned(), told)));
    }
    for _ in 0..1_000 {
        assert_eq!(next(&mut answers).await, Some(("again".to_owned(), Ok(v1::Outcome::Valid))));
    }
    assert_eq!(next(&mut answers).await, None);
}

/// Streams of a caller whose own key was revoked meanwhile: one goes on, one sends what cannot be read, one rests.
pub(crate) async fn streams_end_with_the_key_of_their_caller(streams: [Open; 3], root: &str) {
    let [(items, going_on), (broken_items, broken), (_items, resting)] = streams;
    items.send(item("late", Some(ask(root)))).await.unwrap();
    broken_items.send(item("late", None)).await.unwrap();
    for mut answers in [going_on, broken, resting] {
        let end = timeout(Duration::from_secs(20), answers.message()).await.expect("it ends by itself").unwrap_err();
        assert_eq!((end.code(), reason(&end).as_str()), (Code::Unauthenticated, "IDENTITY_UNKNOWN"));
    }
}

pub(crate) async fn a_stream_is_told_that_the_process_stops(mut answers: Answers) {
    let end = answers.message().await.unwrap_err();
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "STOPPING"));
}
