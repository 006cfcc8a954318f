//! A collector that is away, in a process of its own: nothing waits for it, and what it misses is counted.

use std::time::Duration;

use http::HeaderMap;
use latchkey_telemetry::metrics::{Value, recorder};
use latchkey_telemetry::trace::{self, Decision};
use latchkey_telemetry::{Options, names};
use tokio::time::Instant;

/// More than the queue holds.
const SPANS: u32 = 10_000;

#[tokio::test]
async fn nobody_waits_for_a_collector_that_is_away_and_what_it_misses_is_counted() {
    // Reserved by the system for nobody (RFC 863 says discard, and nothing here does).
    let options = Options {
        otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
        log_filter: "error".to_owned(),
        trace_sample_ratio: 1.0,
        ..Options::default()
    };
    let guard = latchkey_telemetry::init("latchkey-test", &options).unwrap();
    let begun = Instant::now();
    for _ in 0..SPANS {
        assert_eq!(trace::decide(&HeaderMap::new(), true), Decision::Begins, "each call");
        drop(tracing::debug_span!(target: trace::TARGET, "call").entered());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    let families = recorder().gather();
    let dropped = families.iter().find(|family| family.metric.name == names::TELEMETRY_DROPPED_TOTAL).unwrap();
    let spans = dropped.points.iter().filter(|point| point.labels[0].1 == "traces");
    let missed: f64 = spans.map(|point| if let Value::Number(number) = point.value { number } else { 0.0 }).sum();
    assert!((missed - f64::from(SPANS)).abs() < 0.5, "{missed} of {SPANS}");
}
