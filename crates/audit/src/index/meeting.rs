//! Where lists meet: the sequences that all lists of a tenant have, and those of several tenants in one order.

use super::list::List;
use super::times::{Span, Times};
use crate::run::RunError;

/// Lists that one step of one tenant reads before it tells how far it came.
const READS_OF_STEP_MAX: usize = 128;

/// Where lists meet next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Here.
    At(u64),
    /// Not before here, in the direction of the search; further was not looked.
    NotBefore(u64),
    /// Nowhere in this part.
    Nowhere,
}

/// The lists of one tenant.
#[derive(Debug)]
pub(super) struct Meeting<'a> {
    lists: Vec<List<'a>>,
    /// Where they meet next, once that was looked for.
    met: Option<Met>,
}

/// Sequences that follow each other, in one run or in the tail.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) times: &'a Times,
    pub(super) meetings: Vec<Meeting<'a>>,
}

impl<'a> Meeting<'a> {
    pub(super) const fn new(lists: Vec<List<'a>>) -> Self {
        Self { lists, met: None }
    }

    fn at_or_after(&mut self, from: u64, reads: &mut usize) -> Result<Met, RunError> {
        let (mut at, begun) = (from, *reads);
        let mut agreeing = 0;
        for turn in (0..self.lists.len()).cycle() {
            if agreeing == self.lists.len() {
                return Ok(Met::At(at));
            }
            if *reads - begun >= READS_OF_STEP_MAX && at > from {
                return Ok(Met::NotBefore(at));
            }
            let Some(found) = self.lists[turn].at_or_after(at, reads)? else { return Ok(Met::Nowhere) };
            agreeing = if found == at { agreeing + 1 } else { 1 };
            at = found;
        }
        Ok(Met::Nowhere)
    }

    fn at_or_before(&mut self, from: u64, reads: &mut usize) -> Result<Met, RunError> {
        let (mut at, begun) = (from, *reads);
        let mut agreeing = 0;
        for turn in (0..self.lists.len()).cycle() {
            if agreeing == self.lists.len() {
                return Ok(Met::At(at));
            }
            if *reads - begun >= READS_OF_STEP_MAX && at < from {
                return Ok(Met::NotBefore(at));
            }
            let Some(found) = self.lists[turn].at_or_before(at, reads)? else { return Ok(Met::Nowhere) };
            agreeing = if found == at { agreeing + 1 } else { 1 };
            at = found;
        }
        Ok(Met::Nowhere)
    }
}

impl Part<'_> {
    /// The first sequence from `from` on where the lists of any tenant meet, and that may have happened then.
    pub(super) fn at_or_after(&mut self, from: u64, span: Span, reads: &mut usize) -> Result<Met, RunError> {
        let mut at = from;
        loop {
            let Some(in_time) = self.times.at_or_after(at, span) else { return Ok(Met::Nowhere) };
            at = in_time;
            let mut first = None;
            for meeting in &mut self.meetings {
                let met = match meeting.met {
                    Some(Met::At(known)) if known >= at => Met::At(known),
                    Some(Met::Nowhere) => Met::Nowhere,
                    _ => meeting.at_or_after(at, reads)?,
                };
                meeting.met = Some(met);
                first = nearer(first, met, |one, two| one < two);
            }
            match first {
                None => return Ok(Met::Nowhere),
                Some(Met::At(found)) if self.times.at_or_after(found, span) != Some(found) => at = found,
                Some(met) => return Ok(met),
            }
        }
    }

    /// The last sequence up to `from` where the lists of any tenant meet, and that may have happened then.
    pub(super) fn at_or_before(&mut self, from: u64, span: Span, reads: &mut usize) -> Result<Met, RunError> {
        let mut at = from;
        loop {
            let Some(in_time) = self.times.at_or_before(at, span) else { return Ok(Met::Nowhere) };
            at = in_time;
            let mut last = None;
            for meeting in &mut self.meetings {
                let met = match meeting.met {
                    Some(Met::At(known)) if known <= at => Met::At(known),
                    Some(Met::Nowhere) => Met::Nowhere,
                    _ => meeting.at_or_before(at, reads)?,
                };
                meeting.met = Some(met);
                last = nearer(last, met, |one, two| one > two);
            }
            match last {
                None => return Ok(Met::Nowhere),
                Some(Met::At(found)) if self.times.at_or_before(found, span) != Some(found) => at = found,
                Some(met) => return Ok(met),
            }
        }
    }
}

/// Which of two comes first in the direction of the search. No sequence is of two tenants: where one is known to meet, it is that one.
fn nearer(one: Option<Met>, two: Met, is_before: impl Fn(u64, u64) -> bool) -> Option<Met> {
    match (one, two) {
        (one, Met::Nowhere) => one,
        (Some(Met::At(a)), Met::At(b) | Met::NotBefore(b)) if is_before(a, b) || a == b => one,
        (Some(Met::NotBefore(a)), Met::At(b) | Met::NotBefore(b)) if is_before(a, b) => one,
        _ => Some(two),
    }
}
