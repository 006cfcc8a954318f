//! Calls whose caller proved no identity: the first of each minute singly, all others by the network that they came from.

use super::lines::Lines;
use super::one_use::{MINUTE_MS, Packed, address_bytes};
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::access_record::Kind;
use std::collections::HashMap;
use std::net::IpAddr;

/// Lines of single calls in a minute.
const SINGLY_MAX: u32 = 60;

/// Networks that are counted in a minute; what comes from others is counted together.
const NETWORKS_MAX: usize = 256;

/// What strangers do in one minute.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    minute: u64,
    singly: u32,
    networks: HashMap<Packed, Calls>,
}

#[derive(Debug)]
struct Calls {
    count: u64,
    first: UnixMillis,
    last: UnixMillis,
}

impl Strangers {
    /// Takes note of a call of the RPC `method`.
    pub(super) fn note(&mut self, method: &str, client: Option<IpAddr>, at: UnixMillis, lines: &mut Lines) {
        self.close(at, lines);
        if self.singly < SINGLY_MAX {
            self.singly += 1;
            lines.push(pb::AccessRecord {
                method: method.to_owned(),
                client: client.map(address_bytes).unwrap_or_default(),
                ..line(Kind::NoIdentity, 1, at, at)
            });
            return;
        }
        let network = Packed::of(client);
        let known = self.networks.len() < NETWORKS_MAX || self.networks.contains_key(&network);
        let network = if known { network } else { Packed::NONE };
        let calls = self.networks.entry(network).or_insert(Calls { count: 0, first: at, last: at });
        calls.count += 1;
        calls.last = calls.last.max(at);
    }

    /// Writes what was counted, if its minute is over.
    pub(super) fn close(&mut self, now: UnixMillis, lines: &mut Lines) {
        let minute = now.millis() / MINUTE_MS;
        if minute <= self.minute {
            return;
        }
        let over = std::mem::replace(self, Self { minute, ..Self::default() });
        for (network, calls) in over.networks {
            lines.push(pb::AccessRecord {
                counted_kind: Kind::NoIdentity.into(),
                client: if network.is_none() { Vec::new() } else { network.bytes() },
                ..line(Kind::Counted, calls.count, calls.first, calls.last)
            });
        }
    }

    /// When the oldest was that no line tells of yet. Milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.networks.values().map(|calls| calls.first.millis()).min()
    }
}

fn line(kind: Kind, count: u64, first: UnixMillis, last: UnixMillis) -> pb::AccessRecord {
    pb::AccessRecord {
        kind: kind.into(),
        count,
        first_unix_ms: first.millis(),
        last_unix_ms: last.millis(),
        ..pb::AccessRecord::default()
    }
}
