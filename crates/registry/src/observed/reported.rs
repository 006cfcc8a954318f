//! What a protected API reported of the requests that it served: everything adds up.

use super::cell::without_trailing_zeros;
use super::spans::Spans;
use latchkey_wire::latency::fine_bucket;
use latchkey_wire::pb::internal::v1 as pb;
use std::time::Duration;

/// Status classes: 1xx to 5xx.
pub(super) const STATUS_CLASSES: usize = 5;

/// The sum of what was reported of one version and minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Requests.
    pub requests: u64,
    /// Requests by status class, 1xx first.
    pub status_classes: [u64; STATUS_CLASSES],
    /// Bytes of the bodies of requests.
    pub request_bytes: u64,
    /// Bytes of the bodies of answers.
    pub response_bytes: u64,
    /// Thousandths of the units of load that they were.
    pub load_milli: u64,
    /// Requests by how long they took.
    pub latency: Spans,
}

impl Reported {
    /// Requests took so long, each of them.
    pub fn took(&mut self, latency: Duration, requests: u64) {
        self.latency.add(fine_bucket(latency), u32::try_from(requests).unwrap_or(u32::MAX));
    }

    /// Bytes of memory, with its own size.
    pub(super) const fn bytes(&self) -> usize {
        size_of::<Self>() + self.latency.heap_bytes()
    }

    pub(super) fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.requests, other.requests);
        add(&mut self.request_bytes, other.request_bytes);
        add(&mut self.response_bytes, other.response_bytes);
        add(&mut self.load_milli, other.load_milli);
        self.status_classes.iter_mut().zip(other.status_classes).for_each(|(sum, more)| add(sum, more));
        other.latency.iter().for_each(|(bucket, count)| self.latency.add(bucket, count));
    }

    pub(super) fn write(&self) -> pb::ReportedUsage {
        pb::ReportedUsage {
            requests: self.requests,
            status_classes: without_trailing_zeros(&self.status_classes),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            latency: self.latency.coarse(),
            latencies: self.latency.write(),
            load_milli: self.load_milli,
        }
    }
}
