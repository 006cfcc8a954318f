//! What a store of usage is worth: made-up usage, and how long questions of it take. For the bench, which writes what it finds.
//!
//! Keys are used as keys are: one in a hundred in every minute of the day, the others in some ten minutes each, so that a million keys make
//! some 25 million minutes of keys. Batches go the way of those of replicas: logged, synced, added up, written, merged.

use super::query::{Primary, Query, QueryError, Subject};
use crate::collect::{Batch, Observed, ObservedError, Options, Tier};
use crate::run::{Keys, KeysAway, SealingKey};
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, KeyId, NodeId, RingNumber, TenantNumber};
use latchkey_wire::pb::internal::v1 as pb;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const CLUSTER: ClusterId = ClusterId([0xBE; 16]);
const TENANT: TenantNumber = TenantNumber(2);
/// The first minute of the day that is made up: 2026-01-01 UTC.
const FIRST_MINUTE: u32 = 29_453_760;
const MINUTES: u32 = 24 * 60;
const KEYSPACES: u64 = 20;
const OWNERS: u64 = 5_000;
/// One key in so many is used in each minute.
const BUSY_ONE_IN: u64 = 100;
/// Of the others each is used in one minute of so many.
const QUIET_ONE_IN: u64 = 144;
/// Cells of one batch: about what 1 MiB holds.
const CELLS_A_BATCH: usize = 8_000;

/// How it is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Keys that are used in the day.
    pub keys: u64,
    /// Minutes of the day that are made up, from its first on: 1,440 are the whole.
    pub minutes: u32,
}

/// What came of making it.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Cells: keys times the minutes in which each was used.
    pub cells: u64,
    /// Requests in them.
    pub requests: u64,
    /// How long all of it took, merging included.
    pub took: Duration,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// The most bytes of memory that sums and readers took.
    pub memory_bytes: usize,
}

/// The questions whose times are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A key's day by the minute.
    Key,
    /// A keyspace's day by the minute, by region and outcome.
    Keyspace,
    /// The tenant's day by the minute.
    Tenant,
    /// The ten keys of the tenant with the most requests, by the minute.
    TopKeys,
}

/// A store of made-up usage.
#[derive(Debug)]
pub struct Figures {
    observed: Observed,
    shape: Shape,
}

/// One key for all.
#[derive(Debug)]
struct OneKey;

impl Keys for OneKey {
    fn key(&self, _: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        Ok(Some(SealingKey { number: RingNumber(1), key: Arc::new(DataKey::new([1; 32])) }))
    }
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 4] = [Self::Key, Self::Keyspace, Self::Tenant, Self::TopKeys];

    /// What it is called in tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "one key, a day by the minute",
            Self::Keyspace => "one keyspace, a day by the minute, by region and outcome",
            Self::Tenant => "the tenant, a day by the minute",
            Self::TopKeys => "the 10 keys with the most requests, a day by the minute",
        }
    }
}

impl Figures {
    /// Makes up the usage of a day in an empty folder.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn make(folder: &Path, shape: Shape) -> Result<(Self, Made), ObservedError> {
        let observed = Observed::open(folder, CLUSTER, Arc::new(OneKey), Options::default())?;
        let begun = Instant::now();
        let (mut cells, mut number) = (Vec::with_capacity(CELLS_A_BATCH), 0);
        let mut made = Made { cells: 0, requests: 0, took: Duration::ZERO, disk_bytes: 0, memory_bytes: 0 };
        for minute in 0..shape.minutes.min(MINUTES) {
            for key in (0..shape.keys).filter(|key| is_used(*key, minute)) {
                let cell = cell(key, minute);
                made.cells += 1;
                made.requests += cell.outcomes.iter().sum::<u64>();
                cells.push(cell);
                if cells.len() == CELLS_A_BATCH {
                    number += 1;
                    observed.take(&batch(number, std::mem::take(&mut cells)))?;
                    made.memory_bytes = made.memory_bytes.max(observed.bytes().1);
                }
            }
            if minute % 60 == 59 {
                // As the service does each half a minute: the day is not over.
                observed.merge(Tier::Minutes.begins_ms(FIRST_MINUTE + minute))?;
            }
        }
        observed.take(&batch(number + 1, cells))?;
        observed.flush()?;
        observed.merge(Tier::Minutes.begins_ms(FIRST_MINUTE + MINUTES))?;
        let (disk_bytes, memory_bytes) = observed.bytes();
        made.memory_bytes = made.memory_bytes.max(memory_bytes);
        Ok((Self { observed, shape }, Made { took: begun.elapsed(), disk_bytes, ..made }))
    }

    /// Asks a question, the `turn`-th of its kind: of another key or keyspace each time. Tells how long it took, and how many points came.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn ask(&self, question: Question, turn: u64) -> Result<(Duration, usize), ObservedError> {
        let key = mixed(turn) % self.shape.keys.max(1);
        let (subject, primary) = match question {
            Question::Key => (Subject::Key(TENANT, keyspace_of(key), id_of(key)), None),
            Question::Keyspace => (Subject::Keyspace(TENANT, keyspace_of(key)), None),
            Question::Tenant => (Subject::Tenant(TENANT), None),
            Question::TopKeys => (Subject::Tenant(TENANT), Some(Primary::Key)),
        };
        let query = Query {
            subject,
            tier: Tier::Minutes,
            steps: FIRST_MINUTE..FIRST_MINUTE + MINUTES,
            primary,
            by_region: question == Question::Keyspace,
            by_outcome: question == Question::Keyspace,
            by_status_class: false,
            top_n: 10,
            keyspace: None,
            regions: None,
            outcomes: None,
        };
        let begun = Instant::now();
        let shown = query.run(&self.observed).map_err(|error| match error {
            QueryError::Observed(error) => error,
            QueryError::Invalid { expected, .. } => unreachable!("the questions are well-formed: {expected}"),
        })?;
        Ok((begun.elapsed(), shown.found.iter().map(|found| found.points.len()).sum()))
    }

    /// Bytes on the disk, and of memory.
    #[must_use]
    pub fn bytes(&self) -> (u64, usize) {
        self.observed.bytes()
    }
}

