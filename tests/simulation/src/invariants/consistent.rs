//! A read that asked to be behind nobody is behind no write that was acknowledged before it.

use super::{Invariant, Look};
use crate::history::Read;

pub(super) struct Consistent;

impl Invariant for Consistent {
    fn name(&self) -> &'static str {
        "a consistent read is behind nobody"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        match look.history.stale_read {
            Some(Read { node, asked_ms, least, found }) => Err(format!(
                "replica {node} was asked at {asked_ms} ms, when {least} was acknowledged, and answered by {found}"
            )),
            None => Ok(()),
        }
    }
}
