//! What runs beside following: bounds what the cluster may forget, lets old entries go, measures.

use crate::archive::Archive;
use crate::cluster::Cluster;
use crate::entries::Entries;
use crate::follow::Halt;
use latchkey_telemetry::{Clock as _, SystemClock, names};
use metrics::gauge;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A gauge need not move more often than it is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// Sizes of the log that are remembered while they wait to be published: an hour of them.
const WAITING_MAX: usize = 3_600;
/// Between two looks for entries that are old enough to go.
const RETIRE_INTERVAL: Duration = Duration::from_secs(3_600);

/// Returns when the publisher cannot go on.
pub(crate) async fn halted(publishing: &mut JoinHandle<Result<(), Halt>>) -> Halt {
    match publishing.await {
        Ok(Err(halt)) => halt,
        // It was asked to stop.
        Ok(Ok(())) => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What the cluster may forget: what the journal promised, and where the archive is on another machine what is there too, so that
/// losing this machine loses nothing; and never more than the newest checkpoint covers, where checkpoints are signed: what a replica
/// has forgotten it cannot vouch for.
///
/// Below `old` lies what is from before there was an archive. The cluster has forgotten it long since, and publishing it may take
/// hours, in which what is new cannot be published: until that is over the journal alone is what counts, as it was before.
pub(crate) fn trimmable(
    mut promised: watch::Receiver<u64>,
    (mut published, is_remote): (watch::Receiver<u64>, bool),
    mut covered: watch::Receiver<u64>,
    old: u64,
) -> (watch::Receiver<u64>, JoinHandle<()>) {
    let bound = watch::Sender::new(0);
    let trimmable = bound.subscribe();
    let bounding = tokio::spawn(async move {
        loop {
            let (promised_now, published_now) = (*promised.borrow_and_update(), *published.borrow_and_update());
            let is_waited_for = is_remote && published_now >= old;
            let stored = if is_waited_for { promised_now.min(published_now) } else { promised_now };
            bound.send_replace(stored.min(*covered.borrow_and_update()));
            let changed = tokio::select! {
                changed = promised.changed() => changed,
                changed = published.changed() => changed,
                changed = covered.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    });
    (trimmable, bounding)
}

/// Lets go of entries that are old enough, where any may go.
pub(crate) async fn retire(archive: Archive, retention: Option<Duration>) {
    let Some(retention) = retention else { return };
    loop {
        match archive.retire(retention, SystemClock.unix_millis()).await {
            Ok(0) => {}
            Ok(bundles) => {
                tracing::info!(bundles, kept_from = archive.kept_from(), "entries have been kept long enough");
            }
            Err(error) => tracing::warn!(%error, "old entries are not removed"),
        }
        tokio::time::sleep(RETIRE_INTERVAL).await;
    }
}

/// Moves the gauges of the log.
pub(crate) async fn measure<C: Cluster>(entries: Entries<C>, mut healthy: watch::Receiver<bool>) {
    let (mut grows, mut waiting) = (entries.log().watch(), Waiting::default());
    loop {
        let next = *grows.borrow_and_update();
        gauge!(names::AUDIT_ENTRIES).set(next as f64);
        gauge!(names::AUDIT_BYTES).set(entries.reader().bytes() as f64);
        gauge!(names::AUDIT_FOLLOWS).set(f64::from(u8::from(*healthy.borrow_and_update())));
        if let Some(archive) = entries.log().archive() {
            let published = archive.size();
            waiting.see(next, published, Instant::now());
            gauge!(names::AUDIT_PUBLISHED).set(published as f64);
            gauge!(names::AUDIT_PUBLISH_LAG_SECONDS)
                .set(waiting.since().map_or(0.0, |since| since.elapsed().as_secs_f64()));
        }
        tokio::time::sleep(PAUSE).await;
        if waiting.since().is_none() {
            tokio::select! {
                _ = grows.changed() => {}
                _ = healthy.changed() => {}
            }
        }
    }
}

/// Since when the oldest entry waits that is not published.
#[derive(Debug, Default)]
struct Waiting {
    /// When the log was first seen with so many entries, the oldest first.
    seen: VecDeque<(u64, Instant)>,
}

impl Waiting {
    fn see(&mut self, next: u64, published: u64, now: Instant) {
        while self.seen.front().is_some_and(|(size, _)| *size <= published) {
            self.seen.pop_front();
        }
        // The oldest says since when; the others, how it goes on once that one is published.
        let grown = self.seen.back().is_none_or(|(size, _)| *size < next);
        if next > published && grown && self.seen.len() < WAITING_MAX {
            self.seen.push_back((next, now));
        }
    }

    fn since(&self) -> Option<Instant> {
        self.seen.front().map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_that_of_the_oldest_entry_that_waits() {
        let (mut waiting, begin) = (Waiting::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        waiting.see(5, 5, at(0));
        assert_eq!(waiting.since(), None);
        waiting.see(8, 5, at(1));
        waiting.see(9, 5, at(2));
        waiting.see(9, 6, at(3));
        assert_eq!(waiting.since(), Some(at(1)));
        waiting.see(9, 8, at(4));
        assert_eq!(waiting.since(), Some(at(2)));
        waiting.see(9, 9, at(5));
        assert_eq!(waiting.since(), None);
    }
}
