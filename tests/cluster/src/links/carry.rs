//! One direction of one connection: pieces leave in the order in which they came, each after its time on the way.

use super::weather::Map;
use crate::random::Random;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

/// What is read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces under way at once. A sender that is faster waits, as it does for a window that is full.
const PIECES_MAX: usize = 256;

/// One direction.
pub(super) struct Way<'a> {
    pub(super) map: &'a Map,
    pub(super) from: u64,
    pub(super) to: u64,
    /// Whether a cut loses what is under way for good, as behind a firewall that forgot the connection. Otherwise it
    /// arrives when the link is whole again, as what TCP sends anew.
    pub(super) loses: bool,
    /// Whether this is the way of whoever dialled: his first piece waits for the opening of the connection as well.
    pub(super) opens: bool,
    pub(super) random: Random,
}

/// Bytes, and when they arrive. No bytes: the end.
struct Piece {
    arrives: Instant,
    bytes: Vec<u8>,
}

impl Way<'_> {
    /// Carries until the sender has ended, and what it sent has arrived.
    pub(super) async fn carry(self, read: OwnedReadHalf, write: OwnedWriteHalf) {
        let Self { map, from, to, loses, opens, random } = self;
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let handshake = if opens { map.weather().delay * 2 } else { Duration::ZERO };
        tokio::join!(take(map, read, sender, handshake, random), deliver(map, (from, to), write, receiver, loses));
    }
}

async fn take(map: &Map, mut read: OwnedReadHalf, sender: Sender<Piece>, handshake: Duration, mut random: Random) {
    let mut earliest = Instant::now() + handshake;
    loop {
        let mut bytes = vec![0; PIECE_BYTES];
        let count = read.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(count);
        // Nothing overtakes within a connection.
        earliest = earliest.max(Instant::now() + map.weather().passage(&mut random));
        let sent = sender.send(Piece { arrives: earliest, bytes }).await;
        if count == 0 || sent.is_err() {
            return;
        }
    }
}

async fn deliver(
    map: &Map,
    (from, to): (u64, u64),
    mut write: OwnedWriteHalf,
    mut receiver: Receiver<Piece>,
    loses: bool,
) {
    while let Some(Piece { arrives, bytes }) = receiver.recv().await {
        sleep_until(arrives).await;
        if map.is_cut(from, to) {
            if loses {
                // Whatever comes from now on is swallowed too: a stream with a hole is no stream.
                while receiver.recv().await.is_some_and(|piece| !piece.bytes.is_empty()) {}
            }
            map.whole(from, to).await;
            if loses {
                break;
            }
        }
        if bytes.is_empty() || write.write_all(&bytes).await.is_err() {
            break;
        }
    }
    // The other end may be gone already.
    drop(write.shutdown().await);
}
