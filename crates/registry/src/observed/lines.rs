//! The access log's single lines, and what was beyond their cap.
//!
//! Whoever asks decides how much there is to write, so everything has a bound: lines by keyspace, kind and minute, and the
//! memory of all that waits. What is beyond the first is counted, and said in a line of its own once its minute is over; what
//! is beyond the second is lost, and said to be.

use super::one_use::MINUTE_MS;
use super::windows::{Window, Windows};
use latchkey_domain::{KeyspaceNumber, Outcome, TenantNumber, UnixMillis};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::access_record::Kind;
use latchkey_wire::pb::v1;
use prost::Message as _;
use std::collections::{HashMap, VecDeque};

/// Keyspaces (times kinds) that are counted at a time. What is beyond is counted without its keyspace.
const CAPS_MAX: usize = 16_384;

/// What a line takes in memory beside what it takes on the way.
const LINE_BYTES: usize = size_of::<pb::AccessRecord>() + 128;

/// The lines that wait.
#[derive(Debug)]
pub(super) struct Lines {
    waiting: VecDeque<pb::AccessRecord>,
    bytes: usize,
    bytes_max: usize,
    singly_max: u32,
    caps: HashMap<Capped, Cap>,
    secrets: Windows,
    lost: u64,
}

/// What has a cap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Capped {
    kind: Kind,
    tenant: Option<TenantNumber>,
    keyspace: Option<KeyspaceNumber>,
}

#[derive(Debug, Default)]
struct Cap {
    minute: u64,
    singly: u32,
    /// By outcome.
    beyond: [u32; Outcome::ALL.len()],
    first: UnixMillis,
    last: UnixMillis,
}

/// What a line is about, as far as it decides whether there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    pub(super) tenant: TenantNumber,
    pub(super) keyspace: Option<KeyspaceNumber>,
    /// The ids of key and version; zeros where no key was found.
    pub(super) key: [u8; 12],
    pub(super) version: [u8; 12],
}

