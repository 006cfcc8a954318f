//! The sum of one minute's uses of one version.
//!
//! Most versions are used by one client a few times a minute: that fits into the cell itself. Only what does not has a
//! [`Wide`] part, and only what was reported a [`Reported`] one.

use super::one_use::{MINUTE_MS, Packed, Use, Whose};
use super::reported::Reported;
use super::spans::Spans;
use latchkey_domain::Outcome;
use latchkey_state::Holder;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1;

/// Networks that are named of one version and minute.
pub(super) const NETWORKS_MAX: usize = 4;

/// Different outcomes and latencies of a cell that has no wide part.
const FEW: usize = 8;

/// Latencies are counted beside outcomes, from this tag on. 0 is a free place.
const LATENCY_TAG: u8 = 32;

/// There was no use, and all is reported.
const UNUSED: u16 = u16::MAX;

/// What one version was used for in one minute.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) whose: Whose,
    /// When it was used last, in milliseconds of the minute.
    last_ms: u16,
    few: Few,
    network: Packed,
    network_count: u32,
    other_networks: u32,
    wide: Option<Box<Wide>>,
    reported: Option<Box<Reported>>,
}

#[derive(Debug, Default)]
struct Few {
    tags: [u8; FEW],
    counts: [u16; FEW],
}

#[derive(Debug, Default)]
struct Wide {
    outcomes: [u32; Outcome::ALL.len()],
    latency: Spans,
    networks: [(Packed, u32); NETWORKS_MAX],
}

/// What a wide part takes at most before anything is counted in it but what the cell had: room for what comes next is in it.
const WIDENED_BYTES: usize = size_of::<Wide>() + 2 * Spans::GROWS_BY;

const _: () = assert!(FEW * size_of::<(u8, u32)>() <= Spans::GROWS_BY, "what a cell had makes its spans grow once");

/// There is no room to count it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Cell {
    pub(super) fn new(whose: Whose) -> Self {
        Self {
            whose,
            last_ms: UNUSED,
            few: Few::default(),
            network: Packed::NONE,
            network_count: 0,
            other_networks: 0,
            wide: None,
            reported: None,
        }
    }

    /// Counts a use wholly or not at all, and says by how many bytes the cell has grown: at most `room`.
    ///
    /// # Errors
    /// [`Full`]: it did not fit.
    pub(super) fn count(&mut self, one: &Use, room: usize) -> Result<usize, Full> {
        let mut grown = 0;
        if self.wide.is_none() && !self.few.add(one) {
            grown = self.widen(room)?;
        }
        if let Some(wide) = &mut self.wide {
            grown += wide.add(one, room - grown)?;
        }
        grown += self.count_network(one, room - grown);
        let offset = u16::try_from(one.at.millis() % MINUTE_MS).expect("a minute has 60,000 ms");
        if self.last_ms == UNUSED || self.last_ms < offset {
            self.last_ms = offset;
        }
        Ok(grown)
    }

    /// Adds what was reported, and says by how many bytes the cell has grown.
    ///
    /// # Errors
    /// [`Full`]: it did not fit.
    pub(super) fn report(&mut self, reported: &Reported, room: usize) -> Result<usize, Full> {
        let before = self.reported.as_ref().map_or(0, |reported| reported.bytes());
        let needed = if before == 0 { size_of::<Reported>() } else { 0 } + reported.latency.adds_at_most();
        if room < needed {
            return Err(Full);
        }
        let all = self.reported.get_or_insert_default();
        all.add(reported);
        Ok(all.bytes() - before)
    }

    /// What it takes beside its own size.
    pub(super) fn heap_bytes(&self) -> usize {
        let wide = self.wide.as_ref().map_or(0, |wide| wide.bytes());
        wide + self.reported.as_ref().map_or(0, |reported| reported.bytes())
    }

    /// A network that has no place here is counted with the others: which one it was is all that is lost.
    fn count_network(&mut self, one: &Use, room: usize) -> usize {
        if one.network.is_none() {
            return 0;
        }
        if self.wide.is_none() && (self.network.is_none() || self.network == one.network) {
            self.network = one.network;
            self.network_count = self.network_count.saturating_add(one.count);
            return 0;
        }
        // What was counted before goes along.
        let grown = if self.wide.is_none() { self.widen(room).unwrap_or(0) } else { 0 };
        let displaced = match &mut self.wide {
            Some(wide) => wide.add_network(one),
            None => one.count,
        };
        self.other_networks = self.other_networks.saturating_add(displaced);
        grown
    }

    fn widen(&mut self, room: usize) -> Result<usize, Full> {
        if room < WIDENED_BYTES {
            return Err(Full);
        }
        let mut wide = Box::<Wide>::default();
        for (tag, count) in self.few.tags.into_iter().zip(self.few.counts).filter(|(tag, _)| *tag > 0) {
            match tag.checked_sub(LATENCY_TAG) {
                Some(bucket) => wide.latency.add(bucket, count.into()),
                None => wide.outcomes[usize::from(tag) - 1] = count.into(),
            }
        }
        wide.networks[0] = (self.network, self.network_count);
        let grown = wide.bytes();
        (self.few, self.wide) = (Few::default(), Some(wide));
        Ok(grown)
    }

    /// As it is handed over.
    pub(super) fn write(&self, minute: u64) -> pb::UsageCell {
        let mut cell = pb::UsageCell {
            tenant: self.whose.tenant.0,
            keyspace: self.whose.keyspace.map(|keyspace| keyspace.0),
            minute,
            other_networks: self.other_networks.into(),
            last_used_unix_ms: (self.last_ms != UNUSED).then(|| minute * MINUTE_MS + u64::from(self.last_ms)),
            reported: self.reported.as_ref().map(|reported| reported.write()),
            ..pb::UsageCell::default()
        };
        match self.whose.holder {
            Holder::None => {}
            Holder::Owner(owner) => cell.owner = Some(owner.0),
            Holder::Identity(identity) => cell.identity = Some(identity.0),
        }
        if !self.whose.is_nobody() {
            cell.key_id = self.whose.key.to_vec();
            cell.version_id = self.whose.version.to_vec();
        }
        let mut outcomes = [0; v1::Outcome::UsageExceeded as usize + 1];
        let mut few = Spans::default();
        let mut networks = vec![(self.network, self.network_count)];
        match &self.wide {
            Some(wide) => {
                for (outcome, count) in Outcome::ALL.into_iter().zip(wide.outcomes) {
                    outcomes[v1::Outcome::from(outcome) as usize] = count.into();
                }
                networks = wide.networks.to_vec();
            }
            None => {
                for (tag, count) in self.few.tags.into_iter().zip(self.few.counts).filter(|(tag, _)| *tag > 0) {
                    match tag.checked_sub(LATENCY_TAG) {
                        Some(bucket) => few.add(bucket, count.into()),
                        None => {
                            let outcome = Outcome::ALL[usize::from(tag) - 1];
                            outcomes[v1::Outcome::from(outcome) as usize] = count.into();
                        }
                    }
                }
            }
        }
        networks.retain(|(network, _)| !network.is_none());
        networks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        cell.outcomes = without_trailing_zeros(&outcomes);
        let spans = self.wide.as_ref().map_or(&few, |wide| &wide.latency);
        (cell.latency, cell.latencies) = (spans.coarse(), spans.write());
        let network =
            |(network, count): (Packed, u32)| pb::NetworkCount { network: network.bytes(), count: count.into() };
        cell.networks = networks.into_iter().map(network).collect();
        cell
    }
}

