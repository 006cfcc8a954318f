//! The end of a store that cannot go on truthfully.

use std::sync::{Arc, OnceLock};

use super::OnFatal;
use crate::error::StoreError;

/// Ends the process, or in a test the store, once.
#[derive(Clone)]
pub(super) struct Fatal {
    on_fatal: OnFatal,
    why: Arc<OnceLock<Arc<str>>>,
}

impl Fatal {
    pub(super) fn new(on_fatal: OnFatal) -> Self {
        Self { on_fatal, why: Arc::default() }
    }

    /// Ends it. Returns only where the hook does.
    pub(super) fn trip(&self, why: &str) -> StoreError {
        let first = self.why.set(why.into()).is_ok();
        if first {
            tracing::error!(why, "storage failed");
            (self.on_fatal)(why);
        }
        self.stopped().unwrap_or_else(|| StoreError::Stopped { why: why.into() })
    }

    pub(super) fn running(&self) -> Result<(), StoreError> {
        self.stopped().map_or(Ok(()), Err)
    }

    fn stopped(&self) -> Option<StoreError> {
        self.why.get().map(|why| StoreError::Stopped { why: Arc::clone(why) })
    }
}
