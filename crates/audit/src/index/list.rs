//! One list of sequences, of a run or of the tail, that can be entered anywhere.

use super::postings;
use super::term::Term;
use crate::run::{Reader, RunError};
use latchkey_domain::TenantNumber;

/// The sequences of one term of one tenant.
#[derive(Debug)]
pub(super) enum List<'a> {
    /// All of them, in memory.
    Held(Vec<u64>),
    /// In a run, with the part that was read last.
    Kept { reader: &'a Reader, tenant: TenantNumber, term: Term, part: Vec<u64> },
}

impl<'a> List<'a> {
    pub(super) const fn kept(reader: &'a Reader, tenant: TenantNumber, term: Term) -> Self {
        Self::Kept { reader, tenant, term, part: Vec::new() }
    }

    /// The first sequence from `sequence` on. `reads` counts what was read for it.
    pub(super) fn at_or_after(&mut self, sequence: u64, reads: &mut usize) -> Result<Option<u64>, RunError> {
        match self {
            Self::Held(list) => Ok(first_from(list, sequence)),
            Self::Kept { reader, tenant, term, part } => {
                // Within the part: what lies before its first may belong to the one before it.
                if part.first().is_some_and(|first| *first <= sequence)
                    && let Some(found) = first_from(part, sequence)
                {
                    return Ok(Some(found));
                }
                *reads += 1;
                let (lowest, above) = (postings::key(*term, 0), postings::key(*term, sequence.saturating_add(1)));
                let before = reader.range(*tenant, &lowest, Some(&above))?.next_back().transpose()?;
                if let Some(list) = before.map(|item| read(reader, item)).transpose()? {
                    *part = list;
                    if let Some(found) = first_from(part, sequence) {
                        return Ok(Some(found));
                    }
                }
                let highest = postings::key(*term, u64::MAX);
                let Some(after) = reader.range(*tenant, &above, Some(&highest))?.next().transpose()? else {
                    return Ok(None);
                };
                *part = read(reader, after)?;
                Ok(part.first().copied())
            }
        }
    }

    /// The last sequence up to `sequence`.
    pub(super) fn at_or_before(&mut self, sequence: u64, reads: &mut usize) -> Result<Option<u64>, RunError> {
        match self {
            Self::Held(list) => Ok(last_to(list, sequence)),
            Self::Kept { reader, tenant, term, part } => {
                if part.last().is_some_and(|last| *last >= sequence)
                    && let Some(found) = last_to(part, sequence)
                {
                    return Ok(Some(found));
                }
                *reads += 1;
                let (lowest, above) = (postings::key(*term, 0), postings::key(*term, sequence.saturating_add(1)));
                let Some(item) = reader.range(*tenant, &lowest, Some(&above))?.next_back().transpose()? else {
                    return Ok(None);
                };
                *part = read(reader, item)?;
                Ok(last_to(part, sequence))
            }
        }
    }
}

fn first_from(list: &[u64], sequence: u64) -> Option<u64> {
    list.get(list.partition_point(|one| *one < sequence)).copied()
}

fn last_to(list: &[u64], sequence: u64) -> Option<u64> {
    list.partition_point(|one| *one <= sequence).checked_sub(1).map(|at| list[at])
}

fn read(reader: &Reader, (key, value): crate::run::Item) -> Result<Vec<u64>, RunError> {
    let list = postings::read_key(&key).and_then(|(_, first)| postings::read(first, &value));
    list.ok_or_else(|| RunError::Damaged { path: reader.path().into(), what: "a list does not read".to_owned() })
}
