//! One trace over all services: who begins it, who goes on with it, and how it travels.
//!
//! Whether a call is traced is decided once, before its first span is made: by the caller's `traceparent` where there is
//! one, else by drawing. A call that is not traced has no span of ours, and costs a look at an atomic and at a header. Below
//! it, [`span!`](crate::span) makes spans only where the call at hand is traced.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue};
use latchkey_crypto::Entropy as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::entropy::OsEntropy;

/// The target of every span that is exported, and of nothing else.
pub const TARGET: &str = "latchkey_trace";

/// The header that carries a trace (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";

/// Calls that begin a trace, out of 2^63; or [`OFF`].
static CHOSEN: AtomicU64 = AtomicU64::new(OFF);

/// Nobody exports spans.
const OFF: u64 = u64::MAX;

/// All of 2^63.
const ALWAYS: u64 = 1 << 63;

/// Spans are exported from now on, and this share of the calls that come without a trace begins one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to 2^63")]
pub(crate) fn start(ratio: f64) {
    CHOSEN.store((ratio.clamp(0.0, 1.0) * ALWAYS as f64) as u64, Ordering::Relaxed);
}

/// Whether a call is traced, and below which span of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is not.
    Not,
    /// It begins a trace.
    Begins,
    /// It goes on with one.
    Follows(TraceParent),
}

/// Decides about a call that came with these headers. `begins`: whether it may begin a trace where it has none; what our
/// own services ask of each other may not.
#[must_use]
pub fn decide(headers: &HeaderMap, begins: bool) -> Decision {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    if chosen == OFF {
        return Decision::Not;
    }
    let given = headers.get(TRACEPARENT).and_then(|value| TraceParent::from_header(value.to_str().ok()?));
    match given {
        Some(parent) if parent.is_sampled() => Decision::Follows(parent),
        Some(_) => Decision::Not,
        None if begins && draw() < chosen => Decision::Begins,
        None => Decision::Not,
    }
}

/// A number below 2^63. Marsaglia's xorshift: which calls are traced is no secret.
fn draw() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new({
            let mut seed = [0; 8];
            OsEntropy.fill(&mut seed);
            u64::from_le_bytes(seed) | 1
        });
    }
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x >> 1
    })
}

/// A place in a trace: what `traceparent` says, in 25 bytes. It names nobody and tells nothing of what was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// How long [`TraceParent::to_bytes`] is.
pub const TRACE_PARENT_BYTES: usize = 25;

impl TraceParent {
    /// Where the call at hand is, if it is traced.
    #[must_use]
    pub fn current() -> Option<Self> {
        if CHOSEN.load(Ordering::Relaxed) == OFF {
            return None;
        }
        Context::map_current(|context| {
            if !context.has_active_span() {
                return None;
            }
            let span = context.span();
            let place = span.span_context();
            place.is_sampled().then(|| Self {
                trace: place.trace_id().to_bytes(),
                span: place.span_id().to_bytes(),
                flags: place.trace_flags().to_u8(),
            })
        })
    }

    /// As it lies in a record and travels between replicas.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TRACE_PARENT_BYTES] {
        let mut bytes = [0; TRACE_PARENT_BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = self.flags;
        bytes
    }

