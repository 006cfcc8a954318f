//! The multiplication: from what is wanted to what it takes.

use super::figures as figure;

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) keys: f64,
    pub(super) replicas: usize,
    pub(super) regions: Vec<String>,
    pub(super) writes_per_second: f64,
    pub(super) backups: f64,
}

/// What one replica, audit and backups take. Bytes, seconds and calls a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    pub(super) memory_after_start: f64,
    pub(super) memory_to_reserve: f64,
    pub(super) disk_used: f64,
    pub(super) disk_to_provide: f64,
    pub(super) snapshot: f64,
    pub(super) backups: f64,
    pub(super) outbox: f64,
    pub(super) audit_now: f64,
    pub(super) audit_a_year: f64,
    pub(super) start_seconds: f64,
    pub(super) validations: f64,
    pub(super) writes: f64,
}

/// Seconds of a year.
const YEAR: f64 = 365.0 * 86_400.0;

impl Sizes {
    pub(super) fn of(wanted: &Wanted) -> Self {
        let keys = wanted.keys;
        let memory = |key: f64| figure::REPLICA_BYTES.value + keys * key;
        let snapshot = keys * figure::SNAPSHOT_BYTES.value;
        // An outbox at its bound lies in the same folder, and so does a snapshot while it is sent or comes.
        let outbox = figure::OUTBOX_ENTRIES.value * figure::ENTRY_BYTES.value;
        let disk_used = figure::RESERVE_BYTES.value + keys * figure::STORE_BYTES.value;
        let few = keys <= 100_000.0;
        Self {
            memory_after_start: memory(figure::KEY_BYTES.value),
            memory_to_reserve: memory(figure::KEY_BYTES_AT_WORK.value),
            disk_used,
            disk_to_provide: disk_used + outbox + 2.0 * snapshot + figure::FREE_BYTES.value,
            snapshot,
            backups: snapshot * wanted.backups,
            outbox,
            audit_now: keys * figure::ENTRY_BYTES.value,
            audit_a_year: wanted.writes_per_second * YEAR * figure::ENTRY_BYTES.value,
            start_seconds: keys * figure::START_MICROS.value / 1e6,
            validations: if few { figure::VALIDATIONS_FEW.value } else { figure::VALIDATIONS_MANY.value },
            writes: if wanted.replicas == 1 { figure::CREATES_ALONE.value } else { figure::CREATES_OF_THREE.value },
        }
    }
}

/// How many voters each region gets: as even as it goes, the first ones one more.
pub(super) fn voters(wanted: &Wanted) -> Vec<(String, usize)> {
    let (each, more) = (wanted.replicas / wanted.regions.len(), wanted.replicas % wanted.regions.len());
    let regions = wanted.regions.iter().enumerate();
    regions.map(|(index, region)| (region.clone(), each + usize::from(index < more))).collect()
}

/// What does not fit, or should be known; each is a sentence.
pub(super) fn warnings(wanted: &Wanted, sizes: &Sizes) -> Vec<String> {
    let mut found = Vec::new();
    let majority = wanted.replicas / 2 + 1;
    if wanted.replicas == 1 {
        found.push(
            "One replica: its loss ends writing and, once its lease is over, validating. Three lose nothing by one."
                .into(),
        );
    } else if wanted.replicas.is_multiple_of(2) {
        found.push(format!(
            "{} voters survive no more losses than {}: take one away, or make it a learner.",
            wanted.replicas,
            wanted.replicas - 1
        ));
    }
    for (region, voters) in voters(wanted) {
        if voters == 0 {
            found.push(format!("{region} gets no voter: a learner there validates all the same."));
        } else if wanted.regions.len() > 1 && wanted.replicas - voters < majority {
            found.push(format!(
                "Without {region} there is no majority ({} of {} voters are left): writes stop until it is back. Three regions or more avoid that.",
                wanted.replicas - voters,
                wanted.replicas
            ));
        }
    }
    if wanted.replicas > 3 {
        found.push("More than three replicas were not measured: each write waits for a majority of them.".into());
    }
    if wanted.writes_per_second > sizes.writes / 2.0 {
        found.push(format!(
            "{} writes a second are more than half of what was measured ({}): batches make ten times as many keys.",
            wanted.writes_per_second, sizes.writes
        ));
    }
    if wanted.keys > 1_000_000.0 {
        found.push("More than 1,000,000 keys were not measured: the figures are carried on in a straight line.".into());
    }
    found
}
