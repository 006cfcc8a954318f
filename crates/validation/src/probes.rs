//! What this replica can do, told to whoever watches its health.

use latchkey_registry::{Condition, Registry};
use latchkey_telemetry::names;
use latchkey_transport::{Health, Probe};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked. A load balancer asks every few seconds.
const INTERVAL: Duration = Duration::from_millis(100);

/// Keeps the probes true for as long as it is polled.
pub(crate) async fn run(registry: Registry, health: Health) {
    let reader = registry.reader();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = [None; 2];
    loop {
        ticks.tick().await;
        let ready = registry.condition() == Condition::Ready;
        if let Some(age) = reader.now().ok().and_then(|view| view.age().ok()) {
            metrics::gauge!(names::FRESHNESS_AGE_SECONDS).set(Duration::from_millis(age.millis()).as_secs_f64());
        }
        let found = [(Probe::Validate, ready && reader.is_fresh()), (Probe::Write, ready && registry.can_write())];
        for (last, (probe, serving)) in told.iter_mut().zip(found) {
            if *last != Some(serving) {
                tracing::info!(probe = probe.as_str(), serving, "health changed");
                health.set(probe, serving).await;
                *last = Some(serving);
            }
        }
    }
}
