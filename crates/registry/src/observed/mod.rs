//! What this replica sees of the use of keys, on its way to the audit service: sums by version and minute, and the access
//! log.
//!
//! ```text
//! validation -> [one place a thread] -> sums by version and minute -.
//!            \-> lines: denied, stale, sampled, strangers ----------+-> batches <- TakeObservations: audit, each second
//!            nothing is waited for    bounded; what does not fit is counted as lost
//! ```
//! Nothing of it is replicated or durable here: a replica that dies takes with it what it had not handed over. All of it is
//! bounded: the sums by a setting, the lines by an eighth of that, the places of threads by 8 MiB, and a batch by 1 MiB.
//! What a stranger can choose is cut and cleaned before it is kept, and no key text comes near.

mod buffers;
mod cell;
mod handing;
mod lines;
mod management;
mod names_of;
mod one_use;
mod reported;
mod spans;
mod strangers;
mod table;
mod windows;

use crate::evidence::{clean_text, cut_text};
use buffers::{Buffers, Fill};
use handing::Handing;
use latchkey_domain::{KeyspaceNumber, Outcome, TenantNumber, UnixMillis};
use latchkey_state::{Found, State};
use latchkey_telemetry::names;
use latchkey_wire::latency::fine_bucket;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::access_record::Kind;
use lines::{About, Lines};
pub use management::ManagementUse;
use metrics::{Counter, Gauge};
use one_use::{Packed, Use, Whose, address_bytes};
pub use reported::Reported;
pub use spans::Spans;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strangers::Strangers;
use table::Table;

/// Bytes of a user agent that are kept: what `RequestContext.user_agent` promises.
const USER_AGENT_BYTES_MAX: usize = 512;

/// Bytes of a path that are kept.
const RESOURCE_BYTES_MAX: usize = 128;

/// Bytes of a method that are kept.
const METHOD_BYTES_MAX: usize = 64;

/// Bytes of one tag that are kept. All together have at most 1 KiB and 16 pairs, or the request is refused.
const TAG_BYTES_MAX: usize = 256;

/// The lines may take this part of what the sums may.
const LINES_SHARE: usize = 8;

/// How much is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedOptions {
    /// Whether anything is.
    pub enabled: bool,
    /// What the sums may take. Bytes.
    pub bytes_max: usize,
    /// Lines of the access log for each keyspace, kind and minute; what is beyond is counted.
    pub lines_per_minute: u32,
}

impl Default for ObservedOptions {
    fn default() -> Self {
        Self { enabled: true, bytes_max: 256 * 1_024 * 1_024, lines_per_minute: 600 }
    }
}

/// What this replica has seen since it started.
pub struct Observed {
    enabled: AtomicBool,
    incarnation: u64,
    /// By the time of the cluster, when something was seen first. 0: nothing was.
    began: AtomicU64,
    buffers: Buffers,
    table: Mutex<Sums>,
    lines: Mutex<(Lines, Strangers)>,
    handing: Mutex<Handing>,
    metrics: Metrics,
}

struct Sums {
    table: Table,
    /// Changed for what a thread has filled.
    spare: Vec<Use>,
}

struct Metrics {
    lost_requests: Counter,
    lost_records: Counter,
    waiting_bytes: Gauge,
    batches: Counter,
}

/// A validation that was answered.
#[derive(Clone, Copy)]
pub struct Validated<'a> {
    /// What was answered.
    pub outcome: Outcome,
    /// The version, where the secret matched.
    pub found: Option<Found<'a>>,
    /// Where the key was looked for, in case that none was found: the tenant, and the keyspace asked for.
    pub looked_in: (TenantNumber, Option<KeyspaceNumber>),
    /// Whether it was answered from what was known last.
    pub is_last_known: bool,
    /// The time of the cluster.
    pub now: UnixMillis,
    /// How long it took.
    pub took: Duration,
    /// The address of the end client.
    pub client: Option<IpAddr>,
}

/// What only a line of the access log tells. Nobody asks for it unless there is one.
#[derive(Clone, Debug, Default)]
pub struct LineDetails<'a> {
    /// The version that was named with a wrong secret.
    pub mistaken: Option<Found<'a>>,
    /// The resource name of the identity that asked.
    pub caller: String,
    /// The method of the request.
    pub method: &'a str,
    /// The path of the resource.
    pub resource: &'a str,
    /// The user agent of the end client.
    pub user_agent: &'a str,
    /// The caller's own words.
    pub tags: &'a [(&'a str, &'a str)],
}

