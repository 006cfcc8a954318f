//! Raft's own threads.

use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of raft's runtime: one speaks while the other serves.
const RAFT_THREADS: usize = 2;

/// A runtime for raft. A runtime that is dropped within another one panics, so this one is let go in the background.
#[derive(Debug)]
pub(crate) struct RaftRuntime(Option<Runtime>);

impl RaftRuntime {
    pub(crate) fn build() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(RAFT_THREADS).thread_name("raft").enable_all().build();
        runtime.map(Some).map(Self)
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until it is dropped").handle()
    }
}

impl Drop for RaftRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
