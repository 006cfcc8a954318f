//! What the writer writes: everything can be told from its index, so the harness needs no copy.

use bytes::Bytes;
use latchkey_storage::{Row, RowKey, SnapshotName};

use crate::random::mix;

/// Rows of the state. Each record of the log touches one, and 24 in a row touch all.
const SLOTS: u64 = 24;
const TABLE: u8 = 1;

/// The record at `index`, written in `round`: a record that replaces a truncated one differs from it.
pub(crate) fn record(index: u64, round: u64) -> Bytes {
    let seed = mix(index ^ round.rotate_left(32));
    filled(&format!("record {index} {round} "), seed, length(seed))
}

/// The round of a record that was read at `index`, if it is one.
pub(crate) fn round(index: u64, bytes: &Bytes) -> Option<u64> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    let mut words = head.split(' ').skip(2);
    let round = words.next()?.parse().ok()?;
    (record(index, round) == *bytes).then_some(round)
}

/// The state at `index`.
pub(crate) fn rows(index: u64) -> Vec<Row> {
    let first = index.saturating_sub(SLOTS - 1).max(1);
    let mut rows: Vec<Row> = (first..=index).filter_map(|index| change(index).ok()).collect();
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    rows
}

/// What the record at `index` does: a row that it puts, or one that it removes.
pub(crate) fn change(index: u64) -> Result<Row, RowKey> {
    let slot = index * 7 % SLOTS;
    let key = RowKey { table: TABLE, id: slot.to_be_bytes().to_vec().into() };
    if index.is_multiple_of(5) {
        return Err(key);
    }
    let seed = mix(index);
    Ok(Row { key, bytes: filled(&format!("row {index} "), seed, length(seed)) })
}

pub(crate) fn snapshot_name(index: u64) -> SnapshotName {
    SnapshotName::parse(&format!("at-{index}")).expect("a name")
}

pub(crate) fn snapshot(index: u64) -> Bytes {
    let seed = mix(!index);
    filled(&format!("snapshot {index} "), seed, 1_000 + seed % 200_000)
}

/// Mostly short, some of several chunks, a few long.
fn length(seed: u64) -> u64 {
    match seed % 64 {
        0 => 20_000 + seed / 64 % 60_000,
        1..=5 => 3_900 + seed / 64 % 5_000,
        _ => 20 + seed / 64 % 300,
    }
}

fn filled(head: &str, seed: u64, length: u64) -> Bytes {
    let mut bytes = head.as_bytes().to_vec();
    let words = (1..=length / 8).flat_map(|word| mix(seed ^ word).to_be_bytes());
    bytes.extend(words);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_round_and_nothing_else_does() {
        let bytes = record(7, 3);
        assert_eq!(round(7, &bytes), Some(3));
        assert_eq!(round(8, &bytes), None);
        assert_eq!(round(7, &bytes.slice(..bytes.len() - 1)), None);
        assert_eq!(round(7, &Bytes::new()), None);
    }

    #[test]
    fn the_state_follows_from_the_changes() {
        let mut state = std::collections::BTreeMap::new();
        for index in 1..200 {
            match change(index) {
                Ok(row) => drop(state.insert(row.key.clone(), row)),
                Err(key) => drop(state.remove(&key)),
            }
            assert_eq!(rows(index), state.values().cloned().collect::<Vec<_>>(), "{index}");
        }
    }
}
