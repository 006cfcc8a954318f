//! What this replica shows of itself on the scrape endpoint.

use crate::core::Condition;
use crate::registry::Registry;
use crate::types::LogId;
use latchkey_state::{RingPurpose, State};
use latchkey_telemetry::names;
use metrics::gauge;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the gauges are set: as often as a scrape could want.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often those of the keyring are: they look at each key of it. Ticks.
const KEYRING_TICKS: u64 = 5;

/// Runs for as long as the replica lives.
pub(crate) async fn run(registry: Registry) {
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut regions = BTreeSet::new();
    for tick in 0_u64.. {
        ticks.tick().await;
        if tick.is_multiple_of(KEYRING_TICKS) {
            show_keyring(&registry.core().state());
        }
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

/// Where the keys of the keyring stand, and what is yet to be made anew. Each word has its number, also where that is zero.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn show_keyring(state: &State) {
    let mut keys: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for purpose in ["log", "pepper", "replay", "tenant", "audit", "keyspace"] {
        keys.extend(["current", "retiring", "unused"].map(|place| ((purpose, place), 0)));
    }
    let mut wrapped = 0;
    for key in state.ring() {
        let uses = state.ring_uses(key.number);
        let is_current = key.purpose == RingPurpose::Replay || state.is_current_ring_key(key);
        let place = match (is_current, uses.total()) {
            (true, _) => "current",
            (false, 0) => "unused",
            (false, _) => "retiring",
        };
        wrapped += if is_current { 0 } else { uses.ring_keys };
        *keys.entry((key.purpose.as_str(), place)).or_default() += 1;
    }
    for ((purpose, place), count) in keys {
        gauge!(names::KEYRING_KEYS, "purpose" => purpose, "state" => place).set(count as f64);
    }
    let (digests, inners) = state.versions_to_rekey();
    for (kind, left) in [("digest", digests), ("inner", inners), ("wrapped_key", wrapped)] {
        gauge!(names::KEYRING_USES_LEFT, "kind" => kind).set(left as f64);
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
