//! An end of a connection that writes when its driver says so.
//!
//! HTTP/2 flushes after each frame that it could not put behind another one, and each flush would be a system call that
//! wakes the peer. Here a flush only means "somebody will", and [`Cork::poll_drain`] is that somebody: once for all that one
//! look at the connection has brought about. What is held back is bounded, so a peer that does not read holds us up as ever.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What may be held back. Four of HTTP/2's largest usual frames.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// What a connection keeps of it while nothing is held back.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// The end that is given to HTTP/2.
pub(crate) struct Corked<IO> {
    wire: Arc<Mutex<Wire<IO>>>,
}

/// The end that is kept by whoever drives the connection.
pub(crate) struct Cork<IO> {
    wire: Arc<Mutex<Wire<IO>>>,
}

struct Wire<IO> {
    io: IO,
    held: Vec<u8>,
    /// How much of `held` is written already.
    written: usize,
    /// Whether something was written past `held`, which whoever encrypts below may still keep.
    unflushed: bool,
}

/// Both ends of `io`.
pub(crate) fn cork<IO>(io: IO) -> (Corked<IO>, Cork<IO>) {
    let wire = Arc::new(Mutex::new(Wire { io, held: Vec::new(), written: 0, unflushed: false }));
    (Corked { wire: wire.clone() }, Cork { wire })
}

/// Both ends are polled by one task, so nobody waits here.
fn lock<IO>(wire: &Mutex<Wire<IO>>) -> MutexGuard<'_, Wire<IO>> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<IO: AsyncWrite + Unpin> Cork<IO> {
    /// Writes all that is held back.
    pub(crate) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.wire).poll_drain(context)
    }
}

impl<IO: AsyncWrite + Unpin> Wire<IO> {
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.held.len() {
            let count = ready!(Pin::new(&mut self.io).poll_write(context, &self.held[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        // A flush that has to wait comes here again, and finds all of it written.
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        (self.written, self.unflushed) = (0, false);
        if self.held.capacity() > KEPT_BYTES_MAX {
            self.held = Vec::new();
        } else {
            self.held.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Corked<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.wire).io).poll_read(context, buffer)
    }
}

/// Not vectored: HTTP/2 then puts short frames one behind the other by itself.
impl<IO: AsyncWrite + Unpin> AsyncWrite for Corked<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = lock(&self.wire);
        if wire.held.len() + bytes.len() > HELD_BYTES_MAX {
            ready!(wire.poll_drain(context))?;
        }
        if bytes.len() >= HELD_BYTES_MAX {
            wire.unflushed = true;
            return Pin::new(&mut wire.io).poll_write(context, bytes);
        }
        wire.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        ready!(wire.poll_drain(context))?;
        Pin::new(&mut wire.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn drain<IO: AsyncWrite + Unpin>(cork: &Cork<IO>) -> impl Future<Output = io::Result<()>> {
        std::future::poll_fn(|context| cork.poll_drain(context))
    }

    #[tokio::test]
    async fn what_is_flushed_leaves_when_the_driver_says_so_and_not_before() {
        let (ours, mut theirs) = duplex(1_024);
        let (mut corked, cork) = cork(ours);
        corked.write_all(b"one").await.unwrap();
        corked.flush().await.unwrap();
        corked.write_all(b"two").await.unwrap();

        let mut read = [0; 6];
        let early = tokio::time::timeout(std::time::Duration::ZERO, theirs.read(&mut read)).await;
        drain(&cork).await.unwrap();
        theirs.read_exact(&mut read).await.unwrap();

        assert!(early.is_err(), "nothing has left before");
        assert_eq!(&read, b"onetwo");
    }

    #[tokio::test]
    async fn what_a_layer_below_keeps_of_a_long_write_leaves_with_the_next_drain() {
        let (ours, mut theirs) = duplex(4 * HELD_BYTES_MAX);
        // As whoever encrypts: it takes all, and lets go of it when it is flushed.
        let (mut corked, cork) = cork(tokio::io::BufWriter::with_capacity(2 * HELD_BYTES_MAX, ours));
        corked.write_all(&[7; HELD_BYTES_MAX]).await.unwrap();
        drain(&cork).await.unwrap();
        let mut read = vec![0; HELD_BYTES_MAX];
        let arrived = tokio::time::timeout(std::time::Duration::from_secs(5), theirs.read_exact(&mut read));
        arrived.await.expect("it has left").unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_holds_the_writer_up_and_loses_nothing() {
        let (ours, mut theirs) = duplex(100);
        let (mut corked, cork) = cork(ours);
        let sent: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let copy = sent.clone();

        let mut writing = tokio::spawn(async move {
            for chunk in copy.chunks(1_000) {
                corked.write_all(chunk).await.unwrap();
                assert!(lock(&corked.wire).held.len() <= HELD_BYTES_MAX);
            }
            corked
        });
        let stuck = tokio::time::timeout(std::time::Duration::from_millis(20), &mut writing).await.is_err();
        let mut read = vec![0; sent.len()];
        let reading = async {
            theirs.read_exact(&mut read).await.unwrap();
        };
        let finishing = async {
            let corked = writing.await.unwrap();
            drain(&cork).await.unwrap();
            corked
        };
        let ((), corked) = tokio::join!(reading, finishing);

        assert!(stuck && read == sent);
        assert!(lock(&corked.wire).held.capacity() <= KEPT_BYTES_MAX, "a large buffer is not kept");
    }

    #[tokio::test]
    async fn what_is_held_back_leaves_before_the_end() {
        let (ours, mut theirs) = duplex(1_024);
        let (mut corked, _cork) = cork(ours);
        corked.write_all(b"goodbye").await.unwrap();
        corked.shutdown().await.unwrap();
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"goodbye");
    }
}
