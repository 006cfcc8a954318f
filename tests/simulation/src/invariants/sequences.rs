//! Sequences have no gaps: each replica can be followed from the first entry to the last of its tree.

use super::{Invariant, Look};

pub(super) struct Sequences;

impl Invariant for Sequences {
    fn name(&self) -> &'static str {
        "sequences have no gaps"
    }

    fn look(&mut self, _look: &Look<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, look: &Look<'_>) -> Result<(), String> {
        for (node, size, sequences) in look.entries {
            let gap = sequences.iter().zip(0..).find(|(found, expected)| *found != expected);
            if let Some((found, expected)) = gap {
                return Err(format!("replica {node}: expected entry {expected}, found {found}"));
            }
            let count = u64::try_from(sequences.len()).unwrap_or(u64::MAX);
            if count < *size {
                return Err(format!("replica {node} gives {count} entries, its tree has {size}"));
            }
        }
        Ok(())
    }
}
