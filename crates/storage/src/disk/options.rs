//! How a folder is to be opened.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::space::SpaceLimits;

/// Bytes that are free for this process on the disk of a folder.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// Called with the reason when the store cannot go on truthfully. Must not return in a service: whoever retries a
/// failed sync reports success for data that the kernel has dropped already.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// How a folder is to be opened.
#[derive(Clone)]
pub struct Options {
    /// Refuse a folder of another cluster. Default: none expected.
    pub cluster_id: Option<[u8; 16]>,
    /// What sled may keep in memory. It uses several times as much. Bytes. Default 8 MiB: a replica reads rows only at
    /// its start, so more would not make it quicker.
    pub cache_bytes: u64,
    /// When the disk counts as full.
    pub space: SpaceLimits,
    /// Default: asks the file system.
    pub free_space: FreeSpace,
    /// Default: says why on standard error, and aborts.
    pub on_fatal: OnFatal,
    /// What is to go wrong.
    #[cfg(feature = "testing")]
    pub testing: Testing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cluster_id: None,
            cache_bytes: 8 << 20,
            space: SpaceLimits::default(),
            free_space: Arc::new(ask_file_system),
            on_fatal: Arc::new(abort),
            #[cfg(feature = "testing")]
            testing: Testing::default(),
        }
    }
}

/// A bug that is there on purpose, so that a harness can show that it would find it.
#[cfg(feature = "testing")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Trusts sled's own flush.
    SkippedSync,
    /// Keeps a promised purge before the state below it is durable.
    EagerPurge,
}

/// What is to go wrong in a test.
#[cfg(feature = "testing")]
#[derive(Debug, Clone, Default)]
pub struct Testing {
    /// The bug that is there.
    pub planted: Option<Planted>,
    /// While set, every sync of the disk fails.
    pub fail_sync: Arc<core::sync::atomic::AtomicBool>,
}

fn ask_file_system(path: &Path) -> io::Result<u64> {
    let answer = rustix::fs::statvfs(path)?;
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}

#[expect(clippy::print_stderr, reason = "the process ends here: no log would be written any more")]
fn abort(why: &str) {
    eprintln!("latchkey: storage failed, the process ends at once: {why}");
    std::process::abort();
}
