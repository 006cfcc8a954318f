//! Looking up: the sequences that meet a plan, from either end, a bounded number at a time.

use super::list::List;
use super::meeting::{Meeting, Met, Part};
use super::plan::Plan;
use super::shelf::{Held, Index, Shelved};
use super::term::Term;
use super::times::{Span, Times};
use crate::run::{Keys, RunError};
use latchkey_domain::TenantNumber;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lists that a look reads before it tells what it has: some ten milliseconds.
const READS_MAX: usize = 500;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Sequences in the order asked for.
    pub(crate) sequences: Vec<u64>,
    /// Upwards: all below it are told. Downwards: all from it on.
    pub(crate) through: u64,
}

/// The terms of a plan for each tenant: each has a key of its own.
struct Terms<'a> {
    plan: &'a Plan,
    keys: &'a dyn Keys,
    known: BTreeMap<TenantNumber, Option<Vec<Term>>>,
}

impl<'a> Terms<'a> {
    const fn new(plan: &'a Plan, keys: &'a dyn Keys) -> Self {
        Self { plan, keys, known: BTreeMap::new() }
    }

    /// `None` where the tenant is not asked for, or its key is gone.
    fn of(&mut self, tenant: TenantNumber) -> Result<Option<&[Term]>, RunError> {
        if !self.plan.includes(tenant) {
            return Ok(None);
        }
        if !self.known.contains_key(&tenant) {
            let terms = self.keys.key(tenant)?;
            let terms = terms.map(|key| self.plan.words.iter().map(|word| word.term(&key.key)).collect());
            self.known.insert(tenant, terms);
        }
        Ok(self.known.get(&tenant).and_then(Option::as_deref))
    }
}

/// The runs and the lists of the tail, as they were at one moment.
struct Snapshot {
    runs: Vec<Arc<Shelved>>,
    first: u64,
    next: u64,
    times: Times,
    lists: Vec<Vec<Vec<u64>>>,
}

impl Snapshot {
    fn take(index: &Index, terms: &mut Terms<'_>) -> Result<Self, RunError> {
        loop {
            let tenants = index.held().tail.tenants();
            // Asking for a key may take its time, and holds nobody up.
            let mut asked = BTreeMap::new();
            for tenant in tenants {
                asked.insert(tenant, terms.of(tenant)?.map(<[_]>::to_vec));
            }
            let held = index.held();
            let Held { runs, tail } = &*held;
            if tail.tenants().iter().any(|tenant| !asked.contains_key(tenant)) {
                continue;
            }
            let asked = asked.into_iter().filter_map(|(tenant, terms)| Some((tenant, terms?)));
            let lists = asked.map(|(tenant, terms)| {
                let list = |term| tail.lists.get(&(tenant, term)).cloned().unwrap_or_default();
                terms.into_iter().map(list).collect()
            });
            let (first, next, times) = (tail.first, tail.next, tail.times.clone());
            return Ok(Self { runs: runs.clone(), first, next, times, lists: lists.collect() });
        }
    }

    fn has(&self, sequence: u64) -> bool {
        let first = self.runs.first().map_or(self.first, |run| run.first);
        (first..self.next).contains(&sequence)
    }

    /// How many parts there are; the tail is the last.
    const fn parts(&self) -> usize {
        self.runs.len() + 1
    }

    fn bounds(&self, number: usize) -> (u64, u64) {
        self.runs.get(number).map_or((self.first, self.next), |run| (run.first, run.next))
    }

    fn part(&self, number: usize, terms: &mut Terms<'_>) -> Result<Part<'_>, RunError> {
        let Some(run) = self.runs.get(number) else {
            let meetings = self.lists.iter().map(|lists| Meeting::new(lists.iter().cloned().map(List::Held).collect()));
            return Ok(Part { times: &self.times, meetings: meetings.collect() });
        };
        let mut meetings = Vec::new();
        for (tenant, _) in run.reader.tenants() {
            let Some(terms) = terms.of(tenant)? else { continue };
            let mut may_meet = true;
            for term in terms {
                may_meet = may_meet && run.reader.may_hold(tenant, term)?;
            }
            if may_meet {
                meetings.push(Meeting::new(terms.iter().map(|term| List::kept(&run.reader, tenant, *term)).collect()));
            }
        }
        Ok(Part { times: &run.times, meetings })
    }
}

impl Index {
    /// Whether the entry is indexed.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        (self.first()..self.next()).contains(&sequence)
    }

