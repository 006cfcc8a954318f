//! Proofs out of what is stored, and the log over plain HTTP.

use latchkey_audit::proofs::{Listener, Prover, Proving, PublicLog};
use latchkey_transparency::note::{Note, VerifierKey};
use latchkey_transparency::testing::TestLog;
use latchkey_transparency::{Checkpoint, Resource, TileId, hash_preimage, verify_consistency, verify_inclusion};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Code, Status, async_trait};

/// What is stored, by path.
struct Stored(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl PublicLog for Stored {
    async fn object(&self, resource: Resource) -> Result<Option<Vec<u8>>, Status> {
        Ok(self.0.get(&resource.path()).cloned())
    }

    fn verifier_keys(&self) -> Vec<VerifierKey> {
        TestLog::new(1).verifier_keys()
    }
}

/// A log of that size, as it is after partial tiles have gone that a full one took the place of.
fn log(size: u64, checkpoint: bool) -> (BTreeMap<String, Vec<u8>>, Option<Checkpoint>) {
    let mut log = TestLog::new(1);
    log.grow(size);
    let read = |note: Note| Checkpoint::parse(note.text()).unwrap();
    let checkpoint = checkpoint.then(|| read(log.checkpoint()));
    (log.objects().clone(), checkpoint)
}

fn prover(objects: BTreeMap<String, Vec<u8>>) -> Prover {
    Prover::new(Arc::new(Stored(objects)))
}

#[tokio::test]
async fn entries_are_proved_at_each_size_up_to_the_checkpoints() {
    for size in [1, 2, 255, 256, 257, 600, 66_000] {
        let (objects, checkpoint) = log(size, true);
        let (prover, checkpoint) = (prover(objects), checkpoint.unwrap());
        assert_eq!(prover.newest().await.unwrap().checkpoint, checkpoint);
        for (index, at) in [(0, 1), (0, size), (size - 1, size), (size / 2, size), (size / 3, size / 2 + 1)] {
            let proof = prover.inclusion(&checkpoint, index, at).await.unwrap();
            assert_eq!(proof.preimage, TestLog::leaf(index).preimage());
            let leaf = hash_preimage(&proof.preimage);
            assert_eq!(verify_inclusion(&leaf, index, at, &proof.hashes, &proof.root), Ok(()), "{index} of {at}");
            assert!(at != size || proof.root == checkpoint.root);
        }
        for (from, to) in [(0, size), (1, size), (size / 2, size), (size, size), (size / 3, size / 2)] {
            let hashes = prover.consistency(&checkpoint, from, to).await.unwrap();
            if from > 0 && to > 0 {
                let old = prover.inclusion(&checkpoint, 0, from).await.unwrap().root;
                let new = prover.inclusion(&checkpoint, 0, to).await.unwrap().root;
                assert_eq!(verify_consistency(from, &old, to, &new, &hashes), Ok(()));
            }
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_behind_what_is_stored_is_proved_all_the_same() {
    let mut growing = TestLog::new(1);
    growing.grow(300);
    let checkpoint = Checkpoint::parse(growing.checkpoint().text()).unwrap();
    growing.grow(600);
    let mut objects = growing.objects().clone();
    // The full tile took the place of the partial one.
    objects.remove(&TileId::at(0, 1, 300).unwrap().path()).unwrap();
    objects.remove(&TileId::at(0, 1, 300).unwrap().entries_path()).unwrap();
    let proof = prover(objects).inclusion(&checkpoint, 299, 300).await.unwrap();
    let leaf = TestLog::leaf(299).hash();
    assert_eq!(verify_inclusion(&leaf, 299, 300, &proof.hashes, &checkpoint.root), Ok(()));
}

#[tokio::test]
async fn nothing_signed_is_told_as_starting_and_damage_as_an_incident_and_neither_as_a_proof() {
    let (objects, _) = log(10, false);
    assert_eq!(prover(objects).newest().await.unwrap_err().code(), Code::Unavailable);
    let (objects, checkpoint) = log(600, true);
    let checkpoint = checkpoint.unwrap();
    for path in objects.keys().filter(|path| path.as_str() != "checkpoint") {
        let mut damaged = objects.clone();
        damaged.get_mut(path).unwrap()[40] ^= 1;
        let mut missing = objects.clone();
        missing.remove(path);
        for objects in [damaged, missing] {
            let prover = prover(objects);
            let mut found = 0;
            for index in [0, 256, 512] {
                match prover.inclusion(&checkpoint, index, 600).await {
                    Ok(proof) => {
                        let leaf = TestLog::leaf(index).hash();
                        assert_eq!(verify_inclusion(&leaf, index, 600, &proof.hashes, &checkpoint.root), Ok(()));
                    }
                    Err(error) => {
                        assert_eq!(error.code(), Code::Internal);
                        found += 1;
                    }
                }
            }
            assert!(found > 0, "{path}");
        }
    }
}

/// A server over a log, and what ends it.
struct Served {
    listener: Listener,
    _stop: watch::Sender<bool>,
}

async fn served(objects: Option<BTreeMap<String, Vec<u8>>>) -> Served {
    let (stop, stopped) = watch::channel(false);
    let proving = Proving::default();
    if let Some(objects) = objects {
        proving.set(prover(objects)).unwrap();
    }
    let listener = Listener::start("127.0.0.1:0".parse().unwrap(), proving, stopped).await.unwrap();
    Served { listener, _stop: stop }
}

impl Served {
    /// The status, the head and the body of an answer to these bytes.
    async fn send(&self, request: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.listener.address()).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        (status, head, answer[end..].to_vec())
    }

    async fn ask(&self, method: &str, path: &str, more: &str) -> (u16, String, Vec<u8>) {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n");
        self.send(request.as_bytes()).await
    }
}

#[tokio::test]
async fn the_log_is_served_as_it_is_stored_with_what_caches_need() {
    let (objects, _) = log(600, true);
    let served = served(Some(objects.clone())).await;
    for (path, stored) in &objects {
        let (status, head, body) = served.ask("GET", &format!("/{path}"), "").await;
        assert_eq!((status, &body), (200, stored), "{path}");
        let expected = match path.as_str() {
            "checkpoint" => ["text/plain; charset=utf-8", "cache-control: no-cache"],
            // Of all widths: what has gone never comes back with other bytes.
            _ => ["application/octet-stream", "cache-control: public, max-age=31536000, immutable"],
        };
        assert!(expected.iter().all(|word| head.contains(word)), "{path}: {head}");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let (status, again, body) =
            served.ask("GET", &format!("/{path}"), &format!("if-none-match: W/{tag}\r\n")).await;
        assert_eq!((status, body.len()), (304, 0));
        assert!(again.contains(tag) && again.contains(expected[1]), "{again}");
        let (status, _, body) = served.ask("GET", &format!("/{path}"), "if-none-match: \"other\"\r\n").await;
        assert_eq!((status, &body), (200, stored));
        for range in ["range: bytes=0-9\r\n", "accept-encoding: gzip\r\n", "if-modified-since: now\r\n"] {
            // What is not done is passed over, as HTTP lets us.
            let (status, head, body) = served.ask("GET", &format!("/{path}"), range).await;
            assert!(status == 200 && &body == stored && !head.contains("content-encoding"), "{head}");
        }
        let (status, head, body) = served.ask("HEAD", &format!("/{path}"), "").await;
        assert_eq!((status, body.len()), (200, 0));
        let length = format!("content-length: {}\r\n", stored.len());
        assert!(
            head.contains(&length) && head.contains(tag) && expected.iter().all(|word| head.contains(word)),
            "{head}"
        );
        let (status, _, body) = served.ask("HEAD", &format!("/{path}"), &format!("if-none-match: {tag}\r\n")).await;
        assert_eq!((status, body.len()), (304, 0));
    }
    // What has gone since its full tile came is cut out of that.
    let (status, _, body) = served.ask("GET", "/tile/entries/000.p/2", "").await;
    assert_eq!((status, &body[..]), (200, &objects["tile/entries/000"][..2 * 59]));
}

#[tokio::test]
async fn only_what_the_log_shows_is_served_and_only_read() {
    let (objects, _) = log(600, true);
    let served = served(Some(objects)).await;
    for path in [
        "/",
        "/index",
        "/sealed/000",
        "/index/0/0-1",
        "/tile/entries/../../sealed/000",
        "/tile/0/%30%30%30",
        "//checkpoint",
        "/checkpoint/",
        "/Checkpoint",
        "/../checkpoint",
        "/tile/../checkpoint",
        "/%2e%2e/checkpoint",
        "/tile/0/..%2f..%2fsealed/000",
        "/tile/0/000/",
        "/tile/0/999",
        "/tile/0/999.p/1",
        "/tile/entries/002.p/89",
        "/tile/0/000.p/256",
        "/tile/0/000.p/300",
        "/tile/0/003.p/1",
        "/tile/8/000",
    ] {
        let (status, head, body) = served.ask("GET", path, "").await;
        assert_eq!(status, 404, "{path}");
        // It may be there in a moment.
        assert!(body.len() < 300 && head.contains("cache-control: no-cache"), "{head}");
        let (status, _, body) = served.ask("HEAD", path, "").await;
        assert_eq!((status, body.len()), (404, 0), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let (status, head, _) = served.ask(method, "/checkpoint", "content-length: 0\r\n").await;
        assert!(status == 405 && head.contains("allow: get, head"), "{method}: {head}");
    }
    assert_eq!(served.ask("GET", "/checkpoint?at=1", "").await.0, 200);
}

#[tokio::test]
async fn one_client_cannot_take_the_connections_of_the_others() {
    let served = served(Some(log(3, true).0)).await;
    let from = async |host: [u8; 4]| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((host, 0).into()).unwrap();
        socket.connect(served.listener.address()).await.unwrap()
    };
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(from([127, 0, 0, 1]).await);
    }
    let mut other = from([127, 0, 0, 2]).await;
    other.write_all(b"GET /checkpoint HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Far below the time after which those that are idle are cut.
    let read = timeout(Duration::from_secs(5), other.read_to_end(&mut answer)).await;
    assert!(read.is_ok() && answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let mut told = Vec::new();
    idle.pop().unwrap().read_to_end(&mut told).await.unwrap();
    assert!(told.starts_with(b"HTTP/1.1 429"), "{}", String::from_utf8_lossy(&told));
}

#[tokio::test]
async fn a_log_that_is_not_open_or_not_signed_says_later() {
    let closed = served(None).await;
    let unsigned = served(Some(log(3, false).0)).await;
    for served in [&closed, &unsigned] {
        let (status, head, _) = served.ask("GET", "/checkpoint", "").await;
        assert!(status == 503 && head.contains("retry-after: 1"), "{head}");
    }
}

#[tokio::test]
async fn noise_at_the_listener_is_refused_and_others_are_served() {
    let (objects, _) = log(3, true);
    let served = served(Some(objects)).await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(40_000));
    let many = format!("GET /checkpoint HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for noise in
        [b"\x16\x03\x01\x02\x00\x01".as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", long.as_bytes(), many.as_bytes()]
    {
        let mut stream = TcpStream::connect(served.listener.address()).await.unwrap();
        let _ = stream.write_all(noise).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(served.ask("GET", "/checkpoint", "").await.0, 200);
    served.listener.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_proved_verifies(size in 1_u64..1_500, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (objects, checkpoint) = log(size, true);
        let (prover, checkpoint) = (prover(objects), checkpoint.unwrap());
        let at = 1 + b.index(usize::try_from(size).unwrap()) as u64;
        let index = a.index(usize::try_from(at).unwrap()) as u64;
        runtime.block_on(async {
            let proof = prover.inclusion(&checkpoint, index, at).await.unwrap();
            verify_inclusion(&TestLog::leaf(index).hash(), index, at, &proof.hashes, &proof.root).unwrap();
            let hashes = prover.consistency(&checkpoint, at, size).await.unwrap();
            verify_consistency(at, &proof.root, size, &checkpoint.root, &hashes).unwrap();
        });
    }
}
