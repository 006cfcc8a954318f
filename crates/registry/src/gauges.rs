//! What this replica shows of itself on the scrape endpoint.

use crate::core::Condition;
use crate::registry::Registry;
use crate::types::LogId;
use latchkey_telemetry::names;
use metrics::gauge;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the gauges are set: as often as a scrape could want.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs for as long as the replica lives.
pub(crate) async fn run(registry: Registry) {
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut regions = BTreeSet::new();
    loop {
        ticks.tick().await;
        show(&registry);
        show_propagation(&registry, &mut regions);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn show(registry: &Registry) {
    let state = registry.core().state();
    let condition = registry.condition();
    for (name, is) in
        [(names::READY, Condition::Ready), (names::LOCKED, Condition::Locked), (names::FENCED, Condition::Fenced)]
    {
        gauge!(name).set(f64::from(u8::from(condition == is)));
    }
    show_raft(registry);
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

/// How far behind each region is. Whoever leads no more says nothing of the regions that it spoke of.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn show_propagation(registry: &Registry, regions: &mut BTreeSet<String>) {
    let core = registry.core();
    let ages = if registry.leads() {
        core.propagation.ages(&registry.status().replicas, core.clock.boottime_millis())
    } else {
        core.propagation.clear();
        BTreeMap::new()
    };
    regions.extend(ages.keys().cloned());
    for region in regions.iter() {
        let age_ms = ages.get(region).copied().unwrap_or(0);
        gauge!(names::PROPAGATION_AGE_SECONDS, "region" => region.clone()).set(age_ms as f64 / 1_000.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn show_raft(registry: &Registry) {
    let raft = registry.inner.raft.metrics();
    let raft = raft.borrow();
    let last = raft.last_log_index.unwrap_or(0);
    let index = |id: &Option<LogId>| id.map_or(0, |id| id.index);
    gauge!(names::TERM).set(raft.current_term as f64);
    gauge!(names::LEADER_KNOWN).set(f64::from(u8::from(raft.current_leader.is_some())));
    gauge!(names::VOTERS).set(raft.membership_config.membership().voter_ids().count() as f64);
    gauge!(names::LOG_INDEX).set(last as f64);
    gauge!(names::LOG_RECORDS).set(last.saturating_sub(index(&raft.purged)) as f64);
    gauge!(names::SNAPSHOT_INDEX).set(index(&raft.snapshot) as f64);
    // Both are known where this replica leads.
    let slowest = raft.replication.iter().flat_map(|followers| followers.values().map(index)).min().unwrap_or(last);
    gauge!(names::REPLICATION_LAG_RECORDS).set(last.saturating_sub(slowest) as f64);
    gauge!(names::QUORUM_AGE_SECONDS).set(raft.millis_since_quorum_ack.unwrap_or(0) as f64 / 1_000.0);
}
