//! Where recent records are in their traces: remembered while a follower may still ask for their events, never written.

use latchkey_telemetry::TraceParent;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Records remembered. Audit follows within seconds, and few proposals are traced.
const RECORDS_MAX: usize = 1_024;

/// The places by index.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// In the order in which records are applied, which is that of their indexes.
    recent: Mutex<VecDeque<(u64, TraceParent)>>,
}

impl Traces {
    pub(crate) fn remember(&self, index: u64, place: TraceParent) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECORDS_MAX {
            recent.pop_front();
        }
        recent.push_back((index, place));
    }

    pub(crate) fn find(&self, index: u64) -> Option<TraceParent> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(recent[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_the_others_are_found() {
        let traces = Traces::default();
        let place = TraceParent::from_bytes(&[1; 25]).expect("it names a trace and a span");
        for index in 0..=RECORDS_MAX as u64 {
            traces.remember(2 * index, place);
        }
        assert_eq!((traces.find(0), traces.find(3)), (None, None));
        assert_eq!((traces.find(2), traces.find(2 * RECORDS_MAX as u64)), (Some(place), Some(place)));
    }
}