    /// The first sequence from this one on that may have happened within a span of time, or is not indexed.
    pub(crate) fn in_time_from(&self, sequence: u64, span: Span) -> u64 {
        let (held, mut at) = (self.held(), sequence);
        let runs = held.runs.iter().map(|run| (run.first, run.next, &run.times));
        for (first, next, times) in runs.chain([(held.tail.first, held.tail.next, &held.tail.times)]) {
            if (first..next).contains(&at) {
                match times.at_or_after(at, span).filter(|found| *found < next) {
                    Some(found) => return found,
                    None => at = next,
                }
            }
        }
        at
    }

    /// As [`Self::in_time_from`], below this one and downwards: what comes below the answer.
    pub(crate) fn in_time_below(&self, below: u64, span: Span) -> u64 {
        let (held, mut below) = (self.held(), below);
        let runs = held.runs.iter().map(|run| (run.first, run.next, &run.times));
        let parts: Vec<_> = runs.chain([(held.tail.first, held.tail.next, &held.tail.times)]).collect();
        for (first, next, times) in parts.into_iter().rev() {
            if let Some(last) = below.checked_sub(1).filter(|last| (first..next).contains(last)) {
                match times.at_or_before(last, span).filter(|found| *found >= first) {
                    Some(found) => return found + 1,
                    None => below = first,
                }
            }
        }
        below
    }

    /// The sequences from `from` on that meet a plan, at most `max` of them; `None` where `from` is not indexed. Blocks the thread.
    ///
    /// # Errors
    /// [`RunError`].
    pub(crate) fn upwards(&self, plan: &Plan, from: u64, max: usize) -> Result<Option<Batch>, RunError> {
        let mut terms = Terms::new(plan, &**self.keys());
        let snapshot = Snapshot::take(self, &mut terms)?;
        if !snapshot.has(from) {
            return Ok(None);
        }
        let (mut sequences, mut at, mut reads) = (Vec::new(), from, 0);
        for number in 0..snapshot.parts() {
            let (first, next) = snapshot.bounds(number);
            if next <= at {
                continue;
            }
            at = at.max(first);
            let mut part = snapshot.part(number, &mut terms)?;
            loop {
                match part.at_or_after(at, plan.span, &mut reads)? {
                    Met::At(found) => {
                        sequences.push(found);
                        at = found + 1;
                    }
                    Met::NotBefore(further) => return Ok(Some(Batch { sequences, through: further })),
                    Met::Nowhere => break,
                }
                if sequences.len() == max || reads >= READS_MAX {
                    return Ok(Some(Batch { sequences, through: at }));
                }
            }
            at = next;
            if reads >= READS_MAX {
                break;
            }
        }
        Ok(Some(Batch { sequences, through: at }))
    }

    /// The sequences below `below` that meet a plan, the highest first, at most `max` of them; `None` where the one below is not indexed.
    /// Blocks the thread.
    ///
    /// # Errors
    /// [`RunError`].
    pub(crate) fn downwards(&self, plan: &Plan, below: u64, max: usize) -> Result<Option<Batch>, RunError> {
        let mut terms = Terms::new(plan, &**self.keys());
        let snapshot = Snapshot::take(self, &mut terms)?;
        if !below.checked_sub(1).is_some_and(|last| snapshot.has(last)) {
            return Ok(None);
        }
        let (mut sequences, mut below, mut reads) = (Vec::new(), below, 0);
        for number in (0..snapshot.parts()).rev() {
            let (first, next) = snapshot.bounds(number);
            if first >= below || first == next {
                continue;
            }
            below = below.min(next);
            let mut part = snapshot.part(number, &mut terms)?;
            while let Some(last) = below.checked_sub(1).filter(|last| *last >= first) {
                match part.at_or_before(last, plan.span, &mut reads)? {
                    Met::At(found) => {
                        sequences.push(found);
                        below = found;
                    }
                    Met::NotBefore(further) => return Ok(Some(Batch { sequences, through: further + 1 })),
                    Met::Nowhere => break,
                }
                if sequences.len() == max || reads >= READS_MAX {
                    return Ok(Some(Batch { sequences, through: below }));
                }
            }
            below = first;
            if reads >= READS_MAX {
                break;
            }
        }
        Ok(Some(Batch { sequences, through: below }))
    }
}
