//! When entries happened, coarsely: the earliest and the latest of each 1,024.

use crate::run::codec::{Taker, put};
use latchkey_domain::UnixMillis;

/// Entries whose times are one span. Divides what a run of level 0 has.
pub(super) const SPAN_ENTRIES: u64 = 1_024;

/// Between two times, both included. Empty where the first is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) earliest: UnixMillis,
    pub(crate) latest: UnixMillis,
}

impl Span {
    /// Any time.
    pub(crate) const ALL: Self = Self { earliest: UnixMillis::new(0), latest: UnixMillis::new(u64::MAX) };
    /// No time.
    const NONE: Self = Self { earliest: UnixMillis::new(u64::MAX), latest: UnixMillis::new(0) };

    /// What both have.
    pub(crate) fn within(self, other: Self) -> Self {
        Self { earliest: self.earliest.max(other.earliest), latest: self.latest.min(other.latest) }
    }

    fn meets(self, other: Self) -> bool {
        let both = self.within(other);
        both.earliest <= both.latest
    }

    fn add(&mut self, time: UnixMillis) {
        (self.earliest, self.latest) = (self.earliest.min(time), self.latest.max(time));
    }
}

/// The times of the entries from `first` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Times {
    first: u64,
    spans: Vec<Span>,
}

impl Times {
    pub(super) const fn new(first: u64) -> Self {
        Self { first, spans: Vec::new() }
    }

    /// Takes note of an entry; one that has no time any more has its place.
    pub(super) fn add(&mut self, sequence: u64, time: Option<UnixMillis>) {
        let at = self.at(sequence);
        if self.spans.len() <= at {
            self.spans.resize(at + 1, Span::NONE);
        }
        if let Some(time) = time {
            self.spans[at].add(time);
        }
    }

    /// Those of the entries that follow.
    pub(super) fn extend(&mut self, other: &Self) {
        self.spans.extend_from_slice(&other.spans);
    }

    /// The first sequence from this one on that may have happened within a span of time; it may lie behind the last one.
    pub(super) fn at_or_after(&self, sequence: u64, span: Span) -> Option<u64> {
        let at = self.at(sequence);
        let found = (at..self.spans.len()).find(|at| self.spans[*at].meets(span))?;
        Some(sequence.max(self.first + found as u64 * SPAN_ENTRIES))
    }

    /// The last sequence up to this one that may have happened within a span of time.
    pub(super) fn at_or_before(&self, sequence: u64, span: Span) -> Option<u64> {
        let at = self.at(sequence).min(self.spans.len().checked_sub(1)?);
        let found = (0..=at).rev().find(|at| self.spans[*at].meets(span))?;
        Some(sequence.min(self.first + (found as u64 + 1) * SPAN_ENTRIES - 1))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for span in &self.spans {
            put(out, span.earliest.millis());
            put(out, span.latest.millis());
        }
    }

    pub(super) fn decode(first: u64, taker: &mut Taker<'_>) -> Option<Self> {
        let mut spans = Vec::new();
        while !taker.is_empty() {
            let (earliest, latest) = (UnixMillis::new(taker.number()?), UnixMillis::new(taker.number()?));
            spans.push(Span { earliest, latest });
        }
        Some(Self { first, spans })
    }

    /// How many entries the spans are enough for.
    pub(super) const fn room(&self) -> u64 {
        self.spans.len() as u64 * SPAN_ENTRIES
    }

    fn at(&self, sequence: u64) -> usize {
        usize::try_from(sequence.saturating_sub(self.first) / SPAN_ENTRIES).expect("as many as are in memory")
    }
}
