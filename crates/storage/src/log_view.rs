//! What a reader of the log sees: which indexes exist, which are hidden by a promised purge.

use core::ops::Range;

use bytes::Bytes;

use crate::error::StoreError;
use crate::log::{LogBounds, Purged};

/// The bounds of a log, ahead of what is on disk: appends, truncations and promises count at once.
#[derive(Debug, Default)]
pub(crate) struct LogView {
    /// `first..next` exist. `None`: nothing exists and nothing was purged, so any index may come.
    span: Option<Range<u64>>,
    /// Durable.
    purged: Option<Purged>,
    /// Hidden already, not durable yet.
    promise: Option<Purged>,
    /// The promise, or one that it replaced, ran past the end of the log: on disk there is a hole until it is kept.
    past_end: bool,
    /// Counts truncations and purges, so that a reader knows when its bounds are old.
    cuts: u64,
}

impl LogView {
    /// The view of a log that was just loaded: what was purged for good, and what lies after it.
    pub(crate) fn loaded(purged: Option<Purged>, records: Option<Range<u64>>) -> Self {
        let span = records.or_else(|| purged.as_ref().map(|purged| purged.through + 1..purged.through + 1));
        Self { span, purged, ..Self::default() }
    }

    pub(crate) fn bounds(&self) -> LogBounds {
        let held = self.span.clone().filter(|span| !span.is_empty());
        LogBounds {
            purged: self.promise.as_ref().or(self.purged.as_ref()).cloned(),
            first: held.as_ref().map(|span| span.start),
            last: held.map(|span| span.end - 1),
        }
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts
    }

    /// The part of `range` that exists.
    pub(crate) fn clip(&self, range: Range<u64>) -> Range<u64> {
        let span = self.span.clone().unwrap_or(0..0);
        let start = range.start.max(span.start);
        start..range.end.min(span.end).max(start)
    }

    /// Makes room for records with these indexes; refused if they leave a hole.
    pub(crate) fn append(&mut self, indexes: impl Iterator<Item = u64>) -> Result<(), StoreError> {
        let mut span = self.span.clone();
        for found in indexes {
            let expected = span.as_ref().map_or(found, |span| span.end);
            if found != expected {
                return Err(StoreError::Gap { expected, found });
            }
            span = Some(span.map_or(found, |span| span.start)..found + 1);
        }
        self.span = span;
        Ok(())
    }

    /// Forgets the records at and above `index`. Those that are purged stay purged: says where the log ends now.
    pub(crate) fn truncate_from(&mut self, index: u64) -> u64 {
        self.cuts += 1;
        let Some(span) = &mut self.span else { return index };
        let end = span.end.min(index.max(span.start));
        span.end = end;
        if span.is_empty() && self.promise.is_none() && self.purged.is_none() {
            self.span = None;
        }
        end
    }

    /// Hides the records at and below `through`. False if that much was promised before.
    pub(crate) fn promise(&mut self, through: u64, marker: Bytes) -> bool {
        if self.promise.as_ref().or(self.purged.as_ref()).is_some_and(|before| before.through >= through) {
            return false;
        }
        self.cuts += 1;
        let end = self.span.as_ref().map_or(0, |span| span.end);
        self.past_end |= through >= end;
        self.span = Some(through + 1..end.max(through + 1));
        self.promise = Some(Purged { through, marker });
        true
    }

    /// The promise that is not durable yet.
    pub(crate) fn promised(&self) -> Option<&Purged> {
        self.promise.as_ref()
    }

    /// How far a promise reaches that ran past the end of the log.
    pub(crate) fn promised_past_end(&self) -> Option<u64> {
        self.promise.as_ref().filter(|_| self.past_end).map(|promise| promise.through)
    }

    /// `kept` is durable now. A later promise stays one.
    pub(crate) fn keep_promise(&mut self, kept: Purged) {
        if self.promise.as_ref() == Some(&kept) {
            self.promise = None;
            self.past_end = false;
        }
        self.purged = Some(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> LogView {
        let mut view = LogView::default();
        view.append(3..9).expect("an empty log starts anywhere");
        view
    }

    #[test]
    fn a_hole_is_refused_and_changes_nothing() {
        let mut view = filled();
        assert!(matches!(view.append([9, 11].into_iter()), Err(StoreError::Gap { expected: 10, found: 11 })));
        assert_eq!(view.bounds().last, Some(8));
    }

    #[test]
    fn a_promise_hides_at_once_and_moves_the_start_past_the_end() {
        let mut view = filled();
        assert!(view.promise(20, Bytes::from_static(b"m")));
        assert!(!view.promise(19, Bytes::new()));
        assert_eq!(view.promised_past_end(), Some(20));
        assert_eq!((view.bounds().first, view.bounds().last), (None, None));
        assert!(view.append([9].into_iter()).is_err());
        view.append([21].into_iter()).expect("follows the promise");
        assert_eq!(view.clip(0..100), 21..22);
    }

    #[test]
    fn a_truncation_below_the_purge_leaves_the_purge() {
        let mut view = filled();
        view.promise(5, Bytes::new());
        assert_eq!(view.promised_past_end(), None);
        view.truncate_from(2);
        assert_eq!(view.clip(0..100), 6..6);
        view.append([6].into_iter()).expect("follows the purge");
    }

    #[test]
    fn a_log_that_was_truncated_to_nothing_starts_anywhere_again() {
        let mut view = filled();
        view.truncate_from(0);
        view.append([1].into_iter()).expect("starts anywhere");
    }
}
