//! What was used, as whoever looks after keys sees it. Everything before this was used by the test itself.

use crate::world::World;
use serde_json::Value;

/// What replicas saw is here within 10 s; this looks for longer, on a busy machine.
const LOOKS_MAX: usize = 400;

pub(crate) fn telling(world: &World) {
    let mut told = Value::Null;
    for _ in 0..LOOKS_MAX {
        told = world.json("usage acme/orders --by outcome --since 1h");
        if told["series"].as_array().is_some_and(|series| series.len() > 3) {
            break;
        }
    }
    let series = told["series"].as_array().expect("there are series");
    let outcomes: Vec<_> = series.iter().filter_map(|one| one["labels"]["outcome"].as_str()).collect();
    for outcome in ["VALID", "REVOKED", "EXPIRED"] {
        assert!(outcomes.contains(&outcome), "{told:#}");
    }
    assert!(told["completeThrough"].is_string() && told["keptSince"].is_string(), "{told:#}");

    let shown = world.done("usage acme --by key --top 3 --step minute --since 1h");
    assert!(shown.contains("acme/orders/") && shown.contains("REQUESTS"), "{shown}");
    assert!(world.done("usage").contains("all"));
    world.ended("usage acme --by network --step minute", 2);
    world.ended("usage acme --by key --top 101", 2);
    world.ended("usage nobody", 4);

    let mut lines = String::new();
    for _ in 0..LOOKS_MAX {
        lines = world.done("audit access acme/orders --kind denied --since 1h");
        if lines.contains("EXPIRED") {
            break;
        }
    }
    assert!(lines.contains("EXPIRED") && lines.contains("DENIED"), "{lines}");
    let lines = world.json("audit access acme --outcome EXPIRED --oldest-first --limit 1");
    assert_eq!(lines["lines"][0]["outcome"], "EXPIRED", "{lines:#}");
    world.ended("audit access acme --network nowhere", 2);
}
