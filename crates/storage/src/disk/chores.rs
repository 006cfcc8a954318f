//! Work for idle moments: removing what no reader asks for any more, a batch at a time.

use super::engine::{Engine, REMOVALS_MAX};
use super::{log, rows};
use crate::error::StoreError;
use core::ops::Range;

/// Something to remove. Forgotten at a restart, and found again then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chore {
    /// Log records behind a durable purge marker.
    Log { through: u64 },
    /// Rows of generations that do not count.
    Generations(Range<u32>),
}

impl Chore {
    /// Removes one batch. True if nothing is left.
    pub(super) fn step(&self, engine: &Engine) -> Result<bool, StoreError> {
        let removed = match self {
            Self::Log { through } => engine.remove_some(&engine.log, log::keys(0..through + 1))?,
            Self::Generations(generations) => engine.remove_some(&engine.rows, rows::keys(generations.clone()))?,
        };
        Ok(removed < REMOVALS_MAX)
    }
}
