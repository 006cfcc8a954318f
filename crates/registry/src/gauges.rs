//! What this replica shows of itself on the scrape endpoint.

use crate::registry::Registry;
use latchkey_telemetry::names;
use metrics::gauge;
use std::time::Duration;

/// How often the gauges are set: as often as a scrape could want.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs for as long as the replica lives.
pub(crate) async fn run(registry: Registry) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        show(&registry);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn show(registry: &Registry) {
    let state = registry.core().state();
    gauge!(names::APPLIED_INDEX).set(state.revision().index as f64);
    gauge!(names::STATE_KEYS).set(state.key_count() as f64);
    let seconds = |millis: i64| millis as f64 / 1_000.0;
    let progress = state.progress();
    let waiting = progress.frontier.size() - progress.trimmed.map_or(0, |trimmed| trimmed.next.0);
    let since = progress.trimmed.filter(|_| waiting > 0).map(|trimmed| progress.clock.since(trimmed.at));
    gauge!(names::OUTBOX_ENTRIES).set(waiting as f64);
    gauge!(names::OUTBOX_OLDEST_SECONDS).set(since.unwrap_or_default().millis() as f64 / 1_000.0);
    if let Some(age) = registry.reader().now().ok().and_then(|view| view.age().ok()) {
        gauge!(names::FRESHNESS_AGE_SECONDS).set(age.millis() as f64 / 1_000.0);
    }
    if let Some(offset_ms) = registry.leadership().known(registry.node()).and_then(|known| known.clock_offset_ms) {
        gauge!(names::CLOCK_SKEW_SECONDS).set(seconds(offset_ms));
    }
}
