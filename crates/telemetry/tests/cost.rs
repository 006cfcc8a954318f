//! What telemetry costs a call that is not traced, while everything is exported: printed, in release.
//! `cargo test --release -p latchkey-telemetry --test cost -- --ignored --nocapture`.

use std::hint::black_box;

use http::{HeaderMap, HeaderValue};
use latchkey_telemetry::trace::{self, Decision};
use latchkey_telemetry::{Options, names, span};
use tokio::time::Instant;

const CALLS: u32 = 10_000_000;

#[test]
#[ignore = "a measurement, not a test"]
fn the_cost_of_a_call_that_is_not_traced() {
    let options = Options {
        log_filter: "error".to_owned(),
        otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
        trace_sample_ratio: 0.0,
        ..Options::default()
    };
    let _guard = latchkey_telemetry::init("latchkey-test", &options).unwrap();
    let histogram = metrics::histogram!(names::PROPOSE_SECONDS);
    let headers = HeaderMap::from_iter([
        ("authorization".parse().unwrap(), HeaderValue::from_static("Bearer x")),
        ("te".parse().unwrap(), HeaderValue::from_static("trailers")),
        ("grpc-timeout".parse().unwrap(), HeaderValue::from_static("1S")),
    ]);
    let each = |what: &str, call: &dyn Fn()| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        println!("{what}: {:.1} ns", begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    };
    each("deciding", &|| assert_eq!(trace::decide(black_box(&headers), true), Decision::Not));
    each("a span below that is none", &|| drop(black_box(span!("below"))));
    each("a note that is none", &|| trace::note("latchkey.outcome", || "VALID"));
    each("counting into a histogram", &|| histogram.record(black_box(0.000_02)));
}
