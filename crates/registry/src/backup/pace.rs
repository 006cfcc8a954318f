//! Long work beside a replica that serves: on a thread of its own, with what the processors have left.

use rustix::process::nice;
use std::io::{self, Write};
use tokio::sync::oneshot;

/// How much such a thread stands back: it gets a tenth of a processor that others want.
const NICE: i32 = 10;

/// Bytes after which other threads may go first.
const YIELD_BYTES: usize = 64 << 10;

/// Runs work that takes seconds on a thread that stands back. `None` where it panicked.
pub(crate) async fn in_background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    // The runtime goes along: sealing may have to wait for a key.
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        let _entered = runtime.enter();
        // On Linux this is of the thread. Refused, the work is no less right, and only less polite.
        let _ = nice(NICE);
        // Nobody waits any more where whoever asked went away.
        drop(done.send(work()));
    })?;
    result.await.map_err(|_| io::Error::other(format!("the thread {name} panicked")))
}

/// A writer that lets others go first now and then.
pub(crate) struct Paced<W> {
    inner: W,
    bytes: usize,
}

impl<W: Write> Paced<W> {
    pub(crate) const fn new(inner: W) -> Self {
        Self { inner, bytes: 0 }
    }
}

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written;
        if self.bytes >= YIELD_BYTES {
            self.bytes = 0;
            std::thread::yield_now();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
