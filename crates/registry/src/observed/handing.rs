//! Handing over: numbered batches, each told again until it is acknowledged.

use super::lines::Lines;
use super::names_of::Names;
use super::strangers::Strangers;
use super::table::Table;
use crate::registry::Registry;
use latchkey_domain::UnixMillis;
use latchkey_state::State;
use latchkey_wire::pb::internal::v1 as pb;
use prost::Message as _;
use std::net::IpAddr;

/// What a batch takes on the way, at most.
pub(super) const BATCH_BYTES_MAX: usize = 1_024 * 1_024;

/// The part of a batch that lines may take while there are cells as well.
const LINES_BYTES_MAX: usize = BATCH_BYTES_MAX / 4;

/// Kept free for what is added last: the longest cell with its names, and the fields around them.
const MARGIN_BYTES: usize = 4 * 1_024;

/// What a field of a message takes beside its bytes: its tag, and a length below 2 MiB.
const FIELD_BYTES: usize = 4;

/// The batch that was handed over last.
#[derive(Debug, Default)]
pub(super) struct Handing {
    number: u64,
    pending: Option<pb::TakeObservationsResponse>,
}

impl Handing {
    /// Takes the acknowledgement of a batch, and says whether it was the one that waits for it. Any other is of another
    /// process life, or comes again.
    pub(super) fn acknowledge(&mut self, batch: u64) -> bool {
        let waits = self.pending.as_ref().is_some_and(|pending| pending.batch == batch);
        if waits {
            self.pending = None;
        }
        waits
    }

    /// The batch that is not acknowledged.
    pub(super) fn pending(&self) -> Option<pb::TakeObservationsResponse> {
        self.pending.clone()
    }

    /// Makes the next batch of what leaves, if there is anything. `now` is told where nothing is left.
    pub(super) fn next(
        &mut self,
        table: &mut Table,
        lines: &mut Lines,
        strangers: &Strangers,
        state: &State,
        now: UnixMillis,
    ) -> pb::TakeObservationsResponse {
        let mut answer = pb::TakeObservationsResponse {
            lost_requests: table.take_lost(),
            lost_records: lines.take_lost(),
            ..pb::TakeObservationsResponse::default()
        };
        let mut names = Names::of(state);
        let mut bytes = MARGIN_BYTES;
        let lines_max = if table.leaves() { LINES_BYTES_MAX } else { BATCH_BYTES_MAX };
        while let Some(line) = lines_max.checked_sub(bytes + names.bytes()).and_then(|left| lines.pop(left)) {
            names.add_place(line.tenant, line.keyspace);
            bytes += line.encoded_len() + FIELD_BYTES;
            answer.records.push(line);
        }
        while bytes + names.bytes() < BATCH_BYTES_MAX {
            let Some((minute, cell)) = table.pop() else { break };
            let cell = cell.write(minute);
            if cell.outcomes.is_empty() && cell.reported.is_none() {
                // Made for a use that did not fit in the end.
                continue;
            }
            names.add_cell(&cell);
            bytes += cell.encoded_len() + FIELD_BYTES;
            answer.cells.push(cell);
        }
        answer.names = names.finish();
        answer.more = table.leaves() || !lines.is_empty();
        let left = [table.oldest_ms(), lines.oldest_ms(), strangers.oldest_ms()];
        answer.complete_until_unix_ms = left.into_iter().flatten().min().unwrap_or(now.millis()).min(now.millis());
        let is_nothing = answer.cells.is_empty()
            && answer.records.is_empty()
            && answer.lost_requests == 0
            && answer.lost_records == 0;
        if !is_nothing {
            self.number += 1;
            answer.batch = self.number;
            self.pending = Some(answer.clone());
        }
        answer
    }
}

impl Registry {
    /// Takes note of a call whose caller proved no identity. `rpc` is as telemetry names it.
    pub fn observe_stranger(&self, rpc: &str, client: Option<IpAddr>) {
        let now = self.reader().now().map_or_else(|_| self.core().state().clock(), |view| view.now());
        self.observed().stranger(rpc, client, now);
    }

    /// What this replica has seen of the use of keys since the batch that is acknowledged.
    pub(crate) fn take_observations(&self, incarnation: u64, acknowledged: u64) -> pb::TakeObservationsResponse {
        // Whatever state it is in: what was seen is to be heard.
        let state = self.core().state();
        let now = self.reader().now().map_or(state.clock(), |view| view.now());
        let answer = self.observed().take(incarnation, acknowledged, &state, now);
        let member = self.status().replicas.into_iter().find(|replica| replica.node == self.node());
        let region = member.map(|replica| replica.member.region).unwrap_or_default();
        pb::TakeObservationsResponse { node_id: self.node().0, region, ..answer }
    }
}
