//! Load at the lowest price, so that what is measured is the server.
//!
//! A client library costs about as much a call as a server does, and on half of the processors it would be the one that
//! is measured. Here a request is a block of bytes that was encoded before, and an answer is looked at no closer than
//! to see that it is the right one. How far that reaches, a responder that does nothing else says ([`null`]).

pub(crate) mod answers;
mod bodies;
mod connection;
mod frames;
mod latencies;
pub(crate) mod null;
mod pipeline;

use crate::process::{Part, between};
use crate::{clock, machine};
pub(crate) use bodies::Bodies;
use connection::Connection;
pub(crate) use frames::Header;
pub(crate) use latencies::Latencies;
use pipeline::Pipeline;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is asked of a gRPC server.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    /// The headers of a call, in order; `:method` and `:scheme` go without saying.
    pub(crate) headers: Vec<Header>,
    /// The requests.
    pub(crate) bodies: Bodies,
    /// How a request becomes a call.
    pub(crate) kind: Kind,
    /// Whether a message is the right answer.
    pub(crate) accept: fn(&[u8]) -> bool,
}

/// How a request becomes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each is one.
    Unary,
    /// All of a connection are items of one stream, answered in their order.
    Stream,
}

/// Commands for a server that answers in order and by as many bytes each.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    /// Each a pipeline: several commands that are sent at once.
    pub(crate) pipelines: Bodies,
    /// Bytes of the answers to one pipeline.
    pub(crate) answer_bytes: usize,
    /// Whether these are the right ones.
    pub(crate) accept: fn(&[u8]) -> bool,
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
    /// Counted. Where every request is sent once, all of them are, however long it takes, and this is not used.
    pub(crate) measured: Duration,
}

/// When a connection ends, and from when on its answers count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    from: Instant,
    end: End<'a>,
}

#[derive(Clone, Copy, Debug)]
enum End<'a> {
    /// At this moment.
    At(Instant),
    /// When all requests are answered.
    Done,
    /// When told.
    Told(&'a AtomicBool),
}

impl Span<'_> {
    /// Whether an answer counts that came now: one that is waited for at the end does not, unless all are.
    fn counts(&self, now: Instant) -> bool {
        now >= self.from && !matches!(self.end, End::At(end) if now >= end)
    }

    /// Whether it is over.
    fn is_over(&self, now: Instant) -> bool {
        match self.end {
            End::At(end) => now >= end,
            End::Done => false,
            End::Told(told) => told.load(Ordering::Relaxed),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Answers, all right, a second.
    pub(crate) calls_per_second: f64,
    /// Processor time of the servers. Microseconds a call, of all their threads, whatever they did meanwhile.
    pub(crate) server_micros: f64,
    /// How long they took.
    pub(crate) latencies: Latencies,
}

/// Calls `address`, which `parts` serve, from threads on `cpus`.
///
/// # Errors
/// Whatever fails, and any answer that is not the right one: what is measured must be the real thing.
pub(crate) fn run(
    address: SocketAddr,
    parts: &[&Part],
    calls: &Calls,
    plan: Plan,
    cpus: &[usize],
) -> io::Result<Measured> {
    drive(parts, plan, cpus, calls.bodies.are_sent_once(), |number, span| {
        Connection::open(address, calls, number, plan.connections)?.call(plan.in_flight, span)
    })
}

/// Sends pipelines to `address`, which `part` serves, from threads on `cpus`. A call is a pipeline.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_pipelines(
    address: SocketAddr,
    part: &Part,
    commands: &Commands,
    plan: Plan,
    cpus: &[usize],
) -> io::Result<Measured> {
    drive(&[part], plan, cpus, false, |number, span| {
        Pipeline::open(address, commands, number, plan.connections)?.call(plan.in_flight, span)
    })
}

/// Calls `address` one after the other until `told`, on this thread, and gives how long the calls took.
///
/// # Errors
/// As [`run`].
pub(crate) fn watch(address: SocketAddr, calls: &Calls, told: &AtomicBool, cpus: &[usize]) -> io::Result<Latencies> {
    machine::stay_on(cpus)?;
    let span = Span { from: clock::now(), end: End::Told(told) };
    Connection::open(address, calls, 0, 1)?.call(1, span)
}

fn drive(
    parts: &[&Part],
    plan: Plan,
    cpus: &[usize],
    once: bool,
    caller: impl Fn(usize, Span<'_>) -> io::Result<Latencies> + Sync,
) -> io::Result<Measured> {
    let from = clock::now() + if once { Duration::ZERO } else { plan.warm };
    let until = from + plan.measured;
    let span = Span { from, end: if once { End::Done } else { End::At(until) } };
    let (spent, took, latencies) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                let caller = &caller;
                scope.spawn(move || {
                    machine::stay_on(cpus)?;
                    caller(number, span)
                })
            })
            .collect();
        clock::sleep_until(from);
        let look = || parts.iter().map(|part| part.spent()).collect::<io::Result<Vec<_>>>();
        let before = look()?;
        let spent = || -> io::Result<u64> {
            Ok(before.iter().zip(look()?).map(|(before, after)| between(before, &after)).sum())
        };
        let mut spent_then = None;
        if !once {
            clock::sleep_until(until);
            spent_then = Some(spent()?);
        }
        let mut all = Latencies::new();
        for thread in threads {
            all.add(&thread.join().expect("a caller does not panic")?);
        }
        let took = if once { clock::now() - from } else { plan.measured };
        let spent = spent_then.map_or_else(spent, Ok)?;
        Ok::<_, io::Error>((spent, took, all))
    })?;
    let count = latencies.count() as f64;
    Ok(Measured {
        calls_per_second: count / took.as_secs_f64(),
        server_micros: spent as f64 / 1_000.0 / count.max(1.0),
        latencies,
    })
}