    /// Reads it again; `None` for what is none, which is no mistake worth refusing anything for.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace, rest) = bytes.split_first_chunk::<16>()?;
        let (span, rest) = rest.split_first_chunk::<8>()?;
        let &[flags] = rest else { return None };
        (*trace != [0; 16] && *span != [0; 8]).then_some(Self { trace: *trace, span: *span, flags })
    }

    /// Reads the header's value: of version 00, and the part of later versions that is like it.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        let mut parts = value.split('-');
        let version = parts.next()?;
        let (mut bytes, mut at) = ([0; TRACE_PARENT_BYTES], 0);
        for length in [16, 8, 1] {
            let part = parts.next().filter(|part| part.len() == 2 * length)?.as_bytes();
            for pair in part.chunks_exact(2) {
                bytes[at] = (nibble(pair[0])? << 4) | nibble(pair[1])?;
                at += 1;
            }
        }
        let known = version == "00" && parts.next().is_none();
        let later =
            version.len() == 2 && version != "00" && version != "ff" && version.bytes().all(|c| nibble(c).is_some());
        if known || later { Self::from_bytes(&bytes) } else { None }
    }

    /// Writes the header's value.
    #[must_use]
    pub fn to_header(self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags & 1)
    }

    /// The trace, as it is written everywhere.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// The span, as it is written everywhere.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    /// Whether whoever began the trace wants it kept.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    pub(crate) const fn trace_bytes(&self) -> [u8; 16] {
        self.trace
    }

    pub(crate) const fn span_bytes(&self) -> [u8; 8] {
        self.span
    }

    fn context(&self) -> Context {
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from_bytes(self.trace),
            SpanId::from_bytes(self.span),
            TraceFlags::new(self.flags),
            true,
            TraceState::NONE,
        ))
    }
}

impl std::fmt::Debug for TraceParent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.to_header())
    }
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the call at hand is traced. A few nanoseconds.
#[must_use]
pub fn is_traced() -> bool {
    TraceParent::current().is_some()
}

/// Makes a span go on below a place in another process. Before it is entered for the first time.
pub fn follow(span: &Span, parent: &TraceParent) {
    // A span that is not exported has no parent to have; that is no failure.
    let _ = span.set_parent(parent.context());
}

/// Says something of the span at hand: a name or a number, never what a caller sent as it came. `value` is asked for only
/// where the call is traced.
pub fn note<V: Into<Value>>(key: &'static str, value: impl FnOnce() -> V) {
    if is_traced() {
        Context::map_current(|context| context.span().set_attribute(KeyValue::new(key, value())));
    }
}

/// Lets a request carry the trace of the call at hand to the next service.
pub fn pass_on(headers: &mut HeaderMap) {
    if let Some(here) = TraceParent::current()
        && let Ok(value) = HeaderValue::try_from(here.to_header())
    {
        headers.insert(TRACEPARENT, value);
    }
}

/// A span below the one at hand, if the call is traced; else none, for the price of a look.
///
/// `span!("propose", otel.kind = "client")`. Names and fields are as `tracing` has them.
#[macro_export]
macro_rules! span {
    ($name:literal $(, $($fields:tt)*)?) => {
        if $crate::trace::is_traced() {
            ::tracing::debug_span!(target: $crate::trace::TARGET, $name $(, $($fields)*)?)
        } else {
            ::tracing::Span::none()
        }
    };
}

/// A span below a place that came from elsewhere, with a record or an event; none where none came.
///
/// `span_after!(record.trace, "apply", latchkey.revision = 7)`
#[macro_export]
macro_rules! span_after {
    ($parent:expr, $name:literal $(, $($fields:tt)*)?) => {
        match $parent {
            Some(parent) => {
                let span = ::tracing::debug_span!(target: $crate::trace::TARGET, parent: None, $name $(, $($fields)*)?);
                $crate::trace::follow(&span, &parent);
                span
            }
            None => ::tracing::Span::none(),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_place_is_the_same_after_a_header_and_after_a_record() {
        let parent = TraceParent::from_header(PARENT).unwrap();
        assert_eq!(parent.to_header(), PARENT);
        assert_eq!(TraceParent::from_bytes(&parent.to_bytes()), Some(parent));
        assert!(parent.is_sampled());
    }

    #[test]
    fn what_is_no_place_is_none() {
        for header in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(TraceParent::from_header(header), None, "{header}");
        }
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(TraceParent::from_header(later).is_some(), "a later version begins as this one does");
        assert_eq!(TraceParent::from_bytes(&[1; 24]), None);
        assert_eq!(TraceParent::from_bytes(&[1; 26]), None);
    }

    #[test]
    fn nothing_is_traced_where_nobody_exports() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(PARENT));
        assert_eq!(decide(&headers, true), Decision::Not);
        assert_eq!(TraceParent::current(), None);
        let mut leaving = HeaderMap::new();
        pass_on(&mut leaving);
        assert!(leaving.is_empty());
    }
}
