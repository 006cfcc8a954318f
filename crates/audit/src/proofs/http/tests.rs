//! Clients that take their time, in simulated time.

use super::*;
use crate::proofs::{Prover, PublicLog};
use latchkey_transparency::Resource;
use latchkey_transparency::note::VerifierKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;
use tonic::{Status, async_trait};

const ASK: &[u8] = b"GET /tile/0/000 HTTP/1.1\r\nhost: a\r\n\r\n";
const TILE: [u8; 8_192] = [7; 8_192];

/// A log of which each tile is alike.
struct Alike;

#[async_trait]
impl PublicLog for Alike {
    async fn object(&self, _: Resource) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(TILE.to_vec()))
    }

    fn verifier_keys(&self) -> Vec<VerifierKey> {
        Vec::new()
    }
}

/// A conversation with somebody between whom and us there is room for so many bytes, and for how long it went on.
fn conversation(room: usize) -> (DuplexStream, JoinHandle<Duration>) {
    let (client, server) = duplex(room);
    let proving = Proving::default();
    let _ = proving.set(Prover::new(Arc::new(Alike)));
    let begun = Instant::now();
    let conversing = tokio::spawn(async move {
        converse(server, proving).await;
        begun.elapsed()
    });
    (client, conversing)
}

/// Reads one answer of a whole tile.
async fn read_one(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let mut body = [0; TILE.len()];
    client.read_exact(&mut body).await.unwrap();
    assert_eq!(body, TILE);
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_nothing_or_half_of_it_or_nothing_more_is_cut() {
    for (asked, answers) in [(&b""[..], 0), (b"GET /tile/0/0", 0), (ASK, 1)] {
        let (mut client, conversing) = conversation(64 << 10);
        client.write_all(asked).await.unwrap();
        for _ in 0..answers {
            read_one(&mut client).await;
        }
        assert_eq!(client.read(&mut [0; 512]).await.unwrap_or(0), 0, "{asked:?}");
        assert_eq!(conversing.await.unwrap().as_secs(), HEADER_READ_MAX.as_secs(), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    let (mut client, conversing) = conversation(512);
    client.write_all(ASK).await.unwrap();
    assert_eq!(conversing.await.unwrap().as_secs(), WRITE_MAX.as_secs());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_does_not_end_is_ended_after_a_whole_answer() {
    let (mut client, conversing) = conversation(64 << 10);
    let begun = Instant::now();
    loop {
        if client.write_all(ASK).await.is_err() {
            break;
        }
        let Ok(first) = client.read_u8().await else { break };
        assert_eq!(first, b'H');
        read_one(&mut client).await;
        sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < CONVERSATION_MAX * 2, "it goes on");
    }
    assert_eq!(conversing.await.unwrap().as_secs(), CONVERSATION_MAX.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_and_takes_something_each_time_has_its_answer() {
    let (mut client, conversing) = conversation(1 << 10);
    client.write_all(ASK).await.unwrap();
    let (mut taken, mut part) = (0, [0; 1_024]);
    while taken < TILE.len() {
        sleep(WRITE_MAX / 2).await;
        taken += client.read(&mut part).await.unwrap();
    }
    drop(client);
    conversing.await.unwrap();
}

#[test]
fn what_a_client_is_told_that_has_too_many_is_whole() {
    let told = std::str::from_utf8(TOO_MANY).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    assert!(body.contains(&CONNECTIONS_PER_CLIENT_MAX.to_string()));
}
