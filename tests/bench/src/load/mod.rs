//! Load: unary calls over HTTP/2 at the lowest price, so that what is measured is the server.
//!
//! A client library costs about as much a call as a server does, and on half of the processors it would be the one that
//! is measured. Here a request is a block of bytes that was encoded before, and an answer is looked at no closer than
//! to see that it is one and says VALID.

mod connection;
mod frames;
mod latencies;

use crate::process::{Part, between};
use crate::{clock, machine};
use connection::Connection;
pub(crate) use frames::Header;
pub(crate) use latencies::Latencies;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What is asked: the same request with another key each time.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    /// The headers of a call, in order; `:method` and `:scheme` go without saying.
    pub(crate) headers: Vec<Header>,
    /// A request for the first key, encoded.
    pub(crate) request: Vec<u8>,
    /// Where in `request` the key text begins.
    pub(crate) key_text_at: usize,
    /// The key texts, equally long.
    pub(crate) key_texts: Vec<String>,
}

/// How much, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections, each with a thread of its own.
    pub(crate) connections: usize,
    /// Calls in flight on each.
    pub(crate) in_flight: usize,
    /// Not counted, at the beginning.
    pub(crate) warm: Duration,
    /// Counted.
    pub(crate) measured: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Answers, all VALID, a second.
    pub(crate) calls_per_second: f64,
    /// Processor time of the server. Microseconds a call, of all its threads, whatever they did meanwhile.
    pub(crate) server_micros: f64,
    /// How long they took.
    pub(crate) latencies: Latencies,
}

/// Calls `server` at `address`, which is `part`, from threads on `cpus`.
pub(crate) fn run(address: SocketAddr, part: &Part, calls: &Calls, plan: Plan, cpus: &[usize]) -> io::Result<Measured> {
    let from = clock::now() + plan.warm;
    let until = from + plan.measured;
    let (spent, latencies) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                scope.spawn(move || {
                    machine::stay_on(cpus)?;
                    Connection::open(address, calls, number)?.call(plan.in_flight, from, until)
                })
            })
            .collect();
        clock::sleep_until(from);
        let before = part.spent();
        clock::sleep_until(until);
        let spent = before.and_then(|before| Ok(between(&before, &part.spent()?)));
        let mut all = Latencies::new();
        for thread in threads {
            all.add(&thread.join().expect("a caller does not panic")?);
        }
        Ok::<_, io::Error>((spent?, all))
    })?;
    let count = latencies.count() as f64;
    Ok(Measured {
        calls_per_second: count / plan.measured.as_secs_f64(),
        server_micros: spent as f64 / 1_000.0 / count.max(1.0),
        latencies,
    })
}
