//! Lists of several runs as one.

use super::postings::{self, LIST_MAX};
use super::term::Term;
use crate::run::{Reader, RunError, Writer, merged};
use latchkey_domain::TenantNumber;

/// Writes a list, in as many items as it takes.
pub(super) fn push(writer: &mut Writer, tenant: TenantNumber, term: Term, list: &[u64]) -> Result<(), RunError> {
    for part in list.chunks(LIST_MAX) {
        writer.push(tenant, &postings::key(term, part[0]), &postings::write(part))?;
    }
    Ok(())
}

/// Writes runs that follow each other as one: short lists of a term become longer ones.
pub(super) fn join<'a>(readers: impl Iterator<Item = &'a Reader>, writer: &mut Writer) -> Result<(), RunError> {
    let readers: Vec<_> = readers.collect();
    let mut open: Option<(TenantNumber, Term, Vec<u64>)> = None;
    for item in merged(readers.iter().copied()) {
        let (tenant, key, values) = item?;
        let wrong = || RunError::Damaged { path: readers[0].path().into(), what: "a list does not read".to_owned() };
        let (term, first) = postings::read_key(&key).ok_or_else(wrong)?;
        // No two runs have one sequence, so no two lists begin with one.
        let [value] = &values[..] else { return Err(wrong()) };
        let list = postings::read(first, value).ok_or_else(wrong)?;
        match &mut open {
            Some((of, at, before)) if (*of, *at) == (tenant, term) => {
                if before.last() >= list.first() {
                    return Err(wrong());
                }
                before.extend(list);
                while before.len() >= LIST_MAX {
                    let rest = before.split_off(LIST_MAX);
                    put(writer, tenant, term, before)?;
                    *before = rest;
                }
            }
            _ => {
                if let Some((of, at, before)) = open.take() {
                    put(writer, of, at, &before)?;
                }
                open = Some((tenant, term, list));
            }
        }
    }
    open.map_or(Ok(()), |(tenant, term, list)| put(writer, tenant, term, &list))
}

fn put(writer: &mut Writer, tenant: TenantNumber, term: Term, list: &[u64]) -> Result<(), RunError> {
    if list.is_empty() {
        return Ok(());
    }
    match push(writer, tenant, term, list) {
        // Destroyed a moment ago.
        Err(RunError::Destroyed { .. }) => Ok(()),
        pushed => pushed,
    }
}
