//! The index: which entries a search has to open. Derived from the entries, never believed over them, and made again where it is missing.
//!
//! ```text
//! entries -> open -> terms of each -> tail, in memory -> 16,384 entries: a run of level 0 -> 8 runs of a level: one of the next
//! search  -> the terms that it asks for -> runs and tail: lists of sequences, met -> candidates -> opened and held against the filter
//! folder  =  index/<level>-<first sequence>-<next sequence>       each a run (`run`)
//! key     =  term (8) || the first sequence of a list (6);   value = what each other one is more than the one before (varints)
//! note    =  format (1) || name of the log (16) || first || next || earliest and latest time of each 1,024 entries (varints)
//! ```
//! A **term** is [`DataKey::term`](latchkey_crypto::DataKey::term) of a field and a value under the audit key of the entry's tenant: it
//! tells nothing without that key, differs from tenant to tenant, and goes with the key. Two terms that meet by chance cost an entry that
//! is opened in vain. 10,000,000 entries lie in some 25 runs at most, and a search asks each of them for a few blocks.
//!
//! What is not indexed is walked: the entries since the last look (a second's at most), and all of them while the index is made again. A
//! run that does not read, or is of another log, is removed with all that follow it. Nothing here is needed for the entries to be right.
//!
//! **Memory**: the tail, some 20 MiB at most; of each run the times (16 bytes for 1,024 entries) and what `run` says: 2 to 3 bytes an entry.

mod build;
mod folder;
mod join;
mod list;
mod lookup;
mod meeting;
mod plan;
mod postings;
mod shelf;
mod tail;
mod term;
mod times;

pub(crate) use build::keep;
pub(crate) use lookup::Batch;
pub(crate) use plan::Plan;
pub use shelf::{Index, IndexOptions};
pub(crate) use term::Word;
#[cfg(test)]
pub(crate) use term::words;
pub(crate) use times::Span;

#[cfg(test)]
mod tests;
