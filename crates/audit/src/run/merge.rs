//! Several runs as one.

use super::error::RunError;
use super::range::Range;
use super::reader::Reader;
use super::writer::Writer;
use latchkey_domain::TenantNumber;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, btree_set};

/// The next item of a run: its key, the place of the run, its value.
type Head = Reverse<(Vec<u8>, usize, Vec<u8>)>;

/// The items of several runs in order: each key once, with its values in the order of the runs. Tenants whose key is gone are left out.
#[derive(Debug)]
pub struct Merged<'a> {
    readers: Vec<&'a Reader>,
    tenants: btree_set::IntoIter<TenantNumber>,
    tenant: TenantNumber,
    ranges: Vec<Range<'a>>,
    /// The next item of each run that has one.
    heads: BinaryHeap<Head>,
    failed: bool,
}

/// One key of a tenant, with the value of each run that has it.
pub type MergedItem = (TenantNumber, Vec<u8>, Vec<Vec<u8>>);

/// Reads several runs as one.
#[must_use]
pub fn merged<'a>(readers: impl IntoIterator<Item = &'a Reader>) -> Merged<'a> {
    let readers: Vec<_> = readers.into_iter().collect();
    let tenants: BTreeSet<_> = readers.iter().flat_map(|reader| reader.tenants().map(|(number, _)| number)).collect();
    let (heads, ranges) = (BinaryHeap::new(), Vec::new());
    Merged { readers, tenants: tenants.into_iter(), tenant: super::CLUSTER, ranges, heads, failed: false }
}

/// Writes several runs as one. `combine` is given the values of a key in the order of the runs, and says what is left of them.
///
/// # Errors
/// [`RunError`].
pub fn merge<'a>(
    readers: impl IntoIterator<Item = &'a Reader>,
    mut combine: impl FnMut(TenantNumber, &[u8], Vec<Vec<u8>>) -> Option<Vec<u8>>,
    writer: &mut Writer,
) -> Result<(), RunError> {
    for item in merged(readers) {
        let (tenant, key, values) = item?;
        let Some(value) = combine(tenant, &key, values) else { continue };
        match writer.push(tenant, &key, &value) {
            // Destroyed a moment ago.
            Err(RunError::Destroyed { .. }) => {}
            pushed => pushed?,
        }
    }
    Ok(())
}

impl Merged<'_> {
    fn step(&mut self) -> Result<Option<MergedItem>, RunError> {
        while self.heads.is_empty() {
            let Some(tenant) = self.tenants.next() else { return Ok(None) };
            self.tenant = tenant;
            self.ranges.clear();
            for reader in &self.readers {
                self.ranges.push(reader.range(tenant, &[], None)?);
            }
            for at in 0..self.ranges.len() {
                self.advance(at)?;
            }
        }
        let Some(Reverse((key, at, value))) = self.heads.pop() else { return Ok(None) };
        self.advance(at)?;
        let mut values = vec![value];
        while self.heads.peek().is_some_and(|Reverse((next, ..))| *next == key) {
            let Some(Reverse((_, at, value))) = self.heads.pop() else { break };
            values.push(value);
            self.advance(at)?;
        }
        Ok(Some((self.tenant, key, values)))
    }

    fn advance(&mut self, at: usize) -> Result<(), RunError> {
        if let Some((key, value)) = self.ranges[at].next().transpose()? {
            self.heads.push(Reverse((key, at, value)));
        }
        Ok(())
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<MergedItem, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