/// What ends with zeros is as long as it says something.
pub(super) fn without_trailing_zeros(counts: &[u64]) -> Vec<u64> {
    let length = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    counts[..length].to_vec()
}

impl Few {
    /// Counts both the outcome and the latency, or neither.
    fn add(&mut self, one: &Use) -> bool {
        let Ok(count) = u16::try_from(one.count) else { return false };
        let outcome = one.outcome as u8 + 1;
        let Some(place) = self.place(outcome, count, 0) else { return false };
        let timed = match one.latency {
            None => None,
            Some(bucket) => {
                // The first free place may be what the outcome takes.
                let taken = usize::from(self.tags[place] == 0);
                let Some(timed) = self.place(LATENCY_TAG + bucket, count, taken) else { return false };
                Some((timed, LATENCY_TAG + bucket))
            }
        };
        for (place, tag) in std::iter::once((place, outcome)).chain(timed) {
            self.tags[place] = tag;
            self.counts[place] += count;
        }
        true
    }

    /// The place of a tag, or a free one after `skipped` free ones.
    fn place(&self, tag: u8, count: u16, skipped: usize) -> Option<usize> {
        let place = match self.tags.iter().position(|taken| *taken == tag) {
            Some(place) => place,
            None => self.tags.iter().enumerate().filter(|(_, taken)| **taken == 0).nth(skipped)?.0,
        };
        self.counts[place].checked_add(count)?;
        Some(place)
    }
}

impl Wide {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.latency.heap_bytes()
    }

    /// Counts a use but for its network, wholly or not at all, and says by how many bytes this has grown.
    fn add(&mut self, one: &Use, room: usize) -> Result<usize, Full> {
        let grown = match one.latency {
            Some(bucket) if self.latency.grows(bucket) => Spans::GROWS_BY,
            _ => 0,
        };
        if grown > room {
            return Err(Full);
        }
        let sum = &mut self.outcomes[one.outcome as usize];
        *sum = sum.saturating_add(one.count);
        if let Some(bucket) = one.latency {
            self.latency.add(bucket, one.count);
        }
        Ok(grown)
    }

    /// Counts a network, in the place of the one that came least where there are too many. Gives what that one had: so a
    /// stranger with ever new addresses displaces one of four at most, and nothing is counted twice.
    fn add_network(&mut self, one: &Use) -> u32 {
        let known = self.networks.iter_mut().find(|(network, _)| *network == one.network);
        if let Some((_, count)) = known {
            *count = count.saturating_add(one.count);
            return 0;
        }
        let least = self.networks.iter_mut().min_by_key(|(_, count)| *count).expect("there are four places");
        std::mem::replace(least, (one.network, one.count)).1
    }
}