/// There is no room for a report, or nothing is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Observed {
    /// Begins to observe. Installs the recorder of the process first: a handle that is made before counts into nothing.
    #[must_use]
    pub fn begin(options: ObservedOptions, incarnation: u64) -> Self {
        latchkey_telemetry::metrics::recorder();
        let lines = Lines::new(options.lines_per_minute, options.bytes_max / LINES_SHARE);
        Self {
            enabled: AtomicBool::new(options.enabled),
            incarnation,
            began: AtomicU64::new(0),
            buffers: Buffers::new(),
            table: Mutex::new(Sums { table: Table::new(options.bytes_max), spare: Vec::new() }),
            lines: Mutex::new((lines, Strangers::default())),
            handing: Mutex::default(),
            metrics: Metrics {
                lost_requests: metrics::counter!(names::OBSERVATIONS_LOST_TOTAL, "what" => "request"),
                lost_records: metrics::counter!(names::OBSERVATIONS_LOST_TOTAL, "what" => "record"),
                waiting_bytes: metrics::gauge!(names::OBSERVATIONS_WAITING_BYTES),
                batches: metrics::counter!(names::OBSERVATION_BATCHES_TOTAL),
            },
        }
    }

    /// Whether anything is observed.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Changes how much is observed. What was seen before stays.
    pub fn configure(&self, options: ObservedOptions) {
        self.enabled.store(options.enabled, Ordering::Relaxed);
        locked(&self.table).table.set_bytes_max(options.bytes_max);
        locked(&self.lines).0.set_bounds(options.lines_per_minute, options.bytes_max / LINES_SHARE);
    }

    /// Takes note of a validation. `details` is asked for where there is a line to write.
    #[inline]
    pub fn validated<'b>(&self, one: &Validated<'_>, details: impl FnOnce() -> LineDetails<'b>) {
        if !self.is_enabled() {
            return;
        }
        self.began(one.now);
        let whose = match &one.found {
            Some(found) => Whose::of(found),
            None => Whose::nobody(one.looked_in.0, one.looked_in.1),
        };
        let is_valid = one.outcome == Outcome::Valid;
        let sample_ppm = match &one.found {
            Some(found) if is_valid => found.keyspace.settings.access_sample_ppm,
            _ => 0,
        };
        let counted = Use {
            whose,
            at: one.now,
            outcome: one.outcome,
            latency: Some(fine_bucket(one.took)),
            network: Packed::of(one.client),
            count: 1,
        };
        let pushed = self.buffers.push(counted, sample_ppm);
        if pushed.fill != Fill::Low {
            self.sum_up_own(pushed.fill);
        }
        if pushed.sampled || !is_valid || one.is_last_known {
            self.write_line(one, whose, sample_ppm, details());
        }
    }

    /// Takes note that a management key was shown: whether it proved an identity or not.
    #[inline]
    pub fn identified(&self, found: &Found<'_>, proved: bool, now: UnixMillis, client: Option<IpAddr>) {
        if !self.is_enabled() {
            return;
        }
        self.began(now);
        let outcome = if proved { Outcome::Valid } else { Outcome::NotFound };
        let network = Packed::of(client);
        let fill =
            self.buffers.push_run(Use { whose: Whose::of(found), at: now, outcome, latency: None, network, count: 1 });
        if fill != Fill::Low {
            self.sum_up_own(fill);
        }
    }

    /// Takes note of a call whose caller proved no identity. `rpc` is as telemetry names it.
    pub fn stranger(&self, rpc: &str, client: Option<IpAddr>, now: UnixMillis) {
        if !self.is_enabled() {
            return;
        }
        let mut lines = locked(&self.lines);
        let (lines, strangers) = &mut *lines;
        strangers.note(&cut_text(rpc.chars().map(clean_text), METHOD_BYTES_MAX), client, now, lines);
    }

    /// Adds what a protected API reports of a version, in the minute of `at`.
    ///
    /// # Errors
    /// [`NoRoom`]: nothing was added.
    pub fn reported(&self, found: &Found<'_>, at: UnixMillis, reported: &Reported) -> Result<(), NoRoom> {
        if !self.is_enabled() {
            return Err(NoRoom);
        }
        let minute = at.millis() / one_use::MINUTE_MS;
        locked(&self.table).table.report(minute, Whose::of(found), reported).map_err(|_| NoRoom)
    }

    /// Hands over the next batch, or the last one again where it was not acknowledged. The fields that say whose it is are
    /// left to the caller.
    pub fn take(
        &self,
        incarnation: u64,
        acknowledged: u64,
        state: &State,
        now: UnixMillis,
    ) -> pb::TakeObservationsResponse {
        let mut handing = locked(&self.handing);
        if incarnation == self.incarnation && handing.acknowledge(acknowledged) {
            self.metrics.batches.increment(1);
        }
        let mut answer = match handing.pending() {
            Some(pending) => pending,
            None => self.next_batch(&mut handing, state, now),
        };
        answer.incarnation = self.incarnation;
        answer.began_unix_ms = self.began(now);
        answer
    }

    fn next_batch(&self, handing: &mut Handing, state: &State, now: UnixMillis) -> pb::TakeObservationsResponse {
        let mut sums = locked(&self.table);
        let Sums { table, spare } = &mut *sums;
        self.buffers.empty_all(spare, |uses| uses.drain(..).for_each(|one| table.count(&one)));
        table.close(now.millis() / one_use::MINUTE_MS);
        let mut lines = locked(&self.lines);
        let (lines, strangers) = &mut *lines;
        lines.close(now);
        strangers.close(now, lines);
        let answer = handing.next(table, lines, strangers, state, now);
        self.metrics.lost_requests.increment(answer.lost_requests);
        self.metrics.lost_records.increment(answer.lost_records);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.metrics.waiting_bytes.set((table.bytes() + lines.bytes()) as f64);
        answer
    }

    /// Since when it is observed: since somebody asked, or something was seen.
    fn began(&self, now: UnixMillis) -> u64 {
        let began = self.began.load(Ordering::Relaxed);
        if began > 0 {
            return began;
        }
        match self.began.compare_exchange(0, now.millis(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now.millis(),
            Err(began) => began,
        }
    }

    /// Sums up what this thread has written down.
    #[cold]
    fn sum_up_own(&self, fill: Fill) {
        let sums = match fill {
            Fill::Full => Some(locked(&self.table)),
            Fill::Low | Fill::High => self.table.try_lock().ok(),
        };
        let Some(mut sums) = sums else { return };
        let Sums { table, spare } = &mut *sums;
        self.buffers.empty_own(spare);
        spare.drain(..).for_each(|one| table.count(&one));
    }

    #[cold]
    fn write_line(&self, one: &Validated<'_>, whose: Whose, sample_ppm: u32, details: LineDetails<'_>) {
        let kind = match (&details.mistaken, one.is_last_known, one.outcome) {
            (Some(_), ..) => Kind::WrongSecret,
            (None, true, _) => Kind::Stale,
            (None, false, Outcome::Valid) => Kind::Sampled,
            (None, false, _) => Kind::Denied,
        };
        let whose = details.mistaken.as_ref().map_or(whose, Whose::of);
        let Whose { tenant, keyspace, key, version, .. } = whose;
        let about = About { kind, outcome: one.outcome, tenant, keyspace, key, version };
        locked(&self.lines).0.note(about, one.now, |line| {
            line.client = one.client.map(address_bytes).unwrap_or_default();
            line.user_agent = cut_text(details.user_agent.chars().map(clean_text), USER_AGENT_BYTES_MAX);
            line.method = cut_text(details.method.chars().map(clean_text), METHOD_BYTES_MAX);
            line.resource = cut_text(details.resource.chars().map(clean_text), RESOURCE_BYTES_MAX);
            let tag = |(word, value): &(&str, &str)| {
                cut_text(word.chars().chain(['=']).chain(value.chars()).map(clean_text), TAG_BYTES_MAX)
            };
            line.tags = details.tags.iter().map(tag).collect();
            line.caller = details.caller;
            line.sample_ppm = if kind == Kind::Sampled { sample_ppm } else { 0 };
        });
    }
}

/// A panic while counting would leave a count that is off by one, which is better than none.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
