//! What is dialled, and what is not.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use latchkey_dial::{DialError, Reach, Server};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn server(address: String, reach: Reach) -> Server {
    Server { address, trust: None, reach, limit: Duration::from_secs(5) }
}

fn request() -> Request<Full<Bytes>> {
    Request::post("/take").body(Full::new(Bytes::from_static(b"batch"))).unwrap()
}

#[tokio::test]
async fn a_call_has_a_host_and_an_answer_with_its_headers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 1_024];
        let mut read = 0;
        while !bytes[..read].ends_with(b"batch") {
            read += stream.read(&mut bytes[read..]).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    });
    let answer = server(address.clone(), Reach::Anywhere).call(request()).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::TOO_MANY_REQUESTS, &b"no"[..]));
    assert_eq!(answer.headers["retry-after"], "7");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /take HTTP/1.1\r\n") && asked.contains(&format!("host: {address}\r\n")), "{asked}");
}

#[tokio::test]
async fn an_address_of_ours_is_not_dialled_for_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let refused = server(format!("{host}:{port}"), Reach::Public).call(request()).await.unwrap_err();
        assert!(matches!(refused, DialError::Refused { .. }), "{host}: {refused}");
    }
    let waited = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(waited.is_err(), "nothing was dialled");
}