impl Lines {
    /// At most `singly_max` lines for each keyspace, kind and minute, and about `bytes_max` in all.
    pub(super) fn new(singly_max: u32, bytes_max: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            bytes_max,
            singly_max,
            caps: HashMap::new(),
            secrets: Windows::default(),
            lost: 0,
        }
    }

    pub(super) const fn set_bounds(&mut self, singly_max: u32, bytes_max: usize) {
        (self.singly_max, self.bytes_max) = (singly_max, bytes_max);
    }

    /// Takes note of something: by a line that `write` completes while there is a place for one, else by counting it.
    pub(super) fn note(&mut self, about: About, at: UnixMillis, write: impl FnOnce(&mut pb::AccessRecord)) {
        if about.kind == Kind::WrongSecret && self.is_counted(about, at) {
            return;
        }
        if !self.has_place(about, at) {
            return;
        }
        let mut line = about.line(about.kind, 1, at, at);
        write(&mut line);
        self.push(line);
    }

    /// Adds a line that was made elsewhere.
    pub(super) fn push(&mut self, line: pb::AccessRecord) {
        let bytes = bytes_of(&line);
        if self.bytes + bytes > self.bytes_max {
            self.lost = self.lost.saturating_add(line.count);
            return;
        }
        self.bytes += bytes;
        self.waiting.push_back(line);
    }

    /// Writes what was counted in minutes and windows that are over.
    pub(super) fn close(&mut self, now: UnixMillis) {
        let minute = now.millis() / MINUTE_MS;
        let over: Vec<_> = self.caps.extract_if(|_, cap| cap.minute < minute).collect();
        for (capped, cap) in over {
            self.say_counted(capped, &cap);
        }
        let mut over = Vec::new();
        self.secrets.close(now, |window| over.push(window));
        self.say_windows(over);
    }

    /// Takes the oldest line out, if it is no longer than that.
    pub(super) fn pop(&mut self, encoded_bytes_max: usize) -> Option<pb::AccessRecord> {
        if self.waiting.front()?.encoded_len() > encoded_bytes_max {
            return None;
        }
        let line = self.waiting.pop_front()?;
        self.bytes -= bytes_of(&line);
        if self.waiting.is_empty() {
            self.waiting.shrink_to(64);
        }
        Some(line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, with what is counted: one of each has a bound of its own.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.caps.capacity() * (size_of::<(Capped, Cap)>() + 1) + self.secrets.bytes()
    }

    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// When the oldest was that is not handed over. Milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let waiting = self.waiting.iter().take(1).map(|line| line.first_unix_ms);
        let counted = self.caps.values().filter(|cap| cap.beyond.iter().any(|count| *count > 0));
        waiting.chain(counted.map(|cap| cap.first.millis())).chain(self.secrets.oldest_ms()).min()
    }

    /// Whether a wrong secret belongs to a line that there is already. It is counted with that.
    fn is_counted(&mut self, about: About, at: UnixMillis) -> bool {
        let mut over = Vec::new();
        let is_counted = self.secrets.is_counted(about, at, |window| over.push(window));
        self.say_windows(over);
        is_counted
    }

    /// Whether there may be one line more. Where not, it is counted.
    fn has_place(&mut self, about: About, at: UnixMillis) -> bool {
        let minute = at.millis() / MINUTE_MS;
        let mut capped = Capped { kind: about.kind, tenant: Some(about.tenant), keyspace: about.keyspace };
        if self.caps.len() >= CAPS_MAX && !self.caps.contains_key(&capped) {
            capped = Capped { tenant: None, keyspace: None, ..capped };
        }
        let cap = self.caps.entry(capped).or_default();
        if cap.minute < minute {
            let over = std::mem::replace(cap, Cap { minute, ..Cap::default() });
            self.say_counted(capped, &over);
        }
        let cap = self.caps.entry(capped).or_default();
        if cap.singly < self.singly_max {
            cap.singly += 1;
            return true;
        }
        if cap.beyond.iter().all(|count| *count == 0) {
            cap.first = at;
        }
        cap.beyond[about.outcome as usize] = cap.beyond[about.outcome as usize].saturating_add(1);
        cap.last = cap.last.max(at);
        false
    }

    fn say_counted(&mut self, capped: Capped, cap: &Cap) {
        for (outcome, count) in Outcome::ALL.into_iter().zip(cap.beyond).filter(|(_, count)| *count > 0) {
            self.push(pb::AccessRecord {
                kind: Kind::Counted.into(),
                counted_kind: capped.kind.into(),
                outcome: v1::Outcome::from(outcome).into(),
                tenant: capped.tenant.map(|tenant| tenant.0),
                keyspace: capped.keyspace.map(|keyspace| keyspace.0),
                count: count.into(),
                first_unix_ms: cap.first.millis(),
                last_unix_ms: cap.last.millis(),
                ..pb::AccessRecord::default()
            });
        }
    }

    fn say_windows(&mut self, over: Vec<Window>) {
        for window in over.into_iter().filter(|window| window.beyond > 0) {
            let mut line = window.about.line(Kind::Counted, window.beyond, window.first, window.last);
            line.counted_kind = Kind::WrongSecret.into();
            self.push(line);
        }
    }
}

impl About {
    fn line(&self, kind: Kind, count: u64, first: UnixMillis, last: UnixMillis) -> pb::AccessRecord {
        let is_found = self.version != [0; 12];
        let id = |id: &[u8; 12]| if is_found { id.to_vec() } else { Vec::new() };
        pb::AccessRecord {
            kind: kind.into(),
            outcome: v1::Outcome::from(self.outcome).into(),
            tenant: Some(self.tenant.0),
            keyspace: self.keyspace.map(|keyspace| keyspace.0),
            key_id: id(&self.key),
            version_id: id(&self.version),
            count,
            first_unix_ms: first.millis(),
            last_unix_ms: last.millis(),
            ..pb::AccessRecord::default()
        }
    }
}

fn bytes_of(line: &pb::AccessRecord) -> usize {
    LINE_BYTES + line.encoded_len()
}