/// Spreads numbers; splitmix64's mixer. Source: Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

const fn is_used(key: u64, minute: u32) -> bool {
    key.is_multiple_of(BUSY_ONE_IN) || mixed(key ^ ((minute as u64) << 32)).is_multiple_of(QUIET_ONE_IN)
}

fn keyspace_of(key: u64) -> u32 {
    u32::try_from(key % KEYSPACES).expect("KEYSPACES is small") + 1
}

fn id_of(key: u64) -> KeyId {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&mixed(key).to_be_bytes());
    bytes[8..].copy_from_slice(&mixed(!key).to_be_bytes()[..4]);
    KeyId::from_random(bytes)
}

fn cell(key: u64, minute: u32) -> pb::UsageCell {
    let (spread, id) = (mixed(key.wrapping_mul(31) ^ u64::from(minute)), id_of(key));
    // A few keys have most of the requests.
    let requests = 1 + spread % 5 + 4_000 / (key / BUSY_ONE_IN + 1);
    let denials = u64::from(spread.is_multiple_of(50));
    pb::UsageCell {
        tenant: TENANT.0,
        keyspace: Some(keyspace_of(key)),
        owner: Some(u32::try_from(key % OWNERS).expect("OWNERS is small") + 1),
        key_id: id.bytes().to_vec(),
        version_id: id.bytes().to_vec(),
        minute: u64::from(FIRST_MINUTE + minute),
        outcomes: vec![0, requests, 0, 0, 0, 0, 0, 0, denials],
        latency: vec![0, 0, 0, requests, denials],
        latencies: [(10, requests), (14, denials)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(bucket, count)| pb::LatencyCount { bucket, count })
            .collect(),
        networks: vec![pb::NetworkCount { network: [&id.bytes()[..3], &[0, 24]].concat(), count: requests + denials }],
        last_used_unix_ms: Some(Tier::Minutes.begins_ms(FIRST_MINUTE + minute)),
        ..Default::default()
    }
}

fn batch(number: u64, cells: Vec<pb::UsageCell>) -> Batch {
    let answer = pb::TakeObservationsResponse {
        node_id: 1,
        region: "here".to_owned(),
        incarnation: 1,
        batch: number,
        cells,
        ..Default::default()
    };
    Batch::read(NodeId(1), answer).expect("what is made up is well-formed").expect("its batches have numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_is_found_by_every_question() {
        let folder = tempfile::tempdir().unwrap();
        let (figures, made) = Figures::make(folder.path(), Shape { keys: 2_000, minutes: 125 }).unwrap();
        for question in Question::ALL {
            let (took, points) = figures.ask(question, 1).unwrap();
            println!("{}: {points} points in {took:?}", question.word());
            // Most keys are used in few of these minutes, some in none.
            let expected = match question {
                Question::Key => 0,
                Question::Keyspace => 1,
                Question::Tenant | Question::TopKeys => 125,
            };
            assert!(points >= expected, "{question:?}: {points}");
        }
        println!("{made:?}");
        assert!(made.cells > 125 * 20 && made.disk_bytes > 0);
    }
}
